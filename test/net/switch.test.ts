/** The switch between interfaces that tests hold in their hands. */
import { beforeEach, describe, expect, test } from 'vitest';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { ADDRESSES_PER_PORT_MAX, AGE_MS_MAX } from '../../src/net/address-table.ts';
import { type MacAddress, writeMacAddress } from '../../src/net/mac-address.ts';
import { StationFilter } from '../../src/net/station-filter.ts';
import { Switch } from '../../src/net/switch.ts';
import type { PortOptions, SwitchPort } from '../../src/net/switch-port.ts';
import { MAC_A, MAC_B, packet, pattern } from './packets.ts';
import { Station } from './station.ts';

let world: SimWorld;
let network: Switch;

beforeEach(() => {
  world = new SimWorld({ seed: 1 });
  network = new Switch(world.clock);
});

function plug(name: string, options: Partial<PortOptions> = {}): [Station, SwitchPort] {
  const station = new Station();
  return [station, network.addPort(station, { name, ...options })];
}

const MAC_C = 0x0016_3e00_000c as MacAddress;
const BROADCAST = 0xffff_ffff_ffff;
const from = (source: number, target: number, more = {}) => packet({ source, target, ...more });

/** With a further tag before all others, which has neither a VLAN nor a priority. */
const retagged = (bytes: Uint8Array) =>
  Uint8Array.from([...bytes.subarray(0, 12), 0x81, 0, 0, 0, ...bytes.subarray(12)]);

test('frames to a station that is known go to its port, all others everywhere else', () => {
  const [a, portA] = plug('a');
  const [b, portB] = plug('b');
  const [c] = plug('c');
  a.say(from(MAC_A, MAC_B));
  expect([a.take().length, b.take().length, c.take().length]).toEqual([0, 1, 1]);
  const answer = from(MAC_B, MAC_A);
  b.say(answer);
  expect([a.take(), c.take()]).toEqual([[answer], []]);
  a.say(from(MAC_A, MAC_B), from(MAC_A, BROADCAST), from(MAC_A, 0x0100_5e00_0001));
  expect([b.take().length, c.take().length]).toEqual([3, 2]);
  // Both behind one port.
  a.say(from(MAC_C, MAC_A));
  expect([a.take(), b.take(), c.take()]).toEqual([[], [], []]);
  expect(portA.counts.in.frames).toBe(5);
  expect(portB.counts).toMatchObject({ in: { frames: 1 }, out: { frames: 4 } });
  expect(portB.counts.in.bytes).toBe(answer.length);
});

test('a station that moves, falls silent or loses its port is found again', async () => {
  const [a, portA] = plug('a');
  const [b] = plug('b');
  const [c] = plug('c');
  const reaches = () => {
    c.say(from(MAC_C, MAC_A));
    return [a.take().length, b.take().length];
  };
  a.say(from(MAC_A, BROADCAST));
  expect(reaches()).toEqual([1, 1 /* the broadcast */]);
  expect(reaches()).toEqual([1, 0]);
  b.say(from(MAC_A, BROADCAST));
  a.take();
  expect(reaches()).toEqual([0, 1]);
  await world.run({ for_ms: AGE_MS_MAX });
  expect(reaches()).toEqual([1, 1]);
  a.say(from(MAC_A, MAC_C));
  expect(reaches()).toEqual([1, 0]);
  a.setCarrier(false);
  expect(reaches()).toEqual([0, 1]);
  a.setCarrier(true);
  expect(reaches()).toEqual([1, 1]);
  a.say(from(MAC_A, MAC_C));
  c.take();
  portA.close();
  portA.close();
  expect(reaches()).toEqual([0, 1]);
  a.say(from(MAC_A, MAC_C));
  expect(c.take()).toEqual([]);
  expect(network.ports.map(({ name }) => name)).toEqual(['b', 'c']);
});

test('a station that invents addresses fills its own part of the table and no other', () => {
  const [a] = plug('a');
  const [b] = plug('b');
  const [c] = plug('c');
  b.say(from(MAC_B, BROADCAST));
  for (let number = 0; number < 3 * ADDRESSES_PER_PORT_MAX; number++) {
    a.say(from(0x0200_0000_0000 + number, BROADCAST));
  }
  for (const station of [a, b, c]) station.take();
  c.say(from(MAC_C, MAC_B));
  expect([a.take().length, b.take().length]).toEqual([0, 1]);
  c.say(from(MAC_C, 0x0200_0000_0000 + 2 * ADDRESSES_PER_PORT_MAX));
  expect([a.take().length, b.take().length]).toEqual([1, 1]);
});

