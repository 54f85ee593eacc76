import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.ts';

const draw = (seed: number, count: number) => {
  const prng = new Prng(seed);
  return Array.from({ length: count }, () => prng.uint32());
};

describe('the generator', () => {
  test('gives the same numbers for the same seed, in every version', () => {
    expect(draw(1, 4)).toEqual([3739678614, 2725338478, 3923878172, 2212199553]);
    expect(draw(0xffffffff, 2)).toEqual(draw(-1, 2));
  });

  test('gives other numbers for another seed', () => {
    expect(new Set([0, 1, 2, 3].flatMap((seed) => draw(seed, 100))).size).toBe(400);
  });

  test('below() reaches every number and none outside', () => {
    const prng = new Prng(7);
    const counts = new Array<number>(6).fill(0);
    for (let n = 0; n < 6000; n++) counts[prng.below(6)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(prng.below(1)).toBe(0);
    expect(prng.below(2 ** 32)).toBeGreaterThanOrEqual(0);
  });

  test.each([0, -1, 1.5, 2 ** 32 + 1, Number.NaN])('below(%d) is refused', (limit) => {
    expect(() => new Prng(1).below(limit)).toThrow(RangeError);
  });

  test('chance() keeps to its probability', () => {
    const prng = new Prng(3);
    const share = (probability: number) =>
      Array.from({ length: 4000 }, () => prng.chance(probability)).filter(Boolean).length / 4000;
    expect([share(0), share(1)]).toEqual([0, 1]);
    expect(Math.abs(share(0.25) - 0.25)).toBeLessThan(0.04);
  });

  test('pick() takes from the list', () => {
    const prng = new Prng(5);
    const seen = new Set(Array.from({ length: 100 }, () => prng.pick(['a', 'b', 'c'])));
    expect([...seen].sort()).toEqual(['a', 'b', 'c']);
    expect(() => prng.pick([])).toThrow(RangeError);
  });
});
