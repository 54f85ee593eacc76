/** Segmentation in software: one large TCP frame as the frames that it stands for. */
import { completeChecksum, completeIpv4Checksum } from './checksum.ts';
import { PacketHeaders, u16At } from './packet-headers.ts';

const TCP_SEQUENCE_OFFSET = 4;
const TCP_FLAGS_OFFSET = 13;
const TCP_FIN = 0x01;
const TCP_PSH = 0x08;
const TCP_CWR = 0x80;

/** Writes the segments of one frame after another into memory of its own. */
export class Segmenter {
  private readonly headers = new PacketHeaders();
  private readonly segmentHeaders = new PacketHeaders();
  private memory = new Uint8Array(0);

  /**
   * Hands the segments of `bytes`, a TCP frame, to `emit`, each with all checksums complete and
   * `size` bytes of payload at most. The memory is used again once `emit` has returned.
   */
  segment(bytes: Uint8Array, size: number, emit: (segment: Uint8Array) => void): void {
    const { headers } = this;
    headers.locate(bytes);
    const payload = headers.tcpPayload(bytes);
    if (this.memory.length < payload + size) this.memory = new Uint8Array(payload + size);
    // A frame without payload is a segment too.
    for (let start = payload, count = 0; count === 0 || start < headers.end; start += size) {
      const end = Math.min(start + size, headers.end);
      const segment = this.memory.subarray(0, payload + end - start);
      segment.set(bytes.subarray(0, payload));
      segment.set(bytes.subarray(start, end), payload);
      this.adjust(segment, start - payload, count, end === headers.end);
      emit(segment);
      count++;
    }
  }

  /** Makes of a copy of the large frame's headers those of segment number `index`. */
  private adjust(segment: Uint8Array, position: number, index: number, isLast: boolean): void {
    const { network, transport, ipVersion } = this.headers;
    const view = new DataView(segment.buffer, segment.byteOffset, segment.length);
    if (ipVersion === 4) {
      view.setUint16(network + 2, segment.length - network);
      view.setUint16(network + 4, u16At(segment, network + 4) + index);
    } else {
      view.setUint16(network + 4, segment.length - network - 40);
    }
    const sequence = view.getUint32(transport + TCP_SEQUENCE_OFFSET);
    view.setUint32(transport + TCP_SEQUENCE_OFFSET, sequence + position);
    // The first segment alone says that the window was reduced, the last alone that data ends.
    const notHere = (index === 0 ? 0 : TCP_CWR) | (isLast ? 0 : TCP_FIN | TCP_PSH);
    const flags = transport + TCP_FLAGS_OFFSET;
    segment[flags] = segment[flags]! & ~notHere;
    this.segmentHeaders.locate(segment);
    if (ipVersion === 4) completeIpv4Checksum(segment, this.segmentHeaders);
    completeChecksum(segment, this.segmentHeaders);
  }
}
