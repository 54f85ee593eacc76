/**
 * The console of the store domain. Its keeper reads it, and not xenconsoled: that would hear of the
 * domain's end from xenstore alone, and hold its page, and so its domid, until then.
 */
import { latin1Decode } from '../../base/bytes.ts';
import type { Log } from '../../base/log.ts';
import { backConsole, CONSOLE_OUTPUT_SIZE } from '../../console/console-stream.ts';
import type { DomainControl, Hypervisor } from '../../hypervisor/contract.ts';
import type { RingStream } from '../../ring/ring-stream.ts';
import type { StoreDomain } from './toolstack.ts';

/** Of a line that is longer the rest is another line. */
const LINE_MAX = 1000;

export interface ConsoleAccess {
  readonly hypervisor: Hypervisor;
  readonly domainControl: DomainControl;
  readonly log: Log;
}

/** Logs every line that the domain prints. */
export class StoreConsole {
  private readonly log: Log;
  private readonly domid: number;
  private readonly stream: RingStream;
  private readonly bytes = new Uint8Array(CONSOLE_OUTPUT_SIZE);
  private line = '';

  /** Throws `XenError` when Xen refuses the console, as that of a domain which has just ended. */
  constructor(
    { hypervisor, domainControl, log }: ConsoleAccess,
    { domid, consoleFrame, consolePort }: StoreDomain,
  ) {
    this.log = log;
    this.domid = domid;
    const channel = hypervisor.events.bindInterdomain(domid, consolePort);
    try {
      const pages = domainControl.mapForeign(domid, [consoleFrame]);
      this.stream = backConsole({ page: pages.page(0), channel, release: () => pages.close() });
    } catch (error) {
      channel.close();
      throw error;
    }
    this.stream.onReady(() => this.read());
  }

  /** Reads what is left and lets go of the domain. Idempotent. */
  close(): void {
    this.read();
    this.say();
    this.stream.close();
  }

  private read(): void {
    for (let length = this.stream.read(this.bytes); length > 0; ) {
      this.print(latin1Decode(this.bytes, 0, length));
      length = this.stream.read(this.bytes);
    }
  }

  private print(text: string): void {
    const [first = '', ...others] = text.split(/\r?\n/);
    this.extend(first);
    for (const part of others) {
      this.say();
      this.extend(part);
    }
  }

  private extend(text: string): void {
    this.line += text;
    while (this.line.length > LINE_MAX) {
      const rest = this.line.slice(LINE_MAX);
      this.line = this.line.slice(0, LINE_MAX);
      this.say();
      this.line = rest;
    }
  }

  private say(): void {
    if (this.line !== '') this.log.info(`xenstored: ${this.line}`, { domid: this.domid });
    this.line = '';
  }
}
