/**
 * An open vchan as a `ByteStream`, xen/include/public/io/libxenvchan.h. Client and server are the
 * same with the roles reversed.
 *
 * Whoever waits sets a bit in a byte that the other one looks at after each step: `NOTIFY_WRITE`
 * to be signalled once bytes were written, `NOTIFY_READ` once some were read. The other one clears
 * the bit before it signals. Between two events this end always waits for bytes; for room it waits
 * from a `write` on that did not fit.
 */
import { VCHAN_NOTIFY_READ, VCHAN_NOTIFY_WRITE, VchanInterface } from '../abi/io/libxenvchan.ts';
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import { ProtocolViolation, XenError } from '../base/errors.ts';
import type { EventChannel, Hypervisor } from '../hypervisor/contract.ts';
import { type ByteRing, ByteRingReader, ByteRingWriter } from '../ring/byte-ring.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';

/** What an end of a vchan needs of its domain. */
export interface VchanHost {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
}

/** An end that has gone. */
export const LIVE_GONE = 0;
/** An end that is there. */
export const LIVE_CONNECTED = 1;
/** A client that has yet to come. */
export const LIVE_AWAITED = 2;

export type VchanRole = 'client' | 'server';

const { cli_live, srv_live, cli_notify, srv_notify } = VchanInterface.offset;

/** Where in the page each end tells and asks. What the client wants to be told stands in `srv_notify`. */
export const VCHAN_FLAGS = {
  client: { live: cli_live, wishes: srv_notify, peerLive: srv_live, peerWishes: cli_notify },
  server: { live: srv_live, wishes: cli_notify, peerLive: cli_live, peerWishes: srv_notify },
} as const;

export interface VchanParts {
  readonly role: VchanRole;
  /** The page that holds `struct vchan_interface`; both ends are connected by now. */
  readonly page: Uint8Array;
  readonly left: ByteRing;
  readonly right: ByteRing;
  readonly channel: EventChannel;
  /**
   * Lets go of pages and channel, so that the peer is told: its pages' `EndNotice` clears our live
   * flag. Called once, by `close`.
   */
  readonly release: () => void;
}

export class Vchan implements ByteStream {
  private readonly page: Uint8Array;
  private readonly flags: (typeof VCHAN_FLAGS)[VchanRole];
  private readonly reader: ByteRingReader;
  private readonly writer: ByteRingWriter;
  private readonly receiveSize: number;
  private readonly sendSize: number;
  private readonly channel: EventChannel;
  private readonly release: () => void;
  private handler: () => void = () => {};
  private failure: XenError | undefined;
  private closed = false;
  private gone = false;
  /** Set in the page since the last event, so that setting it again would tell the peer nothing. */
  private awaitsBytes = false;
  private awaitsRoom = false;
  /** How far the handler knows of bytes, by the producer's index. */
  private knownProduced = 0;
  /** Bytes written in all. */
  private written = 0;

  constructor(parts: VchanParts) {
    const { role, left, right } = parts;
    this.page = parts.page;
    this.flags = VCHAN_FLAGS[role];
    const [incoming, outgoing] = role === 'client' ? [right, left] : [left, right];
    this.reader = new ByteRingReader(incoming);
    this.receiveSize = incoming.data.length;
    this.writer = new ByteRingWriter(outgoing);
    this.sendSize = outgoing.data.length;
    this.channel = parts.channel;
    this.release = parts.release;
  }

  read(target: Uint8Array): number {
    if (this.over || target.length === 0) return 0;
    try {
      let length = this.takeBytes(target);
      if (length < target.length && !this.awaitsBytes) {
        this.awaitBytes();
        // What was written before the peer could see that we wait for it.
        if (this.reader.available > 0) length += this.takeBytes(target.subarray(length));
      }
      this.knownProduced = this.reader.produced;
      return length;
    } catch (error) {
      return this.fail(error);
    }
  }

  /** Takes nothing once the peer is gone. */
  write(source: Uint8Array): number {
    if (source.length === 0 || this.peerGone) return 0;
    try {
      let length = this.putBytes(source);
      if (length < source.length && !this.awaitsRoom) {
        this.awaitRoom();
        if (this.writer.space > 0) length += this.putBytes(source.subarray(length));
      }
      this.written += length;
      return length;
    } catch (error) {
      return this.fail(error);
    }
  }

  /** Calls `handler` once soon, too: a signal from before this end existed may have been lost. */
  onReady(handler: () => void): void {
    this.handler = handler;
    if (this.closed) return;
    this.channel.onEvent(() => {
      this.awaitsBytes = false;
      this.awaitsRoom = false;
      this.wake();
    });
    this.wakeSoon();
  }

