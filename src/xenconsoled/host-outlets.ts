/** The outlets of consoles in dom0: terminals and logs of its own, and xenstore to tell of them. */
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { WINDOW_SIZE_KEY, type WindowSize, windowSizeText } from '../console/window-size.ts';
import { childPath, domainHome } from '../xenstore/path.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import type { ConsoleLog, ConsolePlace, LastingOutlets } from './console-outlets.ts';
import { GuestLog, type OpenedLog } from './guest-log.ts';
import { KeptTerminals } from './kept-terminals.ts';
import { guestLogName, type OpenLog, type OpenNote } from './log-file.ts';
import { LogScribe, type LogStyle } from './log-style.ts';
import type { OpenTerminal, Terminal } from './terminal.ts';

export interface HostOutletsParts {
  readonly xenstore: Xenstore;
  /** The domain that this is in. */
  readonly domid: DomId;
  readonly clock: Clock;
  readonly log: Log;
  readonly openTerminal: OpenTerminal;
  /** Absent when guests are not logged. */
  readonly openLog?: OpenLog | undefined;
  readonly openNote: OpenNote;
  readonly logStyle: LogStyle;
}

export class HostOutlets implements LastingOutlets {
  private readonly parts: HostOutletsParts;
  private readonly logs = new Map<GuestLog, ConsolePlace>();
  private readonly terminals: KeptTerminals;

  constructor(parts: HostOutletsParts) {
    this.parts = parts;
    const { clock, xenstore } = parts;
    const isThere = async ({ path }: ConsolePlace) =>
      (await xenstore.readIfPresent(childPath(path, 'port'))) !== undefined;
    this.terminals = new KeptTerminals({ clock, isThere });
  }

  async openTerminal(place: ConsolePlace): Promise<Terminal> {
    const terminal = this.terminals.take(place) ?? this.parts.openTerminal(place.terminal);
    try {
      await this.publish(place, 'tty', terminal.path);
    } catch (error) {
      terminal.close();
      throw error;
    }
    return terminal;
  }

  keepTerminal(place: ConsolePlace, terminal: Terminal): void {
    this.terminals.keep(place, terminal);
  }

  /** Lets go of the terminals that are kept. */
  close(): void {
    this.terminals.close();
  }

  async openLog(place: ConsolePlace, index: number): Promise<ConsoleLog | undefined> {
    const { openLog, openNote, clock } = this.parts;
    if (openLog === undefined) return undefined;
    const guestLog: GuestLog = await GuestLog.open(
      {
        openFile: () => this.openFile(place, openLog),
        note: openNote(`console-${place.domid}-${place.index}`),
        clock,
        log: this.logOf(place),
        onClose: () => this.logs.delete(guestLog),
      },
      index,
    );
    this.logs.set(guestLog, place);
    return guestLog;
  }

  setWindowSize(place: ConsolePlace, size: WindowSize): Promise<void> {
    return this.publish(place, WINDOW_SIZE_KEY, windowSizeText(size));
  }

  /** Opens every log again by its name, after somebody has moved it away. */
  reopenLogs(): void {
    for (const [guestLog, place] of this.logs) {
      guestLog.reopen().catch((error) => {
        this.logOf(place).error('cannot reopen a log', { error: errorMessage(error) });
      });
    }
  }

  private logOf({ domid, index }: ConsolePlace): Log {
    return this.parts.log.child({ domid, console: index });
  }

  private async openFile(place: ConsolePlace, openLog: OpenLog): Promise<OpenedLog | undefined> {
    const { domid, index } = place;
    const { xenstore, clock, logStyle } = this.parts;
    const name = await xenstore.readIfPresent(childPath(domainHome(domid), 'name'));
    if (name === undefined || name === '') return undefined;
    try {
      const file = openLog(guestLogName(name, index));
      const scribe = new LogScribe(logStyle, clock, { domid, domain: name, console: index });
      return { file, scribe };
    } catch (error) {
      const fields = { error: errorMessage(error) };
      this.logOf(place).error('cannot open the log of the console', fields);
      return undefined;
    }
  }

  /** Writes a key of the console, unless its domain was removed meanwhile: nodes must not come back. */
  private publish(place: ConsolePlace, key: string, value: string): Promise<void> {
    const { path, domid, index } = place;
    const node = childPath(path, key);
    return this.parts.xenstore.transaction(async (nodes) => {
      if ((await nodes.readIfPresent(childPath(path, 'port'))) === undefined) return;
      await nodes.write(node, value);
      if (index === 0) return;
      // The guest owns the directory of a further console, but must not say what dom0's tools open.
      await nodes.setPermissions(node, [
        { domid: this.parts.domid, access: 'n' },
        { domid, access: 'r' },
      ]);
    });
  }
}
