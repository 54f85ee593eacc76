/** A guest that breaks every rule: it loses its own interface and nothing else. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NETTXF_csum_blank, NETTXF_extra_info, NETTXF_more_data } from '../../src/abi/io/netif.ts';
import { GROUPS_MAX } from '../../src/net/multicast-filter.ts';
import type { HostGuest } from '../xenbus/sim-host.ts';
import type { NetHost } from './net-host.ts';
import { frame, MAC_B, packet, pattern, sum16 } from './packets.ts';
import { RawFront } from './raw-front.ts';
import { expectNothingLeft, startRawGuest } from './raw-guest.ts';

let host: NetHost;
let guest: HostGuest;
let front: RawFront;

const OKAY = 0;
const ERROR = -1;
const NULL = 1;

beforeEach(async () => {
  ({ host, guest, front } = await startRawGuest());
});

afterEach(() => expectNothingLeft({ host, guest, front }));

/** An honest packet gets through. */
async function expectService(): Promise<void> {
  const bytes = packet({ payload: pattern(200, 9) });
  const before = host.vif(guest).frames.length;
  front.putPacket(bytes);
  expect(await front.ask()).toEqual([OKAY]);
  expect(host.vif(guest).frames.length).toBe(before + 1);
  expect(Buffer.compare(host.vif(guest).frames[before]!.bytes, bytes)).toBe(0);
}

describe('a packet that breaks a rule is refused, and the next one gets through', () => {
  const data = () => front.data.refs as unknown as number[];
  const slot = (page: number, more: object = {}) => ({ gref: data()[page]!, size: 100, ...more });
  const refused: [string, () => void, number[]][] = [
    ['no bytes', () => front.put(slot(0, { size: 0 })), [ERROR]],
    ['fewer bytes than a header', () => front.put(slot(0, { size: 13 })), [ERROR]],
    ['a slot past its page', () => front.put(slot(0, { offset: 4000 })), [ERROR]],
    ['an offset past its page', () => front.put(slot(0, { offset: 0xffff })), [ERROR]],
    ['a grant that was never made', () => front.put(slot(0, { gref: 31_000 })), [ERROR]],
    ['the largest grant reference', () => front.put(slot(0, { gref: 0xffffffff })), [ERROR]],
    [
      'slots of more bytes than the packet',
      () => {
        front.put(slot(0, { flags: NETTXF_more_data }));
        front.put(slot(1, { size: 101 }));
      },
      [ERROR, ERROR],
    ],
    [
      'a later slot past its page',
      () => {
        front.put(slot(0, { size: 1000, flags: NETTXF_more_data }));
        front.put(slot(1, { offset: 4090 }));
      },
      [ERROR, ERROR],
    ],
    [
      'a bad grant in the middle (XSA-365)',
      () => {
        front.put(slot(0, { size: 300, flags: NETTXF_more_data }));
        front.put(slot(0, { gref: 31_000, flags: NETTXF_more_data }));
        front.put(slot(2));
      },
      [ERROR, ERROR, ERROR],
    ],
    [
      '20 slots',
      () => {
        for (let page = 0; page < 20; page++) {
          front.put(slot(page, { size: page === 0 ? 2000 : 100, flags: page < 19 ? 4 : 0 }));
        }
      },
      new Array(20).fill(ERROR),
    ],
    [
      'an extra info of no type',
      () => {
        front.put(slot(0, { flags: NETTXF_extra_info }));
        front.putExtra({ type: 0 });
      },
      [ERROR, NULL],
    ],
    [
      'an extra info of an unknown type',
      () => {
        front.put(slot(0, { flags: NETTXF_extra_info }));
        front.putExtra({ type: 200, flags: 1 });
        front.putExtra({ type: 4 });
      },
      [ERROR, NULL, NULL],
    ],
    ...[
      ['segments of no bytes', 1, 0],
      ['segments of one byte', 1, 1],
      ['segments of no kind', 0, 1400],
      ['segments of an unknown kind', 7, 1400],
      ['segments of the wrong version', 2, 1400],
    ].map(([name, gso_type, gso_size]): [string, () => void, number[]] => [
      name as string,
      () =>
        front.putPacket(packet({ payload: pattern(3000, 1) }), NETTXF_csum_blank, [
          { type: 1, gso_type: gso_type as number, gso_size: gso_size as number },
        ]),
      [ERROR, NULL],
    ]),
    [
      'a blank checksum where there is none',
      () => front.putPacket(new Uint8Array(60), NETTXF_csum_blank),
      [ERROR],
    ],
  ];
  test.each(refused)('%s', async (_, put, statuses) => {
    await front.publish();
    put();
    expect(await front.ask()).toEqual(statuses);
    const { vif, frames } = host.vif(guest);
    expect(frames).toEqual([]);
    expect(vif.counts.received.dropped.malformed).toBe(1);
    await expectService();
  });

  test('more bytes than the MTU: it is dropped', async () => {
    await front.publish();
    front.putPacket(packet({ payload: pattern(1465, 1) }));
    expect(await front.ask()).toEqual([OKAY]);
    expect(host.vif(guest).vif.counts.received.dropped.length).toBe(1);
    await expectService();
  });
});

