/** What the console daemon and the relay of a console domain are made of alike, as processes of dom0. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ByteStream } from '../../src/base/byte-stream.ts';
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
import type {
  ConsoleChoice,
  LogOptions,
  XenconsoledServices,
} from '../../src/xenconsoled/xenconsoled.ts';

/** One or both kinds of consoles, in the words of xenconsoled's command line. */
export type ConsoleChoiceName = 'none' | 'guest' | 'hv' | 'all';

/** What a process that keeps logs, terminals and viewers is told about them. */
export interface ConsoleHostSettings extends Pick<LogOptions, 'logFormat' | 'replaceEscape'> {
  /** Where `guest-NAME.log` and `hypervisor.log` are; made where it is missing. */
  readonly logDirectory: string;
  readonly log: ConsoleChoiceName;
  readonly timestamp: ConsoleChoiceName;
  readonly rotation: RotationRules;
  /** Where notes are that the next process reads; lost with the host's memory, as guests are. */
  readonly stateDirectory: string;
  /** Where viewers connect to. */
  readonly viewerSocket: string;
  /** xenstored's socket or device, where it is not the usual one. */
  readonly xenstoreSocket?: string | undefined;
}

/** A process of dom0 that serves. */
export interface ConsoleProcess {
  /** Opens every log again by its name, after somebody has moved it away. */
  readonly onHangup: () => void;
  close(): Promise<void>;
}

/** Who serves consoles: the daemon, or the relay of a domain that does. */
interface ConsoleServer {
  attachViewer(stream: ByteStream): void;
  reopenLogs(): void;
  close(): Promise<void>;
}

function choice(name: ConsoleChoiceName): ConsoleChoice {
  return { guest: name === 'guest' || name === 'all', hv: name === 'hv' || name === 'all' };
}

export function logOptions(settings: ConsoleHostSettings): LogOptions {
  const { logFormat, replaceEscape, log, timestamp } = settings;
  return { logFormat, replaceEscape, log: choice(log), timestamp: choice(timestamp) };
}

/** Rejects with `XenError` when Xen or xenstored can't be reached. */
async function openConsoleHost(
  settings: ConsoleHostSettings,
  held: Holdings,
  log: Log,
): Promise<XenconsoledServices> {
  if (settings.log !== 'none') mkdirSync(settings.logDirectory, { recursive: true });
  const native = loadNative();
  const domainControl = held.keep(openDomainControl());
  const hypervisor = held.keep(openLinuxHypervisor());
  const xenstore = held.keep(
    await followXenstore({ native: loadNative, path: settings.xenstoreSocket }, log),
  );
  return {
    hypervisor,
    domainControl,
    xenstore,
    clock: nodeClock,
    log,
    openTerminal: (plan) =>
      plan === 'pty' ? new Pty(native) : new SocketTerminal(native, plan.path),
    openLog: logDirectory(settings.logDirectory, log, settings.rotation),
    openNote: noteDirectory(settings.stateDirectory),
  };
}

/** Hands whoever connects to the viewers' socket to `attach`. */
async function listenForViewers(
  { viewerSocket }: ConsoleHostSettings,
  held: Holdings,
  attach: (stream: ByteStream) => void,
): Promise<void> {
  const native = loadNative();
  mkdirSync(dirname(viewerSocket), { recursive: true });
  held.keep(
    await listenUnixSocket(native, viewerSocket, 'viewers', servedTogether(native, attach)),
  );
}

/** Rejects with `XenError` when Xen or xenstored can't be reached, or with what `start` does. */
export async function openConsoleProcess(
  settings: ConsoleHostSettings,
  log: Log,
  start: (host: XenconsoledServices) => Promise<ConsoleServer>,
): Promise<ConsoleProcess> {
  const held = new Holdings();
  try {
    const server = await start(await openConsoleHost(settings, held, log));
    await listenForViewers(settings, held, (stream) => server.attachViewer(stream));
    const onHangup = () => {
      log.info('opening the logs again');
      server.reopenLogs();
    };
    const close = async () => {
      await server.close();
      held.close();
    };
    return { onHangup, close };
  } catch (error) {
    held.close();
    throw error;
  }
}
