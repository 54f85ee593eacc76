/**
 * What the other end of an interface can do for a frame, and the frame as it can take it: what it
 * cannot do is done here, on a copy.
 */
import { blankChecksum, completeChecksum } from './checksum.ts';
import { type ChecksumState, FRAME_BYTES_MAX, FRAME_OVERHEAD_BYTES, type Frame } from './frame.ts';
import { PacketHeaders, PROTOCOL_TCP } from './packet-headers.ts';
import { Segmenter } from './segmentation.ts';

export interface Offloads {
  /** Takes frames with a blank checksum. */
  readonly checksumIpv4: boolean;
  readonly checksumIpv6: boolean;
  /** Takes frames that stand for several. */
  readonly gsoTcpv4: boolean;
  readonly gsoTcpv6: boolean;
}

/** A frame in memory of our own. */
interface CheckedFrame extends Frame {
  checksum: ChecksumState;
}

/** A frame that nobody has to do anything for. */
class PlainFrame implements Frame {
  bytes: Uint8Array = new Uint8Array(0);
  readonly checksum = 'validated';
  readonly gso = undefined;
  readonly hash = undefined;
}

/**
 * Whether what a frame says of itself fits what is in it: a checksum can only be blank where there
 * is one, and only a TCP packet of the right kind can stand for several. `headers` are the frame's.
 */
export function isConsistent({ bytes, checksum, gso }: Frame, headers: PacketHeaders): boolean {
  if (gso === undefined) return checksum !== 'blank' || headers.transport !== 0;
  const version = gso.type === 'tcpv4' ? 4 : 6;
  if (headers.ipVersion !== version || headers.transport === 0) return false;
  return headers.protocol === PROTOCOL_TCP && headers.tcpPayload(bytes) <= headers.end;
}

/**
 * A frame that stands for several has a blank checksum, whatever its sender says: some forget it, and
 * Linux's ends of the protocol overlook that. `headers` are the frame's.
 */
export function blankSegments(frame: CheckedFrame, headers: PacketHeaders): void {
  if (frame.gso === undefined || frame.checksum === 'blank') return;
  blankChecksum(frame.bytes, headers);
  frame.checksum = 'blank';
}

/** Bytes of the longest frame on the wire that a frame stands for. `headers` are the frame's. */
function wireLength({ bytes, gso }: Frame, headers: PacketHeaders): number {
  if (gso === undefined) return bytes.length;
  return Math.min(bytes.length, headers.tcpPayload(bytes) + gso.size);
}

export class OffloadAdapter {
  private readonly offloads: Offloads;
  private readonly length_max: number;
  private readonly headers = new PacketHeaders();
  private readonly segmenter = new Segmenter();
  private readonly plain = new PlainFrame();
  private copy = new Uint8Array(0);

  /** @param mtu of the interface: longer frames are refused */
  constructor(offloads: Offloads, mtu: number) {
    this.offloads = offloads;
    this.length_max = mtu + FRAME_OVERHEAD_BYTES;
  }

  /**
   * Hands the frame to `emit` as the other end can take it, as one frame or as several, and returns
   * undefined; or returns why it can't. What is emitted may be in memory that is used again once
   * `emit` has returned.
   */
  adapt(frame: Frame, emit: (frame: Frame) => void): 'length' | 'malformed' | undefined {
    const { bytes, checksum, gso } = frame;
    if (bytes.length > FRAME_BYTES_MAX) return 'length';
    if (checksum !== 'blank' && gso === undefined) {
      if (bytes.length > this.length_max) return 'length';
      emit(frame);
      return undefined;
    }
    const { headers } = this;
    headers.locate(bytes);
    if (!isConsistent(frame, headers)) return 'malformed';
    if (wireLength(frame, headers) > this.length_max) return 'length';
    const isIpv4 = headers.ipVersion === 4;
    const takesBlank = isIpv4 ? this.offloads.checksumIpv4 : this.offloads.checksumIpv6;
    const takesLarge = isIpv4 ? this.offloads.gsoTcpv4 : this.offloads.gsoTcpv6;
    if (gso !== undefined && !(takesLarge && takesBlank)) {
      frame.rest?.fetch();
      if (frame.bytes.length < bytes.length) return 'malformed';
      this.segmenter.segment(bytes, gso.size, (segment) => this.emitPlain(segment, emit));
    } else if (checksum === 'blank' && !takesBlank) {
      this.emitComplete(bytes, emit);
    } else {
      emit(frame);
    }
    return undefined;
  }

  private emitComplete(bytes: Uint8Array, emit: (frame: Frame) => void): void {
    if (this.copy.length < bytes.length) this.copy = new Uint8Array(bytes.length);
    const copy = this.copy.subarray(0, bytes.length);
    copy.set(bytes);
    completeChecksum(copy, this.headers);
    this.emitPlain(copy, emit);
  }

  private emitPlain(bytes: Uint8Array, emit: (frame: Frame) => void): void {
    this.plain.bytes = bytes;
    emit(this.plain);
  }
}
