/** What the relay of a console domain is made of, as a process of dom0. */
import type { Log } from '../../src/base/log.ts';
import {
  type ConsoleHostSettings,
  type ConsoleProcess,
  logOptions,
  openConsoleProcess,
} from './dom0-parts.ts';
import { startConsoleRelay } from './relay-service.ts';

export interface ConsoleRelaySettings extends ConsoleHostSettings {
  /** The console domain, by name or number. */
  readonly domain: string;
}

/** Starts the relay. Rejects with `XenError` when Xen, xenstored or the logs can't be reached. */
export function openConsoleRelay(
  settings: ConsoleRelaySettings,
  log: Log,
): Promise<ConsoleProcess> {
  const options = logOptions(settings);
  return openConsoleProcess(settings, log, (host) =>
    startConsoleRelay(host, options, settings.domain),
  );
}
