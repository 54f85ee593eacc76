/**
 * The network block device protocol as far as a client of one export needs it: fixed newstyle
 * negotiation with NBD_OPT_GO, and simple replies. The specification is doc/proto.md of
 * github.com/NetworkBlockDevice/nbd; all numbers are big-endian.
 */
import { ProtocolViolation, XenError } from '../base/errors.ts';

export const NBDMAGIC = 0x4e42444d41474943n;
export const IHAVEOPT = 0x49484156454f5054n;
export const NBD_OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
export const NBD_REQUEST_MAGIC = 0x25609513;
export const NBD_SIMPLE_REPLY_MAGIC = 0x67446698;

export const NBD_FLAG_FIXED_NEWSTYLE = 1 << 0;
export const NBD_FLAG_NO_ZEROES = 1 << 1;

const NBD_OPT_GO = 7;
export const NBD_REP_ACK = 1;
export const NBD_REP_INFO = 3;
/** Replies from here on are errors. */
export const NBD_REP_FLAG_ERROR = 2 ** 31;
export const NBD_REP_ERR_UNKNOWN = NBD_REP_FLAG_ERROR + 6;
export const NBD_INFO_EXPORT = 0;
export const NBD_INFO_BLOCK_SIZE = 3;

export const NBD_FLAG_READ_ONLY = 1 << 1;
export const NBD_FLAG_SEND_FLUSH = 1 << 2;
export const NBD_FLAG_SEND_TRIM = 1 << 5;

export const NBD_CMD_READ = 0;
export const NBD_CMD_WRITE = 1;
export const NBD_CMD_DISC = 2;
export const NBD_CMD_FLUSH = 3;
export const NBD_CMD_TRIM = 4;

export const GREETING_BYTES = 18;
export const OPTION_REPLY_BYTES = 20;
export const SIMPLE_REPLY_BYTES = 16;
const REQUEST_BYTES = 28;

/** Longest name of an export, and longest reply to an option, that the specification allows. */
export const STRING_BYTES_MAX = 4096;

/** Where a server is and which of its exports is meant. */
export interface NbdAddress {
  readonly socketPath?: string;
  readonly host?: string;
  readonly port?: number;
  readonly exportName: string;
}

const NBD_PORT = 10_809;

/**
 * Reads `nbd://host[:port]/export` or `nbd+unix:///export?socket=PATH`, doc/uri.md of the same
 * project. Throws EINVAL.
 */
export function parseNbdUri(text: string): NbdAddress {
  const operation = `open disk ${text}`;
  if (!URL.canParse(text)) throw new XenError('EINVAL', operation, 'it is no URI');
  const { protocol, hostname, port, pathname, searchParams } = new URL(text);
  const exportName = decodeURIComponent(pathname.replace(/^\//, ''));
  const socketPath = searchParams.get('socket');
  if (protocol === 'nbd+unix:') {
    if (socketPath !== null) return { socketPath, exportName };
    throw new XenError('EINVAL', operation, 'it names no socket: nbd+unix:///export?socket=PATH');
  }
  if (protocol === 'nbd:' && hostname !== '') {
    return { host: hostname, port: port === '' ? NBD_PORT : Number(port), exportName };
  }
  throw new XenError('EINVAL', operation, 'it is neither nbd://host/export nor nbd+unix:///export');
}

/** Asks for the export and the sizes of its blocks. */
export function goOption(exportName: string): Uint8Array {
  const name = Buffer.from(exportName, 'utf8');
  const bytes = Buffer.alloc(16 + 4 + name.length + 4);
  bytes.writeBigUInt64BE(IHAVEOPT, 0);
  bytes.writeUInt32BE(NBD_OPT_GO, 8);
  bytes.writeUInt32BE(bytes.length - 16, 12);
  bytes.writeUInt32BE(name.length, 16);
  name.copy(bytes, 20);
  bytes.writeUInt16BE(1, 20 + name.length);
  bytes.writeUInt16BE(NBD_INFO_BLOCK_SIZE, 22 + name.length);
  return bytes;
}

export function requestHeader(
  command: number,
  handle: number,
  position: number,
  length: number,
): Uint8Array {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32BE(NBD_REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(BigInt(handle), 8);
  bytes.writeBigUInt64BE(BigInt(position), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

export function needMagic(found: bigint | number, wanted: bigint | number, what: string): void {
  if (found === wanted) return;
  throw new ProtocolViolation(
    'talk to an NBD server',
    `nbd: ${what} begins with its magic number`,
    `0x${found.toString(16)}`,
  );
}
