/**
 * A host that is in this process alone, at a port of the switch: it has one address, answers ARP and
 * `ping`, and gives addresses to others. A network without a bridge needs no more.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { arpReply, parseArpRequest } from './arp.ts';
import {
  DHCP_CLIENT_PORT,
  DHCP_SERVER_PORT,
  DHCPNAK,
  type DhcpReply,
  type DhcpRequest,
  dhcpReplyBytes,
  parseDhcpRequest,
} from './dhcp-message.ts';
import type { DhcpServer } from './dhcp-server.ts';
import { ETHERNET_HEADER_BYTES, type Frame } from './frame.ts';
import { echoReply, PROTOCOL_ICMP } from './icmp-echo.ts';
import { ipv4Frame, udpFrame } from './ipv4-packet.ts';
import { ipv4Number } from './ipv4-range.ts';
import { BROADCAST, MAC_BYTES, type MacAddress, macAddressAt } from './mac-address.ts';
import {
  MTU_DEFAULT,
  type NetworkInterface,
  type NetworkInterfaceInfo,
  noCounts,
} from './network-interface.ts';
import { ETHERTYPE_ARP, PacketHeaders, PROTOCOL_UDP, u16At } from './packet-headers.ts';

export interface LocalStationParts {
  readonly clock: Clock;
  readonly mac: MacAddress;
  readonly address: number;
  readonly dhcp: DhcpServer;
}

/** Answers on their way, and requests that wait for one: whatever is more is lost, as frames are. */
const ANSWERS_MAX = 256;
const EVERYBODY = 0xffff_ffff;
const IPV4_SOURCE_OFFSET = 12;
const IPV4_TARGET_OFFSET = 16;
const UDP_HEADER_BYTES = 8;

export class LocalStation implements NetworkInterface {
  readonly info: NetworkInterfaceInfo;
  readonly counts = noCounts();
  private readonly parts: LocalStationParts;
  private readonly headers = new PacketHeaders();
  private receiver: (frames: readonly Frame[]) => void = () => {};
  private answers: Frame[] = [];
  private asked = 0;
  private due: Timer | undefined;

  constructor(parts: LocalStationParts) {
    this.parts = parts;
    this.info = { mac: parts.mac, mtu: MTU_DEFAULT, carrier: true };
  }

  send(frames: readonly Frame[]): number {
    for (const { bytes } of frames) {
      this.counts.sent.frames++;
      this.counts.sent.bytes += bytes.length;
      if (bytes.length >= ETHERNET_HEADER_BYTES) this.take(bytes);
    }
    return frames.length;
  }

  onReceive(handler: (frames: readonly Frame[]) => void): void {
    this.receiver = handler;
  }

  onRoom(): void {}

  onChange(): void {}

  close(): void {
    this.due?.cancel();
    this.receiver = () => {};
  }

  private take(bytes: Uint8Array): void {
    const { headers } = this;
    headers.locate(bytes);
    if (headers.etherType === ETHERTYPE_ARP) this.takeArp(bytes);
    else if (headers.ipVersion === 4 && !headers.isFragment) this.takeIpv4(bytes);
  }

  private takeArp(bytes: Uint8Array): void {
    const request = parseArpRequest(bytes, this.headers.network);
    if (request?.target === this.parts.address) this.say(arpReply(request, this.parts.mac));
  }

  private takeIpv4(bytes: Uint8Array): void {
    const { network, protocol, transport, upper, end } = this.headers;
    const target = ipv4Number(bytes, network + IPV4_TARGET_OFFSET);
    if (protocol === PROTOCOL_ICMP && target === this.parts.address) {
      this.takeEcho(bytes, bytes.subarray(upper, end));
    } else if (
      protocol === PROTOCOL_UDP &&
      transport !== 0 &&
      (target === this.parts.address || target === EVERYBODY) &&
      u16At(bytes, transport + 2) === DHCP_SERVER_PORT
    ) {
      this.takeDhcp(bytes, bytes.subarray(transport + UDP_HEADER_BYTES, end));
    }
  }

  private takeEcho(bytes: Uint8Array, message: Uint8Array): void {
    const reply = echoReply(message);
    if (reply === undefined) return;
    const target = ipv4Number(bytes, this.headers.network + IPV4_SOURCE_OFFSET);
    const addressing = { ...this.toStation(macAddressAt(bytes, MAC_BYTES)), target };
    this.say(ipv4Frame(addressing, PROTOCOL_ICMP, reply));
  }

  private takeDhcp(bytes: Uint8Array, datagram: Uint8Array): void {
    const request = parseDhcpRequest(datagram);
    // Nobody asks for somebody else, or one station could use up all addresses.
    if (request === undefined || request.mac !== macAddressAt(bytes, MAC_BYTES)) return;
    if (this.asked === ANSWERS_MAX) return;
    this.asked++;
    void this.parts.dhcp.answer(request).then((reply) => {
      this.asked--;
      if (reply !== undefined) this.sayDhcp(request, reply);
    });
  }

  private sayDhcp(request: DhcpRequest, reply: DhcpReply): void {
    // Who has no address yet hears by its MAC address, if it has not asked for a broadcast.
    const isToAll = reply.type === DHCPNAK || (request.broadcast && request.ciaddr === 0);
    const station = request.ciaddr === 0 ? reply.address : request.ciaddr;
    const addressing = isToAll
      ? { ...this.toStation(BROADCAST), target: EVERYBODY }
      : { ...this.toStation(request.mac), target: station };
    const bytes = dhcpReplyBytes(request, reply);
    this.say(udpFrame(addressing, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, bytes));
  }

  private toStation(targetMac: MacAddress) {
    const { mac, address } = this.parts;
    return { sourceMac: mac, targetMac, source: address };
  }

  /** Not at once: whoever sent the question is in the midst of it. */
  private say(bytes: Uint8Array): void {
    if (this.answers.length === ANSWERS_MAX) {
      this.counts.received.dropped.room++;
      return;
    }
    this.answers.push({ bytes, checksum: 'validated', gso: undefined, hash: undefined });
    this.due ??= this.parts.clock.after(0, () => {
      this.due = undefined;
      const { answers } = this;
      this.answers = [];
      for (const answer of answers) this.counts.received.bytes += answer.bytes.length;
      this.counts.received.frames += answers.length;
      this.receiver(answers);
    });
  }
}
