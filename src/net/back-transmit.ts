/**
 * What a guest transmits: takes packets from one ring, fetches them by one batch of grant copies,
 * hands them on together and answers them together.
 *
 * The answer comes last: when this process is killed before, the next one finds the packets in the
 * ring and hands them on, perhaps a second time. A network may do that.
 */
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NetifTxRequest,
  NetifTxResponse,
} from '../abi/io/netif.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import {
  type CopyBatch,
  type EventChannel,
  type GrantTable,
  PAGE_SIZE,
} from '../hypervisor/contract.ts';
import { BackRing } from '../ring/back-ring.ts';
import { BackPacket } from './back-packet.ts';
import { BegunBatch, type FinishSlot } from './begun-batch.ts';
import { FetchedRests } from './fetched-rests.ts';
import {
  ETHERNET_HEADER_BYTES,
  FRAME_OVERHEAD_BYTES,
  type Frame,
  type GrantedRest,
} from './frame.ts';
import { ARENA_BYTES, BATCH_FRAMES_MAX, FrameArena } from './frame-arena.ts';
import type { MulticastFilter } from './multicast-filter.ts';
import type { InterfaceCounts } from './network-interface.ts';
import { blankSegments, isConsistent } from './offloads.ts';
import { PacketHeaders } from './packet-headers.ts';
import type { TokenBucket } from './token-bucket.ts';

const transmitMessages = { request: NetifTxRequest, response: NetifTxResponse };

/** The id of a request stays where it is when the response takes the beginning of the slot. */
export const finishTransmitSlot: FinishSlot = (slot, isExtra) => {
  const { id } = NetifTxRequest.view(slot);
  const response = NetifTxResponse.view(slot);
  response.id = id;
  response.status = isExtra ? NETIF_RSP_NULL : NETIF_RSP_OKAY;
};

/** Batches in a row before other events have their turn. */
const BATCHES_MAX = 4;

export interface BackTransmitParts {
  /** The ring's page. */
  readonly memory: Uint8Array;
  readonly channel: EventChannel;
  readonly grants: GrantTable;
  readonly peer: DomId;
  readonly clock: Clock;
  readonly log: Log;
  readonly mtu: number;
  /** How much the guest may send; one for all of its queues. */
  readonly bucket: TokenBucket;
  readonly multicast: MulticastFilter;
  readonly counts: InterfaceCounts;
  /** Whether these may have a rest. */
  readonly leavesRests: () => boolean;
  /** Called with the frames of each batch. */
  readonly onFrames: (frames: readonly Frame[]) => void;
  /** The front end broke a rule of the ring: nothing more is taken. */
  readonly onViolation: (error: unknown) => void;
}

/** Of smaller frames, which are few copies, all is fetched at once. */
const REST_FRAME_BYTES_MIN = 2 * PAGE_SIZE;

const copyRefused = (status: number) =>
  new XenError('EINVAL', 'copy a packet', `Xen refused with ${status}`);
const inconsistent = () =>
  new XenError('EINVAL', 'read a packet', 'it has no checksum or no segments');

/** What is to be answered for one packet. */
interface Answer {
  slotCount: number;
  /** Its copies in the batch. */
  copyStart: number;
  copyEnd: number;
  /** Its number in the arena; -1 for one that is not handed on. */
  frame: number;
  refusal: unknown;
}

export class BackTransmit {
  private readonly parts: BackTransmitParts;
  private readonly begun: BegunBatch;
  private readonly ring: BackRing;
  private readonly packet = new BackPacket();
  private readonly arena: FrameArena;
  private readonly copies: CopyBatch;
  private readonly rests: FetchedRests;
  private readonly headers = new PacketHeaders();
  private readonly answers: Answer[];
  private count = 0;
  /** The ids of all slots of the batch, packet after packet. */
  private readonly ids: Uint16Array;
  /** 1 for those that are extra infos. */
  private readonly isExtra: Uint8Array;
  private slotCount = 0;
  private stopped = false;
  private refusals = 0;
  /** More is there, and its time will come. */
  private later: Timer | undefined;
  private readonly responseBytes = new Uint8Array(NetifTxResponse.size);
  private readonly response = NetifTxResponse.view(this.responseBytes);

