/**
 * Hashes of strings that nobody can foresee who does not know the key: HalfSipHash-1-3. A guest
 * chooses the names of its nodes, and must not be able to choose them so that they all collide.
 */
import { XENSTORE_ABS_PATH_MAX } from '../abi/io/xs_wire.ts';

/** Any 32 bits of a string, as a signed number. The same for the same string, always. */
export type StringHash = (text: string) => number;

/** Bytes that one round takes. */
const WORD_SIZE = 4;
const FINAL_ROUNDS = 3;
const STATE_WORDS = 4;
/** Characters after which the state is kept, those of the longest path at most. */
const BLOCK_SIZE = 64;
const KEPT_MAX = XENSTORE_ABS_PATH_MAX;

/** Four characters from `at` on as one number. */
function wordAt(text: string, at: number): number {
  return (
    text.charCodeAt(at) |
    (text.charCodeAt(at + 1) << 8) |
    (text.charCodeAt(at + 2) << 16) |
    (text.charCodeAt(at + 3) << 24)
  );
}

/** Up to three characters from `at` on, and the length above them. */
function lastWord(text: string, at: number): number {
  const { length } = text;
  let word = length << 24;
  for (let i = at; i < length; i++) word ^= text.charCodeAt(i) << (8 * (i - at));
  return word;
}

/** Where the state after so many characters, whole blocks, is kept. */
const stateIndex = (size: number) => (size / BLOCK_SIZE - 1) * STATE_WORDS;

/**
 * A walk along a deep path asks for one text after the other that begins as the one before. To hash
 * each from its start would take a time that grows with the square of the depth, which a guest
 * chooses; so the states on the way through a long text are kept for the next.
 *
 * @param key0 32 secret bits, and
 * @param key1 32 more
 */
export function keyedHash(key0: number, key1: number): StringHash {
  let long = '';
  const states = new Int32Array((KEPT_MAX / BLOCK_SIZE) * STATE_WORDS);
  /** With how many characters the states of which are kept a text begins: all blocks, or none. */
  const sizeKept = (text: string) => {
    const size = Math.min(text.length, long.length, KEPT_MAX) & -BLOCK_SIZE;
    return text.slice(0, size) === long.slice(0, size) ? size : 0;
  };
  const hashOf = (text: string) => {
    let v0 = key0 | 0;
    let v1 = key1 | 0;
    let v2 = key0 ^ 0x6c796765;
    let v3 = key1 ^ 0x74656462;
    let at = 0;
    if (text.length >= BLOCK_SIZE) {
      at = sizeKept(text);
      if (at > 0) {
        const state = stateIndex(at);
        v0 = states[state] as number;
        v1 = states[state + 1] as number;
        v2 = states[state + 2] as number;
        v3 = states[state + 3] as number;
      }
      long = text;
    }
    const end = text.length & -WORD_SIZE;
    const rounds = end + WORD_SIZE * (1 + FINAL_ROUNDS);
    for (; at < rounds; at += WORD_SIZE) {
      let word = 0;
      if (at < end) word = wordAt(text, at);
      else if (at === end) word = lastWord(text, at);
      else if (at === end + WORD_SIZE) v2 ^= 0xff;
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
      const done = at + WORD_SIZE;
      if (done % BLOCK_SIZE === 0 && done <= end && done <= KEPT_MAX) {
        const state = stateIndex(done);
        states[state] = v0;
        states[state + 1] = v1;
        states[state + 2] = v2;
        states[state + 3] = v3;
      }
    }
    return v1 ^ v3;
  };
  // One request looks for the same node again and again.
  let last = '';
  let lastHash = hashOf(last);
  return (text) => {
    if (text !== last) {
      lastHash = hashOf(text);
      last = text;
    }
    return lastHash;
  };
}

/** A hash with a key of its own, which is never shown to anybody. */
export function randomHash(): StringHash {
  const word = () => Math.floor(Math.random() * 0x100000000);
  return keyedHash(word(), word());
}
