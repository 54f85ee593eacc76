import { describe, expect, test } from 'vitest';
import { domId, eventPort, grantRef } from '../../src/base/ids.ts';

describe('numbers that Xen hands out', () => {
  test.each([
    ['a domid', domId, 0x7fef],
    ['a grant reference', grantRef, 0xffffffff],
    ['an event channel port', eventPort, 0x1ffff],
  ] as const)('%s is an integer from 0 to its largest', (what, make, max) => {
    expect([make(0), make(max)]).toEqual([0, max]);
    for (const wrong of [-1, max + 1, 0.5, Number.NaN]) {
      expect(() => make(wrong)).toThrow(`${what} must be an integer from 0 to ${max}`);
    }
  });
});
