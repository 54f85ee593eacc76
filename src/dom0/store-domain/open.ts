/** The store domain's keeper as a process of dom0. */
import { closeSync, openSync } from 'node:fs';
import { errorCode, errorMessage, XenError } from '../../base/errors.ts';
import { Holdings } from '../../base/holdings.ts';
import type { Log } from '../../base/log.ts';
import { openDomainControl, openLinuxHypervisor } from '../../hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../hypervisor/linux/native.ts';
import { nodeClock } from '../../node/clock.ts';
import { connectXenstore } from '../../node/xenstore-access.ts';
import { XENSTORE_DEVICE } from '../../node/xenstore-device.ts';
import type { RunningService } from '../run-command.ts';
import { StoreDomainKeeper } from './keeper.ts';
import { recordStoreDomain } from './records.ts';
import { hostStoreToolstack, type StoreDomainForm } from './toolstack.ts';

const LOCK = '/run/paravane-store-domain.lock';
/** Each waits for half a minute: a host that is busy takes its time. */
const CONNECTIONS_MAX = 4;

/** One keeper a host: two would start a domain each. Throws EBUSY. */
function lock(): { close(): void } {
  const operation = `lock ${LOCK}`;
  let fd: number;
  try {
    fd = openSync(LOCK, 'w', 0o600);
  } catch (error) {
    throw new XenError('EIO', operation, errorMessage(error), error);
  }
  if (loadNative().tryLock(fd, true)) return { close: () => closeSync(fd) };
  closeSync(fd);
  throw new XenError('EBUSY', operation, 'the store domain has a keeper already');
}

/** Resolves when the store domain has answered. Rejects with ETIMEDOUT. */
async function record(keeper: StoreDomainKeeper, memory_mib: number, log: Log): Promise<void> {
  for (let connection = 1; ; connection++) {
    try {
      const xenstore = await connectXenstore({ native: loadNative, path: XENSTORE_DEVICE });
      try {
        return await recordStoreDomain(xenstore, keeper.current, memory_mib);
      } finally {
        xenstore.close();
      }
    } catch (error) {
      if (errorCode(error) !== 'ETIMEDOUT' || connection === CONNECTIONS_MAX) throw error;
      log.warn(errorMessage(error));
    }
  }
}

/** Resolves when the store domain serves. Rejects with `XenError` when none can be had. */
export async function openStoreDomain(form: StoreDomainForm, log: Log): Promise<RunningService> {
  const held = new Holdings();
  try {
    held.keep(lock());
    const hypervisor = held.keep(openLinuxHypervisor());
    const domainControl = held.keep(openDomainControl());
    const toolstack = hostStoreToolstack(form);
    const parts = { hypervisor, domainControl, toolstack, clock: nodeClock, log };
    const keeper = await StoreDomainKeeper.open(parts);
    const close = async () => {
      await keeper.close();
      held.close();
    };
    try {
      await record(keeper, form.memory_mib, log);
    } catch (error) {
      await keeper.close();
      throw error;
    }
    return { onHangup: () => keeper.replace(), close };
  } catch (error) {
    held.close();
    throw error;
  }
}
