/** Our block ends against each peer on real Xen: Linux's, QEMU's, GRUB's and our own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  OUR_TYPE,
  type Peer,
  type PeerDisk,
  type PeerDiskOptions,
  peerDisk,
} from '../../scripts/lab/block-peers.ts';
import { debianKernel } from '../../scripts/lab/debian.ts';
import {
  diskGuestInitramfs,
  Guest,
  type GuestType,
  guestToolsDisk,
  makeDisk,
  proveDisk,
  toolsGuestInitramfs,
} from '../../scripts/lab/guest.ts';
import { diskLine, type Host, PARAVANE, type Traces } from '../../scripts/lab/host.ts';
import { BLOCK_FEATURES, type BlockFeature } from '../../src/block/features.ts';
import { virtualDeviceNumber } from '../../src/dom0/virtual-device.ts';
import {
  checkContent,
  checkDiscard,
  checkFileSystem,
  checkSectors,
  DISK_MIB,
} from './disk-checks.ts';
import { sharedHost } from './shared-lab.ts';

const KILLS = 20;
const MATRIX_LIMIT_MS = 1_200_000;

const GRUB = '/usr/lib/grub-xen/grub-x86_64-xen.bin';

let host: Host;
beforeAll(async () => {
  host = await sharedHost();
});

test(`a guest's verified load survives ${KILLS} SIGKILLs of the back end`, async () => {
  const { lab } = host;
  const before = await host.traces();
  const image = '/tmp/killed.img';
  await lab.run(['truncate', '-s', '64M', image]);
  const guest = await Guest.create(lab, {
    name: 'killed',
    type: 'pv',
    ramdisk: toolsGuestInitramfs(),
    disks: [diskLine(guestToolsDisk(), 'xvda', 'ro'), diskLine(image, 'xvdb')],
    memory_mib: 256,
  });
  await guest.shows(/GUEST-TOOLS-READY/);
  // Every block is read back and its checksum compared soon after it was written, and all in the end.
  const load = [
    'tool fio --name=load --filename=/dev/xvdb --size=48M --rw=randrw --bsrange=4k-64k',
    '--ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1',
    '--verify_backlog=64 --verify_state_save=0 --fsync=32 --rate_iops=100 --eta=never --time_based --runtime=3600 --minimal --output=/tmp/load',
  ].join(' ');
  await guest.type(`${load} & echo LOAD-$((1 + 1))-BEGAN`, /LOAD-2-BEGAN/);
  const lastWrite = () => lab.run(['stat', '-c', '%y', image]);
  for (let kill = 0; kill < KILLS; kill++) {
    await host.restart('blkback', 'SIGKILL');
    const atRestart = await lastWrite();
    const goesOn = async () => (await lastWrite()) !== atRestart || undefined;
    await lab.waitFor('write of the guest after the restart', goesOn, 180_000);
  }
  await guest.type('killall -INT fio; wait; echo LOAD-ENDED-$((3 + 3))', /LOAD-ENDED-6/);
  const [, error = ''] = await guest.type(
    'echo "ERROR=$(tail -n 1 /tools/tmp/load | cut -d";" -f5)."',
    /ERROR=(\d*)\./,
  );
  expect(error).toBe('0');
  const [, complaints = ''] = await guest.type(
    'echo "COMPLAINTS=$(dmesg | grep -cE "I/O error|xvdb.*error")."',
    /COMPLAINTS=(\d+)\./,
  );
  expect(complaints).toBe('0');
  await guest.destroy();
  expect(await host.leftovers(before)).toEqual([]);
}, 900_000);

test("GRUB's PV front end boots a kernel from our disk", async () => {
  const { lab } = host;
  const before = await host.traces();
  await lab.run('mkdir -p /tmp/boot/boot/grub');
  await lab.run(`cp ${debianKernel().image} /tmp/boot/boot/vmlinuz`);
  await lab.run(`cp ${diskGuestInitramfs()} /tmp/boot/boot/initrd`);
  const menu = 'linux /boot/vmlinuz console=hvc0 quiet panic=-1\ninitrd /boot/initrd\nboot\n';
  await lab.run('cat >/tmp/boot/boot/grub/grub.cfg', { input: menu });
  await makeDisk(lab, '/tmp/grub.img', '/tmp/boot');
  const guest = await Guest.create(lab, {
    name: 'grub',
    type: 'pv',
    kernel: GRUB,
    disks: [diskLine('/tmp/grub.img')],
    memory_mib: 256,
  });
  const { givenIsWhole, written, readBack, inDom0 } = await proveDisk(lab, guest, '/tmp/grub.img');
  expect(givenIsWhole).toBe(true);
  expect([readBack, inDom0]).toEqual([written, written]);
  await guest.shutdown();
  await lab.run(['e2fsck', '-fn', '/tmp/grub.img']);
  expect(await host.leftovers(before)).toEqual([]);
});

/** A guest whose disks are all attached by `paravane block`. */
async function toolsGuest(name: string, type: GuestType, extra = ''): Promise<Guest> {
  const guest = await Guest.create(host.lab, {
    name,
    type,
    ramdisk: toolsGuestInitramfs(),
    memory_mib: 256,
    vcpus: 2,
    extra,
  });
  await attach(name, guestToolsDisk(), 'xvda', '--mode', 'r');
  await guest.shows(/GUEST-TOOLS-READY/);
  return guest;
}

