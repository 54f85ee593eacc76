/** Both ends with each feature on and off, and what the features promise. */
import { describe, expect, test } from 'vitest';
import {
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_OKAY,
} from '../../src/abi/io/blkif.ts';
import { XenError } from '../../src/base/errors.ts';
import { PERSISTENT_IDLE_MS } from '../../src/block/back-pages.ts';
import { DiskLayer } from '../../src/block/disk-layer.ts';
import { BLOCK_FEATURES, type BlockFeature } from '../../src/block/features.ts';
import type { BlockFrontOptions } from '../../src/block/front.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { type BlockStatistics, parseStatistics } from '../../src/block/statistics.ts';
import type { HostDevice, HostGuest } from '../xenbus/sim-host.ts';
import { BlockHost, XVDA } from './block-host.ts';
import { expectSame, pattern } from './content.ts';
import { RawFront } from './raw-front.ts';
import { RecordingDisk } from './recording-disk.ts';

const SIZE = 1 << 20;

class FullDisk extends DiskLayer {
  isFull = true;

  override async write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    if (this.isFull) throw new XenError('ENOSPC', 'write to a disk', 'no space is left');
    await this.below.write(position, sources);
  }
}

async function end(host: BlockHost, guest: HostGuest, device: HostDevice): Promise<void> {
  await host.destroy(guest, [device]);
  expect(host.blkback.devices).toEqual([]);
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.endAll()).toEqual([]);
}

/** What the back end tells of a device when it is asked. */
async function statisticsOf(host: BlockHost, device: HostDevice): Promise<BlockStatistics> {
  await host.finish(host.tools.write(`${device.back}/statistics`, ''));
  await host.settle(10);
  return parseStatistics((await host.value(`${device.back}/statistics`)) ?? '');
}

const all: BlockFrontOptions = { queues: 4, ringPageOrder: 4 };

describe.each([
  ['everything', all, []],
  ['one ring of one page', {}, []],
  ['few pages', { ...all, pagesMax: 40 }, []],
  ['a single page', { pagesMax: 1 }, []],
  ['a back end that offers nothing', all, [...BLOCK_FEATURES]],
  ...BLOCK_FEATURES.map((feature) => [`a back end without ${feature}`, all, [feature]] as const),
  ...BLOCK_FEATURES.map(
    (feature) =>
      [`a front end without ${feature}`, { ...all, without: new Set([feature]) }, []] as const,
  ),
] as readonly (readonly [string, BlockFrontOptions, readonly BlockFeature[]])[])(
  'with %s',
  (_, options, without) => {
    test('data is right, and much of it at once', async () => {
      const host = await BlockHost.start(1, {}, without);
      const guest = await host.guest();
      const disk = new MemoryDisk(SIZE);
      const device = await host.attachDisk(guest, disk);
      const front = await host.front(guest, options);
      const data = pattern(SIZE, 1);
      const part = SIZE / 16;
      const each = <T>(work: (at: number) => Promise<T>) =>
        host.finish(Promise.all(Array.from({ length: 16 }, (_, n) => work(n * part))));
      await each((at) => front.write(at, [data.subarray(at, at + part)]));
      await host.finish(front.flush());
      expectSame(disk.bytes, data);
      const found = new Uint8Array(SIZE);
      await each((at) => front.read(at, [found.subarray(at, at + part)]));
      expectSame(found, data);
      if (front.info.discard) await host.finish(front.discard(4096, 8192));
      else await expect(front.discard(0, 512)).rejects.toMatchObject({ code: 'ENOTSUP' });
      await host.finish(front.close());
      await end(host, guest, device);
    });
  },
);

