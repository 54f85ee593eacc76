/** A guest that works on its disk and in xenstore without end, and checks all of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Guest, makeDisk } from '../../scripts/lab/guest.ts';
import { diskLine, type Host } from '../../scripts/lab/host.ts';
import { guestInitramfs, guestProgram } from '../../scripts/lab/initramfs.ts';

/** How long a guest has to go on, on an emulated machine that may be loaded. */
const PROGRESS_LIMIT_MS = 180_000;

const PROGRAMS = join(CHECKOUT, 'test/xen/guest-programs');

/** @param env for xl, and for what it leaves running until the guest ends */
export async function workingGuest(
  { lab }: Host,
  name: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Guest> {
  const image = `/tmp/${name}.img`;
  await makeDisk(lab, image);
  const script = readFileSync(join(PROGRAMS, 'traffic.sh'), 'utf8');
  const ramdisk = guestInitramfs(script, [guestProgram(join(PROGRAMS, 'xenstore-traffic.c'))]);
  const disks = [diskLine(image)];
  const guest = await Guest.create(lab, { name, type: 'pv', ramdisk, disks, memory_mib: 128, env });
  await guest.shows(/TRAFFIC \d+/);
  await guest.shows(/DISK \d+/);
  return guest;
}

/** Resolves once the guest has gone on with both. */
export async function goesOn(guest: Guest): Promise<void> {
  const console = guest.console();
  const from = console.output.length;
  await console.waitFor(/TRAFFIC \d+/, PROGRESS_LIMIT_MS, from);
  await console.waitFor(/DISK \d+/, PROGRESS_LIMIT_MS, from);
}

/** Whatever a guest has complained of, and what its kernel has. */
function complaints(guest: Guest): string[] {
  const lines = guest.console().output.split('\n');
  return lines.filter((line) => /-ERROR|I\/O error|BUG|Oops|xenbus.*(fail|error)/i.test(line));
}

/** Ends its work, which has to have gone on and to have met no error. */
export async function hasMetNoError(guest: Guest): Promise<void> {
  await goesOn(guest);
  const [, errors] = await guest.type('touch /tmp/stop', /TRAFFIC-DONE .*, (\d+) errors/);
  await guest.shows(/DISK-DONE/);
  expect(complaints(guest)).toEqual([]);
  expect(errors).toBe('0');
}
