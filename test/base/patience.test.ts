import { expect, test } from 'vitest';
import { Patience } from '../../src/base/patience.ts';

const LOOKS_MAX = 1000;

/** How often of `opportunities` it looks more than once, where nothing happens. */
function vainLooks(patience: Patience, opportunities: number): number {
  let tries = 0;
  for (let n = 0; n < opportunities; n++) {
    let looks = 0;
    const happened = () => ++looks === 0;
    if (patience.pays(happened)) throw new Error('nothing has happened');
    if (looks > 1) tries++;
  }
  return tries;
}

test('what happens while it looks is seen, each time', () => {
  const patience = new Patience(LOOKS_MAX, () => 0);
  for (let n = 0; n < 100; n++) {
    let looks = 0;
    expect(patience.pays(() => ++looks === 10)).toBe(true);
  }
});

test('it looks in vain less and less often, and never gives up', () => {
  const patience = new Patience(LOOKS_MAX, () => 0);
  expect(vainLooks(patience, 100)).toBeLessThan(10);
  const tries = vainLooks(patience, 10_000);
  expect(tries).toBeGreaterThan(10);
  expect(tries).toBeLessThan(100);
});

test('what has happened already is seen at any time', () => {
  const patience = new Patience(LOOKS_MAX, () => 0);
  for (let n = 0; n < 100; n++) {
    vainLooks(patience, 1);
    expect(patience.pays(() => true)).toBe(true);
  }
});

test('once it has paid to look for long, it does so at the next opportunity again', () => {
  const patience = new Patience(LOOKS_MAX, () => 0);
  const second = () => {
    let looks = 0;
    return patience.pays(() => ++looks === 20);
  };
  vainLooks(patience, 1000);
  let opportunities = 0;
  while (!second()) opportunities++;
  expect(opportunities).toBeLessThan(1000);
  expect([second(), second()]).toEqual([true, true]);
});

test('it does not look for long where looks are slow', () => {
  let now_ms = 0;
  let looks = 0;
  const slow = () => {
    looks++;
    now_ms++;
    return false;
  };
  expect(new Patience(LOOKS_MAX, () => now_ms).pays(slow)).toBe(false);
  expect(looks).toBeLessThan(LOOKS_MAX / 10);
});
