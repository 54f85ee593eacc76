/**
 * The console daemon: finds the domains and serves the console of each. Its rules are those of
 * xenconsoled, docs/misc/console.txt; `xl console` works with it.
 */
import { errorMessage, XenError } from '../base/errors.ts';
import { DOM0, type DomId } from '../base/ids.ts';
import { type ConsoleServices, GuestConsole } from './guest-console.ts';
import { HypervisorLog } from './hypervisor-log.ts';
import type { OpenLog } from './log-file.ts';

export interface XenconsoledServices
  extends Pick<
    ConsoleServices,
    'hypervisor' | 'domainControl' | 'xenstore' | 'clock' | 'log' | 'openTerminal'
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
}

export interface Xenconsoled {
  /** Opens every log again by its name, after somebody has moved it away. */
  reopenLogs(): void;
  /** Lets go of all consoles. Guests go on; the next daemon takes their consoles up. Idempotent. */
  close(): Promise<void>;
}

class ConsoleDaemon implements Xenconsoled {
  private readonly services: XenconsoledServices;
  private readonly consoleServices: ConsoleServices;
  private readonly consoles = new Map<DomId, GuestConsole>();
  private readonly hypervisorLog: HypervisorLog | undefined;
  private endWatches: () => Promise<unknown> = async () => {};
  private closed = false;

  constructor(services: XenconsoledServices, options: XenconsoledOptions) {
    const { openLog, ...others } = services;
    this.services = services;
    this.consoleServices = {
      ...others,
      ...(options.log.guest ? { openLog } : {}),
      timestamps: options.timestamp.guest,
    };
    this.hypervisorLog = options.log.hv
      ? new HypervisorLog({ ...services, timestamps: options.timestamp.hv })
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
  }

  reopenLogs(): void {
    this.hypervisorLog?.reopen();
    for (const [domid, guest] of this.consoles) {
      guest.reopenLog().catch((error) => {
        this.services.log.error('cannot reopen a log', { domid, error: errorMessage(error) });
      });
    }
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const guests = [...this.consoles.values()];
    this.consoles.clear();
    await Promise.all([
      this.endWatches(),
      this.hypervisorLog?.close(),
      ...guests.map((guest) => guest.close()),
    ]);
  }

  private lookAtDomains(): void {
    if (this.closed) return;
    const alive = this.aliveDomains();
    if (alive === undefined) return;
    for (const [domid, guest] of this.consoles) {
      if (alive.has(domid)) continue;
      this.consoles.delete(domid);
      void guest.close();
    }
    for (const domid of alive) {
      if (this.consoles.has(domid)) continue;
      const guest = new GuestConsole(domid, this.consoleServices);
      this.consoles.set(domid, guest);
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
