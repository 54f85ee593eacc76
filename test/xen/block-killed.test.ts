/** The block back end is killed again and again under a guest's load, and the guest sees a pause. */
import { expect, test } from 'vitest';
import { Guest, guestToolsDisk, toolsGuestInitramfs } from '../../scripts/lab/guest.ts';
import { diskLine } from '../../scripts/lab/host.ts';
import { sharedHost } from './shared-lab.ts';

const KILLS = 20;
const IMAGE = '/tmp/killed.img';

test(`a guest's verified load survives ${KILLS} SIGKILLs of the back end`, async () => {
  const host = await sharedHost();
  const { lab } = host;
  const before = await host.traces();
  await lab.run(['truncate', '-s', '64M', IMAGE]);
  const guest = await Guest.create(lab, {
    name: 'killed',
    type: 'pv',
    ramdisk: toolsGuestInitramfs(),
    disks: [diskLine(guestToolsDisk(), 'xvda', 'ro'), diskLine(IMAGE, 'xvdb')],
    memory_mib: 256,
  });
  await guest.shows(/GUEST-TOOLS-READY/);
  // Every block is read back and its checksum compared soon after it was written, and all in the end.
  const load = [
    'tool fio --name=load --filename=/dev/xvdb --size=48M --rw=randrw --bsrange=4k-64k',
    '--ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1',
    '--verify_backlog=64 --fsync=32 --rate_iops=100 --eta=never --time_based --runtime=3600 --minimal --output=/tmp/load',
  ].join(' ');
  await guest.type(`${load} & echo LOAD-$((1 + 1))-BEGAN`, /LOAD-2-BEGAN/);
  const lastWrite = () => lab.run(['stat', '-c', '%y', IMAGE]);
  for (let kill = 0; kill < KILLS; kill++) {
    await host.restart('blkback', 'SIGKILL');
    const atRestart = await lastWrite();
    const goesOn = async () => (await lastWrite()) !== atRestart || undefined;
    await lab.waitFor('write of the guest after the restart', goesOn);
  }
  await guest.type('killall -INT fio; wait; echo LOAD-ENDED-$((3 + 3))', /LOAD-ENDED-6/);
  const [, error = ''] = await guest.type(
    'echo "ERROR=$(cut -d";" -f5 /tools/tmp/load)."',
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
});
