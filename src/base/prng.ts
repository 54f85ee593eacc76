/**
 * A seeded generator, so that every simulated run can be repeated from its seed.
 * Algorithm: Bob Jenkins's small fast counter (sfc32). Never for secrets.
 */
export class Prng {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** @param seed any 32-bit number */
  constructor(seed: number) {
    this.a = seed >>> 0;
    this.b = 0x9e3779b9;
    this.c = 0x243f6a88;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** Uniform over 0 … 2^32 - 1. */
  uint32(): number {
    const sum = (this.a + this.b + this.counter) >>> 0;
    this.counter = (this.counter + 1) >>> 0;
    this.a = (this.b ^ (this.b >>> 9)) >>> 0;
    this.b = (this.c + (this.c << 3)) >>> 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) >>> 0;
    return sum;
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    if (!Number.isInteger(limit) || limit <= 0 || limit > 0x100000000) {
      throw new RangeError(`below() needs a limit from 1 to 2^32, not ${limit}`);
    }
    return Math.floor((this.uint32() / 0x100000000) * limit);
  }

  /** True with the given probability, 0 to 1. */
  chance(probability: number): boolean {
    return this.uint32() / 0x100000000 < probability;
  }

  /** One element of a non-empty array. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}
