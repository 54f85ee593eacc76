/** The machine's time. */
import type { Clock } from '../base/clock.ts';

// As a global it is a property that is looked up by a function, each time.
const { performance } = globalThis;

export const nodeClock: Clock = {
  now_ms: () => performance.now(),
  wallclock_ms: () => Date.now(),
  after(delay_ms, callback) {
    // Node's shortest timer is a millisecond. This only lets in first what has already happened.
    if (delay_ms <= 0) {
      const immediate = setImmediate(callback);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timer = setTimeout(callback, delay_ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
