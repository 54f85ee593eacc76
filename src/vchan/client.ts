/** The client's end of a vchan: finds what a server offers, and connects to it. */
import { VCHAN_NOTIFY_WRITE, VchanInterface } from '../abi/io/libxenvchan.ts';
import { type Clock, sleep } from '../base/clock.ts';
import { errorCode, errorMessage, ProtocolViolation, XenError } from '../base/errors.ts';
import { Holdings } from '../base/holdings.ts';
import { type DomId, grantRef } from '../base/ids.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { EndNotice, EventChannel, Pages } from '../hypervisor/contract.ts';
import { type ByteRing, ByteRingReader } from '../ring/byte-ring.ts';
import type { XenstoreWatch } from '../xenstore/xenstore.ts';
import { keysStand, readKeys, type VchanKeys } from './keys.ts';
import { noSuchDomain, PeerDomain } from './peer-domain.ts';
import { checkOrders, grantWords, ringsOf } from './rings.ts';
import {
  LIVE_AWAITED,
  LIVE_CONNECTED,
  LIVE_GONE,
  VCHAN_FLAGS,
  Vchan,
  type VchanHost,
} from './vchan.ts';

const { live, wishes, peerLive } = VCHAN_FLAGS.client;

function checkLiveFlags(page: Uint8Array, operation: string): { reconnects: boolean } {
  const server = Atomics.load(page, peerLive);
  const client = Atomics.load(page, live);
  if (server === LIVE_GONE) throw new XenError('ENOTCONN', operation, 'the server has closed it');
  if (client === LIVE_CONNECTED) throw new XenError('EBUSY', operation, 'it has a client already');
  if (server !== LIVE_CONNECTED || (client !== LIVE_GONE && client !== LIVE_AWAITED)) {
    throw new ProtocolViolation(
      operation,
      'vchan: before a client comes, srv_live is 1 and cli_live is 2 or 0',
      `srv_live ${server}, cli_live ${client}`,
    );
  }
  return { reconnects: client === LIVE_GONE };
}

/**
 * Where a client before us has left a server that goes on with the same page: drops what was sent
 * to that client. What that client sent is the server's to drop, and until it has, it would take
 * our bytes for more of the same.
 */
function dropRemains({ left, right }: { left: ByteRing; right: ByteRing }, operation: string) {
  if (new ByteRingReader(left).available > 0) {
    throw new XenError('EBUSY', operation, 'the server still reads what its last client sent');
  }
  const reader = new ByteRingReader(right);
  reader.read(new Uint8Array(reader.available));
}

/** The server's domain and the directory of its keys. */
interface Address {
  readonly server: DomId;
  readonly path: string;
}

/** How long a server that goes on with the same page is given to see that its last client has gone. */
const RECONNECT_MS = 200;

/** Maps the pages of a server that waits and tells it that its client has come. */
async function attach(
  { hypervisor, clock }: VchanHost,
  { server, path }: Address,
  { ref }: VchanKeys,
  channel: EventChannel,
  release: Holdings,
): Promise<Vchan> {
  const map = (refs: Iterable<number>, notice?: EndNotice): Pages =>
    release.keep(hypervisor.grants.map(server, Array.from(refs, grantRef), notice));
  const page = map([ref], { byteOffset: VchanInterface.offset.cli_live, channel }).bytes;
  const { left_order, right_order } = VchanInterface.view(page);
  const orders = { left: left_order, right: right_order };
  checkOrders(orders);
  const operation = `connect to the vchan at ${path}`;
  const { reconnects } = checkLiveFlags(page, operation);

  let next = 0;
  const refs = Uint32Array.from(grantWords(page, orders));
  const rings = ringsOf(page, orders, (count) => {
    next += count;
    return map(refs.subarray(next - count, next)).bytes;
  });
  if (reconnects) {
    // It has nothing but the flag to tell one client from the next, so it must see the flag at 0.
    channel.notify();
    await sleep(clock, RECONNECT_MS);
    if (channel.closed) throw new XenError('ECONNRESET', operation, 'it was given up');
    checkLiveFlags(page, operation);
    dropRemains(rings, operation);
  }
  Atomics.store(page, wishes, VCHAN_NOTIFY_WRITE);
  Atomics.store(page, live, LIVE_CONNECTED);
  channel.notify();
  return new Vchan({
    ...{ role: 'client', page, ...rings, channel, clock },
    release: () => release.close(),
  });
}

/** How often, and for how long, a server is reminded of the first bytes that it was sent. */
const REMINDER_MS = 100;
const REMINDERS_MAX = 20;

/**
 * A server that looks for its client first and waits for a signal next, as vchan-socket-proxy does,
 * never learns of bytes that were there before it waited.
 */
function remindAtFirst(vchan: Vchan, clock: Clock): { close(): void } {
  let left = REMINDERS_MAX;
  const remind = () => {
    vchan.remind();
    if (--left > 0) timer = clock.after(REMINDER_MS, remind);
  };
  let timer = clock.after(REMINDER_MS, remind);
  return { close: () => timer.cancel() };
}

