/** ARP for IPv4 on Ethernet (RFC 826): who has an address answers whoever asks for it. */
import { ETHERNET_HEADER_BYTES } from './frame.ts';
import { writeEthernetHeader } from './ipv4-packet.ts';
import { ipv4Number, writeIpv4 } from './ipv4-range.ts';
import { BROADCAST, type MacAddress, macAddressAt, writeMacAddress } from './mac-address.ts';
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
  if (!isArp(bytes, at, ARP_REQUEST)) return undefined;
  return {
    senderMac: macAddressAt(bytes, at + ARP_SENDER_MAC_OFFSET),
    sender: ipv4Number(bytes, at + ARP_SENDER_IP_OFFSET),
    target: ipv4Number(bytes, at + ARP_TARGET_IP_OFFSET),
  };
}

/** Where the address `target` is, told by a reply of that form; `undefined` when it tells something else. */
export function parseArpReply(
  bytes: Uint8Array,
  at: number,
  target: number,
): MacAddress | undefined {
  if (!isArp(bytes, at, ARP_REPLY)) return undefined;
  if (ipv4Number(bytes, at + ARP_SENDER_IP_OFFSET) !== target) return undefined;
  return macAddressAt(bytes, at + ARP_SENDER_MAC_OFFSET);
}

/** The frame that asks everybody. */
export function arpRequestFrame({ senderMac, sender, target }: ArpRequest): Uint8Array {
  const frame = new Uint8Array(ETHERNET_FRAME_BYTES_MIN);
  writeEthernetHeader(frame, senderMac, BROADCAST, ETHERTYPE_ARP);
  const nobody = 0 as MacAddress;
  writeBody(frame, ARP_REQUEST, [senderMac, sender], [nobody, target]);
  return frame;
}

/** The frame that answers a request: its target is at `mac`. */
export function arpReply({ senderMac, sender, target }: ArpRequest, mac: MacAddress): Uint8Array {
  const frame = new Uint8Array(ETHERNET_FRAME_BYTES_MIN);
  writeEthernetHeader(frame, mac, senderMac, ETHERTYPE_ARP);
  writeBody(frame, ARP_REPLY, [mac, target], [senderMac, sender]);
  return frame;
}

type Station = readonly [mac: MacAddress, address: number];

function writeBody(frame: Uint8Array, operation: number, sender: Station, target: Station): void {
  const body = frame.subarray(ETHERNET_HEADER_BYTES);
  body.set(ARP_START);
  body[ARP_OPERATION_OFFSET + 1] = operation;
  writeMacAddress(sender[0], body, ARP_SENDER_MAC_OFFSET);
  writeIpv4(sender[1], body, ARP_SENDER_IP_OFFSET);
  writeMacAddress(target[0], body, ARP_TARGET_MAC_OFFSET);
  writeIpv4(target[1], body, ARP_TARGET_IP_OFFSET);
}

function isArp(bytes: Uint8Array, at: number, operation: number): boolean {
  if (at + ARP_BYTES > bytes.length) return false;
  if (!ARP_START.every((byte, index) => bytes[at + index] === byte)) return false;
  return u16At(bytes, at + ARP_OPERATION_OFFSET) === operation;
}
