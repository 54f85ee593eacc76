/** What a console printed last: the newest bytes up to a limit, for any number of readers, each at its own pace. */

const FIRST_SIZE = 4096;

/** How far one viewer has read. One that falls behind by more than the limit goes on with what is left. */
export class HistoryReader {
  private readonly history: History;
  private position: number;

  /** @param position counted from the first byte that the console ever printed */
  constructor(history: History, position: number) {
    this.history = history;
    this.position = position;
  }

  /** Bytes that are there and were not read yet. */
  get length(): number {
    return this.history.end - this.place();
  }

  /** The oldest unread bytes that lie in one run, a window that lasts until the next `append`; empty when there are none. */
  peek(): Uint8Array {
    return this.history.run(this.place());
  }

  /** Goes on after the next `length` bytes. */
  consume(length: number): void {
    this.position = Math.min(this.place() + length, this.history.end);
  }

  private place(): number {
    this.position = Math.max(this.position, this.history.start);
    return this.position;
  }
}

export class History {
  private readonly limit: number;
  /** A circle of bytes that grows with its content, so that a quiet console is cheap. */
  private circle = new Uint8Array(0);
  /** Where in the circle the oldest byte is. */
  private first = 0;
  private used = 0;
  /** Bytes that were ever appended. */
  end = 0;

  /** @param limit bytes to keep; what is older goes */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** How many bytes came before the oldest that is still there. */
  get start(): number {
    return this.end - this.used;
  }

  append(bytes: Uint8Array): void {
    this.end += bytes.length;
    const newest = bytes.subarray(Math.max(0, bytes.length - this.limit));
    this.forget(this.used + newest.length - this.limit);
    this.makeRoom(this.used + newest.length);
    const at = (this.first + this.used) % this.circle.length;
    const upTo = Math.min(newest.length, this.circle.length - at);
    this.circle.set(newest.subarray(0, upTo), at);
    this.circle.set(newest.subarray(upTo), 0);
    this.used += newest.length;
  }

  /** @param back how many of the bytes that are there already it gives, at most */
  reader(back: number): HistoryReader {
    return new HistoryReader(this, Math.max(this.start, this.end - back));
  }

  /** The bytes from `position` on that lie in one run. */
  run(position: number): Uint8Array {
    const skipped = position - this.start;
    if (skipped >= this.used) return this.circle.subarray(0, 0);
    const at = (this.first + skipped) % this.circle.length;
    return this.circle.subarray(at, Math.min(at + this.used - skipped, this.circle.length));
  }

  private forget(length: number): void {
    if (length <= 0) return;
    this.used -= length;
    this.first = (this.first + length) % this.circle.length;
  }

  private makeRoom(needed: number): void {
    if (needed <= this.circle.length) return;
    let size = Math.max(this.circle.length, FIRST_SIZE);
    while (size < needed) size *= 2;
    const grown = new Uint8Array(Math.min(size, Math.max(this.limit, needed)));
    const oldest = this.run(this.start);
    grown.set(oldest);
    grown.set(this.circle.subarray(0, this.used - oldest.length), oldest.length);
    this.circle = grown;
    this.first = 0;
  }
}