describe('a packet that does not end fails the device', () => {
  const slot = (more: object = {}) => ({ gref: front.data.refs[0]!, size: 100, ...more });
  test.each<[string, () => void, string]>([
    ['more data that is not there', () => front.put(slot({ flags: 4 })), 'published as a whole'],
    ['extra infos that are not there', () => front.put(slot({ flags: 8 })), 'published as a whole'],
    [
      'extra infos without end',
      () => {
        front.put(slot({ flags: 8 }));
        for (let count = 0; count < 100; count++) front.putExtra({ type: 4, flags: 1 });
      },
      'at most 4 extra infos',
    ],
    [
      'slots without end',
      () => {
        for (let count = 0; count < 100; count++) front.put(slot({ flags: 4 }));
      },
      'at most 36 further slots',
    ],
    [
      'empty slots without end (XSA-448)',
      () => {
        for (let count = 0; count < 100; count++) front.put(slot({ size: 0, flags: 4 }));
      },
      'at most 36 further slots',
    ],
  ])('%s', async (_, put, rule) => {
    await front.publish();
    await expectService();
    put();
    front.push();
    await host.settle();
    expect(await front.backState()).toBe('5');
    expect(await front.error()).toContain(rule);
  });
});

test('headers over many slots and slots without bytes arrive as they are (XSA-423, XSA-448)', async () => {
  await front.publish();
  const bytes = packet({ payload: pattern(100, 3) });
  const parts = [1, 0, 5, 0, 0, 20, 7, 1, 1, 0, 60, 3];
  const rest = bytes.length - parts.reduce((sum, part) => sum + part, 0);
  let at = 0;
  [...parts, rest].forEach((length, page, all) => {
    front.data.page(page).set(bytes.subarray(at, at + length), 50);
    at += length;
    const flags = page + 1 < all.length ? NETTXF_more_data : 0;
    // A slot without bytes may name a grant that is none.
    const gref = length === 0 ? 31_000 : front.data.refs[page]!;
    front.put({ gref, offset: 50, size: page === 0 ? bytes.length : length, flags });
  });
  expect(await front.ask()).toEqual(new Array(13).fill(OKAY));
  expect(Buffer.compare(host.vif(guest).frames[0]!.bytes, bytes)).toBe(0);
});

test.each([4, 6] as const)(
  'segments of TCP in IPv%i whose checksum is not said to be blank have one that is',
  async (version) => {
    await front.publish();
    const bytes = packet({ version, payload: pattern(3000, 1) });
    front.putPacket(bytes, 0, [{ type: 1, gso_type: version === 4 ? 1 : 2, gso_size: 1400 }]);
    expect(await front.ask()).toEqual([OKAY, NULL]);
    const [large] = host.vif(guest).frames;
    expect(large?.checksum).toBe('blank');
    const [addresses, transport] = version === 4 ? [26, 34] : [22, 54];
    const pseudo = [...bytes.subarray(addresses, transport), 0, 0, 3020 >> 8, 3020 & 0xff, 0, 6];
    const begun = ~sum16(pseudo) & 0xffff;
    bytes.set([begun >> 8, begun & 0xff], transport + 16);
    expect(Buffer.compare(large!.bytes, bytes)).toBe(0);
  },
);

