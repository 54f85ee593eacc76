/** A simulated host with vchans: processes that serve and connect, and both ends as tests use them. */
import { expect } from 'vitest';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import type { Clock } from '../../src/base/clock.ts';
import { DOM0, type DomId, domId } from '../../src/base/ids.ts';
import type { FaultPlan } from '../../src/hypervisor/sim/world.ts';
import { VchanConnector } from '../../src/vchan/client.ts';
import { vchanPath } from '../../src/vchan/keys.ts';
import { VchanServer, type VchanServerOptions } from '../../src/vchan/server.ts';
import type { Vchan, VchanHost } from '../../src/vchan/vchan.ts';
import { type HostGuest, type HostProcess, SimHost } from '../xenbus/sim-host.ts';

/** Sends what it is told to, and keeps what comes. */
export class User {
  readonly stream: ByteStream;
  private readonly clock: Clock;
  private outgoing = new Uint8Array(0);
  private readonly incoming: Uint8Array[] = [];
  /** Bytes that have come. */
  received = 0;
  /** Bytes taken at a time. */
  step = 1000;

  constructor(stream: ByteStream, clock: Clock) {
    this.stream = stream;
    this.clock = clock;
    stream.onReady(() => this.advance());
  }

  send(bytes: Uint8Array): void {
    this.outgoing = Uint8Array.from([...this.outgoing, ...bytes]);
    this.clock.after(0, () => this.advance());
  }

  get unsent(): number {
    return this.outgoing.length;
  }

  /** Everything that has come. */
  get bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.incoming));
  }

  private advance(): void {
    if (this.outgoing.length > 0) {
      this.outgoing = this.outgoing.subarray(this.stream.write(this.outgoing));
    }
    const target = new Uint8Array(this.step);
    for (let length = this.stream.read(target); length > 0; length = this.stream.read(target)) {
      this.incoming.push(target.slice(0, length));
      this.received += length;
    }
  }
}

/** Bytes that repeat at no ring size. */
export function pattern(length: number, start = 0): Uint8Array {
  return Uint8Array.from(
    { length },
    (_, index) => ((start + index) * 31 + ((index / 251) | 0)) & 255,
  );
}

export const PORT = '7';

export class VchansHost extends SimHost {
  server!: HostProcess;
  client!: HostGuest;
  path!: string;
  private before: string[] = [];
  private readonly closing: { close(): Promise<void> | void }[] = [];

  /** A server in dom0 and a client in a guest. */
  static async start(seed = 1, faults: Partial<FaultPlan> = {}): Promise<VchansHost> {
    const host = new VchansHost(seed, faults);
    host.server = host.startProcess();
    host.client = await host.guest();
    host.path = vchanPath(DOM0, host.client.domid, PORT);
    host.before = host.world.leftovers();
    return host;
  }

  /** One more guest, before anything is open that would have to be closed. */
  async secondGuest(): Promise<HostGuest> {
    const guest = await this.guest();
    this.before = this.world.leftovers();
    return guest;
  }

  /** The guest as an end of a vchan. */
  hostOf({ hypervisor, xenstore, boot }: HostGuest): VchanHost {
    return { hypervisor, xenstore, clock: boot.domain.clock };
  }

  listen(...args: Parameters<VchansHost['openServer']>): Promise<VchanServer> {
    return this.finish(this.openServer(...args));
  }

  connector(...args: Parameters<VchansHost['openConnector']>): Promise<VchanConnector> {
    return this.finish(this.openConnector(...args));
  }

  /** One connection of the client to the server in dom0. */
  newClient(): Promise<Vchan> {
    return this.finish(this.openConnector().then((connector) => connector.connect()));
  }

  async openServer(
    options: Partial<VchanServerOptions> = {},
    onConnection: (vchan: Vchan) => void = () => {},
    host: VchanHost = this.server,
  ): Promise<VchanServer> {
    const all = { client: this.client.domid, path: this.path, log: this.logger, ...options };
    const server = await VchanServer.listen(host, all, onConnection);
    this.closing.push(server);
    return server;
  }

  /** Resolves with both ends once they are connected. */
  async connectBoth(
    options: Partial<VchanServerOptions> = {},
  ): Promise<{ ours: Vchan; theirs: Vchan }> {
    let accepted: Vchan | undefined;
    const server = await this.listen({ ...options, connections_max: 1 }, (vchan) => {
      accepted = vchan;
    });
    const ours = await this.newClient();
    await this.world.run({ until: () => accepted !== undefined });
    this.closing.push(ours, accepted!);
    await this.finish(server.close());
    return { ours, theirs: accepted! };
  }

  async openConnector(guest = this.client, server: DomId = DOM0, path = this.path) {
    const connector = await VchanConnector.open(this.hostOf(guest), server, path, this.logger);
    this.closing.push(connector);
    return connector;
  }

  /** A connector of dom0's to a domain of any number. */
  async openConnectorInDom0(path: string, server: number) {
    const connector = await VchanConnector.open(this.server, domId(server), path);
    this.closing.push(connector);
    return connector;
  }

  /** Closes everything; nothing may be left. */
  async endAll(): Promise<void> {
    for (const thing of this.closing.reverse()) {
      await this.finish(Promise.resolve(thing.close()));
    }
    await this.settle();
    // While the domains are still there, they do not hide what their processes have left.
    const left = this.world.leftovers().filter((line) => !this.before.includes(line));
    expect(left, `seed ${this.world.seed}`).toEqual([]);
    expect(await this.end(), `seed ${this.world.seed}`).toEqual([]);
  }
}
