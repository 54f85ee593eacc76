/** The two ends of the network protocol against each other, with each feature on and off. */
import { describe, expect, test } from 'vitest';
import { crc32 } from '../../src/base/crc32.ts';
import { Prng } from '../../src/base/prng.ts';
import { checksumIsRight, ipv4ChecksumIsRight } from '../../src/net/checksum.ts';
import { NET_FEATURES, type NetFeature } from '../../src/net/features.ts';
import type { Frame } from '../../src/net/frame.ts';
import type { NetFrontOptions } from '../../src/net/front.ts';
import type { NetworkInterface } from '../../src/net/network-interface.ts';
import { PacketHeaders } from '../../src/net/packet-headers.ts';
import type { HostDevice, HostGuest } from '../xenbus/sim-host.ts';
import { collect, NetHost } from './net-host.ts';
import { frame, MAC_A, packet, pattern } from './packets.ts';

async function end(host: NetHost, guest: HostGuest, devices: HostDevice[]): Promise<void> {
  await host.destroy(guest, devices);
  expect(host.bus.paths).toEqual([]);
  expect([...host.plugged.keys()]).toEqual([]);
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.endAll()).toEqual([]);
}

function expectSame(found: readonly Frame[], expected: readonly Frame[]): void {
  expect(found.length).toBe(expected.length);
  found.forEach(({ bytes }, index) => {
    expect(Buffer.compare(bytes, expected[index]!.bytes), `frame ${index}`).toBe(0);
  });
}

/** Short, so that a difference can be read. */
const text = ({ bytes }: Frame) => `${bytes.length} bytes ${crc32(bytes).toString(16)}`;

/** Sends all, again and again as there is room. */
async function sendAll(host: NetHost, to: NetworkInterface, frames: readonly Frame[]) {
  let sent = to.send(frames);
  let room = true;
  to.onRoom(() => {
    room = true;
  });
  for (let tries = 0; sent < frames.length && tries < 1000; tries++) {
    await host.world.run({ until: () => room });
    room = false;
    sent += to.send(frames.slice(sent));
  }
  expect(sent).toBe(frames.length);
  await host.settle();
}

/** A large TCP frame whose checksum is left blank. */
function largeFrame(version: 4 | 6, length: number, size: number): Frame {
  const bytes = packet({ version, payload: pattern(length, length) });
  const headers = new PacketHeaders();
  headers.locate(bytes);
  bytes.fill(0, headers.transport + 16, headers.transport + 18);
  return frame(bytes, {
    checksum: 'blank',
    gso: { type: version === 4 ? 'tcpv4' : 'tcpv6', size },
  });
}

/** The payload of TCP frames, put together by their sequence numbers, with every checksum looked at. */
function reassemble(frames: readonly Frame[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  const headers = new PacketHeaders();
  for (const { bytes, checksum } of frames) {
    headers.locate(bytes);
    expect(headers.transport).toBeGreaterThan(0);
    if (headers.ipVersion === 4) expect(ipv4ChecksumIsRight(bytes, headers)).toBe(true);
    if (checksum !== 'blank') expect(checksumIsRight(bytes, headers)).toBe(true);
    const sequence = new DataView(bytes.buffer, bytes.byteOffset).getUint32(headers.transport + 4);
    whole.set(bytes.subarray(headers.tcpPayload(bytes), headers.end), sequence - 1);
  }
  return whole;
}

test('frames go both ways, and both ends say what they are', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  const device = await host.attachVif(guest, 0, { bridge: 'br0', ip: '10.0.0.1 fd00::1' });
  const front = await host.front(guest);
  const { vif, request, frames } = host.vif(guest);
  expect(request).toMatchObject({
    peer: guest.domid,
    devid: '0',
    mac: MAC_A,
    mtu: 1500,
    bridge: 'br0',
    addresses: ['10.0.0.1', 'fd00::1'],
  });
  expect(vif.info).toEqual({ mac: MAC_A, mtu: 1500, carrier: true });
  expect(front.info).toEqual(vif.info);
  const received = collect(front);
  const up = [1, 2, 3].map((seed) => frame(packet({ payload: pattern(100 * seed, seed) })));
  const down = [4, 5].map((seed) => frame(packet({ version: 6, payload: pattern(seed, seed) })));
  expect(front.send(up)).toBe(3);
  expect(vif.send(down)).toBe(2);
  await host.settle();
  expectSame(frames, up);
  expectSame(received, down);
  const bytes = (list: Frame[]) => list.reduce((sum, one) => sum + one.bytes.length, 0);
  expect(front.counts).toMatchObject({
    sent: { frames: 3, bytes: bytes(up) },
    received: { frames: 2, bytes: bytes(down) },
  });
  expect(vif.counts).toMatchObject({
    sent: { frames: 2, bytes: bytes(down) },
    received: { frames: 3, bytes: bytes(up) },
  });
  await host.finish(front.close());
  expect(front.info.carrier).toBe(false);
  expect(front.send(up)).toBe(0);
  // The back end hears of it a little later.
  await host.settle();
  expect(vif.send(down)).toBe(0);
  await end(host, guest, [device]);
});

