/** Terminals of consoles whose daemon is away: whoever looks at one stays, and goes on once it is back. */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { DomId } from '../base/ids.ts';
import type { ConsolePlace } from './console-outlets.ts';
import type { Terminal } from './terminal.ts';

/** A daemon that does not come back takes its terminals with it. */
const KEEP_MS = 300_000;
/** Between two looks whether the console is still there. */
const LOOK_MS = 2000;

interface Kept {
  readonly place: ConsolePlace;
  readonly terminal: Terminal;
  readonly until_ms: number;
  timer: Timer | undefined;
}

export interface KeptTerminalsParts {
  readonly clock: Clock;
  readonly isThere: (place: ConsolePlace) => Promise<boolean>;
}

export class KeptTerminals {
  private readonly parts: KeptTerminalsParts;
  private readonly kept = new Map<DomId, Kept>();

  constructor(parts: KeptTerminalsParts) {
    this.parts = parts;
  }

  /** Keeps the terminal of a guest's first console, for some minutes and as long as the console is there. */
  keep(place: ConsolePlace, terminal: Terminal): void {
    this.take(place)?.close();
    const until_ms = this.parts.clock.now_ms() + KEEP_MS;
    const kept: Kept = { place, terminal, until_ms, timer: undefined };
    this.kept.set(place.domid, kept);
    this.lookLater(kept);
  }

  /** The terminal that is kept for the console, if there is one. It belongs to the caller from here on. */
  take({ domid }: ConsolePlace): Terminal | undefined {
    const kept = this.kept.get(domid);
    kept?.timer?.cancel();
    this.kept.delete(domid);
    return kept?.terminal;
  }

  close(): void {
    for (const { place } of [...this.kept.values()]) this.take(place)?.close();
  }

  private lookLater(kept: Kept): void {
    kept.timer = this.parts.clock.after(LOOK_MS, () => void this.look(kept));
  }

  private async look(kept: Kept): Promise<void> {
    const { clock, isThere } = this.parts;
    // An xenstored that is away, too, says nothing of the console.
    const isOver = !(await isThere(kept.place).catch(() => true));
    if (this.kept.get(kept.place.domid) !== kept) return;
    if (isOver || kept.terminal.ended || clock.now_ms() >= kept.until_ms) {
      this.take(kept.place)?.close();
    } else {
      this.lookLater(kept);
    }
  }
}

/** A terminal that its holder gives back in place of closing it. */
export class LentTerminal implements ByteStream {
  private readonly terminal: Terminal;
  private readonly giveBack: () => void;
  private closed = false;

  /** @param giveBack called once */
  constructor(terminal: Terminal, giveBack: () => void) {
    this.terminal = terminal;
    this.giveBack = giveBack;
  }

  read(target: Uint8Array): number {
    return this.closed ? 0 : this.terminal.read(target);
  }

  write(source: Uint8Array): number {
    return this.closed ? 0 : this.terminal.write(source);
  }

  onReady(handler: () => void): void {
    this.terminal.onReady(handler);
  }

  get ended(): boolean {
    return this.closed || this.terminal.ended;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.giveBack();
  }
}
