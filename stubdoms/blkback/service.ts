/** The block back end as a service: everything that it is made of, whatever world it runs in. */
import type { Clock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import { BlockBack } from '../../src/block/back.ts';
import type { OpenDisk } from '../../src/block/back-disk.ts';
import type { BlockFeature } from '../../src/block/features.ts';
import type { Hypervisor } from '../../src/hypervisor/contract.ts';
import { BackBus } from '../../src/xenbus/back-bus.ts';
import type { Xenstore } from '../../src/xenstore/xenstore.ts';

export interface BlkbackParts {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: BlkbackOptions;
  /** Opens the disk that the toolstack asks for. */
  readonly openDisk: OpenDisk;
}

export interface BlkbackOptions {
  /** The devices to serve, by their directory below `backend/`; `vbd` unless given. */
  readonly type?: string;
  /** What front ends are not offered; nothing unless given. */
  readonly without?: readonly BlockFeature[];
  /**
   * This is not the domain of the toolstack, which then runs no hotplug script for a disk and leaves
   * it to us to remove what is left of one; not so unless given.
   */
  readonly driverDomain?: boolean;
}

export interface Blkback {
  /** Directories of the devices served now. */
  readonly devices: readonly string[];
  /**
   * Finishes the requests under way and lets go of every device. Front ends are not told: they wait,
   * and the next process carries on where this one stopped. The parts stay open.
   */
  close(): Promise<void>;
}

/** Serves every disk whose back end the toolstack puts into this domain. */
export async function startBlkback(parts: BlkbackParts): Promise<Blkback> {
  const { hypervisor, xenstore, clock, log, options, openDisk } = parts;
  const without = new Set(options.without);
  const driverDomain = options.driverDomain === true;
  const bus = await BackBus.open({
    xenstore,
    log,
    domid: hypervisor.domid,
    type: options.type ?? 'vbd',
    driverFor: () =>
      new BlockBack({ hypervisor, clock, openDisk, without, scripts: !driverDomain }),
    removalClock: driverDomain ? clock : undefined,
  });
  return {
    get devices() {
      return bus.paths;
    },
    close: () => bus.close(),
  };
}
