/**
 * The value of a node. Most are a few letters, and a string of those takes a tenth of the memory
 * that the engine needs for an array of bytes; so short values are kept as strings, one character
 * per byte. Long ones stay bytes.
 */
import { latin1Decode, latin1Encode } from '../base/bytes.ts';

/** Its `length` is its size in bytes, whichever it is. */
export type Value = string | Uint8Array;

export const NO_VALUE: Value = '';

/** Up to this size, in bytes, a value is kept as a string. */
const STRING_MAX = 64;

/** The bytes of a request from `start` on, as a value to keep. The request is not written to again. */
export function valueFrom(payload: Uint8Array, start: number): Value {
  const size = payload.length - start;
  if (size <= STRING_MAX) return latin1Decode(payload, start);
  // A small value must not keep a long path alive; a large one may keep a short path.
  return size > start ? payload.subarray(start) : payload.slice(start);
}

/** The bytes of a value. Not to be written to. */
export function bytesOf(value: Value): Uint8Array {
  return typeof value === 'string' ? latin1Encode(value) : value;
}
