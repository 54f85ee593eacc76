/**
 * What a viewer and the console daemon say to each other over a byte stream: frames of four bytes
 * and a payload. The viewer begins with ATTACH; the daemon answers ATTACHED or REFUSED, and from
 * then on sends output and takes input, until one of them ends the stream.
 */
import { asciiJson } from '../base/ascii-json.ts';
import type { ByteStream } from '../base/byte-stream.ts';
import { latin1Decode, latin1Encode } from '../base/bytes.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { struct, u8, u16 } from '../base/layout.ts';
import type { WindowSize } from './window-size.ts';

/** Viewer: JSON, an `AttachRequest`. */
export const VIEWER_ATTACH = 1;
/** Viewer: what was typed. */
export const VIEWER_INPUT = 2;
/** Viewer: JSON, a `WindowSize`. */
export const VIEWER_WINDOW = 3;
/** Daemon: JSON, an `AttachReply`. */
export const VIEWER_ATTACHED = 16;
/** Daemon: what the guest printed. */
export const VIEWER_OUTPUT = 17;
/** Daemon: JSON, a `Farewell`: there is nothing to attach to. */
export const VIEWER_REFUSED = 18;
/** Daemon: JSON, a `Farewell`: the console is over. */
export const VIEWER_ENDED = 19;

export interface AttachRequest {
  readonly domid: number;
  /** 0 for the first console, N for `device/console/N`. */
  readonly console: number;
  readonly readOnly: boolean;
  /** How many bytes of earlier output to begin with, at most. */
  readonly scrollback: number;
}

export interface AttachReply {
  /** Others who look at the console. */
  readonly otherViewers: number;
}

export interface Farewell {
  readonly reason: string;
}

const FrameHeader = struct('frame header', { type: u8, reserved: u8, length: u16 });

export const FRAME_PAYLOAD_MAX = 4096;
const FRAME_SIZE_MAX = FrameHeader.size + FRAME_PAYLOAD_MAX;

/** One frame. Throws `RangeError` when the payload is too long. */
export function frame(type: number, payload: Uint8Array): Uint8Array {
  if (payload.length > FRAME_PAYLOAD_MAX) {
    throw new RangeError(`a frame has at most ${FRAME_PAYLOAD_MAX} bytes, not ${payload.length}`);
  }
  const bytes = new Uint8Array(FrameHeader.size + payload.length);
  const header = FrameHeader.view(bytes);
  header.type = type;
  header.length = payload.length;
  bytes.set(payload, FrameHeader.size);
  return bytes;
}

/** A frame whose payload is JSON, in ASCII. */
export function jsonFrame(
  type: number,
  value: AttachRequest | AttachReply | WindowSize | Farewell,
): Uint8Array {
  return frame(type, latin1Encode(asciiJson(value)));
}

function violation(rule: string, detail: string): ProtocolViolation {
  return new ProtocolViolation('read a viewer frame', `viewer: ${rule}`, detail);
}

/** The fields of a JSON payload, of which nothing is known yet. Throws `ProtocolViolation`. */
export function parseJson(payload: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(latin1Decode(payload));
  } catch {
    throw violation('the payload is JSON', latin1Decode(payload, 0, Math.min(32, payload.length)));
  }
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw violation('the payload is an object', typeof value);
}

function wholeNumber(fields: Readonly<Record<string, unknown>>, name: string, max: number): number {
  const value = fields[name];
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) {
    return value;
  }
  throw violation(`${name} is an integer from 0 to ${max}`, String(value));
}

/** Throws `ProtocolViolation` for what is no request. */
export function parseAttach(payload: Uint8Array): AttachRequest {
  const fields = parseJson(payload);
  return {
    domid: wholeNumber(fields, 'domid', 0x7fef),
    console: wholeNumber(fields, 'console', 0xffff),
    readOnly: fields.readOnly === true,
    scrollback: wholeNumber(fields, 'scrollback', Number.MAX_SAFE_INTEGER),
  };
}

/** Throws `ProtocolViolation` for what is no size. */
export function parseWindow(payload: Uint8Array): WindowSize {
  const fields = parseJson(payload);
  return {
    columns: wholeNumber(fields, 'columns', 0xffff),
    rows: wholeNumber(fields, 'rows', 0xffff),
  };
}

export interface Frame {
  readonly type: number;
  /** A window that lasts until the next call of `next`. */
  readonly payload: Uint8Array;
}

/** Takes a stream apart into frames, however they arrive. */
export class FrameReader {
  private readonly stream: ByteStream;
  private readonly bytes = new Uint8Array(FRAME_SIZE_MAX);
  private readonly header = FrameHeader.view(this.bytes);
  private filled = 0;

  constructor(stream: ByteStream) {
    this.stream = stream;
  }

  /** The next frame, if it is there as a whole. Throws `ProtocolViolation` for one that is too long. */
  next(): Frame | undefined {
    if (!this.fill(FrameHeader.size)) return undefined;
    const { type, length } = this.header;
    if (length > FRAME_PAYLOAD_MAX) {
      throw violation(`a payload has at most ${FRAME_PAYLOAD_MAX} bytes`, String(length));
    }
    if (!this.fill(FrameHeader.size + length)) return undefined;
    this.filled = 0;
    return { type, payload: this.bytes.subarray(FrameHeader.size, FrameHeader.size + length) };
  }

  private fill(needed: number): boolean {
    while (this.filled < needed) {
      const length = this.stream.read(this.bytes.subarray(this.filled, needed));
      if (length === 0) return false;
      this.filled += length;
    }
    return true;
  }
}
