/**
 * A host whose services have left dom0: xenstored is a stub domain, which `init-xenstore-domain` starts,
 * and so is the back end of the guests' disks. Its own disk comes from a third domain: Linux with our back
 * end, which has the image in its memory. So a driver domain may end and come back, and the data stays.
 */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  diskGuestInitramfs,
  Guest,
  type GuestType,
  makeDisk,
  sha256OnDisk,
} from '../../scripts/lab/guest.ts';
import { Host } from '../../scripts/lab/host.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { buildLinuxImage } from '../../src/dom0/image/linux-image.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import {
  DriverDomain,
  destroyUnderLoad,
  linuxWithDisks,
  servedDisk,
  unikernel,
  withFiles,
} from './driver-domain.ts';
import { inOwnLab } from './shared-lab.ts';
import { attachAndDetach, pauseAndUnpause, rename } from './toolstack-commands.ts';

const TEST_LIMIT_MS = 1_200_000;
const END_LIMIT_MS = 200_000;
/** Linux, Node, and twice the files: Linux gives half of the memory to those of an initramfs. */
const STORAGE_MIB = 768;
const STORAGE = 'storage';
const DRIVER = 'blkback';
/** Names of the storage domain's disks as the driver domain has them, for guests. */
const [FIRST, SECOND] = ['vbd:51712', 'vbd:51728'];

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

interface Images {
  readonly xenstored: string;
  readonly blkback: string;
  readonly storage: string;
}

async function buildImages(): Promise<Images> {
  const file = (name: string) => join(scratch.path, name);
  const images = {
    xenstored: file('xenstored.elf'),
    blkback: file('blkback.elf'),
    storage: file('storage.initramfs'),
  };
  await buildImage('stubdoms/xenstored/unikernel.ts', images.xenstored);
  await buildImage('stubdoms/blkback/unikernel.ts', images.blkback);
  await buildLinuxImage(['blkback', '--driver-domain'], images.storage);
  return images;
}

/** The initramfs with two disk images beside what is in it. */
async function withDisks(lab: Lab, initramfs: string): Promise<string> {
  const given = 'head -c 1M /dev/urandom >given && sha256sum given >given.sha256';
  await lab.run('mkdir /run/disks /run/content');
  await makeDisk(lab, '/run/disks/first.img');
  await lab.run(`${given} && truncate -s 16M ../disks/second.img`, { cwd: '/run/content' });
  await lab.run('mkfs.ext4 -q -d . ../disks/second.img && rm -r /run/content', {
    cwd: '/run/content',
  });
  return withFiles(lab, initramfs, '/run/disks');
}

/** What of dom0 could do the work of the two services. */
async function servicesInDom0(host: Host): Promise<string[]> {
  const { lab } = host;
  const lines = await lab.run(
    "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$file; echo; done",
  );
  const processes = lines.split('\n').filter((line) => /run (xenstored|blkback)|qemu/.test(line));
  const socket = (await lab.attempt('test -e /run/xenstored/socket')).code === 0 ? ['socket'] : [];
  return [...(await host.foreignParts()), ...processes, ...socket];
}

/** A guest that finds on its disk what is there, writes to it, and reads that back from the disk. */
async function serve(lab: Lab, type: GuestType): Promise<{ guest: Guest; written: string }> {
  const guest = await Guest.create(lab, {
    name: `served-${type}`,
    type,
    ramdisk: diskGuestInitramfs(),
    disks: [servedDisk(DRIVER, FIRST)],
  });
  const [, written] = await guest.shows(/GUEST-WROTE (\w{64})/);
  const [, readBack] = await guest.shows(/GUEST-READ-BACK (\w{64})/);
  await guest.shows(/GUEST-DISK-DONE/);
  expect(guest.console().output).toContain('GUEST-READ-OK');
  expect(readBack).toBe(written);
  return { guest, written: written as string };
}

/** dom0 as the driver domain's guest: the file system is whole, and has what the last guest wrote. */
async function checkFromDom0(host: Host, driver: DriverDomain, written: string): Promise<void> {
  const { lab } = host;
  await lab.run('modprobe xen-blkfront');
  const domid = String(await driver.domid());
  const options = ['--vdev', 'xvdb', '--backend', domid, '--timeout', '120'];
  await host.paravane('block', 'attach', '0', FIRST, ...options);
  await lab.run('until [ -b /dev/xvdb ]; do sleep 0.2; done');
  await lab.run(['e2fsck', '-fn', '/dev/xvdb']);
  expect(await sha256OnDisk(lab, '/dev/xvdb', '/written')).toBe(written);
  await host.paravane('block', 'detach', '0', 'xvdb');
  // The command leaves a directory that libxl wants to find in a guest; dom0 had none before.
  await lab.run('xenstore-rm /local/domain/0/device');
}

/** The life of a guest, with all that xl does to it. */
async function live(host: Host, driver: DriverDomain, type: GuestType): Promise<string> {
  const { lab } = host;
  const { guest, written } = await serve(lab, type);
  await destroyUnderLoad(driver, guest);
  const renamed = `renamed-${type}`;
  await rename(lab, guest.name, renamed);
  await pauseAndUnpause(lab, renamed, guest);
  await attachAndDetach(lab, renamed, guest, servedDisk(DRIVER, SECOND, 'xvdb'));
  await lab.run(type === 'pv' ? `xl shutdown --wait ${renamed}` : `xl destroy ${renamed}`, {
    timeout_ms: END_LIMIT_MS,
  });
  // A disk has one user: the next one must find the driver domain without any.
  const served = `/local/domain/${await driver.domid()}/backend/vbd`;
  await lab.run(`while [ "$(xenstore-list ${served} 2>/dev/null)" ]; do sleep 1; done`);
  return written;
}

/** The life of the driver domain, which has its disks from the storage domain. */
async function driverDomainServes(host: Host, image: string): Promise<void> {
  const driver = await DriverDomain.start(host, DRIVER, unikernel(image), [
    servedDisk(STORAGE, '/first.img'),
    servedDisk(STORAGE, '/second.img', 'xvdb'),
  ]);
  const domid = await driver.domid();
  const lives = async () => {
    await live(host, driver, 'pv');
    await checkFromDom0(host, driver, await live(host, driver, 'pvh'));
  };
  await driver.explain(lives());
  expect(await driver.domid()).toBe(domid);
  await driver.shutdown();
}

test(
  'guests live on a store domain and a driver domain, which is destroyed under load',
  async () => {
    const images = await buildImages();
    await inOwnLab(async (lab) => {
      const host = await Host.startOnStoreDomain(lab, images.xenstored);
      expect(await servicesInDom0(host)).toEqual([]);
      const before = await host.traces();
      const linuxForm = linuxWithDisks(await withDisks(lab, images.storage), STORAGE_MIB);
      const storage = await DriverDomain.start(host, STORAGE, linuxForm);
      await storage.explain(driverDomainServes(host, images.blkback));
      await storage.shutdown();
      expect(await servicesInDom0(host)).toEqual([]);
      expect(await host.leftovers(before)).toEqual([]);
    });
  },
  TEST_LIMIT_MS,
);
