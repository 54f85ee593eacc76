/** What operators ask with `xenstore-control`: what domains use and do, and what is traced. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import type { RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

let sim: SimXenstored;
let tools: RawClient;
let guest: RawClient;

beforeEach(async () => {
  sim = new SimXenstored();
  tools = sim.socket();
  guest = await sim.guestWithHome(1);
});

afterEach(async () => {
  expect(await sim.finish()).toEqual([]);
});

const control = async (request: string) => (await sim.reply(tools, XS_CONTROL, request)) ?? '';

async function startTransaction(): Promise<number> {
  return Number.parseInt((await sim.reply(guest, XS_TRANSACTION_START, '|')) ?? '', 10);
}

const endTransaction = (transaction: number) =>
  sim.reply(guest, XS_TRANSACTION_END, 'T|', transaction);

describe('quota max', () => {
  /** What it says, by name. */
  async function peaks(request = 'quota|max|'): Promise<Record<string, number>> {
    const lines = (await control(request)).matchAll(/^(\S+) *: *(\d+)$/gm);
    return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
  }

  test('tells the most that any guest has used of each thing, also one that is gone', async () => {
    await sim.ask(guest, XS_WRITE, 'a/b|twelve bytes');
    await sim.ask(guest, XS_WATCH, 'a|t|');
    const transaction = await startTransaction();
    for (const name of ['x', 'y', 'z']) await sim.ask(guest, XS_READ, `${name}|`, transaction);
    await endTransaction(transaction);
    sim.guests.get(1)?.domain.kill();
    await sim.settle();
    expect(await peaks()).toMatchObject({
      nodes: 3,
      watches: 1,
      transactions: 1,
      'transaction-nodes': 4,
      'path-length': 3,
    });
    expect((await peaks()).memory).toBeGreaterThan(1024);
    expect((await peaks())['node-size']).toBeGreaterThan(12);
  });

  test('with -r begins anew, from what is used now', async () => {
    await sim.ask(guest, XS_MKDIR, 'a/b/c|');
    await sim.ask(guest, XS_WRITE, 'a|some value');

    tools.send(XS_RM, '/local/domain/1/a|');
    await sim.settle();
    tools.take();
    expect((await peaks()).nodes).toBe(4);
    expect(await peaks('quota|max|-r|')).toMatchObject({ nodes: 1, 'node-size': 0 });
    expect((await peaks()).nodes).toBe(1);
    expect(await control('quota|1|')).toMatch(/^nodes *: *1 \(max: *1\)$/m);
  });

  test('leaves out the privileged, and refuses other words', async () => {
    for (let i = 0; i < 20; i++) tools.write(`/dom0/${i}`, '');
    await sim.settle();
    tools.take();
    expect((await peaks()).nodes).toBe(1);
    expect(await control('quota|max|-x|')).toBe('!EINVAL');
    expect(await control('quota|max|-r|-r|')).toBe('!EINVAL');
  });
});

