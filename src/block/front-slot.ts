/**
 * A front end's request slots: each has pages of its own, shared with the back end from the first
 * use until the device ends (persistent grants), and data is copied into and out of them.
 */
import { BLKIF_MAX_SEGMENTS_PER_REQUEST } from '../abi/io/blkif.ts';
import type { DomId } from '../base/ids.ts';
import { type GrantTable, PAGE_SIZE, type SharedPages } from '../hypervisor/contract.ts';

/** Bytes that one request moves at most. */
export const REQUEST_BYTES_MAX = BLKIF_MAX_SEGMENTS_PER_REQUEST * PAGE_SIZE;

/** One request that a caller waits for, or a part of one. */
export interface FrontJob {
  /** `BLKIF_OP_…` */
  readonly operation: number;
  /** Bytes from the start of the disk. */
  readonly position: number;
  readonly length: number;
  /** The caller's memory, for operations that move data. */
  readonly buffers: readonly Uint8Array[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class FrontSlot {
  readonly id: number;
  /** The request under way in this slot. */
  job: FrontJob | undefined;
  private shared: SharedPages | undefined;

  constructor(id: number) {
    this.id = id;
  }

  /** The slot's pages. Throws ENOSPC when they cannot be shared. */
  pages(grants: GrantTable, peer: DomId): SharedPages {
    this.shared ??= grants.share(peer, BLKIF_MAX_SEGMENTS_PER_REQUEST, 'read-write');
    return this.shared;
  }

  /** Copies the data of a write to where the back end finds it. */
  fill(job: FrontJob, pages: SharedPages): void {
    copyBytes(job.buffers, pagesFor(pages, job.length));
  }

  /** Copies the data of a read to the caller. */
  drain(job: FrontJob): void {
    if (this.shared !== undefined) copyBytes(pagesFor(this.shared, job.length), job.buffers);
  }

  close(): void {
    this.shared?.close();
    this.shared = undefined;
  }
}

/** `buffers` cut into lists that hold at most `length_max` bytes each. */
export function splitBuffers(
  buffers: readonly Uint8Array[],
  length_max: number,
): { length: number; buffers: Uint8Array[] }[] {
  const parts: { length: number; buffers: Uint8Array[] }[] = [];
  let part = { length: 0, buffers: [] as Uint8Array[] };
  for (const buffer of buffers) {
    for (let start = 0; start < buffer.length; ) {
      if (part.length === length_max) {
        parts.push(part);
        part = { length: 0, buffers: [] };
      }
      const piece = buffer.subarray(start, start + length_max - part.length);
      part.buffers.push(piece);
      part.length += piece.length;
      start += piece.length;
    }
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

function pagesFor(pages: SharedPages, length: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(length / PAGE_SIZE) }, (_, index) => pages.page(index));
}

/** Copies one run of buffers to another, until either ends. */
function copyBytes(sources: readonly Uint8Array[], targets: readonly Uint8Array[]): void {
  let index = 0;
  let at = 0;
  for (const source of sources) {
    for (let from = 0; from < source.length && index < targets.length; ) {
      const target = targets[index]!;
      const piece = source.subarray(from, from + target.length - at);
      target.set(piece, at);
      from += piece.length;
      at += piece.length;
      if (at === target.length) {
        index++;
        at = 0;
      }
    }
  }
}
