/** A disk in memory, for the simulator and for tests. */
import { XenError } from '../base/errors.ts';
import { type BlockDevice, type BlockDeviceInfo, SECTOR_SIZE } from './block-device.ts';

export interface MemoryDiskOptions {
  readonly sectorSize?: number;
  readonly readOnly?: boolean;
}

export class MemoryDisk implements BlockDevice {
  readonly info: BlockDeviceInfo;
  /** The disk's content. */
  readonly bytes: Uint8Array;

  /** @param size in bytes, a multiple of the sector size */
  constructor(size: number, options: MemoryDiskOptions = {}) {
    const { sectorSize = SECTOR_SIZE, readOnly = false } = options;
    if (size <= 0 || size % sectorSize !== 0) {
      throw new RangeError(`a disk has whole sectors of ${sectorSize} bytes, not ${size} bytes`);
    }
    this.bytes = new Uint8Array(size);
    this.info = { size, sectorSize, physicalSectorSize: sectorSize, readOnly, discard: true };
  }

  async read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    for (const target of targets) {
      target.set(this.bytes.subarray(position, position + target.length));
      position += target.length;
    }
  }

  async write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    this.needWritable();
    for (const source of sources) {
      this.bytes.set(source, position);
      position += source.length;
    }
  }

  async flush(): Promise<void> {}

  async discard(position: number, length: number): Promise<void> {
    this.needWritable();
    this.bytes.fill(0, position, position + length);
  }

  async close(): Promise<void> {}

  private needWritable(): void {
    if (this.info.readOnly) throw new XenError('EROFS', 'write to a memory disk');
  }
}
