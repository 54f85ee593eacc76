/** Raw files and block devices as disks. The event loop never waits for storage. */
import {
  close,
  constants,
  existsSync,
  fdatasync,
  fstat,
  open,
  readFileSync,
  type Stats,
  stat,
} from 'node:fs';
import { constants as osConstants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { type ErrorCode, errorCode, errorMessage, XenError } from '../base/errors.ts';
import { type BlockDevice, type BlockDeviceInfo, SECTOR_SIZE } from '../block/block-device.ts';
import { byteLength } from '../block/disk-layer.ts';
import { deviceHolder, lockDisk, type NativeLock } from './disk-lock.ts';
import { FileTransfers, type NativeTransfers } from './file-transfers.ts';

const errnos = osConstants.errno;

/** The part of the native shim that disks need. */
export interface NativeFile extends NativeLock, NativeTransfers {
  /** The callback gets 0 or a negative errno; until then the descriptor must stay open. */
  discard(fd: number, position: number, length: number, callback: (result: number) => void): void;
}

export interface FileDiskOptions {
  readonly path: string;
  readonly readOnly: boolean;
  /** Others may use the disk too, whatever they do with it. */
  readonly shared?: boolean;
  /** For whom, in words for those who are refused the disk meanwhile. */
  readonly user: string;
}

/** What open(2) and the disk's own calls refuse with, in words. */
const EXPLANATIONS: Readonly<Partial<Record<ErrorCode, string>>> = {
  EACCES: 'permission denied',
  EBUSY: 'it is in use',
  EIO: 'the storage reports an error',
  ENODEV: 'there is no such device',
  ENOENT: 'there is no such file',
  ENOSPC: 'no space is left where the file lies',
  EPERM: 'not permitted',
  ENOTSUP: 'the storage cannot do that',
  EROFS: 'it can only be opened read-only',
};

/** What a disk answers besides EIO, by the errno that the storage gives. */
const STORAGE_CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [errnos.ENOSPC, 'ENOSPC'],
  [errnos.EDQUOT, 'ENOSPC'],
  [errnos.EOPNOTSUPP, 'ENOTSUP'],
]);

function diskError(operation: string, error: unknown): XenError {
  const code = errorCode(error) as ErrorCode;
  const words = EXPLANATIONS[code];
  return words === undefined
    ? new XenError('EIO', operation, errorMessage(error), error)
    : new XenError(code, operation, words, error);
}

/** @param errno as the native shim gives it, negative */
function storageError(operation: string, errno: number): XenError {
  const code = STORAGE_CODES.get(-errno) ?? 'EIO';
  return new XenError(code, operation, `${EXPLANATIONS[code]}: ${getSystemErrorName(errno)}`);
}

const MOVED = Promise.resolve();

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
  private readonly native: NativeFile;
  private readonly path: string;
  private readonly fd: number;
  private readonly unlock: () => void;
  private current: BlockDeviceInfo;
  private readonly transfers: FileTransfers;
  /** Flushes and discards. */
  private readonly underWay = new Set<Promise<unknown>>();
  private closed: Promise<void> | undefined;

  private constructor(native: NativeFile, path: string, opened: OpenedFile) {
    this.native = native;
    this.path = path;
    this.fd = opened.fd;
    this.current = opened.info;
    this.unlock = opened.unlock;
    this.transfers = new FileTransfers(native, opened.fd);
  }

  /**
   * Opens a regular file or a block device, and locks it against other writers unless it is shared.
   * Rejects with `XenError`: ENOENT, EACCES, EROFS; EBUSY with the name of who has it; EINVAL for
   * anything that is neither, and for a size that is not one or more whole sectors.
   */
  static async open(native: NativeFile, options: FileDiskOptions): Promise<FileDisk> {
    const { path, readOnly } = options;
    const operation = `open disk ${path}`;
    // Looked at before it is opened: opening a pipe would wait for somebody at its other end.
    const found = await complete<Stats>(operation, (done) => stat(path, done));
    needFileOrDevice(operation, found);
    const fd = await openFile(operation, found, options);
    try {
      const stats = await complete<Stats>(operation, (done) => fstat(fd, done));
      const info = diskInfo(operation, stats, readOnly);
      const { shared = false, user } = options;
      const lock = { exclusive: !readOnly, user, operation };
      const unlock = shared ? () => {} : lockDisk(native, fd, stats, lock);
      return new FileDisk(native, path, { fd, info, unlock });
    } catch (error) {
      await closeFile(operation, fd);
      throw error;
    }
  }

  get info(): BlockDeviceInfo {
    return this.current;
  }

  read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    return this.transfer(false, position, targets);
  }

  write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    if (this.info.readOnly) {
      return Promise.reject(new XenError('EROFS', `write disk ${this.path}`, EXPLANATIONS.EROFS));
    }
    return this.transfer(true, position, sources);
  }

  flush(): Promise<void> {
    const operation = `flush disk ${this.path}`;
    return this.track(
      complete(operation, (done: Done<void>) =>
        fdatasync(this.fd, (error) => done(error, undefined)),
      ),
    );
  }

  discard(position: number, length: number): Promise<void> {
    const operation = `discard on disk ${this.path}`;
    if (this.info.readOnly) {
      return Promise.reject(new XenError('EROFS', operation, EXPLANATIONS.EROFS));
    }
    return this.track(
      new Promise((resolve, reject) => {
        this.native.discard(this.fd, position, length, (result) => {
          if (result === 0) resolve();
          else reject(storageError(operation, result));
        });
      }),
    );
  }

  /** A size that is no disk's is not taken over: what lies beyond the end answers EIO. */
  async refresh(): Promise<void> {
    const operation = `look at disk ${this.path}`;
    const stats = await complete<Stats>(operation, (done) => fstat(this.fd, done));
    const { size } = storageInfo(stats);
    const whole = size - (size % this.current.sectorSize);
    if (whole > 0 && whole !== this.current.size) this.current = { ...this.current, size: whole };
  }

  /** A file does not tell when it grows. */
  onResize(): void {}

  close(): Promise<void> {
    this.closed ??= this.closeWhenIdle();
    return this.closed;
  }

  private async closeWhenIdle(): Promise<void> {
    await Promise.allSettled(this.underWay);
    await this.transfers.close();
    await closeFile(`close disk ${this.path}`, this.fd);
    this.unlock();
  }

  private track(work: Promise<void>): Promise<void> {
    this.underWay.add(work);
    const forget = () => {
      this.underWay.delete(work);
    };
    work.then(forget, forget);
    return work;
  }

  private transfer(
    isWrite: boolean,
    position: number,
    buffers: readonly Uint8Array[],
  ): Promise<void> {
    const length = byteLength(buffers);
    const moved = this.transfers.move(isWrite, position, buffers);
    if (moved === length) return MOVED;
    const check = (result: number) => {
      if (result !== length) throw this.transferError(isWrite, position, result);
    };
    return typeof moved === 'number'
      ? Promise.reject(this.transferError(isWrite, position, moved))
      : moved.then(check);
  }

  /** @param result bytes moved up to the end of the file, or a negative errno */
  private transferError(isWrite: boolean, position: number, result: number): XenError {
    const operation = `${isWrite ? 'write' : 'read'} disk ${this.path}`;
    if (result < 0) return storageError(operation, result);
    const end = position + result;
    return new XenError('EIO', operation, `it ends at byte ${end}, short of its first size`);
  }
}

