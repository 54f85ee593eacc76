/** What the relay of a console domain is made of, as a process of dom0. */
import { Holdings } from '../../src/base/holdings.ts';
import type { Log } from '../../src/base/log.ts';
import {
  type ConsoleHostSettings,
  type ConsoleProcess,
  listenForViewers,
  logOptions,
  logReopener,
  openConsoleHost,
} from './dom0-parts.ts';
import { startConsoleRelay } from './relay-service.ts';

export interface ConsoleRelaySettings extends ConsoleHostSettings {
  /** The console domain, by name or number. */
  readonly domain: string;
}

/** Starts the relay. Rejects with `XenError` when Xen, xenstored or the logs can't be reached. */
export async function openConsoleRelay(
  settings: ConsoleRelaySettings,
  log: Log,
): Promise<ConsoleProcess> {
  const held = new Holdings();
  try {
    const host = await openConsoleHost(settings, held, log);
    const relay = await startConsoleRelay(host, logOptions(settings), settings.domain);
    await listenForViewers(settings, held, (stream) => relay.attachViewer(stream));
    const close = async () => {
      await relay.close();
      held.close();
    };
    return { onHangup: logReopener(relay, log), close };
  } catch (error) {
    held.close();
    throw error;
  }
}
