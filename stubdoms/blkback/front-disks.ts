/**
 * `vbd:51728`: a disk that another domain serves to this one. Our front end takes it and our back end
 * hands it on to one guest.
 */
import { XenError } from '../../src/base/errors.ts';
import type { DiskRequest } from '../../src/block/back-disk.ts';
import type { BlockDevice } from '../../src/block/block-device.ts';
import { DiskLayer } from '../../src/block/disk-layer.ts';
import { BlockFront, type BlockFrontParts } from '../../src/block/front.ts';

/** A disk that others may have once it is closed. */
class HeldDisk extends DiskLayer {
  private readonly release: () => void;

  constructor(below: BlockDevice, release: () => void) {
    super(below);
    this.release = release;
  }

  override async close(): Promise<void> {
    await super.close();
    this.release();
  }
}

export class FrontDisks {
  private readonly parts: Omit<BlockFrontParts, 'devid'>;
  /** Who has which disk: a front end speaks for one user, and a second one would end it. */
  private readonly users = new Map<number, string>();

  constructor(parts: Omit<BlockFrontParts, 'devid'>) {
    this.parts = parts;
  }

  /** The number of the disk that the path names, `undefined` when it names one of another kind. */
  static devidOf(path: string): number | undefined {
    const [, devid] = /^vbd:(\d{1,9})$/.exec(path) ?? [];
    return devid === undefined ? undefined : Number(devid);
  }

  /** Rejects with EBUSY while the disk has another user, EROFS when it can't be had for writing. */
  async open(devid: number, { path, readOnly, user }: DiskRequest): Promise<BlockDevice> {
    const operation = `open disk ${path}`;
    const other = this.users.get(devid);
    if (other !== undefined) throw new XenError('EBUSY', operation, `${other} has it`);
    this.users.set(devid, user);
    try {
      const disk = await BlockFront.connect({ ...this.parts, devid });
      if (disk.info.readOnly && !readOnly) {
        await disk.close();
        throw new XenError('EROFS', operation, 'its own back end has it read-only');
      }
      return new HeldDisk(disk, () => this.users.delete(devid));
    } catch (error) {
      this.users.delete(devid);
      throw error;
    }
  }
}
