import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PersistentMap } from '../../src/xenstored/persistent-map.ts';
import { keyedHash, type StringHash } from '../../src/xenstored/string-hash.ts';

/** From one that tells all keys apart to one that tells none. */
const HASHES: readonly StringHash[] = [
  keyedHash(1, 2),
  (text) => keyedHash(1, 2)(text) & 0xff,
  (text) => keyedHash(1, 2)(text) & (0xff << 24),
  (text) => text.length,
  () => -1,
];

type Changes = readonly (readonly [key: string, value: number | undefined])[];

const changes = fc.array(
  fc.tuple(fc.string({ maxLength: 2 }), fc.option(fc.nat(9), { nil: undefined })),
  { maxLength: 200, size: 'max' },
);

function changed(map: PersistentMap<number>, by: Changes): PersistentMap<number> {
  let now = map;
  for (const [key, value] of by) now = value === undefined ? now.delete(key) : now.set(key, value);
  return now;
}

/** All of the map, as it differs from an empty one. */
function contentOf(map: PersistentMap<number>): Map<string, number | undefined> {
  const differences = [...map.differences(PersistentMap.empty())];
  return new Map(differences.map(({ key, one }) => [key, one]));
}

describe('a persistent map', () => {
  test.each(HASHES)('holds what a Map would hold after the same changes (hash %#)', (hashOf) => {
    fc.assert(
      fc.property(changes, (all) => {
        let map = PersistentMap.empty<number>(hashOf);
        const model = new Map<string, number>();
        for (const [key, value] of all) {
          map = changed(map, [[key, value]]);
          if (value === undefined) model.delete(key);
          else model.set(key, value);
          expect(map.size).toBe(model.size);
        }
        for (const [key] of all) expect(map.get(key)).toBe(model.get(key));
        expect(contentOf(map)).toEqual(model);
      }),
      { numRuns: 30 },
    );
  });

  test.each(HASHES)('tells where two versions differ (hash %#)', (hashOf) => {
    fc.assert(
      fc.property(changes, changes, (before, after) => {
        const one = changed(PersistentMap.empty<number>(hashOf), before);
        const other = changed(one, after);
        const expected = new Map<string, [number | undefined, number | undefined]>();
        for (const [key] of after) {
          if (one.get(key) !== other.get(key)) expected.set(key, [one.get(key), other.get(key)]);
        }
        const told = [...one.differences(other)];
        expect(told.length).toBe(expected.size);
        for (const { key, one: ours, other: theirs } of told) {
          expect([ours, theirs]).toEqual(expected.get(key));
        }
      }),
      { numRuns: 30 },
    );
  });

  test.each(HASHES)('comes out of an edit as of the same changes singly (hash %#)', (hashOf) => {
    fc.assert(
      fc.property(changes, fc.array(changes, { maxLength: 4 }), (before, edits) => {
        let map = changed(PersistentMap.empty<number>(hashOf), before);
        for (const by of edits) {
          const singly = changed(map, by);
          const earlier = contentOf(map);
          const edited = map.edit((edit) => {
            for (const [key, value] of by) {
              if (value === undefined) edit.delete(key);
              else edit.set(key, value);
            }
          });
          expect(edited.size).toBe(singly.size);
          expect(contentOf(edited)).toEqual(contentOf(singly));
          expect(contentOf(map)).toEqual(earlier);
          map = edited;
        }
      }),
      { numRuns: 30 },
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
    const both = PersistentMap.empty<number>(() => 7)
      .set('a', 1)
      .set('b', 2);
    expect([both.get('a'), both.get('b'), both.size]).toEqual([1, 2, 2]);
    const one = both.set('b', 3).delete('a');
    expect([one.get('a'), one.get('b'), one.size]).toEqual([undefined, 3, 1]);
    expect(one.delete('a')).toBe(one);
  });
});