const all: NetFrontOptions = { queues: 4, pagesMax: 800 };

describe.each([
  ['everything', all, []],
  ['one queue', {}, []],
  ['few pages', { pagesMax: 45 }, []],
  ['headroom', { headroom: 256 }, []],
  ['a back end that offers nothing', all, [...NET_FEATURES]],
  ['a front end that offers nothing', { ...all, without: new Set(NET_FEATURES) }, []],
  ...NET_FEATURES.map((feature) => [`a back end without ${feature}`, all, [feature]] as const),
  ...NET_FEATURES.map(
    (feature) =>
      [`a front end without ${feature}`, { ...all, without: new Set([feature]) }, []] as const,
  ),
] as readonly (readonly [string, NetFrontOptions, readonly NetFeature[]])[])(
  'with %s',
  (_, options, without) => {
    test('frames of every kind arrive, checksums and segments in order', async () => {
      const host = await NetHost.start(1, {}, without);
      const guest = await host.guest();
      const device = await host.attachVif(guest);
      const front = await host.front(guest, options);
      const { vif, frames } = host.vif(guest);
      const received = collect(front);
      const plain = Array.from({ length: 300 }, (_, seed) =>
        frame(
          packet({
            version: seed % 2 === 0 ? 4 : 6,
            protocol: seed % 3 === 0 ? 'udp' : 'tcp',
            payload: pattern((seed * 37) % 1400, seed),
          }),
        ),
      );
      await sendAll(host, front, plain);
      await sendAll(host, vif, plain);
      // Queues overtake each other.
      expect(frames.map(text).sort()).toEqual(plain.map(text).sort());
      expect(received.map(text).sort()).toEqual(plain.map(text).sort());
      await end(host, guest, [device]);
    });

    test.each([4, 6] as const)('large TCP frames of IPv%i arrive whole', async (version) => {
      const host = await NetHost.start(1, {}, without);
      const guest = await host.guest();
      const device = await host.attachVif(guest);
      const front = await host.front(guest, options);
      const { vif, frames } = host.vif(guest);
      const received = collect(front);
      const length = 5000;
      const large = largeFrame(version, length, 1400);
      await sendAll(host, front, [large]);
      await sendAll(host, vif, [large]);
      const data = pattern(length, length);
      for (const there of [frames, received]) {
        expect(Buffer.compare(reassemble(there, length), data)).toBe(0);
      }
      await end(host, guest, [device]);
    });
  },
);

