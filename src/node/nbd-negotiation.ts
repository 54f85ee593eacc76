/** The first words between an NBD client and its server: which export, and what it is like. */
import type { Socket } from 'node:net';
import { ProtocolViolation, XenError } from '../base/errors.ts';
import {
  GREETING_BYTES,
  goOption,
  IHAVEOPT,
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
  NBD_INFO_BLOCK_SIZE,
  NBD_INFO_EXPORT,
  NBD_OPTION_REPLY_MAGIC,
  NBD_REP_ACK,
  NBD_REP_ERR_UNKNOWN,
  NBD_REP_FLAG_ERROR,
  NBD_REP_INFO,
  NBDMAGIC,
  needMagic,
  OPTION_REPLY_BYTES,
  STRING_BYTES_MAX,
} from './nbd-wire.ts';
import type { SocketReader } from './socket-reader.ts';

/** What a server says of an export. */
export interface NbdExport {
  size: number;
  /** `NBD_FLAG_…`, those of an export. */
  flags: number;
  /** Positions and lengths are multiples of it. */
  blockSize: number;
  preferredBlockSize: number;
}

const TALK = 'talk to an NBD server';
/** A server says a few things about an export, and not without end. */
const REPLIES_MAX = 64;

/** Asks for the export. Rejects with ENOENT when the server has none of that name. */
export async function negotiate(
  socket: Socket,
  reader: SocketReader,
  exportName: string,
): Promise<NbdExport> {
  const greeting = Buffer.alloc(GREETING_BYTES);
  await reader.fill(greeting);
  needMagic(greeting.readBigUInt64BE(0), NBDMAGIC, 'a greeting');
  needMagic(greeting.readBigUInt64BE(8), IHAVEOPT, 'a newstyle greeting');
  const offered = greeting.readUInt16BE(16);
  if ((offered & NBD_FLAG_FIXED_NEWSTYLE) === 0) {
    throw new ProtocolViolation(TALK, 'nbd: negotiation is of the fixed newstyle', `${offered}`);
  }
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(offered & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES));
  socket.write(flags);
  socket.write(goOption(exportName));
  const found: NbdExport = { size: 0, flags: 0, blockSize: 1, preferredBlockSize: 1 };
  for (let replies = 0; replies < REPLIES_MAX; replies++) {
    if (await takeReply(reader, found, exportName)) return found;
  }
  throw new ProtocolViolation(TALK, 'nbd: an option is answered', `not in ${REPLIES_MAX} replies`);
}

/** Returns whether it was the last one. */
async function takeReply(
  reader: SocketReader,
  found: NbdExport,
  exportName: string,
): Promise<boolean> {
  const header = Buffer.alloc(OPTION_REPLY_BYTES);
  await reader.fill(header);
  needMagic(header.readBigUInt64BE(0), NBD_OPTION_REPLY_MAGIC, 'a reply to an option');
  const type = header.readUInt32BE(12);
  const length = header.readUInt32BE(16);
  if (length > STRING_BYTES_MAX) {
    const rule = `nbd: a reply to an option has at most ${STRING_BYTES_MAX} bytes`;
    throw new ProtocolViolation(TALK, rule, `${length}`);
  }
  const data = Buffer.alloc(length);
  if (length > 0) await reader.fill(data);
  if (type >= NBD_REP_FLAG_ERROR) {
    const code = type === NBD_REP_ERR_UNKNOWN ? 'ENOENT' : 'EIO';
    const words = data.toString('utf8') || `error ${type - NBD_REP_FLAG_ERROR}`;
    throw new XenError(code, `ask for the export "${exportName}"`, words);
  }
  if (type === NBD_REP_INFO) takeInfo(data, found);
  return type === NBD_REP_ACK;
}

function takeInfo(data: Buffer, found: NbdExport): void {
  const kind = data.length >= 2 ? data.readUInt16BE(0) : undefined;
  if (kind === NBD_INFO_EXPORT && data.length === 12) {
    found.size = Number(data.readBigUInt64BE(2));
    found.flags = data.readUInt16BE(10);
  } else if (kind === NBD_INFO_BLOCK_SIZE && data.length === 14) {
    found.blockSize = data.readUInt32BE(2);
    found.preferredBlockSize = data.readUInt32BE(6);
  }
}
