/**
 * Text on Xen's wires is bytes. Paths and numbers are ASCII; values are whatever the writer put
 * there. Latin-1 maps each byte to one character and back, so no value is ever damaged.
 */

/** Bytes to a string with one character per byte (0 to 255). */
export function latin1Decode(bytes: Uint8Array, start = 0, end = bytes.length): string {
  // String.fromCharCode takes its arguments on the stack, so it is fed in bounded runs. It takes
  // them many times faster from an array of numbers than spread from a typed one.
  const run = 1024;
  if (end - start <= run) return decodeRun(bytes, start, end);
  let text = '';
  for (let at = start; at < end; at += run) {
    text += decodeRun(bytes, at, Math.min(end, at + run));
  }
  return text;
}

/** The bytes of both, one after the other. */
export function joinBytes(first: Uint8Array, second: Uint8Array = new Uint8Array(0)): Uint8Array {
  if (second.length === 0) return first;
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

/** All of them, one after the other. */
export function concatBytes(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length <= 2) return joinBytes(pieces[0] ?? new Uint8Array(0), pieces[1]);
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Up to here a loop copies faster than `set` makes a window for. */
const COPIED_SINGLY_MAX = 64;

/** Copies `length` bytes of `source` from `start` on to `target` at `at`. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  length: number,
  target: Uint8Array,
  at: number,
): void {
  if (length <= COPIED_SINGLY_MAX) {
    for (let i = 0; i < length; i++) target[at + i] = source[start + i] as number;
  } else {
    target.set(length === source.length ? source : source.subarray(start, start + length), at);
  }
}

function decodeRun(bytes: Uint8Array, start: number, end: number): string {
  const codes = new Array<number>(end - start);
  for (let i = start; i < end; i++) codes[i - start] = bytes[i] as number;
  return String.fromCharCode.apply(null, codes);
}

/**
 * Writes `text` at `offset` and returns the offset after it. Throws `RangeError` on a character
 * above 255 and where the text does not fit.
 */
export function latin1Write(text: string, target: Uint8Array, offset: number): number {
  if (!(offset >= 0 && offset + text.length <= target.length)) {
    throw new RangeError(`${text.length} bytes do not fit at ${offset} of ${target.length}`);
  }
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw new RangeError(`character ${i} of a byte string is above 255`);
    target[offset + i] = code;
  }
  return offset + text.length;
}

/** A string with one character per byte to bytes. Throws on a character above 255. */
export function latin1Encode(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  latin1Write(text, bytes, 0);
  return bytes;
}
