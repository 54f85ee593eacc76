/** A fresh xenstored for each test, its clients, and tables of (client, request, reply), played in order. */
import { afterEach, beforeEach, expect } from 'vitest';
import type { RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

export type ClientName = 'tools' | 'guest' | 'other' | 'kernel';

export type Row = readonly [
  client: ClientName,
  type: number,
  payload: string,
  reply: string,
  transaction?: number,
];

export class RequestTables {
  sim!: SimXenstored;
  clients!: Record<ClientName, RawClient>;

  /** In a test file, before its tests: each begins with this and ends with nothing left over. */
  constructor() {
    beforeEach(async () => {
      this.sim = new SimXenstored();
      this.clients = {
        tools: this.sim.socket(),
        guest: await this.sim.guestWithHome(1),
        other: await this.sim.guestWithHome(2),
        kernel: this.sim.kernel,
      };
    });
    afterEach(async () => {
      expect(this.sim.xenstored.check()).toBe(0);
      expect(await this.sim.finish()).toEqual([]);
    });
  }

  async play(rows: readonly Row[]): Promise<void> {
    for (const [name, type, payload, reply, transaction] of rows) {
      const heard = await this.sim.reply(this.clients[name], type, payload, transaction ?? 0);
      expect(`${name} ${type} ${payload}: ${heard}`).toBe(`${name} ${type} ${payload}: ${reply}`);
    }
  }
}
