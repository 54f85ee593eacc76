/**
 * Memory for a batch of frames that have come, made once and used for batch after batch. Xen copies page
 * by page, so frames are laid out where their copies cross as few ends of pages as can be.
 */
import { PAGE_SIZE } from '../hypervisor/contract.ts';
import {
  type ChecksumState,
  FRAME_BYTES_MAX,
  type Frame,
  type FrameGso,
  type FrameHash,
  type GrantedRest,
} from './frame.ts';

/** Frames in a batch. */
export const BATCH_FRAMES_MAX = 64;
/** Room for four of the largest, with what is left free between them. */
export const ARENA_BYTES = 5 * (FRAME_BYTES_MAX + 1);

const nothing = new Uint8Array(0);

class ArenaFrame implements Frame {
  bytes: Uint8Array = nothing;
  checksum: ChecksumState = 'unknown';
  gso: FrameGso | undefined;
  hash: FrameHash | undefined;
  rest: GrantedRest | undefined;
}

export class FrameArena {
  /** Of `ARENA_BYTES`. */
  private readonly memory: Uint8Array;
  private readonly made: ArenaFrame[] = [];
  private readonly batch: ArenaFrame[] = [];
  private used = 0;

  constructor(memory: Uint8Array = new Uint8Array(ARENA_BYTES)) {
    this.memory = memory;
  }

  /** Those added since `clear`, less those dropped. */
  get frames(): readonly ArenaFrame[] {
    return this.batch;
  }

  /** Another frame fits, however long. */
  get hasRoom(): boolean {
    const end = this.used + PAGE_SIZE + FRAME_BYTES_MAX;
    return this.batch.length < BATCH_FRAMES_MAX && end <= ARENA_BYTES;
  }

  /**
   * A frame of `length` bytes, which are left from former ones until they are filled.
   * @param pageOffset where in a page a frame longer than a page begins; a shorter one stays in one
   */
  add(length: number, pageOffset = 0): ArenaFrame {
    const frame = this.frameAt(this.batch.length);
    this.used += this.gapBefore(length, pageOffset);
    frame.bytes = this.memory.subarray(this.used, this.used + length);
    frame.checksum = 'unknown';
    frame.gso = undefined;
    frame.hash = undefined;
    frame.rest = undefined;
    this.used += length;
    this.batch.push(frame);
    return frame;
  }

  /** Leaves out those for which `keep`, called with the number of each, says false. */
  retain(keep: (index: number) => boolean): void {
    let kept = 0;
    for (let index = 0; index < this.batch.length; index++) {
      if (keep(index)) this.batch[kept++] = this.batch[index]!;
    }
    this.shorten(kept);
  }

  clear(): void {
    this.shorten(0);
    this.used = 0;
  }

  /** One by one: a new `length` is no matter of compiled code, and there are few. */
  private shorten(count: number): void {
    while (this.batch.length > count) this.batch.pop();
  }

  private gapBefore(length: number, pageOffset: number): number {
    const inPage = this.used % PAGE_SIZE;
    if (length > PAGE_SIZE) return (pageOffset - inPage + PAGE_SIZE) % PAGE_SIZE;
    return inPage + length > PAGE_SIZE ? PAGE_SIZE - inPage : 0;
  }

  private frameAt(index: number): ArenaFrame {
    const frame = this.made[index] ?? new ArenaFrame();
    this.made[index] = frame;
    return frame;
  }
}

export type { ArenaFrame };
