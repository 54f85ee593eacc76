/**
 * A front end's request: copied out of the ring once, checked whole, and from then on only the copy
 * counts (XSA-155). What a request may say is in xen/include/public/io/blkif.h.
 */
import {
  BLKIF_DISCARD_SECURE,
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BlkifRequestSegment,
} from '../abi/io/blkif.ts';
import { ProtocolViolation, XenError } from '../base/errors.ts';
import { type GrantRef, grantRef } from '../base/ids.ts';
import { PAGE_SIZE } from '../hypervisor/contract.ts';
import { type BlockDevice, type BlockDeviceInfo, SECTOR_SIZE } from './block-device.ts';
import type { BlkifProtocol } from './protocol.ts';

const SECTORS_PER_PAGE = PAGE_SIZE / SECTOR_SIZE;

/**
 * The most segments an indirect request may have, as in Linux: 1 MiB of data. Their descriptions
 * fit one page, so only the first of a request's indirect pages is ever used.
 */
export const INDIRECT_SEGMENTS_MAX = 256;

/** A part of one of the front end's pages. */
export interface RequestSegment {
  ref: GrantRef;
  /** Bytes from the start of the page. */
  offset: number;
  length: number;
}

interface SegmentFields {
  readonly gref: number;
  readonly first_sect: number;
  readonly last_sect: number;
}

/** A request in our own words. Made once for a place in the queue and filled again and again. */
export interface BackRequest {
  /** Echoed in the response. */
  id: bigint;
  /** `BLKIF_OP_…`; never `BLKIF_OP_INDIRECT`, which is a way to say read or write. */
  operation: number;
  /** Bytes from the start of the disk. */
  position: number;
  /** Bytes in all. */
  length: number;
  segmentCount: number;
  /** The first `segmentCount` are this request's; the others are left from former ones. */
  readonly segments: RequestSegment[];
}

export function emptyRequest(): BackRequest {
  return { id: 0n, operation: 0, position: 0, length: 0, segmentCount: 0, segments: [] };
}

/** Copies the beginning of the front end's page to `target`. Throws when the grant is no good. */
export type ReadGuestPage = (ref: GrantRef, target: Uint8Array) => void;

/** Operations that a front end may ask for besides reading and writing, as it was told. */
export interface BackOffers {
  readonly barrier: boolean;
  readonly flush: boolean;
  readonly discard: boolean;
  readonly indirect: boolean;
}

export interface RequestParserParts {
  readonly protocol: BlkifProtocol;
  /** Its size and sectors bound what a request may ask for; the size of the moment counts. */
  readonly disk: BlockDevice;
  readonly offers: BackOffers;
  readonly readGuestPage: ReadGuestPage;
}

export class RequestParser {
  /** Where a request is copied to before `parse`. */
  readonly slot: Uint8Array;
  private readonly disk: BlockDevice;
  /** The disk as it is while a request is parsed. */
  private info: BlockDeviceInfo;
  private readonly offers: BackOffers;
  private readonly readGuestPage: ReadGuestPage;
  private readonly request;
  private readonly discard;
  private readonly indirect;
  private readonly segmentsOffset: number;
  private readonly slotSegment;
  private readonly indirectPage = new Uint8Array(INDIRECT_SEGMENTS_MAX * BlkifRequestSegment.size);
  private readonly indirectSegment = BlkifRequestSegment.view(this.indirectPage);

  constructor({ protocol, disk, offers, readGuestPage }: RequestParserParts) {
    this.disk = disk;
    this.info = disk.info;
    this.offers = offers;
    this.readGuestPage = readGuestPage;
    this.slot = new Uint8Array(protocol.request.size);
    this.request = protocol.request.view(this.slot);
    this.discard = protocol.discard.view(this.slot);
    this.indirect = protocol.indirect.view(this.slot);
    this.segmentsOffset = protocol.request.offset.seg;
    this.slotSegment = BlkifRequestSegment.view(this.slot, this.segmentsOffset);
  }

  /**
   * Reads `slot` into `into`; the id is right even when this throws. Throws `ProtocolViolation` for
   * a request that breaks a rule, ENOTSUP for an operation that is not known, EROFS for a change of
   * a read-only disk, EINVAL for a grant that cannot be read.
   */
  parse(into: BackRequest): void {
    const { request } = this;
    this.info = this.disk.info;
    into.id = request.id;
    into.operation = request.operation;
    into.position = 0;
    into.length = 0;
    into.segmentCount = 0;
    switch (into.operation) {
      case BLKIF_OP_READ:
      case BLKIF_OP_WRITE:
        this.parseDirect(into);
        break;
      case BLKIF_OP_WRITE_BARRIER:
      case BLKIF_OP_FLUSH_DISKCACHE:
        this.needOffer(into.operation === BLKIF_OP_FLUSH_DISKCACHE ? 'flush' : 'barrier');
        // Linux sends an empty barrier for a flush where barriers are offered, and some front ends
        // send the data to be written after a flush along with it.
        if (request.nr_segments > 0) this.parseDirect(into);
        break;
      case BLKIF_OP_INDIRECT:
        this.needOffer('indirect');
        this.parseIndirect(into);
        break;
      case BLKIF_OP_DISCARD:
        this.parseDiscard(into);
        break;
      default:
        throw new XenError('ENOTSUP', 'block request', `operation ${into.operation}`);
    }
    const changesDisk = into.operation === BLKIF_OP_DISCARD || into.segmentCount > 0;
    if (this.info.readOnly && changesDisk && into.operation !== BLKIF_OP_READ) {
      throw new XenError('EROFS', 'block request', 'the disk is read-only');
    }
  }

