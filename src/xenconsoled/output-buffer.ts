/** What a guest has printed and no terminal has taken yet: the newest bytes up to a limit. */

const FIRST_SIZE = 4096;

export class OutputBuffer {
  private readonly limit: number;
  /** A circle of bytes that grows with its content, so that a quiet console is cheap. */
  private circle = new Uint8Array(0);
  private start = 0;
  private used = 0;

  /** @param limit bytes to keep; what is older goes */
  constructor(limit: number) {
    this.limit = limit;
  }

  get length(): number {
    return this.used;
  }

  append(bytes: Uint8Array): void {
    const newest = bytes.subarray(Math.max(0, bytes.length - this.limit));
    const excess = this.used + newest.length - this.limit;
    if (excess > 0) this.consume(excess);
    this.makeRoom(this.used + newest.length);
    const at = (this.start + this.used) % this.circle.length;
    const first = Math.min(newest.length, this.circle.length - at);
    this.circle.set(newest.subarray(0, first), at);
    this.circle.set(newest.subarray(first), 0);
    this.used += newest.length;
  }

  /** The oldest bytes that lie in one run, a window that lasts until the next `append`; empty when there are none. */
  peek(): Uint8Array {
    return this.circle.subarray(this.start, Math.min(this.start + this.used, this.circle.length));
  }

  /** Forgets the oldest `length` bytes. */
  consume(length: number): void {
    this.used -= length;
    this.start = this.used === 0 ? 0 : (this.start + length) % this.circle.length;
  }

  private makeRoom(needed: number): void {
    if (needed <= this.circle.length) return;
    let size = Math.max(this.circle.length, FIRST_SIZE);
    while (size < needed) size *= 2;
    const grown = new Uint8Array(Math.min(size, Math.max(this.limit, needed)));
    const first = this.peek();
    grown.set(first);
    grown.set(this.circle.subarray(0, this.used - first.length), first.length);
    this.circle = grown;
    this.start = 0;
  }
}
