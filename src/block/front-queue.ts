/** One ring of a block front end: puts jobs into it as requests and takes the responses out. */
import {
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_DISCARD,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_OKAY,
  BlkifRequestSegment,
} from '../abi/io/blkif.ts';
import type { Clock } from '../base/clock.ts';
import { ProtocolViolation, XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import {
  type EventChannel,
  type Hypervisor,
  PAGE_SIZE,
  type SharedPages,
} from '../hypervisor/contract.ts';
import { copyBytes, type FrontPage, type FrontPages } from '../ring/front-pages.ts';
import { FrontRing } from '../ring/front-ring.ts';
import { SignalAllowance } from '../ring/signal-allowance.ts';
import { SECTOR_SIZE } from './block-device.ts';
import type { FrontJob } from './front-job.ts';
import { x86_64 } from './protocol.ts';

const SECTORS_PER_PAGE = PAGE_SIZE / SECTOR_SIZE;
const SEGMENT_SIZE = BlkifRequestSegment.size;

export interface FrontQueueParts {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  readonly peer: DomId;
  /** Pages of the ring: 2 to this power. */
  readonly ringPageOrder: number;
  /** For the data of requests; shared with the other queues of the device. */
  readonly pages: FrontPages;
  /** There is room for more. */
  readonly onRoom: () => void;
  /** The back end broke a rule: the device is over. */
  readonly onViolation: (error: unknown) => void;
}

/** A request under way. */
interface Slot {
  readonly id: number;
  job: FrontJob | undefined;
  /** The pages of its data, and after them the one with the segments of an indirect request. */
  readonly pages: FrontPage[];
}

export class FrontQueue {
  private readonly parts: FrontQueueParts;
  private readonly ringPages: SharedPages;
  private readonly channel: EventChannel;
  private readonly allowance: SignalAllowance;
  private readonly ring: FrontRing;
  private readonly slots: readonly Slot[];
  private readonly free: Slot[];
  private failed = false;
  private readonly requestBytes = new Uint8Array(x86_64.request.size);
  private readonly responseBytes = new Uint8Array(x86_64.response.size);
  private readonly request = x86_64.request.view(this.requestBytes);
  private readonly discard = x86_64.discard.view(this.requestBytes);
  private readonly indirect = x86_64.indirect.view(this.requestBytes);
  private readonly segment = BlkifRequestSegment.view(this.requestBytes);
  private readonly response = x86_64.response.view(this.responseBytes);

  /** Shares a ring with the back end. Throws ENOSPC when this domain cannot. */
  constructor(parts: FrontQueueParts) {
    const { grants, events } = parts.hypervisor;
    this.parts = parts;
    this.ringPages = grants.share(parts.peer, 2 ** parts.ringPageOrder, 'read-write');
    try {
      this.channel = events.allocateUnbound(parts.peer);
    } catch (error) {
      this.ringPages.close();
      throw error;
    }
    this.allowance = new SignalAllowance(this.channel, parts.clock);
    this.ring = new FrontRing(this.ringPages.bytes, x86_64);
    this.slots = Array.from({ length: this.ring.size }, (_, id) => ({
      id,
      job: undefined,
      pages: [],
    }));
    this.free = [...this.slots];
    this.channel.onEvent(() => this.signalled());
  }

  /** Where the back end finds the ring; all keys begin with `prefix`. */
  keys(prefix: string): Record<string, string> {
    const { refs } = this.ringPages;
    const keys: Record<string, string> = { [`${prefix}event-channel`]: String(this.channel.port) };
    refs.forEach((ref, page) => {
      keys[`${prefix}ring-ref${refs.length === 1 ? '' : page}`] = String(ref);
    });
    return keys;
  }

  /** Puts the job into the ring; false when there is no room. The back end hears of it by `push`. */
  put(job: FrontJob): boolean {
    const slot = this.free[this.free.length - 1];
    if (this.failed || slot === undefined || this.ring.free === 0) return false;
    if (!this.parts.pages.take(pagesFor(job), slot.pages)) return false;
    this.free.pop();
    slot.job = job;
    this.requestBytes.fill(0);
    this.request.operation = job.operation;
    if (job.operation === BLKIF_OP_DISCARD) {
      this.discard.nr_sectors = job.length / SECTOR_SIZE;
    } else if (job.length > 0) {
      if (job.operation === BLKIF_OP_WRITE) copyBytes(job.buffers, dataPages(slot, job));
      this.putSegments(slot, job);
    }
    // The fields that follow stand at the same place in every kind of request.
    this.request.id = BigInt(slot.id);
    this.request.sector_number = job.position / SECTOR_SIZE;
    this.ring.putRequest(this.requestBytes);
    return true;
  }

  /** Publishes what was put. */
  push(): void {
    if (!this.failed && this.ring.pushRequests()) this.channel.notify();
  }

  /** Lets go of the ring. Returns the jobs that were not answered. */
  close(): FrontJob[] {
    this.failed = true;
    this.channel.close();
    this.ringPages.close();
    const jobs: FrontJob[] = [];
    for (const slot of this.slots) {
      if (slot.job !== undefined) jobs.push(slot.job);
      slot.job = undefined;
      slot.pages.length = 0;
    }
    return jobs;
  }

  private putSegments(slot: Slot, job: FrontJob): void {
    const count = Math.ceil(job.length / PAGE_SIZE);
    if (count <= BLKIF_MAX_SEGMENTS_PER_REQUEST) {
      this.request.nr_segments = count;
      for (let index = 0; index < count; index++) {
        this.segment.moveTo(x86_64.request.offset.seg + index * SEGMENT_SIZE);
        fillSegment(this.segment, slot.pages[index]!, job, index);
      }
      return;
    }
    const list = slot.pages[count]!;
    const segment = BlkifRequestSegment.view(list.bytes);
    for (let index = 0; index < count; index++) {
      segment.moveTo(index * SEGMENT_SIZE);
      fillSegment(segment, slot.pages[index]!, job, index);
    }
    this.indirect.operation = BLKIF_OP_INDIRECT;
    this.indirect.indirect_op = job.operation;
    this.indirect.nr_segments = count;
    const grefs = new Array<number>(this.indirect.indirect_grefs.length).fill(0);
    grefs[0] = list.ref;
    this.indirect.indirect_grefs = grefs;
  }

  private signalled(): void {
    if (this.failed) return;
    let taken = 0;
    try {
      do {
        for (let count = this.ring.unconsumedResponses(); count > 0; count--, taken++) {
          this.takeResponse();
        }
      } while (this.ring.finalCheckForResponses());
    } catch (error) {
      this.failed = true;
      this.parts.onViolation(error);
      return;
    }
    this.allowance.spend(taken === 0);
    if (taken > 0) this.parts.onRoom();
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
    if (status === BLKIF_RSP_OKAY && job.operation === BLKIF_OP_READ) {
      copyBytes(dataPages(slot, job), job.buffers);
    }
    slot.job = undefined;
    this.parts.pages.give(slot.pages);
    this.free.push(slot);
    job.done(status === BLKIF_RSP_OKAY ? undefined : refusal(job, status));
  }
}

/** Pages that a request for the job takes. */
function pagesFor(job: FrontJob): number {
  if (job.operation === BLKIF_OP_DISCARD) return 0;
  const data = Math.ceil(job.length / PAGE_SIZE);
  return data > BLKIF_MAX_SEGMENTS_PER_REQUEST ? data + 1 : data;
}

function dataPages(slot: Slot, job: FrontJob): Uint8Array[] {
  const count = Math.ceil(job.length / PAGE_SIZE);
  return slot.pages.slice(0, count).map(({ bytes }) => bytes);
}

function fillSegment(
  segment: { gref: number; first_sect: number; last_sect: number },
  page: FrontPage,
  job: FrontJob,
  index: number,
): void {
  const sectors = job.length / SECTOR_SIZE - index * SECTORS_PER_PAGE;
  segment.gref = page.ref;
  segment.first_sect = 0;
  segment.last_sect = Math.min(sectors, SECTORS_PER_PAGE) - 1;
}

function refusal(job: FrontJob, status: number): XenError {
  const code = status === BLKIF_RSP_EOPNOTSUPP ? 'ENOTSUP' : 'EIO';
  const operation = `block operation ${job.operation} at byte ${job.position}`;
  return new XenError(code, operation, `the back end answered ${status}`);
}
