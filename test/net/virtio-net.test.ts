/** Frames through virtio-net headers. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { completePartialChecksum } from '../../src/net/checksum.ts';
import type { Frame } from '../../src/net/frame.ts';
import { PacketHeaders } from '../../src/net/packet-headers.ts';
import {
  type DescribedFrame,
  OUTGOING_HEADER_BYTES,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VirtioNetHdr,
  VirtioNetHeaders,
} from '../../src/net/virtio-net.ts';
import { constantsInC, missingForProbe } from '../abi/c-compiler.ts';
import { frame, packet, pattern } from './packets.ts';

const HEADER = VirtioNetHdr.size;
const headers = new VirtioNetHeaders();

const described = (): DescribedFrame => ({
  bytes: new Uint8Array(0),
  checksum: 'unknown',
  gso: undefined,
  hash: undefined,
});

/** A frame as it comes out of what `write` has made of it, the checksum's beginning put in its place. */
function through(sent: Frame): DescribedFrame | undefined {
  const target = new Uint8Array(OUTGOING_HEADER_BYTES);
  if (!headers.write(sent, target)) return undefined;
  const memory = new Uint8Array(3 + HEADER + sent.bytes.length);
  memory.set(target.subarray(0, HEADER), 3);
  memory.set(sent.bytes, 3 + HEADER);
  const header = VirtioNetHdr.view(memory, 3);
  if ((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) {
    const place = 3 + HEADER + header.csum_start + header.csum_offset;
    memory.set(target.subarray(HEADER), place);
  }
  const received = described();
  expect(headers.read(memory, 3, HEADER + sent.bytes.length, received)).toBe(true);
  return received;
}

const missing = missingForProbe();
test.skipIf(missing !== undefined)('the layout and its constants are those of Linux', () => {
  const fields = Object.keys(VirtioNetHdr.fields) as (keyof typeof VirtioNetHdr.fields)[];
  const inC = constantsInC(
    ['linux/virtio_net.h'],
    [
      'sizeof(struct virtio_net_hdr)',
      ...fields.map((field) => `offsetof(struct virtio_net_hdr, ${field})`),
      'VIRTIO_NET_HDR_F_NEEDS_CSUM',
      'VIRTIO_NET_HDR_F_DATA_VALID',
      'VIRTIO_NET_HDR_GSO_NONE',
      'VIRTIO_NET_HDR_GSO_TCPV4',
      'VIRTIO_NET_HDR_GSO_TCPV6',
    ],
  );
  expect(inC).toEqual([
    VirtioNetHdr.size,
    ...fields.map((field) => VirtioNetHdr.offset[field]),
    VIRTIO_NET_HDR_F_NEEDS_CSUM,
    VIRTIO_NET_HDR_F_DATA_VALID,
    VIRTIO_NET_HDR_GSO_NONE,
    VIRTIO_NET_HDR_GSO_TCPV4,
    VIRTIO_NET_HDR_GSO_TCPV6,
  ]);
});

describe.each([4, 6] as const)('IPv%i', (version) => {
  const gso = { type: version === 4 ? 'tcpv4' : 'tcpv6', size: 1000 } as const;

  test.each([
    ['a whole checksum', { checksum: 'validated' }],
    ['nothing known of its checksum', { checksum: 'unknown' }],
    ['a blank checksum', { checksum: 'blank' }],
    ['several segments', { checksum: 'blank', gso }],
  ] as [string, Partial<Frame>][])('a frame with %s says the same at the other end', (_, more) => {
    const bytes = packet({ version, payload: pattern(5000, 1) });
    const received = through(frame(bytes, more))!;
    expect(received).toMatchObject(more);
    expect(received.gso).toEqual(more.gso);
    expect(received.bytes.length).toBe(bytes.length);
  });

  test.each(['tcp', 'udp'] as const)(
    'a blank checksum of %s begins with what is not in its segment, whatever stood in its place',
    (protocol) => {
      const right = packet({ version, protocol, payload: pattern(333, 2), vlan: 7 });
      const place = new PacketHeaders();
      place.locate(right);
      const field = place.transport + (protocol === 'tcp' ? 16 : 6);
      const blank = right.slice();
      blank.fill(0xaa, field, field + 2);
      const { bytes } = through(frame(blank, { checksum: 'blank' }))!;
      completePartialChecksum(bytes, place.transport, field);
      expect(bytes).toEqual(right);
    },
  );
});

test('a checksum of a protocol that nobody here knows is computed', () => {
  const bytes = packet({ protocol: 'udp' });
  bytes[23] = 132;
  const memory = new Uint8Array(HEADER + bytes.length);
  const header = VirtioNetHdr.view(memory);
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = 34;
  header.csum_offset = 8;
  memory.set(bytes, HEADER);
  memory.fill(0, HEADER + 42, HEADER + 44);
  const received = described();
  expect(headers.read(memory, 0, memory.length, received)).toBe(true);
  expect(received.checksum).toBe('validated');
  let sum = 0;
  const view = new DataView(received.bytes.buffer, received.bytes.byteOffset + 34);
  for (let at = 0; at + 1 < view.byteLength; at += 2) sum += view.getUint16(at);
  if (view.byteLength % 2 === 1) sum += view.getUint8(view.byteLength - 1) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  expect(sum).toBe(0xffff);
});

test('a checksum that comes out as 0 is written as UDP does, whose 0 says that there is none', () => {
  const bytes = new Uint8Array(60);
  bytes.set([0xff, 0xff], 40);
  completePartialChecksum(bytes, 34, 50);
  expect([...bytes.subarray(50, 52)]).toEqual([0xff, 0xff]);
});

test('a header that makes no sense is refused', () => {
  const bytes = packet();
  const wrong = [
    { gso_type: VIRTIO_NET_HDR_GSO_TCPV4, gso_size: 0 },
    { gso_type: VIRTIO_NET_HDR_GSO_TCPV6, gso_size: 100 },
    { gso_type: 3, gso_size: 100 },
    { flags: VIRTIO_NET_HDR_F_NEEDS_CSUM, csum_start: bytes.length - 1, csum_offset: 0 },
    { flags: VIRTIO_NET_HDR_F_NEEDS_CSUM, csum_start: 0xffff, csum_offset: 0xffff },
  ];
  for (const fields of wrong) {
    const memory = new Uint8Array(HEADER + bytes.length);
    Object.assign(VirtioNetHdr.view(memory), fields);
    memory.set(bytes, HEADER);
    expect(headers.read(memory, 0, memory.length, described())).toBe(false);
  }
  expect(headers.read(new Uint8Array(HEADER + 13), 0, HEADER + 13, described())).toBe(false);
});

test('whatever bytes come, reading and writing them ends without an error', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 400 }), (seed, length) => {
      const prng = new Prng(seed);
      const memory = Uint8Array.from({ length: HEADER + length }, () => prng.uint32());
      const received = described();
      if (!headers.read(memory, 0, memory.length, received)) return;
      headers.write(received, new Uint8Array(OUTGOING_HEADER_BYTES));
    }),
  );
});