test('the largest frames go as one where both ends take them, and as segments where not', async () => {
  for (const without of [[], ['gso-tcpv4'], ['scatter-gather']] as const) {
    const host = await NetHost.start(1, {}, without);
    const guest = await host.guest();
    const device = await host.attachVif(guest);
    const front = await host.front(guest, { without: new Set(without) });
    const { vif, frames } = host.vif(guest);
    const received = collect(front);
    const length = 0xffff - 54;
    const large = largeFrame(4, length, 1448);
    await sendAll(host, front, [large]);
    await sendAll(host, vif, [large]);
    for (const there of [frames, received]) {
      expect(there.length).toBe(without.length === 0 ? 1 : Math.ceil(length / 1448));
      expect(there[0]).toMatchObject({
        checksum: without.length === 0 ? 'blank' : 'validated',
        gso: without.length === 0 ? { type: 'tcpv4', size: 1448 } : undefined,
      });
      expect(Buffer.compare(reassemble(there, length), pattern(length, length))).toBe(0);
    }
    await end(host, guest, [device]);
  }
});

test('jumbo frames go where the MTU says so, and longer ones nowhere', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  const device = await host.attachVif(guest, 0, { mtu: '9000' });
  const front = await host.front(guest);
  const { vif, frames } = host.vif(guest);
  const received = collect(front);
  expect([vif.info.mtu, front.info.mtu]).toEqual([9000, 9000]);
  const jumbo = frame(packet({ payload: pattern(8960, 1) }));
  const longer = frame(packet({ payload: pattern(8965, 1) }));
  expect([front.send([jumbo, longer]), vif.send([longer, jumbo])]).toEqual([2, 2]);
  await host.settle();
  expectSame(frames, [jumbo]);
  expectSame(received, [jumbo]);
  expect([front.counts.sent.dropped.length, vif.counts.sent.dropped.length]).toEqual([1, 1]);
  await end(host, guest, [device]);
});

test('a frame shorter than its header is dropped by either end', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const front = await host.front(guest);
  const { vif } = host.vif(guest);
  for (const end of [front, vif]) {
    expect(end.send([frame(new Uint8Array(13)), frame(new Uint8Array(0))])).toBe(2);
    expect(end.counts.sent.dropped.length).toBe(2);
  }
  await end(host, guest, [device]);
});

test('with one page for each direction small frames still arrive', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const front = await host.front(guest, { pagesMax: 2 });
  const { vif, frames } = host.vif(guest);
  const received = collect(front);
  const sent = Array.from({ length: 50 }, (_, seed) =>
    frame(packet({ payload: pattern(9, seed) })),
  );
  await sendAll(host, front, sent);
  await sendAll(host, vif, sent);
  expectSame(frames, sent);
  expectSame(received, sent);
  await end(host, guest, [device]);
});

test.each([1, 2, 3])(
  'with one page for each direction all segments of large frames arrive, seed %i',
  async (seed) => {
    const host = await NetHost.start(seed, { delayEvent: 0.5 });
    const guest = await host.guest();
    const device = await host.attachVif(guest);
    const front = await host.front(guest, { pagesMax: 2 });
    const { vif, frames } = host.vif(guest);
    const received = collect(front);
    const length = 30_000;
    const large = largeFrame(seed % 2 === 0 ? 6 : 4, length, 1400);
    const small = frame(packet({ protocol: 'udp', payload: pattern(20, seed) }));
    const segments = Math.ceil(length / 1400);
    for (const [end, there] of [
      [front, frames],
      [vif, received],
    ] as const) {
      await sendAll(host, end, [large, small, large, small]);
      expect(there.length).toBe(2 * segments + 2);
      const first = there.slice(0, segments);
      expect(Buffer.compare(reassemble(first, length), pattern(length, length))).toBe(0);
      // What follows a large frame comes after all of it.
      expectSame([there[segments]!, there.at(-1)!], [small, small]);
      expect(end.counts.sent.dropped.room).toBe(0);
    }
    await end(host, guest, [device]);
  },
);

