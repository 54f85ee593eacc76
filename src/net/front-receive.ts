/**
 * What a front end receives: offers pages to the back end in one ring, copies frames out of them and
 * offers them again. A page is the back end's for as long as the device lasts; what is in it is
 * looked at once, in a copy (XSA-155).
 *
 * The back end answers in the slots of the requests, so pages come back in the order in which they
 * were offered; the id of a response is not looked at, since an extra info has none.
 */
import {
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  NetifRxRequest,
  NetifRxResponse,
  XEN_NETIF_NR_SLOTS_MIN,
} from '../abi/io/netif.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { PAGE_SIZE } from '../hypervisor/contract.ts';
import type { FrontPage } from '../ring/front-pages.ts';
import { FrontRing } from '../ring/front-ring.ts';
import { EXTRA_INFOS_MAX, ExtraInfos } from './extra-info.ts';
import { type ChecksumState, ETHERNET_HEADER_BYTES, FRAME_BYTES_MAX, type Frame } from './frame.ts';
import { FrameArena } from './frame-arena.ts';
import type { DropReason, InterfaceCounts } from './network-interface.ts';
import { blankSegments, isConsistent } from './offloads.ts';
import { PacketHeaders } from './packet-headers.ts';

const receiveMessages = { request: NetifRxRequest, response: NetifRxResponse };

/** Slots with data that a packet has at most: with the largest headroom more than Linux's ever do. */
const DATA_SLOTS_MAX = 2 * XEN_NETIF_NR_SLOTS_MIN;
/** Batches of frames in a row before other events have their turn. */
const BATCHES_MAX = 4;

export interface FrontReceiveParts {
  /** The ring's page. */
  readonly memory: Uint8Array;
  /** As many as are to be offered at a time, 1 or more. */
  readonly pages: readonly FrontPage[];
  readonly counts: InterfaceCounts;
  /** Called with the frames of each batch. */
  readonly onFrames: (frames: readonly Frame[]) => void;
}

/** A part of a packet, still in the page. */
interface Piece {
  page: Uint8Array;
  offset: number;
  length: number;
}

export class FrontReceive {
  private readonly parts: FrontReceiveParts;
  private readonly ring: FrontRing;
  private readonly arena = new FrameArena();
  private readonly headers = new PacketHeaders();
  /** Responses taken, and so pages: both are used in turn. */
  private consumed = 0;
  private offered = 0;
  private available = 0;
  private readonly pieces: Piece[];
  private pieceCount = 0;
  private flaw: DropReason | undefined;
  private readonly requestBytes = new Uint8Array(NetifRxRequest.size);
  private readonly request = NetifRxRequest.view(this.requestBytes);
  private readonly responseBytes = new Uint8Array(NetifRxResponse.size);
  private readonly response = NetifRxResponse.view(this.responseBytes);
  private readonly extras = new ExtraInfos(this.responseBytes);

  constructor(parts: FrontReceiveParts) {
    this.parts = parts;
    this.ring = new FrontRing(parts.memory, receiveMessages);
    this.pieces = Array.from({ length: DATA_SLOTS_MAX }, () => ({
      page: parts.pages[0]!.bytes,
      offset: 0,
      length: 0,
    }));
    this.offer();
  }

  /** Publishes the pages that are offered; true when the back end is to be notified. */
  push(): boolean {
    return this.ring.pushRequests();
  }

  /**
   * Takes frames that have come and offers their pages again. Returns how many responses came, and
   * whether there are more, to be taken later. Throws when a response cannot be.
   */
  serve(): { taken: number; more: boolean } {
    const before = this.consumed;
    let more = true;
    for (let batches = 0; more && batches < BATCHES_MAX; batches++) more = this.takeBatch();
    return { taken: this.consumed - before, more };
  }

  /** Returns whether there is more. */
  private takeBatch(): boolean {
    this.arena.clear();
    let more = false;
    this.available = this.ring.unconsumedResponses();
    for (;;) {
      if (this.available === 0) {
        if (!this.ring.finalCheckForResponses()) break;
        this.available = this.ring.unconsumedResponses();
      }
      if (!this.arena.hasRoom) {
        more = true;
        break;
      }
      this.takePacket();
    }
    // The pages are free again, since what was in them is in the arena.
    this.offer();
    if (this.arena.frames.length > 0) this.parts.onFrames(this.arena.frames);
    return more;
  }

