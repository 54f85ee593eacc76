/** Log files: written in order and in the background, with an end to the memory they take. */
import { close, openSync, write } from 'node:fs';
import { errorMessage } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

/** Bytes that may wait for a slow disk; what comes on top is dropped. */
const WAITING_BYTES_MAX = 1 << 20;
/** Bytes given to the disk at once. */
const WRITE_BYTES_MAX = 1 << 16;

export class AppendedFile {
  private readonly path: Buffer;
  private readonly log: Log;
  private readonly fd: number;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private writing = false;
  /** Bytes lost since it was last said how many. */
  private lost = 0;
  private ending: Promise<void> | undefined;
  private finish: () => void = () => {};

  /**
   * Opens the file, and creates it with mode 0644 where there is none. Throws an error with a
   * `code` when that fails.
   */
  constructor(path: Buffer, log: Log) {
    this.path = path;
    this.log = log;
    this.fd = openSync(path, 'a', 0o644);
  }

  /** Takes a copy of `bytes` and never blocks. What can't be stored is dropped, counted and reported. */
  write(bytes: Uint8Array): void {
    if (this.ending !== undefined) return;
    if (this.waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      this.drop(bytes.length, 'the disk is too slow');
      return;
    }
    this.waiting.push(bytes.slice());
    this.waitingBytes += bytes.length;
    this.writeNext();
  }

  /** Resolves when all that was taken is stored or dropped, and the file closed. Idempotent. */
  close(): Promise<void> {
    this.ending ??= new Promise((resolve) => {
      this.finish = () => {
        this.reportLoss('the log ended with output lost');
        close(this.fd, () => resolve());
      };
      if (!this.writing) this.finish();
    });
    return this.ending;
  }

  private writeNext(): void {
    if (this.writing) return;
    const chunk = this.takeChunk();
    if (chunk.length === 0) {
      if (this.ending !== undefined) this.finish();
      return;
    }
    this.writing = true;
    this.append(chunk, () => {
      this.writing = false;
      this.writeNext();
    });
  }

  /** The oldest bytes that wait, many small writes as one. */
  private takeChunk(): Uint8Array {
    let count = 0;
    let length = 0;
    for (const bytes of this.waiting) {
      if (count > 0 && length + bytes.length > WRITE_BYTES_MAX) break;
      count++;
      length += bytes.length;
    }
    return Buffer.concat(this.waiting.splice(0, count), length);
  }

  private append(chunk: Uint8Array, done: () => void): void {
    write(this.fd, chunk, (error, written) => {
      this.waitingBytes -= error === null ? written : chunk.length;
      if (error !== null) this.drop(chunk.length, errorMessage(error));
      else if (written < chunk.length) return this.append(chunk.subarray(written), done);
      else this.reportLoss('the log is written again');
      done();
    });
  }

  private drop(length: number, reason: string): void {
    if (this.lost === 0) {
      this.log.error('the log loses output', { file: String(this.path), reason });
    }
    this.lost += length;
  }

  private reportLoss(message: string): void {
    if (this.lost === 0) return;
    this.log.warn(message, { file: String(this.path), lost_bytes: this.lost });
    this.lost = 0;
  }
}

/**
 * A function that opens logs in `directory` by their name, one character (0 to 255) a byte. It
 * throws `RangeError` for a name that would leave the directory.
 */
export function logDirectory(directory: string, log: Log): (name: string) => AppendedFile {
  return (name) => {
    if (name === '.' || name === '..' || /[/\0]/.test(name)) {
      throw new RangeError(`${JSON.stringify(name)} is no name of a log file`);
    }
    const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'latin1')]);
    return new AppendedFile(path, log);
  };
}
