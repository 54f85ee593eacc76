/** What the console daemon is made of, as a process of dom0. */
import type { Log } from '../../src/base/log.ts';
import { startXenconsoled, type XenconsoledOptions } from '../../src/xenconsoled/xenconsoled.ts';
import {
  type ConsoleHostSettings,
  type ConsoleProcess,
  logOptions,
  openConsoleProcess,
} from './dom0-parts.ts';

export type XenconsoledSettings = ConsoleHostSettings & Pick<XenconsoledOptions, 'overflow'>;

/** Starts the daemon. Rejects with `XenError` when Xen, xenstored or the logs can't be reached. */
export function openXenconsoled(settings: XenconsoledSettings, log: Log): Promise<ConsoleProcess> {
  const options = { ...logOptions(settings), overflow: settings.overflow };
  return openConsoleProcess(settings, log, (host) => startXenconsoled(host, options));
}
