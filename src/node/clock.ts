/** The machine's time. */
import type { Clock } from '../base/clock.ts';

export const nodeClock: Clock = {
  now_ms: () => performance.now(),
  wallclock_ms: () => Date.now(),
  after(delay_ms, callback) {
    const timer = setTimeout(callback, delay_ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
