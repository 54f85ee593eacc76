/** Frames on a byte stream: four bytes that tell a type and a length, and a payload. */
import type { ByteStream } from './byte-stream.ts';
import { latin1Decode } from './bytes.ts';
import { ProtocolViolation } from './errors.ts';
import { struct, u8, u16 } from './layout.ts';

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

export interface Frame {
  readonly type: number;
  /** A window that lasts until the next call of `next`. */
  readonly payload: Uint8Array;
}

/** What two ends say to each other in frames, and how it complains. */
export class FrameProtocol {
  private readonly name: string;

  /** @param name as violations have it: `viewer` */
  constructor(name: string) {
    this.name = name;
  }

  violation(rule: string, detail: string): ProtocolViolation {
    return new ProtocolViolation(`read a ${this.name} frame`, `${this.name}: ${rule}`, detail);
  }

  /** The fields of a JSON payload, of which nothing is known yet. Throws `ProtocolViolation`. */
  parseJson(payload: Uint8Array): Readonly<Record<string, unknown>> {
    let value: unknown;
    try {
      value = JSON.parse(latin1Decode(payload));
    } catch {
      const beginning = latin1Decode(payload, 0, Math.min(32, payload.length));
      throw this.violation('the payload is JSON', beginning);
    }
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    throw this.violation('the payload is an object', typeof value);
  }

  /** Throws `ProtocolViolation` unless the field is there and within 0 to `max`. */
  wholeNumber(fields: Readonly<Record<string, unknown>>, name: string, max: number): number {
    const value = fields[name];
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) {
      return value;
    }
    throw this.violation(`${name} is an integer from 0 to ${max}`, String(value));
  }
}

/** Takes a stream apart into frames, however they arrive. */
export class FrameReader {
  private readonly stream: ByteStream;
  private readonly protocol: FrameProtocol;
  private readonly bytes = new Uint8Array(FRAME_SIZE_MAX);
  private readonly header = FrameHeader.view(this.bytes);
  private filled = 0;

  constructor(stream: ByteStream, protocol: FrameProtocol) {
    this.stream = stream;
    this.protocol = protocol;
  }

  /** The next frame, if it is there as a whole. Throws `ProtocolViolation` for one that is too long. */
  next(): Frame | undefined {
    if (!this.fill(FrameHeader.size)) return undefined;
    const { type, length } = this.header;
    if (length > FRAME_PAYLOAD_MAX) {
      throw this.protocol.violation(
        `a payload has at most ${FRAME_PAYLOAD_MAX} bytes`,
        String(length),
      );
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
