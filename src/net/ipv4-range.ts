/** Ranges of IPv4 addresses, `10.0.0.0/24`; single addresses are numbers below 2^32. */
import { parseIpAddress } from './ip-address.ts';

export interface Ipv4Range {
  /** The first address: the network's own name. */
  readonly first: number;
  /** Bits that all addresses of the range have in common. */
  readonly prefix: number;
}

export function ipv4Number(bytes: Uint8Array, offset = 0): number {
  const [a, b, c, d] = bytes.subarray(offset, offset + 4) as unknown as number[];
  return ((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0;
}

export function writeIpv4(address: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < 4; at++) bytes[offset + at] = (address >>> (24 - 8 * at)) & 0xff;
}

export function ipv4Text(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

export const rangeText = ({ first, prefix }: Ipv4Range) => `${ipv4Text(first)}/${prefix}`;

export const rangeMask = ({ prefix }: Ipv4Range) =>
  prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;

export const rangeSize = ({ prefix }: Ipv4Range) => 2 ** (32 - prefix);

/** The last address: the broadcast of the network. */
export const rangeLast = (range: Ipv4Range) => range.first + rangeSize(range) - 1;

/** The range with that prefix that an address is in. */
export function rangeAround(address: number, prefix: number): Ipv4Range {
  return { first: (address & rangeMask({ first: 0, prefix })) >>> 0, prefix };
}

export function rangeHas(range: Ipv4Range, address: number): boolean {
  return address >= range.first && address <= rangeLast(range);
}

/** Reads `10.0.0.0/24`. Throws RangeError for anything else, such as an address within the range. */
export function parseIpv4Range(text: string): Ipv4Range {
  const [, address, digits] = /^([\d.]{7,15})\/(\d{1,2})$/.exec(text) ?? [];
  const prefix = Number(digits);
  if (address === undefined || prefix > 32) {
    throw new RangeError(
      `an address range is 10.0.0.0/24, not ${JSON.stringify(text.slice(0, 48))}`,
    );
  }
  const number = ipv4Number(parseIpAddress(address));
  const range = rangeAround(number, prefix);
  if (range.first !== number) {
    throw new RangeError(`an address range begins with its first address: ${rangeText(range)}`);
  }
  return range;
}

export function rangesOverlap(one: Ipv4Range, other: Ipv4Range): boolean {
  return one.first <= rangeLast(other) && other.first <= rangeLast(one);
}