  private needOffer(offer: keyof BackOffers): void {
    if (!this.offers[offer])
      throw new XenError('ENOTSUP', 'block request', `no ${offer} was offered`);
  }

  private parseDirect(into: BackRequest): void {
    const count = this.request.nr_segments;
    if (count < 1 || count > BLKIF_MAX_SEGMENTS_PER_REQUEST) {
      violated(`nr_segments is from 1 to ${BLKIF_MAX_SEGMENTS_PER_REQUEST}`, count);
    }
    for (let index = 0; index < count; index++) {
      this.slotSegment.moveTo(this.segmentsOffset + index * BlkifRequestSegment.size);
      this.addSegment(into, this.slotSegment);
    }
    this.setRange(into, this.request.sector_number, into.length / SECTOR_SIZE);
  }

  private parseIndirect(into: BackRequest): void {
    const { indirect } = this;
    into.operation = indirect.indirect_op;
    if (into.operation !== BLKIF_OP_READ && into.operation !== BLKIF_OP_WRITE) {
      violated('indirect_op is BLKIF_OP_READ or BLKIF_OP_WRITE', into.operation);
    }
    const count = indirect.nr_segments;
    if (count < 1 || count > INDIRECT_SEGMENTS_MAX) {
      violated(`nr_segments of an indirect request is from 1 to ${INDIRECT_SEGMENTS_MAX}`, count);
    }
    const ref = grantRef(indirect.indirect_grefs[0]!);
    this.readGuestPage(ref, this.indirectPage.subarray(0, count * BlkifRequestSegment.size));
    for (let index = 0; index < count; index++) {
      this.indirectSegment.moveTo(index * BlkifRequestSegment.size);
      this.addSegment(into, this.indirectSegment);
    }
    this.setRange(into, indirect.sector_number, into.length / SECTOR_SIZE);
  }

  private parseDiscard(into: BackRequest): void {
    const { discard } = this;
    this.needOffer('discard');
    if ((discard.flag & BLKIF_DISCARD_SECURE) !== 0) {
      throw new XenError('ENOTSUP', 'block request', `discard with flags ${discard.flag}`);
    }
    this.setRange(into, discard.sector_number, discard.nr_sectors);
    into.length = discard.nr_sectors * SECTOR_SIZE;
  }

  private addSegment(into: BackRequest, from: SegmentFields): void {
    const first = from.first_sect;
    const last = from.last_sect;
    if (first > last || last >= SECTORS_PER_PAGE) {
      violated(`first_sect <= last_sect < ${SECTORS_PER_PAGE}`, `${first} to ${last}`);
    }
    const segment = segmentAt(into.segments, into.segmentCount);
    segment.ref = grantRef(from.gref);
    segment.offset = first * SECTOR_SIZE;
    segment.length = (last - first + 1) * SECTOR_SIZE;
    into.segmentCount++;
    into.length += segment.length;
  }

  /** Checks the range as a whole: of a larger sector, one segment may hold a part and the next the rest. */
  private setRange(into: BackRequest, sector: number, sectors: number): void {
    const { size, sectorSize } = this.info;
    if (sector + sectors > size / SECTOR_SIZE) {
      const found = `${sectors} from ${sector} of ${size / SECTOR_SIZE}`;
      violated('a request lies within the disk', found);
    }
    const position = sector * SECTOR_SIZE;
    if (position % sectorSize !== 0 || (sectors * SECTOR_SIZE) % sectorSize !== 0) {
      const found = `${sectors} units of ${SECTOR_SIZE} from ${sector}`;
      violated(`a request is of whole sectors of ${sectorSize} bytes`, found);
    }
    into.position = position;
  }
}

function segmentAt(segments: RequestSegment[], index: number): RequestSegment {
  const known = segments[index];
  if (known !== undefined) return known;
  const made = { ref: grantRef(0), offset: 0, length: 0 };
  segments[index] = made;
  return made;
}

function violated(rule: string, found: number | string): never {
  throw new ProtocolViolation('block request', `blkif: ${rule}`, `it is ${found}`);
}
