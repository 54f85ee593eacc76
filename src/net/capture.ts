/** Frames as a capture file: the pcap format, as tcpdump and Wireshark read it. */
import type { Clock } from '../base/clock.ts';
import { i32, struct, u16, u32 } from '../base/layout.ts';

const MAGIC = 0xa1b2_c3d4;
const LINKTYPE_ETHERNET = 1;

const FileHeader = struct('struct pcap_file_header', {
  magic: u32,
  version_major: u16,
  version_minor: u16,
  thiszone: i32,
  sigfigs: u32,
  /** The most bytes of a frame that are kept. */
  snaplen: u32,
  linktype: u32,
});

const RecordHeader = struct('pcap record header', {
  seconds: u32,
  microseconds: u32,
  /** Bytes that follow. */
  captured: u32,
  /** Bytes that the frame had. */
  length: u32,
});

export interface CaptureOptions {
  /** Bytes of each frame that are kept; all of them unless given. */
  readonly bytesMax?: number;
  /** There will be no more frames: the port is gone. */
  readonly onEnd?: () => void;
}

/** Takes the parts of the file, in order, each a buffer of its own. */
export type CaptureSink = (part: Uint8Array) => void;

export class Capture {
  private readonly sink: CaptureSink;
  private readonly clock: Clock;
  private readonly bytesMax: number;
  /** There will be no more frames. */
  readonly end: () => void;

  /** Writes the beginning of the file. */
  constructor(sink: CaptureSink, clock: Clock, options: CaptureOptions = {}) {
    this.sink = sink;
    this.clock = clock;
    this.bytesMax = options.bytesMax ?? 0x4_0000;
    this.end = options.onEnd ?? (() => {});
    if (!Number.isInteger(this.bytesMax) || this.bytesMax < 1) {
      throw new RangeError(`a capture keeps 1 byte of a frame or more, not ${this.bytesMax}`);
    }
    const part = new Uint8Array(FileHeader.size);
    const header = FileHeader.view(part);
    header.magic = MAGIC;
    header.version_major = 2;
    header.version_minor = 4;
    header.snaplen = this.bytesMax;
    header.linktype = LINKTYPE_ETHERNET;
    sink(part);
  }

  /** A frame that passes now. */
  add(bytes: Uint8Array): void {
    const captured = Math.min(bytes.length, this.bytesMax);
    const part = new Uint8Array(RecordHeader.size + captured);
    const now_ms = this.clock.wallclock_ms();
    const record = RecordHeader.view(part);
    record.seconds = Math.floor(now_ms / 1000);
    record.microseconds = Math.floor((now_ms % 1000) * 1000);
    record.captured = captured;
    record.length = bytes.length;
    part.set(bytes.subarray(0, captured), RecordHeader.size);
    this.sink(part);
  }
}
