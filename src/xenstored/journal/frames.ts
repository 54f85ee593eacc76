/**
 * How a journal lies in its file: a header, then frames, each of them whole or not there. A frame
 * is what has to become true at one go: all that one request did.
 *
 * Frames of the first kind hold the state as it was when the file was begun, the others what has
 * changed since. The frames of each kind are numbered one after the other, so that what an earlier
 * use of the disk left behind is never taken for one.
 */
import { latin1Decode, latin1Write } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { XenError } from '../../base/errors.ts';
import { byteArray, struct, u32 } from '../../base/layout.ts';
import type { ByteWriter } from './byte-writer.ts';

const MAGIC = 'paravane xenstored journal\n';
/** Another number whenever a frame or an entry means something else than before. */
export const JOURNAL_VERSION = 2;

const Header = struct('struct journal_header', {
  magic: byteArray(32),
  version: u32,
  /** Of all that stands before it. */
  crc: u32,
  /** What the rings of domains are good for: they end with the boot of the host. */
  epoch: byteArray(64),
});
export const JOURNAL_HEADER_SIZE = Header.size;

const Frame = struct('struct journal_frame', {
  /** Bytes that follow this. */
  length: u32,
  /** Of the words below and of what follows. */
  crc: u32,
  sequence: u32,
  kind: u32,
});
export const FRAME_HEADER_SIZE = Frame.size;
const CRC_START = Frame.offset.sequence;

/** `kind` of a frame. */
export const FRAME_STATE = 1;
export const FRAME_CHANGES = 2;

/** Fills in the frame's own words; its header was left out at the start of `writer`. */
export function sealFrame(writer: ByteWriter, sequence: number, kind: number): Uint8Array {
  writer.putU32(Frame.offset.length, writer.length - FRAME_HEADER_SIZE);
  writer.putU32(Frame.offset.sequence, sequence);
  writer.putU32(Frame.offset.kind, kind);
  const { bytes } = writer;
  writer.putU32(Frame.offset.crc, crc32(bytes, CRC_START));
  return bytes;
}

/** The first bytes of a journal. The epoch has at most 64 characters. */
export function journalHeader(epoch: string): Uint8Array {
  const bytes = new Uint8Array(JOURNAL_HEADER_SIZE);
  const header = Header.view(bytes);
  latin1Write(MAGIC, bytes, Header.offset.magic);
  header.version = JOURNAL_VERSION;
  header.crc = crc32(bytes, 0, Header.offset.crc);
  latin1Write(epoch, bytes, Header.offset.epoch);
  return bytes;
}

/** The epoch that the journal names. Throws EINVAL, naming the rule, when it is none of ours. */
export function readJournalHeader(bytes: Uint8Array): string {
  const what = 'read the journal';
  const isOurs =
    bytes.length >= JOURNAL_HEADER_SIZE && latin1Decode(bytes, 0, MAGIC.length) === MAGIC;
  if (!isOurs) {
    throw new XenError('EINVAL', what, 'a journal begins with "paravane xenstored journal"');
  }
  const header = Header.view(bytes);
  if (header.crc !== crc32(bytes, 0, Header.offset.crc)) {
    throw new XenError('EINVAL', what, 'the checksum of its header is wrong');
  }
  if (header.version !== JOURNAL_VERSION) {
    const rule = `this xenstored reads version ${JOURNAL_VERSION}, not ${header.version}`;
    throw new XenError('EINVAL', what, rule);
  }
  return latin1Decode(header.epoch).replace(/\0.*$/s, '');
}

export interface FoundFrame {
  readonly kind: number;
  /** The frame's entries: the bytes from here to before `end`. */
  readonly start: number;
  readonly end: number;
}

/** Why there is no frame at a position: nothing was ever written there, or it is not whole. */
export type FrameEnd = 'end' | 'torn';

/** Finds the frames one after the other. */
export class FrameScanner {
  private readonly bytes: Uint8Array;
  private readonly frame: ReturnType<typeof Frame.view>;
  private readonly sequences = new Map<number, number>();
  /** Where the next frame is to begin. */
  position = JOURNAL_HEADER_SIZE;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.frame = Frame.view(bytes);
  }

  next(): FoundFrame | FrameEnd {
    const { bytes, position, frame } = this;
    if (position + FRAME_HEADER_SIZE > bytes.length) return 'end';
    frame.moveTo(position);
    const { length, crc, sequence, kind } = frame;
    if (length === 0 && crc === 0 && sequence === 0 && kind === 0) return 'end';
    const start = position + FRAME_HEADER_SIZE;
    const end = start + length;
    if (end > bytes.length || crc32(bytes, position + CRC_START, end) !== crc) return 'torn';
    const before = this.sequences.get(kind);
    if (before !== undefined && sequence !== (before + 1) >>> 0) return 'torn';
    this.sequences.set(kind, sequence);
    this.position = end;
    return { kind, start, end };
  }
}
