/** What the toolstack asks of this domain in `control/shutdown`: `xl shutdown`, `xl reboot`, `xl save`. */
import { SHUTDOWN_poweroff, SHUTDOWN_reboot } from '../abi/sched.ts';
import type { Xenstore, XenstoreWatch } from '../xenstore/xenstore.ts';

const REQUEST = 'control/shutdown';
const SUSPEND = 'suspend';

/** The requests to end that a domain of ours takes, and the reason with which it is to end then. */
const REASONS: Readonly<Record<string, number>> = {
  poweroff: SHUTDOWN_poweroff,
  halt: SHUTDOWN_poweroff,
  reboot: SHUTDOWN_reboot,
};

export interface ShutdownHandlers {
  /** The domain is to end with that `SHUTDOWN_…` of sched.h. Called once. */
  end(reason: number): void;
  /** The domain is to suspend itself, now; it may be another one when this returns. */
  suspend(): void;
}

/**
 * Calls a handler when this domain is asked for something. Paths are relative to the home of the domain
 * whose connection it is.
 */
export async function onShutdownRequest(
  xenstore: Xenstore,
  handlers: ShutdownHandlers,
): Promise<XenstoreWatch> {
  let taken = false;
  const offer = async () => {
    for (const feature of ['poweroff', 'reboot', 'suspend']) {
      await xenstore.write(`control/feature-${feature}`, '1');
    }
  };
  const look = async () => {
    const request = (await xenstore.readIfPresent(REQUEST)) ?? '';
    const reason = REASONS[request];
    if (taken || (reason === undefined && request !== SUSPEND)) return;
    taken = true;
    // Emptied, it says that the request was taken.
    await xenstore.write(REQUEST, '');
    if (reason !== undefined) return handlers.end(reason);
    handlers.suspend();
    taken = false;
    // The home may be another one.
    await offer();
  };
  await offer();
  // Without xenstore nobody can ask.
  return xenstore.watch(REQUEST, () => void look().catch(() => {}));
}
