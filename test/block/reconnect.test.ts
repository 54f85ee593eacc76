/** What becomes of a disk when one of its ends begins anew, moves or dies. */
import { describe, expect, test } from 'vitest';
import { BLKIF_OP_WRITE } from '../../src/abi/io/blkif.ts';
import type { Clock } from '../../src/base/clock.ts';
import { Prng } from '../../src/base/prng.ts';
import { FaultyDisk } from '../../src/block/faulty-disk.ts';
import type { BlockFront, BlockFrontOptions } from '../../src/block/front.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import type { HostDevice, HostGuest } from '../xenbus/sim-host.ts';
import { BlockHost, XVDA } from './block-host.ts';
import { expectSame, pattern } from './content.ts';
import { RawFront } from './raw-front.ts';

const SIZE = 1 << 20;

async function end(host: BlockHost, guest: HostGuest, devices: HostDevice[]): Promise<void> {
  await host.destroy(guest, devices);
  expect(host.blkback.devices).toEqual([]);
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.endAll()).toEqual([]);
}

/** A disk whose operations take up to 5 ms, so that something is always under way. */
const slow = (disk: MemoryDisk, seed: number) => (clock: Clock) =>
  new FaultyDisk(disk, clock, seed, { delay: 1 });

/** Writes and reads back, in several lanes; each keeps to its own part of the disk. */
async function work(front: BlockFront, seed: number, rounds = 8): Promise<void> {
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (let round = 0; round < rounds; round++) {
      const data = pattern(40_960, seed * 1000 + lane * 100 + round);
      const start = (lane * SIZE) / 8 + round * 512;
      await front.write(start, [data]);
      if (round % 3 === 0) await front.flush();
      const target = new Uint8Array(data.length);
      await front.read(start, [target]);
      expectSame(target, data);
    }
  });
  await Promise.all(lanes);
}

describe.each([
  ['one ring', {}],
  ['four rings of four pages', { queues: 4, ringPageOrder: 2 }],
] as [string, BlockFrontOptions][])('with %s', (_, options) => {
  async function start(seed: number) {
    const host = await BlockHost.start(seed);
    const guest = await host.guest();
    const disk = new MemoryDisk(SIZE);
    const device = await host.attachDisk(guest, slow(disk, seed));
    const front = await host.front(guest, options);
    const prng = new Prng(seed);
    let done = false;
    const working = work(front, seed).then(() => {
      done = true;
    });
    working.catch(() => {});
    const someTime = () => host.world.run({ until: () => done || prng.chance(0.01) });
    return { host, guest, disk, device, front, working, someTime };
  }

  test.each([31, 32, 33])(
    'a back end killed under load loses and repeats nothing, seed %i',
    async (seed) => {
      const { host, guest, device, front, working, someTime } = await start(seed);
      for (let kills = 0; kills < 8; kills++) {
        await someTime();
        host.process.kill();
        await host.startBack();
      }
      await host.finish(working);
      expect(await host.value(`${device.back}/state`)).toBe('4');
      await host.finish(front.close());
      await end(host, guest, [device]);
    },
  );

  test.each([41, 42, 43])(
    'a guest resumed under load asks again for what was not answered, seed %i',
    async (seed) => {
      const { host, guest, device, front, working, someTime } = await start(seed);
      for (let resumes = 0; resumes < 3; resumes++) {
        await someTime();
        await host.finish(front.resume());
        await host.settle(20);
      }
      await host.finish(working);
      await host.finish(front.close());
      await end(host, guest, [device]);
    },
  );

  test.each([51, 52, 53])(
    'a back end that starts its device over gets all requests again, seed %i',
    async (seed) => {
      const { host, guest, device, front, working, someTime } = await start(seed);
      for (let resets = 0; resets < 3; resets++) {
        await someTime();
        // What a back end does that has failed: it lets go and says Closing while it stays online.
        await host.finish(host.tools.write(`${device.back}/state`, '6'));
        await host.settle(20);
      }
      await host.finish(working);
      await host.finish(front.close());
      await end(host, guest, [device]);
    },
  );

  test.each([71, 72, 73, 74])(
    'kills, late and false signals and pages that cannot be mapped lose no write, seed %i',
    async (seed) => {
      const { host, guest, disk, device, front, working, someTime } = await start(seed);
      Object.assign(host.world.faults, { delayEvent: 0.3, spuriousEvent: 0.2, refuseMap: 0.05 });
      for (let kills = 0; kills < 6; kills++) {
        await someTime();
        host.process.kill();
        await host.startBack();
      }
      await host.finish(working);
      // What each lane wrote last is on the disk, whoever was alive then.
      for (let lane = 0; lane < 8; lane++) {
        const begin = (lane * SIZE) / 8 + 7 * 512;
        const expected = pattern(40_960, seed * 1000 + lane * 100 + 7);
        expectSame(disk.bytes.subarray(begin, begin + expected.length), expected);
      }
      host.world.faults.refuseMap = 0;
      await host.finish(front.close());
      await end(host, guest, [device]);
    },
  );

  test('a device that is detached under load fails what was not answered', async () => {
    const { host, guest, device, front, working, someTime } = await start(61);
    await someTime();
    await host.askToClose(device);
    await expect(host.finish(working)).rejects.toMatchObject({
      code: 'EIO',
      message: expect.stringContaining('detached'),
    });
    await expect(front.read(0, [new Uint8Array(512)])).rejects.toMatchObject({ code: 'EIO' });
    await host.finish(front.close());
    await host.removeDirectories(device);
    await end(host, guest, []);
  });

  test('a device whose directories vanish fails what was not answered (XSA-465)', async () => {
    const { host, guest, device, front, working, someTime } = await start(62);
    await someTime();
    await host.finish(front.resume());
    await host.forceClose(device);
    await host.removeDirectories(device);
    await expect(host.finish(working)).rejects.toMatchObject({ code: 'EIO' });
    await host.finish(front.close());
    await end(host, guest, []);
  });
});

