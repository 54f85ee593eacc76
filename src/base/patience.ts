/**
 * Looking again and again for what the peer is about to do, before we sleep until it signals. Where
 * it is at work on a processor of its own, that saves it the signal and us the waking; where it is
 * not, the time is lost. So looking in vain is done less and less often.
 */

/** Opportunities that are let go by at most until it is tried once more. */
const PAUSE_MAX = 128;

/** Not longer where looks are slow: those of an interpreter on an emulated processor, say. */
const LOOK_LIMIT_MS = 5;
/** How often the clock is read while we look in vain. */
const CLOCK_READS_MAX = 20;

export class Patience {
  private readonly looks_max: number;
  private readonly now_ms: () => number;
  private pause = 0;
  private left = 0;

  /** @param looks_max looks before we give up: about as long as it takes to be signalled and to wake */
  constructor(looks_max: number, now_ms: () => number) {
    this.looks_max = looks_max;
    this.now_ms = now_ms;
  }

  /** Whether `happened` came true while we looked, which is once at least. */
  pays(happened: () => boolean): boolean {
    if (happened()) return true;
    if (this.left > 0) {
      this.left--;
      return false;
    }
    if (this.happensSoon(happened)) {
      this.pause = 0;
      return true;
    }
    this.pause = Math.min(PAUSE_MAX, 2 * this.pause + 1);
    this.left = this.pause;
    return false;
  }

  private happensSoon(happened: () => boolean): boolean {
    const batch = Math.ceil(this.looks_max / CLOCK_READS_MAX);
    const end_ms = this.now_ms() + LOOK_LIMIT_MS;
    for (let looks = 0; looks < this.looks_max; looks += batch) {
      for (let look = 0; look < batch; look++) if (happened()) return true;
      if (this.now_ms() >= end_ms) return false;
    }
    return false;
  }
}
