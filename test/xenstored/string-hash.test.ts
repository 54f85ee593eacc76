import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyedHash, randomHash } from '../../src/xenstored/string-hash.ts';

const names = Array.from({ length: 4096 }, (_, i) => `/local/domain/1/data/key-${i}`);

/** How many of the names have the low bits that most of them have. */
function fullest(hashOf: (text: string) => number, bits: number): number {
  const counts = new Map<number, number>();
  for (const name of names) {
    const low = hashOf(name) & (2 ** bits - 1);
    counts.set(low, (counts.get(low) ?? 0) + 1);
  }
  return Math.max(...counts.values());
}

test('the same string has the same hash, whatever was asked for in between', () => {
  const hashOf = keyedHash(1, 2);
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      const before = hashOf(one);
      hashOf(other);
      expect(hashOf(one)).toBe(before);
      expect(before).toBe(before | 0);
    }),
  );
});

test('a long string has the hash that it has alone, after others that begin as it does', () => {
  const hashOf = keyedHash(1, 2);
  const long = '/abcdefgh'.repeat(600);
  const size = fc.nat(long.length);
  fc.assert(
    fc.property(fc.array(fc.tuple(size, fc.string({ maxLength: 80 }))), (parts) => {
      for (const [kept, rest] of parts) {
        const text = long.slice(0, kept) + rest;
        expect(hashOf(text)).toBe(keyedHash(1, 2)(text));
      }
    }),
  );
});

test('a string that ends in what another has too is told from it', () => {
  const hashes = ['', '\0', '\0\0', 'a', 'a\0', 'abcd', 'abcd\0', 'abcd\0\0\0\0'].map(
    keyedHash(1, 2),
  );
  expect(new Set(hashes).size).toBe(hashes.length);
});

test('names that differ in little are spread as chance would', () => {
  for (let key = 0; key < 8; key++) {
    // 4,096 in 1,024 places, four in each on average.
    expect(fullest(keyedHash(key, key * 77), 10)).toBeLessThan(20);
  }
});

test('names that collide under one key do not under another', () => {
  const hashOf = keyedHash(3, 4);
  const colliding = names.filter((name) => (hashOf(name) & 31) === 0);
  expect(colliding.length).toBeGreaterThan(64);
  const other = keyedHash(3, 5);
  expect(new Set(colliding.map((name) => other(name) & 31)).size).toBeGreaterThan(16);
});

test('two hashes with keys of their own are not the same', () => {
  const [one, other] = [randomHash(), randomHash()];
  expect(names.some((name) => one(name) !== other(name))).toBe(true);
});