test('a packet of 19 slots is taken, as large ones of old guests are', async () => {
  await front.publish();
  const bytes = packet({ payload: pattern(18 * 60 - 54 + 46, 3) });
  for (let page = 0; page < 19; page++) {
    const start = page * 60;
    const piece = bytes.subarray(start, start + 60);
    front.data.page(page).set(piece);
    const size = page === 0 ? bytes.length : piece.length;
    front.put({ gref: front.data.refs[page]!, size, flags: page < 18 ? NETTXF_more_data : 0 });
  }
  expect(await front.ask()).toEqual(new Array(19).fill(OKAY));
  expect(Buffer.compare(host.vif(guest).frames[0]!.bytes, bytes)).toBe(0);
});

test('changing a packet after it was read changes nothing (XSA-155)', async () => {
  await front.publish();
  const bytes = packet();
  front.putPacket(bytes);
  const slot = front.tx.slot(0);
  host.vif(guest).vif.onReceive((frames) => {
    slot.fill(0xff);
    front.data.bytes.fill(0xff);
    expect(Buffer.compare(frames[0]!.bytes, bytes)).toBe(0);
  });
  expect(await front.ask()).toEqual([OKAY]);
  expect(await front.backState()).toBe('4');
});

test.each([40_000, 257, 0x8000_0000])(
  'an index of %i fails the device (XSA-39)',
  async (reqProd) => {
    await front.publish();
    front.push(reqProd);
    await host.settle();
    expect(await front.backState()).toBe('5');
    expect(await front.error()).toContain('req_prod');
  },
);

test('an index of the receive ring out of range fails the device, whoever notices', async () => {
  await front.publish();
  front.rx.publish(5000);
  expect(host.vif(guest).vif.send([frame(packet())])).toBe(1);
  await host.settle();
  expect(await front.backState()).toBe('5');
});

test('another interface goes on when one has failed', async () => {
  await host.attachVif(guest, 1, {}, MAC_B);
  const other = new RawFront(host, guest, 1);
  await front.publish();
  await other.publish();
  front.push(1000);
  await host.settle();
  expect(await front.backState()).toBe('5');
  other.putPacket(packet());
  expect(await other.ask()).toEqual([OKAY]);
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
  await front.write('state', '1');
  await host.settle();
  expect(await front.backState()).toBe('2');
  front.release();
  front = new RawFront(host, guest);
  await front.publish();
  await expectService();
});

describe('keys that make no sense fail the device with the rule', () => {
  test.each([
    ['tx-ring-ref', 'banana', 'tx-ring-ref is a decimal number'],
    ['tx-ring-ref', undefined, 'tx-ring-ref is written before'],
    ['rx-ring-ref', '-1', 'rx-ring-ref is a decimal number'],
    ['rx-ring-ref', '31000', 'map grant 31000'],
    ['event-channel', '999999', 'event-channel is a decimal number'],
    ['event-channel', '900', 'port 900'],
    ['event-channel-tx', 'x', 'event-channel-tx is a decimal number'],
    ['event-channel-tx', '5', 'event-channel-rx is written before'],
    ['request-rx-copy', undefined, 'request-rx-copy is 1'],
    ['request-rx-copy', '0', 'request-rx-copy is 1'],
    ['multi-queue-num-queues', '0', 'multi-queue-num-queues is 1 or more'],
    ['multi-queue-num-queues', '5', 'multi-queue-num-queues is a decimal number from 0 to 4'],
    ['multi-queue-num-queues', '2', 'queue-0/tx-ring-ref is written before'],
    ['feature-sg', 'yes', 'feature-sg is a decimal number'],
    ['ctrl-ring-ref', '31000', 'event-channel-ctrl is written before'],
    ['xdp-headroom', '2049', 'xdp-headroom is a decimal number from 0 to 2048'],
  ])('%s = %s', async (key, value, rule) => {
    await front.publish({ [key]: value });
    expect(await front.backState()).toBe('5');
    expect(await front.error()).toContain(rule);
  });

  test.each([
    ['mac', '00:16:3e', 'mac is six bytes'],
    ['mtu', '67', 'mtu is a decimal number from 68'],
    ['mtu', '65518', 'mtu is a decimal number from 68'],
    ['rate', '0,50000', 'rate is bytes and microseconds'],
    ['rate', '1000', 'rate is bytes and microseconds'],
    ['rate', '1000,0', 'rate is bytes and microseconds'],
  ])('the toolstack’s %s = %s', async (key, value, rule) => {
    await host.finish(host.tools.write(`${front.device.back}/${key}`, value));
    await front.publish();
    expect(await front.backState()).toBe('5');
    expect(await front.error()).toContain(rule);
  });
});

