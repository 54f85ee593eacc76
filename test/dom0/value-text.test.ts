import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escapeValue, typedBytes, unescapeValue } from '../../src/dom0/value-text.ts';

const byteString = fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('latin1'));

describe('value text', () => {
  test('is printable ASCII and stands for the same bytes', () => {
    fc.assert(
      fc.property(byteString, (value) => {
        const text = escapeValue(value);
        expect(text).toMatch(/^[ -~]*$/);
        expect(unescapeValue(text)).toBe(value);
      }),
    );
  });

  test('has the escapes of the xenstore commands', () => {
    expect(escapeValue('\0\x07\b\x1f\t\n\r\\"\x7f\xff ~')).toBe(
      '\\000\\007\\x08\\x1f\\t\\n\\r\\\\"\\x7f\\xff ~',
    );
  });

  test('a backslash before anything else means what follows, and at the end itself', () => {
    expect(unescapeValue('\\q\\\n\\xg\\')).toBe('q\nxg\\');
    expect(unescapeValue('\\400\\7\\78')).toBe('\0\x07\x078');
  });

  test('what is typed is taken as the bytes of UTF-8', () => {
    expect(typedBytes('é€')).toBe('\xc3\xa9\xe2\x82\xac');
  });
});