test('what is no frame, comes from a group or is between bridges goes nowhere', () => {
  const [a, port] = plug('a');
  const [b] = plug('b');
  a.say(
    new Uint8Array(0),
    new Uint8Array(13),
    from(0x0100_0000_0001, MAC_B),
    from(BROADCAST, MAC_B),
    from(MAC_A, 0x0180_c200_0000),
    from(MAC_A, 0x0180_c200_000f),
  );
  expect(b.take()).toEqual([]);
  expect(port.counts.in.dropped.invalid).toBe(6);
  a.say(from(MAC_A, 0x0180_c200_0010));
  expect(b.take().length).toBe(1);
});

test('what an interface has no room for is counted', () => {
  const [a] = plug('a');
  const [b, port] = plug('b');
  b.room = 2;
  a.say(from(MAC_A, MAC_B), from(MAC_A, MAC_B), from(MAC_A, MAC_B));
  expect(port.counts).toMatchObject({ out: { frames: 2, dropped: { room: 1 } } });
});

describe('VLANs', () => {
  const tagOf = (bytes: Uint8Array) =>
    bytes[12] === 0x81 ? (bytes[14]! << 8) | bytes[15]! : undefined;

  test('keep stations apart, and tags stand where they are asked for', () => {
    const [a] = plug('a', { vlans: { untagged: 10 } });
    const [b] = plug('b', { vlans: { untagged: 20 } });
    const [c] = plug('c', { vlans: { tagged: [10, 20] } });
    const [d] = plug('d', { vlans: { untagged: 10, tagged: [20] } });
    const plain = from(MAC_A, BROADCAST);
    a.say(plain);
    expect(b.take()).toEqual([]);
    expect(d.take()).toEqual([plain]);
    const [tagged] = c.take();
    expect(tagOf(tagged!)).toBe(10);
    expect(tagged!.length).toBe(plain.length + 4);
    // And back.
    c.say(tagged!);
    expect([a.take(), d.take()]).toEqual([[plain], [plain]]);
    d.say(from(MAC_B, BROADCAST, { vlan: 0x6014 }));
    expect(a.take()).toEqual([]);
    expect(b.take().map(tagOf)).toEqual([undefined]);
    expect(c.take().map(tagOf)).toEqual([0x6014]);
  });

  test('one address may be at different ports in different VLANs', () => {
    const [a] = plug('a', { vlans: { untagged: 10 } });
    const [b] = plug('b', { vlans: { untagged: 20 } });
    const [c] = plug('c', { vlans: { tagged: [10, 20] } });
    a.say(from(MAC_A, BROADCAST));
    b.say(from(MAC_A, BROADCAST));
    c.take();
    c.say(from(MAC_C, MAC_A, { vlan: 10 }), from(MAC_C, MAC_A, { vlan: 20 }));
    expect([a.take().length, b.take().length]).toEqual([1, 1]);
  });

  test('a frame of a VLAN that its port is not in goes nowhere', () => {
    const [a, portA] = plug('a', { vlans: { untagged: 10 } });
    const [, portC] = plug('c', { vlans: { tagged: [10] } });
    const [d] = plug('d', { vlans: { tagged: [10, 20], untagged: 1 } });
    a.say(from(MAC_A, BROADCAST, { vlan: 10 }), from(MAC_A, BROADCAST, { vlan: 20 }));
    expect(d.take()).toEqual([]);
    expect(portA.counts.in.dropped.vlan).toBe(2);
    expect(portC.counts.in.dropped.vlan).toBe(0);
  });

  test('a tag with a priority alone says nothing of the VLAN', () => {
    const [a] = plug('a');
    const [b] = plug('b');
    const [c] = plug('c', { vlans: { tagged: [1] } });
    a.say(from(MAC_A, BROADCAST, { vlan: 0xe000 }));
    expect(b.take()).toEqual([from(MAC_A, BROADCAST)]);
    expect(c.take().map(tagOf)).toEqual([0xe001]);
  });

  test('a tag with a priority alone hides no other', () => {
    const [a, port] = plug('a');
    const [b] = plug('b');
    const [c] = plug('c', { vlans: { tagged: [1, 20] } });
    for (const type of [0x8100, 0x88a8]) {
      const inner = from(MAC_A, BROADCAST, { vlan: 20 });
      inner.set([type >> 8, type & 0xff], 12);
      a.say(retagged(inner));
    }
    expect([...b.take(), ...c.take()]).toEqual([]);
    expect(port.counts.in.dropped.vlan).toBe(2);
  });

  test.each([
    [{}, 'in one VLAN or more'],
    [{ untagged: 0 }, 'from 1 to 4094'],
    [{ tagged: [4095] }, 'from 1 to 4094'],
    [{ tagged: [1.5] }, 'from 1 to 4094'],
    [{ untagged: 5, tagged: [5] }, 'in each VLAN once'],
  ])('%j makes no sense', (vlans, rule) => {
    expect(() => plug('a', { vlans })).toThrow(rule);
    expect(network.ports).toEqual([]);
  });
});

