/**
 * Virtual time and the order of things. Events due at the same moment come in an order drawn from
 * the seed, as Xen promises none between ports. Timers keep their own order, as an event loop does.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Prng } from '../../base/prng.ts';

/** When the simulated world begins, for `wallclock_ms`. */
const START_WALLCLOCK_MS = Date.UTC(2024, 0, 1);

interface Alarm extends Timer {
  readonly due_ms: number;
  readonly callback: () => void;
}

export class Scheduler implements Clock {
  private now = 0;
  private readonly ready: (() => void)[] = [];
  /** In order of `due_ms`, then of setting. */
  private readonly alarms: Alarm[] = [];
  private readonly prng: Prng;

  constructor(prng: Prng) {
    this.prng = prng;
  }

  now_ms(): number {
    return this.now;
  }

  wallclock_ms(): number {
    return START_WALLCLOCK_MS + this.now;
  }

  after(delay_ms: number, callback: () => void): Timer {
    if (!(delay_ms >= 0)) throw new RangeError(`a delay must be 0 or more, not ${delay_ms}`);
    const alarm: Alarm = {
      due_ms: this.now + delay_ms,
      callback,
      cancel: () => {
        const at = this.alarms.indexOf(alarm);
        if (at >= 0) this.alarms.splice(at, 1);
      },
    };
    let at = this.alarms.length;
    while (at > 0 && (this.alarms[at - 1] as Alarm).due_ms > alarm.due_ms) at--;
    this.alarms.splice(at, 0, alarm);
    return alarm;
  }

  /** Runs `job` soon, in any order with the other jobs that are ready then. */
  post(job: () => void): void {
    this.ready.push(job);
  }

  /** When each timer rings, the earliest first. */
  get timers_ms(): readonly number[] {
    return this.alarms.map((alarm) => alarm.due_ms);
  }

  /**
   * Runs one thing that is due; when nothing is, jumps to the next timer up to `limit_ms` and runs
   * that. Returns false when there was nothing to run.
   */
  step(limit_ms: number): boolean {
    const next = this.alarms[0];
    const timerDue = next !== undefined && next.due_ms <= this.now;
    const candidates = this.ready.length + (timerDue ? 1 : 0);
    if (candidates > 0) {
      const chosen = this.prng.below(candidates);
      const job = this.ready[chosen];
      if (job !== undefined) this.ready.splice(chosen, 1);
      else this.alarms.shift();
      (job ?? (next as Alarm).callback)();
      return true;
    }
    if (next === undefined || next.due_ms > limit_ms) return false;
    this.alarms.shift();
    this.now = next.due_ms;
    next.callback();
    return true;
  }

  /** Lets time pass up to `time_ms`, when nothing is due before. */
  advanceTo(time_ms: number): void {
    this.now = Math.max(this.now, time_ms);
  }
}