  private takePacket(): void {
    this.pieceCount = 0;
    this.flaw = undefined;
    this.extras.clear();
    this.takeResponse();
    const { flags } = this.response;
    this.addPiece();
    if ((flags & NETRXF_extra_info) !== 0) this.takeExtras();
    for (let more = flags & NETRXF_more_data; more !== 0; ) {
      if (this.pieceCount === DATA_SLOTS_MAX) {
        violated(`a packet has at most ${DATA_SLOTS_MAX} slots with data`, 'there are more');
      }
      this.takeResponse();
      this.addPiece();
      more = this.response.flags & NETRXF_more_data;
    }
    this.addFrame(checksumState(flags));
  }

  /** Takes a response; it is about the page before `consumed`. */
  private takeResponse(): void {
    if (this.available === 0) violated('a packet is published as a whole', 'the rest is missing');
    this.available--;
    this.ring.takeResponse(this.responseBytes);
    this.consumed++;
  }

  private takeExtras(): void {
    let count = 0;
    do {
      if (count++ === EXTRA_INFOS_MAX) {
        violated(`a packet has at most ${EXTRA_INFOS_MAX} extra infos`, 'there are more');
      }
      this.takeResponse();
      try {
        this.extras.take();
      } catch {
        this.flaw ??= 'malformed';
      }
    } while (this.extras.more);
  }

  /** Notes where the data of the response taken last is. */
  private addPiece(): void {
    const { offset, status } = this.response;
    const piece = this.pieces[this.pieceCount++]!;
    const { pages } = this.parts;
    piece.page = pages[(this.consumed - 1) % pages.length]!.bytes;
    piece.offset = offset;
    piece.length = status;
    if (status < 0) this.flaw ??= 'refused';
    else if (offset + status > PAGE_SIZE) this.flaw ??= 'malformed';
  }

  private addFrame(checksum: ChecksumState): void {
    const { counts } = this.parts;
    let length = 0;
    for (let index = 0; index < this.pieceCount; index++) length += this.pieces[index]!.length;
    if (length < ETHERNET_HEADER_BYTES || length > FRAME_BYTES_MAX) this.flaw ??= 'length';
    if (this.flaw !== undefined) {
      counts.received.dropped[this.flaw]++;
      return;
    }
    const frame = this.arena.add(length);
    frame.checksum = checksum;
    frame.gso = this.extras.gso;
    frame.hash = this.extras.hash;
    let at = 0;
    for (let index = 0; index < this.pieceCount; index++) {
      const { page, offset, length: bytes } = this.pieces[index]!;
      frame.bytes.set(page.subarray(offset, offset + bytes), at);
      at += bytes;
    }
    if (checksum === 'blank' || frame.gso !== undefined) {
      this.headers.locate(frame.bytes);
      if (!isConsistent(frame, this.headers)) {
        this.arena.retain((index) => index < this.arena.frames.length - 1);
        counts.received.dropped.malformed++;
        return;
      }
      blankSegments(frame, this.headers);
    }
    counts.received.frames++;
    counts.received.bytes += length;
  }

  /** Offers every page that is not offered. */
  private offer(): void {
    const { pages } = this.parts;
    while (this.offered - this.consumed < pages.length && this.ring.free > 0) {
      const number = this.offered++ % pages.length;
      this.request.id = number;
      this.request.gref = pages[number]!.ref;
      this.ring.putRequest(this.requestBytes);
    }
  }
}

function checksumState(flags: number): ChecksumState {
  if ((flags & NETRXF_csum_blank) !== 0) return 'blank';
  return (flags & NETRXF_data_validated) !== 0 ? 'validated' : 'unknown';
}

function violated(rule: string, found: string): never {
  throw new ProtocolViolation('read a received packet', `netif: ${rule}`, found);
}
