/** Two streams as one: what comes from either goes to the other. */
import type { ByteStream } from './byte-stream.ts';
import type { Clock } from './clock.ts';

/** Bytes taken from a stream at a time. */
const PORTION = 65_536;
/** Portions moved in one direction before others get their turn. */
const TURN_PORTIONS_MAX = 64;

/** One direction. */
class Flow {
  private readonly from: ByteStream;
  private readonly to: ByteStream;
  private readonly buffer: Uint8Array;
  private start = 0;
  private end = 0;

  constructor(from: ByteStream, to: ByteStream, portion: number) {
    this.from = from;
    this.to = to;
    this.buffer = new Uint8Array(portion);
  }

  /** Nothing is on its way. */
  get empty(): boolean {
    return this.start === this.end;
  }

  /** Moves what there is and what fits; true when there may be more for the next turn. */
  move(): boolean {
    for (let portions = 0; portions < TURN_PORTIONS_MAX; portions++) {
      if (this.empty) {
        this.start = 0;
        this.end = this.from.read(this.buffer);
        if (this.end === 0) return false;
      }
      while (!this.empty) {
        const taken = this.to.write(this.buffer.subarray(this.start, this.end));
        if (taken === 0) return false;
        this.start += taken;
      }
    }
    return true;
  }
}

export interface JoinOptions {
  /** Whether all that was written to the first stream has reached its peer, if the stream can tell. */
  readonly isDelivered?: () => boolean;
  /** Whether nobody wants what is still on its way any more: both are closed at once then. */
  readonly isAbandoned?: () => boolean;
  /** Bytes that are moved at a time, and held for each direction. */
  readonly portion?: number;
}

/**
 * Joins them until either ends, then closes both, and resolves; they belong to the joint from here
 * on. What the one that has ended had sent is written to the other before that is closed.
 */
export function joinStreams(
  first: ByteStream,
  second: ByteStream,
  clock: Clock,
  { isDelivered = () => true, isAbandoned = () => false, portion = PORTION }: JoinOptions = {},
): Promise<void> {
  const toSecond = new Flow(first, second, portion);
  const toFirst = new Flow(second, first, portion);
  let turnDue = false;
  let over = false;
  return new Promise((resolve) => {
    const isOver = () => {
      if (isAbandoned()) return true;
      if (first.ended) return toSecond.empty || second.ended;
      return second.ended && toFirst.empty && isDelivered();
    };
    const advance = () => {
      if (over) return;
      const more = [toSecond.move(), toFirst.move()].includes(true);
      over = isOver();
      if (over) {
        first.close();
        second.close();
        resolve();
      } else if (more && !turnDue) {
        turnDue = true;
        clock.after(0, () => {
          turnDue = false;
          advance();
        });
      }
    };
    first.onReady(advance);
    second.onReady(advance);
  });
}
