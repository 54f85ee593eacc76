/**
 * What a guest receives: puts frames into the pages that it offers in one ring, by batches of grant
 * copies. A packet's responses stand in the slots of the requests that they answer, and are
 * published together.
 *
 * A guest that offers no pages is waited for, with so many bytes and no more (XSA-392), and no frame
 * waits for long. When it offers none for a minute, frames are not even kept any more until it does.
 */
import {
  NETIF_RSP_ERROR,
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  NetifRxRequest,
  NetifRxResponse,
  XEN_NETIF_NR_SLOTS_MIN,
} from '../abi/io/netif.ts';
import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { type DomId, grantRef } from '../base/ids.ts';
import {
  type CopyBatch,
  type EventChannel,
  type GrantTable,
  PAGE_SIZE,
} from '../hypervisor/contract.ts';
import { BackRing } from '../ring/back-ring.ts';
import { BegunBatch, type FinishSlot } from './begun-batch.ts';
import { ExtraInfoWriter } from './extra-info.ts';
import type { Frame, FrameHash, GrantedRest } from './frame.ts';
import type { InterfaceCounts } from './network-interface.ts';
import { PacketHeaders } from './packet-headers.ts';

const receiveMessages = { request: NetifRxRequest, response: NetifRxResponse };

/** What was in the packets is not known any more: they are lost, and the guest has its pages back. */
export const finishReceiveSlot: FinishSlot = (slot) => {
  const response = NetifRxResponse.view(slot);
  response.offset = 0;
  response.flags = 0;
  response.status = NETIF_RSP_ERROR;
};

/** Linux's front end takes a packet of so many slots, of which the first has no more bytes than this; else one less. */
const SLOTS_MAX = XEN_NETIF_NR_SLOTS_MIN;
const SMALL_SLOT_BYTES = 256;

/** Frames that wait have so many bytes at most: half a ring of pages, as in Linux's netback. */
export const WAITING_BYTES_MAX = 128 * PAGE_SIZE;
/** A waiting frame counts as so many bytes at least, for what is kept beside it. */
const WAITING_FRAME_BYTES_MIN = 256;
/** A frame that waited for so long is of no use any more. */
export const EXPIRY_MS = 10_000;
/** A guest that took nothing for so long, with frames for it, has stalled. */
export const STALL_MS = 60_000;
/** How often is looked after frames that wait. */
const WATCH_MS = 1000;
/** The same where the front end does not say that it offers new pages. */
const POLL_MS = 30;

export interface BackReceiveParts {
  /** The ring's page. */
  readonly memory: Uint8Array;
  readonly channel: EventChannel;
  readonly grants: GrantTable;
  readonly peer: DomId;
  readonly clock: Clock;
  readonly counts: InterfaceCounts;
  /** The front end signals when it offers pages. */
  readonly signalsOffers: boolean;
  /** There is room again for frames that were not taken. */
  readonly onRoom: () => void;
  /** `stalled` is not what it was. */
  readonly onStall: () => void;
  readonly onViolation: (error: unknown) => void;
}

interface WaitingFrame {
  readonly frame: Frame;
  readonly hash: FrameHash | undefined;
  readonly since_ms: number;
}

/** A response that is to be put once the copies are done. */
interface PendingResponse {
  id: number;
  flags: number;
  length: number;
  /** The number of its copy in the batch; -1 for an extra info. */
  copy: number;
  /** The first slot of a packet: the packet's bytes; 0 for every other one. */
  packetBytes: number;
  readonly extra: Uint8Array;
}

export class BackReceive {
  /** The guest took nothing for too long. */
  stalled = false;
  /** Bytes left free at the start of every page, for the guest's own use. */
  headroom = 0;
  private readonly parts: BackReceiveParts;
  private readonly begun: BegunBatch;
  private readonly ring: BackRing;
  private readonly copies: CopyBatch;
  private readonly headers = new PacketHeaders();
  private readonly pending: PendingResponse[];
  private pendingCount = 0;
  private waiting: WaitingFrame[] = [];
  private waitingBytes = 0;
  private refusedRoom = false;
  /** Since when no frame could be placed, while there are any. */
  private blockedSince_ms: number | undefined;
  private timer: Timer | undefined;
  private stopped = false;
  private requestsSeen = 0;
  private readonly requestBytes = new Uint8Array(NetifRxRequest.size);
  private readonly request = NetifRxRequest.view(this.requestBytes);
  private readonly extraBytes = new Uint8Array(NetifRxResponse.size);
  private readonly extraWriter = new ExtraInfoWriter(this.extraBytes);
  private readonly responseBytes = new Uint8Array(NetifRxResponse.size);
  private readonly response = NetifRxResponse.view(this.responseBytes);

