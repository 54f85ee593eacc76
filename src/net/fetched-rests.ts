/** Which frames of a batch are left in their sender's pages but for their headers, and how the rest of them comes. */
import { type DomId, grantRef } from '../base/ids.ts';
import type { CopyBatch, GrantTable } from '../hypervisor/contract.ts';
import type { BackPacket } from './back-packet.ts';
import type { GrantedFragment, GrantedRest } from './frame.ts';
import { type ArenaFrame, BATCH_FRAMES_MAX } from './frame-arena.ts';

/** Batches that come as a whole after one whose rests were fetched: where they go, more will. */
const WHOLE_BATCHES = 32;

interface KeptFragment extends GrantedFragment {
  ref: GrantedFragment['ref'];
  offset: number;
  length: number;
}

class FrameRest implements GrantedRest {
  readonly peer: DomId;
  from = 0;
  count = 0;
  readonly fragments: KeptFragment[] = [];
  readonly fetch: () => void;
  frame: ArenaFrame | undefined;
  packetNumber = 0;

  constructor(peer: DomId, fetch: () => void) {
    this.peer = peer;
    this.fetch = fetch;
  }

  /** All but the first of the packet's fragments. */
  take({ fragments, fragmentCount }: BackPacket): void {
    this.from = fragments[0]!.length;
    this.count = 0;
    for (let index = 1; index < fragmentCount; index++) {
      const { ref, offset, length } = fragments[index]!;
      if (length === 0) continue;
      const kept = this.fragmentAt(this.count++);
      kept.ref = ref;
      kept.offset = offset;
      kept.length = length;
    }
  }

  private fragmentAt(index: number): KeptFragment {
    this.fragments[index] ??= { ref: grantRef(0), offset: 0, length: 0 };
    return this.fragments[index];
  }
}

/** Told of a packet whose rest Xen has not copied, with the status. */
export type RestRefused = (packetNumber: number, status: number) => void;

export class FetchedRests {
  private readonly peer: DomId;
  private readonly copies: CopyBatch;
  private readonly onRefused: RestRefused;
  private readonly made: FrameRest[] = [];
  private count = 0;
  private wholeBatches = 0;

  /** @param slots of a batch at most */
  constructor(peer: DomId, grants: GrantTable, slots: number, onRefused: RestRefused) {
    this.peer = peer;
    this.copies = grants.copyBatch(slots);
    this.onRefused = onRefused;
  }

  /** Whether frames of this batch are to be left. */
  get pays(): boolean {
    return this.wholeBatches === 0 && this.count < BATCH_FRAMES_MAX;
  }

  /**
   * The packet's first fragment comes into the frame by a copy of its own; the others are left.
   * @param packetNumber for `onRefused`
   */
  leave(frame: ArenaFrame, packet: BackPacket, packetNumber: number): void {
    this.made[this.count] ??= new FrameRest(this.peer, () => this.fetch());
    const rest = this.made[this.count++]!;
    rest.frame = frame;
    rest.packetNumber = packetNumber;
    rest.take(packet);
    frame.rest = rest;
  }

  /** Has all of them come. */
  fetch(): void {
    const { made, count, copies } = this;
    if (count === 0) return;
    this.count = 0;
    this.wholeBatches = WHOLE_BATCHES;
    for (let index = 0; index < count; index++) this.addCopies(made[index]!);
    copies.run();
    let copy = 0;
    for (let index = 0; index < count; index++) {
      const rest = made[index]!;
      const end = copy + rest.count;
      while (copy < end && copies.status(copy) === 0) copy++;
      if (copy < end) this.cut(rest, copies.status(copy));
      copy = end;
    }
  }

  /** The batch is over. */
  clear(): void {
    this.count = 0;
    if (this.wholeBatches > 0) this.wholeBatches--;
  }

  private addCopies({ frame, fragments, count, from }: FrameRest): void {
    const { bytes } = frame!;
    frame!.rest = undefined;
    let at = from;
    for (let index = 0; index < count; index++) {
      const { ref, offset, length } = fragments[index]!;
      this.copies.fromPeer(this.peer, ref, offset, bytes, at, length);
      at += length;
    }
  }

  private cut({ frame, from, packetNumber }: FrameRest, status: number): void {
    frame!.bytes = frame!.bytes.subarray(0, from);
    this.onRefused(packetNumber, status);
  }
}
