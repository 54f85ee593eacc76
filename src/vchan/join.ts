/** A vchan and another stream as one: what comes from either goes to the other. */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import type { XenError } from '../base/errors.ts';
import type { Vchan } from './vchan.ts';

/** Bytes taken from a stream at a time. */
const PORTION = 65_536;
/** Portions moved in one direction before others get their turn. */
const TURN_PORTIONS_MAX = 64;

/** One direction. */
class Flow {
  private readonly from: ByteStream;
  private readonly to: ByteStream;
  private readonly buffer = new Uint8Array(PORTION);
  private start = 0;
  private end = 0;

  constructor(from: ByteStream, to: ByteStream) {
    this.from = from;
    this.to = to;
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
      this.start += this.to.write(this.buffer.subarray(this.start, this.end));
      if (!this.empty) return false;
    }
    return true;
  }
}

/**
 * Joins them until either ends, then closes both; they belong to the joint from here on. What a
 * vchan's peer has sent is written to `other` before that is closed, and what `other` has sent is
 * read by the peer before the vchan is: libxenvchan's proxy drops what it has not read by then.
 * Resolves with the reason when the vchan's peer broke a rule.
 */
export function join(vchan: Vchan, other: ByteStream, clock: Clock): Promise<XenError | undefined> {
  const incoming = new Flow(vchan, other);
  const outgoing = new Flow(other, vchan);
  let turnDue = false;
  let over = false;
  return new Promise((resolve) => {
    const isOver = () => {
      if (vchan.ended) return incoming.empty || other.ended;
      return other.ended && outgoing.empty && vchan.unread === 0;
    };
    const advance = () => {
      if (over) return;
      const more = [incoming.move(), outgoing.move()].includes(true);
      over = isOver();
      if (over) {
        vchan.close();
        other.close();
        resolve(vchan.error);
      } else if (more && !turnDue) {
        turnDue = true;
        clock.after(0, () => {
          turnDue = false;
          advance();
        });
      }
    };
    vchan.onReady(advance);
    other.onReady(advance);
  });
}
