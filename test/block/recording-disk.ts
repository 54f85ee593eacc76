/** A disk in memory that takes some time for everything and keeps a record of its beginnings and ends. */
import { type Clock, sleep } from '../../src/base/clock.ts';
import { DiskLayer } from '../../src/block/disk-layer.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';

export class RecordingDisk extends DiskLayer {
  /** `write 8 begins`, with the number of the first sector. */
  readonly record: string[] = [];
  private readonly clock: Clock;

  constructor(clock: Clock, below = new MemoryDisk(1 << 20)) {
    super(below);
    this.clock = clock;
  }

  override read = (position: number, targets: readonly Uint8Array[]) =>
    this.slowly(`read ${position / 512}`, () => this.below.read(position, targets));
  override write = (position: number, sources: readonly Uint8Array[]) =>
    this.slowly(`write ${position / 512}`, () => this.below.write(position, sources));
  override flush = () => this.slowly('flush', () => this.below.flush());
  override discard = (position: number, length: number) =>
    this.slowly(`discard ${position / 512}`, () => this.below.discard(position, length));

  private async slowly(name: string, work: () => Promise<void>): Promise<void> {
    this.record.push(`${name} begins`);
    await sleep(this.clock, 2);
    await work();
    this.record.push(`${name} ends`);
  }
}
