/** What is done in software for those who cannot do it themselves. */
import { describe, expect, test } from 'vitest';
import { checksumIsRight, ipv4ChecksumIsRight } from '../../src/net/checksum.ts';
import type { Frame } from '../../src/net/frame.ts';
import { OffloadAdapter, type Offloads } from '../../src/net/offloads.ts';
import { PacketHeaders } from '../../src/net/packet-headers.ts';
import { frame, packet, pattern } from './packets.ts';

const none: Offloads = {
  checksumIpv4: false,
  checksumIpv6: false,
  gsoTcpv4: false,
  gsoTcpv6: false,
};
const all: Offloads = { checksumIpv4: true, checksumIpv6: true, gsoTcpv4: true, gsoTcpv6: true };

function adapted(given: Frame, offloads: Offloads, mtu = 1500): Frame[] {
  const frames: Frame[] = [];
  const refusal = new OffloadAdapter(offloads, mtu).adapt(given, (one) =>
    frames.push({ ...one, bytes: one.bytes.slice() }),
  );
  expect(refusal).toBeUndefined();
  return frames;
}

const refusal = (given: Frame, offloads = all, mtu = 1500) =>
  new OffloadAdapter(offloads, mtu).adapt(given, () => {
    throw new Error('nothing is to be emitted');
  });

function headersOf(bytes: Uint8Array): PacketHeaders {
  const headers = new PacketHeaders();
  headers.locate(bytes);
  return headers;
}

function blank(bytes: Uint8Array): Uint8Array {
  const { transport, protocol } = headersOf(bytes);
  const copy = bytes.slice();
  copy.set([0xab, 0xcd], transport + (protocol === 6 ? 16 : 6));
  return copy;
}

describe.each([4, 6] as const)('IPv%i', (version) => {
  test.each(['tcp', 'udp'] as const)(
    'a blank checksum of %s is completed on a copy',
    (protocol) => {
      const right = packet({ version, protocol });
      const given = frame(blank(right), { checksum: 'blank' });
      const before = given.bytes.slice();
      const [one] = adapted(given, none);
      expect(one).toMatchObject({ checksum: 'validated' });
      expect(Buffer.compare(one!.bytes, right)).toBe(0);
      expect(Buffer.compare(given.bytes, before)).toBe(0);
    },
  );

  test('a frame goes as it is to who can do everything', () => {
    const bytes = blank(packet({ version, payload: pattern(20_000, 1) }));
    const gso = { type: version === 4 ? 'tcpv4' : 'tcpv6', size: 1400 } as const;
    const given = frame(bytes, { checksum: 'blank', gso });
    new OffloadAdapter(all, 1500).adapt(given, (one) => expect(one).toBe(given));
  });

  test.each([
    [1000, 1000],
    [1001, 1000],
    [1, 48],
    [65_000, 1430],
    [0, 500],
  ])('%i bytes of TCP in segments of %i arrive in order with their checksums', (length, size) => {
    const payload = pattern(length, length);
    const options = { version, payload, flags: 0x99, sequence: 0xffff_fff0 };
    const large = packet({ ...options, options: 8, vlan: 7 });
    const type = version === 4 ? 'tcpv4' : 'tcpv6';
    const segments = adapted(frame(blank(large), { checksum: 'blank', gso: { type, size } }), none);
    expect(segments.length).toBe(Math.max(1, Math.ceil(length / size)));
    let position = 0;
    segments.forEach(({ bytes }, index) => {
      const headers = headersOf(bytes);
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      expect(checksumIsRight(bytes, headers)).toBe(true);
      if (version === 4) {
        expect(ipv4ChecksumIsRight(bytes, headers)).toBe(true);
        expect(view.getUint16(headers.network + 4)).toBe(77 + index);
      }
      expect(headers.end).toBe(bytes.length);
      expect(view.getUint32(headers.transport + 4)).toBe((0xffff_fff0 + position) >>> 0);
      // CWR on the first, FIN and PSH on the last, ACK on all.
      const isLast = index === segments.length - 1;
      expect(bytes[headers.transport + 13]).toBe(
        0x10 | (index === 0 ? 0x80 : 0) | (isLast ? 9 : 0),
      );
      const data = bytes.subarray(headers.tcpPayload(bytes));
      expect(Buffer.compare(data, payload.subarray(position, position + size))).toBe(0);
      position += data.length;
    });
    expect(position).toBe(length);
  });
});

describe('a frame that cannot be sent is refused', () => {
  const gso = { type: 'tcpv4', size: 1400 } as const;
  const large = packet({ payload: pattern(5000, 1) });
  test.each<[string, Frame]>([
    ['longer than the MTU and one tag', frame(packet({ payload: pattern(1465, 1) }))],
    ['longer than the protocol can carry', frame(new Uint8Array(0x1_0000), { gso })],
    ['segments longer than the MTU', frame(large, { gso: { ...gso, size: 1470 } })],
  ])('%s', (_, given) => {
    expect(refusal(given)).toBe('length');
    expect(refusal(given, none)).toBe('length');
  });
  test.each<[string, Frame]>([
    ['IPv6 segments of an IPv4 packet', frame(large, { gso: { ...gso, type: 'tcpv6' } })],
    ['segments of UDP', frame(packet({ protocol: 'udp', payload: pattern(5000, 1) }), { gso })],
    ['a blank checksum without a packet', frame(new Uint8Array(60), { checksum: 'blank' })],
    ['segments without a packet', frame(new Uint8Array(14), { gso })],
  ])('%s', (_, given) => {
    expect(refusal(given)).toBe('malformed');
    expect(refusal(given, none)).toBe('malformed');
  });

  test('one of exactly the MTU and a tag is not', () => {
    const given = frame(packet({ payload: pattern(1460, 1), vlan: 3 }));
    expect(given.bytes.length).toBe(1518);
    expect(adapted(given, none).length).toBe(1);
  });
});
