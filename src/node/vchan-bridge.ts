/** A vchan's end, an end on this machine, and the bytes between them. */
import { once } from 'node:events';
import type { ByteStream } from '../base/byte-stream.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import { type DomId, domId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { VchanConnector } from '../vchan/client.ts';
import { join } from '../vchan/join.ts';
import { vchanPath } from '../vchan/keys.ts';
import { VchanServer } from '../vchan/server.ts';
import type { Vchan, VchanHost } from '../vchan/vchan.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { vchanDuplex } from './vchan-duplex.ts';
import {
  connectVchanTarget,
  listenAtVchanTarget,
  type NativeVchanTarget,
  type VchanTarget,
  vchanTargetName,
} from './vchan-target.ts';

export interface VchanBridgeSettings {
  readonly role: 'listen' | 'connect';
  /** The other domain, by number or name. */
  readonly domain: string;
  /** A number or a name; with a slash, the path of the keys as it stands. */
  readonly port: string;
  /** Our own standard input and output if not given. */
  readonly target: VchanTarget | undefined;
  readonly receive_min: number;
  readonly send_min: number;
  readonly connections_max: number;
  /** A node that becomes `running` once we serve. */
  readonly statePath: string | undefined;
}

async function domainNamed(xenstore: Xenstore, domain: string): Promise<DomId> {
  if (/^[0-9]{1,5}$/.test(domain)) return domId(Number(domain));
  for (const number of await xenstore.list('/local/domain')) {
    const name = await xenstore.readIfPresent(`/local/domain/${number}/name`);
    if (name === domain) return domId(Number(number));
  }
  throw new XenError('ESRCH', `find domain ${JSON.stringify(domain)}`, 'no domain has that name');
}

async function overStdio(vchan: Vchan): Promise<void> {
  const duplex = vchanDuplex(vchan);
  duplex.pipe(process.stdout, { end: false });
  process.stdin.pipe(duplex);
  try {
    await once(duplex, 'close');
  } finally {
    process.stdin.destroy();
  }
}

export class VchanBridge {
  private readonly host: VchanHost;
  private readonly native: NativeVchanTarget;
  private readonly settings: VchanBridgeSettings;
  private readonly log: Log;
  private readonly held: { close(): Promise<void> | void }[] = [];
  private readonly open = new Set<Vchan>();

  constructor(host: VchanHost, native: NativeVchanTarget, settings: VchanBridgeSettings, log: Log) {
    this.host = host;
    this.native = native;
    this.settings = settings;
    this.log = log;
  }

  /**
   * Resolves when all is done that there is to do: after the one connection that there can be over
   * standard input and output. Rejects with `XenError` when it cannot go on.
   */
  async run(): Promise<void> {
    const peer = await domainNamed(this.host.xenstore, this.settings.domain);
    return this.settings.role === 'listen' ? this.listen(peer) : this.connect(peer);
  }

  /** Ends every connection and lets nobody in any more. */
  async close(): Promise<void> {
    for (const vchan of this.open) vchan.close();
    for (let thing = this.held.pop(); thing !== undefined; thing = this.held.pop()) {
      await thing.close();
    }
  }

  private path(server: DomId, client: DomId): string {
    const { port } = this.settings;
    return port.includes('/') ? port : vchanPath(server, client, port);
  }

  private async listen(client: DomId): Promise<void> {
    const { target, receive_min, send_min } = this.settings;
    const path = this.path(this.host.hypervisor.domid, client);
    const single = target === undefined || target.kind === 'descriptor';
    const connections_max = single ? 1 : this.settings.connections_max;
    const options = { client, path, receive_min, send_min, connections_max, log: this.log };
    let done = (_: Promise<void>) => {};
    const firstDone = new Promise<void>((resolve) => {
      done = resolve;
    });
    const server = await VchanServer.listen(this.host, options, (vchan) => {
      const served = this.carry(vchan, target && (() => connectVchanTarget(this.native, target)));
      if (single) done(served);
      else served.catch((error: unknown) => this.log.error(errorMessage(error)));
    });
    this.held.push(server);
    this.log.info(`listening at ${path}`);
    await this.announce();
    const reason = await Promise.race([firstDone, server.ended]);
    if (reason !== undefined) throw reason;
  }

  private async connect(server: DomId): Promise<void> {
    const { target } = this.settings;
    const path = this.path(server, this.host.hypervisor.domid);
    const connector = await VchanConnector.open(this.host, server, path, this.log);
    this.held.push(connector);
    if (target === undefined) {
      await this.announce();
      return this.carry(await connector.connect(), undefined);
    }
    const listener = await listenAtVchanTarget(this.native, target, (stream) => {
      const carried = connector.connect().then((vchan) => this.carry(vchan, async () => stream));
      carried.catch((error: unknown) => {
        this.log.error(errorMessage(error));
        stream.close();
      });
    });
    this.held.push(listener);
    this.log.info(`listening at ${vchanTargetName(target)} for ${path}`);
    await this.announce();
    return new Promise(() => {});
  }

  /** One connection, until it has ended, to another stream or to our standard input and output. */
  private async carry(
    vchan: Vchan,
    connectOther: (() => Promise<ByteStream>) | undefined,
  ): Promise<void> {
    this.open.add(vchan);
    this.log.debug('a connection begins', { open: this.open.size });
    try {
      if (connectOther === undefined) await overStdio(vchan);
      else {
        const breach = await join(vchan, await connectOther(), this.host.clock);
        if (breach !== undefined) throw breach;
      }
    } finally {
      vchan.close();
      this.open.delete(vchan);
      this.log.debug('a connection has ended', { open: this.open.size });
    }
  }

  private async announce(): Promise<void> {
    const { statePath } = this.settings;
    if (statePath !== undefined) await this.host.xenstore.write(statePath, 'running');
  }
}
