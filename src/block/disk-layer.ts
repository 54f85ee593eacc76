/** A disk on top of another one: hands everything down. The layers that do something override it. */
import type { BlockDevice, BlockDeviceInfo } from './block-device.ts';

export abstract class DiskLayer implements BlockDevice {
  protected readonly below: BlockDevice;

  constructor(below: BlockDevice) {
    this.below = below;
  }

  get info(): BlockDeviceInfo {
    return this.below.info;
  }

  read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    return this.below.read(position, targets);
  }

  write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    return this.below.write(position, sources);
  }

  flush(): Promise<void> {
    return this.below.flush();
  }

  discard(position: number, length: number): Promise<void> {
    return this.below.discard(position, length);
  }

  refresh(): Promise<void> {
    return this.below.refresh();
  }

  onResize(handler: () => void): void {
    this.below.onResize(handler);
  }

  close(): Promise<void> {
    return this.below.close();
  }
}

/** Bytes in a list of buffers. */
export function byteLength(buffers: readonly Uint8Array[]): number {
  let length = 0;
  for (const buffer of buffers) length += buffer.length;
  return length;
}