test('keys of both ends say what is used', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const device = await host.attachDisk(guest, new MemoryDisk(SIZE));
  const front = await host.front(guest, all);
  const back = (key: string) => host.value(`${device.back}/${key}`);
  expect(await back('feature-barrier')).toBe('1');
  expect(await back('feature-flush-cache')).toBe('1');
  expect(await back('feature-persistent')).toBe('1');
  expect(await back('feature-discard')).toBe('1');
  expect(await back('feature-max-indirect-segments')).toBe('256');
  expect(await back('max-ring-page-order')).toBe('4');
  expect(await back('multi-queue-max-queues')).toBe('4');
  const ours = (key: string) => host.value(`${device.front}/${key}`);
  expect(await ours('multi-queue-num-queues')).toBe('4');
  expect(await ours('ring-page-order')).toBe('4');
  expect(await ours('ring-ref')).toBeUndefined();
  expect(await ours('queue-3/ring-ref15')).toMatch(/^\d+$/);
  expect(await ours('queue-3/event-channel')).toMatch(/^\d+$/);

  await host.finish(front.write(0, [pattern(1 << 20, 3)]));
  const statistics = await statisticsOf(host, device);
  expect(statistics).toMatchObject({ queues: 4, ringSlots: 512 });
  expect(statistics.counts.write).toMatchObject({ bytes: 1 << 20, failed: 0 });
  expect(statistics.persistentPages).toBeGreaterThan(0);
  await end(host, guest, device);
});

test('a front end without several queues and pages has one ring of one page', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const device = await host.attachDisk(guest, new MemoryDisk(SIZE));
  const without = new Set(['multi-queue', 'multi-page'] as const);
  await host.front(guest, { ...all, without });
  expect(await statisticsOf(host, device)).toMatchObject({ queues: 1, ringSlots: 32 });
  await end(host, guest, device);
});

test('pages mapped for one request stay while one of them is used, and then go', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const device = await host.attachDisk(guest, new MemoryDisk(SIZE));
  const front = await host.front(guest);
  const mapped = async () => (await statisticsOf(host, device)).persistentPages;
  // The list of indirect segments is mapped for itself, before it is known what it lists.
  await host.finish(front.write(0, [pattern(32 * 4096, 1)]));
  expect(await mapped()).toBe(32 + 1);
  // The page that was free last is used first: that of the list, and with two pages one of the others.
  for (const [pages, expected] of [
    [2, 32 + 1],
    [1, 1],
  ] as const) {
    for (let use = 0; use < 4; use++) {
      await host.finish(front.write(0, [pattern(pages * 4096, use)]));
      await host.settle(PERSISTENT_IDLE_MS);
    }
    expect(await mapped()).toBe(expected);
  }
  await host.settle(2 * PERSISTENT_IDLE_MS);
  expect(await mapped()).toBe(0);
  await end(host, guest, device);
});