interface OpenedFile {
  readonly fd: number;
  readonly info: BlockDeviceInfo;
  readonly unlock: () => void;
}

async function openFile(
  operation: string,
  stats: Stats,
  { path, readOnly, shared = false }: FileDiskOptions,
): Promise<number> {
  const { O_EXCL, O_RDONLY, O_RDWR } = constants;
  const alone = stats.isBlockDevice() && !readOnly && !shared;
  const flags = (readOnly ? O_RDONLY : O_RDWR) | (alone ? O_EXCL : 0);
  try {
    return await complete<number>(operation, (done) => open(path, flags, done));
  } catch (error) {
    if (!alone || errorCode(error) !== 'EBUSY') throw error;
    const holder = deviceHolder(deviceNumbers(stats.rdev));
    throw new XenError('EBUSY', operation, `it is in use by ${holder}`, error);
  }
}

function closeFile(operation: string, fd: number): Promise<void> {
  return complete(operation, (done: Done<void>) =>
    close(fd, (error) => done(error ?? null, undefined)),
  );
}

function needFileOrDevice(operation: string, stats: Stats): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  throw new XenError('EINVAL', operation, 'a disk is a regular file or a block device');
}

function diskInfo(operation: string, stats: Stats, readOnly: boolean): BlockDeviceInfo {
  const info = storageInfo(stats);
  const { size, sectorSize } = info;
  if (size === 0 || size % sectorSize !== 0) {
    const rule = `a disk has one or more whole sectors of ${sectorSize} bytes`;
    throw new XenError('EINVAL', operation, `${rule}; this one has ${size} bytes`);
  }
  if (info.readOnly && !readOnly) throw new XenError('EROFS', operation, EXPLANATIONS.EROFS);
  return { ...info, readOnly };
}

function storageInfo(stats: Stats): BlockDeviceInfo {
  return stats.isBlockDevice() ? deviceInfo(stats.rdev) : fileInfo(stats.size);
}

function fileInfo(size: number): BlockDeviceInfo {
  return {
    size,
    sectorSize: SECTOR_SIZE,
    physicalSectorSize: SECTOR_SIZE,
    readOnly: false,
    discard: true,
  };
}

/** The device as `major:minor`. @param rdev as stat(2) gives it */
function deviceNumbers(rdev: number): string {
  // makedev(3): twelve bits of major number from bit 8 on, the minor number around them.
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return `${major}:${minor}`;
}

/** What the kernel says of a block device in sysfs. @param rdev as stat(2) gives it */
function deviceInfo(rdev: number): BlockDeviceInfo {
  const directory = `/sys/dev/block/${deviceNumbers(rdev)}`;
  // A partition has no queue of its own; its disk's directory is the one above.
  const queue = existsSync(`${directory}/queue`) ? `${directory}/queue` : `${directory}/../queue`;
  const number = (path: string) => Number(readFileSync(path, 'latin1'));
  return {
    size: number(`${directory}/size`) * SECTOR_SIZE,
    sectorSize: number(`${queue}/logical_block_size`),
    physicalSectorSize: number(`${queue}/physical_block_size`),
    readOnly: number(`${directory}/ro`) === 1,
    discard: number(`${queue}/discard_max_bytes`) > 0,
  };
}
