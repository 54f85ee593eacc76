import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
  BlkifRequestDiscard,
  BlkifRequestIndirect,
} from '../../src/abi/io/blkif.ts';
import { PERSISTENT_PAGES_MAX } from '../../src/block/back-pages.ts';
import { REQUESTS_MAX } from '../../src/block/back-queue.ts';
import type { BlockDevice } from '../../src/block/block-device.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import type { HostGuest } from '../xenbus/sim-host.ts';
import { BlockHost, XVDA } from './block-host.ts';
import { RawFront, type RawRequest } from './raw-front.ts';

let host: BlockHost;
let guest: HostGuest;
let front: RawFront;
let disk: MemoryDisk;

beforeEach(async () => {
  host = await BlockHost.start();
  guest = await host.guest();
  disk = new MemoryDisk(1 << 20);
  await host.attachDisk(guest, disk);
  front = new RawFront(host, guest, XVDA);
});

afterEach(async () => {
  await host.destroy(guest, [front.device]);
  expect(host.blkback.devices).toEqual([]);
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.endAll()).toEqual([]);
});

const read = (gref: number, more: Partial<RawRequest> = {}): RawRequest => ({
  operation: BLKIF_OP_READ,
  segments: [{ gref }],
  ...more,
});

const statuses = (responses: { status: number }[]) => responses.map(({ status }) => status);

describe('a request that breaks a rule is answered with its id and does nothing', () => {
  const id = 0xfedc_ba98_7654_3210n;
  const refused: [string, Partial<RawRequest>, number][] = [
    ['an unknown operation', { operation: 200 }, BLKIF_RSP_EOPNOTSUPP],
    [
      'a barrier past the end',
      { operation: BLKIF_OP_WRITE_BARRIER, sector_number: 2048 },
      BLKIF_RSP_ERROR,
    ],
    ['no segment', { segments: [] }, BLKIF_RSP_ERROR],
    ['twelve segments', { nr_segments: 12 }, BLKIF_RSP_ERROR],
    ['255 segments', { nr_segments: 255 }, BLKIF_RSP_ERROR],
    ['a sector past the end', { sector_number: 2048 }, BLKIF_RSP_ERROR],
    ['a last sector past the end', { sector_number: 2041 }, BLKIF_RSP_ERROR],
    ['the largest sector number', { sector_number: Number.MAX_SAFE_INTEGER }, BLKIF_RSP_ERROR],
    ['a grant that was never made', { segments: [{ gref: 31_000 }] }, BLKIF_RSP_ERROR],
    ['the largest grant reference', { segments: [{ gref: 0xffffffff }] }, BLKIF_RSP_ERROR],
  ];
  test.each(refused)('%s', async (_, more, status) => {
    await front.publish();
    const before = disk.bytes.slice();
    for (const operation of [BLKIF_OP_WRITE, BLKIF_OP_READ]) {
      const request = { operation, segments: [{ gref: front.data.refs[0]! }], id, ...more };
      expect(await front.ask(request)).toEqual([{ id, operation: request.operation, status }]);
    }
    expect(Buffer.compare(disk.bytes, before)).toBe(0);
    expect(statuses(await front.ask(read(front.data.refs[0]!)))).toEqual([BLKIF_RSP_OKAY]);
  });

  test.each([
    [0, 8],
    [7, 6],
    [255, 255],
    [8, 9],
  ])('sectors %i to %i of a page', async (first_sect, last_sect) => {
    await front.publish();
    const gref = front.data.refs[0]!;
    const segments = [{ gref, first_sect, last_sect }];
    expect(statuses(await front.ask(read(gref, { segments })))).toEqual([BLKIF_RSP_ERROR]);
  });

  test('a discard past the end, and one of more sectors than there are numbers', async () => {
    await front.publish();
    disk.bytes.fill(7);
    for (const nr of [2 ** 53 - 1, 2049]) {
      front.put({ operation: BLKIF_OP_DISCARD });
      const slot = front.lastSlot();
      BlkifRequestDiscard.view(slot).nr_sectors = nr;
      front.push();
      await host.settle();
      expect(statuses(front.responses())).toEqual([BLKIF_RSP_ERROR]);
    }
    expect(disk.bytes.every((byte) => byte === 7)).toBe(true);
  });

  test.each([
    ['no segments', 0, BLKIF_OP_READ],
    ['257 segments', 257, BLKIF_OP_READ],
    ['65535 segments', 65535, BLKIF_OP_WRITE],
    ['an indirect request in an indirect request', 1, BLKIF_OP_INDIRECT],
    ['an indirect discard', 1, BLKIF_OP_DISCARD],
  ])('an indirect request with %s', async (_, nr_segments, operation) => {
    await front.publish();
    front.put({ operation: BLKIF_OP_INDIRECT });
    const view = BlkifRequestIndirect.view(front.lastSlot());
    view.indirect_op = operation;
    view.nr_segments = nr_segments;
    view.indirect_grefs = [...front.data.refs];
    front.push();
    await host.settle();
    expect(statuses(front.responses())).toEqual([BLKIF_RSP_ERROR]);
  });
});

