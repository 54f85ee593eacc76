/** Names of virtual disks and their numbers, docs/man/xen-vbd-interface.7 of Xen. */
import { InvalidArgumentError } from 'commander';

const XVD_MAJOR = 202;
/** Disks that fit Linux's minor numbers; those beyond have numbers of a kind of their own. */
const CLASSIC_DISKS = 16;
const CLASSIC_PARTITIONS = 16;
const EXTENDED = 1 << 28;
const DISKS_MAX = 1 << 20;

/** The number of a disk such as `xvda`, of a partition such as `xvdb1`, or a number as it stands. */
export function virtualDeviceNumber(name: string): number {
  if (/^\d{1,9}$/.test(name)) return Number(name);
  const [, letters, digits = '0'] = /^xvd([a-z]{1,3})(\d{1,3})?$/.exec(name) ?? [];
  if (letters === undefined)
    throw new InvalidArgumentError('it is a name such as xvdb, or a number.');
  let disk = 0;
  for (const letter of letters) disk = disk * 26 + letter.charCodeAt(0) - 96;
  return deviceNumber(disk - 1, Number(digits));
}

function deviceNumber(disk: number, partition: number): number {
  if (disk < CLASSIC_DISKS && partition < CLASSIC_PARTITIONS) {
    return (XVD_MAJOR << 8) | (disk << 4) | partition;
  }
  if (disk < DISKS_MAX && partition < 256) return EXTENDED | (disk << 8) | partition;
  throw new InvalidArgumentError('there are no so many disks or partitions.');
}

/** The name that goes with a number; the number itself where none does. */
export function virtualDeviceName(number: number): string {
  if (number >= EXTENDED) return diskName((number - EXTENDED) >>> 8, number & 0xff);
  if (number >>> 8 === XVD_MAJOR) return diskName((number & 0xff) >>> 4, number & 0xf);
  return String(number);
}

function diskName(disk: number, partition: number): string {
  let letters = '';
  for (let rest = disk + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    letters = String.fromCharCode(97 + ((rest - 1) % 26)) + letters;
  }
  return `xvd${letters}${partition === 0 ? '' : partition}`;
}

/** The first disk, by its number, that is not among `taken`. */
export function freeVirtualDevice(taken: ReadonlySet<number>): number {
  for (let disk = 0; ; disk++) {
    const number = deviceNumber(disk, 0);
    if (!taken.has(number)) return number;
  }
}
