/**
 * An open vchan as a `ByteStream`, xen/include/public/io/libxenvchan.h. Client and server are the
 * same with the roles reversed.
 *
 * Whoever waits sets a bit in a byte that the other one looks at after each step: `NOTIFY_WRITE`
 * to be signalled once bytes were written, `NOTIFY_READ` once some were read. The other one clears
 * the bit before it signals. Between two events this end always waits for bytes, and for room once
 * a `write` did not fit. It says so when a turn of the event loop ends, and not before it has looked
 * for a while whether the other one is just about to do it: then neither a signal nor a waking is due.
 */
import { VCHAN_NOTIFY_READ, VCHAN_NOTIFY_WRITE, VchanInterface } from '../abi/io/libxenvchan.ts';
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import { ProtocolViolation, type XenError } from '../base/errors.ts';
import { Patience } from '../base/patience.ts';
import type { EventChannel, Hypervisor } from '../hypervisor/contract.ts';
import { type ByteRing, ByteRingReader, ByteRingWriter } from '../ring/byte-ring.ts';
import { StreamEnd } from '../ring/stream-end.ts';
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

/** Bytes that are moved before the peer is told, unless half the ring is more. */
const PORTION_MIN = 32_768;
/** Looks at an index in the page, each of which takes nanoseconds. */
const LOOKS_MAX = 20_000;
/** Up to this size. The more a waking moves, the better a processor works for somebody else meanwhile. */
const SMALL_RING = 16_384;
/** Rounds, each for what the peer did while we looked for it, before others get their turn. */
const ROUNDS_MAX = 64;

const looksFor = (ringSize: number) => LOOKS_MAX / Math.max(1, ringSize / SMALL_RING);

/** At most `length` bytes from `start` on. */
function part(bytes: Uint8Array, start: number, length: number): Uint8Array {
  if (start === 0 && bytes.length <= length) return bytes;
  return bytes.subarray(start, start + length);
}

