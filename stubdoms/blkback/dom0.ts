/**
 * What the block back end is made of, as a process of dom0 or of a Linux driver domain. A disk is a
 * file or a block device by its path, an export of an NBD server by its URI, or one that another domain
 * serves to this one.
 */
import { Holdings } from '../../src/base/holdings.ts';
import type { Log } from '../../src/base/log.ts';
import type { DiskRequest } from '../../src/block/back-disk.ts';
import type { BlockDevice } from '../../src/block/block-device.ts';
import type { BlockFrontOptions } from '../../src/block/front.ts';
import { openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { FileDisk } from '../../src/node/file-disk.ts';
import { NbdDisk } from '../../src/node/nbd-disk.ts';
import { followXenstore } from '../../src/node/xenstore-access.ts';
import { FrontDisks } from './front-disks.ts';
import { type BlkbackOptions, startBlkback } from './service.ts';

export interface BlkbackSettings extends BlkbackOptions {
  /** xenstored's socket or device, where it is not the usual one. */
  readonly xenstoreSocket?: string | undefined;
}

/** Room for what several queues of a guest ask at once, if the other domain's back end takes so much. */
const FRONT_OPTIONS: BlockFrontOptions = { queues: 2, ringPageOrder: 1 };

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
    const parts = { hypervisor, xenstore, clock: nodeClock, log };
    const options = { ...FRONT_OPTIONS, without: new Set(settings.without) };
    const fronts = new FrontDisks({ ...parts, options });
    const blkback = await startBlkback({
      ...parts,
      options: settings,
      openDisk: (request) => openDisk(request, fronts),
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

async function openDisk(request: DiskRequest, fronts: FrontDisks): Promise<BlockDevice> {
  const { path, readOnly } = request;
  if (path.startsWith('nbd:') || path.startsWith('nbd+unix:')) {
    return NbdDisk.open({ uri: path, readOnly });
  }
  const devid = FrontDisks.devidOf(path);
  return devid === undefined ? FileDisk.open(loadNative(), request) : fronts.open(devid, request);
}
