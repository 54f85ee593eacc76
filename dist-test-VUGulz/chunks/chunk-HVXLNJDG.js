import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/base/clock.ts
function sleep(clock, delay_ms) {
  return new Promise((resolve) => {
    clock.after(delay_ms, resolve);
  });
}

// src/base/bytes.ts
function latin1Decode(bytes, start = 0, end = bytes.length) {
  const run = 1024;
  if (end - start <= run) return decodeRun(bytes, start, end);
  let text = "";
  for (let at = start; at < end; at += run) {
    text += decodeRun(bytes, at, Math.min(end, at + run));
  }
  return text;
}
function joinBytes(first, second = new Uint8Array(0)) {
  if (second.length === 0) return first;
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
var COPIED_SINGLY_MAX = 64;
function copyBytes(source, start, length, target, at) {
  if (length <= COPIED_SINGLY_MAX) {
    for (let i = 0; i < length; i++) target[at + i] = source[start + i];
  } else {
    target.set(length === source.length ? source : source.subarray(start, start + length), at);
  }
}
function decodeRun(bytes, start, end) {
  const codes = new Array(end - start);
  for (let i = start; i < end; i++) codes[i - start] = bytes[i];
  return String.fromCharCode.apply(null, codes);
}
function latin1Write(text, target, offset) {
  if (!(offset >= 0 && offset + text.length <= target.length)) {
    throw new RangeError(`${text.length} bytes do not fit at ${offset} of ${target.length}`);
  }
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) throw new RangeError(`character ${i} of a byte string is above 255`);
    target[offset + i] = code;
  }
  return offset + text.length;
}
function latin1Encode(text) {
  const bytes = new Uint8Array(text.length);
  latin1Write(text, bytes, 0);
  return bytes;
}

export {
  sleep,
  latin1Decode,
  joinBytes,
  copyBytes,
  latin1Write,
  latin1Encode
};
//# sourceMappingURL=chunk-HVXLNJDG.js.map
