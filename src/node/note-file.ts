/** A note that outlives the process: a small file, best on a tmpfs, replaced by one write. */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** Longer notes are refused: within a page, a write that a kill meets is done whole or not at all. */
const NOTE_SIZE = 128;

export class NoteFile {
  private readonly path: string;
  private readonly bytes = Buffer.alloc(NOTE_SIZE, ' ');
  private fd: number | undefined;

  /** The file is created with the first note. */
  constructor(path: string) {
    this.path = path;
  }

  read(): string {
    try {
      return readFileSync(this.path, 'latin1').trimEnd();
    } catch {
      // Nobody has written one, or nobody may read it.
      return '';
    }
  }

  write(text: string): void {
    if (text.length > NOTE_SIZE) throw new RangeError(`a note has at most ${NOTE_SIZE} characters`);
    this.fd ??= openSync(this.path, constants.O_WRONLY | constants.O_CREAT, 0o600);
    this.bytes.fill(' ');
    this.bytes.write(text, 'latin1');
    writeSync(this.fd, this.bytes, 0, NOTE_SIZE, 0);
  }

  discard(): void {
    this.close();
    rmSync(this.path, { force: true });
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }
}

/** Notes by their name, in `directory`, which is made where it is missing. */
export function noteDirectory(directory: string): (name: string) => NoteFile {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return (name) => new NoteFile(join(directory, name));
}