  constructor(parts: BackReceiveParts) {
    this.parts = parts;
    this.begun = new BegunBatch(parts.memory, receiveMessages, finishReceiveSlot);
    this.ring = new BackRing(parts.memory, receiveMessages);
    this.copies = parts.grants.copyBatch(this.ring.size);
    this.pending = Array.from({ length: this.ring.size }, () => ({
      id: 0,
      flags: 0,
      length: 0,
      copy: -1,
      packetBytes: 0,
      extra: new Uint8Array(NetifRxResponse.size),
    }));
  }

  /**
   * Takes a frame; false when there is no room. It reaches the guest by `flush`, before which its
   * bytes must not change.
   */
  put(frame: Frame, hash: FrameHash | undefined): boolean {
    if (this.stopped) return true;
    if (this.stalled) {
      this.parts.counts.sent.dropped.expired++;
      return true;
    }
    const { rest } = frame;
    if (rest !== undefined && !this.takesRest(rest) && !this.hasCome(frame)) return true;
    if (this.waiting.length === 0 && this.place(frame, hash)) return true;
    return !this.hasCome(frame) || this.wait(frame, hash);
  }

  /** Hands over what was put. */
  flush(): void {
    if (this.pendingCount === 0) return;
    if (this.copies.length > 0) this.copies.run();
    this.begun.note(this.pendingCount, (index) => this.pending[index]!.copy < 0);
    for (let index = 0; index < this.pendingCount; index++) this.respond(this.pending[index]!);
    this.countPackets();
    this.pendingCount = 0;
    this.ring.publishResponses();
    if (this.ring.wantsNotification()) this.parts.channel.notify();
  }

