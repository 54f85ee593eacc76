/**
 * What is known of a frame as the header says it that virtio network cards and Linux's TAP devices
 * put before each: struct virtio_net_hdr of linux/virtio_net.h.
 */
import { struct, u8, u16, type View } from '../base/layout.ts';
import { checksumOffset, completePartialChecksum, pseudoHeaderSum } from './checksum.ts';
import { type ChecksumState, ETHERNET_HEADER_BYTES, type Frame, type FrameGso } from './frame.ts';
import { isConsistent } from './offloads.ts';
import { PacketHeaders } from './packet-headers.ts';

export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;
export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;

export const VirtioNetHdr = struct('struct virtio_net_hdr', {
  flags: u8,
  gso_type: u8,
  hdr_len: u16,
  gso_size: u16,
  csum_start: u16,
  csum_offset: u16,
});

/** The header, and after it what a blank checksum begins with, as it stands in a packet. */
export const OUTGOING_HEADER_BYTES = VirtioNetHdr.size + 2;

/** A frame whose description is yet to be read. */
export interface DescribedFrame extends Frame {
  bytes: Uint8Array;
  checksum: ChecksumState;
  gso: FrameGso | undefined;
}

/** Translates between the header and what a `Frame` says of itself. */
export class VirtioNetHeaders {
  private readonly headers = new PacketHeaders();

  /**
   * Takes over what `memory` holds at `offset`, a header and a frame of `length` bytes in all. False
   * for a frame that makes no sense. A checksum that a `Frame` cannot leave blank is computed.
   */
  read(memory: Uint8Array, offset: number, length: number, into: DescribedFrame): boolean {
    if (length < VirtioNetHdr.size + ETHERNET_HEADER_BYTES) return false;
    const header = VirtioNetHdr.view(memory, offset);
    into.bytes = memory.subarray(offset + VirtioNetHdr.size, offset + length);
    into.checksum = (header.flags & VIRTIO_NET_HDR_F_DATA_VALID) === 0 ? 'unknown' : 'validated';
    into.gso = undefined;
    if (header.gso_type !== VIRTIO_NET_HDR_GSO_NONE) return this.readGso(header, into);
    if ((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) return this.readChecksum(header, into);
    return true;
  }

  /**
   * Writes the header of a frame into `target`, `OUTGOING_HEADER_BYTES` long. False for a frame that
   * is not what it says.
   */
  write(frame: Frame, target: Uint8Array): boolean {
    const { bytes, checksum, gso } = frame;
    target.fill(0);
    const header = VirtioNetHdr.view(target);
    if (gso === undefined && checksum !== 'blank') {
      if (checksum === 'validated') header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
      return true;
    }
    const { headers } = this;
    headers.locate(bytes);
    if (!isConsistent(frame, headers)) return false;
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.csum_start = headers.transport;
    header.csum_offset = checksumOffset(headers);
    const sum = pseudoHeaderSum(bytes, headers);
    target[VirtioNetHdr.size] = sum >> 8;
    target[VirtioNetHdr.size + 1] = sum & 0xff;
    if (gso === undefined) return true;
    header.gso_type = gso.type === 'tcpv4' ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    header.gso_size = gso.size;
    header.hdr_len = headers.tcpPayload(bytes);
    return true;
  }

  private readGso(header: View<typeof VirtioNetHdr.fields>, into: DescribedFrame): boolean {
    const { gso_type, gso_size } = header;
    if (gso_size === 0) return false;
    if (gso_type === VIRTIO_NET_HDR_GSO_TCPV4) into.gso = { type: 'tcpv4', size: gso_size };
    else if (gso_type === VIRTIO_NET_HDR_GSO_TCPV6) into.gso = { type: 'tcpv6', size: gso_size };
    else return false;
    into.checksum = 'blank';
    this.headers.locate(into.bytes);
    return isConsistent(into, this.headers);
  }

  private readChecksum(header: View<typeof VirtioNetHdr.fields>, into: DescribedFrame): boolean {
    const { csum_start, csum_offset } = header;
    const field = csum_start + csum_offset;
    if (field + 2 > into.bytes.length) return false;
    this.headers.locate(into.bytes);
    const isOfTransport =
      this.headers.transport === csum_start && csum_offset === checksumOffset(this.headers);
    if (isOfTransport) {
      into.checksum = 'blank';
      return true;
    }
    // SCTP's peers, ICMP or what is inside of a tunnel: nobody after us could find it.
    completePartialChecksum(into.bytes, csum_start, field);
    into.checksum = 'validated';
    return true;
  }
}
