/**
 * The console daemon: finds the domains and serves the console of each. Its rules are those of
 * xenconsoled, docs/misc/console.txt; `xl console` works with it.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import { DOM0, type DomId } from '../base/ids.ts';
import type { AttachRequest } from '../console/viewer-protocol.ts';
import type { BackBus } from '../xenbus/back-bus.ts';
import { type ConsoleRegister, openDeviceConsoles } from './device-consoles.ts';
import { GuestConsole } from './guest-console.ts';
import { HypervisorLog } from './hypervisor-log.ts';
import type { OpenLog } from './log-file.ts';
import type { ConsoleServices, Overflow, ServedConsole } from './served-console.ts';
import { ViewerSession } from './viewer-session.ts';

export interface XenconsoledServices
  extends Pick<
    ConsoleServices,
    'hypervisor' | 'domainControl' | 'xenstore' | 'clock' | 'log' | 'openTerminal' | 'openNote'
  > {
  readonly openLog: OpenLog;
}

/** Which of the two kinds of consoles something applies to. */
export interface ConsoleChoice {
  readonly guest: boolean;
  readonly hv: boolean;
}

export interface XenconsoledOptions {
  /** Whose output is kept in logs. */
  readonly log: ConsoleChoice;
  /** In whose logs lines begin with the time. */
  readonly timestamp: ConsoleChoice;
  /** How output stands in the logs. */
  readonly logFormat: 'text' | 'json';
  /** In the logs, ESC becomes a dot. */
  readonly replaceEscape: boolean;
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

/** Viewers beside the terminals, of all consoles together. */
export const VIEWERS_MAX = 256;

export interface Xenconsoled {
  /** Opens every log again by its name, after somebody has moved it away. */
  reopenLogs(): void;
  /** Serves a viewer that speaks viewer-protocol.ts. The stream belongs to the daemon from here on. */
  attachViewer(stream: ByteStream): void;
  /** Lets go of all consoles. Guests go on; the next daemon takes their consoles up. Idempotent. */
  close(): Promise<void>;
}

class ConsoleDaemon implements Xenconsoled, ConsoleRegister {
  private readonly services: XenconsoledServices;
  private readonly consoleServices: ConsoleServices;
  private readonly guests = new Map<DomId, GuestConsole>();
  private readonly deviceConsoles = new Set<ServedConsole>();
  private readonly viewers = new Set<ViewerSession>();
  private readonly hypervisorLog: HypervisorLog | undefined;
  private deviceBus: BackBus | undefined;
  private endWatches: () => Promise<unknown> = async () => {};
  ending = false;

  constructor(services: XenconsoledServices, options: XenconsoledOptions) {
    const { openLog, ...others } = services;
    const { logFormat: format, replaceEscape, timestamp, overflow } = options;
    this.services = services;
    this.consoleServices = {
      ...others,
      ...(options.log.guest ? { openLog } : {}),
      logStyle: { format, replaceEscape, timestamps: timestamp.guest },
      overflow,
    };
    this.hypervisorLog = options.log.hv
      ? new HypervisorLog({
          ...services,
          logStyle: { format, replaceEscape, timestamps: timestamp.hv },
        })
      : undefined;
  }

  /** Each watch fires once at once, which finds the domains that are there already. */
  async start(): Promise<void> {
    const { xenstore } = this.services;
    const watches = await Promise.all(
      ['@introduceDomain', '@releaseDomain'].map((happening) =>
        xenstore.watch(happening, () => this.lookAtDomains()),
      ),
    );
    this.endWatches = () => Promise.allSettled(watches.map((watch) => watch.close()));
    this.deviceBus = await openDeviceConsoles(this.consoleServices, this);
  }

  reopenLogs(): void {
    this.hypervisorLog?.reopen();
    for (const console of this.consoles()) {
      console.reopenLog().catch((error) => {
        const { domid, index } = console.place;
        const fields = { domid, console: index, error: errorMessage(error) };
        this.services.log.error('cannot reopen a log', fields);
      });
    }
  }

  attachViewer(stream: ByteStream): void {
    if (this.ending || this.viewers.size >= VIEWERS_MAX) {
      this.services.log.warn('a viewer is refused', { error: `limit viewers: ${VIEWERS_MAX}` });
      stream.close();
      return;
    }
    const session: ViewerSession = new ViewerSession({
      stream,
      log: this.services.log,
      find: (request) => this.find(request),
      onEnd: () => this.viewers.delete(session),
    });
    this.viewers.add(session);
  }

  async close(): Promise<void> {
    if (this.ending) return;
    this.ending = true;
    const guests = [...this.guests.values()];
    this.guests.clear();
    await Promise.all([
      this.endWatches(),
      this.hypervisorLog?.close(),
      this.deviceBus?.close(),
      ...guests.map((guest) => guest.close(false)),
    ]);
    for (const viewer of this.viewers) viewer.close();
  }

  add(console: ServedConsole): void {
    this.deviceConsoles.add(console);
  }

  remove(console: ServedConsole): void {
    this.deviceConsoles.delete(console);
  }

  /** Every console that is served now. */
  private consoles(): ServedConsole[] {
    const first = [...this.guests.values()].flatMap(({ served }) => served ?? []);
    return [...first, ...this.deviceConsoles];
  }

  private find(request: AttachRequest): ServedConsole | undefined {
    return this.consoles().find(
      ({ place }) => place.domid === request.domid && place.index === request.console,
    );
  }

  private lookAtDomains(): void {
    if (this.ending) return;
    const alive = this.aliveDomains();
    if (alive === undefined) return;
    for (const [domid, guest] of this.guests) {
      if (alive.has(domid)) continue;
      this.guests.delete(domid);
      void guest.close(true);
    }
    for (const domid of alive) {
      if (this.guests.has(domid)) continue;
      const guest = new GuestConsole(domid, this.consoleServices);
      this.guests.set(domid, guest);
      guest.start();
    }
  }

  /** Domains that may have a console of ours; domain 0's and our own are nobody's to serve. */
  private aliveDomains(): Set<DomId> | undefined {
    const { domainControl, hypervisor, log } = this.services;
    try {
      const served = domainControl
        .list()
        .filter(({ domid, dying }) => !dying && domid !== DOM0 && domid !== hypervisor.domid);
      return new Set(served.map(({ domid }) => domid));
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      log.error('cannot list the domains', { error: error.message });
      return undefined;
    }
  }
}

/** Serves consoles until closed. Rejects when the logs or xenstore can't be reached. */
export async function startXenconsoled(
  services: XenconsoledServices,
  options: XenconsoledOptions,
): Promise<Xenconsoled> {
  const daemon = new ConsoleDaemon(services, options);
  try {
    await daemon.start();
  } catch (error) {
    await daemon.close();
    throw error;
  }
  return daemon;
}