const ATTACH = ['--type', OUR_TYPE, '--timeout', '180'];
const attach = (guest: string, disk: string, vdev: string, ...options: string[]) =>
  host.paravane('block', 'attach', guest, disk, '--vdev', vdev, ...ATTACH, ...options);
const detach = (guest: string, vdev: string) => host.paravane('block', 'detach', guest, vdev);

/** xl knows nothing of these disks. */
async function destroy(guest: Guest): Promise<void> {
  await host.paravane('block', 'detach', guest.name, 'xvda', '--force');
  await guest.destroy();
}

/** @param resize gives the disk so many MiB */
async function checkResize(
  guest: Guest,
  vdev: string,
  resize: (mib: number) => Promise<unknown>,
): Promise<void> {
  await resize(DISK_MIB + 16);
  const sectors = ((DISK_MIB + 16) * 2 ** 20) / 512;
  await guest.run(`until [ $(cat /sys/block/${vdev}/size) = ${sectors} ]; do sleep 0.1; done`);
  await guest.run(`dd if=/dev/urandom of=/dev/${vdev} bs=1M seek=${DISK_MIB} count=16 conv=fsync`);
}

async function freshImage(name: string): Promise<string> {
  const image = `/tmp/${name}.img`;
  await host.lab.run(`rm -f ${image} && truncate -s ${DISK_MIB}M ${image}`);
  return image;
}

const startBlkback = (without: readonly BlockFeature[]) =>
  host.restart(
    'blkback',
    'SIGTERM',
    ...['--type', OUR_TYPE],
    ...(without.length > 0 ? ['--without', without.join(',')] : []),
  );

/** For dom0, whose front end is ours, and behind it a guest. */
const OUR_VDEV = 'xvdq';
const OUR_DISK = `vbd:${virtualDeviceNumber(OUR_VDEV)}`;

/** Checks the disk `xvdb` of the guest `chain`: our front end's, which has it from that peer. */
async function onDiskOf(
  peer: Peer,
  image: string,
  options: PeerDiskOptions,
  check: (disk: PeerDisk) => Promise<void>,
): Promise<void> {
  const disk = await peerDisk(host, peer, image, { domid: 0, vdev: OUR_VDEV }, options);
  try {
    await attach('chain', OUR_DISK, 'xvdb');
    await check(disk);
    await detach('chain', 'xvdb');
  } catch (error) {
    // So that the next peer finds the place free.
    await host.lab.attempt(['node', PARAVANE, 'block', 'detach', 'chain', 'xvdb', '--force']);
    throw error;
  } finally {
    await disk.remove();
  }
}

describe.each([{ without: [] }, { without: BLOCK_FEATURES }])(
  'our front end without $without, whose disk our back end hands on to a guest,',
  ({ without }) => {
    let guest: Guest;
    let before: Traces;
    beforeAll(async () => {
      // Below it a domain has its front ends; libxl makes it for guests, and nobody for dom0.
      await host.lab.run(['xenstore-write', '/local/domain/0/device', '']);
      before = await host.traces();
      await startBlkback(without);
      guest = await toolsGuest('chain', 'pv');
    });

    test.each(['linux', 'qemu', 'ours'] as Peer[])('works with the back end: %s', async (peer) => {
      const image = await freshImage(peer);
      await onDiskOf(peer, image, {}, async (disk) => {
        await checkContent(host.lab, guest, 'xvdb', image);
        if (without.length === 0) await checkDiscard(host.lab, guest, 'xvdb', image);
        await checkResize(guest, 'xvdb', disk.resize);
        await checkFileSystem(guest, 'xvdb');
      });
      await host.lab.run(['e2fsck', '-fn', image]);
    });

    test.each(['linux', 'ours'] as Peer[])(
      'works with sectors of 4096 bytes and the back end: %s',
      async (peer) => {
        const image = await freshImage(peer);
        const sectorSize = 4096;
        await onDiskOf(peer, image, { sectorSize }, async (disk) => {
          await checkSectors(guest, 'xvdb', sectorSize);
          await checkContent(host.lab, guest, 'xvdb', image);
          await checkResize(guest, 'xvdb', disk.resize);
          await checkFileSystem(guest, 'xvdb');
        });
      },
    );

    afterAll(async () => {
      await destroy(guest);
      expect(await host.leftovers(before)).toEqual([]);
      await host.restart('blkback', 'SIGTERM');
    });
  },
);

