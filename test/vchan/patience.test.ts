import { expect, test } from 'vitest';
import { Patience } from '../../src/vchan/patience.ts';

/** How often of `opportunities` it looks at all, where nothing happens. */
function vainLooks(patience: Patience, opportunities: number): number {
  let tries = 0;
  for (let n = 0; n < opportunities; n++) {
    let looked = false;
    const happened = () => {
      looked = true;
      return false;
    };
    if (patience.pays(happened)) throw new Error('nothing has happened');
    if (looked) tries++;
  }
  return tries;
}

test('what happens while it looks is seen, each time', () => {
  const patience = new Patience();
  for (let n = 0; n < 100; n++) {
    let looks = 0;
    expect(patience.pays(() => ++looks === 10)).toBe(true);
  }
});

test('it looks in vain less and less often, and never gives up', () => {
  const patience = new Patience();
  expect(vainLooks(patience, 100)).toBeLessThan(10);
  const tries = vainLooks(patience, 10_000);
  expect(tries).toBeGreaterThan(10);
  expect(tries).toBeLessThan(100);
});

test('once it has paid, it looks at the next opportunity again', () => {
  const patience = new Patience();
  vainLooks(patience, 1000);
  let opportunities = 0;
  while (!patience.pays(() => true)) opportunities++;
  expect(opportunities).toBeLessThan(1000);
  expect(patience.pays(() => true)).toBe(true);
});