export interface VchanParts {
  readonly role: VchanRole;
  /** The page that holds `struct vchan_interface`; both ends are connected by now. */
  readonly page: Uint8Array;
  readonly left: ByteRing;
  readonly right: ByteRing;
  readonly channel: EventChannel;
  readonly clock: Clock;
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
  private readonly clock: Clock;
  private readonly release: () => void;
  private readonly end = new StreamEnd(() => this.wake());
  private readonly answers: Patience;
  private readonly floods: Patience;
  private readonly rooms: Patience;
  private handler: () => void = () => {};
  private gone = false;
  /** Set in the page since the last event, so that setting it again would tell the peer nothing. */
  private awaitsBytes = false;
  private awaitsRoom = false;
  /** In this turn: all bytes were read; not all were written; some were. */
  private drained = false;
  private filled = false;
  private wrote = false;
  /** The turn's end is due. */
  private settleDue = false;
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
    const now_ms = () => parts.clock.now_ms();
    this.answers = new Patience(LOOKS_MAX, now_ms);
    this.floods = new Patience(looksFor(this.receiveSize), now_ms);
    this.rooms = new Patience(looksFor(this.sendSize), now_ms);
    this.channel = parts.channel;
    this.clock = parts.clock;
    this.release = parts.release;
  }

  read(target: Uint8Array): number {
    if (this.end.over || target.length === 0) return 0;
    try {
      const length = this.takeBytes(target);
      this.knownProduced = this.reader.produced;
      this.drained = length < target.length;
      this.settleLater();
      return length;
    } catch (error) {
      return this.end.fail(error);
    }
  }

  /** Takes nothing once the peer is gone. */
  write(source: Uint8Array): number {
    if (source.length === 0 || this.peerGone) return 0;
    try {
      this.expectBytes();
      const length = this.putBytes(source);
      this.written += length;
      this.wrote ||= length > 0;
      this.filled = length < source.length;
      this.settleLater();
      return length;
    } catch (error) {
      return this.end.fail(error);
    }
  }

  /** Calls `handler` once soon, too: a signal from before this end existed may have been lost. */
  onReady(handler: () => void): void {
    this.handler = handler;
    if (this.end.closed) return;
    this.channel.onEvent(() => {
      this.awaitsBytes = false;
      this.awaitsRoom = false;
      this.end.wake();
    });
    this.end.wakeSoon();
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
      return this.end.fail(error);
    }
  }

  /** True once the peer has closed its end or died; bytes that it sent may still be there to read. */
  get peerGone(): boolean {
    if (!this.end.over && !this.gone) this.lookForPeer();
    return this.end.over || this.gone;
  }

  /** True once the peer is gone and all is read, after it broke a rule, when `error` says which, and after `close`. */
  get ended(): boolean {
    if (!this.peerGone) return false;
    try {
      return this.end.over || this.reader.available === 0;
    } catch (error) {
      this.end.fail(error);
      return true;
    }
  }

  /** Why the stream ended by itself: a `ProtocolViolation`, or the binding's refusal to notify. */
  get error(): XenError | undefined {
    return this.end.error;
  }

  /** For whoever learns that the peer's whole domain is gone, which leaves its flag as it was. */
  peerVanished(): void {
    this.gone = true;
    this.end.wakeSoon();
  }

  /** Signals the peer although it does not wait, where it has read nothing yet of all that was written. */
  remind(): void {
    if (this.peerGone || this.written === 0 || this.unread < this.written) return;
    this.signal();
  }

  close(): void {
    if (this.end.close()) this.release();
  }

  // Of a large ring both go by halves, and the peer is told of each half at once: it works on one
  // while we are busy with the other. Where much is on its way, a call goes on with what the peer
  // does right now.

  private takeBytes(target: Uint8Array): number {
    const half = this.receiveSize >> 1;
    const portion = Math.max(half, PORTION_MIN);
    for (let taken = 0, rounds = 0; ; rounds++) {
      const length = this.reader.read(part(target, taken, portion));
      if (length > 0) this.tell(VCHAN_NOTIFY_READ);
      taken += length;
      if (taken === target.length || taken < half || rounds === ROUNDS_MAX) return taken;
      if (this.reader.available === 0 && !this.floods.pays(this.peerSent)) return taken;
    }
  }

  private putBytes(source: Uint8Array): number {
    const portion = Math.max(this.sendSize >> 1, PORTION_MIN);
    for (let put = 0, rounds = 0; ; rounds++) {
      const length = this.writer.write(part(source, put, portion));
      if (length > 0) this.tell(VCHAN_NOTIFY_WRITE);
      put += length;
      if (put === source.length || rounds === ROUNDS_MAX) return put;
      if (this.writer.space === 0 && !this.rooms.pays(this.peerTook)) return put;
    }
  }

  private awaitBytes(): void {
    this.awaitsBytes = true;
    Atomics.or(this.page, this.flags.wishes, VCHAN_NOTIFY_WRITE);
  }

  /** We look for bytes when the turn ends: until then the peer need not signal that there are some. */
  private expectBytes(): void {
    if (!this.awaitsBytes) return;
    this.awaitsBytes = false;
    Atomics.and(this.page, this.flags.wishes, ~VCHAN_NOTIFY_WRITE);
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
      const detail = `it is ${live}`;
      this.end.fail(new ProtocolViolation('look whether the peer is there', rule, detail));
    }
  }

  /** Signals the peer if it waits for what we have just done. */
  private tell(bit: number): void {
    const { peerWishes } = this.flags;
    if ((Atomics.load(this.page, peerWishes) & bit) === 0) return;
    if ((Atomics.and(this.page, peerWishes, ~bit) & bit) !== 0) this.signal();
  }

  private signal(): void {
    // The channel may be closed already, where the whole hypervisor handle was.
    if (this.channel.closed) return;
    try {
      this.channel.notify();
    } catch (error) {
      this.end.fail(error);
    }
  }

  private wake(): void {
    this.settleDue = true;
    this.work();
    this.settle();
  }

  private work(): void {
    this.filled = false;
    if (!this.end.over) this.bytesSinceKnown();
    this.handler();
  }

  /** The turn ends once whoever reads and writes has returned. */
  private settleLater(): void {
    if (this.settleDue) return;
    this.settleDue = true;
    void Promise.resolve().then(() => this.settle());
  }

  /** Lets the handler work for as long as the peer keeps up with it; then the peer is to signal. */
  private settle(): void {
    for (let rounds = 0; this.settleDue && !this.end.over; rounds++) {
      if (rounds < ROUNDS_MAX && this.peerAnswers()) this.work();
      else {
        this.settleDue = false;
        this.awaitPeer();
      }
    }
    this.settleDue = false;
  }

  /** Looks for a while whether the peer answers to what was written, where that is likely. */
  private peerAnswers(): boolean {
    const isLikely = this.wrote && this.drained && !this.filled;
    this.wrote = false;
    return isLikely && this.answers.pays(this.peerSent);
  }

  private readonly peerSent = () => this.reader.moved;
  private readonly peerTook = () => this.writer.moved;

  /** Asks for a signal, and looks once more for what the peer did before it could know of that. */
  private awaitPeer(): void {
    if (!this.awaitsBytes) this.awaitBytes();
    if (this.filled && !this.awaitsRoom) this.awaitRoom();
    // The handler may have left bytes behind. It is called again for those that came after it looked,
    // and for those alone.
    const came = this.bytesSinceKnown();
    if (came || (this.filled && this.hasRoom())) this.clock.after(0, () => this.end.wake());
  }

  private hasRoom(): boolean {
    try {
      return this.writer.space > 0;
    } catch (error) {
      this.end.fail(error);
      return false;
    }
  }

  /** Whether bytes came of which the handler does not know. From here on it does. */
  private bytesSinceKnown(): boolean {
    const known = this.knownProduced;
    try {
      const any = this.reader.available > 0;
      this.knownProduced = this.reader.produced;
      return any && known !== this.knownProduced;
    } catch (error) {
      this.end.fail(error);
      return false;
    }
  }
}
