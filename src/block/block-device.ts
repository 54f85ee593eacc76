/** The thing that the block protocol turns another domain into: a disk. */

/** The unit of every sector number in the block protocol, whatever a disk's own sectors measure. */
export const SECTOR_SIZE = 512;

export interface BlockDeviceInfo {
  /** Size of the disk in bytes; a multiple of `sectorSize`. */
  readonly size: number;
  /** Bytes in a logical sector: 512 or 4096. All positions and lengths are multiples of it. */
  readonly sectorSize: number;
  /** Bytes in a physical sector, for alignment. */
  readonly physicalSectorSize: number;
  readonly readOnly: boolean;
  /** `discard` does something. */
  readonly discard: boolean;
}

/**
 * A disk. Positions and lengths are bytes. Any number of operations may be under way at once and
 * they may complete in any order; what a `flush` answers for is every write answered before it began.
 * Operating errors reject with `XenError`: EIO, ENOSPC, EROFS, ENOTSUP.
 */
export interface BlockDevice {
  /** What the disk is now: its size can change, and nothing else of it. */
  readonly info: BlockDeviceInfo;
  /** Fills `targets`, one after the other, from `position` on. */
  read(position: number, targets: readonly Uint8Array[]): Promise<void>;
  /** Stores `sources`, one after the other, from `position` on. */
  write(position: number, sources: readonly Uint8Array[]): Promise<void>;
  /** Everything written before is on stable storage when this resolves. */
  flush(): Promise<void>;
  /** The content of the range is no longer needed. */
  discard(position: number, length: number): Promise<void>;
  /** Looks whether the disk has grown or shrunk; `info` says so afterwards. */
  refresh(): Promise<void>;
  /** The one function to call when the size was found to have changed without `refresh`. */
  onResize(handler: () => void): void;
  /** Waits for what is under way and lets go. Idempotent. */
  close(): Promise<void>;
}