describe('a disk of our back end', () => {
  let guest: Guest;
  let before: Traces;
  beforeAll(async () => {
    before = await host.traces();
    await startBlkback([]);
    guest = await toolsGuest('disks', 'pv');
  });

  test('that is full gives the guest an I/O error, and the service lives', async () => {
    await host.lab.run('mkdir -p /tmp/small && mount -t tmpfs -o size=8M tmpfs /tmp/small');
    await host.lab.run('truncate -s 32M /tmp/small/disk.img');
    await attach('disks', '/tmp/small/disk.img', 'xvdb');
    await guest.run('! dd if=/dev/urandom of=/dev/xvdb bs=1M count=32 oflag=direct');
    await guest.run('dd if=/dev/xvdb of=/dev/null bs=1M count=4 iflag=direct');
    await detach('disks', 'xvdb');
    await host.lab.run('umount /tmp/small');
  });

  test('that somebody writes to is refused, and named is who', async () => {
    const image = '/tmp/locked.img';
    await host.lab.run(['truncate', '-s', '16M', image]);
    await attach('disks', image, 'xvdb');
    await expect(attach('disks', image, 'xvdc')).rejects.toThrow(
      /in use by domain \d+, device 51728/,
    );
    await detach('disks', 'xvdb');
  });

  afterAll(async () => {
    await destroy(guest);
    expect(await host.leftovers(before)).toEqual([]);
    await host.restart('blkback', 'SIGTERM');
  });
});

interface Pairing {
  readonly type: GuestType;
  readonly without: readonly BlockFeature[];
  /** For the guest's kernel. */
  readonly extra: string;
}

async function useMatrixDisks({ type, without, extra }: Pairing): Promise<void> {
  await startBlkback(without);
  const before = await host.traces();
  const image = await freshImage('matrix');
  const guest = await toolsGuest('matrix', type, extra);
  await attach('matrix', image, 'xvdb');
  await checkContent(host.lab, guest, 'xvdb', image);
  await checkFileSystem(guest, 'xvdb');
  if (without.length === 0) await checkDiscard(host.lab, guest, 'xvdb', image);
  await checkResize(guest, 'xvdb', (mib) =>
    host.paravane('block', 'resize', 'matrix', 'xvdb', `${mib}M`),
  );
  const statistics = JSON.parse(await host.paravane('block', 'stats', 'matrix', 'xvdb', '--json'));
  expect(statistics.counts.write.failed).toBe(0);
  if (extra !== '') expect(statistics).toMatchObject({ queues: 2, ringSlots: 128 });
  await detach('matrix', 'xvdb');

  const big = await freshImage('big-sectors');
  const loop = (await host.lab.run(`modprobe loop && losetup -b 4096 -f --show ${big}`)).trim();
  await attach('matrix', loop, 'xvdc');
  await checkSectors(guest, 'xvdc', 4096);
  await checkContent(host.lab, guest, 'xvdc', loop);
  await checkFileSystem(guest, 'xvdc');
  await detach('matrix', 'xvdc');
  await host.lab.run(['losetup', '-d', loop]);
  await destroy(guest);
  expect(await host.leftovers(before)).toEqual([]);
}

describe("our back end and Linux's front end", () => {
  afterAll(() => host.restart('blkback', 'SIGTERM'));

  test.each([
    { type: 'pv', without: [], extra: 'xen_blkfront.max_ring_page_order=2' },
    { type: 'pv', without: BLOCK_FEATURES, extra: '' },
    { type: 'pvh', without: [], extra: '' },
    { type: 'pvh', without: BLOCK_FEATURES, extra: '' },
  ] as const)('$type without $without $extra', useMatrixDisks, MATRIX_LIMIT_MS);
});
