/**
 * Lets a station use its own addresses and no others: as the source of frames and packets, and in
 * what it tells its neighbours of itself (ARP and IPv6 neighbour discovery). Nor does one that has
 * addresses give some to others, as routers and DHCP servers do.
 */
import { ARP_BYTES, ARP_SENDER_IP_OFFSET, ARP_SENDER_MAC_OFFSET, ARP_START } from './arp.ts';
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from './dhcp-message.ts';
import { isAddressAt, parseIpAddress } from './ip-address.ts';
import { type MacAddress, macAddressAt, writeMacAddress } from './mac-address.ts';
import {
  ETHERTYPE_ARP,
  isIpv6Extension,
  isVlanTag,
  PacketHeaders,
  PROTOCOL_ICMPV6,
  PROTOCOL_UDP,
  u16At,
} from './packet-headers.ts';

const SOURCE_MAC_OFFSET = 6;
const IPV4_SOURCE_OFFSET = 12;
const IPV6_SOURCE_OFFSET = 8;

/** DHCPv6 (RFC 8415). */
const DHCPV6_CLIENT_PORT = 546;
const DHCPV6_SERVER_PORT = 547;
const ICMPV6_ROUTER_ADVERTISEMENT = 134;
const ICMPV6_NEIGHBOUR_ADVERTISEMENT = 136;
const ICMPV6_TARGET_OFFSET = 8;

const noIpv4 = new Uint8Array(4);
const noIpv6 = new Uint8Array(16);

export class StationFilter {
  private readonly mac: MacAddress;
  private readonly ipv4: readonly Uint8Array[];
  private readonly ipv6: readonly Uint8Array[];
  private readonly anyAddress: boolean;
  private readonly headers = new PacketHeaders();

  /**
   * @param addresses IP addresses as text; without any, only the MAC address is looked at. Throws
   * RangeError for one that makes no sense.
   */
  constructor(mac: MacAddress, addresses: readonly string[]) {
    const parsed = addresses.map(parseIpAddress);
    this.mac = mac;
    this.anyAddress = parsed.length === 0;
    this.ipv4 = parsed.filter(({ length }) => length === 4);
    this.ipv6 = [...parsed.filter(({ length }) => length === 16), linkLocalAddress(mac)];
  }

  /** Whether the station may send the frame, which has an Ethernet header at least. */
  passes(bytes: Uint8Array): boolean {
    if (macAddressAt(bytes, SOURCE_MAC_OFFSET) !== this.mac) return false;
    const { headers } = this;
    headers.locate(bytes);
    // Behind more tags than are looked behind there may be anything, and Linux takes off any number.
    if (isVlanTag(headers.etherType)) return false;
    if (headers.etherType === ETHERTYPE_ARP) return this.passesArp(bytes);
    if (this.anyAddress) return true;
    if (headers.ipVersion === 4) return this.passesIpv4(bytes);
    if (headers.ipVersion === 6) return this.passesIpv6(bytes);
    return false;
  }

  private passesArp(bytes: Uint8Array): boolean {
    const at = this.headers.network;
    if (at + ARP_BYTES > bytes.length || !isAddressAt(bytes, at, ARP_START)) return false;
    if (macAddressAt(bytes, at + ARP_SENDER_MAC_OFFSET) !== this.mac) return false;
    const sender = at + ARP_SENDER_IP_OFFSET;
    // A sender without an address asks whether one is free.
    return (
      this.anyAddress || isOneOf(bytes, sender, this.ipv4) || isAddressAt(bytes, sender, noIpv4)
    );
  }

  private passesIpv4(bytes: Uint8Array): boolean {
    const source = this.headers.network + IPV4_SOURCE_OFFSET;
    if (isOneOf(bytes, source, this.ipv4)) {
      return !this.isUdp(bytes, DHCP_SERVER_PORT, DHCP_CLIENT_PORT);
    }
    const isAsking = this.isUdp(bytes, DHCP_CLIENT_PORT, DHCP_SERVER_PORT);
    return isAsking && isAddressAt(bytes, source, noIpv4);
  }

  private passesIpv6(bytes: Uint8Array): boolean {
    const { network, protocol, upper, end } = this.headers;
    const source = network + IPV6_SOURCE_OFFSET;
    const isOwn = isOneOf(bytes, source, this.ipv6);
    // So there may be behind more extensions, or in a later fragment (RFC 7113).
    if (isIpv6Extension(protocol)) return false;
    if (protocol !== PROTOCOL_ICMPV6) {
      return isOwn && !this.isUdp(bytes, DHCPV6_SERVER_PORT, DHCPV6_CLIENT_PORT);
    }
    // Neighbours and groups are also asked for without an address.
    if (!isOwn && !isAddressAt(bytes, source, noIpv6)) return false;
    // What cannot be looked into may be anything: neighbours do not send fragments.
    if (upper === 0 || upper >= end) return false;
    const type = bytes[upper]!;
    if (type === ICMPV6_ROUTER_ADVERTISEMENT) return false;
    if (type !== ICMPV6_NEIGHBOUR_ADVERTISEMENT) return true;
    const target = upper + ICMPV6_TARGET_OFFSET;
    return target + noIpv6.length <= end && isOneOf(bytes, target, this.ipv6);
  }

  private isUdp(bytes: Uint8Array, sourcePort: number, targetPort: number): boolean {
    const { transport, protocol } = this.headers;
    if (protocol !== PROTOCOL_UDP || transport === 0) return false;
    return u16At(bytes, transport) === sourcePort && u16At(bytes, transport + 2) === targetPort;
  }
}

function isOneOf(bytes: Uint8Array, offset: number, addresses: readonly Uint8Array[]): boolean {
  return addresses.some((address) => isAddressAt(bytes, offset, address));
}

/** The address that a station gives itself (RFC 4291, appendix A). */
function linkLocalAddress(mac: MacAddress): Uint8Array {
  const bytes = new Uint8Array(6);
  writeMacAddress(mac, bytes, 0);
  const [a, b, c, d, e, f] = bytes as unknown as [number, number, number, number, number, number];
  return Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f);
}
