/**
 * Two byte rings and an event channel as a `ByteStream`: the xenstore page and the console page,
 * from either side. Which of a page's rings is `incoming` makes the side.
 *
 * Both protocols want the peer told after bytes were produced and after room was made. All that
 * happens in one turn of the event loop is told by one notification, sent when the turn ends.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import type { XenError } from '../base/errors.ts';
import type { EventChannel } from '../hypervisor/contract.ts';
import { type ByteRing, ByteRingReader, ByteRingWriter } from './byte-ring.ts';
import { StreamEnd } from './stream-end.ts';

export interface RingStreamParts {
  readonly incoming: ByteRing;
  readonly outgoing: ByteRing;
  /** Belongs to the stream from here on: closed with it. */
  readonly channel: EventChannel;
  /** Lets go of the pages; called once by `close`, after the channel was closed. */
  readonly release?: () => void;
  /**
   * What is read stays in the ring until `RingStream.release`, so that whoever takes the ring up
   * after us finds it there. Until then the peer does not know that there will be room, and may
   * think that we know of what it adds: after a release the ring has to be read once more.
   */
  readonly keepsInput?: boolean;
}

export class RingStream implements ByteStream {
  private readonly reader: ByteRingReader;
  private readonly writer: ByteRingWriter;
  private readonly channel: EventChannel;
  private readonly letGo: (() => void) | undefined;
  private handler: () => void = () => {};
  private readonly end = new StreamEnd(() => this.handler());
  private readonly keepsInput: boolean;
  private kept = 0;
  private notifyOwed = false;

  constructor(parts: RingStreamParts) {
    this.reader = new ByteRingReader(parts.incoming);
    this.writer = new ByteRingWriter(parts.outgoing);
    this.channel = parts.channel;
    this.letGo = parts.release;
    this.keepsInput = parts.keepsInput ?? false;
  }

  /** Bytes that were read and are still in the ring. */
  get taken(): number {
    return this.kept;
  }

  /** Takes what was read out of the ring. */
  release(): void {
    const { kept } = this;
    this.kept = 0;
    if (kept === 0 || this.ended) return;
    try {
      this.reader.skip(kept);
      this.moved(kept);
    } catch (error) {
      this.end.fail(error);
    }
  }

  read(target: Uint8Array): number {
    if (this.ended) return 0;
    try {
      if (!this.keepsInput) return this.moved(this.reader.read(target));
      const length = this.reader.peek(target, this.kept);
      this.kept += length;
      return length;
    } catch (error) {
      return this.end.fail(error);
    }
  }

  write(source: Uint8Array): number {
    if (this.ended) return 0;
    try {
      return this.moved(this.writer.write(source));
    } catch (error) {
      return this.end.fail(error);
    }
  }

  /** Calls `handler` once soon, too: a signal from before this end existed may have been lost. */
  onReady(handler: () => void): void {
    this.handler = handler;
    if (this.end.closed) return;
    this.channel.onEvent(() => this.end.wake());
    this.end.wakeSoon();
  }

  /**
   * True after the peer broke a rule of the ring, when `error` says which, and after `close`.
   * A domain that goes away leaves no trace in its ring: whoever learns of it closes the stream.
   */
  get ended(): boolean {
    return this.end.over;
  }

  /** Why the stream ended by itself: a `ProtocolViolation`, or the binding's refusal to notify. */
  get error(): XenError | undefined {
    return this.end.error;
  }

  close(): void {
    if (this.end.closed) return;
    this.settleNotify();
    this.end.close();
    this.channel.close();
    this.letGo?.();
  }

  private moved(length: number): number {
    if (length > 0 && !this.notifyOwed) {
      this.notifyOwed = true;
      void Promise.resolve().then(() => this.settleNotify());
    }
    return length;
  }

  private settleNotify(): void {
    // The channel may be closed already, where the whole hypervisor handle was.
    if (!this.notifyOwed || this.channel.closed) return;
    this.notifyOwed = false;
    try {
      this.channel.notify();
    } catch (error) {
      this.end.fail(error);
    }
  }
}
