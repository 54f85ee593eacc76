/**
 * One direction of a byte stream in shared memory: a data area and two indexes that run freely
 * over 32 bits. The console page, the xenstore page and vchan have two of these each.
 *
 * Both indexes are read from the shared page each time, one's own too: hvmloader clears the
 * whole xenstore page when it hands over to the guest's kernel, and the stream goes on from zero.
 * Every pair is checked, so a peer that writes the index that is not its own gains nothing.
 *
 * Neither class notifies anybody: when to do so differs between the protocols.
 */
import { assert } from '../base/assert.ts';
import { copyBytes } from '../base/bytes.ts';
import { ProtocolViolation } from '../base/errors.ts';

/** Where a byte ring lies. */
export interface ByteRing {
  /** For errors: `xenstore requests`. */
  readonly name: string;
  /** The data area; its size is a power of two. */
  readonly data: Uint8Array;
  /** The page that holds the indexes. */
  readonly page: Uint8Array;
  /** Byte offsets of the indexes in the page. */
  readonly cons: number;
  readonly prod: number;
}

/** The indexes of one ring, checked whenever they are read. */
class ByteRingIndexes {
  readonly size: number;
  private readonly words: Uint32Array;
  private readonly consWord: number;
  private readonly prodWord: number;
  private readonly name: string;
  cons = 0;
  prod = 0;

  constructor(ring: ByteRing) {
    this.size = ring.data.length;
    assert(this.size > 0 && (this.size & (this.size - 1)) === 0, 'a ring size is a power of two');
    assert(ring.cons % 4 === 0 && ring.prod % 4 === 0, 'an index is a 32-bit word');
    this.words = new Uint32Array(ring.page.buffer, ring.page.byteOffset, ring.page.length >> 2);
    this.consWord = ring.cons / 4;
    this.prodWord = ring.prod / 4;
    this.name = ring.name;
  }

  /** Reads both indexes and returns how many bytes lie between them. */
  load(): number {
    this.cons = Atomics.load(this.words, this.consWord);
    this.prod = Atomics.load(this.words, this.prodWord);
    const used = (this.prod - this.cons) >>> 0;
    if (used > this.size) {
      throw new ProtocolViolation(
        `read the indexes of ${this.name}`,
        'byte ring: prod - cons <= size',
        `prod ${this.prod}, cons ${this.cons}, size ${this.size}`,
      );
    }
    return used;
  }

  /** Whether the producer has gone on since `load`. */
  get producerMoved(): boolean {
    return Atomics.load(this.words, this.prodWord) !== this.prod;
  }

  /** Whether the consumer has gone on since `load`. */
  get consumerMoved(): boolean {
    return Atomics.load(this.words, this.consWord) !== this.cons;
  }

  consumed(length: number): void {
    Atomics.store(this.words, this.consWord, this.cons + length);
  }

  produced(length: number): void {
    Atomics.store(this.words, this.prodWord, this.prod + length);
  }
}

export class ByteRingReader {
  private readonly data: Uint8Array;
  private readonly indexes: ByteRingIndexes;

  constructor(ring: ByteRing) {
    this.data = ring.data;
    this.indexes = new ByteRingIndexes(ring);
  }

  /** Bytes that can be read now. Throws `ProtocolViolation` when the indexes are not ones that can be. */
  get available(): number {
    return this.indexes.load();
  }

  /** The producer's index as it was when `available` or `read` last looked. */
  get produced(): number {
    return this.indexes.prod;
  }

  /** Whether bytes came since `available` or `read` last looked: one look at the page, and no check. */
  get moved(): boolean {
    return this.indexes.producerMoved;
  }

  /** Moves bytes from the ring to `target`; returns how many. Throws `ProtocolViolation` as `available` does. */
  read(target: Uint8Array): number {
    const length = this.peek(target, 0);
    if (length > 0) this.indexes.consumed(length);
    return length;
  }

  /** Copies bytes to `target` that come after the next `skip`, and leaves them in the ring. Otherwise as `read`. */
  peek(target: Uint8Array, skip: number): number {
    const length = Math.min(this.indexes.load() - skip, target.length);
    if (length <= 0) return 0;
    const start = (this.indexes.cons + skip) & (this.data.length - 1);
    const first = Math.min(length, this.data.length - start);
    copyBytes(this.data, start, first, target, 0);
    if (first < length) copyBytes(this.data, 0, length - first, target, first);
    return length;
  }

  /** Takes `length` bytes out of the ring, as far as they are there. Throws `ProtocolViolation` as `available` does. */
  skip(length: number): void {
    this.indexes.consumed(Math.min(this.indexes.load(), length));
  }
}

export class ByteRingWriter {
  private readonly data: Uint8Array;
  private readonly indexes: ByteRingIndexes;

  constructor(ring: ByteRing) {
    this.data = ring.data;
    this.indexes = new ByteRingIndexes(ring);
  }

  /** Bytes that fit now. Throws `ProtocolViolation` when the indexes are not ones that can be. */
  get space(): number {
    return this.data.length - this.indexes.load();
  }

  /** Whether bytes were taken since `space` or `write` last looked: one look at the page, and no check. */
  get moved(): boolean {
    return this.indexes.consumerMoved;
  }

  /** Moves bytes from `source` to the ring; returns how many fitted. Throws `ProtocolViolation` as `space` does. */
  write(source: Uint8Array): number {
    const length = Math.min(this.data.length - this.indexes.load(), source.length);
    if (length === 0) return 0;
    const start = this.indexes.prod & (this.data.length - 1);
    const first = Math.min(length, this.data.length - start);
    copyBytes(source, 0, first, this.data, start);
    if (first < length) copyBytes(source, first, length - first, this.data, 0);
    this.indexes.produced(length);
    return length;
  }
}
