/** The hash against the examples that Microsoft gives for receive-side scaling, which is where it is from. */
import { describe, expect, test } from 'vitest';
import { FlowHash, HASH_KEY_BYTES_MAX } from '../../src/net/flow-hash.ts';
import { PacketHeaders } from '../../src/net/packet-headers.ts';
import { packet } from './packets.ts';

const KEY = Uint8Array.from(
  Buffer.from(
    '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
    'hex',
  ),
);
const IPV4 = 0;
const IPV4_TCP = 1;
const IPV6 = 2;
const IPV6_TCP = 3;

function hashOf(bytes: Uint8Array, types = 0xf, key = KEY) {
  const headers = new PacketHeaders();
  headers.locate(bytes);
  const hash = new FlowHash(key, types);
  return hash.calculate(bytes, headers) ? { type: hash.type, value: hash.value } : undefined;
}

const v6 = (text: string) => [...Buffer.from(text, 'hex')];

describe.each([
  {
    version: 4 as const,
    sourceAddress: [66, 9, 149, 187],
    targetAddress: [161, 142, 100, 80],
    sourcePort: 2794,
    targetPort: 1766,
    addresses: 0x323e8fc2,
    withPorts: 0x51ccc178,
  },
  {
    version: 4 as const,
    sourceAddress: [199, 92, 111, 2],
    targetAddress: [65, 69, 140, 83],
    sourcePort: 14230,
    targetPort: 4739,
    addresses: 0xd718262a,
    withPorts: 0xc626b0ea,
  },
  {
    version: 6 as const,
    sourceAddress: v6('3ffe250102001fff0000000000000007'),
    targetAddress: v6('3ffe2501020000030000000000000001'),
    sourcePort: 2794,
    targetPort: 1766,
    addresses: 0x2cc18cd5,
    withPorts: 0x40207d3d,
  },
])('from $sourceAddress', ({ addresses, withPorts, ...options }) => {
  const [plain, tcp] = options.version === 4 ? [IPV4, IPV4_TCP] : [IPV6, IPV6_TCP];

  test('TCP is hashed with its ports, or without where those are not asked for', () => {
    expect(hashOf(packet(options))).toEqual({ type: tcp, value: withPorts });
    expect(hashOf(packet(options), 1 << plain)).toEqual({ type: plain, value: addresses });
  });

  test('UDP is hashed by its addresses', () => {
    expect(hashOf(packet({ ...options, protocol: 'udp' }))).toEqual({
      type: plain,
      value: addresses,
    });
  });

  test('a packet of a kind that is not asked for has no hash', () => {
    expect(hashOf(packet(options), 0)).toBeUndefined();
    expect(hashOf(packet({ ...options, protocol: 'udp' }), 1 << tcp)).toBeUndefined();
  });
});

test('missing bytes of a key are zero, and no key gives the hash zero', () => {
  const short = new Uint8Array(HASH_KEY_BYTES_MAX);
  short.set(KEY.subarray(0, 12));
  expect(hashOf(packet(), 0xf, KEY.slice(0, 12))).toEqual(hashOf(packet(), 0xf, short));
  expect(hashOf(packet(), 0xf, new Uint8Array(0))).toEqual({ type: IPV4_TCP, value: 0 });
});

test('a frame that is not IP has no hash', () => {
  const arp = packet();
  arp[13] = 6;
  expect(hashOf(arp)).toBeUndefined();
});
