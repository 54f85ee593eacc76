/**
 * One guest's console: what it prints goes to its log and its terminal, what is typed at the
 * terminal goes to the guest. Nothing that the guest, a viewer or the log does holds up the others.
 */
import type { Timer } from '../base/clock.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { CONSOLE_OUTPUT_SIZE } from '../console/console-stream.ts';
import { childPath, domainHome } from '../xenstore/path.ts';
import type { Xenstore, XenstoreWatch } from '../xenstore/xenstore.ts';
import { type ConnectedRing, connectRing, type RingAccess } from './connected-ring.ts';
import { type ConsoleKeys, readConsoleKeys } from './console-keys.ts';
import { LineLog } from './line-log.ts';
import { guestLogName, type OpenLog } from './log-file.ts';
import { OutputBuffer } from './output-buffer.ts';
import type { Terminal } from './terminal.ts';

export interface ConsoleServices extends RingAccess {
  readonly xenstore: Xenstore;
  readonly log: Log;
  readonly openTerminal: () => Terminal;
  /** Absent when guests are not logged. */
  readonly openLog?: OpenLog;
  readonly timestamps: boolean;
}

/** How much of what is typed is taken at once. */
const TYPED_SIZE = 1024;
/** A viewer may paste without end to a guest that reads as fast. */
const TYPED_TURNS_MAX = 16;

/** A terminal that broke is not made anew more often than this. */
const TERMINAL_RENEWAL_MS = 1000;

/** Where output waits while nothing is known of the console yet. */
const noOutput = new OutputBuffer(0);

export class GuestConsole {
  private readonly domid: DomId;
  private readonly path: string;
  private readonly services: ConsoleServices;
  private readonly log: Log;
  private ring: ConnectedRing | undefined;
  /** Of a ring whose guest broke a rule: it is not connected again until they change. */
  private condemned: ConsoleKeys | undefined;
  private terminal: Terminal | undefined;
  private renewal: Timer | undefined;
  private logFile: LineLog | undefined;
  private output = noOutput;
  private readonly printed = new Uint8Array(CONSOLE_OUTPUT_SIZE);
  private readonly typed = new Uint8Array(TYPED_SIZE);
  /** The part of `typed` that the guest's ring had no room for yet. */
  private waiting = this.typed.subarray(0, 0);
  private watch: Promise<XenstoreWatch> | undefined;
  private updating: Promise<void> | undefined;
  private outdated = false;
  private closed = false;

  constructor(domid: DomId, services: ConsoleServices) {
    this.domid = domid;
    this.path = childPath(domainHome(domid), 'console');
    this.services = services;
    this.log = services.log.child({ domid });
  }

  /** Follows the console's keys from here on. */
  start(): void {
    this.watch = this.services.xenstore.watch(this.path, () => this.keysChanged());
    this.watch.catch((error) => {
      this.log.warn('cannot watch the console keys', { error: errorMessage(error) });
    });
  }

  /** Opens the guest's log again, under the name that the guest has now. */
  async reopenLog(): Promise<void> {
    const old = this.logFile;
    if (old === undefined) return;
    await this.openLog();
    if (this.logFile !== old) await old.close();
  }

  /** Takes what the guest printed last, then lets go of everything. Idempotent. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.disconnect();
    this.closed = true;
    this.renewal?.cancel();
    this.terminal?.close();
    const watchEnds = this.watch?.then((watch) => watch.close());
    await Promise.allSettled([this.logFile?.close(), watchEnds, this.updating]);
  }

  /** However often the keys change while they are looked at, they are looked at once more. */
  private keysChanged(): void {
    this.outdated = true;
    this.updating ??= this.update().finally(() => {
      this.updating = undefined;
    });
  }

  private async update(): Promise<void> {
    while (this.outdated && !this.closed) {
      this.outdated = false;
      try {
        await this.followKeys();
      } catch (error) {
        this.log.warn('cannot serve the console', { error: errorMessage(error) });
      }
    }
  }

  private async followKeys(): Promise<void> {
    const keys = await readConsoleKeys(this.services.xenstore, this.path);
    if (keys === undefined) return;
    if (this.logFile === undefined) await this.openLog();
    if (this.closed) return;
    this.connect(keys);
    if (this.ring !== undefined && this.terminal === undefined) await this.openTerminal();
  }

