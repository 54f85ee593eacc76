/** The block back end as a domain of its own, which serves a disk that it has itself to a stock guest. */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  diskGuestInitramfs,
  Guest,
  type GuestType,
  makeDisk,
  proveDisk,
} from '../../scripts/lab/guest.ts';
import { diskLine, type Host, startOurs } from '../../scripts/lab/host.ts';
import type { DomZeroProcess } from '../../scripts/lab/process.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { sharedHost } from './shared-lab.ts';

const LIMIT_MS = 180_000;
const DISK = '/run/driver.img';
const NAME = 'blkback';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** Emulated, and beside others, the domain may take longer for one turn than it may elsewhere. */
const config = (image: string) => `name="${NAME}"
type="pvh"
kernel="${image}"
extra="turn_limit_ms=60000"
memory=16
shadow_memory=2
on_crash="destroy"
driver_domain=1
disk=[ "${diskLine(DISK)}" ]
`;

/** Writes files of random bytes, one after the other, and says so; then compares what is on the disk. */
const LOAD = [
  'cd /mnt',
  'for n in 1 2 3 4 5 6; do head -c 4M /dev/urandom >/tmp/now',
  'cp /tmp/now file-$n && sync && sha256sum </tmp/now >>/tmp/sums && echo WROTE-$n; done',
  'cd / && umount /mnt && mount -t ext4 /dev/xvda /mnt',
  'for n in 1 2 3 4 5 6; do sha256sum </mnt/file-$n; done | cmp - /tmp/sums && umount /mnt && echo LOAD-$((1))-SAME',
].join('; ');

async function keep(host: Host, image: string): Promise<DomZeroProcess> {
  await host.lab.run('cat >/run/driver.cfg', { input: config(image) });
  const keeper = await startOurs(host.lab, 'driver-domain', '--config', '/run/driver.cfg');
  await consoleShows(host, / ready domid=/);
  return keeper;
}

async function consoleOf(host: Host): Promise<string> {
  return (await host.lab.attempt(`cat /var/log/xen/console/guest-${NAME}.log`)).stdout;
}

function consoleShows(host: Host, pattern: RegExp): Promise<true> {
  const look = async () => pattern.test(await consoleOf(host)) || undefined;
  return host.lab.waitFor(`${pattern} at the console of ${NAME}`, look, LIMIT_MS);
}

const domidOf = async (host: Host) => Number(await host.lab.run(['xl', 'domid', NAME]));

/** A guest that works on the driver domain's disk while that domain is destroyed, twice. */
async function proveService(host: Host, type: GuestType, keeper: DomZeroProcess): Promise<Guest> {
  const { lab } = host;
  const name = `served-${type}`;
  const disks = [`format=raw,vdev=xvda,access=rw,backend=${NAME},target=vbd:51712`];
  const guest = await Guest.create(lab, { name, type, ramdisk: diskGuestInitramfs(), disks });
  const proof = await proveDisk(lab, guest, DISK);
  expect(proof.givenIsWhole).toBe(true);
  expect(proof.readBack).toBe(proof.written);

  await guest.run('mount -t ext4 /dev/xvda /mnt');
  const load = guest.type(LOAD, /LOAD-1-SAME|differ/);
  load.catch(() => {});
  for (const moment of [/WROTE-1/, /WROTE-3/]) {
    await guest.shows(moment);
    const from = keeper.output.length;
    await lab.run(['xl', 'destroy', NAME], { timeout_ms: LIMIT_MS });
    await keeper.waitFor(/domain blkback runs/, LIMIT_MS, from);
  }
  const [result] = await load;
  expect(result).toBe('LOAD-1-SAME');
  return guest;
}

test.each<GuestType>(['pv', 'pvh'])(
  'a %s guest works on the disk of a driver domain, which is destroyed under load',
  async (type) => {
    const host = await sharedHost();
    const { lab } = host;
    const before = await host.traces();
    const image = join(scratch.path, 'blkback.elf');
    await buildImage('stubdoms/blkback/unikernel.ts', image);
    await makeDisk(lab, DISK);
    const keeper = await keep(host, image);
    const domid = await domidOf(host);

    const guest = await proveService(host, type, keeper).catch(async (error) => {
      throw new Error(`${error}\n--- its console ---\n${await consoleOf(host)}`);
    });
    expect(await domidOf(host)).toBe(domid);

    await guest.destroy();
    await lab.run(['e2fsck', '-fn', DISK]);
    await lab.run(['xl', 'shutdown', '--wait', NAME], { timeout_ms: LIMIT_MS });
    await lab.run('until ! xenstore-exists /tool/paravane/driver-domain/blkback; do sleep 1; done');
    await keeper.stop();
    expect(await host.leftovers(before)).toEqual([]);
  },
);
