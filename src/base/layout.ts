/**
 * C structures as data: one description gives size, offsets and a view, and the probe in
 * test/abi compiles the same description against the installed Xen headers.
 *
 * All numbers are little-endian, as every Xen structure on x86 is, but `u32be`.
 */
import { assert } from './assert.ts';

export interface FieldType<Value> {
  readonly size: number;
  readonly align: number;
  load(data: DataView, at: number): Value;
  store(data: DataView, at: number, value: Value): void;
}

const scalar = (
  size: number,
  load: (data: DataView, at: number) => number,
  store: (data: DataView, at: number, value: number) => void,
): FieldType<number> => ({ size, align: size, load, store });

export const u8 = scalar(
  1,
  (data, at) => data.getUint8(at),
  (data, at, value) => data.setUint8(at, value),
);
export const u16 = scalar(
  2,
  (data, at) => data.getUint16(at, true),
  (data, at, value) => data.setUint16(at, value, true),
);
export const u32 = scalar(
  4,
  (data, at) => data.getUint32(at, true),
  (data, at, value) => data.setUint32(at, value, true),
);
/** For the few headers that are big-endian on every machine. */
export const u32be = scalar(
  4,
  (data, at) => data.getUint32(at),
  (data, at, value) => data.setUint32(at, value),
);
export const i8 = scalar(
  1,
  (data, at) => data.getInt8(at),
  (data, at, value) => data.setInt8(at, value),
);
export const i16 = scalar(
  2,
  (data, at) => data.getInt16(at, true),
  (data, at, value) => data.setInt16(at, value, true),
);
export const i32 = scalar(
  4,
  (data, at) => data.getInt32(at, true),
  (data, at, value) => data.setInt32(at, value, true),
);
/**
 * Sixty-four bits as a number, so that reading one allocates nothing. Above 2^53 the low bits are
 * lost on load: enough for what is range-checked afterwards (a sector number), wrong for what must
 * be echoed exactly (a request id), which is `u64exact`.
 */
export const u64 = scalar(
  8,
  (data, at) => data.getUint32(at, true) + data.getUint32(at + 4, true) * 0x100000000,
  (data, at, value) => {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`a u64 field takes an integer from 0 to 2^53 - 1, not ${value}`);
    }
    data.setUint32(at, value >>> 0, true);
    data.setUint32(at + 4, Math.floor(value / 0x100000000), true);
  },
);
export const u64exact: FieldType<bigint> = {
  size: 8,
  align: 8,
  load: (data, at) => data.getBigUint64(at, true),
  store: (data, at, value) => data.setBigUint64(at, value, true),
};

/** A fixed run of bytes, loaded as a window onto the memory and stored by copying. */
export function byteArray(length: number): FieldType<Uint8Array> {
  return {
    size: length,
    align: 1,
    load: (data, at) => new Uint8Array(data.buffer, data.byteOffset + at, length),
    store: (data, at, value) => {
      assert(value.length === length, `a field of ${length} bytes takes exactly that many`);
      new Uint8Array(data.buffer, data.byteOffset + at, length).set(value);
    },
  };
}

/** `count` fields of one type in a row, loaded and stored as a whole. Not for a hot path. */
export function arrayOf<Value>(type: FieldType<Value>, count: number): FieldType<Value[]> {
  return {
    size: type.size * count,
    align: type.align,
    load: (data, at) =>
      Array.from({ length: count }, (_, index) => type.load(data, at + index * type.size)),
    store: (data, at, values) => {
      assert(values.length === count, `an array of ${count} fields takes exactly that many`);
      values.forEach((value, index) => {
        type.store(data, at + index * type.size, value);
      });
    },
  };
}

type Fields = Readonly<Record<string, FieldType<unknown>>>;
type ValueOf<Type> = Type extends FieldType<infer Value> ? Value : never;

/** A window onto one structure in memory. Each field is a property; `moveTo` slides the window. */
export type View<F extends Fields> = { -readonly [Name in keyof F]: ValueOf<F[Name]> } & {
  /** Moves the window to `offset` bytes from the start of the memory that it was made on. */
  moveTo(offset: number): void;
};

