/** A service of back ends: what is the same whether it is disks or network interfaces that it serves. */
import type { Clock } from '../src/base/clock.ts';
import type { Log } from '../src/base/log.ts';
import type { Hypervisor } from '../src/hypervisor/contract.ts';
import { BackBus, type FoundDevice } from '../src/xenbus/back-bus.ts';
import type { BackDriver } from '../src/xenbus/back-device.ts';
import type { Xenstore } from '../src/xenstore/xenstore.ts';

export interface BackServiceParts<Feature> {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: BackServiceOptions<Feature>;
}

export interface BackServiceOptions<Feature> {
  /** The devices to serve, by their directory below `backend/`; the usual one unless given. */
  readonly type?: string;
  /** What front ends are not offered; nothing unless given. */
  readonly without?: readonly Feature[];
  /**
   * This is not the domain of the toolstack, which then runs no hotplug script for a device and leaves
   * it to us to remove what is left of one; not so unless given.
   */
  readonly driverDomain?: boolean;
}

export interface BackService {
  /** Directories of the devices served now. */
  readonly devices: readonly string[];
  /**
   * Finishes what is under way and lets go of every device. Front ends are not told: they wait, and
   * the next process carries on where this one stopped. The parts stay open.
   */
  close(): Promise<void>;
}

/** What the drivers of all devices have in common. */
export interface DriverParts<Feature> {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  readonly without: ReadonlySet<Feature>;
  /** Whether the toolstack runs a hotplug script for each device. */
  readonly scripts: boolean;
}

/**
 * Serves every device whose back end the toolstack puts into this domain.
 *
 * @param usualType the directory below `backend/` unless the options name another
 */
export async function startBackService<Feature>(
  { hypervisor, xenstore, clock, log, options }: BackServiceParts<Feature>,
  usualType: string,
  driverFor: (parts: DriverParts<Feature>, device: FoundDevice) => BackDriver,
): Promise<BackService> {
  const driverDomain = options.driverDomain === true;
  const parts = { hypervisor, clock, without: new Set(options.without), scripts: !driverDomain };
  const bus = await BackBus.open({
    xenstore,
    log,
    domid: hypervisor.domid,
    type: options.type ?? usualType,
    driverFor: (device) => driverFor(parts, device),
    removalClock: driverDomain ? clock : undefined,
  });
  return {
    get devices() {
      return bus.paths;
    },
    close: () => bus.close(),
  };
}
