/** Log files: written in order and in the background, with an end to the memory they take. */
import { close, fstatSync, ftruncateSync, mkdirSync, openSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode, errorMessage } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { LogRotation, NO_ROTATION, type RotationRules } from './log-rotation.ts';

/** Bytes that may wait for a slow disk; what comes on top is dropped. */
const WAITING_BYTES_MAX = 1 << 20;
/** Bytes given to the disk at once. */
const WRITE_BYTES_MAX = 1 << 16;
/** How long whoever wrote waits to hear that it is stored, unless told otherwise. */
const PATIENCE_MS = 5_000;

/** One file, from its opening until it is put aside. */
interface OpenFile {
  readonly fd: number;
  readonly inode: number;
  /** Milliseconds since 1970. */
  readonly begun_ms: number;
  size: number;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly stored: () => void;
}

/** Makes the directory where it is missing. Throws an error with a `code`. */
function openForAppending(path: Buffer): OpenFile {
  let fd: number;
  try {
    fd = openSync(path, 'a', 0o644);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    mkdirSync(dirname(path.toString('latin1')), { recursive: true });
    fd = openSync(path, 'a', 0o644);
  }
  const { ino, size, birthtimeMs } = fstatSync(fd);
  return { fd, inode: ino, size, begun_ms: size === 0 ? Date.now() : birthtimeMs };
}

export class AppendedFile {
  private readonly path: Buffer;
  private readonly log: Log;
  private readonly rotation: LogRotation;
  private readonly patience_ms: number;
  private file: OpenFile;
  private waiting: Waiting[] = [];
  private waitingBytes = 0;
  private writing: readonly Waiting[] = [];
  /** The disk has not answered for so long that nobody waits for it any more. */
  private stuck = false;
  /** Bytes lost since it was last said how many. */
  private lost = 0;
  private rotationFailed = false;
  private ending: Promise<void> | undefined;
  private finish: () => void = () => {};

  /**
   * Opens the file, and creates it with mode 0644 where there is none. Throws an error with a
   * `code` when that fails.
   */
  constructor(path: Buffer, log: Log, rules = NO_ROTATION, patience_ms = PATIENCE_MS) {
    this.path = path;
    this.log = log;
    this.patience_ms = patience_ms;
    this.file = openForAppending(path);
    this.rotation = new LogRotation(path, rules, log);
  }

  /** Begins a new file when that is due. Returns where the next byte will stand, unless others still wait. */
  begin(): string | undefined {
    if (this.writing.length > 0 || this.waiting.length > 0) return undefined;
    const { fd, begun_ms } = this.file;
    // Others may have written or cut it: whoever rotates logs, or the last domain of the same name.
    this.file.size = fstatSync(fd).size;
    if (this.rotation.isDue(this.file.size, begun_ms)) this.beginNewFile();
    return `${this.file.inode}:${this.file.size}`;
  }

  /**
   * Takes a copy of `bytes` and never blocks. What can't be stored is dropped, counted and
   * reported. `stored` is called later in each case, and also when the disk takes too long.
   */
  write(bytes: Uint8Array, stored: () => void = () => {}): void {
    if (this.ending !== undefined || bytes.length === 0) {
      setImmediate(stored);
      return;
    }
    if (this.waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      this.drop(bytes.length, 'the disk is too slow');
      setImmediate(stored);
      return;
    }
    if (this.stuck) setImmediate(stored);
    this.waiting.push({ bytes: bytes.slice(), stored: this.stuck ? () => {} : stored });
    this.waitingBytes += bytes.length;
    this.writeNext();
  }

  cutBack(place: string): void {
    const [inode, size] = place.split(':', 2).map(Number);
    const { file } = this;
    if (inode !== file.inode || size === undefined || !(size >= 0 && size < file.size)) return;
    ftruncateSync(file.fd, size);
    file.size = size;
  }

  /** Resolves when all that was taken is stored or dropped, and the file closed. Idempotent. */
  close(): Promise<void> {
    this.ending ??= new Promise((resolve) => {
      this.finish = () => {
        this.reportLoss('the log ended with output lost');
        close(this.file.fd, () => void this.rotation.settled().then(resolve));
      };
      if (this.writing.length === 0) this.finish();
    });
    return this.ending;
  }

  private beginNewFile(): void {
    const old = this.file;
    try {
      this.rotation.rotate();
      this.file = openForAppending(this.path);
      this.rotationFailed = false;
      close(old.fd);
    } catch (error) {
      // The old file goes on, whatever it is called now. Said once, not for each line.
      if (!this.rotationFailed) {
        this.log.error('cannot rotate the log', { error: errorMessage(error) });
      }
      this.rotationFailed = true;
    }
  }

  private writeNext(): void {
    if (this.writing.length > 0) return;
    this.writing = this.takeNext();
    if (this.writing.length === 0) {
      if (this.ending !== undefined) this.finish();
      return;
    }
    const impatience = setTimeout(() => this.becomeStuck(), this.patience_ms);
    this.append(Buffer.concat(this.writing.map(({ bytes }) => bytes)), () => {
      clearTimeout(impatience);
      const written = this.writing;
      const wasStuck = this.stuck;
      this.writing = [];
      this.stuck = false;
      if (!wasStuck) for (const { stored } of written) stored();
      this.writeNext();
    });
  }

  /** Everybody who waits goes on without this disk, which gets what it can hold later. */
  private becomeStuck(): void {
    this.stuck = true;
    this.log.warn('the disk under a log does not answer', { file: String(this.path) });
    const forgotten = [...this.writing, ...this.waiting];
    this.waiting = this.waiting.map(({ bytes }) => ({ bytes, stored: () => {} }));
    for (const { stored } of forgotten) stored();
  }

  /** The oldest that wait, many small writes as one. */
  private takeNext(): Waiting[] {
    let count = 0;
    let length = 0;
    for (const { bytes } of this.waiting) {
      if (count > 0 && length + bytes.length > WRITE_BYTES_MAX) break;
      count++;
      length += bytes.length;
    }
    return this.waiting.splice(0, count);
  }

  private append(chunk: Uint8Array, done: () => void): void {
    const { file } = this;
    write(file.fd, chunk, (error, written) => {
      this.waitingBytes -= error === null ? written : chunk.length;
      if (error === null) file.size += written;
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
export function logDirectory(
  directory: string,
  log: Log,
  rules: RotationRules = NO_ROTATION,
): (name: string) => AppendedFile {
  return (name) => {
    if (name === '.' || name === '..' || /[/\0]/.test(name)) {
      throw new RangeError(`${JSON.stringify(name)} is no name of a log file`);
    }
    const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'latin1')]);
    return new AppendedFile(path, log, rules);
  };
}
