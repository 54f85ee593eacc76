import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checksumIsRight,
  completeChecksum,
  completeIpv4Checksum,
  ipv4ChecksumIsRight,
} from '../../src/net/checksum.ts';
import { PacketHeaders, PROTOCOL_TCP, PROTOCOL_UDP } from '../../src/net/packet-headers.ts';
import { packet, pattern } from './packets.ts';

function located(bytes: Uint8Array): PacketHeaders {
  const headers = new PacketHeaders();
  headers.locate(bytes);
  return headers;
}

const anyPacket = fc.record({
  version: fc.constantFrom(4 as const, 6 as const),
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
  payload: fc.uint8Array({ maxLength: 300 }),
  vlan: fc.option(fc.nat(4095), { nil: undefined }),
  options: fc.constantFrom(0, 8, 16),
});

test('headers are found behind tags, options and extensions', () => {
  fc.assert(
    fc.property(anyPacket, (options) => {
      const bytes = packet(options as Parameters<typeof packet>[0]);
      const headers = located(bytes);
      const network = options.vlan === undefined ? 14 : 18;
      const transport = network + (options.version === 4 ? 20 : 40) + options.options;
      expect(headers).toMatchObject({
        ipVersion: options.version,
        network,
        transport,
        end: bytes.length,
        isFragment: false,
        protocol: options.protocol === 'tcp' ? PROTOCOL_TCP : PROTOCOL_UDP,
      });
      expect(checksumIsRight(bytes, headers)).toBe(true);
    }),
  );
});

test('a checksum is completed whatever stood in its field, and a changed byte is noticed', () => {
  fc.assert(
    fc.property(anyPacket, fc.nat(0xffff), fc.nat(10_000), (options, field, where) => {
      const bytes = packet(options as Parameters<typeof packet>[0]);
      const headers = located(bytes);
      const right = bytes.slice();
      const at = headers.transport + (headers.protocol === PROTOCOL_TCP ? 16 : 6);
      bytes[at] = field >> 8;
      bytes[at + 1] = field & 0xff;
      completeChecksum(bytes, headers);
      expect(Buffer.compare(bytes, right)).toBe(0);
      // The ports: no later field of the header says how long the packet is.
      const changed = headers.transport + (where % 4);
      bytes[changed] = bytes[changed]! ^ 0x40;
      expect(checksumIsRight(bytes, headers)).toBe(false);
    }),
  );
});

test('the checksum of an IPv4 header is completed', () => {
  const bytes = packet({ options: 8 });
  const headers = located(bytes);
  expect(ipv4ChecksumIsRight(bytes, headers)).toBe(true);
  bytes[headers.network + 8] = 1;
  expect(ipv4ChecksumIsRight(bytes, headers)).toBe(false);
  completeIpv4Checksum(bytes, headers);
  expect(ipv4ChecksumIsRight(bytes, headers)).toBe(true);
});

test('a short frame filled up with zeros counts up to the end of its packet', () => {
  const short = packet({ protocol: 'udp', payload: Uint8Array.of(1) });
  const filled = new Uint8Array(60).fill(0xee);
  filled.set(short);
  const headers = located(filled);
  expect(headers.end).toBe(short.length);
  expect(checksumIsRight(filled, headers)).toBe(true);
});

test('UDP without a checksum is right in IPv4 and wrong in IPv6', () => {
  for (const version of [4, 6] as const) {
    const bytes = packet({ version, protocol: 'udp' });
    const headers = located(bytes);
    bytes.fill(0, headers.transport + 6, headers.transport + 8);
    expect(checksumIsRight(bytes, headers)).toBe(version === 4);
  }
});

describe('what is not in order has no transport header', () => {
  const changed = (at: number, value: number, options = {}) => {
    const bytes = packet(options);
    bytes[at] = value;
    return bytes;
  };
  test.each<[string, Uint8Array]>([
    ['an IPv4 version of 5', changed(14, 0x55)],
    ['an IPv4 header of four words', changed(14, 0x44)],
    ['an IPv4 header longer than the packet', changed(17, 10)],
    ['an IPv4 packet longer than the frame', changed(16, 0xff)],
    ['a fragment with more to come', changed(20, 0x20)],
    ['a later fragment', changed(21, 1)],
    ['a TCP header of four words', changed(14 + 20 + 12, 0x40)],
    [
      'a TCP header longer than the packet',
      changed(14 + 20 + 12, 0xf0, { payload: pattern(4, 1) }),
    ],
    ['ICMP', changed(23, 1)],
    ['an IPv6 version of 4', changed(14, 0x40, { version: 6 })],
    ['an IPv6 packet longer than the frame', changed(18, 0xff, { version: 6 })],
    ['an IPv6 fragment', changed(20, 44, { version: 6, options: 8 })],
    [
      'an IPv6 extension longer than the packet',
      changed(14 + 41, 0xff, { version: 6, options: 8 }),
    ],
    ['ARP', changed(13, 6)],
    ['a frame that ends in its VLAN tag', packet({ vlan: 5 }).slice(0, 16)],
  ])('%s', (_, bytes) => {
    expect(located(bytes).transport).toBe(0);
  });
});

test('no frame of random bytes is read past its end', () => {
  const start = fc.constantFrom([0x08, 0, 0x45], [0x86, 0xdd, 0x60], [0x81, 0, 0, 5, 8, 0, 0x4f]);
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 120 }), (type, rest) => {
      const bytes = Uint8Array.from([...new Array(12).fill(2), ...type, ...rest]);
      const headers = located(bytes);
      expect(headers.end).toBeLessThanOrEqual(bytes.length);
      if (headers.transport === 0) return;
      const size = headers.protocol === PROTOCOL_TCP ? 20 : 8;
      expect(headers.transport + size).toBeLessThanOrEqual(headers.end);
      completeChecksum(bytes, headers);
      expect(checksumIsRight(bytes, headers)).toBe(true);
    }),
  );
});
