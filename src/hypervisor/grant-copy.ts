/** A batch of grant copies, written down for a native layer that hands them to Xen. */
import { type DomId, domId, type GrantRef, grantRef } from '../base/ids.ts';
import { type AddCopy, type AddCopyBetween, type CopyBatch, PAGE_SIZE } from './contract.ts';

/** Words that describe one copy, in this order. */
const COPY_REF = 0;
const COPY_DOMID = 1;
const COPY_OFFSET = 2;
const COPY_LENGTH = 3;
const COPY_KIND = 4;
const COPY_LOCAL = 5;
const COPY_AT = 6;
const COPY_TARGET_DOMID = 7;
const COPY_WORDS = 8;
/** In place of `COPY_LOCAL` and `COPY_AT` where both sides are peers'. */
const COPY_TARGET_REF = COPY_LOCAL;
const COPY_TARGET_OFFSET = COPY_AT;

const FROM_PEER = 0;
const TO_PEER = 1;
const BETWEEN_PEERS = 2;
type CopyKind = typeof FROM_PEER | typeof TO_PEER | typeof BETWEEN_PEERS;

/**
 * Does `count` copies in order and fills `statuses`. Throws when they could not be tried.
 * @param operations eight words a copy: reference, domid, offset, length, 0 if it comes from that peer
 *   and 1 if it goes there, our side of it, which is one of `locals` and a byte of that, and a word
 *   that is not used. Or 2 if it goes from that peer to another, and then that one's reference,
 *   offset and domid
 * @param locals arrays in the order in which the copies need them
 */
export type CopyGrants = (
  operations: Uint32Array,
  locals: readonly Uint8Array[],
  statuses: Int16Array,
  count: number,
) => void;

const nothing = new Uint8Array(0);

/** A peer's side of a copy. */
export interface GrantedPlace {
  readonly peer: DomId;
  readonly ref: GrantRef;
  /** In the peer's page. */
  readonly offset: number;
}

/** One copy, read back from the words that describe it. Our side of it is as long as the copy. */
export interface CopyOperation {
  readonly source: Uint8Array | GrantedPlace;
  readonly target: Uint8Array | GrantedPlace;
  readonly length: number;
}

/** Copy `index` of those that `CopyGrants` is called with. */
export function copyOperation(
  operations: Uint32Array,
  locals: readonly Uint8Array[],
  index: number,
): CopyOperation {
  const word = (which: number) => operations[index * COPY_WORDS + which] as number;
  const place = (ref: number, peer: number, offset: number): GrantedPlace => ({
    ref: grantRef(word(ref)),
    peer: domId(word(peer)),
    offset: word(offset),
  });
  const kind = word(COPY_KIND);
  const length = word(COPY_LENGTH);
  const first = place(COPY_REF, COPY_DOMID, COPY_OFFSET);
  if (kind === BETWEEN_PEERS) {
    const target = place(COPY_TARGET_REF, COPY_TARGET_DOMID, COPY_TARGET_OFFSET);
    return { source: first, target, length };
  }
  const at = word(COPY_AT);
  const local = locals[word(COPY_LOCAL)]!.subarray(at, at + length);
  return kind === TO_PEER
    ? { source: local, target: first, length }
    : { source: first, target: local, length };
}

export class GrantCopyBatch implements CopyBatch {
  readonly capacity: number;
  private readonly copyGrants: CopyGrants;
  private readonly operations: Uint32Array;
  private readonly locals: Uint8Array[];
  private readonly statuses: Int16Array;
  private localCount = 0;
  /** All of the buffer that was looked up last. */
  private whole: Uint8Array = nothing;
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
    this.add(peer, ref, offset, local, at, length, FROM_PEER);

  readonly toPeer: AddCopy = (peer, ref, offset, local, at = 0, length = local.length - at) =>
    this.add(peer, ref, offset, local, at, length, TO_PEER);

  readonly between: AddCopyBetween = (
    source,
    sourceRef,
    sourceOffset,
    target,
    targetRef,
    targetOffset,
    length,
  ) => {
    checkPlace(targetOffset, length);
    const word = this.describe(source, sourceRef, sourceOffset, length, BETWEEN_PEERS);
    const { operations } = this;
    operations[word + COPY_TARGET_REF] = grantRef(targetRef);
    operations[word + COPY_TARGET_OFFSET] = targetOffset;
    operations[word + COPY_TARGET_DOMID] = domId(target);
    return this.filled++;
  };

  private add(
    peer: DomId,
    ref: GrantRef,
    offset: number,
    local: Uint8Array,
    at: number,
    length: number,
    kind: typeof FROM_PEER | typeof TO_PEER,
  ): number {
    if (!Number.isInteger(at) || at < 0 || at + length > local.length) {
      throw new RangeError(`${length} bytes at ${at} are not within the local ${local.length}`);
    }
    const word = this.describe(peer, ref, offset, length, kind);
    const { operations } = this;
    operations[word + COPY_LOCAL] = this.indexOf(local.buffer);
    operations[word + COPY_AT] = local.byteOffset + at;
    return this.filled++;
  }

  /**
   * Writes the words that copies of every kind have; returns where those of this one begin. Throws
   * RangeError when there is no room for it, or it is not within the peer's page.
   */
  private describe(
    peer: DomId,
    ref: GrantRef,
    offset: number,
    length: number,
    kind: CopyKind,
  ): number {
    checkPlace(offset, length);
    if (this.filled === this.capacity) {
      throw new RangeError(`a batch for ${this.capacity} copies is full`);
    }
    const word = this.filled * COPY_WORDS;
    const { operations } = this;
    operations[word + COPY_REF] = grantRef(ref);
    operations[word + COPY_DOMID] = domId(peer);
    operations[word + COPY_OFFSET] = offset;
    operations[word + COPY_LENGTH] = length;
    operations[word + COPY_KIND] = kind;
    return word;
  }

  /**
   * Its place among the arrays of this batch, which the native layer looks up one by one: most copies
   * are to or from parts of one buffer.
   */
  private indexOf(buffer: ArrayBufferLike): number {
    if (this.whole.buffer !== buffer) this.whole = new Uint8Array(buffer);
    const last = this.localCount - 1;
    if (last >= 0 && this.locals[last] === this.whole) return last;
    this.locals[this.localCount] = this.whole;
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

function checkPlace(offset: number, length: number): void {
  const isWithin = Number.isInteger(offset) && offset >= 0 && offset + length <= PAGE_SIZE;
  if (isWithin && Number.isInteger(length) && length >= 0) return;
  throw new RangeError(`${length} bytes at ${offset} are not within the peer's page`);
}
