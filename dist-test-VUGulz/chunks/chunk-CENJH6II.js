import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  copyBytes
} from "./chunk-HVXLNJDG.js";
import {
  assert
} from "./chunk-WRZEEFDO.js";
import {
  ProtocolViolation,
  XenError
} from "./chunk-4IU4G7QT.js";

// src/ring/byte-ring.ts
var ByteRingIndexes = class {
  size;
  words;
  consWord;
  prodWord;
  name;
  cons = 0;
  prod = 0;
  constructor(ring) {
    this.size = ring.data.length;
    assert(this.size > 0 && (this.size & this.size - 1) === 0, "a ring size is a power of two");
    assert(ring.cons % 4 === 0 && ring.prod % 4 === 0, "an index is a 32-bit word");
    this.words = new Uint32Array(ring.page.buffer, ring.page.byteOffset, ring.page.length >> 2);
    this.consWord = ring.cons / 4;
    this.prodWord = ring.prod / 4;
    this.name = ring.name;
  }
  /** Reads both indexes and returns how many bytes lie between them. */
  load() {
    this.cons = Atomics.load(this.words, this.consWord);
    this.prod = Atomics.load(this.words, this.prodWord);
    const used = this.prod - this.cons >>> 0;
    if (used > this.size) {
      throw new ProtocolViolation(
        `read the indexes of ${this.name}`,
        "byte ring: prod - cons <= size",
        `prod ${this.prod}, cons ${this.cons}, size ${this.size}`
      );
    }
    return used;
  }
  /** Whether the producer has gone on since `load`. */
  get producerMoved() {
    return Atomics.load(this.words, this.prodWord) !== this.prod;
  }
  /** Whether the consumer has gone on since `load`. */
  get consumerMoved() {
    return Atomics.load(this.words, this.consWord) !== this.cons;
  }
  consumed(length) {
    Atomics.store(this.words, this.consWord, this.cons + length);
  }
  produced(length) {
    Atomics.store(this.words, this.prodWord, this.prod + length);
  }
};
var ByteRingReader = class {
  data;
  indexes;
  constructor(ring) {
    this.data = ring.data;
    this.indexes = new ByteRingIndexes(ring);
  }
  /** Bytes that can be read now. Throws `ProtocolViolation` when the indexes are not ones that can be. */
  get available() {
    return this.indexes.load();
  }
  /** The producer's index as it was when `available` or `read` last looked. */
  get produced() {
    return this.indexes.prod;
  }
  /** Whether bytes came since `available` or `read` last looked: one look at the page, and no check. */
  get moved() {
    return this.indexes.producerMoved;
  }
  /** Moves bytes from the ring to `target`; returns how many. Throws `ProtocolViolation` as `available` does. */
  read(target) {
    const length = this.peek(target, 0);
    if (length > 0) this.indexes.consumed(length);
    return length;
  }
  /** Copies bytes to `target` that come after the next `skip`, and leaves them in the ring. Otherwise as `read`. */
  peek(target, skip) {
    const length = Math.min(this.indexes.load() - skip, target.length);
    if (length <= 0) return 0;
    const start = this.indexes.cons + skip & this.data.length - 1;
    const first = Math.min(length, this.data.length - start);
    copyBytes(this.data, start, first, target, 0);
    if (first < length) copyBytes(this.data, 0, length - first, target, first);
    return length;
  }
  /** Takes `length` bytes out of the ring, as far as they are there. Throws `ProtocolViolation` as `available` does. */
  skip(length) {
    this.indexes.consumed(Math.min(this.indexes.load(), length));
  }
};
var ByteRingWriter = class {
  data;
  indexes;
  constructor(ring) {
    this.data = ring.data;
    this.indexes = new ByteRingIndexes(ring);
  }
  /** Bytes that fit now. Throws `ProtocolViolation` when the indexes are not ones that can be. */
  get space() {
    return this.data.length - this.indexes.load();
  }
  /** Whether bytes were taken since `space` or `write` last looked: one look at the page, and no check. */
  get moved() {
    return this.indexes.consumerMoved;
  }
  /** Moves bytes from `source` to the ring; returns how many fitted. Throws `ProtocolViolation` as `space` does. */
  write(source) {
    const length = Math.min(this.data.length - this.indexes.load(), source.length);
    if (length === 0) return 0;
    const start = this.indexes.prod & this.data.length - 1;
    const first = Math.min(length, this.data.length - start);
    copyBytes(source, 0, first, this.data, start);
    if (first < length) copyBytes(source, first, length - first, this.data, 0);
    this.indexes.produced(length);
    return length;
  }
};

// src/ring/stream-end.ts
var StreamEnd = class {
  onWake;
  failure;
  isClosed = false;
  /** @param onWake lets the stream's owner look again; not called after `close` */
  constructor(onWake) {
    this.onWake = onWake;
  }
  /** True after the peer broke a rule, when `error` says which, and after `close`. */
  get over() {
    return this.isClosed || this.failure !== void 0;
  }
  get closed() {
    return this.isClosed;
  }
  /** Why the stream ended by itself: a `ProtocolViolation`, or the binding's refusal to notify. */
  get error() {
    return this.failure;
  }
  /** Closes the stream, and returns whether that was still to be done. */
  close() {
    const { isClosed } = this;
    this.isClosed = true;
    return !isClosed;
  }
  /** Ends the stream for an operating error, and tells its owner. A bug of ours goes on up. */
  fail(error) {
    if (!(error instanceof XenError)) throw error;
    this.failure ??= error;
    this.wakeSoon();
    return 0;
  }
  /** For the event loop to call. */
  wake() {
    if (!this.isClosed) this.onWake();
  }
  wakeSoon() {
    void Promise.resolve().then(() => this.wake());
  }
};

export {
  ByteRingReader,
  ByteRingWriter,
  StreamEnd
};
//# sourceMappingURL=chunk-CENJH6II.js.map
