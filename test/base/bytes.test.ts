import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latin1Decode, latin1Encode, latin1Write } from '../../src/base/bytes.ts';

describe('byte strings', () => {
  test('every run of bytes comes back unchanged', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(latin1Encode(latin1Decode(bytes))).toEqual(bytes);
      }),
    );
  });

  test('a run longer than one piece is decoded whole', () => {
    const bytes = Uint8Array.from({ length: 10_001 }, (_, n) => n % 253);
    expect(latin1Encode(latin1Decode(bytes))).toEqual(bytes);
    expect(latin1Decode(bytes, 5, 5 + 9000)).toBe(latin1Decode(bytes.subarray(5, 5 + 9000)));
  });

  test('a part is decoded by its bounds', () => {
    expect(latin1Decode(Uint8Array.of(97, 98, 99, 100), 1, 3)).toBe('bc');
    expect(latin1Decode(Uint8Array.of(97), 1)).toBe('');
  });

  test('a character above 255 is refused', () => {
    expect(() => latin1Encode('price: 5 €')).toThrow('character 9');
  });

  test('text is written where asked, and nowhere else', () => {
    const target = new Uint8Array(5).fill(1);
    expect(latin1Write('ÿ0', target, 2)).toBe(4);
    expect([...target]).toEqual([1, 1, 255, 48, 1]);
  });

  test.each([4, 6, -1, Number.NaN])('text that does not fit at %d is refused', (offset) => {
    const target = new Uint8Array(5);
    expect(() => latin1Write('ab', target, offset)).toThrow('do not fit');
    expect([...target]).toEqual([0, 0, 0, 0, 0]);
  });
});
