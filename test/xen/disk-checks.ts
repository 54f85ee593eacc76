/** What a Linux guest with `toolsGuestInitramfs()` does with a disk of the tests, and what dom0 sees of it. */
import { expect } from 'vitest';
import type { Guest } from '../../scripts/lab/guest.ts';
import type { Lab } from '../../scripts/lab/lab.ts';

const MIB = 2 ** 20;

/** The least that the disk has. */
export const DISK_MIB = 48;

/** Random writes with flushes between them, read back and compared; then the same from dom0. */
export async function checkContent(
  lab: Lab,
  guest: Guest,
  vdev: string,
  image: string,
): Promise<void> {
  const mib = DISK_MIB / 2;
  await guest.run(
    `tool fio --name=check --filename=/dev/${vdev} --size=${mib}M --rw=randwrite ` +
      '--bsrange=4k-256k --ioengine=libaio --iodepth=16 --direct=1 --fsync=16 --end_fsync=1 --minimal ' +
      '--verify=crc32c --verify_fatal=1 --verify_state_save=0 >/tmp/fio',
  );
  const inGuest = await guest.run(
    `echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/${vdev} bs=1M count=${mib} | sha256sum`,
  );
  const inDom0 = await lab.run(`head -c ${mib}M ${image} | sha256sum`);
  expect(inGuest).toContain(inDom0.slice(0, 64));
}

/** Makes a file system, fills and empties it, and has it checked. */
export async function checkFileSystem(guest: Guest, vdev: string): Promise<void> {
  await guest.run(`tool mkfs.ext4 -q -F /dev/${vdev} && mount /dev/${vdev} /mnt`);
  await guest.run('cp -r /modules /mnt && sync && rm -r /mnt/modules && cp /bin/busybox /mnt');
  await guest.run(`umount /mnt && tool e2fsck -fn /dev/${vdev}`);
}

/** What the guest discards reads as zeroes, and takes no room in dom0's file. */
export async function checkDiscard(
  lab: Lab,
  guest: Guest,
  vdev: string,
  image: string,
): Promise<void> {
  const blocks = async () => Number(await lab.run(['stat', '-c', '%b', image]));
  const [at, length] = [4 * MIB, 16 * MIB];
  await guest.run(`dd if=/dev/urandom of=/dev/${vdev} bs=1M seek=4 count=16 conv=fsync`);
  const before = await blocks();
  await guest.run(`tool blkdiscard -o ${at} -l ${length} /dev/${vdev}`);
  expect(await blocks()).toBeLessThanOrEqual(before - length / 512);
  await guest.run(`cmp -n ${length} /dev/${vdev} /dev/zero ${at} 0`);
}

/** The disk is of `DISK_MIB`, in sectors of that size. */
export async function checkSectors(guest: Guest, vdev: string, sectorSize: number): Promise<void> {
  const size = `blockdev --getss /dev/${vdev} && blockdev --getsize64 /dev/${vdev}`;
  expect(await guest.run(size)).toMatch(new RegExp(`${sectorSize}\\s+${DISK_MIB * MIB}`));
}
