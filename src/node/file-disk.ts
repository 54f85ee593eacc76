/** Raw files and block devices as disks. All I/O runs in libuv's thread pool, off the event loop. */
import {
  close,
  constants,
  existsSync,
  fdatasync,
  fstat,
  open,
  readFileSync,
  readv,
  type Stats,
  stat,
  writev,
} from 'node:fs';
import { type ErrorCode, errorCode, errorMessage, XenError } from '../base/errors.ts';
import { type BlockDevice, type BlockDeviceInfo, SECTOR_SIZE } from '../block/block-device.ts';

export interface FileDiskOptions {
  readonly path: string;
  readonly readOnly: boolean;
}

/** What open(2) and the disk's own calls refuse with, in words. */
const EXPLANATIONS: Readonly<Partial<Record<ErrorCode, string>>> = {
  EACCES: 'permission denied',
  EIO: 'the storage reports an error',
  ENODEV: 'there is no such device',
  ENOENT: 'there is no such file',
  ENOSPC: 'no space is left where the file lies',
  EPERM: 'not permitted',
  EROFS: 'it can only be opened read-only',
};

function diskError(operation: string, error: unknown): XenError {
  const code = errorCode(error) as ErrorCode;
  const words = EXPLANATIONS[code];
  return words === undefined
    ? new XenError('EIO', operation, errorMessage(error), error)
    : new XenError(code, operation, words, error);
}

type Done<Result> = (error: Error | null, result: Result) => void;

/** A call of node:fs as a promise whose error names `operation`. */
function complete<Result>(operation: string, call: (done: Done<Result>) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error === null) resolve(result);
      else reject(diskError(operation, error));
    });
  });
}

export class FileDisk implements BlockDevice {
  readonly info: BlockDeviceInfo;
  private readonly path: string;
  private readonly fd: number;
  private readonly underWay = new Set<Promise<unknown>>();
  private closed: Promise<void> | undefined;

  private constructor(path: string, fd: number, info: BlockDeviceInfo) {
    this.path = path;
    this.fd = fd;
    this.info = info;
  }

  /**
   * Opens a regular file or a block device. Rejects with `XenError`: ENOENT, EACCES, EROFS; EINVAL
   * for anything that is neither, and for a size that is not one or more whole sectors.
   */
  static async open({ path, readOnly }: FileDiskOptions): Promise<FileDisk> {
    const operation = `open disk ${path}`;
    // Looked at before it is opened: opening a pipe would wait for somebody at its other end.
    needFileOrDevice(operation, await complete<Stats>(operation, (done) => stat(path, done)));
    const flags = readOnly ? constants.O_RDONLY : constants.O_RDWR;
    const fd = await complete<number>(operation, (done) => open(path, flags, done));
    try {
      const stats = await complete<Stats>(operation, (done) => fstat(fd, done));
      return new FileDisk(path, fd, diskInfo(operation, stats, readOnly));
    } catch (error) {
      await complete(operation, (done: Done<undefined>) =>
        close(fd, (e) => done(e ?? null, undefined)),
      );
      throw error;
    }
  }

  read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    return this.track(this.transfer('read', readv, position, targets));
  }

  write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    if (this.info.readOnly) {
      return Promise.reject(new XenError('EROFS', `write disk ${this.path}`, EXPLANATIONS.EROFS));
    }
    return this.track(this.transfer('write', writev, position, sources));
  }

  flush(): Promise<void> {
    const operation = `flush disk ${this.path}`;
    return this.track(
      complete(operation, (done: Done<void>) =>
        fdatasync(this.fd, (error) => done(error, undefined)),
      ),
    );
  }

  discard(): Promise<void> {
    return Promise.reject(new XenError('ENOTSUP', `discard on disk ${this.path}`));
  }

  close(): Promise<void> {
    this.closed ??= this.closeWhenIdle();
    return this.closed;
  }

  private async closeWhenIdle(): Promise<void> {
    await Promise.allSettled(this.underWay);
    const operation = `close disk ${this.path}`;
    await complete(operation, (done: Done<void>) =>
      close(this.fd, (error) => done(error ?? null, undefined)),
    );
  }

  private track(work: Promise<void>): Promise<void> {
    this.underWay.add(work);
    const forget = () => {
      this.underWay.delete(work);
    };
    work.then(forget, forget);
    return work;
  }

  /** Moves all of `buffers`, however little the kernel does at a time. */
  private async transfer(
    verb: string,
    call: typeof readv | typeof writev,
    position: number,
    buffers: readonly Uint8Array[],
  ): Promise<void> {
    const operation = `${verb} disk ${this.path}`;
    let left = buffers;
    while (left.length > 0) {
      const moved = await complete<number>(operation, (done) =>
        call(this.fd, left, position, done),
      );
      if (moved === 0) {
        throw new XenError(
          'EIO',
          operation,
          `it ends at byte ${position}, short of its first size`,
        );
      }
      position += moved;
      left = after(left, moved);
    }
  }
}

/** What of `buffers` follows the first `done` bytes. */
function after(buffers: readonly Uint8Array[], done: number): readonly Uint8Array[] {
  let index = 0;
  while (index < buffers.length && done >= buffers[index]!.length) {
    done -= buffers[index]!.length;
    index++;
  }
  if (index === buffers.length) return [];
  return [buffers[index]!.subarray(done), ...buffers.slice(index + 1)];
}

function needFileOrDevice(operation: string, stats: Stats): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  throw new XenError('EINVAL', operation, 'a disk is a regular file or a block device');
}

function diskInfo(operation: string, stats: Stats, readOnly: boolean): BlockDeviceInfo {
  const info = stats.isBlockDevice() ? deviceInfo(stats.rdev) : fileInfo(stats.size);
  const { size, sectorSize } = info;
  if (size === 0 || size % sectorSize !== 0) {
    const rule = `a disk has one or more whole sectors of ${sectorSize} bytes`;
    throw new XenError('EINVAL', operation, `${rule}; this one has ${size} bytes`);
  }
  if (info.readOnly && !readOnly) throw new XenError('EROFS', operation, EXPLANATIONS.EROFS);
  return { ...info, readOnly };
}

function fileInfo(size: number): BlockDeviceInfo {
  return {
    size,
    sectorSize: SECTOR_SIZE,
    physicalSectorSize: SECTOR_SIZE,
    readOnly: false,
    discard: false,
  };
}

/** What the kernel says of a block device in sysfs. @param rdev as stat(2) gives it */
function deviceInfo(rdev: number): BlockDeviceInfo {
  // makedev(3): twelve bits of major number from bit 8 on, the minor number around them.
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  const directory = `/sys/dev/block/${major}:${minor}`;
  // A partition has no queue of its own; its disk's directory is the one above.
  const queue = existsSync(`${directory}/queue`) ? `${directory}/queue` : `${directory}/../queue`;
  const number = (path: string) => Number(readFileSync(path, 'latin1'));
  return {
    size: number(`${directory}/size`) * SECTOR_SIZE,
    sectorSize: number(`${queue}/logical_block_size`),
    physicalSectorSize: number(`${queue}/physical_block_size`),
    readOnly: number(`${directory}/ro`) === 1,
    discard: false,
  };
}
