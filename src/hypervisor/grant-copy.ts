/** A batch of grant copies, written down for a native layer that hands them to Xen. */
import { type DomId, domId, type GrantRef, grantRef } from '../base/ids.ts';
import { type CopyBatch, PAGE_SIZE } from './contract.ts';

/** Words that describe one copy, in this order. */
const COPY_REF = 0;
const COPY_DOMID = 1;
const COPY_OFFSET = 2;
const COPY_LENGTH = 3;
const COPY_TO_PEER = 4;
const COPY_WORDS = 5;

/**
 * Does `count` copies in order and fills `statuses`. Throws when they could not be tried.
 * @param operations five words a copy: reference, domid, offset, length, and 1 if it goes to the peer
 * @param locals our side of each
 */
export type CopyGrants = (
  operations: Uint32Array,
  locals: readonly Uint8Array[],
  statuses: Int16Array,
  count: number,
) => void;

const nothing = new Uint8Array(0);

export class GrantCopyBatch implements CopyBatch {
  readonly capacity: number;
  private readonly copyGrants: CopyGrants;
  private readonly operations: Uint32Array;
  private readonly locals: Uint8Array[];
  private readonly statuses: Int16Array;
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

  fromPeer(peer: DomId, ref: GrantRef, offset: number, local: Uint8Array): number {
    return this.add(peer, ref, offset, local, 0);
  }

  toPeer(peer: DomId, ref: GrantRef, offset: number, local: Uint8Array): number {
    return this.add(peer, ref, offset, local, 1);
  }

  private add(
    peer: DomId,
    ref: GrantRef,
    offset: number,
    local: Uint8Array,
    toPeer: 0 | 1,
  ): number {
    if (this.filled === this.capacity) {
      throw new RangeError(`a batch for ${this.capacity} copies is full`);
    }
    if (!Number.isInteger(offset) || offset < 0 || offset + local.length > PAGE_SIZE) {
      throw new RangeError(`${local.length} bytes at ${offset} are not within the peer's page`);
    }
    const index = this.filled;
    const at = index * COPY_WORDS;
    this.operations[at + COPY_REF] = grantRef(ref);
    this.operations[at + COPY_DOMID] = domId(peer);
    this.operations[at + COPY_OFFSET] = offset;
    this.operations[at + COPY_LENGTH] = local.length;
    this.operations[at + COPY_TO_PEER] = toPeer;
    this.locals[index] = local;
    this.filled = index + 1;
    return index;
  }

  run(): number {
    const count = this.filled;
    this.filled = 0;
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
