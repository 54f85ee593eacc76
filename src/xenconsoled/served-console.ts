/**
 * One console: what the guest prints goes to its log, its terminal and its viewers, what is typed
 * at them goes to the guest. Nothing that the guest, a viewer or the log does holds up the others.
 */
import type { Timer } from '../base/clock.ts';
import { errorMessage, type XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { CONSOLE_OUTPUT_SIZE } from '../console/console-stream.ts';
import type { WindowSize } from '../console/window-size.ts';
import { Stepper } from '../xenbus/stepper.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import type { ConnectedRing, RingAccess } from './connected-ring.ts';
import type { ConsoleLog, ConsoleOutlets, ConsolePlace } from './console-outlets.ts';
import { EVENTS_PER_PERIOD_MAX, PERIOD_MS } from './event-allowance.ts';
import { History, type HistoryReader } from './history.ts';
import type { Terminal } from './terminal.ts';

/** What happens to output that nobody has read from the terminal: the oldest goes, or the guest waits. */
export type Overflow = 'discard' | 'keep';

export interface ConsoleServices extends RingAccess {
  readonly xenstore: Xenstore;
  readonly log: Log;
  readonly outlets: ConsoleOutlets;
  readonly overflow: Overflow;
}

export interface ServedPlace extends ConsolePlace {
  /** Bytes of output to keep for viewers. */
  readonly limit: number;
}

/** Somebody beside the terminal who looks at the console and may type. */
export interface Viewer {
  /** There is new output to show. */
  outputReady(): void;
  /** Takes what was typed, as `ByteStream.read`. */
  readTyped(target: Uint8Array): number;
  /**
   * The console is served no more.
   *
   * @param isOver nobody else will take it up again
   */
  consoleEnded(isOver: boolean): void;
}

/** How much of what is typed is taken at once. */
const TYPED_SIZE = 1024;
/** A viewer may paste without end to a guest that reads as fast. */
const TYPED_TURNS_MAX = 16;

/**
 * How long a guest may fill its ring before the next batch is taken: Linux signals every line, and every
 * 256 bytes of a longer text. What is there at once would cost as much as a ring full of it, of the
 * allowance, which lasts as long as its period this way, and of the way to the log.
 */
const REFILL_MS = PERIOD_MS / EVENTS_PER_PERIOD_MAX;

/** A terminal that broke is not made anew more often than this. */
const TERMINAL_RENEWAL_MS = 1000;

export class ServedConsole {
  readonly place: ServedPlace;
  readonly history: History;
  private readonly services: ConsoleServices;
  private readonly log: Log;
  private readonly onViolation: (error: XenError) => void;
  private ring: ConnectedRing | undefined;
  private terminal: Terminal | undefined;
  private readonly unshown: HistoryReader;
  private readonly viewers = new Set<Viewer>();
  private renewal: Timer | undefined;
  private terminalWanted = false;
  private guestLog: ConsoleLog | undefined;
  /** Until the next batch may be taken. */
  private storing = false;
  private refill: Timer | undefined;
  private readonly printed = new Uint8Array(CONSOLE_OUTPUT_SIZE);
  private readonly typed = new Uint8Array(TYPED_SIZE);
  /** The part of `typed` that the guest's ring had no room for yet. */
  private waiting = this.typed.subarray(0, 0);
  private windowSize: WindowSize | undefined;
  private readonly windowSizeWriter = new Stepper(() => this.writeWindowSize());
  private closing: Promise<void> | undefined;

  /** @param onViolation told once the guest has broken a rule of the ring, which is disconnected then */
  constructor(
    place: ServedPlace,
    services: ConsoleServices,
    onViolation: (error: XenError) => void,
  ) {
    this.place = place;
    this.services = services;
    this.onViolation = onViolation;
    this.log = services.log.child({ domid: place.domid, console: place.index });
    // With `keep`, what one read of the ring gives may come on top of the limit, and stay.
    const reserve = services.overflow === 'keep' ? CONSOLE_OUTPUT_SIZE : 0;
    this.history = new History(place.limit + reserve);
    this.unshown = this.history.reader(0);
  }

  /** Whether a ring is connected. */
  get connected(): boolean {
    return this.ring !== undefined;
  }

  /** Serves `ring` from here on, instead of the one before, of which what is left is taken. */
  async connect(ring: ConnectedRing): Promise<void> {
    this.disconnect();
    this.ring = ring;
    try {
      await this.openLog();
    } finally {
      if (this.ring === ring) ring.onEvent(() => this.ringReady());
    }
    void this.openTerminal();
  }

  get viewerCount(): number {
    return this.viewers.size;
  }

  /** Adds a viewer; `back` is how many bytes of earlier output it sees, at most. */
  addViewer(viewer: Viewer, back: number): HistoryReader {
    this.viewers.add(viewer);
    return this.history.reader(back);
  }

  removeViewer(viewer: Viewer): void {
    this.viewers.delete(viewer);
  }

  /** Something was typed at a viewer. */
  typedReady(): void {
    this.passTyped();
  }

  setWindowSize(size: WindowSize): void {
    this.windowSize = size;
    this.windowSizeWriter.wake();
  }

  /**
   * Lets go of everything; of a console that is over it takes first what was printed last.
   * Idempotent.
   *
   * @param isOver the guest is gone, or the console with it: nobody will take it up again
   */
  close(isOver: boolean): Promise<void> {
    this.closing ??= this.end(isOver);
    return this.closing;
  }

  private async end(isOver: boolean): Promise<void> {
    // What is left in the ring of a guest that lives is the next daemon's to take, but for what is
    // being stored.
    if (isOver) this.takeLast();
    else await this.guestLog?.close(false);
    this.letGo();
    this.renewal?.cancel();
    this.refill?.cancel();
    this.terminal?.close();
    for (const viewer of this.viewers) viewer.consoleEnded(isOver);
    this.viewers.clear();
    const logEnds = isOver ? this.guestLog?.close(true) : undefined;
    await Promise.allSettled([logEnds, this.windowSizeWriter.stop()]);
  }

  /** Lets go of the ring, and takes what it still holds. */
  disconnect(): void {
    if (this.closing === undefined) this.takeLast();
    this.letGo();
  }

  /** What the ring still holds is logged without regard to a kill: it is over. */
  private takeLast(): void {
    const { ring } = this;
    if (ring === undefined) return;
    const bytes = this.printed.subarray(0, ring.stream.read(this.printed));
    if (bytes.length > 0) {
      this.guestLog?.takeLast(bytes);
      this.show(bytes);
    }
    ring.stream.release();
  }

  private letGo(): void {
    this.ring?.close();
    this.ring = undefined;
    this.waiting = this.typed.subarray(0, 0);
  }

  private async openLog(): Promise<void> {
    const { ring } = this;
    if (this.guestLog !== undefined || ring === undefined) return;
    const opened = await this.services.outlets.openLog(this.place, ring.index);
    if (this.ring === undefined || this.closing !== undefined) await opened?.close(false);
    else this.guestLog = opened;
  }

  private ringReady(): void {
    const { ring } = this;
    if (ring === undefined) return;
    this.takePrinted('paid');
    this.passTyped();
    const { error } = ring.stream;
    if (error === undefined || this.ring !== ring) return;
    this.log.error('console ended', { error: error.message });
    this.disconnect();
    this.onViolation(error);
  }

  /** Takes what the guest has printed, and goes on as long as it prints and has an allowance. */
  private takePrinted(allowance: 'paid' | 'to be paid'): void {
    const { ring } = this;
    if (ring === undefined || this.closing !== undefined) return;
    if (this.storing || this.isFull()) return;
    const isPaid = allowance === 'paid';
    if (!isPaid && ring.allowance.exhausted) return;
    if (this.takeBatch(ring) && !isPaid) ring.allowance.spend();
  }

  /** One read empties the ring. Returns whether there was something. */
  private takeBatch(ring: ConnectedRing): boolean {
    const { index } = ring;
    const bytes = this.printed.subarray(0, ring.stream.read(this.printed));
    if (bytes.length === 0) {
      this.guestLog?.rest();
      return false;
    }
    ring.allowance.hold();
    this.storing = true;
    const stored = () => this.stored(ring);
    if (this.guestLog === undefined) stored();
    else this.guestLog.take(index, bytes, stored);
    this.show(bytes);
    return true;
  }

  private stored(ring: ConnectedRing): void {
    if (this.ring === ring) ring.stream.release();
    if (this.closing !== undefined) return;
    this.refill = this.services.clock.after(REFILL_MS, () => this.goOn());
  }

  private goOn(): void {
    this.storing = false;
    // While a batch was in the ring the guest could think that we know of what it added to it.
    this.takePrinted('to be paid');
    if (!this.storing) this.ring?.allowance.letGo();
  }

  /** With `keep`, the guest waits for somebody to read. */
  private isFull(): boolean {
    return this.services.overflow === 'keep' && this.unshown.length >= this.place.limit;
  }

  private show(bytes: Uint8Array): void {
    this.history.append(bytes);
    this.showOnTerminal();
    for (const viewer of this.viewers) viewer.outputReady();
  }

  private showOnTerminal(): void {
    const { unshown, terminal } = this;
    if (terminal === undefined) return;
    while (unshown.length > 0) {
      const shown = terminal.write(unshown.peek());
      if (shown === 0) return;
      unshown.consume(shown);
    }
  }

  /** Ends when there is nothing to pass, or no room. A guest that makes room signals it. */
  private passTyped(): void {
    for (let turn = 0; turn < TYPED_TURNS_MAX; turn++) {
      if (this.ring === undefined || this.closing !== undefined) return;
      if (this.waiting.length === 0) this.waiting = this.typed.subarray(0, this.readTyped());
      const passed = this.ring.stream.write(this.waiting);
      if (passed === 0) return;
      this.waiting = this.waiting.subarray(passed);
    }
  }

  /** From whoever has typed something; who typed last comes last the next time. */
  private readTyped(): number {
    const fromTerminal = this.terminal?.read(this.typed) ?? 0;
    if (fromTerminal > 0) return fromTerminal;
    for (const viewer of this.viewers) {
      const length = viewer.readTyped(this.typed);
      if (length === 0) continue;
      if (this.viewers.delete(viewer)) this.viewers.add(viewer);
      return length;
    }
    return 0;
  }

  /** In the background: whoever prints need not wait for a terminal. */
  private async openTerminal(): Promise<void> {
    if (this.closing !== undefined || this.terminalWanted) return;
    this.terminalWanted = true;
    let terminal: Terminal;
    try {
      terminal = await this.services.outlets.openTerminal(this.place);
    } catch (error) {
      this.log.error('cannot open a terminal', { error: errorMessage(error) });
      this.openTerminalLater();
      return;
    }
    if (this.closing !== undefined) {
      terminal.close();
      return;
    }
    this.terminal = terminal;
    terminal.onReady(() => this.terminalReady(terminal));
    this.showOnTerminal();
  }

  private async writeWindowSize(): Promise<void> {
    if (this.windowSize === undefined) return;
    try {
      await this.services.outlets.setWindowSize(this.place, this.windowSize);
    } catch (error) {
      this.log.warn('cannot tell the size of the window', { error: errorMessage(error) });
    }
  }

  private terminalReady(terminal: Terminal): void {
    if (terminal !== this.terminal) return;
    const guestWaited = this.isFull();
    this.showOnTerminal();
    if (guestWaited) this.takePrinted('to be paid');
    this.passTyped();
    if (terminal.ended) this.replaceTerminal(terminal);
  }

  private replaceTerminal(broken: Terminal): void {
    this.log.warn('the terminal broke', { tty: broken.path });
    broken.close();
    this.terminal = undefined;
    this.openTerminalLater();
  }

  private openTerminalLater(): void {
    if (this.closing !== undefined) return;
    this.renewal = this.services.clock.after(TERMINAL_RENEWAL_MS, () => {
      this.terminalWanted = false;
      void this.openTerminal();
    });
  }
}
