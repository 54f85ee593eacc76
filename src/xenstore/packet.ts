/**
 * Xenstore's packets, xen/include/public/io/xs_wire.h: a header of four numbers and a payload.
 * Client and server speak them alike over any byte stream.
 */
import {
  XENSTORE_PAYLOAD_MAX,
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_ERROR,
  XS_GET_DOMAIN_PATH,
  XS_GET_FEATURE,
  XS_GET_PERMS,
  XS_GET_QUOTA,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_RM,
  XS_SET_FEATURE,
  XS_SET_PERMS,
  XS_SET_QUOTA,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
  XsdSockmsg,
} from '../abi/io/xs_wire.ts';
import { latin1Decode, latin1Encode, latin1Write } from '../base/bytes.ts';
import type { ErrorCode } from '../base/errors.ts';

/** Bytes before the payload. */
export const HEADER_SIZE = XsdSockmsg.size;
/** Bytes that a payload may have, in either direction. */
export const PAYLOAD_MAX = XENSTORE_PAYLOAD_MAX;

/** Up to here a loop copies faster than `set`. */
const COPIED_SINGLY_MAX = 64;

export interface Packet {
  /** `XS_…` of xs_wire.h. */
  readonly type: number;
  /** Chosen by the client and echoed in the reply; 0 in a watch event. */
  readonly requestId: number;
  /** 0 outside a transaction. */
  readonly transactionId: number;
  /** At most `PAYLOAD_MAX` bytes. */
  readonly payload: Uint8Array;
}

/** Puts packets into memory that is large enough for them, one after the other. */
export class PacketWriter {
  private readonly target: Uint8Array;
  private readonly header: ReturnType<typeof XsdSockmsg.view>;

  constructor(target: Uint8Array) {
    this.target = target;
    this.header = XsdSockmsg.view(target);
  }

  /** Writes the packet at `offset` and returns the offset after it. Throws RangeError when the payload is too long. */
  write(packet: Packet, offset: number): number {
    const { target, header } = this;
    const { payload } = packet;
    if (payload.length > PAYLOAD_MAX) {
      throw new RangeError(`a payload has at most ${PAYLOAD_MAX} bytes, not ${payload.length}`);
    }
    header.moveTo(offset);
    header.type = packet.type;
    header.req_id = packet.requestId;
    header.tx_id = packet.transactionId;
    header.len = payload.length;
    const start = offset + HEADER_SIZE;
    if (payload.length > COPIED_SINGLY_MAX) target.set(payload, start);
    else for (let i = 0; i < payload.length; i++) target[start + i] = payload[i] as number;
    return start + payload.length;
  }
}

/** The packet as bytes on the wire. Throws RangeError when its payload is too long. */
export function encodePacket(packet: Packet): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + packet.payload.length);
  new PacketWriter(bytes).write(packet, 0);
  return bytes;
}

function checkHoldsNoNul(text: string): void {
  if (text.includes('\0')) throw new RangeError('a string that NUL ends holds no NUL itself');
}

/** A payload of strings, each followed by NUL. Throws RangeError on a NUL or a character above 255 in one. */
export function encodeStrings(...strings: readonly string[]): Uint8Array {
  let length = strings.length;
  for (const text of strings) {
    checkHoldsNoNul(text);
    length += text.length;
  }
  const payload = new Uint8Array(length);
  let at = 0;
  for (const text of strings) at = latin1Write(text, payload, at) + 1;
  return payload;
}

/** A payload of one string followed by NUL and a value that is not terminated, as XS_WRITE has it. */
export function encodeStringAndValue(text: string, value: string): Uint8Array {
  checkHoldsNoNul(text);
  const payload = new Uint8Array(text.length + 1 + value.length);
  latin1Write(value, payload, latin1Write(text, payload, 0) + 1);
  return payload;
}

/**
 * The strings of a payload that NUL ends, at most `countMax` of them, and the offset after the last
 * NUL taken: what stands from there on is a value, or a string that is not terminated.
 */
export function decodeStrings(
  payload: Uint8Array,
  countMax = Number.POSITIVE_INFINITY,
): { strings: string[]; end: number } {
  const strings: string[] = [];
  let end = 0;
  // Most are short: a loop is there before indexOf has begun.
  for (let at = 0; at < payload.length && strings.length < countMax; at++) {
    if (payload[at] !== 0) continue;
    strings.push(latin1Decode(payload, end, at));
    end = at + 1;
  }
  return { strings, end };
}

/** `xsd_errors` of xs_wire.h: the only errors that can be told on the wire. */
const XSD_ERRORS: readonly ErrorCode[] = [
  'EINVAL',
  'EACCES',
  'EEXIST',
  'EISDIR',
  'ENOENT',
  'ENOMEM',
  'ENOSPC',
  'EIO',
  'ENOTEMPTY',
  'ENOSYS',
  'EROFS',
  'EBUSY',
  'EAGAIN',
  'EISCONN',
  'E2BIG',
  'EPERM',
];

/** The payload of an XS_ERROR. A code that the wire has no name for becomes EINVAL, as xenstored has always done. */
export function encodeError(code: ErrorCode): Uint8Array {
  return encodeStrings(XSD_ERRORS.includes(code) ? code : 'EINVAL');
}

/** The code in the payload of an XS_ERROR, or `undefined` for a name that xs_wire.h does not have. */
export function decodeError(payload: Uint8Array): ErrorCode | undefined {
  const nul = payload.indexOf(0);
  const name = latin1Decode(payload, 0, nul < 0 ? payload.length : nul);
  return XSD_ERRORS.find((code) => code === name);
}

/** The payload of a reply that only says that all went well. */
export const OK_PAYLOAD: Uint8Array = latin1Encode('OK\0');

const OPERATION_NAMES = new Map<number, string>([
  [XS_CONTROL, 'CONTROL'],
  [XS_DIRECTORY, 'DIRECTORY'],
  [XS_READ, 'READ'],
  [XS_GET_PERMS, 'GET_PERMS'],
  [XS_WATCH, 'WATCH'],
  [XS_UNWATCH, 'UNWATCH'],
  [XS_TRANSACTION_START, 'TRANSACTION_START'],
  [XS_TRANSACTION_END, 'TRANSACTION_END'],
  [XS_INTRODUCE, 'INTRODUCE'],
  [XS_RELEASE, 'RELEASE'],
  [XS_GET_DOMAIN_PATH, 'GET_DOMAIN_PATH'],
  [XS_WRITE, 'WRITE'],
  [XS_MKDIR, 'MKDIR'],
  [XS_RM, 'RM'],
  [XS_SET_PERMS, 'SET_PERMS'],
  [XS_WATCH_EVENT, 'WATCH_EVENT'],
  [XS_ERROR, 'ERROR'],
  [XS_IS_DOMAIN_INTRODUCED, 'IS_DOMAIN_INTRODUCED'],
  [XS_RESUME, 'RESUME'],
  [XS_SET_TARGET, 'SET_TARGET'],
  [XS_RESET_WATCHES, 'RESET_WATCHES'],
  [XS_DIRECTORY_PART, 'DIRECTORY_PART'],
  [XS_GET_FEATURE, 'GET_FEATURE'],
  [XS_SET_FEATURE, 'SET_FEATURE'],
  [XS_GET_QUOTA, 'GET_QUOTA'],
  [XS_SET_QUOTA, 'SET_QUOTA'],
]);

/** What a packet's type is called in messages: `READ`, or its number. */
export function operationName(type: number): string {
  return OPERATION_NAMES.get(type) ?? `operation ${type}`;
}
