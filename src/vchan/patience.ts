/**
 * Looking again and again for what the peer is about to do, before we sleep until it signals. Where
 * it is at work on a processor of its own, that saves it the signal and us the waking; where it is
 * not, the time is lost. So looking in vain is done less and less often.
 */

/** Opportunities that are let go by at most until it is tried once more. */
const PAUSE_MAX = 128;

export class Patience {
  private readonly looks_max: number;
  private pause = 0;
  private left = 0;

  /** @param looks_max looks before we give up: about as long as it takes to be signalled and to wake */
  constructor(looks_max: number) {
    this.looks_max = looks_max;
  }

  /** Whether `happened` came true while we looked, which is once at least. */
  pays(happened: () => boolean): boolean {
    if (happened()) return true;
    if (this.left > 0) {
      this.left--;
      return false;
    }
    for (let looks = 0; looks < this.looks_max; looks++) {
      if (happened()) {
        this.pause = 0;
        return true;
      }
    }
    this.pause = Math.min(PAUSE_MAX, 2 * this.pause + 1);
    this.left = this.pause;
    return false;
  }
}
