/**
 * Reads and writes of one open file. What the page cache has is there at once; all else runs in libuv's
 * thread pool, off the event loop.
 */
import { constants } from 'node:os';

/** The part of the native shim that transfers need; native/file_queue.cc says what it does. */
export interface NativeTransfers {
  readonly FileQueue: new (
    fd: number,
    callback: (count: number) => void,
  ) => {
    readonly told: Int32Array;
    begin(id: number, isWrite: boolean, position: number, buffers: readonly Uint8Array[]): number;
    close(): void;
  };
}

const UNDER_WAY = -constants.errno.EINPROGRESS;

interface Transfer {
  /** Kept from the garbage collector while threads work in their memory. */
  readonly buffers: readonly Uint8Array[];
  readonly done: (result: number) => void;
}

export class FileTransfers {
  private readonly queue: InstanceType<NativeTransfers['FileQueue']>;
  /** By id. */
  private readonly underWay: (Transfer | undefined)[] = [];
  private readonly freeIds: number[] = [];
  private idle: (() => void) | undefined;

  /** @param fd open until `close` has resolved */
  constructor(native: NativeTransfers, fd: number) {
    this.queue = new native.FileQueue(fd, (count) => this.ended(count));
  }

  /**
   * Moves the bytes of `buffers`, one after the other: gives how many, fewer than asked for at the end
   * of the file only, or a negative errno. A promise unless that was done at once.
   */
  move(
    isWrite: boolean,
    position: number,
    buffers: readonly Uint8Array[],
  ): number | Promise<number> {
    const id = this.freeIds.pop() ?? this.underWay.length;
    const result = this.queue.begin(id, isWrite, position, buffers);
    if (result !== UNDER_WAY) {
      this.release(id);
      return result;
    }
    return new Promise((done) => {
      this.underWay[id] = { buffers, done };
    });
  }

  /** Waits for what is under way. To be called once, and `move` not after it. */
  async close(): Promise<void> {
    if (this.freeIds.length < this.underWay.length) {
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
    }
    this.queue.close();
  }

  private ended(count: number): void {
    const { told } = this.queue;
    for (let index = 0; index < count; index++) {
      const id = told[2 * index]!;
      const { done } = this.underWay[id]!;
      this.release(id);
      done(told[2 * index + 1]!);
    }
    if (this.freeIds.length === this.underWay.length) this.idle?.();
  }

  private release(id: number): void {
    this.underWay[id] = undefined;
    this.freeIds.push(id);
  }
}