test('a bad grant in the middle of a request leaves nothing behind and the next one works', async () => {
  await front.publish();
  const [a, b] = front.data.refs as unknown as [number, number];
  const segments = [{ gref: a }, { gref: 31_000 }, { gref: b }];
  for (const operation of [BLKIF_OP_READ, BLKIF_OP_WRITE]) {
    expect(statuses(await front.ask({ operation, segments }))).toEqual([BLKIF_RSP_ERROR]);
  }
  expect(statuses(await front.ask(read(a), read(b)))).toEqual([BLKIF_RSP_OKAY, BLKIF_RSP_OKAY]);
});

test('the same grant many times in one request is read as often', async () => {
  await front.publish();
  const gref = front.data.refs[0]!;
  front.data.page(0).fill(9);
  const segments = Array.from({ length: 11 }, () => ({ gref }));
  const request = { operation: BLKIF_OP_WRITE, segments, sector_number: 8 };
  expect(statuses(await front.ask(request))).toEqual([BLKIF_RSP_OKAY]);
  expect(disk.bytes.subarray(4096, 12 * 4096).every((byte) => byte === 9)).toBe(true);
  expect(disk.bytes[12 * 4096]).toBe(0);
});

test('a page granted for reading only can be written to the disk and not read into', async () => {
  const readOnly = guest.hypervisor.grants.share(host.process.hypervisor.domid, 1, 'read');
  readOnly.page(0).fill(5);
  await front.publish();
  const segments = [{ gref: readOnly.refs[0]! }];
  const write = await front.ask({ operation: BLKIF_OP_WRITE, segments });
  expect(statuses(write)).toEqual([BLKIF_RSP_OKAY]);
  expect(disk.bytes[4095]).toBe(5);
  expect(statuses(await front.ask(read(0, { segments })))).toEqual([BLKIF_RSP_ERROR]);
  readOnly.close();
});

/** A disk whose operations wait until the test lets them go. */
class HeldDisk implements BlockDevice {
  readonly disk = new MemoryDisk(1 << 20);
  readonly info = this.disk.info;
  readonly waiting: (() => void)[] = [];
  closed = false;

  private hold<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<void>((resolve) => {
      this.waiting.push(resolve);
    }).then(work);
  }

  read = (position: number, targets: readonly Uint8Array[]) =>
    this.hold(() => this.disk.read(position, targets));
  write = (position: number, sources: readonly Uint8Array[]) =>
    this.hold(() => this.disk.write(position, sources));
  flush = () => this.hold(() => this.disk.flush());
  discard = (position: number, length: number) =>
    this.hold(() => this.disk.discard(position, length));
  refresh = () => Promise.resolve();
  onResize() {}
  async close() {
    this.closed = true;
  }
}

describe('with requests under way', () => {
  let held: HeldDisk;
  const release = () => {
    for (const go of held.waiting.splice(0)) go();
  };

  beforeEach(async () => {
    held = new HeldDisk();
    host.disks.set(`/disks/${guest.domid}-${XVDA}`, () => held);
    await front.publish();
  });

  afterEach(() => {
    release();
  });

  test('changing the slot after it was read changes nothing (XSA-155)', async () => {
    front.data.page(0).fill(1);
    front.data.page(1).fill(2);
    front.put({
      operation: BLKIF_OP_WRITE,
      sector_number: 16,
      segments: [{ gref: front.data.refs[0]! }],
    });
    const slot = front.lastSlot();
    front.push();
    await host.settle();
    expect(held.waiting.length).toBe(1);
    slot.fill(0xff);
    release();
    await host.settle();
    expect(statuses(front.responses())).toEqual([BLKIF_RSP_OKAY]);
    expect(held.disk.bytes[16 * 512]).toBe(1);
    expect(held.disk.bytes.filter((byte) => byte !== 0).length).toBe(4096);
  });

  test('requests are answered in the order in which they were asked', async () => {
    const refs = front.data.refs;
    for (let index = 0; index < 8; index++) front.put(read(refs[index]!, { id: BigInt(index) }));
    front.push();
    await host.settle();
    for (const go of held.waiting.splice(0).reverse()) {
      go();
      await host.settle();
    }
    expect(front.responses().map(({ id }) => id)).toEqual([0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n]);
  });

  test('an index out of range ends this device after the requests under way', async () => {
    front.put(read(front.data.refs[0]!));
    front.push();
    await host.settle();
    front.push(40_000);
    await host.settle();
    expect(await front.backState()).toBe('4');
    release();
    await host.settle();
    expect(await front.backState()).toBe('5');
    expect(held.closed).toBe(true);
    expect(await host.value(`/local/domain/0/error${front.device.back.slice(15)}/error`)).toContain(
      'req_prod',
    );
  });

  test('a front end that closes its event channel gets no harm done (XSA-441)', async () => {
    front.put(read(front.data.refs[0]!));
    front.push();
    await host.settle();
    front.channel.close();
    release();
    await host.settle();
    expect(statuses(front.responses())).toEqual([BLKIF_RSP_OKAY]);
  });

  test('a guest that dies keeps its pages until the disk is done with them', async () => {
    front.put(read(front.data.refs[0]!));
    front.push();
    await host.settle();
    guest.boot.domain.kill();
    // xenstored refuses a transaction that a domain's end comes into.
    await host.settle();
    await host.forceClose(front.device);
    expect(guest.boot.domain.exists).toBe(true);
    expect(held.closed).toBe(false);
    release();
    await host.settle();
    expect(held.closed).toBe(true);
    expect(guest.boot.domain.exists).toBe(false);
  });
});

