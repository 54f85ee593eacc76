import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  arrayOf,
  byteArray,
  type FieldType,
  i8,
  i16,
  i32,
  nested,
  struct,
  u8,
  u16,
  u32,
  u64,
  u64exact,
} from '../../src/base/layout.ts';

const everyType = struct('struct every_type', {
  a: u8,
  b: u16,
  c: u32,
  d: u64,
  e: u64exact,
  f: i8,
  g: i16,
  h: i32,
});

describe('a layout', () => {
  test('aligns fields and its end as C does', () => {
    expect(everyType.offset).toEqual({ a: 0, b: 2, c: 4, d: 8, e: 16, f: 24, g: 26, h: 28 });
    expect(everyType.size).toBe(32);
    expect(struct('struct tail', { a: u64, b: u8 }).size).toBe(16);
  });

  test('aligns 64-bit fields to four bytes for a 32-bit guest, and not at all when packed', () => {
    const fields = { a: u8, b: u64 };
    expect(struct('struct s', fields, { alignMax: 4 })).toMatchObject({ size: 12, align: 4 });
    expect(struct('struct s', fields, { alignMax: 1 }).offset.b).toBe(1);
  });

  test('is at least as large as the union that it stands in', () => {
    expect(struct('struct s', { a: u32 }, { sizeMin: 9 }).size).toBe(12);
  });

  test('takes arrays and other layouts as fields', () => {
    const point = struct('struct point', { x: u16, y: u16 });
    const line = struct('struct line', { name: byteArray(3), points: arrayOf(nested(point), 2) });
    expect(line.offset).toEqual({ name: 0, points: 4 });
    expect(line.size).toBe(12);
    const memory = new Uint8Array(line.size);
    const view = line.view(memory);
    view.name = Uint8Array.of(1, 2, 3);
    point.view(memory, line.offset.points + point.size).y = 0x0102;
    expect(view.points[1]!.y).toBe(0x0102);
    expect([...memory]).toEqual([1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 2, 1]);
    const [first, second] = view.points;
    view.points = [second!, first!];
    expect(memory[10]).toBe(2);
    view.points[0]!.y = 5;
    expect(memory[6]).toBe(5);
  });

  test('refuses an array of another length', () => {
    const view = struct('struct s', { a: byteArray(2), b: arrayOf(u8, 2) }).view(new Uint8Array(4));
    expect(() => {
      view.a = new Uint8Array(3);
    }).toThrow('exactly that many');
    expect(() => {
      view.b = [1];
    }).toThrow('exactly that many');
  });
});

describe('a view', () => {
  test('gives back what was stored, little-endian, and touches nothing else', () => {
    const scalars: [FieldType<number>, fc.Arbitrary<number>][] = [
      [u8, fc.nat(0xff)],
      [u16, fc.nat(0xffff)],
      [u32, fc.nat(0xffffffff)],
      [u64, fc.maxSafeNat()],
      [i8, fc.integer({ min: -0x80, max: 0x7f })],
      [i16, fc.integer({ min: -0x8000, max: 0x7fff })],
      [i32, fc.integer()],
    ];
    for (const [type, values] of scalars) {
      fc.assert(
        fc.property(values, fc.nat(7), (value, at) => {
          const memory = new Uint8Array(24).fill(0xaa);
          const layout = struct('struct s', { field: type });
          layout.view(memory, at).field = value;
          expect(layout.view(memory, at).field).toBe(value);
          const bytes = BigInt.asUintN(type.size * 8, BigInt(value));
          for (let n = 0; n < memory.length; n++) {
            const inside = n >= at && n < at + type.size;
            const expected = inside ? Number((bytes >> BigInt(8 * (n - at))) & 0xffn) : 0xaa;
            expect(memory[n]).toBe(expected);
          }
        }),
        { numRuns: 30 },
      );
    }
  });

  test('keeps every bit of an exact 64-bit field', () => {
    const view = everyType.view(new Uint8Array(32));
    view.e = 0xfedcba9876543211n;
    expect(view.e).toBe(0xfedcba9876543211n);
  });

  test.each([-1, 0.5, 2 ** 53, Number.NaN])('refuses %d for a u64 field', (value) => {
    const view = everyType.view(new Uint8Array(32));
    expect(() => {
      view.d = value;
    }).toThrow(RangeError);
  });

  test('sees only its own part of a larger buffer', () => {
    const memory = new Uint8Array(100);
    const view = everyType.view(memory.subarray(50, 90), 8);
    view.a = 1;
    expect(memory.indexOf(1)).toBe(58);
  });

  test('moves over memory, and not beyond its ends', () => {
    const memory = Uint8Array.from({ length: 4 * 3 }, (_, n) => n);
    const word = struct('struct word', { value: u32 });
    const view = word.view(memory);
    view.moveTo(8);
    expect(view.value).toBe(0x0b0a0908);
    for (const outside of [-1, 9, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => view.moveTo(outside)).toThrow('does not fit');
      expect(() => word.view(memory, outside)).toThrow('does not fit');
    }
    expect(view.value).toBe(0x0b0a0908);
    expect(() => word.view(new Uint8Array(3))).toThrow('does not fit');
  });
});
