/** Disks on top of disks. */
import { expect, test } from 'vitest';
import { CountedDisk } from '../../src/block/counted-disk.ts';
import { FaultyDisk } from '../../src/block/faulty-disk.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { RateLimitedDisk } from '../../src/block/rate-limited-disk.ts';
import { ReadOnlyDisk } from '../../src/block/read-only-disk.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { expectSame, pattern } from './content.ts';

const SIZE = 1 << 16;

test('a read-only layer reads and refuses changes with EROFS', async () => {
  const below = new MemoryDisk(SIZE);
  below.bytes.set(pattern(SIZE, 1));
  const disk = new ReadOnlyDisk(below);
  expect(disk.info).toEqual({ ...below.info, readOnly: true, discard: false });
  const target = new Uint8Array(512);
  await disk.read(1024, [target]);
  expectSame(target, below.bytes.subarray(1024, 1536));
  await expect(disk.write()).rejects.toMatchObject({ code: 'EROFS' });
  await expect(disk.discard()).rejects.toMatchObject({ code: 'EROFS' });
  expectSame(below.bytes, pattern(SIZE, 1));
});

test('a rate limit lets a burst through and then so many bytes a second', async () => {
  const world = new SimWorld({ seed: 1 });
  const disk = new RateLimitedDisk(new MemoryDisk(SIZE), world.clock, 1_000_000);
  const started_ms = world.clock.now_ms();
  const work: Promise<number>[] = [];
  for (let n = 0; n < 20; n++) {
    const moved =
      n % 2 === 0
        ? disk.read(0, [new Uint8Array(50_000)])
        : disk.write(0, [new Uint8Array(50_000)]);
    work.push(moved.then(() => world.clock.now_ms() - started_ms));
  }
  const times_ms = await world.finish(Promise.all(work));
  // A tenth of a second is saved up; after that each 50,000 bytes take 50 ms.
  expect(times_ms.slice(0, 2)).toEqual([0, 0]);
  expect(times_ms.slice(2)).toEqual(Array.from({ length: 18 }, (_, n) => (n + 1) * 50));
});

test('a rate of nothing is refused', () => {
  const world = new SimWorld({ seed: 1 });
  for (const rate of [0, -5, Number.NaN]) {
    expect(() => new RateLimitedDisk(new MemoryDisk(SIZE), world.clock, rate)).toThrow(RangeError);
  }
});

test('counts are of what was done, failures apart', async () => {
  const world = new SimWorld({ seed: 1 });
  const faulty = new FaultyDisk(new MemoryDisk(SIZE), world.clock, 1);
  const disk = new CountedDisk(faulty, world.clock);
  await disk.read(0, [new Uint8Array(512), new Uint8Array(1024)]);
  await disk.write(512, [new Uint8Array(512)]);
  await disk.flush();
  await disk.discard(0, 4096);
  faulty.faults.fail = 1;
  await expect(disk.read(0, [new Uint8Array(512)])).rejects.toMatchObject({ code: 'EIO' });
  expect(disk.counts).toEqual({
    read: { operations: 2, failed: 1, bytes: 1536, time_ms: 0 },
    write: { operations: 1, failed: 0, bytes: 512, time_ms: 0 },
    flush: { operations: 1, failed: 0, bytes: 0, time_ms: 0 },
    discard: { operations: 1, failed: 0, bytes: 4096, time_ms: 0 },
  });
});

test('faults are the same for the same seed, and a failed write changes nothing', async () => {
  const outcomes = async (seed: number) => {
    const world = new SimWorld({ seed: 1 });
    const below = new MemoryDisk(SIZE);
    const disk = new FaultyDisk(below, world.clock, seed, { fail: 0.5, delay: 0.5 });
    const found: boolean[] = [];
    for (let n = 0; n < 40; n++) {
      below.bytes.fill(0);
      const work = disk.write(0, [new Uint8Array(512).fill(1)]);
      const failed = await world.finish(
        work.then(
          () => false,
          () => true,
        ),
      );
      expect(below.bytes[0]).toBe(failed ? 0 : 1);
      found.push(failed);
    }
    return found;
  };
  const first = await outcomes(7);
  expect(new Set(first).size).toBe(2);
  expect(await outcomes(7)).toEqual(first);
  expect(await outcomes(8)).not.toEqual(first);
});

test('a new size shows through every layer', () => {
  const world = new SimWorld({ seed: 1 });
  const below = new MemoryDisk(SIZE);
  const disk = new CountedDisk(
    new RateLimitedDisk(new ReadOnlyDisk(below), world.clock, 1),
    world.clock,
  );
  let told = 0;
  disk.onResize(() => told++);
  below.resize(2 * SIZE);
  expect(told).toBe(1);
  expect(disk.info.size).toBe(2 * SIZE);
});
