/** A back end that breaks every rule: the guest loses that interface and nothing else. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NETRXF_csum_blank, NETRXF_extra_info, NETRXF_more_data } from '../../src/abi/io/netif.ts';
import { NetFront, type NetFrontOptions } from '../../src/net/front.ts';
import { type HostGuest, SimHost } from '../xenbus/sim-host.ts';
import { collect } from './net-host.ts';
import { frame, packet, pattern } from './packets.ts';
import { RawBack } from './raw-back.ts';

let host: SimHost;
let guest: HostGuest;
let back: RawBack;

beforeEach(async () => {
  host = new SimHost();
  guest = await host.guest();
  back = await RawBack.attach(host, guest);
});

afterEach(async () => {
  await host.destroy(guest, [back.device]);
  back.process.kill();
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.end()).toEqual([]);
});

function begin(options: NetFrontOptions = {}): Promise<NetFront> {
  const connecting = NetFront.connect({
    hypervisor: guest.hypervisor,
    xenstore: guest.xenstore,
    clock: guest.boot.domain.clock,
    log: host.logger,
    devid: 0,
    options,
  });
  connecting.catch(() => {});
  return connecting;
}

async function connected(
  options: NetFrontOptions = {},
  keys: Record<string, string> = {},
): Promise<NetFront> {
  const connecting = begin(options);
  await back.connect(keys);
  return host.finish(connecting);
}

const frontState = () => host.value(`${back.device.front}/state`);

/** The interface is gone, for the reason that names the rule. */
async function expectFailed(front: NetFront, rule: string): Promise<void> {
  expect(front.info.carrier).toBe(false);
  expect(front.send([frame(packet())])).toBe(0);
  expect(await frontState()).toMatch(/[56]/);
  await back.write({ state: '6' });
  await host.settle();
  expect(front.ended?.code).toBe('EIO');
  expect(front.ended?.message).toContain(rule);
}

test('a front end says that it is connected as soon as it has published its rings', async () => {
  const connecting = begin();
  await back.write({ state: '2' });
  await host.settle();
  expect(await frontState()).toBe('4');
  await back.write({ state: '4' });
  const front = await host.finish(connecting);
  expect(front.info.carrier).toBe(true);
});

describe('a transmit response that cannot be fails the interface', () => {
  test.each([
    ['an id that was never asked', 30],
    ['an id beyond the ring', 4000],
    ['the largest id', 0xffff],
  ])('%s (XSA-376)', async (_, id) => {
    const front = await connected();
    front.send([frame(packet())]);
    await host.settle();
    back.respond(id);
    await back.push();
    await expectFailed(front, 'has the id of a request under way');
  });

  test('a response that comes twice', async () => {
    const front = await connected();
    front.send([frame(packet()), frame(packet())]);
    await host.settle();
    const { id } = back.transmitRequest(0);
    back.respond(id);
    back.respond(id);
    await back.push();
    await expectFailed(front, 'has the id of a request under way');
  });

  test.each([2, 300, 0x8000_0000, 0xffff_ffff])('an index of %i after one packet', async (tx) => {
    const front = await connected();
    front.send([frame(packet())]);
    await host.settle();
    await back.push({ tx });
    await expectFailed(front, 'rsp_prod');
  });
});

test('packets that the back end refuses are counted, and their pages used again', async () => {
  const front = await connected({ pagesMax: 8 });
  for (const status of [-1, -2, 5, -32_768]) {
    expect(front.send([frame(packet())])).toBe(1);
    await host.settle();
    back.respond(back.transmitRequest(back.transmitted - 1).id, status);
    await back.push();
  }
  expect(front.counts.sent.dropped.refused).toBe(4);
  expect(front.counts.sent.frames).toBe(0);
});

test('a back end that answers nothing gets so much and no more, and room is told of', async () => {
  const front = await connected();
  const frames = Array.from({ length: 400 }, () => frame(packet({ payload: pattern(50, 1) })));
  let rooms = 0;
  front.onRoom(() => {
    rooms++;
  });
  expect(front.send(frames)).toBe(256);
  expect(front.send(frames)).toBe(0);
  await host.settle();
  for (let index = 0; index < 10; index++) back.respond(back.transmitRequest(index).id);
  await back.push();
  expect(rooms).toBe(1);
  expect(front.send(frames)).toBe(10);
});

