/** What the console daemon is made of, as a process of dom0. */
import { Holdings } from '../../src/base/holdings.ts';
import type { Log } from '../../src/base/log.ts';
import { startXenconsoled, type XenconsoledOptions } from '../../src/xenconsoled/xenconsoled.ts';
import {
  type ConsoleHostSettings,
  type ConsoleProcess,
  listenForViewers,
  logOptions,
  logReopener,
  openConsoleHost,
} from './dom0-parts.ts';

export type XenconsoledSettings = ConsoleHostSettings & Pick<XenconsoledOptions, 'overflow'>;

/** Starts the daemon. Rejects with `XenError` when Xen, xenstored or the logs can't be reached. */
export async function openXenconsoled(
  settings: XenconsoledSettings,
  log: Log,
): Promise<ConsoleProcess> {
  const held = new Holdings();
  try {
    const host = await openConsoleHost(settings, held, log);
    const options = { ...logOptions(settings), overflow: settings.overflow };
    const daemon = await startXenconsoled(host, options);
    await listenForViewers(settings, held, (stream) => daemon.attachViewer(stream));
    const close = async () => {
      await daemon.close();
      held.close();
    };
    return { onHangup: logReopener(daemon, log), close };
  } catch (error) {
    held.close();
    throw error;
  }
}
