/** So many bytes a second, and so many at once after a pause. */
import type { Clock } from '../base/clock.ts';

export interface ByteRate {
  readonly bytesPerSecond: number;
  /** What an idle source may send at once. */
  readonly burstBytes: number;
}

/**
 * Whoever has anything left may send a whole frame, however long; what that is too much is saved
 * up for before the next one. So no frame is too long for a small bucket.
 */
export class TokenBucket {
  private readonly clock: Clock;
  private bytesPerMs = 0;
  private burstBytes = 0;
  private level = 0;
  private filled_ms: number;

  /** @param rate see `setRate` */
  constructor(clock: Clock, rate: ByteRate | undefined) {
    this.clock = clock;
    this.filled_ms = clock.now_ms();
    this.setRate(rate);
  }

  /**
   * Begins anew with a full bucket. Without a rate nothing ever waits.
   *
   * @param rate both of its numbers are 1 or more
   */
  setRate(rate: ByteRate | undefined): void {
    if (rate === undefined) {
      this.burstBytes = this.level = Number.POSITIVE_INFINITY;
      return;
    }
    if (!(rate.bytesPerSecond >= 1 && rate.burstBytes >= 1)) {
      throw new RangeError(
        `a rate is 1 byte a second or more and 1 byte at once, not ${rate.bytesPerSecond} and ${rate.burstBytes}`,
      );
    }
    this.bytesPerMs = rate.bytesPerSecond / 1000;
    this.burstBytes = rate.burstBytes;
    this.level = rate.burstBytes;
    this.filled_ms = this.clock.now_ms();
  }

  /** Whole milliseconds until the next frame may be sent; 0 for now. */
  wait_ms(): number {
    this.fill();
    return this.level >= 1 ? 0 : Math.ceil((1 - this.level) / this.bytesPerMs);
  }

  spend(bytes: number): void {
    this.level -= bytes;
  }

  /** Spends `bytes` if a frame may be sent now; otherwise false. */
  take(bytes: number): boolean {
    if (this.wait_ms() > 0) return false;
    this.spend(bytes);
    return true;
  }

  private fill(): void {
    // Without a rate the time, which is not for nothing, makes no difference.
    if (this.burstBytes === Number.POSITIVE_INFINITY) return;
    const now_ms = this.clock.now_ms();
    const gained = (now_ms - this.filled_ms) * this.bytesPerMs;
    this.level = Math.min(this.burstBytes, this.level + gained);
    this.filled_ms = now_ms;
  }
}
