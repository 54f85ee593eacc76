/** What both ends of a ring of slots know: where the indexes are and where the slots. */
import { Sring } from '../abi/io/ring.ts';
import { assert } from '../base/assert.ts';

/** The two messages of a protocol; `Struct`s fit. Both take the same slot, one after the other. */
export interface RingMessages {
  readonly request: { readonly size: number };
  readonly response: { readonly size: number };
}

/** Words of the indexes, for Atomics. */
export const REQ_PROD = Sring.offset.req_prod / 4;
export const REQ_EVENT = Sring.offset.req_event / 4;
export const RSP_PROD = Sring.offset.rsp_prod / 4;
export const RSP_EVENT = Sring.offset.rsp_event / 4;

export interface RingPages {
  readonly indexes: Uint32Array;
  /** What the header leaves unused: `__pad`. */
  readonly unused: Uint8Array;
  /** One window a slot for each kind of message, made once so that a copy allocates nothing. */
  readonly requests: readonly Uint8Array[];
  readonly responses: readonly Uint8Array[];
}

/** Slots that fit: `__RING_SIZE` of ring.h, the largest power of two. */
function slotsIn(bytes: number, slotSize: number): number {
  const fit = Math.floor((bytes - Sring.offset.ring) / slotSize);
  assert(fit >= 1, `a ring of ${bytes} bytes holds a slot of ${slotSize}`);
  return 2 ** Math.floor(Math.log2(fit));
}

/** @param memory the ring's pages as one run of bytes */
export function ringPages(memory: Uint8Array, messages: RingMessages): RingPages {
  const slotSize = Math.max(messages.request.size, messages.response.size);
  const slotAt = (index: number, size: number) => {
    const start = Sring.offset.ring + index * slotSize;
    return memory.subarray(start, start + size);
  };
  const indices = Array.from({ length: slotsIn(memory.length, slotSize) }, (_, index) => index);
  return {
    indexes: new Uint32Array(memory.buffer, memory.byteOffset, Sring.offset.ring / 4),
    unused: memory.subarray(Sring.offset.__pad, Sring.offset.ring),
    requests: indices.map((index) => slotAt(index, messages.request.size)),
    responses: indices.map((index) => slotAt(index, messages.response.size)),
  };
}
