/**
 * The block protocol, xen/include/public/io/blkif.h. Requests and responses share slots of a ring
 * (io/ring.ts). Sector numbers count 512-byte units whatever the disk's own sector size is.
 *
 * A guest says in its `protocol` node which compiler's layout its requests have (io/protocols.ts):
 * a 32-bit x86 one aligns 64-bit fields to 4 bytes, so its slots are 108 bytes and not 112.
 */
import { arrayOf, i16, nested, struct, u8, u16, u32, u64, u64exact } from '../../base/layout.ts';

export const BLKIF_OP_READ = 0;
export const BLKIF_OP_WRITE = 1;
export const BLKIF_OP_WRITE_BARRIER = 2;
export const BLKIF_OP_FLUSH_DISKCACHE = 3;
export const BLKIF_OP_DISCARD = 5;
export const BLKIF_OP_INDIRECT = 6;

export const BLKIF_RSP_EOPNOTSUPP = -2;
export const BLKIF_RSP_ERROR = -1;
export const BLKIF_RSP_OKAY = 0;

/** Segments in a direct request; more need an indirect one. */
export const BLKIF_MAX_SEGMENTS_PER_REQUEST = 11;
/** Grants of pages full of segments in an indirect request. */
export const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST = 8;

/** Flag of a discard request: what was discarded must become unrecoverable. */
export const BLKIF_DISCARD_SECURE = 1;

/** Flags of the back end's `info` node. */
export const VDISK_CDROM = 1;
export const VDISK_REMOVABLE = 2;
export const VDISK_READONLY = 4;

/** Part of one granted page: sectors `first_sect` to `last_sect`, both included. */
export const BlkifRequestSegment = struct('struct blkif_request_segment', {
  gref: u32,
  first_sect: u8,
  last_sect: u8,
});

const segments = arrayOf(nested(BlkifRequestSegment), BLKIF_MAX_SEGMENTS_PER_REQUEST);
const indirectGrefs = arrayOf(u32, BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST);

const request = {
  operation: u8,
  nr_segments: u8,
  handle: u16,
  /** The front end's own number, echoed bit by bit in the response. */
  id: u64exact,
  sector_number: u64,
  /** A `BlkifRequestSegment` view that moves over these costs less than loading them all. */
  seg: segments,
};

const discard = {
  operation: u8,
  flag: u8,
  handle: u16,
  id: u64exact,
  sector_number: u64,
  nr_sectors: u64,
};

const indirect = {
  operation: u8,
  /** `BLKIF_OP_READ` or `BLKIF_OP_WRITE`. */
  indirect_op: u8,
  nr_segments: u16,
  id: u64exact,
  sector_number: u64,
  handle: u16,
  /** Pages that hold `nr_segments` segments, one after the other. */
  indirect_grefs: indirectGrefs,
};

const response = {
  id: u64exact,
  operation: u8,
  /** `BLKIF_RSP_…`. */
  status: i16,
};

const x86_32 = { alignMax: 4 };

/** Read, write, write barrier and flush, as a 64-bit guest lays them out. */
export const BlkifRequest = struct('struct blkif_request', request);
export const BlkifRequestDiscard = struct('struct blkif_request_discard', discard);
export const BlkifRequestIndirect = struct('struct blkif_request_indirect', indirect);
export const BlkifResponse = struct('struct blkif_response', response);

/** The same as a 32-bit x86 guest lays them out. */
export const BlkifRequestX86_32 = struct('struct blkif_request', request, x86_32);
export const BlkifRequestDiscardX86_32 = struct('struct blkif_request_discard', discard, x86_32);
export const BlkifRequestIndirectX86_32 = struct(
  'struct blkif_request_indirect',
  { ...indirect, pad: u64exact },
  x86_32,
);
export const BlkifResponseX86_32 = struct('struct blkif_response', response, x86_32);
