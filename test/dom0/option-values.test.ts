import { expect, test } from 'vitest';
import { byteCount, processors, timeSpan } from '../../src/dom0/option-values.ts';

test('sizes and spans of time have units', () => {
  expect(['4096', '64k', '10M', '1G'].map(byteCount)).toEqual([4096, 65536, 10485760, 1073741824]);
  expect(['90s', '30m', '12h', '7d'].map(timeSpan)).toEqual([90e3, 1800e3, 43200e3, 604800e3]);
});

test.each(['', '0', '-1', '1.5', '10Q', '10MM', 'M'])('%j is no size', (text) => {
  expect(() => byteCount(text)).toThrow(/whole number from 1 with a unit/);
});

test.each(['', '7', '0d', '7w'])('%j is no span of time', (text) => {
  expect(() => timeSpan(text)).toThrow(/such as 90s, 30m, 12h or 7d/);
});

test('processors are numbers and ranges', () => {
  expect(processors('3')).toEqual([3]);
  expect(processors('1-3,5,2')).toEqual([1, 2, 3, 5]);
});

test.each(['', '1,', '-1', '3-1', '1-', 'all', '1 2', '12345'])(
  '%j names no processors',
  (text) => {
    expect(() => processors(text)).toThrow(/ranges of processors, such as 1-3,5/);
  },
);