  /** The channel was signalled. Returns whether anything had come. */
  serve(): boolean {
    if (this.stopped) return false;
    try {
      return this.takeOffers();
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  close(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.dropWaiting();
  }

  private fail(error: unknown): void {
    this.close();
    this.parts.onViolation(error);
  }

  private takeOffers(): boolean {
    const requests = this.ring.unconsumedRequests();
    const hasMore = requests > this.requestsSeen;
    if (hasMore && this.stalled) this.recover();
    this.placeWaiting();
    this.requestsSeen = this.ring.unconsumedRequests();
    return hasMore;
  }

  /** Has all of the frame come; false when that cannot be. */
  private hasCome(frame: Frame): boolean {
    const { length } = frame.bytes;
    frame.rest?.fetch();
    if (frame.bytes.length === length) return true;
    this.parts.counts.sent.dropped.refused++;
    return false;
  }

  private slotsFor(frame: Frame, first: number, hash: FrameHash | undefined): number {
    const { bytes, gso, rest } = frame;
    const further = rest?.count ?? Math.ceil((bytes.length - first) / (PAGE_SIZE - this.headroom));
    return 1 + further + (gso === undefined ? 0 : 1) + (hash === undefined ? 0 : 1);
  }

  /** Whether the frame can go from page to page as it stands in its sender's. */
  private takesRest({ from, count, fragments }: GrantedRest): boolean {
    const room = PAGE_SIZE - this.headroom;
    if (from > room || 1 + count > (from <= SMALL_SLOT_BYTES ? SLOTS_MAX : SLOTS_MAX - 1)) {
      return false;
    }
    for (let index = 0; index < count; index++) {
      if (fragments[index]!.length > room) return false;
    }
    return true;
  }

  /**
   * Bytes of the frame that go into its first slot. When these reach up to the end of a page of ours,
   * each of the others is copied at once. All headers are among them: some guests look no further.
   */
  private firstBytes(frame: Frame): number {
    const { bytes, gso } = frame;
    const most = Math.min(bytes.length, PAGE_SIZE - this.headroom);
    if (gso === undefined || this.headroom > 0) return most;
    const toPageEnd = PAGE_SIZE - (bytes.byteOffset % PAGE_SIZE);
    if (toPageEnd >= most) return most;
    this.headers.locate(bytes);
    return toPageEnd >= this.headers.tcpPayload(bytes) ? toPageEnd : most;
  }

  /** Puts the frame into slots of the ring; false when there are too few. */
  private place(frame: Frame, hash: FrameHash | undefined): boolean {
    const { rest } = frame;
    const firstBytes = rest?.from ?? this.firstBytes(frame);
    const slots = this.slotsFor(frame, firstBytes, hash);
    assert(slots <= this.ring.size, 'every frame fits an empty ring');
    if (this.pendingCount + slots > this.pending.length) this.flush();
    try {
      // Where there are too few, the front end is asked to signal once there are enough.
      const isEnough = this.ring.unconsumedRequests() >= slots;
      if (!isEnough && !this.ring.checkForMoreThan(slots - 1)) return false;
    } catch (error) {
      this.fail(error);
      return true;
    }
    const first = this.takeSlot(NETRXF_more_data | firstFlags(frame));
    first.packetBytes = frame.bytes.length;
    this.addCopy(first, frame, 0, firstBytes);
    if (frame.gso !== undefined) {
      this.extraWriter.writeGso(frame.gso, hash !== undefined);
      this.addExtra();
    }
    if (hash !== undefined) {
      this.extraWriter.writeHash(hash, false);
      this.addExtra();
    }
    if (frame.gso !== undefined || hash !== undefined) first.flags |= NETRXF_extra_info;
    const last = rest === undefined ? this.placeFurther(first, frame) : this.placeRest(first, rest);
    last.flags &= ~NETRXF_more_data;
    this.requestsSeen = this.ring.unconsumedRequests();
    this.blockedSince_ms = undefined;
    return true;
  }

  /** Puts what does not fit the first slot into others. Returns the last of all. */
  private placeFurther(first: PendingResponse, frame: Frame): PendingResponse {
    let last = first;
    for (let at = first.length; at < frame.bytes.length; at += last.length) {
      last = this.takeSlot(NETRXF_more_data);
      this.addCopy(last, frame, at, PAGE_SIZE - this.headroom);
    }
    return last;
  }

  /** The same, from page to page. */
  private placeRest(first: PendingResponse, { peer, count, fragments }: GrantedRest) {
    let last = first;
    for (let index = 0; index < count; index++) {
      const { ref, offset, length } = fragments[index]!;
      last = this.takeSlot(NETRXF_more_data);
      last.length = length;
      const own = grantRef(this.request.gref);
      const { copies, parts, headroom } = this;
      last.copy = copies.between(peer, ref, offset, parts.peer, own, headroom, length);
    }
    return last;
  }

  private takeSlot(flags: number): PendingResponse {
    this.ring.takeRequest(this.requestBytes);
    const pending = this.pending[this.pendingCount++]!;
    pending.id = this.request.id;
    pending.flags = flags;
    pending.length = 0;
    pending.copy = -1;
    pending.packetBytes = 0;
    return pending;
  }

  /** Copies so many bytes, if there are, into the page of the request taken last. */
  private addCopy(slot: PendingResponse, { bytes }: Frame, at: number, count: number): void {
    const ref = grantRef(this.request.gref);
    slot.length = Math.min(count, bytes.length - at);
    slot.copy = this.copies.toPeer(this.parts.peer, ref, this.headroom, bytes, at, slot.length);
  }

  /** Adds what `extraWriter` has written. */
  private addExtra(): void {
    this.takeSlot(0).extra.set(this.extraBytes);
  }

  private respond(slot: PendingResponse): void {
    if (slot.copy < 0) {
      this.ring.stageResponse(slot.extra);
      return;
    }
    const isCopied = this.copies.status(slot.copy) === 0;
    this.response.id = slot.id;
    this.response.offset = this.headroom;
    this.response.flags = slot.flags;
    this.response.status = isCopied ? slot.length : NETIF_RSP_ERROR;
    this.ring.stageResponse(this.responseBytes);
  }

  /** A packet arrives when all of its slots do. */
  private countPackets(): void {
    const { sent } = this.parts.counts;
    for (let index = 0; index < this.pendingCount; ) {
      const bytes = this.pending[index]!.packetBytes;
      let isWhole = true;
      do {
        const { copy } = this.pending[index++]!;
        if (copy >= 0 && this.copies.status(copy) !== 0) isWhole = false;
      } while (index < this.pendingCount && this.pending[index]!.packetBytes === 0);
      if (isWhole) {
        sent.frames++;
        sent.bytes += bytes;
      } else {
        sent.dropped.refused++;
      }
    }
  }

  /** Keeps a copy of the frame; false when there is no room for it. */
  private wait(frame: Frame, hash: FrameHash | undefined): boolean {
    const { clock } = this.parts;
    this.blockedSince_ms ??= clock.now_ms();
    this.timer ??= clock.after(this.watchInterval_ms, () => this.look());
    if (this.waitingBytes + waitingBytes(frame) > WAITING_BYTES_MAX) {
      this.refusedRoom = true;
      return false;
    }
    this.waiting.push({
      frame: { ...frame, bytes: frame.bytes.slice() },
      hash,
      since_ms: clock.now_ms(),
    });
    this.waitingBytes += waitingBytes(frame);
    return true;
  }

  private placeWaiting(): void {
    let placed = 0;
    while (placed < this.waiting.length && !this.stopped) {
      const { frame, hash } = this.waiting[placed]!;
      if (!this.place(frame, hash)) break;
      placed++;
    }
    if (this.stopped) return;
    this.flush();
    this.forget(placed);
  }

  /** Lets go of the first `count` frames that wait. */
  private forget(count: number): void {
    if (count === 0) return;
    for (const { frame } of this.waiting.splice(0, count)) this.waitingBytes -= waitingBytes(frame);
    if (!this.refusedRoom) return;
    this.refusedRoom = false;
    this.parts.onRoom();
  }

  private get watchInterval_ms(): number {
    return this.parts.signalsOffers ? WATCH_MS : POLL_MS;
  }

  /** Looks after frames that wait, from time to time. */
  private look(): void {
    this.timer = undefined;
    try {
      this.takeOffers();
      this.dropExpired();
    } catch (error) {
      this.fail(error);
    }
    const polls = this.stalled && !this.parts.signalsOffers;
    if (this.stopped || (this.blockedSince_ms === undefined && !polls)) return;
    // Who was told of room may have sent frames that wait, and so has set it already.
    this.timer ??= this.parts.clock.after(this.watchInterval_ms, () => this.look());
  }

  private dropExpired(): void {
    const now_ms = this.parts.clock.now_ms();
    let expired = 0;
    while ((this.waiting[expired]?.since_ms ?? now_ms) <= now_ms - EXPIRY_MS) expired++;
    this.parts.counts.sent.dropped.expired += expired;
    this.forget(expired);
    if (now_ms - (this.blockedSince_ms ?? now_ms) >= STALL_MS) this.stall();
  }

  private stall(): void {
    this.blockedSince_ms = undefined;
    this.stalled = true;
    this.dropWaiting();
    this.parts.onStall();
    // What the guest offers is too little for any frame; only more of it counts.
    this.requestsSeen = this.ring.unconsumedRequests();
    if (this.ring.checkForMoreThan(this.requestsSeen)) this.recover();
  }

  private recover(): void {
    this.stalled = false;
    this.parts.onStall();
  }

  private dropWaiting(): void {
    this.parts.counts.sent.dropped.expired += this.waiting.length;
    this.waiting = [];
    this.waitingBytes = 0;
  }
}

const waitingBytes = ({ bytes }: Frame) => Math.max(bytes.length, WAITING_FRAME_BYTES_MIN);

function firstFlags({ checksum }: Frame): number {
  if (checksum === 'blank') return NETRXF_csum_blank | NETRXF_data_validated;
  return checksum === 'validated' ? NETRXF_data_validated : 0;
}
