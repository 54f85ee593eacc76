/** Time as portable code sees it, so that the simulator can own it. */

export interface Timer {
  /** Idempotent; after it the callback does not run. */
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  now_ms(): number;
  /** Milliseconds since 1970, as people and log files count. */
  wallclock_ms(): number;
  /** Runs `callback` once, `delay_ms` from now, never before the caller has returned. */
  after(delay_ms: number, callback: () => void): Timer;
}

export function sleep(clock: Clock, delay_ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delay_ms, resolve);
  });
}
