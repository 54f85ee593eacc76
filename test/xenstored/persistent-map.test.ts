import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PersistentMap } from '../../src/xenstored/persistent-map.ts';

/** Two strings with the same FNV-1a hash. */
const COLLIDING = ['costarring', 'liquid'] as const;

describe('a persistent map', () => {
  test('holds what a Map would hold after the same changes', () => {
    const key = fc.oneof(fc.constantFrom(...COLLIDING), fc.string({ maxLength: 2 }));
    const change = fc.tuple(key, fc.option(fc.nat(), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200, size: 'max' }), (changes) => {
        let map = PersistentMap.empty<number>();
        const model = new Map<string, number>();
        for (const [name, value] of changes) {
          if (value === undefined) {
            map = map.delete(name);
            model.delete(name);
          } else {
            map = map.set(name, value);
            model.set(name, value);
          }
          expect(map.size).toBe(model.size);
        }
        for (const [name] of changes) expect(map.get(name)).toBe(model.get(name));
      }),
      { numRuns: 100 },
    );
  });

  test('leaves old versions as they were', () => {
    const versions = [PersistentMap.empty<number>()];
    for (let i = 0; i < 500; i++) {
      versions.push((versions[i] as PersistentMap<number>).set(`key ${i}`, i));
    }
    let emptied = versions[500] as PersistentMap<number>;
    for (let i = 0; i < 500; i++) emptied = emptied.delete(`key ${i}`);
    expect(emptied.size).toBe(0);
    for (const [count, version] of versions.entries()) {
      expect(version.size).toBe(count);
      expect(version.get(`key ${count - 1}`)).toBe(count === 0 ? undefined : count - 1);
      expect(version.get(`key ${count}`)).toBeUndefined();
    }
  });

  test('tells keys with the same hash apart', () => {
    const [a, b] = COLLIDING;
    const both = PersistentMap.empty<number>().set(a, 1).set(b, 2);
    expect([both.get(a), both.get(b), both.size]).toEqual([1, 2, 2]);
    const one = both.set(b, 3).delete(a);
    expect([one.get(a), one.get(b), one.size]).toEqual([undefined, 3, 1]);
    expect(one.delete(a)).toBe(one);
  });
});