describe('in the order of the ring', () => {
  async function recorded(without: readonly BlockFeature[] = []) {
    const host = await BlockHost.start(1, {}, without);
    const guest = await host.guest();
    let disk!: RecordingDisk;
    await host.attachDisk(guest, (clock) => {
      disk = new RecordingDisk(clock);
      return disk;
    });
    const front = new RawFront(host, guest, XVDA);
    await front.publish();
    const segments = [{ gref: front.data.refs[0]! }];
    const at = (operation: number, sector: number) => ({
      operation,
      sector_number: sector,
      segments,
    });
    return { host, guest, front, record: () => disk.record, at };
  }

  test('a barrier waits for what was asked before, and what was asked after waits for it', async () => {
    const { host, guest, front, record, at } = await recorded();
    const answers = await front.ask(
      at(BLKIF_OP_WRITE, 8),
      at(BLKIF_OP_WRITE, 16),
      at(BLKIF_OP_WRITE_BARRIER, 24),
      at(BLKIF_OP_WRITE, 32),
    );
    expect(answers.map(({ status }) => status)).toEqual([0, 0, 0, 0]);
    expect(record()).toEqual([
      'write 8 begins',
      'write 16 begins',
      'write 8 ends',
      'write 16 ends',
      'flush begins',
      'flush ends',
      'write 24 begins',
      'write 24 ends',
      'flush begins',
      'flush ends',
      'write 32 begins',
      'write 32 ends',
    ]);
    await end(host, guest, front.device);
  });

  test('an empty barrier is a flush of all that was asked before', async () => {
    const { host, guest, front, record, at } = await recorded();
    const barrier = { operation: BLKIF_OP_WRITE_BARRIER };
    const answers = await front.ask(at(BLKIF_OP_WRITE, 8), barrier);
    expect(answers.map(({ status }) => status)).toEqual([BLKIF_RSP_OKAY, BLKIF_RSP_OKAY]);
    expect(record()).toEqual(['write 8 begins', 'write 8 ends', 'flush begins', 'flush ends']);
    await end(host, guest, front.device);
  });

  test('a flush lets others pass and is on the disk before its own data', async () => {
    const { host, guest, front, record, at } = await recorded();
    const answers = await front.ask(at(BLKIF_OP_FLUSH_DISKCACHE, 8), at(BLKIF_OP_READ, 16));
    expect(answers.map(({ status }) => status)).toEqual([BLKIF_RSP_OKAY, BLKIF_RSP_OKAY]);
    expect(record().slice(0, 2)).toEqual(['flush begins', 'read 16 begins']);
    expect(record().indexOf('write 8 begins')).toBeGreaterThan(record().indexOf('flush ends'));
    await end(host, guest, front.device);
  });

  test('a write is on the disk before it is answered where no flush is offered', async () => {
    const { host, guest, front, record, at } = await recorded(['barrier', 'flush']);
    const [answer] = await front.ask(at(BLKIF_OP_WRITE, 8));
    expect(answer?.status).toBe(BLKIF_RSP_OKAY);
    expect(record()).toEqual(['write 8 begins', 'write 8 ends', 'flush begins', 'flush ends']);
    await end(host, guest, front.device);
  });

  test('what is not offered is refused and the ring goes on', async () => {
    const { host, guest, front, at } = await recorded(['barrier', 'flush', 'indirect', 'discard']);
    const answers = await front.ask(
      at(BLKIF_OP_WRITE_BARRIER, 8),
      { operation: BLKIF_OP_FLUSH_DISKCACHE },
      { operation: 5 },
      { operation: 6 },
      at(BLKIF_OP_READ, 8),
    );
    const refused = Array<number>(4).fill(BLKIF_RSP_EOPNOTSUPP);
    expect(answers.map(({ status }) => status)).toEqual([...refused, BLKIF_RSP_OKAY]);
    await end(host, guest, front.device);
  });
});

test('a disk that grows and shrinks while it is used is seen by the guest', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE);
  const device = await host.attachDisk(guest, disk);
  const front = await host.front(guest);
  const sizes: number[] = [];
  front.onResize(() => sizes.push(front.info.size));
  disk.resize(2 * SIZE);
  await host.settle(10);
  await host.finish(front.write(2 * SIZE - 512, [new Uint8Array(512).fill(5)]));
  expect(disk.bytes.at(-1)).toBe(5);
  disk.resize(SIZE / 2);
  await host.settle(10);
  expect(sizes).toEqual([2 * SIZE, SIZE / 2]);
  await expect(host.finish(front.read(SIZE, [new Uint8Array(512)]))).rejects.toMatchObject({
    code: 'EIO',
  });
  expect(await host.value(`${device.back}/state`)).toBe('4');
  await end(host, guest, device);
});

test('a disk that grows is looked at when the toolstack touches its directory', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE);
  disk.onResize = () => {};
  const device = await host.attachDisk(guest, disk);
  const front = await host.front(guest);
  await host.settle();
  disk.resize(2 * SIZE);
  await host.settle();
  expect(front.info.size).toBe(SIZE);
  const params = await host.value(`${device.back}/params`);
  await host.finish(host.tools.write(`${device.back}/params`, params ?? ''));
  await host.settle();
  expect(front.info.size).toBe(2 * SIZE);
  await end(host, guest, device);
});

