/**
 * One writer a disk: flock(2) on the file, so that the lock ends with the process whatever ends it,
 * and O_EXCL on a block device, which keeps Linux's own users away. Who is refused learns who has it.
 */
import { readFileSync, type Stats } from 'node:fs';
import { XenError } from '../base/errors.ts';

/** The part of the native shim that locks need. */
export interface NativeLock {
  /** flock(2) without waiting; false when somebody else has the lock. */
  tryLock(fd: number, exclusive: boolean): boolean;
}

/** Those in this process who have a disk, by the disk's device and inode. */
const users = new Map<string, Set<string>>();

const keyOf = ({ dev, ino }: Stats) => `${dev}:${ino}`;

/**
 * Locks an open disk until its descriptor is closed: for one writer, or for any number of readers.
 * Returns a function to call then. Throws EBUSY with the holder's name.
 *
 * @param user for whom, in words
 */
export function lockDisk(
  native: NativeLock,
  fd: number,
  stats: Stats,
  { exclusive, user, operation }: { exclusive: boolean; user: string; operation: string },
): () => void {
  if (!native.tryLock(fd, exclusive)) {
    throw new XenError('EBUSY', operation, `it is in use by ${lockHolder(stats)}`);
  }
  const key = keyOf(stats);
  const names = users.get(key) ?? new Set();
  users.set(key, names.add(user));
  return () => {
    names.delete(user);
    if (names.size === 0) users.delete(key);
  };
}

function lockHolder(stats: Stats): string {
  const here = users.get(keyOf(stats));
  if (here !== undefined) return [...here].join(', ');
  return flockHolders(stats.ino).map(processName).join(', ') || 'somebody';
}

/** Process ids that hold a flock on an inode. A line of /proc/locks ends "… WRITE 812 08:01:131 0 EOF". */
function flockHolders(inode: number): number[] {
  const lines = readFileSync('/proc/locks', 'latin1').split('\n');
  return lines.flatMap((line) => {
    const found = /FLOCK +\S+ +\S+ +(\d+) +[0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line);
    return found !== null && Number(found[2]) === inode ? [Number(found[1])] : [];
  });
}

function processName(pid: number): string {
  try {
    return `process ${pid} (${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()})`;
  } catch {
    return `process ${pid}`;
  }
}

/** Who keeps a block device from being opened with O_EXCL. @param device as `major:minor` */
export function deviceHolder(device: string): string {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const points = mounts.map((line) => line.split(' ')).filter((fields) => fields[2] === device);
  const point = points[0]?.[4];
  return point === undefined ? 'another user in this domain' : `the file system at ${point}`;
}
