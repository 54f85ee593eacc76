/** What the console daemon is made of, as a process of dom0. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Holdings } from '../../src/base/holdings.ts';
import type { Log } from '../../src/base/log.ts';
import { openDomainControl, openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { logDirectory } from '../../src/node/log-file.ts';
import type { RotationRules } from '../../src/node/log-rotation.ts';
import { noteDirectory } from '../../src/node/note-file.ts';
import { Pty } from '../../src/node/pty.ts';
import { listenUnixSocket } from '../../src/node/socket-path.ts';
import { SocketTerminal } from '../../src/node/socket-terminal.ts';
import { servedTogether } from '../../src/node/unix-socket.ts';
import { followXenstore } from '../../src/node/xenstore-access.ts';
import {
  type ConsoleChoice,
  startXenconsoled,
  type Xenconsoled,
  type XenconsoledOptions,
} from '../../src/xenconsoled/xenconsoled.ts';

/** One or both kinds of consoles, in the words of xenconsoled's command line. */
export type ConsoleChoiceName = 'none' | 'guest' | 'hv' | 'all';

export interface XenconsoledSettings
  extends Pick<XenconsoledOptions, 'logFormat' | 'replaceEscape' | 'overflow'> {
  /** Where `guest-NAME.log` and `hypervisor.log` are; made where it is missing. */
  readonly logDirectory: string;
  readonly log: ConsoleChoiceName;
  readonly timestamp: ConsoleChoiceName;
  readonly rotation: RotationRules;
  /** Where notes are that the next daemon reads; lost with the host's memory, as guests are. */
  readonly stateDirectory: string;
  /** Where viewers connect to. */
  readonly viewerSocket: string;
  /** xenstored's socket or device, where it is not the usual one. */
  readonly xenstoreSocket?: string | undefined;
}

export interface XenconsoledProcess extends Pick<Xenconsoled, 'close'> {
  /** Opens the logs again. */
  readonly onHangup: () => void;
}

function choice(name: ConsoleChoiceName): ConsoleChoice {
  return { guest: name === 'guest' || name === 'all', hv: name === 'hv' || name === 'all' };
}

/** Starts the daemon. Rejects with `XenError` when Xen, xenstored or the logs can't be reached. */
export async function openXenconsoled(
  settings: XenconsoledSettings,
  log: Log,
): Promise<XenconsoledProcess> {
  if (settings.log !== 'none') mkdirSync(settings.logDirectory, { recursive: true });
  const held = new Holdings();
  try {
    const native = loadNative();
    const domainControl = held.keep(openDomainControl());
    const hypervisor = held.keep(openLinuxHypervisor());
    const xenstore = held.keep(
      await followXenstore({ native: loadNative, path: settings.xenstoreSocket }, log),
    );
    const daemon = await startXenconsoled(
      {
        hypervisor,
        domainControl,
        xenstore,
        clock: nodeClock,
        log,
        openTerminal: (plan) =>
          plan === 'pty' ? new Pty(native) : new SocketTerminal(native, plan.path),
        openLog: logDirectory(settings.logDirectory, log, settings.rotation),
        openNote: noteDirectory(settings.stateDirectory),
      },
      { ...settings, log: choice(settings.log), timestamp: choice(settings.timestamp) },
    );
    mkdirSync(dirname(settings.viewerSocket), { recursive: true });
    const viewers = servedTogether(native, (stream) => daemon.attachViewer(stream));
    held.keep(await listenUnixSocket(native, settings.viewerSocket, 'viewers', viewers));
    const close = async () => {
      await daemon.close();
      held.close();
    };
    const onHangup = () => {
      log.info('opening the logs again');
      daemon.reopenLogs();
    };
    return { onHangup, close };
  } catch (error) {
    held.close();
    throw error;
  }
}
