/**
 * The console daemon of dom0: finds the domains and serves the console of each. Its rules are those of
 * xenconsoled, docs/misc/console.txt; `xl console` works with it.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { DomainControl, Hypervisor } from '../hypervisor/contract.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { ConsoleDaemon } from './console-daemon.ts';
import { openDeviceConsoles } from './device-consoles.ts';
import { HostOutlets } from './host-outlets.ts';
import { HypervisorLog } from './hypervisor-log.ts';
import { introducedGuests } from './introduced-guests.ts';
import type { OpenLog, OpenNote } from './log-file.ts';
import type { LogStyle } from './log-style.ts';
import type { Overflow } from './served-console.ts';
import type { OpenTerminal } from './terminal.ts';

export interface XenconsoledServices {
  readonly hypervisor: Hypervisor;
  readonly domainControl: DomainControl;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  readonly log: Log;
  readonly openTerminal: OpenTerminal;
  readonly openLog: OpenLog;
  readonly openNote: OpenNote;
}

/** Which of the two kinds of consoles something applies to. */
export interface ConsoleChoice {
  readonly guest: boolean;
  readonly hv: boolean;
}

/** What is kept in logs, and how. */
export interface LogOptions {
  /** Whose output is kept in logs. */
  readonly log: ConsoleChoice;
  /** In whose logs lines begin with the time. */
  readonly timestamp: ConsoleChoice;
  /** How output stands in the logs. */
  readonly logFormat: 'text' | 'json';
  /** In the logs, ESC becomes a dot. */
  readonly replaceEscape: boolean;
}

export interface XenconsoledOptions extends LogOptions {
  /** What happens to output that nobody has read from a terminal beyond the console's `limit`. */
  readonly overflow: Overflow;
}

/** What xenconsoled does unless told otherwise. */
export const XENCONSOLED_DEFAULTS: XenconsoledOptions = {
  log: { guest: false, hv: false },
  timestamp: { guest: false, hv: false },
  logFormat: 'text',
  replaceEscape: false,
  overflow: 'discard',
};

export interface Xenconsoled {
  /** Opens every log again by its name, after somebody has moved it away. */
  reopenLogs(): void;
  /** Serves a viewer that speaks viewer-protocol.ts. The stream belongs to the daemon from here on. */
  attachViewer(stream: ByteStream): void;
  /** Lets go of all consoles. Guests go on; the next daemon takes their consoles up. Idempotent. */
  close(): Promise<void>;
}

/** How the logs of one of the two kinds of consoles are written. */
function logStyle(options: LogOptions, kind: keyof ConsoleChoice): LogStyle {
  const { logFormat: format, replaceEscape, timestamp } = options;
  return { format, replaceEscape, timestamps: timestamp[kind] };
}

/** What consoles have in dom0, as the options want it. */
export function hostOutlets(services: XenconsoledServices, options: LogOptions): HostOutlets {
  const { hypervisor, openLog, ...others } = services;
  return new HostOutlets({
    ...others,
    domid: hypervisor.domid,
    openLog: options.log.guest ? openLog : undefined,
    logStyle: logStyle(options, 'guest'),
  });
}

/** The log of the hypervisor's own console, if the options want one. Throws what `HypervisorLog` throws. */
function hypervisorLog(
  services: XenconsoledServices,
  options: LogOptions,
): HypervisorLog | undefined {
  if (!options.log.hv) return undefined;
  return new HypervisorLog({ ...services, logStyle: logStyle(options, 'hv') });
}

/** Serves consoles until closed. Rejects when the logs or xenstore can't be reached. */
export async function startXenconsoled(
  services: XenconsoledServices,
  options: XenconsoledOptions,
): Promise<Xenconsoled> {
  const { hypervisor, domainControl, xenstore, clock, log } = services;
  const outlets = hostOutlets(services, options);
  const access = { hypervisor, domainControl, xenstore, clock, log };
  const consoles = { ...access, outlets, overflow: options.overflow };
  const ofHypervisor = hypervisorLog(services, options);
  const daemon = new ConsoleDaemon(consoles);
  let devices: { close(): Promise<void> } | undefined;
  let ended: Promise<unknown> | undefined;
  // The daemon first, which tells the devices' consoles that the next one takes them up.
  const end = () => Promise.all([daemon.close(), ofHypervisor?.close(), devices?.close()]);
  const close = async () => {
    ended ??= end();
    await ended;
  };
  try {
    await daemon.start(introducedGuests({ ...access, domid: hypervisor.domid }));
    devices = await openDeviceConsoles(consoles, daemon);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    reopenLogs() {
      ofHypervisor?.reopen();
      outlets.reopenLogs();
    },
    attachViewer: (stream) => daemon.attachViewer(stream),
    close,
  };
}