describe('a filter for one station', () => {
  const ADDRESSES = ['10.0.0.1', 'fd00::1'];
  const v6 = (text: string) => [...Buffer.from(text, 'hex')];
  const OWN_V6 = v6('fd000000000000000000000000000001');
  const LINK_LOCAL = v6('fe8000000000000002163efffe00000a');

  function arp(sender: number, ip: readonly number[], source: number = MAC_A): Uint8Array {
    const bytes = new Uint8Array(42);
    writeMacAddress(BROADCAST as MacAddress, bytes, 0);
    writeMacAddress(source as MacAddress, bytes, 6);
    bytes.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1], 12);
    writeMacAddress(sender as MacAddress, bytes, 22);
    bytes.set(ip, 28);
    return bytes;
  }

  /** A packet of ICMPv6 made of one of UDP. */
  function icmp6(
    type: number,
    sourceAddress: readonly number[],
    target: readonly number[] = [],
    options = 0,
  ) {
    const bytes = packet({ version: 6, protocol: 'udp', sourceAddress, options });
    bytes[options === 0 ? 20 : 54] = 58;
    bytes[54 + options] = type;
    bytes.set(target, 62 + options);
    return bytes;
  }

  /** A packet of IPv6 with extensions of 8 bytes each before what it carries. */
  function behind(bytes: Uint8Array, extensions: readonly number[], protocol: number): Uint8Array {
    const headers = [...extensions.slice(1), protocol].flatMap((next) => [
      next,
      0,
      1,
      4,
      0,
      0,
      0,
      0,
    ]);
    const made = Uint8Array.from([...bytes.subarray(0, 54), ...headers, ...bytes.subarray(54)]);
    made[20] = extensions[0]!;
    new DataView(made.buffer).setUint16(18, made.length - 54);
    return made;
  }

  function passes(bytes: Uint8Array, addresses: readonly string[] = ADDRESSES): boolean {
    return new StationFilter(MAC_A, addresses).passes(bytes);
  }

  test.each<[string, Uint8Array]>([
    ['IPv4 from its address', packet({ sourceAddress: [10, 0, 0, 1] })],
    ['the same with a tag', packet({ sourceAddress: [10, 0, 0, 1], vlan: 7 })],
    ['IPv6 from its address', packet({ version: 6, sourceAddress: OWN_V6 })],
    ['IPv6 from its link-local address', packet({ version: 6, sourceAddress: LINK_LOCAL })],
    ['ARP about itself', arp(MAC_A, [10, 0, 0, 1])],
    ['ARP that asks whether an address is free', arp(MAC_A, [0, 0, 0, 0])],
    [
      'DHCP',
      packet({ protocol: 'udp', sourceAddress: [0, 0, 0, 0], sourcePort: 68, targetPort: 67 }),
    ],
    [
      'DHCP from its address',
      packet({ protocol: 'udp', sourceAddress: [10, 0, 0, 1], sourcePort: 68, targetPort: 67 }),
    ],
    [
      'DHCPv6',
      packet({
        version: 6,
        protocol: 'udp',
        sourceAddress: LINK_LOCAL,
        sourcePort: 546,
        targetPort: 547,
      }),
    ],
    ['a neighbour solicitation without an address', icmp6(135, new Array(16).fill(0))],
    ['a neighbour advertisement of itself', icmp6(136, OWN_V6, OWN_V6)],
    ['a ping', icmp6(128, OWN_V6)],
    ['a report of groups, which stands behind an option', icmp6(143, LINK_LOCAL, [], 8)],
  ])('lets pass %s', (_, bytes) => {
    expect(passes(bytes)).toBe(true);
  });

  test.each<[string, Uint8Array]>([
    ['another source address of Ethernet', packet({ source: MAC_B, sourceAddress: [10, 0, 0, 1] })],
    ['another source address of IPv4', packet({ sourceAddress: [10, 0, 0, 2] })],
    [
      'another source address of IPv6',
      packet({ version: 6, sourceAddress: v6('fd000000000000000000000000000002') }),
    ],
    ['IPv4 without an address', packet({ sourceAddress: [0, 0, 0, 0] })],
    [
      'a DHCP server',
      packet({ protocol: 'udp', sourceAddress: [0, 0, 0, 0], sourcePort: 67, targetPort: 68 }),
    ],
    [
      'the same from its address',
      packet({ protocol: 'udp', sourceAddress: [10, 0, 0, 1], sourcePort: 67, targetPort: 68 }),
    ],
    [
      'a server of DHCPv6',
      packet({
        version: 6,
        protocol: 'udp',
        sourceAddress: LINK_LOCAL,
        sourcePort: 547,
        targetPort: 546,
      }),
    ],
    ['ARP about another IP address', arp(MAC_A, [10, 0, 0, 2])],
    ['ARP about another MAC address', arp(MAC_B, [10, 0, 0, 1])],
    ['ARP that is cut short', arp(MAC_A, [10, 0, 0, 1]).subarray(0, 41)],
    ['ARP of another kind', arp(MAC_A, [10, 0, 0, 1]).fill(9, 18, 19)],
    [
      'a neighbour advertisement of another',
      icmp6(
        136,
        OWN_V6,
        LINK_LOCAL.map((b) => b ^ 1),
      ),
    ],
    [
      'the same behind an option',
      icmp6(
        136,
        OWN_V6,
        LINK_LOCAL.map((b) => b ^ 1),
        8,
      ),
    ],
    ['a router advertisement', icmp6(134, LINK_LOCAL)],
    [
      'the same behind more options than are looked behind',
      behind(icmp6(134, LINK_LOCAL), new Array(9).fill(60), 58),
    ],
    ['the same behind options in a fragment', behind(icmp6(134, LINK_LOCAL), [44, 60], 58)],
    ['a fragment of ICMPv6', icmp6(128, OWN_V6, [], 8).fill(44, 20, 21)],
    ['a ping from another address', icmp6(128, v6('fd000000000000000000000000000002'))],
    ['an unknown type of frame', packet().fill(0x99, 12, 13)],
    ['IPv4 that is no IPv4', packet({ sourceAddress: [10, 0, 0, 1] }).fill(0x99, 14, 15)],
  ])('stops %s', (_, bytes) => {
    expect(passes(bytes)).toBe(false);
  });

  test('without IP addresses looks at that of Ethernet alone, also in ARP', () => {
    expect(passes(packet({ sourceAddress: [1, 2, 3, 4] }), [])).toBe(true);
    expect(passes(arp(MAC_A, [1, 2, 3, 4]), [])).toBe(true);
    expect(passes(arp(MAC_B, [1, 2, 3, 4]), [])).toBe(false);
    expect(passes(packet({ source: MAC_B }), [])).toBe(false);
    const spoofed = arp(MAC_B, [1, 2, 3, 4]);
    expect(passes(retagged(spoofed), [])).toBe(false);
    expect(passes(retagged(retagged(retagged(spoofed))), [])).toBe(false);
  });

  test('counts what it stops at its port, and teaches the switch nothing', () => {
    const [a, port] = plug('a', { filter: new StationFilter(MAC_A, ['10.0.0.1']) });
    const [b] = plug('b');
    const [c] = plug('c');
    a.say(from(MAC_C, BROADCAST), from(MAC_A, BROADCAST, { sourceAddress: [10, 0, 0, 9] }));
    a.say(from(MAC_A, BROADCAST, { sourceAddress: [10, 0, 0, 1] }));
    expect([b.take().length, c.take().length]).toEqual([1, 1]);
    expect(port.counts.in.dropped.filter).toBe(2);
    b.say(from(MAC_B, MAC_C));
    expect([a.take().length, c.take().length]).toEqual([1, 1]);
  });

  test.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.01',
    '1.2.3.4.5',
    'fd00',
    ':::',
    'fd00::1::2',
    '1:2:3:4:5:6:7:8:9',
    'g::',
    '1:2:3:4:5:6:7::8',
    'fd00:::1',
  ])('%j is no address', (text) => {
    expect(() => new StationFilter(MAC_A, [text])).toThrow('an IP address is');
  });

  test.each(['::', '::1', 'fd00::', '1:2:3:4:5:6:7:8', '::ffff:10.0.0.1', 'FE80::1', '0.0.0.0'])(
    '%j is one',
    (text) => {
      expect(() => new StationFilter(MAC_A, [text])).not.toThrow();
    },
  );
});

