/** Ethernet frames as they go through an interface. */
import type { DomId, GrantRef } from '../base/ids.ts';

/** Bytes of the longest frame that the protocol can carry. */
export const FRAME_BYTES_MAX = 0xffff;
/** Destination, source and type. */
export const ETHERNET_HEADER_BYTES = 14;
/** What frames have beside their payload at most: the header and one VLAN tag. */
export const FRAME_OVERHEAD_BYTES = 18;

/**
 * What is known of the checksum of TCP or UDP in a frame:
 * - `unknown`: whoever reads the frame checks it;
 * - `validated`: it was checked, or has come a way that harms nothing;
 * - `blank`: it has yet to be computed, by the last one who has to.
 */
export type ChecksumState = 'unknown' | 'validated' | 'blank';

/** Segmentation offload: the frame stands for several, each with at most `size` bytes of payload. */
export interface FrameGso {
  readonly type: 'tcpv4' | 'tcpv6';
  readonly size: number;
}

/** A hash of the frame's addresses that its sender computed. */
export interface FrameHash {
  /** A bit number of `XEN_NETIF_CTRL_HASH_TYPE_…`. */
  readonly type: number;
  readonly value: number;
}

/**
 * The end of a frame that is still in its sender's pages, for who can have Xen copy it from there to
 * where it goes. All headers have come.
 */
export interface GrantedRest {
  readonly peer: DomId;
  /** So many of the frame's bytes have come; what stands in the others means nothing. */
  readonly from: number;
  /** How many of the `fragments` there are. */
  readonly count: number;
  /** Where the other bytes are, in order. */
  readonly fragments: readonly GrantedFragment[];
  /**
   * Has the bytes come, those of all frames that were handed over together: none has a rest any more.
   * A frame whose bytes cannot be had ends where they begin, and so is not what its headers say.
   */
  fetch(): void;
}

/** A part of a page that a peer has granted. */
export interface GrantedFragment {
  readonly ref: GrantRef;
  readonly offset: number;
  readonly length: number;
}

/** An Ethernet frame, without its check sequence, and what its sender left for others to do. */
export interface Frame {
  readonly bytes: Uint8Array;
  readonly checksum: ChecksumState;
  readonly gso: FrameGso | undefined;
  readonly hash: FrameHash | undefined;
  /** Only where somebody has said that he takes such frames. */
  readonly rest?: GrantedRest | undefined;
}
