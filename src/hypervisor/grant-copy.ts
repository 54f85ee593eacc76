/** A batch of grant copies, written down for a native layer that hands them to Xen. */
import { type DomId, domId, type GrantRef, grantRef } from '../base/ids.ts';
import { type AddCopy, type CopyBatch, PAGE_SIZE } from './contract.ts';

/** Words that describe one copy, in this order. */
const COPY_REF = 0;
const COPY_DOMID = 1;
const COPY_OFFSET = 2;
const COPY_LENGTH = 3;
const COPY_TO_PEER = 4;
const COPY_LOCAL = 5;
const COPY_AT = 6;
const COPY_WORDS = 7;

/**
 * Does `count` copies in order and fills `statuses`. Throws when they could not be tried.
 * @param operations seven words a copy: reference, domid, offset, length, 1 if it goes to the peer, and
 *   our side of it: which of `locals`, and from which byte on
 * @param locals arrays in the order in which the copies need them
 */
export type CopyGrants = (
  operations: Uint32Array,
  locals: readonly Uint8Array[],
  statuses: Int16Array,
  count: number,
) => void;

const nothing = new Uint8Array(0);

/** One copy, read back from the words that describe it. */
export interface CopyOperation {
  readonly ref: GrantRef;
  readonly peer: DomId;
  /** In the peer's page. */
  readonly offset: number;
  readonly toPeer: boolean;
  /** Our side of it, as long as the copy. */
  readonly local: Uint8Array;
}

/** Copy `index` of those that `CopyGrants` is called with. */
export function copyOperation(
  operations: Uint32Array,
  locals: readonly Uint8Array[],
  index: number,
): CopyOperation {
  const word = (which: number) => operations[index * COPY_WORDS + which] as number;
  const at = word(COPY_AT);
  return {
    ref: grantRef(word(COPY_REF)),
    peer: domId(word(COPY_DOMID)),
    offset: word(COPY_OFFSET),
    toPeer: word(COPY_TO_PEER) === 1,
    local: locals[word(COPY_LOCAL)]!.subarray(at, at + word(COPY_LENGTH)),
  };
}

export class GrantCopyBatch implements CopyBatch {
  readonly capacity: number;
  private readonly copyGrants: CopyGrants;
  private readonly operations: Uint32Array;
  private readonly locals: Uint8Array[];
  private readonly statuses: Int16Array;
  private localCount = 0;
  private filled = 0;
  private ran = 0;

  constructor(capacity: number, copyGrants: CopyGrants) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 65536) {
      throw new RangeError(`a batch holds from 1 to 65536 copies, not ${capacity}`);
    }
    this.copyGrants = copyGrants;
    this.capacity = capacity;
    this.operations = new Uint32Array(capacity * COPY_WORDS);
    this.locals = new Array<Uint8Array>(capacity).fill(nothing);
    this.statuses = new Int16Array(capacity);
  }

  get length(): number {
    return this.filled;
  }

  readonly fromPeer: AddCopy = (peer, ref, offset, local, at = 0, length = local.length - at) =>
    this.add(peer, ref, offset, local, at, length, 0);

  readonly toPeer: AddCopy = (peer, ref, offset, local, at = 0, length = local.length - at) =>
    this.add(peer, ref, offset, local, at, length, 1);

  private add(
    peer: DomId,
    ref: GrantRef,
    offset: number,
    local: Uint8Array,
    at: number,
    length: number,
    toPeer: 0 | 1,
  ): number {
    if (this.filled === this.capacity) {
      throw new RangeError(`a batch for ${this.capacity} copies is full`);
    }
    if (!Number.isInteger(offset) || offset < 0 || length < 0 || offset + length > PAGE_SIZE) {
      throw new RangeError(`${length} bytes at ${offset} are not within the peer's page`);
    }
    if (
      !Number.isInteger(at) ||
      at < 0 ||
      !Number.isInteger(length) ||
      at + length > local.length
    ) {
      throw new RangeError(`${length} bytes at ${at} are not within the local ${local.length}`);
    }
    const index = this.filled;
    const word = index * COPY_WORDS;
    const { operations } = this;
    operations[word + COPY_REF] = grantRef(ref);
    operations[word + COPY_DOMID] = domId(peer);
    operations[word + COPY_OFFSET] = offset;
    operations[word + COPY_LENGTH] = length;
    operations[word + COPY_TO_PEER] = toPeer;
    operations[word + COPY_LOCAL] = this.indexOf(local);
    operations[word + COPY_AT] = at;
    this.filled = index + 1;
    return index;
  }

  /** Its place among the arrays of this batch, which the native layer looks up one by one. */
  private indexOf(local: Uint8Array): number {
    const last = this.localCount - 1;
    if (last >= 0 && this.locals[last] === local) return last;
    this.locals[this.localCount] = local;
    return this.localCount++;
  }

  run(): number {
    const count = this.filled;
    this.filled = 0;
    this.localCount = 0;
    this.ran = 0;
    this.copyGrants(this.operations, this.locals, this.statuses, count);
    this.ran = count;
    let refused = 0;
    for (let index = 0; index < count; index++) if (this.statuses[index] !== 0) refused++;
    return refused;
  }

  status(index: number): number {
    if (!Number.isInteger(index) || index < 0 || index >= this.ran) {
      throw new RangeError(`copy ${index} of a batch of ${this.ran}`);
    }
    return this.statuses[index] as number;
  }
}