describe('queues', () => {
  test('packets of a flow stay in order in one queue, and flows are spread', async () => {
    const host = await NetHost.start(3, { delayEvent: 0.5 });
    const guest = await host.guest();
    const device = await host.attachVif(guest);
    const front = await host.front(guest, { queues: 4 });
    const { vif, frames } = host.vif(guest);
    const received = collect(front);
    const flows = Array.from({ length: 16 }, (_, flow) => 3000 + flow);
    const sent = Array.from({ length: 20 }, (_, sequence) =>
      flows.map((sourcePort) => frame(packet({ sourcePort, sequence, payload: pattern(10, 1) }))),
    ).flat();
    await sendAll(host, front, sent);
    await sendAll(host, vif, sent);
    for (const there of [frames, received]) {
      const order = new Map<number, number[]>();
      for (const { bytes } of there) {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const port = view.getUint16(34);
        order.set(port, [...(order.get(port) ?? []), view.getUint32(38)]);
      }
      expect([...order.keys()].sort()).toEqual(flows);
      const expected = Array.from({ length: 20 }, (_, sequence) => sequence);
      for (const sequences of order.values()) expect(sequences).toEqual(expected);
      // One queue for all would keep the order of all.
      expect(there.map(({ bytes }) => bytes.join())).not.toEqual(
        sent.map(({ bytes }) => bytes.join()),
      );
    }
    await end(host, guest, [device]);
  });

  test('a guest that configures the hash gets it with every packet, and its table decides', async () => {
    const host = await NetHost.start();
    const guest = await host.guest();
    const device = await host.attachVif(guest);
    const key = Uint8Array.from(
      Buffer.from(
        '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
        'hex',
      ),
    );
    const front = await host.front(guest, { queues: 2, hash: { key, types: 3, mapping: [1, 0] } });
    await host.settle();
    const received = collect(front);
    const options = {
      sourceAddress: [66, 9, 149, 187],
      targetAddress: [161, 142, 100, 80],
      sourcePort: 2794,
      targetPort: 1766,
    };
    const sent = [packet(options), packet({ ...options, protocol: 'udp' }), packet({ version: 6 })];
    await sendAll(
      host,
      host.vif(guest).vif,
      sent.map((bytes) => frame(bytes)),
    );
    const hashes = received.map(({ hash }) => hash).filter((hash) => hash !== undefined);
    expect(hashes.length).toBe(2);
    expect(hashes).toContainEqual({ type: 1, value: 0x51ccc178 });
    expect(hashes).toContainEqual({ type: 0, value: 0x323e8fc2 });
    expect(received.length).toBe(3);
    await end(host, guest, [device]);
  });
});

test('a guest that filters groups hears those that it joined, and broadcasts', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const front = await host.front(guest, { filterMulticast: true });
  const { vif } = host.vif(guest);
  const received = collect(front);
  const group = 0x0100_5e00_0001 as typeof MAC_A;
  const other = 0x0100_5e00_0002 as typeof MAC_A;
  const to = (target: number) => frame(packet({ target }));
  const targets = [group, other, 0xffff_ffff_ffff, MAC_A];
  vif.send(targets.map(to));
  await host.settle();
  expectSame(received.splice(0), [to(0xffff_ffff_ffff), to(MAC_A)]);
  front.joinGroup(group);
  await host.settle();
  vif.send(targets.map(to));
  await host.settle();
  expectSame(received.splice(0), [to(group), to(0xffff_ffff_ffff), to(MAC_A)]);
  front.leaveGroup(group);
  front.joinGroup(other);
  await host.settle();
  vif.send(targets.map(to));
  await host.settle();
  expectSame(received, [to(other), to(0xffff_ffff_ffff), to(MAC_A)]);
  expect(vif.counts.sent.dropped.filtered).toBe(4);
  expect(vif.counts.received.frames).toBe(0);
  await end(host, guest, [device]);
});

