/** A driver domain's keeper as a process of dom0. */
import { Holdings } from '../../base/holdings.ts';
import type { Log } from '../../base/log.ts';
import { openDomainControl } from '../../hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../hypervisor/linux/native.ts';
import { nodeClock } from '../../node/clock.ts';
import { followXenstore } from '../../node/xenstore-access.ts';
import type { RunningService } from '../run-command.ts';
import { DriverDomainKeeper } from './keeper.ts';
import { hostToolstack } from './toolstack.ts';

export interface DriverDomainSettings {
  /** The file with xl's configuration of the domain. */
  readonly config: string;
  /** xenstored's socket or device, where it is not the usual one. */
  readonly xenstore?: string | undefined;
}

/** Resolves when the domain runs. Rejects with `XenError` when it can't be made. */
export async function openDriverDomain(
  settings: DriverDomainSettings,
  log: Log,
): Promise<RunningService> {
  const held = new Holdings();
  try {
    const domainControl = held.keep(openDomainControl());
    const xenstore = held.keep(
      await followXenstore({ native: loadNative, path: settings.xenstore }, log),
    );
    const toolstack = hostToolstack(settings.config);
    const parts = { xenstore, domainControl, toolstack, clock: nodeClock, log };
    const keeper = await DriverDomainKeeper.open(parts);
    const close = async () => {
      await keeper.close();
      held.close();
    };
    return { close };
  } catch (error) {
    held.close();
    throw error;
  }
}
