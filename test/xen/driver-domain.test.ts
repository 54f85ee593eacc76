/** The block back end as a domain of its own, which serves a disk that it has itself to a stock guest. */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  diskGuestInitramfs,
  Guest,
  type GuestType,
  guestToolsDisk,
  makeDisk,
  proveDisk,
  toolsGuestInitramfs,
} from '../../scripts/lab/guest.ts';
import { diskLine, type Host, startOurs } from '../../scripts/lab/host.ts';
import type { DomZeroProcess } from '../../scripts/lab/process.ts';
import { debianKernel } from '../../src/dom0/image/debian-kernel.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { buildLinuxImage } from '../../src/dom0/image/linux-image.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { checkContent, checkDiscard, checkFileSystem } from './disk-checks.ts';
import { sharedHost } from './shared-lab.ts';

const LIMIT_MS = 300_000;
/** Emulated, a domain that is made again takes a minute. */
const TEST_LIMIT_MS = 900_000;
const DISK = '/run/driver.img';
const NAME = 'blkback';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** One of the two forms that a driver domain has. */
interface Form {
  /** Lines of its configuration. */
  readonly boot: readonly string[];
  /** What it says once it serves. */
  readonly ready: RegExp;
  /** The name of its own xvda for guests. */
  readonly target: string;
}

const unikernel = (image: string): Form => ({
  boot: [`kernel="${image}"`, 'memory=16', 'shadow_memory=2'],
  ready: / ready domid=/,
  target: 'vbd:51712',
});

const linux = (image: string): Form => ({
  boot: [
    `kernel="${debianKernel().image}"`,
    `ramdisk="${image}"`,
    'extra="console=hvc0 quiet panic=-1"',
    'memory=384',
    'on_reboot="destroy"',
  ],
  ready: /blkback is ready/,
  target: '/dev/xvda',
});

const config = ({ boot }: Form) => `name="${NAME}"
type="pvh"
${boot.join('\n')}
on_crash="destroy"
driver_domain=1
disk=[ "${diskLine(DISK)}" ]
`;

/** Writes files of random bytes, one after the other, and says so; then compares what is on the disk. */
const LOAD = [
  'cd /mnt',
  'for n in 1 2 3 4; do head -c 2097152 /dev/urandom >/tmp/now',
  'cp /tmp/now file-$n && sync && sha256sum </tmp/now >>/tmp/sums && echo WROTE-$n; done',
  'cd / && umount /mnt && mount -t ext4 /dev/xvda /mnt',
  'for n in 1 2 3 4; do sha256sum </mnt/file-$n; done | cmp - /tmp/sums && umount /mnt && echo LOAD-$((1))-SAME',
].join('; ');

async function keep(host: Host, form: Form): Promise<DomZeroProcess> {
  await host.lab.run('rm -f /var/log/xen/console/guest-blkback.log');
  await host.lab.run('cat >/run/driver.cfg', { input: config(form) });
  const keeper = await startOurs(host.lab, 'driver-domain', '--config', '/run/driver.cfg');
  await consoleShows(host, form.ready);
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

/** A guest that finds on the driver domain's disk what is there, and writes to it. */
async function serve(host: Host, type: GuestType, { target }: Form): Promise<Guest> {
  const { lab } = host;
  const name = `served-${type}`;
  const disks = [`format=raw,vdev=xvda,access=rw,backend=${NAME},target=${target}`];
  const guest = await Guest.create(lab, { name, type, ramdisk: diskGuestInitramfs(), disks });
  const proof = await proveDisk(lab, guest, DISK);
  expect(proof.givenIsWhole).toBe(true);
  expect(proof.readBack).toBe(proof.written);
  return guest;
}

/** Destroys the driver domain twice while the guest works on its disk. */
async function destroyUnderLoad({ lab }: Host, guest: Guest, keeper: DomZeroProcess) {
  await guest.run('mount -t ext4 /dev/xvda /mnt');
  await guest.type(LOAD, /WROTE-1/);
  for (const moment of [/WROTE-1/, /WROTE-2/]) {
    await guest.shows(moment);
    const from = keeper.output.length;
    await lab.run(['xl', 'destroy', NAME], { timeout_ms: LIMIT_MS });
    await keeper.waitFor(/domain blkback runs/, LIMIT_MS, from);
  }
  const [result] = await guest.shows(/LOAD-1-SAME|differ/);
  expect(result).toBe('LOAD-1-SAME');
}

/** Starts a driver domain, lets `work` use it, and looks what is left of it. */
async function withDriverDomain(
  form: Form,
  work: (host: Host, keeper: DomZeroProcess) => Promise<Guest>,
): Promise<void> {
  const host = await sharedHost();
  const { lab } = host;
  const before = await host.traces();
  await makeDisk(lab, DISK);
  const keeper = await keep(host, form);
  const domid = await domidOf(host);

  const guest = await work(host, keeper).catch(async (error) => {
    throw new Error(`${error}\n--- its console ---\n${await consoleOf(host)}`);
  });
  expect(await domidOf(host)).toBe(domid);

  await guest.destroy();
  await lab.run(['e2fsck', '-fn', DISK]);
  await lab.run(['xl', 'shutdown', '--wait', NAME], { timeout_ms: LIMIT_MS });
  await lab.run('until ! xenstore-exists /tool/paravane/driver-domain/blkback; do sleep 1; done');
  await keeper.stop();
  expect(await host.leftovers(before)).toEqual([]);
}

test.each<GuestType>(['pv', 'pvh'])(
  'a %s guest works on the disk of a driver domain, which is destroyed under load',
  async (type) => {
    const image = join(scratch.path, 'blkback.elf');
    await buildImage('stubdoms/blkback/unikernel.ts', image);
    const form = unikernel(image);
    await withDriverDomain(form, async (host, keeper) => {
      const guest = await serve(host, type, form);
      await destroyUnderLoad(host, guest, keeper);
      return guest;
    });
  },
  TEST_LIMIT_MS,
);

/** The core of what test/xen/block.test.ts asks of the back end in dom0. */
async function useDisk({ lab }: Host, type: GuestType, { target }: Form): Promise<Guest> {
  const guest = await Guest.create(lab, {
    name: `user-${type}`,
    type,
    ramdisk: toolsGuestInitramfs(),
    disks: [
      diskLine(guestToolsDisk(), 'xvda', 'ro'),
      `format=raw,vdev=xvdb,access=rw,backend=${NAME},target=${target}`,
    ],
    memory_mib: 256,
  });
  await guest.shows(/GUEST-TOOLS-READY/);
  await checkContent(lab, guest, 'xvdb', DISK);
  await checkDiscard(lab, guest, 'xvdb', DISK);
  await checkFileSystem(guest, 'xvdb');
  return guest;
}

test.each<GuestType>(['pv', 'pvh'])(
  'a %s guest does with the disk of a driver domain what it does with one of dom0',
  async (type) => {
    const image = join(scratch.path, 'core.elf');
    await buildImage('stubdoms/blkback/unikernel.ts', image);
    const form = unikernel(image);
    await withDriverDomain(form, (host) => useDisk(host, type, form));
  },
  TEST_LIMIT_MS,
);

test.each<GuestType>(['pv', 'pvh'])(
  'a %s guest does the same with the disk of a driver domain that runs Linux',
  async (type) => {
    const image = join(scratch.path, 'blkback.initramfs');
    await buildLinuxImage(['blkback', '--driver-domain'], image);
    const form = linux(image);
    await withDriverDomain(form, (host) => useDisk(host, type, form));
  },
  TEST_LIMIT_MS,
);