  /**
   * Bytes written that the peer has yet to read; 0 once it is gone. While there are some, `onReady`
   * tells when they have become fewer.
   */
  get unread(): number {
    if (this.peerGone) return 0;
    try {
      if (this.writer.space === this.sendSize) return 0;
      this.awaitRoom();
      return this.sendSize - this.writer.space;
    } catch (error) {
      return this.fail(error);
    }
  }

  /** True once the peer has closed its end or died; bytes that it sent may still be there to read. */
  get peerGone(): boolean {
    if (!this.over && !this.gone) this.lookForPeer();
    return this.over || this.gone;
  }

  /** True once the peer is gone and all is read, after it broke a rule, when `error` says which, and after `close`. */
  get ended(): boolean {
    if (!this.peerGone) return false;
    try {
      return this.over || this.reader.available === 0;
    } catch (error) {
      this.fail(error);
      return true;
    }
  }

  /** Why the stream ended by itself: a `ProtocolViolation`, or the binding's refusal to notify. */
  get error(): XenError | undefined {
    return this.failure;
  }

  /** For whoever learns that the peer's whole domain is gone, which leaves its flag as it was. */
  peerVanished(): void {
    this.gone = true;
    this.wakeSoon();
  }

  /** Signals the peer although it does not wait, where it has read nothing yet of all that was written. */
  remind(): void {
    if (this.channel.closed || this.peerGone || this.written === 0 || this.unread < this.written)
      return;
    this.signal();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.release();
  }

  private get over(): boolean {
    return this.closed || this.failure !== undefined;
  }

  // Both go by halves of the ring, and the peer is told of each half at once: it works on one while
  // we are busy with the other.

  private takeBytes(target: Uint8Array): number {
    const half = this.receiveSize >> 1;
    for (let taken = 0; ; ) {
      const most = Math.min(half, target.length - taken);
      const length = this.reader.read(target.subarray(taken, taken + most));
      if (length > 0) this.tell(VCHAN_NOTIFY_READ);
      taken += length;
      if (length < half || taken === target.length) return taken;
    }
  }

  private putBytes(source: Uint8Array): number {
    const half = this.sendSize >> 1;
    for (let put = 0; ; ) {
      const most = Math.min(half, source.length - put);
      const length = this.writer.write(source.subarray(put, put + most));
      if (length > 0) this.tell(VCHAN_NOTIFY_WRITE);
      put += length;
      if (length < half || put === source.length) return put;
    }
  }

  private awaitBytes(): void {
    this.awaitsBytes = true;
    Atomics.or(this.page, this.flags.wishes, VCHAN_NOTIFY_WRITE);
  }

  private awaitRoom(): void {
    this.awaitsRoom = true;
    Atomics.or(this.page, this.flags.wishes, VCHAN_NOTIFY_READ);
  }

  private lookForPeer(): void {
    const live = Atomics.load(this.page, this.flags.peerLive);
    if (live === LIVE_GONE) this.gone = true;
    else if (live !== LIVE_CONNECTED) {
      const rule = 'vchan: the live flag of a connected end is 1, and 0 once it is gone';
      this.fail(new ProtocolViolation('look whether the peer is there', rule, `it is ${live}`));
    }
  }

  /** Signals the peer if it waits for what we have just done. */
  private tell(bit: number): void {
    const { peerWishes } = this.flags;
    if ((Atomics.load(this.page, peerWishes) & bit) === 0) return;
    if ((Atomics.and(this.page, peerWishes, ~bit) & bit) !== 0) this.signal();
  }

  private signal(): void {
    try {
      this.channel.notify();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Ends the stream for an operating error, and tells its owner. A bug of ours goes on up. */
  private fail(error: unknown): 0 {
    if (!(error instanceof XenError)) throw error;
    this.failure ??= error;
    this.wakeSoon();
    return 0;
  }

  private wakeSoon(): void {
    void Promise.resolve().then(() => this.wake());
  }

  private wake(): void {
    if (this.closed) return;
    if (!this.over) this.bytesSinceKnown();
    this.handler();
    if (this.over || this.awaitsBytes) return;
    // The handler has left bytes behind, or has read just as many as there were. It is called again
    // for those that came after it looked, and for those alone.
    this.awaitBytes();
    if (this.bytesSinceKnown()) this.wakeSoon();
  }

  /** Whether bytes came of which the handler does not know. From here on it does. */
  private bytesSinceKnown(): boolean {
    const known = this.knownProduced;
    try {
      const any = this.reader.available > 0;
      this.knownProduced = this.reader.produced;
      return any && known !== this.knownProduced;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }
}
