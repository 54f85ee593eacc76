/**
 * Where the headers of a frame stand: Ethernet with VLAN tags, IPv4 or IPv6, TCP or UDP. Everything
 * is checked against the frame's length, and a frame may hold anything.
 */
import { ETHERNET_HEADER_BYTES } from './frame.ts';

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_SERVICE_VLAN = 0x88a8;
export const ETHERTYPE_IPV6 = 0x86dd;

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;

const VLAN_TAG_BYTES = 4;
/** An outer and an inner tag; a frame with more is forwarded like any that is not IP. */
const VLAN_TAGS_MAX = 2;
const IPV4_HEADER_BYTES_MIN = 20;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES_MIN = 20;
const UDP_HEADER_BYTES = 8;

const IPV6_HOP_BY_HOP = 0;
const IPV6_ROUTING = 43;
const IPV6_FRAGMENT = 44;
const IPV6_DESTINATION_OPTIONS = 60;
/** A chain of more headers than any real packet has ends the search. */
const IPV6_EXTENSIONS_MAX = 8;

/** Whether what follows in a frame is a VLAN tag. */
export function isVlanTag(etherType: number): boolean {
  return etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_SERVICE_VLAN;
}

/** Whether that protocol is a header of IPv6 which another one follows. */
export function isIpv6Extension(protocol: number): boolean {
  return (
    protocol === IPV6_HOP_BY_HOP ||
    protocol === IPV6_ROUTING ||
    protocol === IPV6_FRAGMENT ||
    protocol === IPV6_DESTINATION_OPTIONS
  );
}

export function u16At(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Made once and filled again and again. Offsets count from the start of the frame. */
export class PacketHeaders {
  /** After the VLAN tags; one of them still where there are more than are looked behind. */
  etherType = 0;
  /** What follows the Ethernet header. */
  network = 0;
  /** 4, 6, or 0 when the frame holds no IP packet that is in order. */
  ipVersion: 0 | 4 | 6 = 0;
  /** The packet is a part of a larger one. */
  isFragment = false;
  /**
   * The protocol above IP, also of a fragment; -1 when there is none. An extension of IPv6 where what
   * stands behind it was not found.
   */
  protocol = -1;
  /** Where the header of that protocol begins, whole or not; 0 in a fragment. */
  upper = 0;
  /** Where TCP's or UDP's header begins; 0 when there is none, or it is not whole. */
  transport = 0;
  /** The end of the packet: a short frame is filled up behind it. */
  end = 0;

  /** Looks through `bytes`, which has an Ethernet header at least. */
  locate(bytes: Uint8Array): void {
    this.network = ETHERNET_HEADER_BYTES;
    this.etherType = u16At(bytes, ETHERNET_HEADER_BYTES - 2);
    for (let tags = 0; isVlanTag(this.etherType) && tags < VLAN_TAGS_MAX; tags++) {
      if (this.network + VLAN_TAG_BYTES > bytes.length) break;
      this.etherType = u16At(bytes, this.network + 2);
      this.network += VLAN_TAG_BYTES;
    }
    this.ipVersion = 0;
    this.isFragment = false;
    this.protocol = -1;
    this.upper = 0;
    this.transport = 0;
    this.end = bytes.length;
    if (this.etherType === ETHERTYPE_IPV4) this.locateIpv4(bytes);
    else if (this.etherType === ETHERTYPE_IPV6) this.locateIpv6(bytes);
  }

  /** Where the payload of TCP begins. */
  tcpPayload(bytes: Uint8Array): number {
    return this.transport + (bytes[this.transport + 12]! >> 4) * 4;
  }

  private locateIpv4(bytes: Uint8Array): void {
    const at = this.network;
    if (at + IPV4_HEADER_BYTES_MIN > bytes.length || bytes[at]! >> 4 !== 4) return;
    const headerBytes = (bytes[at]! & 0xf) * 4;
    const totalBytes = u16At(bytes, at + 2);
    if (headerBytes < IPV4_HEADER_BYTES_MIN || totalBytes < headerBytes) return;
    if (at + totalBytes > bytes.length) return;
    this.ipVersion = 4;
    this.end = at + totalBytes;
    this.protocol = bytes[at + 9]!;
    const fragment = u16At(bytes, at + 6);
    // More fragments follow, or this one does not begin at 0.
    this.isFragment = (fragment & 0x3fff) !== 0;
    if (!this.isFragment) this.locateTransport(bytes, at + headerBytes);
  }

  private locateIpv6(bytes: Uint8Array): void {
    const at = this.network;
    if (at + IPV6_HEADER_BYTES > bytes.length || bytes[at]! >> 4 !== 6) return;
    const end = at + IPV6_HEADER_BYTES + u16At(bytes, at + 4);
    if (end > bytes.length) return;
    this.ipVersion = 6;
    this.end = end;
    this.protocol = bytes[at + 6]!;
    let header = at + IPV6_HEADER_BYTES;
    for (let extensions = 0; extensions < IPV6_EXTENSIONS_MAX; extensions++) {
      if (!isIpv6Extension(this.protocol)) {
        this.locateTransport(bytes, header);
        return;
      }
      if (header + 8 > end) return;
      if (this.protocol === IPV6_FRAGMENT) {
        this.isFragment = true;
        this.protocol = bytes[header]!;
        return;
      }
      this.protocol = bytes[header]!;
      header += (bytes[header + 1]! + 1) * 8;
    }
  }

  private locateTransport(bytes: Uint8Array, at: number): void {
    this.upper = at;
    if (this.protocol === PROTOCOL_UDP) {
      if (at + UDP_HEADER_BYTES <= this.end) this.transport = at;
    } else if (this.protocol === PROTOCOL_TCP && at + TCP_HEADER_BYTES_MIN <= this.end) {
      const headerBytes = (bytes[at + 12]! >> 4) * 4;
      if (headerBytes >= TCP_HEADER_BYTES_MIN && at + headerBytes <= this.end) this.transport = at;
    }
  }
}
