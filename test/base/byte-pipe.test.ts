import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { Clock } from '../../src/base/clock.ts';

/** A clock whose callbacks run when the test says so. */
function steppedClock() {
  const due: (() => void)[] = [];
  const clock: Clock = {
    now_ms: () => 0,
    wallclock_ms: () => 0,
    after: (_, callback) => {
      due.push(callback);
      return { cancel: () => {} };
    },
  };
  const run = () => {
    while (due.length > 0) due.shift()?.();
  };
  return { clock, run };
}

test('what one end writes the other reads, whatever the sizes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 50 })), { maxLength: 60 }),
      (capacity, steps) => {
        const [left, right] = bytePipe(steppedClock().clock, capacity);
        let next = 0;
        let expected = 0;
        for (const [write, size] of steps) {
          if (write) {
            const bytes = Uint8Array.from({ length: size }, (_, i) => (next + i) & 0xff);
            const taken = left.write(bytes);
            expect(taken).toBe(Math.min(size, capacity - (next - expected)));
            next += taken;
          } else {
            const target = new Uint8Array(size);
            const count = right.read(target);
            expect(count).toBe(Math.min(size, next - expected));
            for (let i = 0; i < count; i++) expect(target[i]).toBe(expected++ & 0xff);
          }
        }
      },
    ),
  );
});

test('an end is told once of all that happened, and never from within write', () => {
  const { clock, run } = steppedClock();
  const [left, right] = bytePipe(clock);
  let told = 0;
  right.onReady(() => told++);
  run();
  told = 0;
  left.write(new Uint8Array(3));
  left.write(new Uint8Array(3));
  expect(told).toBe(0);
  run();
  expect(told).toBe(1);
});

test('an end has ended when the other closed and nothing is left to read', () => {
  const [left, right] = bytePipe(steppedClock().clock);
  left.write(new Uint8Array(2));
  left.close();
  left.close();
  expect(right.ended).toBe(false);
  expect(right.write(new Uint8Array(1))).toBe(0);
  expect(right.read(new Uint8Array(8))).toBe(2);
  expect(right.ended).toBe(true);
});
