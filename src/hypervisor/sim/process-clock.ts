/** The world's time as one process sees it: its timers end with it. */
import type { Clock, Timer } from '../../base/clock.ts';

export class ProcessClock implements Clock {
  private readonly world: Clock;
  private readonly timers = new Set<Timer>();
  private ended = false;

  constructor(world: Clock) {
    this.world = world;
  }

  now_ms(): number {
    return this.world.now_ms();
  }

  wallclock_ms(): number {
    return this.world.wallclock_ms();
  }

  after(delay_ms: number, callback: () => void): Timer {
    const inner = this.world.after(delay_ms, () => {
      this.timers.delete(timer);
      callback();
    });
    const timer: Timer = {
      cancel: () => {
        this.timers.delete(timer);
        inner.cancel();
      },
    };
    this.timers.add(timer);
    if (this.ended) timer.cancel();
    return timer;
  }

  /** The process is gone: no timer rings any more. */
  end(): void {
    this.ended = true;
    for (const timer of this.timers) timer.cancel();
  }
}