test('an index that goes back ends the device', async () => {
  await front.publish();
  await front.ask(read(front.data.refs[0]!), read(front.data.refs[1]!));
  front.push(1);
  await host.settle();
  expect(await front.backState()).toBe('5');
});

test('another device goes on when one has failed', async () => {
  await host.attachDisk(guest, new MemoryDisk(1 << 20), XVDA + 16);
  const other = new RawFront(host, guest, XVDA + 16);
  await front.publish();
  await other.publish();
  front.push(1000);
  await host.settle();
  expect(await front.backState()).toBe('5');
  expect(statuses(await other.ask(read(other.data.refs[0]!)))).toEqual([BLKIF_RSP_OKAY]);
  await host.askToClose(other.device);
  await other.write('state', '6');
  await host.settle();
  await host.removeDirectories(other.device);
});

test('a failed device begins anew once its front end has closed', async () => {
  await front.publish();
  front.push(1000);
  await host.settle();
  await front.write('state', '6');
  await host.settle();
  expect(await front.backState()).toBe('6');
  await front.write('state', '1');
  await host.settle();
  expect(await front.backState()).toBe('2');
  const again = new RawFront(host, guest, XVDA);
  await again.publish();
  expect(statuses(await again.ask(read(again.data.refs[0]!)))).toEqual([BLKIF_RSP_OKAY]);
});

describe('keys that make no sense fail the device with the rule', () => {
  test.each([
    ['ring-ref', 'banana', 'ring-ref is a decimal number'],
    ['ring-ref', '-1', 'ring-ref is a decimal number'],
    ['ring-ref', '4294967296', 'ring-ref is a decimal number'],
    ['ring-ref', '31000', 'map grant 31000'],
    ['ring-ref', undefined, 'ring-ref is written before'],
    ['event-channel', '999999', 'event-channel is a decimal number'],
    ['event-channel', '0x5', 'event-channel is a decimal number'],
    ['event-channel', '900', 'port 900'],
    ['event-channel', undefined, 'event-channel is written before'],
    ['ring-page-order', '5', 'ring-page-order is a decimal number'],
    ['ring-page-order', '31', 'ring-page-order is a decimal number'],
    ['ring-page-order', '4', 'ring-ref0 is written before'],
    ['multi-queue-num-queues', '0', 'multi-queue-num-queues is 1 or more'],
    ['multi-queue-num-queues', '5', 'multi-queue-num-queues is a decimal number from 0 to 4'],
    ['multi-queue-num-queues', '2', 'queue-0/ring-ref is written before'],
    ['protocol', 'x86_16-abi', 'protocol is x86_64-abi or x86_32-abi'],
    ['feature-persistent', 'yes', 'feature-persistent is a decimal number'],
    ['feature-persistent', '2', 'feature-persistent is a decimal number'],
  ])('%s = %s', async (key, value, rule) => {
    await front.publish({ [key]: value });
    expect(await front.backState()).toBe('5');
    const error = await host.value(`/local/domain/0/error${front.device.back.slice(15)}/error`);
    expect(error).toContain(rule);
  });
});

test('keys of features that there are not are ignored', async () => {
  await front.publish({ 'feature-large-sector-size': 'x', 'queue-0': 'x' });
  expect(await front.backState()).toBe('4');
});

test('a ring whose pages are one and the same is refused or harms the guest alone', async () => {
  const ref = String(front.ringPages.refs[0]);
  await front.publish({ 'ring-page-order': '1', 'ring-ref0': ref, 'ring-ref1': ref });
  expect(await front.backState()).toMatch(/[45]/);
});

