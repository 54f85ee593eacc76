/**
 * The server's end of a vchan: offers one after the other at the same path. A vchan has one client;
 * as soon as it has come, the next vchan stands under the same keys, so one server has as many
 * clients at once as its limit lets it. No page serves twice, so no client finds another's bytes.
 */
import { VCHAN_NOTIFY_WRITE, VchanInterface } from '../abi/io/libxenvchan.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage, ProtocolViolation, XenError } from '../base/errors.ts';
import { Holdings } from '../base/holdings.ts';
import type { DomId } from '../base/ids.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { EventChannel, SharedPages } from '../hypervisor/contract.ts';
import type { ByteRing } from '../ring/byte-ring.ts';
import { publishKeys, type VchanKeys, withdrawKeys } from './keys.ts';
import { noSuchDomain, PeerDomain } from './peer-domain.ts';
import { chooseOrders, grantWords, type RingOrders, ringsOf } from './rings.ts';
import {
  LIVE_AWAITED,
  LIVE_CONNECTED,
  LIVE_GONE,
  VCHAN_FLAGS,
  Vchan,
  type VchanHost,
} from './vchan.ts';

const { live, wishes, peerLive } = VCHAN_FLAGS.server;

/** A vchan that waits for its client. */
class Offer {
  readonly keys: VchanKeys;
  readonly channel: EventChannel;
  private readonly page: Uint8Array;
  private readonly rings: { left: ByteRing; right: ByteRing };
  private readonly clock: Clock;
  private readonly held = new Holdings();

  /** Throws `XenError` when grants or ports are used up. */
  constructor(host: VchanHost, client: DomId, orders: RingOrders) {
    const { events, grants } = host.hypervisor;
    const { held } = this;
    this.clock = host.clock;
    try {
      this.channel = held.keep(events.allocateUnbound(client));
      const notice = { byteOffset: VchanInterface.offset.srv_live, channel: this.channel };
      const first = held.keep(grants.share(client, 1, 'read-write', notice));
      this.page = first.bytes;
      const own: SharedPages[] = [];
      this.rings = ringsOf(this.page, orders, (count) => {
        const pages = held.keep(grants.share(client, count, 'read-write'));
        own.push(pages);
        return pages.bytes;
      });
      this.keys = { ref: first.refs[0]!, port: this.channel.port };
      grantWords(this.page, orders).set(own.flatMap(({ refs }) => refs));
    } catch (error) {
      held.close();
      throw error;
    }
    const view = VchanInterface.view(this.page);
    view.left_order = orders.left;
    view.right_order = orders.right;
    Atomics.store(this.page, wishes, VCHAN_NOTIFY_WRITE);
    Atomics.store(this.page, peerLive, LIVE_AWAITED);
    Atomics.store(this.page, live, LIVE_CONNECTED);
  }

  /** `LIVE_…`, if the client keeps to the rules. */
  get clientLive(): number {
    return Atomics.load(this.page, peerLive);
  }

  /** The vchan once its client has come. The offer must not be used any more. */
  accept(onClosed: () => void): Vchan {
    const release = () => {
      this.close();
      onClosed();
    };
    const { page, channel, clock } = this;
    return new Vchan({ role: 'server', page, ...this.rings, channel, clock, release });
  }

  close(): void {
    this.held.close();
  }
}

export interface VchanServerOptions {
  /** The one domain whose processes may connect. */
  readonly client: DomId;
  /** The directory of the keys; `vchanPath` is the usual one. */
  readonly path: string;
  /** Bytes that the ring from the client holds at least; the least is the default. */
  readonly receive_min?: number;
  /** Bytes that the ring to the client holds at least. */
  readonly send_min?: number;
  /** While so many are open, no further client is let in. */
  readonly connections_max?: number;
  readonly log?: Log;
}

const CONNECTIONS_MAX = 128;

export class VchanServer {
  /** Resolves with the reason when the server cannot go on; never, while it can. */
  readonly ended: Promise<XenError>;
  private readonly host: VchanHost;
  private readonly options: VchanServerOptions;
  private readonly orders: RingOrders;
  private readonly onConnection: (vchan: Vchan) => void;
  private readonly log: Log;
  private readonly open = new Set<Vchan>();
  private readonly end: (reason: XenError) => void;
  private domain: PeerDomain | undefined;
  private offer: Offer | undefined;
  /** What stands in xenstore. */
  private published: VchanKeys | undefined;
  private publishing: Promise<void> | undefined;
  private closed = false;

