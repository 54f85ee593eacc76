/** A guest that works on its disk, in xenstore and with another guest without end, and checks all of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Guest, type GuestType, makeDisk } from '../../scripts/lab/guest.ts';
import { diskLine, type Host } from '../../scripts/lab/host.ts';
import { guestInitramfs, guestProgram } from '../../scripts/lab/initramfs.ts';
import type { Lab } from '../../scripts/lab/lab.ts';

/** How long a guest has to go on, on an emulated machine that may be loaded. */
const PROGRESS_LIMIT_MS = 180_000;
/** TCP that has waited tries again each time after twice as long. */
const NETWORK_LIMIT_MS = 400_000;

const PROGRAMS = join(CHECKOUT, 'test/xen/guest-programs');

/** What a guest has that works. */
export interface WorkingGuestPlan {
  readonly name: string;
  readonly type?: GuestType;
  /** For xl: a disk with an ext4 file system, as xvda. */
  readonly disk: string;
  /** For xl: its interface in a network where it is given an address. Without, it speaks to nobody. */
  readonly vif?: string;
  /** For xl, and for what it leaves running until the guest ends. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What the guest says again and again while all goes well, each with a number. */
const WORK = ['TRAFFIC', 'DISK'];
const NETWORK_WORK = [...WORK, 'NET'];

/** A guest that works on the disk. Resolves once it does. */
export async function makeWorkingGuest(lab: Lab, plan: WorkingGuestPlan): Promise<Guest> {
  const { name, type = 'pv', disk, vif, env = {} } = plan;
  const part = (file: string) => readFileSync(join(PROGRAMS, file), 'utf8');
  const script = `${vif === undefined ? '' : part('network.sh')}${part('traffic.sh')}`;
  const ramdisk = guestInitramfs(script, [guestProgram(join(PROGRAMS, 'xenstore-traffic.c'))]);
  const devices = { disks: [disk], vifs: vif === undefined ? [] : [vif] };
  const guest = await Guest.create(lab, { name, type, ramdisk, ...devices, memory_mib: 128, env });
  for (const sign of WORK) await guest.shows(new RegExp(`${sign} \\d+`));
  return guest;
}

/** The same with a disk of dom0. */
export async function workingGuest(
  { lab }: Host,
  name: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Guest> {
  const image = `/tmp/${name}.img`;
  await makeDisk(lab, image);
  return makeWorkingGuest(lab, { name, disk: diskLine(image), env });
}

/** Has two guests with interfaces speak with each other, and resolves once both do. */
export async function connectWorkingGuests(a: Guest, b: Guest): Promise<void> {
  const [, addressOfA] = await a.shows(/NET-ADDRESS ([\d.]+)/);
  const [, addressOfB] = await b.shows(/NET-ADDRESS ([\d.]+)/);
  await a.run(`echo ${addressOfB} >/tmp/peer`);
  await b.run(`echo ${addressOfA} >/tmp/peer`);
  for (const guest of [a, b]) await guest.shows(/NET \d+/);
}

async function proceeds(guest: Guest, signs: readonly string[], limit_ms: number): Promise<void> {
  const console = guest.console();
  const from = console.output.length;
  for (const sign of signs) await console.waitFor(new RegExp(`${sign} \\d+`), limit_ms, from);
}

/** Resolves once the guest has gone on with both. */
export const goesOn = (guest: Guest) => proceeds(guest, WORK, PROGRESS_LIMIT_MS);

/** Resolves once both of the guests have gone on with what they do, and have heard from each other. */
export async function bothGoOn(guests: readonly [Guest, Guest]): Promise<void> {
  await Promise.all(guests.map((guest) => proceeds(guest, NETWORK_WORK, NETWORK_LIMIT_MS)));
}

/** Whatever a guest has complained of, and what its kernel has. */
function complaints(guest: Guest): string[] {
  const lines = guest.console().output.split('\n');
  return lines.filter((line) => /-ERROR|I\/O error|BUG|Oops|xenbus.*(fail|error)/i.test(line));
}

/** Ends its work, which has to have met no error. */
async function endWork(guest: Guest): Promise<void> {
  const [, errors] = await guest.type('touch /tmp/stop', /TRAFFIC-DONE .*, (\d+) errors/);
  await guest.shows(/DISK-DONE/);
  expect(errors).toBe('0');
}

/** Ends its work, which has to have gone on and to have met no error. */
export async function hasMetNoError(guest: Guest): Promise<void> {
  await goesOn(guest);
  await endWork(guest);
  expect(complaints(guest)).toEqual([]);
}

/** The same for two that speak with each other. */
export async function bothHaveMetNoError(guests: readonly [Guest, Guest]): Promise<void> {
  await bothGoOn(guests);
  for (const guest of guests) await endWork(guest);
  for (const guest of guests) {
    await guest.shows(/NET-DONE/);
    expect(complaints(guest)).toEqual([]);
  }
}
