/** ARP for IPv4 on Ethernet (RFC 826): who has an address answers whoever asks for it. */
import { writeEthernetHeader } from './ipv4-packet.ts';
import { ipv4Number, writeIpv4 } from './ipv4-range.ts';
import { type MacAddress, macAddressAt, writeMacAddress } from './mac-address.ts';
import { ETHERTYPE_ARP, u16At } from './packet-headers.ts';

/** Ethernet and IPv4, and the lengths of their addresses: ARP has no other form here. */
export const ARP_START = Uint8Array.of(0, 1, 8, 0, 6, 4);
export const ARP_BYTES = 28;
export const ARP_SENDER_MAC_OFFSET = 8;
export const ARP_SENDER_IP_OFFSET = 14;
const ARP_OPERATION_OFFSET = 6;
const ARP_TARGET_MAC_OFFSET = 18;
const ARP_TARGET_IP_OFFSET = 24;

const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const ETHERNET_FRAME_BYTES_MIN = 60;

export interface ArpRequest {
  readonly senderMac: MacAddress;
  /** 0 for one that has no address yet. */
  readonly sender: number;
  /** The address that is asked for. */
  readonly target: number;
}

/** The request that a frame holds from `at` on; `undefined` when it is none, or not whole. */
export function parseArpRequest(bytes: Uint8Array, at: number): ArpRequest | undefined {
  if (at + ARP_BYTES > bytes.length) return undefined;
  if (!ARP_START.every((byte, index) => bytes[at + index] === byte)) return undefined;
  if (u16At(bytes, at + ARP_OPERATION_OFFSET) !== ARP_REQUEST) return undefined;
  return {
    senderMac: macAddressAt(bytes, at + ARP_SENDER_MAC_OFFSET),
    sender: ipv4Number(bytes, at + ARP_SENDER_IP_OFFSET),
    target: ipv4Number(bytes, at + ARP_TARGET_IP_OFFSET),
  };
}

/** The frame that answers a request: its target is at `mac`. */
export function arpReply(request: ArpRequest, mac: MacAddress): Uint8Array {
  const frame = new Uint8Array(ETHERNET_FRAME_BYTES_MIN);
  writeEthernetHeader(frame, mac, request.senderMac, ETHERTYPE_ARP);
  const body = frame.subarray(14);
  body.set(ARP_START);
  body[ARP_OPERATION_OFFSET + 1] = ARP_REPLY;
  writeMacAddress(mac, body, ARP_SENDER_MAC_OFFSET);
  writeIpv4(request.target, body, ARP_SENDER_IP_OFFSET);
  writeMacAddress(request.senderMac, body, ARP_TARGET_MAC_OFFSET);
  writeIpv4(request.sender, body, ARP_TARGET_IP_OFFSET);
  return frame;
}
