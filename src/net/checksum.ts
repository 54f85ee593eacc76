/** The Internet checksum (RFC 1071) in the headers of IPv4, TCP and UDP. */
import { type PacketHeaders, PROTOCOL_TCP, PROTOCOL_UDP } from './packet-headers.ts';

/** From the start of the header. */
const TCP_CHECKSUM_OFFSET = 16;
const UDP_CHECKSUM_OFFSET = 6;
const IPV4_CHECKSUM_OFFSET = 10;

/** Sum of 16-bit big-endian words, not yet folded; an odd byte at the end is the high half of one. */
function sumWords(bytes: Uint8Array, start: number, end: number, sum: number): number {
  const even = start + ((end - start) & ~1);
  // 64 KiB of words add up to less than 2^31, so nothing is folded on the way.
  for (let at = start; at < even; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!;
  return even < end ? sum + (bytes[even]! << 8) : sum;
}

function fold(sum: number): number {
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + (sum & 0xffff);
  return sum;
}

export function storeChecksum(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

/** The checksum of all of `bytes`, its own place in them being 0. */
export function internetChecksum(bytes: Uint8Array): number {
  return ~fold(sumWords(bytes, 0, bytes.length, 0)) & 0xffff;
}

/** The addresses, the protocol and the length: what TCP and UDP sum besides themselves. */
function sumPseudoHeader(bytes: Uint8Array, headers: PacketHeaders): number {
  const { network, protocol, transport, end } = headers;
  const [addresses, length] = headers.ipVersion === 4 ? [12, 8] : [8, 32];
  const start = network + addresses;
  return sumWords(bytes, start, start + length, protocol + (end - transport));
}

/** The folded sum with which TCP or UDP in a frame begins: what a blank checksum starts from. */
export function pseudoHeaderSum(bytes: Uint8Array, headers: PacketHeaders): number {
  return fold(sumPseudoHeader(bytes, headers));
}

/** Leaves the checksum of TCP or UDP to others: its place holds what it begins with. */
export function blankChecksum(bytes: Uint8Array, headers: PacketHeaders): void {
  storeChecksum(
    bytes,
    headers.transport + checksumOffset(headers),
    pseudoHeaderSum(bytes, headers),
  );
}

/** From the start of the header of TCP or UDP. */
export function checksumOffset(headers: PacketHeaders): number {
  return headers.protocol === PROTOCOL_TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET;
}

/** Computes the checksum of TCP or UDP in a frame that has one of them (`headers.transport`). */
export function completeChecksum(bytes: Uint8Array, headers: PacketHeaders): void {
  const { transport, end, protocol } = headers;
  const field = transport + checksumOffset(headers);
  storeChecksum(bytes, field, 0);
  const sum = ~fold(sumWords(bytes, transport, end, sumPseudoHeader(bytes, headers))) & 0xffff;
  // UDP's 0 says that there is no checksum.
  storeChecksum(bytes, field, sum === 0 && protocol === PROTOCOL_UDP ? 0xffff : sum);
}

/** Whether the checksum of TCP or UDP is right, or UDP's left out as IPv4 permits. */
export function checksumIsRight(bytes: Uint8Array, headers: PacketHeaders): boolean {
  const { transport, end, protocol, ipVersion } = headers;
  const field = transport + checksumOffset(headers);
  const isAbsent = bytes[field] === 0 && bytes[field + 1] === 0;
  if (protocol === PROTOCOL_UDP && isAbsent) return ipVersion === 4;
  return fold(sumWords(bytes, transport, end, sumPseudoHeader(bytes, headers))) === 0xffff;
}

/** Computes the checksum of an IPv4 header. */
export function completeIpv4Checksum(bytes: Uint8Array, headers: PacketHeaders): void {
  const { network } = headers;
  const field = network + IPV4_CHECKSUM_OFFSET;
  storeChecksum(bytes, field, 0);
  const end = network + (bytes[network]! & 0xf) * 4;
  storeChecksum(bytes, field, ~fold(sumWords(bytes, network, end, 0)) & 0xffff);
}

/** Whether the checksum of an IPv4 header is right. */
export function ipv4ChecksumIsRight(bytes: Uint8Array, headers: PacketHeaders): boolean {
  const { network } = headers;
  return fold(sumWords(bytes, network, network + (bytes[network]! & 0xf) * 4, 0)) === 0xffff;
}

/** Completes any checksum of this kind, whose place at `field` holds what it is to begin with. */
export function completePartialChecksum(bytes: Uint8Array, start: number, field: number): void {
  const sum = ~fold(sumWords(bytes, start, bytes.length, 0)) & 0xffff;
  // It may be one of UDP within a tunnel, whose 0 says that there is none; to all others both are the same.
  storeChecksum(bytes, field, sum === 0 ? 0xffff : sum);
}
