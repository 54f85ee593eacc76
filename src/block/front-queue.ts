/** One ring of a block front end: requests wait in order until a slot of the ring is free. */
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_OKAY,
  BlkifRequestSegment,
} from '../abi/io/blkif.ts';
import { ProtocolViolation, XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import {
  type EventChannel,
  type Hypervisor,
  PAGE_SIZE,
  type SharedPages,
} from '../hypervisor/contract.ts';
import { FrontRing } from '../ring/front-ring.ts';
import { SECTOR_SIZE } from './block-device.ts';
import { type FrontJob, FrontSlot } from './front-slot.ts';
import { x86_64 } from './protocol.ts';

const SECTORS_PER_PAGE = PAGE_SIZE / SECTOR_SIZE;

export interface FrontQueueParts {
  readonly hypervisor: Hypervisor;
  readonly peer: DomId;
  /** The back end broke a rule, or this domain has no more pages to share: the device is over. */
  readonly onFailure: (error: unknown) => void;
}

export class FrontQueue {
  private readonly parts: FrontQueueParts;
  private readonly ringPages: SharedPages;
  private readonly channel: EventChannel;
  private readonly ring: FrontRing;
  private readonly slots: readonly FrontSlot[];
  private readonly free: FrontSlot[];
  private readonly waiting: FrontJob[] = [];
  private failed = false;
  private readonly requestBytes = new Uint8Array(x86_64.request.size);
  private readonly responseBytes = new Uint8Array(x86_64.response.size);
  private readonly request = x86_64.request.view(this.requestBytes);
  private readonly discard = x86_64.discard.view(this.requestBytes);
  private readonly segment = BlkifRequestSegment.view(this.requestBytes);
  private readonly response = x86_64.response.view(this.responseBytes);

  /** Shares a ring with the back end. Throws ENOSPC when this domain cannot. */
  constructor(parts: FrontQueueParts) {
    const { grants, events } = parts.hypervisor;
    this.parts = parts;
    this.ringPages = grants.share(parts.peer, 1, 'read-write');
    try {
      this.channel = events.allocateUnbound(parts.peer);
    } catch (error) {
      this.ringPages.close();
      throw error;
    }
    this.ring = new FrontRing(this.ringPages.bytes, x86_64);
    this.slots = Array.from({ length: this.ring.size }, (_, id) => new FrontSlot(id));
    this.free = [...this.slots];
    this.channel.onEvent(() => this.signalled());
  }

  /** Where the back end finds the ring. */
  get keys(): Record<string, string> {
    return {
      'ring-ref': String(this.ringPages.refs[0]),
      'event-channel': String(this.channel.port),
    };
  }

  /** Has the job done; its `resolve` or `reject` is called when it is. */
  submit(job: FrontJob): void {
    this.waiting.push(job);
    this.pushWaiting();
  }

  /** Lets go of the ring; what is under way is rejected. */
  close(error: XenError): void {
    this.failed = true;
    this.channel.close();
    for (const slot of this.slots) {
      slot.job?.reject(error);
      slot.job = undefined;
      slot.close();
    }
    for (const job of this.waiting.splice(0)) job.reject(error);
    this.ringPages.close();
  }

  private pushWaiting(): void {
    if (this.failed || this.waiting.length === 0) return;
    try {
      while (this.waiting.length > 0 && this.free.length > 0 && this.ring.free > 0) {
        this.put(this.free.pop()!, this.waiting.shift()!);
      }
      if (this.ring.pushRequests()) this.channel.notify();
    } catch (error) {
      this.fail(error);
    }
  }

  private put(slot: FrontSlot, job: FrontJob): void {
    slot.job = job;
    this.requestBytes.fill(0);
    if (job.operation === BLKIF_OP_DISCARD) {
      this.discard.nr_sectors = job.length / SECTOR_SIZE;
    } else if (job.length > 0) {
      this.putSegments(slot, job);
    }
    this.request.operation = job.operation;
    this.request.id = BigInt(slot.id);
    this.request.sector_number = job.position / SECTOR_SIZE;
    this.ring.putRequest(this.requestBytes);
  }

  private putSegments(slot: FrontSlot, job: FrontJob): void {
    const pages = slot.pages(this.parts.hypervisor.grants, this.parts.peer);
    if (job.operation === BLKIF_OP_WRITE) slot.fill(job, pages);
    const count = Math.ceil(job.length / PAGE_SIZE);
    this.request.nr_segments = count;
    for (let index = 0; index < count; index++) {
      this.segment.moveTo(x86_64.request.offset.seg + index * BlkifRequestSegment.size);
      const sectors = job.length / SECTOR_SIZE - index * SECTORS_PER_PAGE;
      this.segment.gref = pages.refs[index]!;
      this.segment.first_sect = 0;
      this.segment.last_sect = Math.min(sectors, SECTORS_PER_PAGE) - 1;
    }
  }

  private signalled(): void {
    if (this.failed) return;
    try {
      do {
        for (let count = this.ring.unconsumedResponses(); count > 0; count--) this.takeResponse();
      } while (this.ring.finalCheckForResponses());
    } catch (error) {
      this.fail(error);
    }
    this.pushWaiting();
  }

  private takeResponse(): void {
    this.ring.takeResponse(this.responseBytes);
    const { id, status } = this.response;
    const slot = id < this.slots.length ? this.slots[Number(id)] : undefined;
    const job = slot?.job;
    if (slot === undefined || job === undefined) {
      throw new ProtocolViolation(
        'read a block response',
        'blkif: a response has the id of a request under way',
        `id ${id}`,
      );
    }
    slot.job = undefined;
    this.free.push(slot);
    if (status !== BLKIF_RSP_OKAY) {
      const code = status === BLKIF_RSP_EOPNOTSUPP ? 'ENOTSUP' : 'EIO';
      const operation = `block operation ${job.operation} at byte ${job.position}`;
      job.reject(new XenError(code, operation, `the back end answered ${status}`));
      return;
    }
    if (job.operation === BLKIF_OP_READ) slot.drain(job);
    job.resolve();
  }

  private fail(error: unknown): void {
    this.failed = true;
    this.parts.onFailure(error);
  }
}
