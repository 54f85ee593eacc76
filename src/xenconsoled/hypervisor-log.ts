/** The hypervisor's own console, kept in a log. */
import { VIRQ_CON_RING } from '../abi/xen.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DomainControl, EventChannel, Hypervisor } from '../hypervisor/contract.ts';
import { HYPERVISOR_LOG_NAME, type LogFile, type OpenLog } from './log-file.ts';
import { LogScribe, type LogStyle } from './log-style.ts';

export interface HypervisorLogServices {
  readonly hypervisor: Hypervisor;
  readonly domainControl: DomainControl;
  readonly clock: Clock;
  readonly log: Log;
  readonly openLog: OpenLog;
  readonly logStyle: LogStyle;
}

/** Xen may print faster than we read; other consoles get their turn in between. */
const READS_PER_TURN_MAX = 16;

export class HypervisorLog {
  private readonly services: HypervisorLogServices;
  private readonly channel: EventChannel;
  private file: LogFile;
  private readonly scribe: LogScribe;
  private further: Timer | undefined;

  /**
   * Begins with what the hypervisor has printed so far. Throws when the log can't be opened, or
   * `XenError` EEXIST when another console daemon has the virtual interrupt.
   */
  constructor(services: HypervisorLogServices) {
    this.services = services;
    this.scribe = new LogScribe(services.logStyle, services.clock, { source: 'hypervisor' });
    this.channel = services.hypervisor.events.bindVirq(VIRQ_CON_RING);
    try {
      this.file = this.openFile();
    } catch (error) {
      this.channel.close();
      throw error;
    }
    this.channel.onEvent(() => this.take());
    this.take();
  }

  reopen(): void {
    const { file, services } = this;
    try {
      this.file = this.openFile();
      void file.close();
    } catch (error) {
      services.log.error('cannot open the hypervisor log again', { error: errorMessage(error) });
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.further?.cancel();
    this.channel.close();
    await this.file.close();
  }

  private openFile(): LogFile {
    const file = this.services.openLog(HYPERVISOR_LOG_NAME);
    file.write(this.scribe.opening());
    return file;
  }

  private take(): void {
    const { domainControl, clock, log } = this.services;
    this.further?.cancel();
    try {
      for (let reads = 0; reads < READS_PER_TURN_MAX; reads++) {
        const text = domainControl.readConsole();
        if (text === undefined) return;
        this.file.begin();
        this.file.write(this.scribe.written(text));
      }
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      log.error('cannot read the hypervisor console', { error: error.message });
      return;
    }
    this.further = clock.after(0, () => this.take());
  }
}