describe('activity', () => {
  /** What it says of a domain, by name. */
  async function activity(domid: number): Promise<Record<string, number>> {
    const line = new RegExp(`^domain ${domid}: (.*)$`, 'm').exec(await control('activity|'))?.[1];
    const pairs = (line ?? '').split(' ').map((pair) => pair.split('='));
    return Object.fromEntries(pairs.map(([name, value]) => [name, Number(value)]));
  }

  test('counts requests by type, errors, events, refusals and bytes', async () => {
    await control('quota|set|nodes|2|');
    await sim.ask(guest, XS_WATCH, 'a|t|');
    await sim.ask(guest, XS_WRITE, 'a|1');
    await sim.ask(guest, XS_WRITE, 'b|1');
    await sim.ask(guest, XS_READ, 'a|');
    await sim.ask(guest, XS_READ, 'none|');
    await sim.ask(guest, 4711, 'x');
    await sim.ask(guest, 4712, 'x');
    expect(await activity(1)).toMatchObject({
      ...{ requests: 7, errors: 4, refusals: 1, events: 2, nodes: 2, watches: 1 },
      ...{ WATCH: 1, WRITE: 2, READ: 2, UNKNOWN: 2 },
    });
    const { received = 0, sent = 0 } = await activity(1);
    expect(received).toBe(7 * 16 + 4 + 3 + 3 + 2 + 5 + 1 + 1);
    expect(sent).toBeGreaterThan(9 * 16);
  });

  test('tells transactions that were committed, run again, or in conflict', async () => {
    const plain = await startTransaction();
    await sim.ask(guest, XS_WRITE, 'a|1', plain);
    expect(await endTransaction(plain)).toBe('OK|');
    const merged = await startTransaction();
    await sim.ask(guest, XS_WRITE, 'a|2', merged);
    await sim.ask(tools, XS_WRITE, '/local/domain/1/a|3');
    expect(await endTransaction(merged)).toBe('OK|');
    const late = await startTransaction();
    await sim.ask(guest, XS_READ, 'a|', late);
    await sim.ask(tools, XS_WRITE, '/local/domain/1/a|4');
    await sim.ask(guest, XS_WRITE, 'b|1', late);
    expect(await endTransaction(late)).toBe('!EAGAIN');
    expect(await activity(1)).toMatchObject({ committed: 1, replayed: 1, conflicted: 1 });
  });

  test('names the domain to go on with where one reply is too short', async () => {
    for (let domid = 2; domid <= 30; domid++) await sim.guest(domid);
    const domids: number[] = [];
    for (let from: string | undefined = '0'; from !== undefined; ) {
      const text = await control(`activity|${from}|`);
      domids.push(...[...text.matchAll(/^domain (\d+): /gm)].map(([, domid]) => Number(domid)));
      from = /^more from (\d+)$/m.exec(text)?.[1];
    }
    expect(domids).toEqual(Array.from({ length: 31 }, (_, domid) => domid));
  });

  test('begins anew for a domain that takes over a domid, and takes nothing but a domid', async () => {
    await sim.ask(guest, XS_DIRECTORY, '/|');
    sim.guests.get(1)?.domain.kill();
    await sim.settle();
    await sim.guest(1);
    expect(await activity(1)).toMatchObject({ requests: 0 });
    expect(await control('activity|x|')).toBe('!EINVAL');
    expect(await control('activity|1|2|')).toBe('!EINVAL');
  });
});

describe('log', () => {
  /** What was traced since it was last asked, without the times. */
  async function traced(): Promise<string[]> {
    const lines = (await control(`trace|${next}|`)).split('\n');
    next = Number(/^trace (\d+)/.exec(lines[0] ?? '')?.[1]);
    return lines.slice(1, -1).map((line) => line.replace(/ \S+Z/, ''));
  }
  let next: number;

  beforeEach(async () => {
    next = Number(/^trace (\d+)/.exec(await control('trace|'))?.[1]);
  });

  test('shows its switches, and refuses those that it does not have', async () => {
    const settings = 'Log switch settings:\nobj     : on\nio      : on\nwrl     : off\n|';
    expect(await control('log|')).toBe(settings);
    expect(await control('log|+wrl|')).toBe('OK|');
    expect(await control('log|-io|')).toBe('OK|');
    expect(await control('log|')).toContain('io      : off\nwrl     : on\n');
    for (const word of ['+tdb', '-', 'io', '+', 'on|off']) {
      expect(await control(`log|${word}|`)).toBe('!EINVAL');
    }
  });

  test('traces watches and transactions that come and go, unless -obj', async () => {
    await control('log|-io|');
    await sim.ask(guest, XS_WATCH, 'a|t\n|');
    await endTransaction(await startTransaction());
    expect((await traced()).filter((line) => !line.startsWith('IN'))).toEqual([
      'OBJ domain 1 create (watch /local/domain/1/a t )',
      'OBJ domain 1 create (transaction 1)',
      'OBJ domain 1 destroy (transaction 1)',
    ]);
    await control('log|-obj|');
    await sim.ask(guest, XS_WATCH, 'b|t|');
    expect(await traced()).toEqual([]);
  });

  test('with +wrl traces domains that are made to wait', async () => {
    await control('log|-io|');
    await control('log|+wrl|');
    const transaction = Number.parseInt(
      (await sim.reply(tools, XS_TRANSACTION_START, '|')) ?? '',
      10,
    );
    await sim.ask(tools, XS_READ, '/local/domain/1/x|', transaction);
    for (let i = 0; i < 1500; i++) guest.write('x', `${i}`);
    await sim.world.run({ for_ms: 100 });
    expect((await traced()).some((line) => /^WRL domain 1 wait \(\d+ ms\)$/.test(line))).toBe(true);
  });
});
