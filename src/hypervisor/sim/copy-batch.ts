import { GNTST_general_error, GNTST_okay } from '../../abi/grant_table.ts';
import { type DomId, domId, type GrantRef, grantRef } from '../../base/ids.ts';
import type { CopyBatch } from '../contract.ts';
import { checkCopyRange } from '../grant-copy.ts';
import { findGrant } from './grants.ts';
import type { Domain, Xen } from './xen.ts';

interface Copy {
  toPeer: boolean;
  peer: DomId;
  ref: GrantRef;
  offset: number;
  local: Uint8Array;
  at: number;
  length: number;
  status: number;
}

const nowhere = new Uint8Array(0);

export class SimCopyBatch implements CopyBatch {
  readonly capacity: number;
  private readonly xen: Xen;
  private readonly domain: Domain;
  private readonly assertOpen: () => void;
  private readonly copies: Copy[];
  private filled = 0;
  private ran = 0;

  /** @param assertOpen throws when the process that made the batch has ended */
  constructor(xen: Xen, domain: Domain, capacity: number, assertOpen: () => void) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`a batch holds 1 copy or more, not ${capacity}`);
    }
    this.xen = xen;
    this.domain = domain;
    this.capacity = capacity;
    this.assertOpen = assertOpen;
    this.copies = Array.from({ length: capacity }, () => ({
      toPeer: false,
      peer: domain.domid,
      ref: grantRef(0),
      offset: 0,
      local: nowhere,
      at: 0,
      length: 0,
      status: GNTST_okay,
    }));
  }

  get length(): number {
    return this.filled;
  }

  fromPeer(
    peer: DomId,
    ref: GrantRef,
    offset: number,
    local: Uint8Array,
    at = 0,
    length = local.length - at,
  ): number {
    return this.add(false, peer, ref, offset, local, at, length);
  }

  toPeer(
    peer: DomId,
    ref: GrantRef,
    offset: number,
    local: Uint8Array,
    at = 0,
    length = local.length - at,
  ): number {
    return this.add(true, peer, ref, offset, local, at, length);
  }

  run(): number {
    this.assertOpen();
    let refused = 0;
    for (let index = 0; index < this.filled; index++) {
      const copy = this.copies[index] as Copy;
      copy.status = this.perform(copy);
      copy.local = nowhere;
      if (copy.status !== GNTST_okay) refused += 1;
    }
    this.xen.trace(this.domain, () => `copies ${this.filled} times, ${refused} refused`);
    this.ran = this.filled;
    this.filled = 0;
    return refused;
  }

  status(index: number): number {
    const copy = index < this.ran ? this.copies[index] : undefined;
    if (copy === undefined) throw new RangeError(`copy ${index} of a batch of ${this.ran}`);
    return copy.status;
  }

  private add(
    toPeer: boolean,
    peer: DomId,
    ref: GrantRef,
    offset: number,
    local: Uint8Array,
    at: number,
    length: number,
  ): number {
    this.assertOpen();
    if (this.filled === this.capacity) {
      throw new RangeError(`a batch for ${this.capacity} copies is full`);
    }
    checkCopyRange(offset, local, at, length);
    const copy = this.copies[this.filled] as Copy;
    copy.toPeer = toPeer;
    copy.peer = domId(peer);
    copy.ref = grantRef(ref);
    copy.offset = offset;
    copy.local = local;
    copy.at = at;
    copy.length = length;
    this.filled += 1;
    return this.filled - 1;
  }

  private perform(copy: Copy): number {
    if (this.xen.fault('refuseCopy')) return GNTST_general_error;
    const entry = findGrant(this.xen, this.domain, copy.peer, copy.ref, copy.toPeer);
    if (typeof entry === 'number') return entry;
    const { memory, offset } = entry.frame;
    const peerBytes = new Uint8Array(memory, offset + copy.offset, copy.length);
    const { local, at } = copy;
    if (copy.toPeer) peerBytes.set(local.subarray(at, at + copy.length));
    else local.set(peerBytes, at);
    return GNTST_okay;
  }
}