test('a grant that the guest made to itself cannot be used', async () => {
  const own = guest.hypervisor.grants.share(guest.domid, 1, 'read-write');
  await front.publish();
  expect(statuses(await front.ask(read(own.refs[0]!)))).toEqual([BLKIF_RSP_ERROR]);
  await front.write('state', '6');
  await host.settle();
  await front.write('state', '1');
  await host.settle();
  const again = new RawFront(host, guest, XVDA);
  await again.publish({ 'ring-ref': String(own.refs[0]) });
  expect(await front.backState()).toBe('5');
  own.close();
});

test.each([
  ['the front end says that it is ready', '3'],
  ['both ends are connected', '4'],
])('a device that vanishes while %s leaves nothing', async (_, state) => {
  const publishing = front.publish({}, state);
  publishing.catch(() => {});
  await host.world.run({ for_ms: 0 });
  await host.forceClose(front.device);
  await host.removeDirectories(front.device);
  await host.settle();
  expect(host.blkback.devices).toEqual([]);
  front.release();
  expect(host.world.leftovers().filter((line) => line.includes('grant'))).toEqual([]);
});

test('a state that is rubbish closes the device, and a handshake from the start opens it', async () => {
  await front.publish();
  await front.write('state', 'four');
  await host.settle();
  expect(await front.backState()).toBe('6');
  await front.write('state', '1');
  await host.settle();
  expect(await front.backState()).toBe('2');
});

test('a front end that connects and disconnects without pause leaves nothing (XSA-350)', async () => {
  await front.publish();
  for (let turn = 0; turn < 50; turn++) {
    await front.write('state', turn % 2 === 0 ? '6' : '1');
    await front.write('state', turn % 2 === 0 ? '1' : '4');
  }
  await host.settle();
  await front.write('state', '6');
  await host.settle();
  expect(await front.backState()).toBe('6');
  front.release();
  expect(host.world.leftovers().filter((line) => line.includes('grant'))).toEqual([]);
});

test('a thousand changes of the state make few steps (XSA-349)', async () => {
  await front.publish();
  let reads = 0;
  const { xenstore } = host.process;
  const readIfPresent = xenstore.readIfPresent.bind(xenstore);
  xenstore.readIfPresent = (path) => {
    reads++;
    return readIfPresent(path);
  };
  const writes: Promise<void>[] = [];
  for (let turn = 0; turn < 1000; turn++) {
    writes.push(guest.xenstore.write(`${front.device.front}/state`, '4'));
  }
  await host.finish(Promise.all(writes));
  await host.settle();
  expect(reads).toBeLessThan(1500);
  expect(await front.backState()).toBe('4');
});

test('a front end that signals without a request is made to wait (XSA-332)', async () => {
  await front.publish();
  const before_ms = host.world.clock.now_ms();
  let pauses = 0;
  const { channel } = front;
  for (let signals = 0; signals < 2000; signals++) {
    const at_ms = host.world.clock.now_ms();
    channel.notify();
    await host.world.run({ for_ms: 0 });
    if (host.world.clock.now_ms() > at_ms) pauses++;
  }
  await host.settle();
  expect(host.world.clock.now_ms() - before_ms).toBeGreaterThanOrEqual(pauses);
  expect(statuses(await front.ask(read(front.data.refs[0]!)))).toEqual([BLKIF_RSP_OKAY]);
});

test('nonsense is refused no faster than a ring a millisecond', async () => {
  await front.publish();
  const before_ms = host.world.clock.now_ms();
  for (let index = 0; index < 32; index++) front.put({ operation: 99 });
  front.push();
  await host.world.run({ for_ms: 0 });
  expect(front.responses()).toEqual([]);
  await host.world.run({ until: () => front.countResponses() === 32 });
  expect(host.world.clock.now_ms()).toBeGreaterThan(before_ms);
  expect(REQUESTS_MAX).toBeGreaterThanOrEqual(32);
});

test('more pages than the cache holds are served, and none stays mapped afterwards', async () => {
  const mapped = () =>
    host.world.leftovers().filter((line) => line.startsWith('frame') && line.includes('mapped'));
  await front.publish();
  const before = mapped().length;
  const grants = guest.hypervisor.grants;
  const pages = grants.share(
    host.process.hypervisor.domid,
    PERSISTENT_PAGES_MAX + 40,
    'read-write',
  );
  for (let at = 0; at < pages.refs.length; at += 11) {
    const segments = pages.refs.slice(at, at + 11).map((gref) => ({ gref }));
    expect(statuses(await front.ask({ operation: BLKIF_OP_READ, segments }))).toEqual([0]);
  }
  expect(mapped().length).toBe(before + PERSISTENT_PAGES_MAX);
  await host.settle(130_000);
  expect(mapped().length).toBe(before);
  pages.close();
});
