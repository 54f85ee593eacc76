/** A disk in memory, for the simulator and for tests. */
import { XenError } from '../base/errors.ts';
import { type BlockDevice, type BlockDeviceInfo, SECTOR_SIZE } from './block-device.ts';

export interface MemoryDiskOptions {
  readonly sectorSize?: number;
  readonly readOnly?: boolean;
}

export class MemoryDisk implements BlockDevice {
  /** The disk's content. */
  bytes: Uint8Array;
  private readonly options: Required<MemoryDiskOptions>;
  private resized = () => {};

  /** @param size in bytes, a multiple of the sector size */
  constructor(size: number, options: MemoryDiskOptions = {}) {
    const { sectorSize = SECTOR_SIZE, readOnly = false } = options;
    needWholeSectors(size, sectorSize);
    this.bytes = new Uint8Array(size);
    this.options = { sectorSize, readOnly };
  }

  get info(): BlockDeviceInfo {
    const { sectorSize, readOnly } = this.options;
    const size = this.bytes.length;
    return { size, sectorSize, physicalSectorSize: sectorSize, readOnly, discard: true };
  }

  /** Cuts the disk short, or adds zeros at its end. @param size as in the constructor */
  resize(size: number): void {
    needWholeSectors(size, this.options.sectorSize);
    const bytes = new Uint8Array(size);
    bytes.set(this.bytes.subarray(0, size));
    this.bytes = bytes;
    this.resized();
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

  async refresh(): Promise<void> {}

  onResize(handler: () => void): void {
    this.resized = handler;
  }

  async close(): Promise<void> {}

  private needWritable(): void {
    if (this.info.readOnly) throw new XenError('EROFS', 'write to a memory disk');
  }
}

function needWholeSectors(size: number, sectorSize: number): void {
  if (size > 0 && size % sectorSize === 0) return;
  throw new RangeError(`a disk has whole sectors of ${sectorSize} bytes, not ${size} bytes`);
}