test('rings that are one and the same page harm the guest alone', async () => {
  await front.publish({ 'rx-ring-ref': String(front.tx.pages.refs[0]) });
  front.putPacket(packet());
  front.push();
  host.vif(guest).vif.send([frame(packet())]);
  await host.settle();
  expect(await front.backState()).toMatch(/[45]/);
});

test('an interface is connected only when its hotplug script has finished', async () => {
  const late = await host.attachVif(guest, 1, { script: '/etc/xen/scripts/vif-bridge' }, MAC_B);
  const other = new RawFront(host, guest, 1);
  await other.publish();
  expect(await other.backState()).toBe('2');
  await host.finish(host.tools.write(`${late.back}/hotplug-status`, 'connected'));
  await host.settle();
  expect(await other.backState()).toBe('4');
  await host.forceClose(late);
  await host.removeDirectories(late);
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
  expect(host.bus.paths).toEqual([]);
  front.release();
  expect(host.world.leftovers().filter((line) => line.includes('grant'))).toEqual([]);
});

test('a front end that connects and disconnects without pause leaves nothing (XSA-350)', async () => {
  await front.publish();
  for (let turn = 0; turn < 30; turn++) {
    await front.write('state', '6');
    await host.world.run({ for_ms: turn % 3 });
    await front.write('state', '1');
    await host.world.run({ for_ms: turn % 5 });
    await front.write('state', '4');
    await host.world.run({ for_ms: turn % 2 });
  }
  await host.settle();
  expect(await front.backState()).toMatch(/[246]/);
});

test('a front end that signals without end is made to wait (XSA-332)', async () => {
  await front.publish();
  for (let signals = 0; signals < 500; signals++) {
    front.channel.notify();
    await host.world.run({ for_ms: 0 });
  }
  front.putPacket(packet());
  front.push();
  await host.world.run({ for_ms: 0 });
  expect(front.statuses()).toEqual([]);
  await host.settle();
  expect(front.statuses()).toEqual([OKAY]);
});

test('a front end that closes its event channel gets no harm done (XSA-441)', async () => {
  await front.publish();
  front.putPacket(packet());
  front.push();
  front.channel.close();
  host.vif(guest).vif.send([frame(packet())]);
  await host.settle();
  expect(front.statuses()).toEqual([OKAY]);
});

test('a guest may begin and end to filter groups while it is connected', async () => {
  await front.publish();
  expect(await host.value(`${front.device.back}/feature-dynamic-multicast-control`)).toBe('1');
  const { vif } = host.vif(guest);
  const hears = async () => {
    const { filtered } = vif.counts.sent.dropped;
    front.offer(1);
    vif.send([frame(packet({ target: 0x0100_5e00_0001 }))]);
    await host.settle();
    return vif.counts.sent.dropped.filtered === filtered;
  };
  expect(await hears()).toBe(true);
  for (const value of ['1', '0', '1']) {
    await front.write('request-multicast-control', value);
    await host.settle();
    expect(await hears()).toBe(value === '0');
  }
  await front.write('request-multicast-control', 'perhaps');
  await host.settle();
  expect(await front.error()).toContain('request-multicast-control is a decimal number');
});

test('groups beyond the limit are refused', async () => {
  await front.publish();
  const join = async (number: number) => {
    front.put({ gref: front.data.refs[0]!, size: 14, flags: NETTXF_extra_info });
    front.putExtra({ type: 2, gso_size: number });
    return front.ask();
  };
  for (let number = 0; number < GROUPS_MAX; number++)
    expect(await join(number)).toEqual([OKAY, NULL]);
  expect(await join(GROUPS_MAX)).toEqual([ERROR, NULL]);
  expect(await join(0)).toEqual([OKAY, NULL]);
});
