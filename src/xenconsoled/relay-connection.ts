/**
 * The stream between a console domain and its relay, either end of it: messages in order, and among
 * them the channels of terminals and viewers as streams of their own.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import { concatBytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { XenError } from '../base/errors.ts';
import { FrameReader } from '../base/frames.ts';
import type { Log } from '../base/log.ts';
import {
  parseRelayFrame,
  RELAY_PROTOCOL,
  RELAY_VERSION,
  type RelayMessage,
  relayFrame,
} from './relay-frames.ts';
import { RelayStream, type StreamCarrier } from './relay-stream.ts';

/** Bytes that may wait to be sent before streams write no more. */
const CROWD_BYTES = 65_536;
/** Messages taken before others have their turn. */
const MESSAGES_PER_TURN_MAX = 64;

export interface RelayConnectionParts {
  readonly stream: ByteStream;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * The peer is not trusted to read: as long as it does not, nothing of what it says is looked at, so
   * that answers to it need no more memory than `crowded` tells. One end at most may be so.
   */
  readonly wary: boolean;
  /** The peer has said hello. */
  readonly onOpen: () => void;
  /** What is no stream's. Throws `ProtocolViolation` to end the connection. */
  readonly onMessage: (message: RelayMessage) => void;
  /** Once, when nothing more comes; not after `close`. */
  readonly onEnd: () => void;
}

export class RelayConnection implements StreamCarrier {
  private readonly parts: RelayConnectionParts;
  private readonly frames: FrameReader;
  private readonly streams = new Map<number, RelayStream>();
  /** What was said in this turn, and what the stream had no room for before. */
  private outgoing: Uint8Array[] = [];
  private unsent: Uint8Array = new Uint8Array(0);
  private waitingBytes = 0;
  private greeted = false;
  private turnDue = false;
  private flushDue = false;
  private over = false;
  private wasCrowded = false;

  constructor(parts: RelayConnectionParts) {
    this.parts = parts;
    this.frames = new FrameReader(parts.stream, RELAY_PROTOCOL);
    this.send({ type: 'hello', version: RELAY_VERSION });
    parts.stream.onReady(() => this.ready());
  }

  get crowded(): boolean {
    return this.waitingBytes > CROWD_BYTES;
  }

  /**
   * Never blocks; takes a copy. After the end it does nothing. All that is said in one turn of the
   * event loop goes at its end, as one piece: the peer is woken once for it.
   */
  send(message: RelayMessage): void {
    if (this.over) return;
    const bytes = relayFrame(message);
    this.outgoing.push(bytes);
    this.waitingBytes += bytes.length;
    this.wasCrowded ||= this.crowded;
    this.flushLater();
  }

  /** The stream on a channel that was opened. */
  openStream(channel: number): RelayStream {
    const { clock } = this.parts;
    const onOver = () => this.streams.delete(channel);
    const stream = new RelayStream({ carrier: this, channel, clock, onOver });
    this.streams.set(channel, stream);
    return stream;
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.streams.size;
  }

  hasStream(channel: number): boolean {
    return this.streams.has(channel);
  }

  /** Lets go of the stream. Streams on it end. Idempotent. */
  close(): void {
    if (this.over) return;
    this.flush();
    this.over = true;
    this.parts.stream.close();
    for (const stream of this.streams.values()) stream.connectionLost();
    this.streams.clear();
  }

  private ready(): void {
    if (this.over) return;
    this.flush();
    try {
      this.takeMessages();
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      this.parts.log.error('the connection ends', { error: error.message });
      this.end();
      return;
    }
    if (this.parts.stream.ended) this.end();
    else this.flush();
  }

  private end(): void {
    if (this.over) return;
    this.close();
    this.parts.onEnd();
  }

  private takeMessages(): void {
    for (let count = 0; !this.over; count++) {
      if (this.parts.wary && this.crowded) return;
      if (count === MESSAGES_PER_TURN_MAX) {
        this.continueLater();
        return;
      }
      const frame = this.frames.next();
      if (frame === undefined) return;
      this.take(parseRelayFrame(frame));
    }
  }

  private continueLater(): void {
    if (this.turnDue) return;
    this.turnDue = true;
    this.parts.clock.after(0, () => {
      this.turnDue = false;
      this.ready();
    });
  }

  private take(message: RelayMessage): void {
    if (!this.greeted || message.type === 'hello') {
      this.greet(message);
      return;
    }
    const stream = 'channel' in message ? this.streams.get(message.channel) : undefined;
    if (stream === undefined) {
      this.parts.onMessage(message);
      return;
    }
    switch (message.type) {
      case 'data':
        stream.receive(message.bytes);
        return;
      case 'credit':
        stream.receiveCredit(message.count);
        return;
      case 'close':
        stream.receiveClose();
        return;
      default:
        throw RELAY_PROTOCOL.violation(
          'a terminal or a viewer has data, credit and an end',
          message.type,
        );
    }
  }

  private greet(message: RelayMessage): void {
    if (this.greeted || message.type !== 'hello') {
      throw RELAY_PROTOCOL.violation('hello comes first, and once', message.type);
    }
    if (message.version !== RELAY_VERSION) {
      const rule = `both ends have version ${RELAY_VERSION}`;
      throw RELAY_PROTOCOL.violation(rule, String(message.version));
    }
    this.greeted = true;
    this.parts.onOpen();
  }

  private flushLater(): void {
    if (this.flushDue) return;
    this.flushDue = true;
    void Promise.resolve().then(() => {
      this.flushDue = false;
      if (!this.over) this.flush();
    });
  }

  private flush(): void {
    if (!this.writeUnsent()) return;
    if (this.outgoing.length > 0) {
      this.unsent = concatBytes(this.outgoing);
      this.outgoing = [];
      if (!this.writeUnsent()) return;
    }
    if (!this.wasCrowded) return;
    this.wasCrowded = false;
    // Not now: whoever is just sending may be one of them.
    this.parts.clock.after(0, () => {
      for (const stream of this.streams.values()) stream.wake();
      this.ready();
    });
  }

  /** Whether nothing of it is left. */
  private writeUnsent(): boolean {
    while (this.unsent.length > 0) {
      const sent = this.parts.stream.write(this.unsent);
      if (sent === 0) return false;
      this.waitingBytes -= sent;
      this.unsent = this.unsent.subarray(sent);
    }
    return true;
  }
}
