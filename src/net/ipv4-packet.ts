/** Packets of IPv4 as a host that is only simulated sends them: whole frames, checksums complete. */
import { internetChecksum, storeChecksum } from './checksum.ts';
import { ETHERNET_HEADER_BYTES } from './frame.ts';
import { writeIpv4 } from './ipv4-range.ts';
import { MAC_BYTES, type MacAddress, writeMacAddress } from './mac-address.ts';
import { ETHERTYPE_IPV4, PROTOCOL_UDP } from './packet-headers.ts';

const IPV4_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
const TIME_TO_LIVE = 64;

export interface Ipv4Addressing {
  readonly sourceMac: MacAddress;
  readonly targetMac: MacAddress;
  readonly source: number;
  readonly target: number;
}

/** Puts the addresses and the type into a frame. */
export function writeEthernetHeader(
  frame: Uint8Array,
  source: MacAddress,
  target: MacAddress,
  type: number,
): void {
  writeMacAddress(target, frame, 0);
  writeMacAddress(source, frame, MAC_BYTES);
  frame[12] = type >> 8;
  frame[13] = type & 0xff;
}

/** A frame with an IPv4 packet in it. */
export function ipv4Frame(
  addressing: Ipv4Addressing,
  protocol: number,
  payload: Uint8Array,
): Uint8Array {
  const frame = new Uint8Array(ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + payload.length);
  const { sourceMac, targetMac, source, target } = addressing;
  writeEthernetHeader(frame, sourceMac, targetMac, ETHERTYPE_IPV4);
  const header = frame.subarray(ETHERNET_HEADER_BYTES, ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES);
  const length = IPV4_HEADER_BYTES + payload.length;
  header.set([0x45, 0, length >> 8, length & 0xff, 0, 0, 0x40, 0, TIME_TO_LIVE, protocol]);
  writeIpv4(source, header, 12);
  writeIpv4(target, header, 16);
  storeChecksum(header, 10, internetChecksum(header));
  frame.set(payload, ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES);
  return frame;
}

/** A frame with a UDP datagram in it, without a checksum, as IPv4 permits. */
export function udpFrame(
  addressing: Ipv4Addressing,
  sourcePort: number,
  targetPort: number,
  payload: Uint8Array,
): Uint8Array {
  const datagram = new Uint8Array(UDP_HEADER_BYTES + payload.length);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, targetPort);
  view.setUint16(4, datagram.length);
  datagram.set(payload, UDP_HEADER_BYTES);
  return ipv4Frame(addressing, PROTOCOL_UDP, datagram);
}