test('a device that gets another back end goes on there, and its requests wait meanwhile', async () => {
  const host = await BlockHost.start(5);
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE);
  const device = await host.attachDisk(guest, slow(disk, 5));
  const front = await host.front(guest);
  const first = front.write(0, [pattern(40_960, 1)]);
  first.catch(() => {});
  await host.world.run({ for_ms: 1 });
  // The back end's domain dies, and its home goes with it.
  await host.finish(host.tools.remove(device.back));
  await host.settle();
  const second = front.write(40_960, [pattern(512, 2)]);
  await host.settle(10_000);
  expect(disk.bytes[40_960]).toBe(0);
  // The toolstack gives the device to another one: here, to the same under another name.
  const moved = await host.attachDisk(guest, disk, XVDA + 16);
  await host.finish(
    host.tools.transaction(async (nodes) => {
      await nodes.write(`${moved.back}/frontend`, device.front);
      await nodes.write(`${device.front}/backend`, moved.back);
      await nodes.remove(moved.front);
    }),
  );
  host.process.kill();
  await host.startBack();
  await host.finish(Promise.all([first, second]));
  expectSame(disk.bytes.subarray(0, 40_960), pattern(40_960, 1));
  expectSame(disk.bytes.subarray(40_960, 41_472), pattern(512, 2));
  await host.finish(front.close());
  await host.removeDirectories({ front: device.front, back: moved.back });
  await end(host, guest, []);
});

test('a back end that closes again and again without an answer is given up', async () => {
  const host = await BlockHost.start(6);
  const guest = await host.guest();
  const device = await host.attachDisk(guest);
  const front = await host.front(guest);
  host.disks.clear();
  const reading = front.read(0, [new Uint8Array(512)]);
  await host.finish(reading);
  // Whoever comes now finds no disk, and the device fails each time that it connects.
  await host.finish(host.tools.write(`${device.back}/state`, '6'));
  await host.settle();
  await expect(host.finish(front.read(0, [new Uint8Array(512)]))).rejects.toMatchObject({
    code: 'EIO',
    message: expect.stringContaining('closed 10 times'),
  });
  await host.finish(front.close());
  await end(host, guest, [device]);
});

test('a front end can be closed while there is no back end', async () => {
  const host = await BlockHost.start(7);
  const guest = await host.guest();
  const device = await host.attachDisk(guest);
  const front = await host.front(guest);
  await host.finish(host.tools.remove(device.back));
  await host.settle();
  const reading = front.read(0, [new Uint8Array(512)]);
  reading.catch(() => {});
  await host.finish(front.close());
  await expect(reading).rejects.toMatchObject({ code: 'ENOTCONN' });
  await expect(front.read(0, [])).rejects.toMatchObject({ code: 'ENOTCONN' });
  await end(host, guest, [device]);
});

test('a guest that starts over without closing, as after kexec, is served by its new kernel', async () => {
  const host = await BlockHost.start(8);
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE);
  const device = await host.attachDisk(guest, disk);
  const before = new RawFront(host, guest, XVDA);
  await before.publish();
  expect(await before.backState()).toBe('4');
  // The kernel before has gone without a word; its pages are somebody's now.
  before.release();
  const front = await host.front(guest);
  await host.finish(front.write(0, [pattern(4096, 1)]));
  expectSame(disk.bytes.subarray(0, 4096), pattern(4096, 1));
  await host.finish(front.close());
  await end(host, guest, [device]);
});

test('a front end that begins with a close cycle, as on Windows, is served afterwards', async () => {
  const host = await BlockHost.start(9);
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE);
  const device = await host.attachDisk(guest, disk);
  const front = new RawFront(host, guest, XVDA);
  for (const [own, back] of [
    ['5', '6'],
    ['6', '6'],
    ['1', '2'],
  ] as const) {
    await front.write('state', own);
    await host.settle();
    expect(await front.backState()).toBe(back);
  }
  await front.publish();
  front.data.page(0).fill(9);
  const segments = [{ gref: front.data.refs[0]! }];
  expect(await front.ask({ operation: BLKIF_OP_WRITE, segments })).toMatchObject([{ status: 0 }]);
  expect(disk.bytes[4095]).toBe(9);
  await end(host, guest, [device]);
});
