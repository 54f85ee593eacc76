/** Memory for a batch of frames that have come, made once and used for batch after batch. */
import {
  type ChecksumState,
  FRAME_BYTES_MAX,
  type Frame,
  type FrameGso,
  type FrameHash,
} from './frame.ts';

/** Frames in a batch. */
export const BATCH_FRAMES_MAX = 64;
const ARENA_BYTES = 4 * (FRAME_BYTES_MAX + 1);

const nothing = new Uint8Array(0);

class ArenaFrame implements Frame {
  bytes: Uint8Array = nothing;
  checksum: ChecksumState = 'unknown';
  gso: FrameGso | undefined;
  hash: FrameHash | undefined;
}

export class FrameArena {
  private readonly memory = new Uint8Array(ARENA_BYTES);
  private readonly made: ArenaFrame[] = [];
  private readonly batch: ArenaFrame[] = [];
  private used = 0;

  /** Those added since `clear`, less those dropped. */
  get frames(): readonly Frame[] {
    return this.batch;
  }

  /** Another frame fits, however long. */
  get hasRoom(): boolean {
    return this.batch.length < BATCH_FRAMES_MAX && this.used + FRAME_BYTES_MAX <= ARENA_BYTES;
  }

  /** A frame of `length` bytes, which are left from former ones until they are filled. */
  add(length: number): ArenaFrame {
    const frame = this.frameAt(this.batch.length);
    frame.bytes = this.memory.subarray(this.used, this.used + length);
    frame.checksum = 'unknown';
    frame.gso = undefined;
    frame.hash = undefined;
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
    this.batch.length = kept;
  }

  clear(): void {
    this.batch.length = 0;
    this.used = 0;
  }

  private frameAt(index: number): ArenaFrame {
    const frame = this.made[index] ?? new ArenaFrame();
    this.made[index] = frame;
    return frame;
  }
}

export type { ArenaFrame };
