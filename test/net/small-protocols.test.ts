/** ARP, ICMP and DHCP of the station that is in the switch itself. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { logTo } from '../../src/base/log.ts';
import { Prng } from '../../src/base/prng.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import type { DhcpLease } from '../../src/net/dhcp-leases.ts';
import {
  DHCPACK,
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPINFORM,
  DHCPNAK,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
  parseDhcpRequest,
} from '../../src/net/dhcp-message.ts';
import { DhcpServer, type LeaseStore } from '../../src/net/dhcp-server.ts';
import type { Frame } from '../../src/net/frame.ts';
import { parseIpAddress } from '../../src/net/ip-address.ts';
import { ipv4Number, ipv4Text, parseIpv4Range } from '../../src/net/ipv4-range.ts';
import { LocalStation } from '../../src/net/local-station.ts';
import { type MacAddress, macAddressAt, writeMacAddress } from '../../src/net/mac-address.ts';
import { frame, MAC_A, MAC_B, packet, pattern, sum16 } from './packets.ts';

const STATION = 0x0250_0a00_0001 as MacAddress;
const BROADCAST = 0xffff_ffff_ffff;
const address = (text: string) => ipv4Number(parseIpAddress(text));
const bytesOf = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);

let world: SimWorld;
let leases: Map<MacAddress, DhcpLease>;
let fails: boolean;
let dhcp: DhcpServer;
let station: LocalStation;
let said: Uint8Array[];
let logged: string[];

const store: LeaseStore = {
  load: async () => [...leases.values()],
  save: async (lease) => {
    if (fails) throw new Error('xenstore is gone');
    leases.set(lease.mac, lease);
  },
  remove: async (mac) => void leases.delete(mac),
};

async function start(range = '10.0.0.0/24'): Promise<void> {
  const { clock } = world;
  logged = [];
  const log = logTo((level, message) => level === 'debug' || logged.push(message));
  const parts = { clock, log, store, range: parseIpv4Range(range) };
  dhcp = await DhcpServer.open({ ...parts, address: parts.range.first + 1 });
  station = new LocalStation({ clock, mac: STATION, address: parts.range.first + 1, dhcp });
  said = [];
  station.onReceive((frames: readonly Frame[]) => said.push(...frames.map(({ bytes }) => bytes)));
}

beforeEach(async () => {
  world = new SimWorld({ seed: 1 });
  leases = new Map();
  fails = false;
  await start();
});

/** What the station says to a frame. */
async function hears(bytes: Uint8Array): Promise<Uint8Array[]> {
  said = [];
  expect(station.send([frame(bytes)])).toBe(1);
  await world.run({ for_ms: 1 });
  return said;
}

function arp(operation: number, target: string, more: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(60);
  bytes.set([8, 6], 12);
  bytes.set([0, 1, 8, 0, 6, 4, 0, operation, ...more], 14);
  writeMacAddress(BROADCAST as MacAddress, bytes, 0);
  writeMacAddress(MAC_A, bytes, 6);
  writeMacAddress(MAC_A, bytes, 22);
  bytes.set([10, 0, 0, 9], 28);
  bytes.set(bytesOf(address(target)), 38);
  return bytes;
}

