/** The two ends of the block protocol against each other, with disks that are compared byte by byte. */
import { expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import type { BlockFront } from '../../src/block/front.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { BlockHost, XVDA } from './block-host.ts';
import { expectSame, pattern } from './content.ts';

const SIZE = 1 << 20;

async function expectNothingLeft(host: BlockHost): Promise<void> {
  expect(host.blkback.devices).toEqual([]);
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.endAll()).toEqual([]);
}

test('a disk of another domain is read, written, flushed and discarded', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE);
  const device = await host.attachDisk(guest, disk);
  const front = await host.front(guest);
  expect(front.info).toEqual(disk.info);

  const data = pattern(300_032, 1);
  await host.finish(front.write(4608, [data.subarray(0, 1000), data.subarray(1000)]));
  await host.finish(front.flush());
  expectSame(disk.bytes.subarray(4608, 4608 + data.length), data);
  const targets = [new Uint8Array(100_000), new Uint8Array(200_032)];
  await host.finish(front.read(4608, targets));
  expectSame(Buffer.concat(targets), data);
  await host.finish(front.discard(8192, 4096));
  expectSame(disk.bytes.subarray(8192, 12_288), new Uint8Array(4096));

  await host.finish(front.close());
  await host.destroy(guest, [device]);
  await expectNothingLeft(host);
});

test('a disk of 4096-byte sectors counts in units of 512', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE, { sectorSize: 4096 });
  const device = await host.attachDisk(guest, disk);
  const front = await host.front(guest);
  expect(await host.value(`${device.back}/sectors`)).toBe('2048');
  expect(front.info).toEqual(disk.info);
  const data = pattern(8192, 2);
  await host.finish(front.write(SIZE - 8192, [data]));
  expectSame(disk.bytes.subarray(SIZE - 8192), data);
  await expect(host.finish(front.write(512, [data.subarray(0, 4096)]))).rejects.toMatchObject({
    code: 'EIO',
  });
  await expect(host.finish(front.read(0, [new Uint8Array(512)]))).rejects.toMatchObject({
    code: 'EIO',
  });
  await host.destroy(guest, [device]);
  await expectNothingLeft(host);
});

test('a disk attached for reading only refuses writes', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE, { readOnly: true });
  const device = await host.attachDisk(guest, disk, XVDA, { mode: 'r' });
  const front = await host.front(guest);
  expect(host.opened.at(-1)?.readOnly).toBe(true);
  expect(front.info.readOnly).toBe(true);
  await expect(host.finish(front.write(0, [new Uint8Array(512)]))).rejects.toMatchObject({
    code: 'EIO',
  });
  await host.finish(front.read(0, [new Uint8Array(512)]));
  await host.destroy(guest, [device]);
  await expectNothingLeft(host);
});

/** Random reads and writes, several at a time, compared with an array. */
async function exercise(
  host: BlockHost,
  front: BlockFront,
  seed: number,
  model = new Uint8Array(SIZE),
): Promise<void> {
  const prng = new Prng(seed);
  for (let round = 0; round < 8; round++) {
    // Areas of a round do not overlap, so their order does not matter.
    const area = SIZE / 8;
    const work = Array.from({ length: 8 }, async (_, index) => {
      const sectors = 1 + prng.below(200);
      const start = index * area + 512 * prng.below(area / 512 - sectors);
      if (prng.chance(0.5)) {
        const data = pattern(sectors * 512, prng.uint32());
        model.set(data, start);
        return front.write(start, [data]);
      }
      if (prng.chance(0.2)) return front.flush();
      const target = new Uint8Array(sectors * 512);
      const expected = model.slice(start, start + target.length);
      await front.read(start, [target]);
      return expectSame(target, expected);
    });
    await host.finish(Promise.all(work));
  }
}

test.each([1, 2, 3, 4])('data is right with late and false signals, seed %i', async (seed) => {
  const host = await BlockHost.start(seed);
  const guest = await host.guest();
  const device = await host.attachDisk(guest);
  const front = await host.front(guest);
  Object.assign(host.world.faults, { delayEvent: 0.3, spuriousEvent: 0.2 });
  await exercise(host, front, seed);
  await host.finish(front.close());
  await host.destroy(guest, [device]);
  await expectNothingLeft(host);
});

test('data is right when no page can be mapped and all are copied', async () => {
  const host = await BlockHost.start(7);
  const guest = await host.guest();
  const device = await host.attachDisk(guest);
  const front = await host.front(guest);
  const model = new Uint8Array(SIZE);
  host.world.faults.refuseMap = 1;
  await exercise(host, front, 7, model);
  host.world.faults.refuseMap = 0.5;
  await exercise(host, front, 8, model);
  await host.destroy(guest, [device]);
  await expectNothingLeft(host);
});

test('a copy that Xen refuses is an error of that request alone', async () => {
  const host = await BlockHost.start(8);
  const guest = await host.guest();
  const device = await host.attachDisk(guest);
  const front = await host.front(guest);
  Object.assign(host.world.faults, { refuseMap: 1, refuseCopy: 0.2 });
  const work = Array.from({ length: 64 }, (_, index) =>
    front.read(index * 4096, [new Uint8Array(4096)]),
  );
  const results = await host.finish(Promise.allSettled(work));
  const refused = results.filter(({ status }) => status === 'rejected').length;
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(64);
  host.world.faults.refuseCopy = 0;
  await host.finish(front.read(0, [new Uint8Array(SIZE)]));
  await host.destroy(guest, [device]);
  await expectNothingLeft(host);
});

test.each([11, 12, 13, 14, 15, 16])(
  'a guest killed at any moment leaves nothing, seed %i',
  async (seed) => {
    const host = await BlockHost.start(seed, { delayEvent: 0.3 });
    const guest = await host.guest();
    const device = await host.attachDisk(guest);
    const prng = new Prng(seed);
    const connecting = host.front(guest).then((front) => exercise(host, front, seed));
    connecting.catch(() => {});
    await host.world.run({ until: () => prng.chance(0.002) });
    await host.destroy(guest, [device]);
    await expectNothingLeft(host);
  },
);