test('a CD-ROM is read-only and says what it is', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const device = await host.attachDisk(guest, new MemoryDisk(SIZE), XVDA, {
    'device-type': 'cdrom',
    removable: '1',
  });
  const front = await host.front(guest);
  expect(await host.value(`${device.back}/info`)).toBe(String(1 | 2 | 4));
  expect(front.info.readOnly).toBe(true);
  await expect(host.finish(front.write(0, [new Uint8Array(512)]))).rejects.toMatchObject({
    code: 'EIO',
  });
  await end(host, guest, device);
});

test('a disk with discard-enable 0 offers no discard', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const device = await host.attachDisk(guest, new MemoryDisk(SIZE), XVDA, {
    'discard-enable': '0',
  });
  const front = await host.front(guest);
  expect(front.info.discard).toBe(false);
  await end(host, guest, device);
});

test('a rate limit in the directory holds', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const device = await host.attachDisk(guest, new MemoryDisk(SIZE), XVDA, {
    'rate-limit': '1000000',
  });
  const front = await host.front(guest);
  const before_ms = host.world.clock.now_ms();
  await host.finish(front.write(0, [new Uint8Array(1_000_448)]));
  expect(host.world.clock.now_ms() - before_ms).toBeGreaterThan(890);
  await end(host, guest, device);
});

test('a rate limit that makes no sense fails the device with the rule', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const device = await host.attachDisk(guest, new MemoryDisk(SIZE), XVDA, { 'rate-limit': 'fast' });
  const front = new RawFront(host, guest, XVDA);
  await front.publish();
  expect(await front.backState()).toBe('5');
  expect(host.log.join('\n')).toContain('rate-limit is a whole number');
  await end(host, guest, device);
});

test('segments of less than a sector make up whole sectors of 4096 bytes', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const disk = new MemoryDisk(SIZE, { sectorSize: 4096 });
  await host.attachDisk(guest, disk);
  const front = new RawFront(host, guest, XVDA);
  await front.publish();
  front.data.page(0).fill(1);
  front.data.page(1).fill(2);
  const [first, second] = front.data.refs as unknown as [number, number];
  // As Linux has it for memory that a program has aligned to 512 bytes.
  const segments = [
    { gref: first, first_sect: 1, last_sect: 7 },
    { gref: second, first_sect: 0, last_sect: 0 },
  ];
  const request = { operation: BLKIF_OP_WRITE, sector_number: 8, segments };
  const wrong = { ...request, segments: segments.slice(0, 1) };
  const answers = await front.ask(request, wrong, { ...request, sector_number: 9 });
  expect(answers.map(({ status }) => status)).toEqual([0, -1, -1]);
  expect(disk.bytes.indexOf(1)).toBe(4096);
  expect(disk.bytes.lastIndexOf(1)).toBe(4096 + 3583);
  expect(disk.bytes.lastIndexOf(2)).toBe(8191);
  await end(host, guest, front.device);
});

test('a disk that is not there fails the device with its name', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const device = await host.attachDisk(guest, new MemoryDisk(SIZE));
  host.disks.clear();
  const front = new RawFront(host, guest, XVDA);
  await front.publish();
  expect(await front.backState()).toBe('5');
  const error = await host.value(`/local/domain/0/error${device.back.slice(15)}/error`);
  expect(error).toContain(`open disk /disks/${guest.domid}-${XVDA}`);
  await end(host, guest, device);
});

test('a disk that is full gives an I/O error, and goes on when there is room', async () => {
  const host = await BlockHost.start();
  const guest = await host.guest();
  const full = new FullDisk(new MemoryDisk(SIZE));
  const device = await host.attachDisk(guest, full);
  const front = await host.front(guest);
  await expect(host.finish(front.write(0, [new Uint8Array(4096)]))).rejects.toMatchObject({
    code: 'EIO',
  });
  await host.finish(front.read(0, [new Uint8Array(4096)]));
  full.isFull = false;
  await host.finish(front.write(0, [new Uint8Array(4096)]));
  await end(host, guest, device);
});