describe('a received packet that makes no sense is dropped, and the next one arrives', () => {
  const large = packet({ payload: pattern(2000, 1) });
  const put: [string, () => void, string][] = [
    ['an error', () => back.deliver({ status: -1 }), 'refused'],
    ['the smallest status', () => back.deliver({ status: -32_768 }), 'refused'],
    ['no bytes', () => back.deliver({ status: 0 }), 'length'],
    ['fewer bytes than a header', () => back.deliver({ status: 13 }), 'length'],
    ['more bytes than a page', () => back.deliver({ status: 4097 }), 'malformed'],
    ['an offset past the page', () => back.deliver({ offset: 4090, status: 60 }), 'malformed'],
    ['the largest offset', () => back.deliver({ offset: 0xffff, status: 60 }), 'malformed'],
    [
      'more bytes than a packet has',
      () => {
        for (let slot = 0; slot < 17; slot++)
          back.deliver({ status: 4096, flags: slot < 16 ? 4 : 0 });
      },
      'length',
    ],
    [
      'an error in the middle',
      () => {
        back.deliver({ status: 60, flags: NETRXF_more_data });
        back.deliver({ status: -1, flags: NETRXF_more_data });
        back.deliver({ status: 60 });
      },
      'refused',
    ],
    [
      'an extra info of an unknown type',
      () => {
        back.deliver({ status: 60, flags: NETRXF_extra_info });
        back.deliverExtra({ type: 77 });
      },
      'malformed',
    ],
    [
      'segments of nothing',
      () => {
        back.deliver({ status: 60, flags: NETRXF_extra_info });
        back.deliverExtra({ type: 1, gso_type: 1, gso_size: 0 });
      },
      'malformed',
    ],
    [
      'segments of the wrong kind',
      () => {
        back.fill(0, large);
        back.deliver({ status: large.length, flags: NETRXF_extra_info | NETRXF_csum_blank });
        back.deliverExtra({ type: 1, gso_type: 2, gso_size: 1000 });
      },
      'malformed',
    ],
    [
      'a blank checksum where there is none',
      () => back.deliver({ status: 60, flags: NETRXF_csum_blank }),
      'malformed',
    ],
  ];
  test.each(put)('%s', async (_, deliver, reason) => {
    const front = await connected();
    const received = collect(front);
    deliver();
    const next = back.offered - 256;
    await back.push();
    expect(received).toEqual([]);
    expect(front.counts.received.dropped).toMatchObject({ [reason]: 1 });
    expect(next).toBe(0);
    // Every page is offered again.
    const slot = back.offered - 256;
    const bytes = packet();
    back.fill(slot, bytes);
    back.deliver({ status: bytes.length });
    await back.push();
    expect(received.map((one) => Buffer.compare(one.bytes, bytes))).toEqual([0]);
  });
});

describe('a received packet that does not end fails the interface', () => {
  test.each<[string, () => void, string]>([
    ['more data', () => back.deliver({ status: 60, flags: 4 }), 'published as a whole'],
    ['an extra info', () => back.deliver({ status: 60, flags: 8 }), 'published as a whole'],
    [
      'slots without end',
      () => {
        for (let slot = 0; slot < 100; slot++) back.deliver({ status: 0, flags: 4 });
      },
      'at most 36 slots',
    ],
    [
      'extra infos without end',
      () => {
        back.deliver({ status: 60, flags: 8 });
        for (let slot = 0; slot < 100; slot++) back.deliverExtra({ type: 4, flags: 1 });
      },
      'at most 4 extra infos',
    ],
  ])('%s', async (_, deliver, rule) => {
    const front = await connected();
    deliver();
    await back.push();
    await expectFailed(front, rule);
  });

  test.each([257, 0x8000_0000, 0xffff_ffff])('an index of %i', async (rx) => {
    const front = await connected();
    await back.push({ rx });
    await expectFailed(front, 'rsp_prod');
  });
});

test('segments whose checksum is not said to be blank have one that is', async () => {
  const front = await connected();
  const received = collect(front);
  const bytes = packet({ payload: pattern(2000, 1) });
  back.fill(0, bytes);
  back.deliver({ status: bytes.length, flags: NETRXF_extra_info });
  back.deliverExtra({ type: 1, gso_type: 1, gso_size: 1000 });
  await back.push();
  expect(received[0]).toMatchObject({ checksum: 'blank', gso: { type: 'tcpv4', size: 1000 } });
  expect(received[0]!.bytes.subarray(50, 52)).not.toEqual(bytes.subarray(50, 52));
});

