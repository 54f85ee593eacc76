/** A disk that can be read and not changed, whatever the one below allows. */
import { XenError } from '../base/errors.ts';
import type { BlockDeviceInfo } from './block-device.ts';
import { DiskLayer } from './disk-layer.ts';

export class ReadOnlyDisk extends DiskLayer {
  override get info(): BlockDeviceInfo {
    return { ...this.below.info, readOnly: true, discard: false };
  }

  override async write(): Promise<void> {
    throw new XenError('EROFS', 'write to a read-only disk');
  }

  override async discard(): Promise<void> {
    throw new XenError('EROFS', 'discard on a read-only disk');
  }
}