export interface Struct<F extends Fields> {
  /** As C writes it: `struct xsd_sockmsg`, or the name of a typedef. */
  readonly cName: string;
  readonly size: number;
  readonly align: number;
  /** Byte offset of each field. */
  readonly offset: Readonly<Record<keyof F & string, number>>;
  readonly fields: F;
  /** Each field's name in C where it differs: `{ nr_segments: 'u.rw.nr_segments' }`. */
  readonly cFields: Readonly<Partial<Record<keyof F & string, string>>>;
  /** A window onto `memory`, `offset` bytes from its start. Throws when the structure does not fit there. */
  view(memory: Uint8Array, offset?: number): View<F>;
}

export interface StructOptions<F extends Fields> {
  readonly cFields?: Partial<Record<keyof F & string, string>>;
  /** The most a field is aligned to: 4 gives the layout that a 32-bit x86 compiler makes, 1 a packed one. */
  readonly alignMax?: number;
  /** Rounds the size up to at least this, for unions whose other members are larger. */
  readonly sizeMin?: number;
}

const alignUp = (value: number, align: number) => Math.ceil(value / align) * align;

/** Describes a C structure; fields stand in C's order and are aligned by C's rules. */
export function struct<F extends Fields>(
  cName: string,
  fields: F,
  options: StructOptions<F> = {},
): Struct<F> {
  const alignMax = options.alignMax ?? 8;
  const offset = {} as Record<keyof F & string, number>;
  let end = 0;
  let align = 1;
  for (const name of Object.keys(fields) as (keyof F & string)[]) {
    const type = fields[name] as FieldType<unknown>;
    const fieldAlign = Math.min(type.align, alignMax);
    offset[name] = alignUp(end, fieldAlign);
    end = offset[name] + type.size;
    align = Math.max(align, fieldAlign);
  }
  const size = alignUp(Math.max(end, options.sizeMin ?? 0), align);

  class Window {
    private readonly data: DataView;
    private at: number;

    constructor(memory: Uint8Array, at: number) {
      this.data = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
      this.at = 0;
      this.moveTo(at);
    }

    moveTo(at: number): void {
      if (!(at >= 0 && at + size <= this.data.byteLength)) {
        throw new RangeError(
          `${cName} (${size} bytes) does not fit at ${at} of ${this.data.byteLength}`,
        );
      }
      this.at = at;
    }

    static define(name: string, type: FieldType<unknown>, fieldOffset: number): void {
      Object.defineProperty(Window.prototype, name, {
        enumerable: true,
        get(this: Window) {
          return type.load(this.data, this.at + fieldOffset);
        },
        set(this: Window, value: unknown) {
          type.store(this.data, this.at + fieldOffset, value);
        },
      });
    }
  }
  for (const name of Object.keys(fields) as (keyof F & string)[]) {
    assert(name !== 'moveTo' && name !== 'data' && name !== 'at', `${name} is the view's own name`);
    Window.define(name, fields[name] as FieldType<unknown>, offset[name]);
  }
  return {
    cName,
    size,
    align,
    offset,
    fields,
    cFields: (options.cFields ?? {}) as Struct<F>['cFields'],
    view: (memory, at = 0) => new Window(memory, at) as unknown as View<F>,
  };
}

/** A structure as a field of another, loaded as a window of its own. Not for a hot path. */
export function nested<F extends Fields>(inner: Struct<F>): FieldType<View<F>> {
  const bytesAt = (data: DataView, at: number) =>
    new Uint8Array(data.buffer, data.byteOffset + at, inner.size);
  return {
    size: inner.size,
    align: inner.align,
    load: (data, at) => inner.view(bytesAt(data, at)),
    store: (data, at, value) => {
      const target = inner.view(bytesAt(data, at));
      for (const name of Object.keys(inner.fields)) {
        (target as Record<string, unknown>)[name] = (value as Record<string, unknown>)[name];
      }
    },
  };
}