test('changing a page after the frame was taken changes nothing (XSA-155)', async () => {
  const front = await connected();
  const bytes = packet();
  back.fill(0, bytes);
  const refs = grantOf(0);
  const page = back.process.hypervisor.grants.map(guest.domid, [refs]);
  let same: number | undefined;
  front.onReceive((frames) => {
    page.bytes.fill(0xff);
    same = Buffer.compare(frames[0]!.bytes, bytes);
  });
  back.deliver({ status: bytes.length });
  await back.push();
  expect(same).toBe(0);
  page.close();
});

function grantOf(index: number) {
  return back.receiveRequest(index).gref as never;
}

test('pages that the back end keeps mapped are not used for anything else (XSA-396)', async () => {
  const front = await connected();
  const page = back.process.hypervisor.grants.map(guest.domid, [grantOf(0)]);
  const closing = host.finish(front.close());
  await back.write({ state: '6' });
  await closing;
  const shared = guest.hypervisor.grants.share(back.process.hypervisor.domid, 300, 'read-write');
  page.bytes.fill(0xee);
  expect(shared.bytes.every((byte) => byte === 0)).toBe(true);
  shared.close();
  page.close();
});

test('a back end that signals without end is made to wait (XSA-391)', async () => {
  const front = await connected();
  const received = collect(front);
  for (let signals = 0; signals < 500; signals++) {
    back.channel.notify();
    await host.world.run({ for_ms: 0 });
  }
  const bytes = packet();
  back.fill(0, bytes);
  back.deliver({ status: bytes.length });
  const pushing = back.push();
  await host.world.run({ for_ms: 0 });
  await pushing;
  await host.settle();
  expect(received.length).toBe(1);
});

describe('keys that make no sense fail the interface with the rule', () => {
  test.each([
    ['feature-sg', 'yes'],
    ['feature-gso-tcpv4', '2'],
    ['feature-no-csum-offload', '-1'],
    ['multi-queue-max-queues', '65536'],
    ['multi-queue-max-queues', 'many'],
    ['feature-split-event-channels', 'x'],
  ])('%s = %s', async (key, value) => {
    const connecting = begin({ queues: 2 });
    await back.write({ [key]: value, state: '2' });
    await host.settle();
    await back.write({ state: '6' });
    await expect(host.finish(connecting)).rejects.toMatchObject({
      code: 'ENODEV',
      reason: expect.objectContaining({ message: expect.stringContaining(`${key} is a decimal`) }),
    });
  });

  test.each([
    ['mac', '00:16:3e:00:00'],
    ['mtu', '20'],
    ['mtu', '65518'],
    ['mtu', 'long'],
  ])('its own %s = %s', async (key, value) => {
    await host.finish(host.tools.write(`${back.device.front}/${key}`, value));
    const connecting = begin();
    await back.write({ state: '2' });
    await host.settle();
    await back.write({ state: '6' });
    await expect(host.finish(connecting)).rejects.toMatchObject({
      code: 'ENODEV',
      reason: expect.objectContaining({ message: expect.stringContaining(`${key} is`) }),
    });
  });

  test('no queue at all counts as one', async () => {
    const front = await connected({ queues: 4 }, { 'multi-queue-max-queues': '0' });
    expect(front.info.carrier).toBe(true);
  });
});

describe('the control ring', () => {
  const options = { hash: { key: new Uint8Array(40), types: 15 } };
  const keys = { 'feature-ctrl-ring': '1' };

  test('that is refused leaves the interface as it is', async () => {
    const front = await connected(options, keys);
    await back.respondControl({ status: 1 });
    expect(front.info.carrier).toBe(true);
    expect(host.log.join('\n')).toContain('hashes are not configured');
  });

  test.each([{ id: 5 }, { type: 9 }])('with a response of %j fails the interface', async (more) => {
    const front = await connected(options, keys);
    await back.respondControl(more);
    await expectFailed(front, 'has the id and the type of the request under way');
  });

  test('that is never answered keeps nobody from closing', async () => {
    const front = await connected(options, keys);
    const closing = host.finish(front.close());
    await closing;
    expect(front.ended?.code).toBe('ENOTCONN');
  });
});

test('a guest that can share nothing more has no interface', async () => {
  const connecting = begin();
  host.world.faults.refuseShare = 1;
  await back.write({ state: '2' });
  await host.settle();
  host.world.faults.refuseShare = 0;
  await back.write({ state: '6' });
  await expect(host.finish(connecting)).rejects.toMatchObject({ code: 'ENODEV' });
});