  constructor(parts: BackTransmitParts) {
    this.parts = parts;
    this.begun = new BegunBatch(parts.memory, transmitMessages, finishTransmitSlot);
    this.ring = new BackRing(parts.memory, transmitMessages);
    this.copies = parts.grants.copyBatch(this.ring.size);
    // That the rest of a packet cannot be had may be known only after it was handed on.
    this.rests = new FetchedRests(parts.peer, parts.grants, this.ring.size, (packet, status) =>
      this.refuse(this.answers[packet]!, copyRefused(status)),
    );
    this.arena = new FrameArena(parts.grants.copyMemory(ARENA_BYTES));
    this.ids = new Uint16Array(this.ring.size);
    this.isExtra = new Uint8Array(this.ring.size);
    this.answers = Array.from({ length: this.ring.size }, () => ({
      slotCount: 0,
      copyStart: 0,
      copyEnd: 0,
      frame: -1,
      refusal: undefined,
    }));
  }

  /** The channel was signalled. Returns whether anything had come. */
  serve(): boolean {
    // While more is to be taken later, the front end was not asked to signal.
    if (this.stopped || this.later !== undefined) return false;
    return this.takeTurn() > 0;
  }

  /** Whoever waits for the bucket of old looks again. */
  rateChanged(): void {
    if (this.stopped || this.later === undefined) return;
    this.later.cancel();
    this.later = undefined;
    this.takeTurn();
  }

  /** Takes nothing more. What was taken is answered. */
  close(): void {
    this.stopped = true;
    this.later?.cancel();
  }

  /** Returns how many packets came. */
  private takeTurn(): number {
    let packets = 0;
    let delay_ms: number | undefined = 0;
    for (let batches = 0; delay_ms === 0 && batches < BATCHES_MAX; batches++) {
      try {
        delay_ms = this.collect();
      } catch (error) {
        this.stopped = true;
        this.parts.onViolation(error);
        delay_ms = undefined;
      }
      packets += this.count;
      this.finish();
    }
    if (delay_ms !== undefined && !this.stopped) {
      this.later = this.parts.clock.after(delay_ms, () => {
        this.later = undefined;
        this.takeTurn();
      });
    }
    return packets;
  }

  /**
   * Takes packets until there is no more, or no room for more. Returns in how many milliseconds
   * there will be more to take, undefined when the front end is to say so.
   */
  private collect(): number | undefined {
    const { bucket } = this.parts;
    for (let available = this.ring.unconsumedRequests(); ; ) {
      if (available === 0) {
        if (!this.ring.finalCheckForRequests()) return undefined;
        available = this.ring.unconsumedRequests();
      }
      if (!this.arena.hasRoom || this.count >= BATCH_FRAMES_MAX) return 0;
      const wait_ms = bucket.wait_ms();
      if (wait_ms > 0) return wait_ms;
      const refusal = this.packet.take(this.ring, available);
      available -= this.packet.slotCount;
      this.accept(refusal);
      bucket.spend(this.packet.length);
    }
  }

  private accept(refusal: unknown): void {
    const { packet, copies } = this;
    const answer = this.answers[this.count++]!;
    answer.slotCount = packet.slotCount;
    answer.copyStart = copies.length;
    answer.frame = -1;
    answer.refusal = undefined;
    for (let slot = 0; slot < packet.slotCount; slot++) {
      this.ids[this.slotCount] = packet.ids[slot]!;
      // Extra infos stand right after the first slot of their packet.
      this.isExtra[this.slotCount++] = slot > 0 && slot <= packet.extraCount ? 1 : 0;
    }
    if (refusal !== undefined) this.refuse(answer, refusal);
    else if (packet.extras.joined !== undefined || packet.extras.left !== undefined) {
      this.changeFilter(answer);
    } else if (this.fetches) {
      answer.frame = this.arena.frames.length;
      this.addCopies();
    }
    answer.copyEnd = copies.length;
  }

  /** A packet with a change of the filter is no packet: the change is all that counts. */
  private changeFilter(answer: Answer): void {
    const { multicast } = this.parts;
    const { joined, left } = this.packet.extras;
    if (left !== undefined) multicast.leave(left);
    if (joined === undefined || multicast.join(joined)) return;
    this.refuse(answer, new XenError('ENOSPC', 'join a multicast group', 'there are too many'));
  }

  /** Whether the packet is not too long: only one that stands for several may be longer. */
  private get fetches(): boolean {
    const { packet, parts } = this;
    if (packet.extras.gso !== undefined || packet.length <= parts.mtu + FRAME_OVERHEAD_BYTES) {
      return true;
    }
    parts.counts.received.dropped.length++;
    return false;
  }