describe('ARP', () => {
  test('who asks for the address of the station hears where it is', async () => {
    const [reply] = await hears(arp(1, '10.0.0.1'));
    expect(macAddressAt(reply!, 0)).toBe(MAC_A);
    expect(macAddressAt(reply!, 6)).toBe(STATION);
    expect([...reply!.subarray(12, 22)]).toEqual([8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
    expect(macAddressAt(reply!, 22)).toBe(STATION);
    expect([...reply!.subarray(28, 32)]).toEqual([10, 0, 0, 1]);
    expect(macAddressAt(reply!, 32)).toBe(MAC_A);
    expect([...reply!.subarray(38, 42)]).toEqual([10, 0, 0, 9]);
  });

  test('nobody hears of other addresses, and of what is no question', async () => {
    expect(await hears(arp(1, '10.0.0.2'))).toEqual([]);
    expect(await hears(arp(2, '10.0.0.1'))).toEqual([]);
    expect(await hears(arp(1, '10.0.0.1').subarray(0, 41))).toEqual([]);
    const other = arp(1, '10.0.0.1');
    other[18] = 8;
    expect(await hears(other)).toEqual([]);
  });
});

/** A frame to the station with an ICMP message in it. */
function icmp(message: readonly number[], target = [10, 0, 0, 1]): Uint8Array {
  const bytes = packet({
    protocol: 'udp',
    payload: Uint8Array.from(message.slice(8)),
    target: STATION,
    targetAddress: target,
  });
  bytes[23] = 1;
  bytes.set(message.slice(0, 8), 34);
  return bytes;
}

function echo(length: number): number[] {
  const message = [8, 0, 0, 0, 0x12, 0x34, 0, 7, ...pattern(length, length)];
  message.splice(2, 2, sum16(message) >> 8, sum16(message) & 0xff);
  return message;
}

describe('ICMP', () => {
  test.each([0, 1, 56, 1400])('an echo of %i bytes comes back', async (length) => {
    const [reply] = await hears(icmp(echo(length)));
    const message = [...reply!.subarray(34)];
    expect(sum16(message)).toBe(0);
    expect(sum16([...reply!.subarray(14, 34)])).toBe(0);
    expect([message[0], ...message.slice(4)]).toEqual([0, ...echo(length).slice(4)]);
    expect([...reply!.subarray(26, 34)]).toEqual([10, 0, 0, 1, 10, 0, 0, 1]);
    expect(macAddressAt(reply!, 0)).toBe(MAC_A);
  });

  test('what is damaged, no echo, or for somebody else is not answered', async () => {
    const damaged = echo(20);
    damaged[15]! ^= 1;
    expect(await hears(icmp(damaged))).toEqual([]);
    expect(await hears(icmp([3, ...echo(20).slice(1)]))).toEqual([]);
    expect(await hears(icmp(echo(20), [10, 0, 0, 2]))).toEqual([]);
  });
});

interface Ask {
  readonly mac?: MacAddress;
  readonly from?: MacAddress;
  readonly ciaddr?: number;
  readonly requested?: number;
  readonly server?: number;
  readonly broadcast?: boolean;
  readonly relay?: number;
  readonly options?: readonly number[];
}

function ask(type: number, more: Ask = {}): Uint8Array {
  const { mac = MAC_A, from = mac, ciaddr = 0, relay = 0 } = more;
  const payload = new Uint8Array(300);
  payload.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
  payload[10] = more.broadcast === true ? 0x80 : 0;
  payload.set(bytesOf(ciaddr), 12);
  payload.set(bytesOf(relay), 24);
  writeMacAddress(mac, payload, 28);
  payload.set([0x63, 0x82, 0x53, 0x63], 236);
  const options = [0, 53, 1, type];
  if (more.requested !== undefined) options.push(50, 4, ...bytesOf(more.requested));
  if (more.server !== undefined) options.push(54, 4, ...bytesOf(more.server));
  payload.set(more.options ?? [...options, 255], 240);
  return packet({
    protocol: 'udp',
    payload,
    source: from,
    target: BROADCAST,
    sourceAddress: [0, 0, 0, 0],
    targetAddress: [255, 255, 255, 255],
    sourcePort: 68,
    targetPort: 67,
  });
}

interface Answer {
  readonly type: number | undefined;
  readonly address: string;
  readonly options: Map<number, number[]>;
  readonly target: number;
  readonly to: string;
}

async function answer(type: number, more: Ask = {}): Promise<Answer | undefined> {
  const [reply] = await hears(ask(type, more));
  if (reply === undefined) return undefined;
  const payload = reply.subarray(42);
  expect([...payload.subarray(0, 8)]).toEqual([2, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
  const options = new Map<number, number[]>();
  for (let at = 240; payload[at] !== 255; at += 2 + payload[at + 1]!) {
    options.set(payload[at]!, [...payload.subarray(at + 2, at + 2 + payload[at + 1]!)]);
  }
  return {
    type: options.get(53)?.[0],
    address: ipv4Text(ipv4Number(payload, 16)),
    options,
    target: macAddressAt(reply, 0),
    to: ipv4Text(ipv4Number(reply, 30)),
  };
}

const macs = Array.from({ length: 8 }, (_, index) => (MAC_A + 100 + index) as MacAddress);

describe('DHCP', () => {
  test('a station is offered an address, and gets it with all that goes with it', async () => {
    const offer = (await answer(DHCPDISCOVER))!;
    expect(offer).toMatchObject({ type: DHCPOFFER, target: MAC_A, to: offer.address });
    expect(leases.size).toBe(0);
    const requested = address(offer.address);
    const ack = (await answer(DHCPREQUEST, { requested, server: address('10.0.0.1') }))!;
    expect(ack).toMatchObject({ type: DHCPACK, address: offer.address });
    expect(ack.options.get(1)).toEqual([255, 255, 255, 0]);
    expect(ack.options.get(54)).toEqual([10, 0, 0, 1]);
    expect(ack.options.get(51)).toEqual([0, 0, 14, 16]);
    expect(leases.get(MAC_A)?.address).toBe(requested);
    // And the same again.
    expect((await answer(DHCPDISCOVER))!.address).toBe(offer.address);
  });

  test('who asks for a broadcast, or is refused, is answered by one', async () => {
    const offer = (await answer(DHCPDISCOVER, { broadcast: true }))!;
    expect([offer.target, offer.to]).toEqual([BROADCAST, '255.255.255.255']);
    const nak = (await answer(DHCPREQUEST, { requested: address('192.168.0.1') }))!;
    expect(nak).toMatchObject({ type: DHCPNAK, address: '0.0.0.0', target: BROADCAST });
  });

  test('renews, hands back, declines and informs', async () => {
    const { address: given } = (await answer(DHCPDISCOVER))!;
    const ciaddr = address(given);
    await answer(DHCPREQUEST, { requested: ciaddr });
    const renewed = (await answer(DHCPREQUEST, { ciaddr }))!;
    expect(renewed).toMatchObject({ type: DHCPACK, to: given });
    expect((await answer(DHCPINFORM, { ciaddr }))!).toMatchObject({ address: '0.0.0.0' });
    expect(await answer(DHCPRELEASE, { ciaddr })).toBeUndefined();
    expect(leases.size).toBe(0);
    await answer(DHCPREQUEST, { requested: ciaddr });
    expect(await answer(DHCPDECLINE, { requested: ciaddr })).toBeUndefined();
    expect(leases.size).toBe(0);
    expect((await answer(DHCPDISCOVER))!.address).not.toBe(given);
    expect((await answer(DHCPREQUEST, { mac: MAC_B, requested: ciaddr }))!.type).toBe(DHCPNAK);
    await world.run({ for_ms: 600_000 });
    expect((await answer(DHCPREQUEST, { mac: MAC_B, requested: ciaddr }))!.type).toBe(DHCPACK);
  });

  test('what another server offers is left to it', async () => {
    const requested = address('10.0.0.7');
    expect(await answer(DHCPREQUEST, { requested, server: address('10.0.0.200') })).toBeUndefined();
    expect(leases.size).toBe(0);
  });

  test('nobody gets the ends of the range, the address of the server, or one that is taken', async () => {
    await start('10.0.0.0/29');
    for (const wrong of ['10.0.0.0', '10.0.0.1', '10.0.0.7', '10.0.0.8', '0.0.0.0']) {
      expect((await answer(DHCPREQUEST, { requested: address(wrong) }))!.type).toBe(DHCPNAK);
    }
    const given = new Set<string>();
    for (const mac of macs.slice(0, 5)) {
      const offer = (await answer(DHCPDISCOVER, { mac }))!;
      await answer(DHCPREQUEST, { mac, requested: address(offer.address) });
      given.add(offer.address);
    }
    expect([...given].sort()).toEqual([2, 3, 4, 5, 6].map((last) => `10.0.0.${last}`));
    expect(await answer(DHCPDISCOVER, { mac: macs[5]! })).toBeUndefined();
    // An hour later nobody has renewed.
    await world.run({ for_ms: 3_600_000 });
    expect((await answer(DHCPDISCOVER, { mac: macs[5]! }))!.type).toBe(DHCPOFFER);
  });

  test('an address that was set aside is for that station, until it is gone', async () => {
    dhcp.reserve(MAC_B, address('10.0.0.77'));
    dhcp.reserve(MAC_A, address('192.168.0.1'));
    const requested = address('10.0.0.77');
    expect((await answer(DHCPREQUEST, { requested }))!.type).toBe(DHCPNAK);
    expect((await answer(DHCPDISCOVER, { mac: MAC_B }))!.address).toBe('10.0.0.77');
    await dhcp.forget(MAC_B);
    expect((await answer(DHCPREQUEST, { requested }))!.type).toBe(DHCPACK);
  });

  test('who has an address of its own gets no other, and hands all of them back', async () => {
    const other = address('10.0.0.99');
    expect((await answer(DHCPREQUEST, { requested: other }))!.type).toBe(DHCPACK);
    dhcp.reserve(MAC_A, address('10.0.0.77'));
    dhcp.reserve(MAC_A, address('10.0.0.78'));
    // As after a reboot: the lease is from before.
    expect((await answer(DHCPREQUEST, { requested: other }))!.type).toBe(DHCPNAK);
    expect((await answer(DHCPDISCOVER, { requested: other }))!.address).toBe('10.0.0.77');
    for (const last of ['10.0.0.77', '10.0.0.78']) {
      const ack = (await answer(DHCPREQUEST, { requested: address(last) }))!;
      expect(ack).toMatchObject({ type: DHCPACK, address: last });
      await answer(DHCPDECLINE, { requested: address(last) });
    }
    expect((await answer(DHCPDISCOVER))!.address).toBe('10.0.0.77');
    await dhcp.forget(MAC_A);
    await world.run({ for_ms: 600_000 });
    for (const last of ['10.0.0.77', '10.0.0.78']) {
      dhcp.reserve(MAC_B, address(last));
      const ack = await answer(DHCPREQUEST, { mac: MAC_B, requested: address(last) });
      expect(ack!.type).toBe(DHCPACK);
    }
  });

  test('a station that declines every address takes them from nobody', async () => {
    await start('10.0.0.0/29');
    for (let turn = 0; turn < 20; turn++) {
      const offer = (await answer(DHCPDISCOVER))!;
      await answer(DHCPDECLINE, { requested: address(offer.address) });
    }
    const mac = macs[0]!;
    const requested = address((await answer(DHCPDISCOVER, { mac }))!.address);
    expect((await answer(DHCPREQUEST, { mac, requested }))!.type).toBe(DHCPACK);
    // And that one is its own now.
    expect((await answer(DHCPREQUEST, { requested }))!.type).toBe(DHCPNAK);
  });

  test('the next process knows the leases, but those that are over', async () => {
    const requested = address('10.0.0.9');
    await answer(DHCPREQUEST, { requested });
    await start();
    expect((await answer(DHCPREQUEST, { mac: MAC_B, requested }))!.type).toBe(DHCPNAK);
    expect((await answer(DHCPDISCOVER))!.address).toBe('10.0.0.9');
    await world.run({ for_ms: 3_600_001 });
    await start();
    expect((await answer(DHCPREQUEST, { mac: MAC_B, requested }))!.type).toBe(DHCPACK);
  });

  test('nothing is promised that cannot be kept', async () => {
    fails = true;
    expect(await answer(DHCPREQUEST, { requested: address('10.0.0.9') })).toBeUndefined();
  });

  test('what is damaged, relayed, or in the name of somebody else is not answered', async () => {
    expect(await answer(DHCPDISCOVER, { from: MAC_B })).toBeUndefined();
    expect(await answer(DHCPDISCOVER, { relay: 1 })).toBeUndefined();
    expect(await answer(DHCPDISCOVER, { options: [255] })).toBeUndefined();
    expect(await answer(DHCPDISCOVER, { options: [53, 2, 1, 1, 255] })).toBeUndefined();
    expect(await answer(DHCPDISCOVER, { options: [60, 200] })).toBeUndefined();
    expect(await answer(99)).toBeUndefined();
    expect(await answer(DHCPOFFER)).toBeUndefined();
    expect(await hears(ask(DHCPDISCOVER).subarray(0, 280))).toEqual([]);
  });

  test('a station that asks without end does not fill the log', async () => {
    for (let turn = 0; turn < 300; turn++) {
      await answer(DHCPREQUEST, { requested: address('10.0.0.9') });
      await answer(DHCPDECLINE, { requested: address('10.0.0.9') });
    }
    expect(logged.length).toBeLessThan(110);
    await world.run({ for_ms: 100_000 });
    await answer(DHCPREQUEST, { requested: address('10.0.0.10') });
    expect(logged.at(-1)).toBe('address leased');
  });

  test('a station that asks without end has so many answers and no more', async () => {
    said = [];
    const many = Array.from({ length: 2000 }, () => frame(ask(DHCPDISCOVER)));
    expect(station.send(many)).toBe(many.length);
    await world.run({ for_ms: 10 });
    expect(said.length).toBeLessThanOrEqual(256);
    expect((await answer(DHCPDISCOVER))!.type).toBe(DHCPOFFER);
  });
});

test('whatever comes, the station stays there', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.constantFrom(0, 14, 42, 290, 600), async (seed, length) => {
      const prng = new Prng(seed);
      const valid = [arp(1, '10.0.0.1'), icmp(echo(30)), ask(DHCPDISCOVER)][seed % 3]!;
      const bytes = valid.slice(0, length === 0 ? valid.length : length);
      for (let flips = seed % 5; flips > 0; flips--) {
        bytes[prng.uint32() % bytes.length]! = prng.uint32() & 0xff;
      }
      await hears(bytes);
      parseDhcpRequest(bytes.subarray(42));
    }),
  );
  expect(await hears(arp(1, '10.0.0.1'))).toHaveLength(1);
});
