/**
 * The file of xenstored's journal. Its space is set aside ahead and mapped, so that to add to it is
 * a copy in memory and no system call; the page cache keeps it when this process is killed.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { errorMessage, XenError } from '../base/errors.ts';
import type { JournalRewrite, JournalStorage } from '../xenstored/journal/storage.ts';

/** The part of the native shim that the journal needs. Those that return a number tell an errno as a negative one. */
export interface NativeFile {
  setAside(fd: number, pages: number): number;
  tryLock(fd: number, exclusive: boolean): boolean;
  mapFile(fd: number, firstPage: number, count: number): ArrayBuffer;
  unmap(buffer: ArrayBuffer): void;
}

const PAGE_SIZE = 4096;
/** As much of a file is set aside, and mapped, at a time. */
const SEGMENT_PAGES = 256;
const SEGMENT_SIZE = SEGMENT_PAGES * PAGE_SIZE;
const COPY_SIZE = 1 << 20;

const NO_BYTES = new Uint8Array(0);

/** A file that bytes are added to, and of which only the last segment is mapped. */
class MappedFile {
  readonly path: string;
  readonly fd: number;
  length = 0;
  private readonly native: NativeFile;
  private segments = 0;
  private segment: Uint8Array = NO_BYTES;
  private segmentUsed = 0;
  private closed = false;

  constructor(native: NativeFile, path: string) {
    this.native = native;
    this.path = path;
    this.fd = tried(`create the journal ${path}`, () => openSync(path, 'w+', 0o600));
  }

  /** Adds all of it, or nothing and throws. */
  append(bytes: Uint8Array): void {
    const pages = this.segments * SEGMENT_PAGES;
    const missing = this.length + bytes.length - pages * PAGE_SIZE;
    if (missing > 0) this.setAside(pages + Math.ceil(missing / SEGMENT_SIZE) * SEGMENT_PAGES);
    for (let at = 0; at < bytes.length; ) {
      if (this.segmentUsed === this.segment.length) this.mapNext();
      const count = Math.min(bytes.length - at, SEGMENT_SIZE - this.segmentUsed);
      const part = count === bytes.length ? bytes : bytes.subarray(at, at + count);
      this.segment.set(part, this.segmentUsed);
      this.segmentUsed += count;
      at += count;
    }
    this.length += bytes.length;
  }

  /** Adds what `other` has from `position` on. */
  appendFrom(other: MappedFile, position: number): void {
    const buffer = new Uint8Array(Math.min(COPY_SIZE, Math.max(0, other.length - position)));
    for (let at = position; at < other.length; ) {
      const count = Math.min(buffer.length, other.length - at);
      const read = tried(`read the journal ${other.path}`, () =>
        readSync(other.fd, buffer, 0, count, at),
      );
      this.append(buffer.subarray(0, read));
      at += read;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.unmap();
    closeSync(this.fd);
  }

  private setAside(pages: number): void {
    const error = this.native.setAside(this.fd, pages);
    if (error === 0) return;
    const full = error === -constants.errno.ENOSPC;
    const what = `set aside ${pages * PAGE_SIZE} bytes for the journal ${this.path}`;
    throw new XenError(
      full ? 'ENOSPC' : 'EIO',
      what,
      full ? 'the disk is full' : `errno ${-error}`,
    );
  }

  private mapNext(): void {
    const next = tried(`map the journal ${this.path}`, () =>
      this.native.mapFile(this.fd, this.segments * SEGMENT_PAGES, SEGMENT_PAGES),
    );
    this.unmap();
    this.segment = new Uint8Array(next);
    this.segments++;
    this.segmentUsed = 0;
  }

  private unmap(): void {
    if (this.segment.length > 0) this.native.unmap(this.segment.buffer as ArrayBuffer);
    this.segment = NO_BYTES;
    this.segmentUsed = 0;
  }
}

function tried<Result>(operation: string, action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    if (error instanceof XenError) throw error;
    throw new XenError('EIO', operation, errorMessage(error), error);
  }
}

/** Makes what was renamed there outlive a loss of power. */
function syncDirectory(path: string): void {
  const fd = openSync(dirname(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export interface JournalFileOptions {
  readonly path: string;
  /** What was added outlives a loss of power, too; every addition waits for the disk. */
  readonly durable: boolean;
}

export class JournalFile implements JournalStorage {
  /** What an earlier process left there, if anything. */
  readonly found: Uint8Array | undefined;
  private readonly native: NativeFile;
  private readonly options: JournalFileOptions;
  private readonly lock: number;
  private file: MappedFile | undefined;
  private rewrite: MappedFile | undefined;
  private closed = false;

  /** Throws EBUSY while another process has it, and EIO when the file can't be had. */
  constructor(native: NativeFile, options: JournalFileOptions) {
    this.native = native;
    this.options = options;
    const { path } = options;
    this.lock = lockBeside(native, path);
    try {
      this.found = tried(`read the journal ${path}`, () =>
        existsSync(path) ? readFileSync(path) : undefined,
      );
    } catch (error) {
      closeSync(this.lock);
      throw error;
    }
  }

  get length(): number {
    return this.file?.length ?? 0;
  }

  append(bytes: Uint8Array): void {
    const { file } = this;
    if (file === undefined) throw new TypeError('a journal begins with a rewrite');
    file.append(bytes);
    if (!this.options.durable) return;
    tried(`write the journal ${file.path} to its disk`, () => fdatasyncSync(file.fd));
  }

  beginRewrite(): JournalRewrite {
    const { path } = this.options;
    const fresh = new MappedFile(this.native, `${path}.new`);
    this.rewrite = fresh;
    return {
      append: (bytes) => fresh.append(bytes),
      replace: (position) => this.replaceBy(fresh, position),
      abandon: () => this.abandon(),
    };
  }

  /** Lets go of the file, which stays. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.abandon();
    this.file?.close();
    closeSync(this.lock);
  }

  private replaceBy(fresh: MappedFile, position: number): void {
    const { path, durable } = this.options;
    if (this.file !== undefined) fresh.appendFrom(this.file, position);
    tried(`put the journal ${path} into its place`, () => {
      if (durable) fdatasyncSync(fresh.fd);
      renameSync(fresh.path, path);
      if (durable) syncDirectory(path);
    });
    this.file?.close();
    this.file = fresh;
    this.rewrite = undefined;
  }

  private abandon(): void {
    if (this.rewrite === undefined) return;
    this.rewrite.close();
    unlinkSync(this.rewrite.path);
    this.rewrite = undefined;
  }
}

/**
 * Takes the lock of the journal at `path`: the file beside it, since the journal itself is another
 * file after each rewrite. Returns its descriptor.
 */
function lockBeside(native: NativeFile, path: string): number {
  const operation = `lock the journal ${path}`;
  const fd = tried(operation, () => {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(`${path}.lock`, 'w', 0o600);
  });
  try {
    if (tried(operation, () => native.tryLock(fd, true))) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  throw new XenError('EBUSY', operation, 'another xenstored keeps its journal there');
}
