import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/base/assert.ts
function assert(condition, message) {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
function unreachable(value) {
  throw new Error(`assertion failed: unreachable case ${String(value)}`);
}

// src/base/layout.ts
var scalar = (size, load, store) => ({ size, align: size, load, store });
var u8 = scalar(
  1,
  (data, at) => data.getUint8(at),
  (data, at, value) => data.setUint8(at, value)
);
var u16 = scalar(
  2,
  (data, at) => data.getUint16(at, true),
  (data, at, value) => data.setUint16(at, value, true)
);
var u32 = scalar(
  4,
  (data, at) => data.getUint32(at, true),
  (data, at, value) => data.setUint32(at, value, true)
);
var u32be = scalar(
  4,
  (data, at) => data.getUint32(at),
  (data, at, value) => data.setUint32(at, value)
);
var i8 = scalar(
  1,
  (data, at) => data.getInt8(at),
  (data, at, value) => data.setInt8(at, value)
);
var i16 = scalar(
  2,
  (data, at) => data.getInt16(at, true),
  (data, at, value) => data.setInt16(at, value, true)
);
var i32 = scalar(
  4,
  (data, at) => data.getInt32(at, true),
  (data, at, value) => data.setInt32(at, value, true)
);
var u64 = scalar(
  8,
  (data, at) => data.getUint32(at, true) + data.getUint32(at + 4, true) * 4294967296,
  (data, at, value) => {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`a u64 field takes an integer from 0 to 2^53 - 1, not ${value}`);
    }
    data.setUint32(at, value >>> 0, true);
    data.setUint32(at + 4, Math.floor(value / 4294967296), true);
  }
);
var u64exact = {
  size: 8,
  align: 8,
  load: (data, at) => data.getBigUint64(at, true),
  store: (data, at, value) => data.setBigUint64(at, value, true)
};
function byteArray(length) {
  return {
    size: length,
    align: 1,
    load: (data, at) => new Uint8Array(data.buffer, data.byteOffset + at, length),
    store: (data, at, value) => {
      assert(value.length === length, `a field of ${length} bytes takes exactly that many`);
      new Uint8Array(data.buffer, data.byteOffset + at, length).set(value);
    }
  };
}
function arrayOf(type, count) {
  return {
    size: type.size * count,
    align: type.align,
    load: (data, at) => Array.from({ length: count }, (_, index) => type.load(data, at + index * type.size)),
    store: (data, at, values) => {
      assert(values.length === count, `an array of ${count} fields takes exactly that many`);
      values.forEach((value, index) => {
        type.store(data, at + index * type.size, value);
      });
    }
  };
}
var alignUp = (value, align) => Math.ceil(value / align) * align;
function struct(cName, fields, options = {}) {
  const alignMax = options.alignMax ?? 8;
  const offset = {};
  let end = 0;
  let align = 1;
  for (const name of Object.keys(fields)) {
    const type = fields[name];
    const fieldAlign = Math.min(type.align, alignMax);
    offset[name] = alignUp(end, fieldAlign);
    end = offset[name] + type.size;
    align = Math.max(align, fieldAlign);
  }
  const size = alignUp(Math.max(end, options.sizeMin ?? 0), align);
  class Window {
    data;
    at;
    constructor(memory, at) {
      this.data = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
      this.at = 0;
      this.moveTo(at);
    }
    moveTo(at) {
      if (!(at >= 0 && at + size <= this.data.byteLength)) {
        throw new RangeError(
          `${cName} (${size} bytes) does not fit at ${at} of ${this.data.byteLength}`
        );
      }
      this.at = at;
    }
    static define(name, type, fieldOffset) {
      Object.defineProperty(Window.prototype, name, {
        enumerable: true,
        get() {
          return type.load(this.data, this.at + fieldOffset);
        },
        set(value) {
          type.store(this.data, this.at + fieldOffset, value);
        }
      });
    }
  }
  for (const name of Object.keys(fields)) {
    assert(name !== "moveTo" && name !== "data" && name !== "at", `${name} is the view's own name`);
    Window.define(name, fields[name], offset[name]);
  }
  return {
    cName,
    size,
    align,
    offset,
    fields,
    cFields: options.cFields ?? {},
    view: (memory, at = 0) => new Window(memory, at)
  };
}
function nested(inner) {
  const bytesAt = (data, at) => new Uint8Array(data.buffer, data.byteOffset + at, inner.size);
  return {
    size: inner.size,
    align: inner.align,
    load: (data, at) => inner.view(bytesAt(data, at)),
    store: (data, at, value) => {
      const target = inner.view(bytesAt(data, at));
      for (const name of Object.keys(inner.fields)) {
        target[name] = value[name];
      }
    }
  };
}

export {
  assert,
  unreachable,
  u8,
  u16,
  u32,
  u32be,
  i16,
  i32,
  u64,
  u64exact,
  byteArray,
  arrayOf,
  struct,
  nested
};
//# sourceMappingURL=chunk-WRZEEFDO.js.map