test('rates of a port hold in either direction', async () => {
  const rate = { bytesPerSecond: 15_000, burstBytes: 3000 };
  const [a, portA] = plug('a', { rateIn: rate });
  const [b, portB] = plug('b', { rateOut: { ...rate, bytesPerSecond: 7500 } });
  const [c] = plug('c');
  const bytes = from(MAC_A, BROADCAST, { payload: pattern(1446, 1) });
  for (let second = 0; second < 10; second++) {
    for (let count = 0; count < 100; count++) {
      a.say(bytes);
      await world.run({ for_ms: 10 });
    }
  }
  // Ten frames a second, and two at once at the beginning; of these five a second go on.
  expect(c.take().length).toBeGreaterThanOrEqual(100);
  expect(portA.counts.in.frames).toBeLessThanOrEqual(104);
  expect(portB.counts.out.frames).toBeGreaterThanOrEqual(50);
  expect(portB.counts.out.frames).toBeLessThanOrEqual(54);
  expect(portA.counts.in.frames + portA.counts.in.dropped.rate).toBe(1000);
  expect(portB.counts.out.frames + portB.counts.out.dropped.rate).toBe(portA.counts.in.frames);
  expect(b.take().length).toBe(portB.counts.out.frames);
  expect(() => plug('d', { rateIn: { bytesPerSecond: 0, burstBytes: 1 } })).toThrow('a rate is');
});

