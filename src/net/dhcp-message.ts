/** Messages of DHCP (RFC 2131) and the options of them that matter here (RFC 2132). */
import { byteArray, struct, u8, u16, u32be } from '../base/layout.ts';
import { ipv4Number, writeIpv4 } from './ipv4-range.ts';
import { MAC_BYTES, type MacAddress, macAddressAt, writeMacAddress } from './mac-address.ts';

export const DHCP_CLIENT_PORT = 68;
export const DHCP_SERVER_PORT = 67;

export const DHCPDISCOVER = 1;
export const DHCPOFFER = 2;
export const DHCPREQUEST = 3;
export const DHCPDECLINE = 4;
export const DHCPACK = 5;
export const DHCPNAK = 6;
export const DHCPRELEASE = 7;
export const DHCPINFORM = 8;

const BOOTREQUEST = 1;
const BOOTREPLY = 2;
const HTYPE_ETHERNET = 1;
const COOKIE = 0x6382_5363;
/** Of `flags`, as its bytes stand in the message. */
const BROADCAST_FLAG = 0x80;

const OPTION_PAD = 0;
const OPTION_SUBNET_MASK = 1;
const OPTION_REQUESTED_ADDRESS = 50;
const OPTION_LEASE_TIME = 51;
const OPTION_MESSAGE_TYPE = 53;
const OPTION_SERVER = 54;
const OPTION_MESSAGE = 56;
const OPTION_END = 255;

/** The fixed part, whose numbers are big-endian. */
const Bootp = struct('the fixed part of a DHCP message', {
  op: u8,
  htype: u8,
  hlen: u8,
  hops: u8,
  xid: u32be,
  secs: u16,
  flags_high: u8,
  flags_low: u8,
  ciaddr: u32be,
  yiaddr: u32be,
  siaddr: u32be,
  giaddr: u32be,
  chaddr: byteArray(16),
  sname: byteArray(64),
  file: byteArray(128),
  cookie: u32be,
});
/** What a client is ready to take at the least, which old ones expect a message to have. */
const MESSAGE_BYTES_MIN = 300;

export interface DhcpRequest {
  /** `DHCPDISCOVER`, `DHCPREQUEST`, … */
  readonly type: number;
  /** What the client tells its requests apart by. */
  readonly xid: number;
  readonly mac: MacAddress;
  /** The client's address, where it has one and uses it; otherwise 0. */
  readonly ciaddr: number;
  /** The answer is to go to everybody. */
  readonly broadcast: boolean;
  readonly requested: number | undefined;
  /** The server that the client has chosen. */
  readonly server: number | undefined;
}

export interface DhcpReply {
  readonly type: number;
  /** The client's address; 0 for none. */
  readonly address: number;
  readonly server: number;
  readonly mask?: number;
  readonly lease_s?: number;
  /** For people. */
  readonly message?: string;
}

/** Options by their numbers; those of one number that come again are left out. */
function readOptions(bytes: Uint8Array): Map<number, Uint8Array> | undefined {
  const found = new Map<number, Uint8Array>();
  for (let at = Bootp.size; at < bytes.length; ) {
    const code = bytes[at]!;
    if (code === OPTION_END) return found;
    if (code === OPTION_PAD) {
      at++;
      continue;
    }
    const end = at + 2 + (bytes[at + 1] ?? bytes.length);
    if (end > bytes.length) return undefined;
    if (!found.has(code)) found.set(code, bytes.subarray(at + 2, end));
    at = end;
  }
  // Some leave out the end.
  return found;
}

function addressOption(options: Map<number, Uint8Array>, code: number): number | undefined {
  const value = options.get(code);
  return value?.length === 4 ? ipv4Number(value) : undefined;
}

/** The request in a datagram; `undefined` when it is none that can be answered. */
export function parseDhcpRequest(bytes: Uint8Array): DhcpRequest | undefined {
  if (bytes.length < Bootp.size) return undefined;
  const fixed = Bootp.view(bytes);
  const isRequest = fixed.op === BOOTREQUEST && fixed.cookie === COOKIE;
  if (!isRequest || fixed.htype !== HTYPE_ETHERNET || fixed.hlen !== MAC_BYTES) return undefined;
  // Came through a relay: there is none in a network that is one switch.
  if (fixed.giaddr !== 0) return undefined;
  const options = readOptions(bytes);
  const type = options?.get(OPTION_MESSAGE_TYPE);
  if (options === undefined || type?.length !== 1) return undefined;
  return {
    type: type[0]!,
    xid: fixed.xid,
    mac: macAddressAt(bytes, Bootp.offset.chaddr),
    ciaddr: fixed.ciaddr,
    broadcast: (fixed.flags_high & BROADCAST_FLAG) !== 0,
    requested: addressOption(options, OPTION_REQUESTED_ADDRESS),
    server: addressOption(options, OPTION_SERVER),
  };
}

const addressBytes = (address: number) => {
  const bytes = new Uint8Array(4);
  writeIpv4(address, bytes, 0);
  return bytes;
};

/** The datagram that answers a request. */
export function dhcpReplyBytes(request: DhcpRequest, reply: DhcpReply): Uint8Array {
  const options: number[] = [];
  const add = (code: number, value: ArrayLike<number>) => {
    options.push(code, value.length, ...Array.from(value));
  };
  add(OPTION_MESSAGE_TYPE, [reply.type]);
  add(OPTION_SERVER, addressBytes(reply.server));
  if (reply.lease_s !== undefined) add(OPTION_LEASE_TIME, addressBytes(reply.lease_s));
  if (reply.mask !== undefined) add(OPTION_SUBNET_MASK, addressBytes(reply.mask));
  if (reply.message !== undefined) {
    add(
      OPTION_MESSAGE,
      [...reply.message].map((character) => character.charCodeAt(0) & 0x7f),
    );
  }
  options.push(OPTION_END);
  const bytes = new Uint8Array(Math.max(MESSAGE_BYTES_MIN, Bootp.size + options.length));
  const fixed = Bootp.view(bytes);
  fixed.op = BOOTREPLY;
  fixed.htype = HTYPE_ETHERNET;
  fixed.hlen = MAC_BYTES;
  fixed.xid = request.xid;
  fixed.flags_high = request.broadcast ? BROADCAST_FLAG : 0;
  fixed.ciaddr = reply.type === DHCPACK ? request.ciaddr : 0;
  fixed.yiaddr = reply.address;
  fixed.cookie = COOKIE;
  writeMacAddress(request.mac, bytes, Bootp.offset.chaddr);
  bytes.set(options, Bootp.size);
  return bytes;
}
