/** What the toolstack asks of this domain in `control/shutdown`: `xl shutdown` and `xl reboot`. */
import { SHUTDOWN_poweroff, SHUTDOWN_reboot } from '../abi/sched.ts';
import type { Xenstore, XenstoreWatch } from '../xenstore/xenstore.ts';

const REQUEST = 'control/shutdown';

/** The requests that a domain of ours takes, and the reason with which it is to end then. */
const REASONS: Readonly<Record<string, number>> = {
  poweroff: SHUTDOWN_poweroff,
  halt: SHUTDOWN_poweroff,
  reboot: SHUTDOWN_reboot,
};

/**
 * Calls `handler` with the `SHUTDOWN_…` of sched.h, once, when this domain is asked to end. Paths are
 * relative to the home of the domain whose connection it is.
 */
export async function onShutdownRequest(
  xenstore: Xenstore,
  handler: (reason: number) => void,
): Promise<XenstoreWatch> {
  let taken = false;
  for (const feature of ['feature-poweroff', 'feature-reboot']) {
    await xenstore.write(`control/${feature}`, '1');
  }
  const look = async () => {
    const reason = REASONS[(await xenstore.readIfPresent(REQUEST)) ?? ''];
    if (taken || reason === undefined) return;
    taken = true;
    // Emptied, it says that the request was taken.
    await xenstore.write(REQUEST, '');
    handler(reason);
  };
  // Without xenstore nobody can ask.
  return xenstore.watch(REQUEST, () => void look().catch(() => {}));
}
