/** A back end that breaks every rule: the guest loses that disk and nothing else. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BLKIF_OP_WRITE } from '../../src/abi/io/blkif.ts';
import { BlockFront } from '../../src/block/front.ts';
import { type HostGuest, SimHost } from '../xenbus/sim-host.ts';
import { pattern } from './content.ts';
import { RawBack, XVDA } from './raw-back.ts';

let host: SimHost;
let guest: HostGuest;
let back: RawBack;
let connecting: Promise<BlockFront>;

beforeEach(async () => {
  host = new SimHost();
  guest = await host.guest();
  back = await RawBack.attach(host, guest);
  connecting = BlockFront.connect({
    hypervisor: guest.hypervisor,
    xenstore: guest.xenstore,
    clock: guest.boot.domain.clock,
    log: host.logger,
    devid: XVDA,
  });
  connecting.catch(() => {});
});

afterEach(async () => {
  await host.destroy(guest, [back.device]);
  back.process.kill();
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.end()).toEqual([]);
});

const sector = () => [new Uint8Array(512)];
const frontState = () => host.value(`${back.device.front}/state`);

async function connected(keys: Record<string, string> = {}): Promise<BlockFront> {
  await back.connect(keys);
  return host.finish(connecting);
}

/** A read that the back end has been told of, and its id. */
async function underWay(front: BlockFront) {
  const target = new Uint8Array(512);
  const reading = front.read(0, [target]);
  reading.catch(() => {});
  await host.settle();
  return { reading, target, id: back.request(back.requests - 1).id };
}

describe('a response that cannot be fails the device and what is under way', () => {
  test.each([
    ['an id that was never asked', 30n],
    ['an id beyond the ring', 4000n],
    ['the largest id', 0xffff_ffff_ffff_ffffn],
  ])('%s (XSA-376)', async (_, id) => {
    const front = await connected();
    const { reading } = await underWay(front);
    back.respond(id);
    await back.push();
    await expect(reading).rejects.toMatchObject({
      code: 'EIO',
      message: expect.stringContaining('has the id of a request under way'),
    });
    await expect(front.write(0, sector())).rejects.toMatchObject({ code: 'EIO' });
    expect(await frontState()).toMatch(/[56]/);
  });

  test('a response that comes twice', async () => {
    const front = await connected();
    const first = await underWay(front);
    const second = front.read(512, sector());
    second.catch(() => {});
    await host.settle();
    back.respond(first.id);
    back.respond(first.id);
    await back.push();
    await first.reading;
    await expect(second).rejects.toMatchObject({ code: 'EIO' });
  });

  test.each([2, 33, 40_000, 0x8000_0000, 0xffff_ffff])(
    'an index of %i after one request (XSA-39)',
    async (rspProd) => {
      const front = await connected();
      const { reading, id } = await underWay(front);
      back.respond(id);
      await back.push(rspProd);
      await expect(reading).rejects.toMatchObject({ message: expect.stringContaining('rsp_prod') });
    },
  );

  test('an index that goes back', async () => {
    const front = await connected();
    const { reading, id } = await underWay(front);
    back.respond(id);
    await back.push();
    await reading;
    const next = await underWay(front);
    await back.push(0);
    await expect(next.reading).rejects.toMatchObject({ code: 'EIO' });
  });
});

test.each([
  [-2, 'ENOTSUP'],
  [-1, 'EIO'],
  [1, 'EIO'],
  [32_767, 'EIO'],
  [-32_768, 'EIO'],
])('a status of %i is an error of that request alone, %s', async (status, code) => {
  const front = await connected();
  const { reading, id } = await underWay(front);
  back.respond(id, status);
  await back.push();
  await expect(reading).rejects.toMatchObject({ code });
  const next = await underWay(front);
  back.respond(next.id);
  await back.push();
  await next.reading;
});

test('what the back end does to a page after its answer changes nothing (XSA-155)', async () => {
  const front = await connected();
  const { reading, target, id } = await underWay(front);
  const page = back.mapData(0);
  page.fill(1, 0, 512);
  back.respond(id);
  await back.push();
  page.fill(2);
  await reading;
  expect(target.every((byte) => byte === 1)).toBe(true);
  back.release();
});

test('what the back end writes beyond the segment reaches nobody', async () => {
  const front = await connected();
  const memory = new Uint8Array(1024).fill(7);
  const reading = front.read(0, [memory.subarray(0, 512)]);
  await host.settle();
  back.mapData(0).fill(1);
  back.respond(back.request(0).id);
  await back.push();
  await reading;
  expect(memory[511]).toBe(1);
  expect(memory.subarray(512).every((byte) => byte === 7)).toBe(true);
  back.release();
});

test('a page that is shared holds nothing of other requests of the guest (XSA-403)', async () => {
  const front = await connected();
  const writing = front.write(0, [pattern(512, 1)]);
  writing.catch(() => {});
  await host.settle();
  expect(
    back
      .mapData(0)
      .subarray(512)
      .every((byte) => byte === 0),
  ).toBe(true);
  back.release();
});

