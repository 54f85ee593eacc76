/** The network back end as a service: everything that it is made of, whatever world it runs in. */
import type { Clock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import type { Hypervisor } from '../../src/hypervisor/contract.ts';
import { NetBack } from '../../src/net/back.ts';
import { type VifNetwork, vifName } from '../../src/net/back-request.ts';
import type { NetFeature } from '../../src/net/features.ts';
import { BackBus } from '../../src/xenbus/back-bus.ts';
import type { Xenstore } from '../../src/xenstore/xenstore.ts';

export interface NetbackParts {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: NetbackOptions;
  /** The host's side of the interface of that name, such as `vif3.0`. */
  readonly networkFor: (name: string) => VifNetwork;
}

export interface NetbackOptions {
  /** The devices to serve, by their directory below `backend/`; `vif` unless given. */
  readonly type?: string;
  /** What front ends are not offered; nothing unless given. */
  readonly without?: readonly NetFeature[];
  /**
   * This is not the domain of the toolstack, which then runs no hotplug script for an interface and
   * leaves it to us to remove what is left of one; not so unless given.
   */
  readonly driverDomain?: boolean;
}

export interface Netback {
  /** Directories of the devices served now. */
  readonly devices: readonly string[];
  /**
   * Lets go of every device. Front ends are not told: they wait, and the next process carries on where
   * this one stopped. The parts stay open.
   */
  close(): Promise<void>;
}

/** Serves every network interface whose back end the toolstack puts into this domain. */
export async function startNetback(parts: NetbackParts): Promise<Netback> {
  const { hypervisor, xenstore, clock, log, options, networkFor } = parts;
  const without = new Set(options.without);
  const driverDomain = options.driverDomain === true;
  const bus = await BackBus.open({
    xenstore,
    log,
    domid: hypervisor.domid,
    type: options.type ?? 'vif',
    driverFor: ({ peer, devid }) =>
      new NetBack({
        hypervisor,
        clock,
        without,
        network: networkFor(vifName(peer, devid)),
        scripts: !driverDomain,
      }),
    removalClock: driverDomain ? clock : undefined,
  });
  return {
    get devices() {
      return bus.paths;
    },
    close: () => bus.close(),
  };
}