  private addCopies(): void {
    const { packet, copies } = this;
    const frame = this.arena.add(packet.length, packet.pageOffset);
    frame.checksum = packet.checksum;
    frame.gso = packet.extras.gso;
    frame.hash = packet.extras.hash;
    const leavesRest = this.leavesRest;
    if (leavesRest) this.rests.leave(frame, packet, this.count - 1);
    const count = leavesRest ? 1 : packet.fragmentCount;
    let at = 0;
    for (let index = 0; index < count; index++) {
      const { ref, offset, length } = packet.fragments[index]!;
      // Nothing is asked of Xen for a slot without bytes, which may name any grant.
      if (length === 0) continue;
      copies.fromPeer(this.parts.peer, ref, offset, frame.bytes, at, length);
      at += length;
    }
  }

  /** Only where the first fragment may well have all headers, and there is enough behind it to be worth it. */
  private get leavesRest(): boolean {
    const { packet, parts } = this;
    if (packet.extras.gso === undefined || packet.length < REST_FRAME_BYTES_MIN) return false;
    if (packet.fragments[0]!.length < ETHERNET_HEADER_BYTES) return false;
    return this.rests.pays && parts.leavesRests();
  }

  private finish(): void {
    if (this.count === 0) return;
    if (this.copies.length > 0) this.copies.run();
    for (let index = 0; index < this.count; index++) this.checkCopied(this.answers[index]!);
    for (let index = 0; index < this.count; index++) this.checkFrame(this.answers[index]!);
    this.deliver();
    this.respond();
    this.rests.clear();
    this.arena.clear();
    this.count = 0;
    this.slotCount = 0;
  }

  /** Refuses a packet whose copies failed. */
  private checkCopied(answer: Answer): void {
    for (let copy = answer.copyStart; copy < answer.copyEnd; copy++) {
      const status = this.copies.status(copy);
      if (status !== 0) this.refuse(answer, copyRefused(status));
    }
  }

  /** Refuses a packet that is not what it says. */
  private checkFrame(answer: Answer): void {
    if (answer.refusal !== undefined || answer.frame < 0) return;
    const { headers } = this;
    const frame = this.arena.frames[answer.frame]!;
    if (frame.checksum !== 'blank' && frame.gso === undefined) return;
    headers.locate(frame.bytes);
    if (frame.rest !== undefined && !this.hasHeaders(frame, frame.rest)) {
      frame.rest.fetch();
      // Its rest may have been refused.
      if (answer.refusal !== undefined) return;
      headers.locate(frame.bytes);
    }
    if (isConsistent(frame, headers)) blankSegments(frame, headers);
    else this.refuse(answer, inconsistent());
  }

  /**
   * Whether the headers lie within what has come. `headers` may have been misled by what has not, but
   * then they end there.
   */
  private hasHeaders(frame: Frame, rest: GrantedRest): boolean {
    const { headers } = this;
    return isConsistent(frame, headers) && headers.tcpPayload(frame.bytes) <= rest.from;
  }

  /** The packet will be answered by an error. */
  private refuse(answer: Answer, refusal: unknown): void {
    if (answer.refusal !== undefined) return;
    answer.refusal = refusal;
    const { counts, log } = this.parts;
    counts.received.dropped.malformed++;
    // Logged as a warning once for each queue: a front end must not fill the host's log.
    const level = this.refusals++ === 0 ? 'warn' : 'debug';
    log[level]('packet refused', { error: errorMessage(refusal) });
  }

  private deliver(): void {
    const { arena, answers, parts } = this;
    let answer = 0;
    arena.retain((index) => {
      while (answers[answer]!.frame !== index) answer++;
      return answers[answer]!.refusal === undefined;
    });
    if (arena.frames.length === 0) return;
    const { received } = parts.counts;
    for (const { bytes } of arena.frames) received.bytes += bytes.length;
    received.frames += arena.frames.length;
    parts.onFrames(arena.frames);
  }

  private respond(): void {
    let slot = 0;
    this.begun.note(this.slotCount, (index) => this.isExtra[index] === 1);
    for (let index = 0; index < this.count; index++) {
      const { slotCount, refusal } = this.answers[index]!;
      const status = refusal === undefined ? NETIF_RSP_OKAY : NETIF_RSP_ERROR;
      for (let part = 0; part < slotCount; part++, slot++) {
        this.response.id = this.ids[slot]!;
        this.response.status = this.isExtra[slot] === 1 ? NETIF_RSP_NULL : status;
        this.ring.stageResponse(this.responseBytes);
      }
    }
    this.ring.publishResponses();
    if (this.ring.wantsNotification()) this.parts.channel.notify();
  }
}
