/** Which disk a device is to have, and the layers that its directory asks for. */
import type { Clock } from '../base/clock.ts';
import { ProtocolViolation } from '../base/errors.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { isHotplugDone } from '../xenbus/hotplug.ts';
import type { BlockDevice } from './block-device.ts';
import { CountedDisk } from './counted-disk.ts';
import { RateLimitedDisk } from './rate-limited-disk.ts';
import { ReadOnlyDisk } from './read-only-disk.ts';
import { WriteThroughDisk } from './write-through-disk.ts';

/** Bytes a second, in the back end's directory: a limit that whoever attached the disk has set. */
export const RATE_LIMIT_KEY = 'rate-limit';

/** Which disk the toolstack asks for. */
export interface DiskRequest {
  /** What the hotplug script found, or the disk's `target` as the configuration has it. */
  readonly path: string;
  readonly readOnly: boolean;
  /** The operator takes the blame for other users of the disk (`w!`). */
  readonly shared: boolean;
  /** For whom, in words for those who are refused the disk meanwhile. */
  readonly user: string;
  readonly bytesPerSecond?: number;
}

/**
 * Rejects with `XenError` when there is no such disk or it cannot be opened that way; EBUSY, and who
 * has it, when somebody else does.
 */
export type OpenDisk = (request: DiskRequest) => Promise<BlockDevice>;

/**
 * The disk that the toolstack wants, `undefined` while its hotplug script has not finished.
 *
 * @param scripts false in a domain where none ever runs, whatever the device's directory says
 */
export async function diskRequest(
  keys: DeviceKeys,
  scripts: boolean,
): Promise<DiskRequest | undefined> {
  if (scripts && !(await isHotplugDone(keys))) return undefined;
  const path = (await keys.read('physical-device-path')) ?? (await keys.read('params'));
  // A CD drive without a disc has no path either.
  if (path === undefined || path === '') return undefined;
  const mode = (await keys.read('mode')) ?? 'r';
  const bytesPerSecond = rateLimit(await keys.read(RATE_LIMIT_KEY));
  return {
    path,
    readOnly: !mode.startsWith('w') || (await isCdrom(keys)),
    shared: mode.endsWith('!'),
    user: `domain ${keys.peer}, device ${keys.path.slice(keys.path.lastIndexOf('/') + 1)}`,
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  };
}

export async function isCdrom(keys: DeviceKeys): Promise<boolean> {
  return (await keys.read('device-type')) === 'cdrom';
}

/** @param flushable whether the front end is offered a way to flush; it takes a disk without for one that needs none */
export async function openRequestedDisk(
  request: DiskRequest,
  openDisk: OpenDisk,
  clock: Clock,
  flushable: boolean,
): Promise<CountedDisk> {
  let disk = await openDisk(request);
  if (request.readOnly && !disk.info.readOnly) disk = new ReadOnlyDisk(disk);
  if (!flushable) disk = new WriteThroughDisk(disk);
  if (request.bytesPerSecond !== undefined) {
    disk = new RateLimitedDisk(disk, clock, request.bytesPerSecond);
  }
  return new CountedDisk(disk, clock);
}

function rateLimit(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(value)) return Number(value);
  throw new ProtocolViolation(
    `read ${RATE_LIMIT_KEY}`,
    `${RATE_LIMIT_KEY} is a whole number of bytes a second from 1 on`,
    JSON.stringify(value.slice(0, 32)),
  );
}
