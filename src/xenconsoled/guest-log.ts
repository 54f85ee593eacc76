/**
 * The log of one console, with every byte in it exactly once whenever the daemon is killed.
 *
 * Output stays in the guest's ring until it is in the log; only then does `out_cons` move on. So
 * none is lost, and `out_cons` itself tells whether a batch was done with. A batch that was being
 * written when the daemon died may be in the log in part or whole while it is still in the ring:
 * a note, written before the batch, says where in the ring and where in the log it began. Who finds
 * `out_cons` there still cuts the log back and takes the batch again.
 */
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ConsoleLog } from './console-outlets.ts';
import type { LogFile, Note } from './log-file.ts';
import type { LogScribe } from './log-style.ts';

/** A log that is open, and who writes it. */
export interface OpenedLog {
  readonly file: LogFile;
  readonly scribe: LogScribe;
}

export interface GuestLogParts {
  /** Opens the file under the name that the guest has now; resolves with `undefined` when that cannot be. */
  readonly openFile: () => Promise<OpenedLog | undefined>;
  readonly note: Note;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once the log is closed, or about to be. */
  readonly onClose: () => void;
}

export class GuestLog implements ConsoleLog {
  private readonly parts: GuestLogParts;
  private opened: OpenedLog | undefined;
  /** The batch that an earlier daemon left undone was taken back, if there was one. */
  private resumed = false;
  private noted = false;
  private noteFailed = false;
  private closed = false;

  private constructor(parts: GuestLogParts) {
    this.parts = parts;
  }

  /** Resolves with a log that keeps nothing, until `reopen`, where the file cannot be opened. */
  static async open(parts: GuestLogParts, index: number): Promise<GuestLog> {
    const log = new GuestLog(parts);
    log.opened = await parts.openFile();
    if (log.opened !== undefined) log.resume(log.opened, index);
    return log;
  }

  take(index: number, bytes: Uint8Array, stored: () => void): void {
    const { opened } = this;
    if (opened === undefined) {
      this.parts.clock.after(0, stored);
      return;
    }
    if (!this.resumed) this.resume(opened, index);
    const { file, scribe } = opened;
    const place = file.begin();
    if (place !== undefined) this.writeNote(`${index} ${place}`);
    else if (this.noted) this.writeNote('');
    file.write(scribe.written(bytes), stored);
  }

  rest(): void {
    if (this.noted) this.writeNote('');
  }

  takeLast(bytes: Uint8Array): void {
    this.opened?.file.write(this.opened.scribe.written(bytes));
  }

  /** Goes on in a file that is opened anew. Resolves when the old one is closed. */
  async reopen(): Promise<void> {
    const next = await this.parts.openFile();
    if (next === undefined) return;
    if (this.closed) return next.file.close();
    const old = this.opened;
    this.opened = next;
    // Of a log that was not there, the next batch tells where it begins.
    if (old === undefined) return;
    next.file.write(next.scribe.opening());
    await old.file.close();
  }

  async close(isOver: boolean): Promise<void> {
    this.closed = true;
    this.parts.onClose();
    await this.opened?.file.close();
    if (isOver) this.parts.note.discard();
    else this.parts.note.close();
  }

  /** Before anything else is written: takes back the batch that an earlier daemon left undone at `index`. */
  private resume({ file, scribe }: OpenedLog, index: number): void {
    const [noted, place] = this.parts.note.read().split(' ', 2);
    if (place !== undefined && noted === String(index)) this.cutBack(file, place);
    this.writeNote('');
    file.write(scribe.opening());
    this.resumed = true;
  }

  private cutBack(file: LogFile, place: string): void {
    try {
      file.cutBack(place);
    } catch (error) {
      // A log that may only grow, say. It has the batch twice then, which is better than no more of them.
      this.parts.log.warn('cannot take a batch back', { error: errorMessage(error) });
    }
  }

  private writeNote(text: string): void {
    this.noted = text !== '';
    try {
      this.parts.note.write(text);
      this.noteFailed = false;
    } catch (error) {
      // The log is still written; only a kill at the wrong moment would show in it. Said once, not
      // for each batch.
      if (!this.noteFailed) {
        this.parts.log.warn('cannot note how far the log is', { error: errorMessage(error) });
      }
      this.noteFailed = true;
    }
  }
}