test('a page that the back end keeps mapped is not used for anything else (XSA-396)', async () => {
  const front = await connected();
  const { reading, id } = await underWay(front);
  const page = back.mapData(0);
  back.respond(id);
  await back.push();
  await reading;
  const closing = front.close();
  closing.catch(() => {});
  await host.settle();
  await back.write({ state: '6' });
  await host.settle();
  await closing;
  const grants = guest.hypervisor.grants.share(back.process.hypervisor.domid, 64, 'read-write');
  grants.bytes.fill(9);
  expect(page.every((byte) => byte === 0)).toBe(true);
  grants.close();
  back.release();
});

test('a back end that never closes does not keep the guest waiting', async () => {
  const front = await connected();
  const before_ms = host.world.clock.now_ms();
  await host.finish(front.close());
  expect(host.world.clock.now_ms() - before_ms).toBe(5000);
  expect(host.world.leftovers().filter((line) => line.includes('grant'))).toEqual(
    // The ring is still mapped by the back end.
    [expect.stringContaining('revoked but still mapped')],
  );
});

test('a back end that signals without a response makes the guest pause (XSA-391)', async () => {
  const front = await connected();
  const before_ms = host.world.clock.now_ms();
  for (let signals = 0; signals < 2000; signals++) {
    back.channel.notify();
    await host.world.run({ until: () => false, for_ms: 0 });
  }
  // The port stays masked from the sixteenth empty signal on until a millisecond has passed.
  expect(host.world.clock.now_ms()).toBe(before_ms);
  await host.settle(5);
  const { reading, id } = await underWay(front);
  back.respond(id);
  await back.push();
  await reading;
});

test('requests beyond the ring wait in order, and a silent back end gets no more than the ring holds', async () => {
  const front = await connected();
  const work = Array.from({ length: 100 }, (_, n) => front.write(n * 512, sector()));
  for (let answered = 0; answered < 100; ) {
    await host.settle();
    expect(back.requests - answered).toBeLessThanOrEqual(32);
    while (answered < back.requests) {
      expect(back.request(answered).sector_number).toBe(answered);
      expect(back.request(answered).operation).toBe(BLKIF_OP_WRITE);
      back.respond(back.request(answered++).id);
    }
    await back.push();
  }
  await host.finish(Promise.all(work));
});

describe('keys that make no sense', () => {
  test.each([
    ['sectors', '-1', 'sectors is a decimal number'],
    ['sectors', '99999999999999999999', 'sectors is a decimal number'],
    ['sectors', '', 'sectors is a decimal number'],
    ['sectors', '2047', 'are whole ones of sector-size', { 'sector-size': '4096' }],
    ['sector-size', '0', 'power of two from 512 to 4096'],
    ['sector-size', '513', 'power of two from 512 to 4096'],
    ['sector-size', '8192', 'from 0 to 4096'],
    ['info', 'disk', 'info is a decimal number'],
    ['feature-discard', '7', 'feature-discard is a decimal number'],
    ['feature-flush-cache', 'on', 'feature-flush-cache is a decimal number'],
    ['feature-max-indirect-segments', '99999', 'feature-max-indirect-segments is a decimal number'],
    ['physical-sector-size', '1e9', 'physical-sector-size is a decimal number'],
  ] as [string, string, string, Record<string, string>?][])(
    '%s = %s fail the device with the rule',
    async (key, value, rule, more = {}) => {
      await back.connect({ [key]: value, ...more });
      await expect(host.finish(connecting)).rejects.toMatchObject({ code: 'ENODEV' });
      expect(host.log.join('\n')).toContain(rule);
    },
  );

  test.each(['max-ring-page-order', 'multi-queue-max-queues'])('%s', async (key) => {
    await back.write({ [key]: 'many', state: '2' });
    await host.settle();
    await back.write({ state: '6' });
    await expect(host.finish(connecting)).rejects.toMatchObject({ code: 'ENODEV' });
    expect(host.log.join('\n')).toContain(`${key} is a decimal number`);
  });

  test('geometry that becomes nonsense while connected ends the device', async () => {
    const front = await connected();
    const { reading } = await underWay(front);
    await back.write({ sectors: 'lots', state: '4' });
    await host.settle();
    await expect(reading).rejects.toMatchObject({ code: 'EIO' });
  });
});

test.each(['2', '4'])('directories that vanish in state %s end the handshake', async (state) => {
  await back.write({ 'feature-persistent': '1', state: '2' });
  if (state === '4') await host.settle();
  await host.forceClose(back.device);
  await host.removeDirectories(back.device);
  await expect(host.finish(connecting)).rejects.toMatchObject({
    code: expect.stringMatching(/ENODEV|ENOENT/),
  });
});

test('a back end that flaps between states makes few handshakes and no leak', async () => {
  const front = await connected();
  for (let turn = 0; turn < 30; turn++) {
    for (const state of ['6', '2', '4', 'x', '5', '1']) await back.write({ state });
  }
  await host.settle();
  await back.write({ state: '6' });
  await host.settle();
  await host.finish(front.close());
  expect(host.log.filter((line) => line.includes('begins anew')).length).toBeLessThan(12);
});
