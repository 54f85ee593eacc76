/** What the block back end is made of, as a process of dom0 or of a Linux driver domain. */
import { Holdings } from '../../src/base/holdings.ts';
import type { Log } from '../../src/base/log.ts';
import { openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { FileDisk } from '../../src/node/file-disk.ts';
import { followXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import { startBlkback } from './service.ts';

export interface BlkbackSettings {
  /** The devices to serve, by their directory below `backend/`. */
  readonly type: string;
  /** xenstored's socket, where it is not the usual one. */
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
    const xenstore = held.keep(await followXenstoreSocket(log, settings.xenstoreSocket));
    const blkback = await startBlkback({
      hypervisor,
      xenstore,
      clock: nodeClock,
      log,
      options: { type: settings.type },
      openDisk: (request) => FileDisk.open(loadNative(), request),
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
