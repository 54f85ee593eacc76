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
import { diskLine, type Host } from '../../scripts/lab/host.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { buildLinuxImage } from '../../src/dom0/image/linux-image.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { checkContent, checkDiscard, checkFileSystem } from './disk-checks.ts';
import {
  DriverDomain,
  type DriverDomainForm,
  destroyUnderLoad,
  linux,
  servedDisk,
  unikernel,
} from './driver-domain.ts';
import { sharedHost } from './shared-lab.ts';

/** Emulated, a domain that is made again takes a minute. */
const TEST_LIMIT_MS = 900_000;
const DISK = '/run/driver.img';
const NAME = 'blkback';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** A guest that finds on the driver domain's disk what is there, and writes to it. */
async function serve(host: Host, type: GuestType, { target }: DriverDomainForm): Promise<Guest> {
  const { lab } = host;
  const name = `served-${type}`;
  const disks = [servedDisk(NAME, target)];
  const guest = await Guest.create(lab, { name, type, ramdisk: diskGuestInitramfs(), disks });
  const proof = await proveDisk(lab, guest, DISK);
  expect(proof.givenIsWhole).toBe(true);
  expect(proof.readBack).toBe(proof.written);
  return guest;
}

/** Starts a driver domain, lets `work` use it, and looks what is left of it. */
async function withDriverDomain(
  form: DriverDomainForm,
  work: (host: Host, driver: DriverDomain) => Promise<Guest>,
): Promise<void> {
  const host = await sharedHost();
  const { lab } = host;
  const before = await host.traces();
  await makeDisk(lab, DISK);
  const driver = await DriverDomain.start(host, NAME, form, [diskLine(DISK)]);
  const domid = await driver.domid();

  const guest = await driver.explain(work(host, driver));
  expect(await driver.domid()).toBe(domid);

  await guest.destroy();
  await lab.run(['e2fsck', '-fn', DISK]);
  await driver.shutdown();
  expect(await host.leftovers(before)).toEqual([]);
}

test.each<GuestType>(['pv', 'pvh'])(
  'a %s guest works on the disk of a driver domain, which is destroyed under load',
  async (type) => {
    const image = join(scratch.path, 'blkback.elf');
    await buildImage('stubdoms/blkback/unikernel.ts', image);
    const form = unikernel(image);
    await withDriverDomain(form, async (host, driver) => {
      const guest = await serve(host, type, form);
      await destroyUnderLoad(driver, guest);
      return guest;
    });
  },
  TEST_LIMIT_MS,
);

/** The core of what test/xen/block.test.ts asks of the back end in dom0. */
async function useDisk(
  { lab }: Host,
  type: GuestType,
  { target }: DriverDomainForm,
): Promise<Guest> {
  const guest = await Guest.create(lab, {
    name: `user-${type}`,
    type,
    ramdisk: toolsGuestInitramfs(),
    disks: [diskLine(guestToolsDisk(), 'xvda', 'ro'), servedDisk(NAME, target, 'xvdb')],
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
