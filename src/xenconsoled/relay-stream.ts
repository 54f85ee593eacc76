/** One terminal or viewer on the connection between a console domain and its relay, as a `ByteStream`. */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import {
  RELAY_BYTES_MAX,
  RELAY_PROTOCOL,
  type RelayMessage,
  STREAM_WINDOW,
} from './relay-frames.ts';

/** The connection, as far as a stream needs it. */
export interface StreamCarrier {
  send(message: RelayMessage): void;
  /** More waits to be sent than should; streams are told when that is over. */
  readonly crowded: boolean;
}

export interface RelayStreamParts {
  readonly carrier: StreamCarrier;
  readonly channel: number;
  readonly clock: Clock;
  /** Neither end will say anything on this channel any more. */
  readonly onOver: () => void;
}

export class RelayStream implements ByteStream {
  readonly channel: number;
  private readonly carrier: StreamCarrier;
  private readonly clock: Clock;
  private readonly onOver: () => void;
  private handler: () => void = () => {};
  /** What has come and was not read yet, the oldest first. */
  private arrived: Uint8Array[] = [];
  private unread = 0;
  /** Bytes that were read and no credit was given for. */
  private owed = 0;
  private credit = STREAM_WINDOW;
  private peerClosed = false;
  private lost = false;
  private closed = false;

  constructor(parts: RelayStreamParts) {
    this.carrier = parts.carrier;
    this.channel = parts.channel;
    this.clock = parts.clock;
    this.onOver = parts.onOver;
  }

  read(target: Uint8Array): number {
    let taken = 0;
    while (!this.closed && taken < target.length) {
      const [oldest] = this.arrived;
      if (oldest === undefined) break;
      const part = oldest.subarray(0, target.length - taken);
      target.set(part, taken);
      taken += part.length;
      if (part.length === oldest.length) this.arrived.shift();
      else this.arrived[0] = oldest.subarray(part.length);
    }
    this.unread -= taken;
    this.giveCredit(taken);
    return taken;
  }

  write(source: Uint8Array): number {
    if (this.closed || this.peerGone || this.carrier.crowded) return 0;
    const length = Math.min(source.length, this.credit, RELAY_BYTES_MAX);
    if (length === 0) return 0;
    this.credit -= length;
    this.carrier.send({ type: 'data', channel: this.channel, bytes: source.subarray(0, length) });
    return length;
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    this.clock.after(0, () => this.wake());
  }

  get ended(): boolean {
    return this.closed || (this.peerGone && this.unread === 0);
  }

  /** The peer says nothing any more; what it has said may still be there to read. */
  get peerGone(): boolean {
    return this.peerClosed || this.lost;
  }

  /** The connection has ended under the stream; the peer has not closed it. */
  get interrupted(): boolean {
    return this.lost && !this.peerClosed;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.arrived = [];
    this.unread = 0;
    if (!this.lost) {
      this.carrier.send({ type: 'close', channel: this.channel, isOver: false });
      if (this.peerClosed) this.onOver();
    }
  }

  /** Something may be different than before. */
  wake(): void {
    if (!this.closed) this.handler();
  }

  /** Bytes from the peer. Throws `ProtocolViolation` for more than it had credit for, or after its end. */
  receive(bytes: Uint8Array): void {
    if (this.peerClosed || this.unread + this.owed + bytes.length > STREAM_WINDOW) {
      const rule = 'an end sends no more than it has credit for, and nothing after its end';
      throw RELAY_PROTOCOL.violation(rule, `${bytes.length} bytes on channel ${this.channel}`);
    }
    if (this.closed || bytes.length === 0) return;
    this.arrived.push(bytes.slice());
    this.unread += bytes.length;
    this.wake();
  }

  /** Throws `ProtocolViolation` for credit that was never spent. */
  receiveCredit(count: number): void {
    if (count > STREAM_WINDOW - this.credit) {
      throw RELAY_PROTOCOL.violation('credit is for what was sent', `${count} bytes`);
    }
    this.credit += count;
    this.wake();
  }

  /** The peer says nothing any more. Throws `ProtocolViolation` when it says so again. */
  receiveClose(): void {
    if (this.peerClosed) {
      throw RELAY_PROTOCOL.violation('an end closes a channel once', `channel ${this.channel}`);
    }
    this.peerClosed = true;
    if (this.closed) this.onOver();
    else this.wake();
  }

  /** The whole connection is gone. */
  connectionLost(): void {
    this.lost = true;
    this.wake();
  }

  private giveCredit(taken: number): void {
    this.owed += taken;
    if (this.closed || this.peerGone) return;
    // Not for each key or line: a peer without any credit has its whole window here, read or to be read.
    if (this.owed < STREAM_WINDOW / 2) return;
    this.carrier.send({ type: 'credit', channel: this.channel, count: this.owed });
    this.owed = 0;
  }
}