  private constructor(
    host: VchanHost,
    options: VchanServerOptions,
    onConnection: (vchan: Vchan) => void,
  ) {
    this.host = host;
    this.options = options;
    this.orders = chooseOrders(options.receive_min ?? 0, options.send_min ?? 0);
    this.onConnection = onConnection;
    this.log = options.log ?? silentLog;
    let end = (_: XenError) => {};
    this.ended = new Promise((resolve) => {
      end = resolve;
    });
    this.end = end;
  }

  /**
   * Resolves once a client may come; each that comes is handed to `onConnection`, which owns it.
   * Rejects with `XenError` when grants, ports or quotas are used up or the path may not be written.
   */
  static async listen(
    host: VchanHost,
    options: VchanServerOptions,
    onConnection: (vchan: Vchan) => void,
  ): Promise<VchanServer> {
    const server = new VchanServer(host, options, onConnection);
    await server.publish(new Offer(host, options.client, server.orders));
    try {
      const { client } = options;
      server.domain = await PeerDomain.watch(host.xenstore, client, () => server.clientGone());
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** Lets no further client in and removes the keys; those that are connected go on. Idempotent. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.publishing?.catch(() => {});
    this.offer?.close();
    this.offer = undefined;
    await this.domain?.close();
    await this.withdraw();
  }

  private async publish(offer: Offer): Promise<void> {
    const { client, path } = this.options;
    const { hypervisor, xenstore } = this.host;
    try {
      await publishKeys(xenstore, path, offer.keys, hypervisor.domid, client);
    } catch (error) {
      offer.close();
      throw error;
    }
    this.published = offer.keys;
    this.offer = offer;
    offer.channel.onEvent(() => this.look());
  }

  /**
   * Offers the next vchan where there is room for one; otherwise removes the keys, which name one
   * that is taken. When its client leaves, a second one must not find the way to the same page.
   */
  private renew(): void {
    if (this.closed || this.publishing !== undefined || this.offer !== undefined) return;
    const offer = this.nextOffer();
    if (offer === undefined && this.published === undefined) return;
    const done = offer === undefined ? this.withdraw() : this.publish(offer);
    this.publishing = done.then(
      () => {
        this.publishing = undefined;
        // The client may have been there before our handler, or a vchan have closed meanwhile.
        this.look();
        this.renew();
      },
      (error: unknown) => this.fail(error),
    );
  }

  private nextOffer(): Offer | undefined {
    const { connections_max = CONNECTIONS_MAX, client } = this.options;
    if (this.open.size >= connections_max) return undefined;
    try {
      return new Offer(this.host, client, this.orders);
    } catch (error) {
      // One that closes makes room for the next; where none is open, nothing will change by itself.
      if (this.open.size === 0) this.fail(error);
      else if (!(error instanceof XenError)) throw error;
      else if (this.published !== undefined) this.log.warn(`no further vchan: ${error.message}`);
      return undefined;
    }
  }

  private async withdraw(): Promise<void> {
    const keys = this.published;
    this.published = undefined;
    if (keys !== undefined) await withdrawKeys(this.host.xenstore, this.options.path, keys);
  }

  private fail(error: unknown): void {
    this.publishing = undefined;
    if (!(error instanceof XenError)) throw error;
    this.end(error);
  }

  /** Something has happened to the offer. */
  private look(): void {
    const { offer } = this;
    const state = offer?.clientLive;
    if (this.closed || offer === undefined || state === LIVE_AWAITED) return;
    this.offer = undefined;
    // One that has come and gone may have sent something.
    if (state === LIVE_CONNECTED || state === LIVE_GONE) this.accept(offer);
    else {
      offer.close();
      this.log.warn(errorMessage(wrongLive(state)));
    }
    this.renew();
  }

  private accept(offer: Offer): void {
    const vchan: Vchan = offer.accept(() => {
      this.open.delete(vchan);
      this.renew();
    });
    this.open.add(vchan);
    this.onConnection(vchan);
  }

  private clientGone(): void {
    for (const vchan of this.open) vchan.peerVanished();
    this.end(noSuchDomain(`offer a vchan at ${this.options.path}`, this.options.client));
  }
}

function wrongLive(state: number | undefined): ProtocolViolation {
  const rule = 'vchan: a client that comes sets cli_live to 1';
  return new ProtocolViolation('look whether a client has come', rule, `it is ${state}`);
}
