/** Frames for tests, built independently of how src/net reads them. */
import { Prng } from '../../src/base/prng.ts';
import type { Frame } from '../../src/net/frame.ts';
import { parseMacAddress, writeMacAddress } from '../../src/net/mac-address.ts';

export const MAC_A = parseMacAddress('00:16:3e:00:00:0a');
export const MAC_B = parseMacAddress('00:16:3e:00:00:0b');

export interface PacketOptions {
  readonly version?: 4 | 6;
  readonly protocol?: 'tcp' | 'udp';
  readonly payload?: Uint8Array;
  readonly vlan?: number;
  readonly source?: number;
  readonly target?: number;
  readonly sourceAddress?: readonly number[];
  readonly targetAddress?: readonly number[];
  readonly sourcePort?: number;
  readonly targetPort?: number;
  readonly flags?: number;
  readonly sequence?: number;
  /** Bytes of options in the IPv4 header, or of extension headers in IPv6: a multiple of 8. */
  readonly options?: number;
}

/** Bytes by a seed. */
export function pattern(length: number, seed: number): Uint8Array {
  const prng = new Prng(seed);
  return Uint8Array.from({ length }, () => prng.uint32());
}

const v4 = (last: number) => [10, 0, 0, last];
const v6 = (last: number) => [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
const u16 = (value: number) => [(value >> 8) & 0xff, value & 0xff];
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)];

/** The ones' complement sum of 16-bit words, the long way round. */
export function sum16(bytes: readonly number[]): number {
  let sum = 0n;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += BigInt((bytes[at]! << 8) | (bytes[at + 1] ?? 0));
  }
  while (sum >> 16n > 0n) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(~sum & 0xffffn);
}

/** A frame with all checksums right. */
export function packet(options: PacketOptions = {}): Uint8Array {
  const { version = 4, protocol = 'tcp', payload = pattern(100, 1), vlan } = options;
  const source = options.sourceAddress ?? (version === 4 ? v4(1) : v6(1));
  const target = options.targetAddress ?? (version === 4 ? v4(2) : v6(2));
  const ports = [...u16(options.sourcePort ?? 1000), ...u16(options.targetPort ?? 2000)];
  const tcp = [
    ...ports,
    ...u32(options.sequence ?? 1),
    ...u32(2),
    0x50,
    options.flags ?? 0x18,
    ...u16(1000),
    ...[0, 0, 0, 0],
  ];
  const udp = [...ports, ...u16(8 + payload.length), 0, 0];
  const header = protocol === 'tcp' ? tcp : udp;
  const length = header.length + payload.length;
  const number = protocol === 'tcp' ? 6 : 17;
  const pseudo = [...source, ...target, ...u32(length), ...u32(number)];
  const field = protocol === 'tcp' ? 16 : 6;
  const check = sum16([...pseudo, ...header, ...payload]);
  header.splice(field, 2, ...u16(check === 0 && protocol === 'udp' ? 0xffff : check));
  const extra = options.options ?? 0;
  const network =
    version === 4
      ? ipv4(source, target, number, length, extra)
      : ipv6(source, target, number, length, extra);
  const tag = vlan === undefined ? [] : [...u16(0x8100), ...u16(vlan)];
  const type = u16(version === 4 ? 0x0800 : 0x86dd);
  const bytes = Uint8Array.from([
    ...new Array(12).fill(0),
    ...tag,
    ...type,
    ...network,
    ...header,
    ...payload,
  ]);
  writeMacAddress((options.target ?? MAC_B) as typeof MAC_A, bytes, 0);
  writeMacAddress((options.source ?? MAC_A) as typeof MAC_A, bytes, 6);
  return bytes;
}

function ipv4(
  source: readonly number[],
  target: readonly number[],
  protocol: number,
  length: number,
  options: number,
): number[] {
  const words = 5 + options / 4;
  const header = [
    0x40 | words,
    0,
    ...u16(words * 4 + length),
    ...u16(77),
    0x40,
    0,
    64,
    protocol,
    0,
    0,
  ];
  header.push(...source, ...target, ...new Array(options).fill(1));
  header.splice(10, 2, ...u16(sum16(header)));
  return header;
}

function ipv6(
  source: readonly number[],
  target: readonly number[],
  protocol: number,
  length: number,
  options: number,
): number[] {
  // One header of destination options, which holds nothing but filling.
  const extension =
    options === 0 ? [] : [protocol, options / 8 - 1, ...new Array(options - 2).fill(0)];
  const next = options === 0 ? protocol : 60;
  return [0x60, 0, 0, 0, ...u16(length + options), next, 64, ...source, ...target, ...extension];
}

export function frame(bytes: Uint8Array, more: Partial<Frame> = {}): Frame {
  return { bytes, checksum: 'unknown', gso: undefined, hash: undefined, ...more };
}