test('what a guest sends is held back to the rate that it was given', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  // A megabyte a second, in parts of 50 ms.
  const device = await host.attachVif(guest, 0, { rate: '50000,50000' });
  const front = await host.front(guest, { queues: 2 });
  const { frames } = host.vif(guest);
  const sent = Array.from({ length: 800 }, (_, index) =>
    frame(packet({ sourcePort: index, payload: pattern(1446, index) })),
  );
  const began_ms = host.world.clock.now_ms();
  let left = sent;
  const advance = () => {
    left = left.slice(front.send(left));
  };
  front.onRoom(advance);
  advance();
  await host.world.run({ until: () => frames.length === sent.length });
  const bytes = 800 * 1500;
  const expected_ms = ((bytes - 131_072) / 1_000_000) * 1000;
  const took_ms = host.world.clock.now_ms() - began_ms;
  expect(took_ms).toBeGreaterThan(expected_ms * 0.98);
  expect(took_ms).toBeLessThan(expected_ms * 1.05);
  await end(host, guest, [device]);
});

test('the operator may give a guest another rate while it is connected, and none', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  // What the bucket holds at first, and after that a byte a second.
  const device = await host.attachVif(guest, 0, { rate: '1,1000000' });
  const front = await host.front(guest);
  const { frames } = host.vif(guest);
  const sent = Array.from({ length: 200 }, (_, index) =>
    frame(packet({ sourcePort: index, payload: pattern(1446, index) })),
  );
  const write = (rate: string) => host.finish(host.tools.write(`${device.back}/rate`, rate));
  expect(front.send(sent)).toBe(sent.length);
  await host.settle();
  const burst = frames.length;
  expect(burst).toBeLessThan(100);

  await write('as much as it likes');
  await host.settle();
  expect(frames).toHaveLength(burst);
  expect(host.log.join('\n')).toContain('the rate stays as it was');

  await write('1,999999');
  await host.settle();
  expect(frames.length).toBeGreaterThan(burst);
  expect(frames.length).toBeLessThan(2 * burst + 2);

  await host.finish(host.tools.remove(`${device.back}/rate`));
  await host.settle();
  expectSame(frames, sent);
  await end(host, guest, [device]);
});

test.each([1, 2, 3, 4])(
  'late and false signals lose no frame and change none, seed %i',
  async (seed) => {
    const host = await NetHost.start(seed);
    const guest = await host.guest();
    const device = await host.attachVif(guest);
    const prng = new Prng(seed);
    const front = await host.front(guest, { queues: 1 + prng.below(4), pagesMax: 160 });
    Object.assign(host.world.faults, { delayEvent: 0.3, spuriousEvent: 0.2 });
    const { vif, frames } = host.vif(guest);
    const received = collect(front);
    const sent = Array.from({ length: 400 }, (_, index) =>
      prng.chance(0.1)
        ? largeFrame(prng.chance(0.5) ? 4 : 6, prng.below(40_000), 1000)
        : frame(packet({ sourcePort: index, payload: pattern(prng.below(1400), index) })),
    );
    await sendAll(host, front, sent);
    await sendAll(host, vif, sent);
    await host.settle(5000);
    for (const there of [frames, received]) {
      expect(there.map(text).sort()).toEqual(sent.map(text).sort());
    }
    await end(host, guest, [device]);
  },
);

test('a copy that Xen refuses loses that frame alone', async () => {
  const host = await NetHost.start(8);
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const front = await host.front(guest);
  const { vif, frames } = host.vif(guest);
  const received = collect(front);
  const sent = Array.from({ length: 100 }, (_, index) =>
    frame(packet({ payload: pattern(500, index) })),
  );
  host.world.faults.refuseCopy = 0.2;
  await sendAll(host, front, sent);
  await sendAll(host, vif, sent);
  host.world.faults.refuseCopy = 0;
  const all = new Set(sent.map(({ bytes }) => bytes.join()));
  for (const there of [frames, received]) {
    expect(there.length).toBeGreaterThan(50);
    expect(there.length).toBeLessThan(100);
    for (const { bytes } of there) expect(all.has(bytes.join())).toBe(true);
  }
  const { counts } = front;
  expect([counts.sent.dropped.refused, counts.received.dropped.refused]).toEqual([
    sent.length - frames.length,
    sent.length - received.length,
  ]);
  await end(host, guest, [device]);
});
