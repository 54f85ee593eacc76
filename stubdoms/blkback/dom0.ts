/**
 * What the block back end is made of, as a process of dom0 or of a Linux driver domain. A disk is a
 * file or a block device by its path, an export of an NBD server by its URI, or `vbd:51728`: a disk
 * that another domain serves to this one, which our front end takes and our back end hands on.
 */
import { XenError } from '../../src/base/errors.ts';
import { Holdings } from '../../src/base/holdings.ts';
import type { Log } from '../../src/base/log.ts';
import type { DiskRequest } from '../../src/block/back-disk.ts';
import type { BlockDevice } from '../../src/block/block-device.ts';
import type { BlockFeature } from '../../src/block/features.ts';
import { BlockFront, type BlockFrontParts } from '../../src/block/front.ts';
import { openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { FileDisk } from '../../src/node/file-disk.ts';
import { NbdDisk } from '../../src/node/nbd-disk.ts';
import { followXenstore } from '../../src/node/xenstore-access.ts';
import { startBlkback } from './service.ts';

export interface BlkbackSettings {
  /** The devices to serve, by their directory below `backend/`. */
  readonly type: string;
  /** What guests are not offered. */
  readonly without: readonly BlockFeature[];
  /** xenstored's socket or device, where it is not the usual one. */
  readonly xenstoreSocket?: string | undefined;
}

export interface BlkbackProcess {
  /** Finishes the requests under way and lets go of every disk. */
  close(): Promise<void>;
}

/** Starts the back end. Rejects with `XenError` when Xen or xenstored can't be reached. */
export async function openBlkback(settings: BlkbackSettings, log: Log): Promise<BlkbackProcess> {
  const held = new Holdings();
  try {
    const hypervisor = held.keep(openLinuxHypervisor());
    const xenstore = held.keep(
      await followXenstore({ native: loadNative, path: settings.xenstoreSocket }, log),
    );
    const blkback = await startBlkback({
      hypervisor,
      xenstore,
      clock: nodeClock,
      log,
      options: { type: settings.type, without: settings.without },
      openDisk: (request) => openDisk(request, { hypervisor, xenstore, clock: nodeClock, log }),
    });
    const close = async () => {
      await blkback.close();
      held.close();
    };
    return { close };
  } catch (error) {
    held.close();
    throw error;
  }
}

type FrontParts = Omit<BlockFrontParts, 'devid'>;

async function openDisk(request: DiskRequest, parts: FrontParts): Promise<BlockDevice> {
  const { path, readOnly } = request;
  if (path.startsWith('nbd:') || path.startsWith('nbd+unix:')) {
    return NbdDisk.open({ uri: path, readOnly });
  }
  const [, devid] = /^vbd:(\d{1,9})$/.exec(path) ?? [];
  if (devid === undefined) return FileDisk.open(loadNative(), request);
  const disk = await BlockFront.connect({ ...parts, devid: Number(devid) });
  if (!disk.info.readOnly || readOnly) return disk;
  await disk.close();
  throw new XenError('EROFS', `open disk ${path}`, 'its own back end has it read-only');
}
