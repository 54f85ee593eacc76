/** The whole path on real Xen: stock Linux guests on our xenstored, xenconsoled and blkback. */
import { expect, test } from 'vitest';
import {
  diskGuestInitramfs,
  Guest,
  type GuestType,
  makeDisk,
  proveDisk,
} from '../../scripts/lab/guest.ts';
import { diskLine, type Host } from '../../scripts/lab/host.ts';
import { sharedHost } from './shared-lab.ts';
import { attachAndDetach, rename } from './toolstack-commands.ts';

async function guestWithDisk({ lab }: Host, type: GuestType, name: string) {
  const image = `/tmp/${name}.img`;
  await makeDisk(lab, image);
  const ramdisk = diskGuestInitramfs();
  const guest = await Guest.create(lab, { name, type, ramdisk, disks: [diskLine(image)] });
  return { guest, image };
}

test('no C daemon and no kernel back end runs beside ours', async () => {
  const host = await sharedHost();
  expect(await host.foreignParts()).toEqual([]);
});

test.each([
  { type: 'pv', end: 'shutdown' },
  { type: 'pvh', end: 'destroy' },
] as const)(
  'a $type guest works on its disk and console, and leaves nothing behind after $end',
  async ({ type, end }) => {
    const host = await sharedHost();
    const { lab } = host;
    const before = await host.traces();
    const { guest, image } = await guestWithDisk(host, type, type);

    const { givenIsWhole, written, readBack, inDom0 } = await proveDisk(lab, guest, image);
    expect(givenIsWhole).toBe(true);
    expect(readBack).toBe(written);
    expect(inDom0).toBe(written);
    await lab.run(['e2fsck', '-fn', image]);
    await guest.type('echo $((6 * 7)) is the answer', /42 is the answer/);

    await guest[end]();
    expect(await host.leftovers(before)).toEqual([]);
  },
  900_000,
);

test('a guest can be renamed, and a disk attached, used and detached', async () => {
  const host = await sharedHost();
  const { lab } = host;
  const before = await host.traces();
  const { guest } = await guestWithDisk(host, 'pv', 'first');
  await guest.shows(/GUEST-DISK-DONE/);

  await rename(lab, 'first', 'second');
  await makeDisk(lab, '/tmp/more.img');
  await attachAndDetach(lab, 'second', guest, diskLine('/tmp/more.img', 'xvdb'));
  await lab.run(['xl', 'destroy', 'second']);
  expect(await host.leftovers(before)).toEqual([]);
});

test('ten guests created and destroyed leave xenstore as it was', async () => {
  const host = await sharedHost();
  await makeDisk(host.lab, '/tmp/cycle.img');
  const before = await host.traces();
  for (let cycle = 0; cycle < 10; cycle++) {
    const guest = await Guest.create(host.lab, {
      name: `cycle-${cycle}`,
      type: cycle % 5 === 4 ? 'pvh' : 'pv',
      ramdisk: diskGuestInitramfs(),
      disks: [diskLine('/tmp/cycle.img')],
      memory_mib: 128,
    });
    await guest.destroy();
  }
  expect(await host.leftovers(before)).toEqual([]);
}, 900_000);

test("Debian's test-xenstore passes against our daemon", async () => {
  const { lab } = await sharedHost();
  const out = await lab.run('test-xenstore -i 10 2>&1', { timeout_ms: 300_000 });
  expect(out).not.toMatch(/fail/i);
});
