/**
 * What a console needs of dom0: a terminal, a log, and a word to the guest. The daemon has it at
 * hand where it is a process of dom0 (host-outlets.ts), and from afar where it is a domain of its own
 * (remote-outlets.ts).
 */
import type { DomId } from '../base/ids.ts';
import type { WindowSize } from '../console/window-size.ts';
import type { Terminal, TerminalPlan } from './terminal.ts';

export interface ConsolePlace {
  readonly domid: DomId;
  /** 0 for the first console, N for `device/console/N`. */
  readonly index: number;
  /** The guest's directory of the console, where `tty` belongs. */
  readonly path: string;
  readonly terminal: TerminalPlan;
}

/** Where output is kept, each byte of it once whatever is killed: see guest-log.ts. */
export interface ConsoleLog {
  /**
   * Stores what stands in the ring from `index` on, and takes a copy of it. Nothing else may be stored
   * before `stored` is called, which is never from within; what the ring says must have followed by
   * the time of the next call to this or `rest`.
   */
  take(index: number, bytes: Uint8Array, stored: () => void): void;
  /** No batch is under way any more. */
  rest(): void;
  /** Stores the last words of a ring that nobody will take up again. */
  takeLast(bytes: Uint8Array): void;
  /** @param isOver the guest is gone, and its ring with it */
  close(isOver: boolean): Promise<void>;
}

export interface ConsoleOutlets {
  /** Makes the console's terminal and says in xenstore where it is. Rejects when there can be none. */
  openTerminal(place: ConsolePlace): Promise<Terminal>;
  /**
   * Resolves with `undefined` when nothing is kept of the console.
   *
   * @param index `out_cons`: where in the ring the first byte stands that is not known to be stored
   */
  openLog(place: ConsolePlace, index: number): Promise<ConsoleLog | undefined>;
  /** Tells the guest how large its viewer's window is: in the node `window-size`, for guests that look at it. */
  setWindowSize(place: ConsolePlace, size: WindowSize): Promise<void>;
}

/** Outlets that outlive the daemon whose consoles they are for. */
export interface LastingOutlets extends ConsoleOutlets {
  /** Takes a terminal whose console has no daemon for now. Whoever opens one for that console next is given it. */
  keepTerminal(place: ConsolePlace, terminal: Terminal): void;
}
