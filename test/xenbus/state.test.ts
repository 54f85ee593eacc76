import { expect, test } from 'vitest';
import { parseXenbusState, xenbusStateName } from '../../src/xenbus/state.ts';

test('a state is one digit from 1 to 8', () => {
  expect(['1', '2', '3', '4', '5', '6', '7', '8'].map(parseXenbusState)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8,
  ]);
});

test.each([undefined, '', '0', '9', '-1', '4 ', ' 4', '04', '4.0', '4\0', 'Connected', '44'])(
  'a state of %j is Unknown',
  (value) => {
    expect(xenbusStateName(parseXenbusState(value))).toBe('Unknown');
  },
);
