import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ipv4Text,
  parseIpv4Range,
  rangeAround,
  rangeHas,
  rangeLast,
  rangesOverlap,
  rangeText,
} from '../../src/net/ipv4-range.ts';

const range = fc
  .tuple(fc.nat(0xffff_ffff), fc.integer({ min: 0, max: 32 }))
  .map(([address, prefix]) => rangeAround(address, prefix));

test('a range is read as it is written', () => {
  fc.assert(
    fc.property(range, (each) => {
      expect(parseIpv4Range(rangeText(each))).toEqual(each);
    }),
  );
  const { first } = parseIpv4Range('10.1.2.0/23');
  expect([ipv4Text(first), ipv4Text(rangeLast({ first, prefix: 23 }))]).toEqual([
    '10.1.2.0',
    '10.1.3.255',
  ]);
});

test('two overlap when an address is in both', () => {
  fc.assert(
    fc.property(range, range, (one, other) => {
      const shared = [one.first, other.first].some(
        (address) => rangeHas(one, address) && rangeHas(other, address),
      );
      expect(rangesOverlap(one, other)).toBe(shared);
      expect(rangesOverlap(other, one)).toBe(shared);
    }),
  );
});

test.each(['', '10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0/24', '256.0.0.0/8', 'fd00::/64'])(
  '%j is no range',
  (text) => {
    expect(() => parseIpv4Range(text)).toThrow(RangeError);
  },
);

test('a range that does not begin at its beginning is refused, with the one that was meant', () => {
  expect(() => parseIpv4Range('10.0.0.5/24')).toThrow(/its first address: 10\.0\.0\.0\/24/);
});