describe('a capture', () => {
  test('is a pcap file with what came and went at the port', () => {
    const [a] = plug('a');
    const [b, port] = plug('b');
    const parts: Uint8Array[] = [];
    const capture = port.capture((part) => parts.push(part));
    const there = from(MAC_A, MAC_B, { payload: pattern(1000, 1) });
    const back = from(MAC_B, MAC_A);
    a.say(there);
    b.say(back);
    capture.close();
    a.say(there);
    const file = Buffer.concat(parts);
    const header = [0xa1b2c3d4, 0x0004_0002, 0, 0, 0x40000, 1];
    expect(header.map((_, index) => file.readUInt32LE(index * 4))).toEqual(header);
    let at = 24;
    for (const expected of [there, back]) {
      const seconds = file.readUInt32LE(at);
      expect(seconds).toBe(Math.floor(world.clock.wallclock_ms() / 1000));
      expect(file.readUInt32LE(at + 4)).toBeLessThan(1_000_000);
      expect(file.readUInt32LE(at + 8)).toBe(expected.length);
      expect(file.readUInt32LE(at + 12)).toBe(expected.length);
      expect(Buffer.compare(file.subarray(at + 16, at + 16 + expected.length), expected)).toBe(0);
      at += 16 + expected.length;
    }
    expect(at).toBe(file.length);
  });

  test('keeps no more of a frame than it is asked to', () => {
    const [a] = plug('a');
    const [, port] = plug('b');
    const parts: Uint8Array[] = [];
    port.capture((part) => parts.push(part), { bytesMax: 60 });
    a.say(from(MAC_A, MAC_B, { payload: pattern(1000, 1) }));
    expect(parts[1]!.length).toBe(16 + 60);
    expect(Buffer.from(parts[1]!.buffer).readUInt32LE(12)).toBe(1054);
    expect(() => port.capture(() => {}, { bytesMax: 0 })).toThrow('a capture keeps');
  });

  test('shows frames that the port then refuses', () => {
    const [a, port] = plug('a', { filter: new StationFilter(MAC_B, []) });
    const parts: Uint8Array[] = [];
    port.capture((part) => parts.push(part));
    a.say(from(MAC_A, MAC_B));
    expect(parts.length).toBe(2);
  });
});
