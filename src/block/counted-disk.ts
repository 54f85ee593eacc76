/** A disk that counts what is done with it. */
import type { Clock } from '../base/clock.ts';
import type { BlockDevice } from './block-device.ts';
import { byteLength, DiskLayer } from './disk-layer.ts';

/** What one kind of operation has come to. */
export interface OperationCount {
  /** Operations that have ended, the failed ones included. */
  operations: number;
  failed: number;
  /** Bytes that the successful ones moved or discarded; 0 for a flush. */
  bytes: number;
  /** Milliseconds that they took, added up. */
  time_ms: number;
}

export interface DiskCounts {
  readonly read: OperationCount;
  readonly write: OperationCount;
  readonly flush: OperationCount;
  readonly discard: OperationCount;
}

const nothing = (): OperationCount => ({ operations: 0, failed: 0, bytes: 0, time_ms: 0 });

export class CountedDisk extends DiskLayer {
  /** From the moment that the layer was made. */
  readonly counts: DiskCounts = {
    read: nothing(),
    write: nothing(),
    flush: nothing(),
    discard: nothing(),
  };
  private readonly clock: Clock;

  constructor(below: BlockDevice, clock: Clock) {
    super(below);
    this.clock = clock;
  }

  override read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    const work = this.below.read(position, targets);
    return this.count(this.counts.read, byteLength(targets), work);
  }

  override write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    const work = this.below.write(position, sources);
    return this.count(this.counts.write, byteLength(sources), work);
  }

  override flush(): Promise<void> {
    return this.count(this.counts.flush, 0, this.below.flush());
  }

  override discard(position: number, length: number): Promise<void> {
    return this.count(this.counts.discard, length, this.below.discard(position, length));
  }

  private count(into: OperationCount, bytes: number, work: Promise<void>): Promise<void> {
    const begin_ms = this.clock.now_ms();
    const ended = () => {
      into.operations++;
      into.time_ms += this.clock.now_ms() - begin_ms;
    };
    return work.then(
      () => {
        into.bytes += bytes;
        ended();
      },
      (error) => {
        into.failed++;
        ended();
        throw error;
      },
    );
  }
}