  private async openLog(): Promise<void> {
    const { xenstore, openLog, clock, timestamps } = this.services;
    if (openLog === undefined) return;
    const name = await xenstore.readIfPresent(childPath(domainHome(this.domid), 'name'));
    if (name === undefined || name === '' || this.closed) return;
    try {
      this.logFile = new LineLog(openLog(guestLogName(name)), clock, timestamps);
    } catch (error) {
      this.log.error('cannot open the log of the console', { error: errorMessage(error) });
    }
  }

  /**
   * Connects the ring that the keys name. When they are those of the ring that is connected, the
   * port is tried all the same: it can be bound only if the guest has opened it anew, as after a
   * soft reset.
   */
  private connect(keys: ConsoleKeys): void {
    const same = (other: ConsoleKeys | undefined) =>
      other?.port === keys.port && other.ringGfn === keys.ringGfn;
    if (same(this.condemned)) return;
    const wasServed = same(this.ring?.keys);
    if (!wasServed) this.disconnect();
    let ring: ConnectedRing;
    try {
      ring = connectRing(this.services, this.domid, keys);
    } catch (error) {
      if (wasServed && error instanceof XenError) return;
      throw error;
    }
    this.disconnect();
    this.ring = ring;
    if (this.output === noOutput) this.output = new OutputBuffer(keys.limit);
    ring.onEvent(() => this.ringReady());
    this.log.info('console connected', { port: keys.port });
  }

  private disconnect(): void {
    if (this.ring === undefined) return;
    this.takePrinted(this.ring);
    this.ring.close();
    this.ring = undefined;
    this.waiting = this.typed.subarray(0, 0);
  }

  private ringReady(): void {
    const { ring } = this;
    if (ring === undefined) return;
    this.takePrinted(ring);
    this.passTyped();
    const { error } = ring.stream;
    if (error === undefined) return;
    this.log.error('console ended', { error: error.message });
    this.condemned = ring.keys;
    this.disconnect();
  }

  /** One read empties the ring. What the guest prints after it, the guest signals. */
  private takePrinted(ring: ConnectedRing): void {
    const length = ring.stream.read(this.printed);
    if (length === 0) return;
    const bytes = this.printed.subarray(0, length);
    this.logFile?.write(bytes);
    this.output.append(bytes);
    this.showOutput();
  }

  private showOutput(): void {
    const { output, terminal } = this;
    if (terminal === undefined) return;
    while (output.length > 0) {
      const shown = terminal.write(output.peek());
      if (shown === 0) return;
      output.consume(shown);
    }
  }

  /** Ends when there is nothing to pass, or no room. A guest that makes room signals it. */
  private passTyped(): void {
    for (let turn = 0; turn < TYPED_TURNS_MAX; turn++) {
      if (this.ring === undefined || this.terminal === undefined) return;
      if (this.waiting.length === 0) {
        this.waiting = this.typed.subarray(0, this.terminal.read(this.typed));
      }
      const passed = this.ring.stream.write(this.waiting);
      if (passed === 0) return;
      this.waiting = this.waiting.subarray(passed);
    }
  }

  private async openTerminal(): Promise<void> {
    const terminal = this.services.openTerminal();
    this.terminal = terminal;
    terminal.onReady(() => this.terminalReady(terminal));
    this.showOutput();
    // A domain that was removed meanwhile must not get nodes again.
    await this.services.xenstore.transaction(async (nodes) => {
      const served = await nodes.readIfPresent(childPath(this.path, 'port'));
      if (served !== undefined) await nodes.write(childPath(this.path, 'tty'), terminal.path);
    });
  }

  private terminalReady(terminal: Terminal): void {
    if (terminal !== this.terminal) return;
    this.showOutput();
    this.passTyped();
    if (!terminal.ended) return;
    this.log.warn('the terminal broke', { tty: terminal.path });
    terminal.close();
    this.terminal = undefined;
    this.renewal = this.services.clock.after(TERMINAL_RENEWAL_MS, () => this.keysChanged());
  }
}
