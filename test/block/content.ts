/** Content of disks, made and compared. */
import { expect } from 'vitest';
import { Prng } from '../../src/base/prng.ts';

export function pattern(length: number, seed: number): Uint8Array {
  const prng = new Prng(seed);
  return Uint8Array.from({ length }, () => prng.uint32());
}

export function expectSame(found: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(found, expected)).toBe(0);
}
