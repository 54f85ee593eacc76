/** `paravane vchan` as a process of this domain. */
import { Holdings } from '../base/holdings.ts';
import type { Log } from '../base/log.ts';
import { openLinuxHypervisor } from '../hypervisor/linux/hypervisor.ts';
import { loadNative } from '../hypervisor/linux/native.ts';
import { nodeClock } from '../node/clock.ts';
import { endSignal } from '../node/daemon.ts';
import { VchanBridge, type VchanBridgeSettings } from '../node/vchan-bridge.ts';
import { connectXenstore } from '../node/xenstore-access.ts';

/**
 * Bridges until a signal, or until the one connection there is has ended. Rejects with `XenError`.
 *
 * @param xenstoreSocket where it is not the usual one
 */
export async function runVchan(
  settings: VchanBridgeSettings,
  xenstoreSocket: string | undefined,
  log: Log,
): Promise<void> {
  const held = new Holdings();
  try {
    const signalled = endSignal(log);
    const native = loadNative();
    const hypervisor = held.keep(openLinuxHypervisor());
    const xenstore = held.keep(await connectXenstore({ native: loadNative, path: xenstoreSocket }));
    const lost = new Promise<never>((_, reject) => xenstore.onEnd(reject));
    lost.catch(() => {});
    const bridge = new VchanBridge(
      { hypervisor, xenstore, clock: nodeClock },
      native,
      settings,
      log,
    );
    try {
      await Promise.race([bridge.run(), signalled, lost]);
    } finally {
      await bridge.close();
    }
  } finally {
    // Ends every vchan that is still open, and tells its peer.
    held.close();
  }
}
