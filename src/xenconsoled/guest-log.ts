/**
 * The log of one console, with every byte in it exactly once whenever the daemon is killed.
 *
 * Output stays in the guest's ring until it is in the log; only then does `out_cons` move on. So
 * none is lost, and `out_cons` itself tells whether a batch was done with. A batch that was being
 * written when the daemon died may be in the log in part or whole while it is still in the ring:
 * a note, written before the batch, says where in the ring and where in the log it began. Who finds
 * `out_cons` there still cuts the log back and takes the batch again.
 */
import { errorMessage } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { LogFile, Note } from './log-file.ts';
import type { LogScribe } from './log-style.ts';

export interface GuestLogParts {
  readonly file: LogFile;
  readonly scribe: LogScribe;
  readonly note: Note;
  readonly log: Log;
}

export class GuestLog {
  private file: LogFile;
  private scribe: LogScribe;
  private readonly note: Note;
  private readonly log: Log;
  private noted = false;

  constructor(parts: GuestLogParts) {
    this.file = parts.file;
    this.scribe = parts.scribe;
    this.note = parts.note;
    this.log = parts.log;
  }

  /** Before anything else is written: takes back the batch that an earlier daemon left undone at `index`. */
  resume(index: number): void {
    const [noted, place] = this.note.read().split(' ', 2);
    if (place !== undefined && noted === String(index)) this.file.cutBack(place);
    this.writeNote('');
    this.file.write(this.scribe.opening());
  }

  /**
   * Stores what stands in the ring from `index` on. Nothing else may be stored before `stored` is
   * called; what the ring says must have followed by the time of the next call to this or `rest`.
   */
  take(index: number, bytes: Uint8Array, stored: () => void): void {
    const place = this.file.begin();
    if (place !== undefined) this.writeNote(`${index} ${place}`);
    else if (this.noted) this.writeNote('');
    this.file.write(this.scribe.written(bytes), stored);
  }

  /** No batch is under way any more. */
  rest(): void {
    if (this.noted) this.writeNote('');
  }

  /** Stores the last words of a ring that nobody will take up again. */
  takeLast(bytes: Uint8Array): void {
    this.file.write(this.scribe.written(bytes));
  }

  /** Goes on in another file. Resolves when the old one is closed. */
  continueIn(file: LogFile, scribe: LogScribe): Promise<void> {
    const old = this.file;
    this.file = file;
    this.scribe = scribe;
    this.file.write(scribe.opening());
    return old.close();
  }

  /** @param isOver the guest is gone, and its ring with it */
  async close(isOver: boolean): Promise<void> {
    await this.file.close();
    if (isOver) this.note.discard();
    else this.note.close();
  }

  private writeNote(text: string): void {
    this.noted = text !== '';
    try {
      this.note.write(text);
    } catch (error) {
      // The log is still written; only a kill at the wrong moment would show in it.
      this.log.warn('cannot note how far the log is', { error: errorMessage(error) });
    }
  }
}
