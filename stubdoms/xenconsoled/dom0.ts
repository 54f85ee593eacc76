/** What the console daemon is made of, as a process of dom0. */
import { mkdirSync } from 'node:fs';
import { Holdings } from '../../src/base/holdings.ts';
import type { Log } from '../../src/base/log.ts';
import { openDomainControl, openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { logDirectory } from '../../src/node/log-file.ts';
import { Pty } from '../../src/node/pty.ts';
import { followXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import {
  type ConsoleChoice,
  startXenconsoled,
  type Xenconsoled,
} from '../../src/xenconsoled/xenconsoled.ts';

/** One or both kinds of consoles, in the words of xenconsoled's command line. */
export type ConsoleChoiceName = 'none' | 'guest' | 'hv' | 'all';

export interface XenconsoledSettings {
  /** Where `guest-NAME.log` and `hypervisor.log` are; made where it is missing. */
  readonly logDirectory: string;
  readonly log: ConsoleChoiceName;
  readonly timestamp: ConsoleChoiceName;
  /** xenstored's socket, where it is not the usual one. */
  readonly xenstoreSocket?: string | undefined;
}

function choice(name: ConsoleChoiceName): ConsoleChoice {
  return { guest: name === 'guest' || name === 'all', hv: name === 'hv' || name === 'all' };
}

/** Starts the daemon. Rejects with `XenError` when Xen, xenstored or the logs can't be reached. */
export async function openXenconsoled(
  settings: XenconsoledSettings,
  log: Log,
): Promise<Xenconsoled> {
  if (settings.log !== 'none') mkdirSync(settings.logDirectory, { recursive: true });
  const held = new Holdings();
  try {
    const native = loadNative();
    const domainControl = held.keep(openDomainControl());
    const hypervisor = held.keep(openLinuxHypervisor());
    const xenstore = held.keep(await followXenstoreSocket(log, settings.xenstoreSocket));
    const daemon = await startXenconsoled(
      {
        hypervisor,
        domainControl,
        xenstore,
        clock: nodeClock,
        log,
        openTerminal: () => new Pty(native),
        openLog: logDirectory(settings.logDirectory, log),
      },
      { log: choice(settings.log), timestamp: choice(settings.timestamp) },
    );
    const close = async () => {
      await daemon.close();
      held.close();
    };
    return { reopenLogs: () => daemon.reopenLogs(), close };
  } catch (error) {
    held.close();
    throw error;
  }
}
