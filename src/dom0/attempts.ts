/** How long to wait before a domain is made again: longer each time that it has not lasted. */
import { type Clock, sleep } from '../base/clock.ts';

const PAUSE_MAX_MS = 20_000;
/** One that has lived for so long has not ended for the reason for which the last one did. */
const SETTLED_MS = 60_000;

export class Attempts {
  private readonly clock: Clock;
  private readonly pauseMin_ms: number;
  private succeeded_ms = 0;
  /** How many in a row, none of which has settled. */
  private count = 0;

  /**
   * @param pauseMin_ms before the first attempt. Each further one waits twice as long, up to 20 s, so
   * that a domain that ends as soon as it runs does not keep dom0 busy.
   */
  constructor(clock: Clock, pauseMin_ms: number) {
    this.clock = clock;
    this.pauseMin_ms = pauseMin_ms;
  }

  /** Resolves when it is time for the next one. */
  async next(): Promise<void> {
    if (this.clock.now_ms() - this.succeeded_ms > SETTLED_MS) this.count = 0;
    const pause_ms = Math.min(this.pauseMin_ms * 2 ** this.count, PAUSE_MAX_MS);
    this.count++;
    await sleep(this.clock, pause_ms);
  }

  /** The domain runs, for as long as it may. */
  succeeded(): void {
    this.succeeded_ms = this.clock.now_ms();
  }
}