async function connectNow(host: VchanHost, address: Address, onClosed: () => void): Promise<Vchan> {
  const { server, path } = address;
  const keys = await readKeys(host.xenstore, path);
  const held = new Holdings();
  held.keep({ close: onClosed });
  try {
    // First, since a port has one other end at most: from here on there is no client but us.
    const channel = held.keep(host.hypervisor.events.bindInterdomain(server, keys.port));
    if (!(await keysStand(host.xenstore, path, keys))) {
      throw new XenError('EAGAIN', `connect to the vchan at ${path}`, 'another client was faster');
    }
    const vchan = await attach(host, address, keys, channel, held);
    held.keep(remindAtFirst(vchan, host.clock));
    return vchan;
  } catch (error) {
    held.close();
    throw error;
  }
}

/**
 * Connects to the vchan that domain `server` offers at `path` now. Rejects with `XenError`: ENOENT
 * when none is offered there, EACCES when it is not for us, EINVAL when another client was faster or
 * the server is gone, and `ProtocolViolation` when the server's page breaks a rule.
 */
export function connectVchan(host: VchanHost, server: DomId, path: string): Promise<Vchan> {
  return connectNow(host, { server, path }, () => {});
}

/** What may be otherwise at the next try: nothing is offered yet, or another client was faster. */
const PASSING = new Set(['EACCES', 'EAGAIN', 'EBUSY', 'EINVAL', 'ENOENT', 'ENOTCONN', 'EPERM']);
/** Of these the watch tells: where nobody may look, xenstored does not say whether something is there. */
const AWAITS_KEYS = new Set(['EACCES', 'ENOENT']);
/** After so long we try again unasked: a server that goes on with the same page changes no key. */
const RETRY_MS = 500;

/** Connects again and again to the server at one path, waiting for it where it must. */
export class VchanConnector {
  private readonly host: VchanHost;
  private readonly address: Address;
  private readonly log: Log;
  private watch: XenstoreWatch | undefined;
  private domain: PeerDomain | undefined;
  private readonly open = new Set<Vchan>();
  private last: Promise<unknown> = Promise.resolve();
  private changes = 0;
  private onChange: () => void = () => {};
  private failure: XenError | undefined;

  private constructor(host: VchanHost, address: Address, log: Log) {
    this.host = host;
    this.address = address;
    this.log = log;
  }

  /** Rejects with `XenError` when xenstored refuses a watch. */
  static async open(
    host: VchanHost,
    server: DomId,
    path: string,
    log = silentLog,
  ): Promise<VchanConnector> {
    const connector = new VchanConnector(host, { server, path }, log);
    connector.watch = await host.xenstore.watch(path, () => connector.changed());
    connector.domain = await PeerDomain.watch(host.xenstore, server, () => connector.domainGone());
    return connector;
  }

  /**
   * Resolves once connected, however long that takes; one after the other, since a server offers
   * one vchan at a time. The log says what it waits for. Rejects with `XenError`: ESRCH when the
   * server's domain is gone, ECONNRESET after `close`, and `ProtocolViolation`.
   */
  connect(): Promise<Vchan> {
    const connected = this.last.then(() => this.untilConnected());
    this.last = connected.catch(() => {});
    return connected;
  }

  /** Ends what waits; what is connected goes on. Idempotent. */
  async close(): Promise<void> {
    this.end(new XenError('ECONNRESET', this.operation, 'it was given up'));
    await Promise.all([this.watch?.close(), this.domain?.close()]);
  }

  private get operation(): string {
    return `connect to the vchan at ${this.address.path}`;
  }

  private async untilConnected(): Promise<Vchan> {
    let lastReason = '';
    while (this.failure === undefined) {
      const { changes } = this;
      try {
        return await this.tryOnce();
      } catch (error) {
        const code = errorCode(error) ?? '';
        if (!PASSING.has(code)) throw error;
        const reason = errorMessage(error);
        if (reason !== lastReason) this.log.info(`waits for the server: ${reason}`);
        lastReason = reason;
        if (changes === this.changes) await this.nextChange(!AWAITS_KEYS.has(code));
      }
    }
    throw this.failure;
  }

  private async tryOnce(): Promise<Vchan> {
    let vchan: Vchan | undefined;
    const forget = () => {
      if (vchan !== undefined) this.open.delete(vchan);
    };
    vchan = await connectNow(this.host, this.address, forget);
    this.open.add(vchan);
    if (this.failure === undefined) return vchan;
    vchan.close();
    throw this.failure;
  }

  private nextChange(limited: boolean): Promise<void> {
    return new Promise((resolve) => {
      const timer = limited ? this.host.clock.after(RETRY_MS, resolve) : undefined;
      this.onChange = () => {
        timer?.cancel();
        resolve();
      };
    });
  }

  private changed(): void {
    this.changes++;
    this.onChange();
  }

  private domainGone(): void {
    this.end(noSuchDomain(this.operation, this.address.server));
    for (const vchan of this.open) vchan.peerVanished();
  }

  private end(reason: XenError): void {
    this.failure ??= reason;
    this.changed();
  }
}
