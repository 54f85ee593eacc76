/**
 * Hashes of strings that nobody can foresee who does not know the key: HalfSipHash-1-3. A guest
 * chooses the names of its nodes, and must not be able to choose them so that they all collide.
 */

/** Any 32 bits of a string, as a signed number. The same for the same string, always. */
export type StringHash = (text: string) => number;

/** Bytes that one round takes. */
const WORD_SIZE = 4;
const FINAL_ROUNDS = 3;

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

/**
 * @param key0 32 secret bits, and
 * @param key1 32 more
 */
export function keyedHash(key0: number, key1: number): StringHash {
  const hashOf = (text: string) => {
    let v0 = key0 | 0;
    let v1 = key1 | 0;
    let v2 = key0 ^ 0x6c796765;
    let v3 = key1 ^ 0x74656462;
    const end = text.length & -WORD_SIZE;
    const rounds = end + WORD_SIZE * (1 + FINAL_ROUNDS);
    for (let at = 0; at < rounds; at += WORD_SIZE) {
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
