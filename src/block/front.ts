/**
 * The block front end: another domain's disk as a `BlockDevice`. Requests beyond the rings wait in
 * order. When the back end closes the device and was not told to, or this domain is resumed
 * somewhere else, the front end begins anew and asks once more for all that was not answered; who
 * uses the disk sees a pause. The protocol is in xen/include/public/io/blkif.h.
 */
import {
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
} from '../abi/io/blkif.ts';
import { XEN_IO_PROTO_ABI_X86_64 } from '../abi/io/protocols.ts';
import type { Clock } from '../base/clock.ts';
import { errorCode, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Hypervisor, PAGE_SIZE } from '../hypervisor/contract.ts';
import { FrontPages } from '../ring/front-pages.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { readPeerFlag, readPeerNumber } from '../xenbus/key-number.ts';
import { LastingFront } from '../xenbus/lasting-front.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import type { BlockDevice, BlockDeviceInfo } from './block-device.ts';
import { byteLength } from './disk-layer.ts';
import { type BlockFeature, QUEUES_MAX, RING_PAGE_ORDER_MAX } from './features.ts';
import { readGeometry } from './front-geometry.ts';
import { type FrontJob, splitJob } from './front-job.ts';
import { FrontQueue } from './front-queue.ts';

/** Segments of an indirect request of ours: 128 KiB, which most back ends take. */
const INDIRECT_SEGMENTS = 32;
/** Half of the pages that Linux lets all programs of a domain share by default (xen-gntalloc's `limit`). */
const PAGES_MAX_DEFAULT = 512;
export interface BlockFrontOptions {
  /** Rings, if the back end takes so many; 1 unless given. */
  readonly queues?: number;
  /** Pages of a ring are 2 to this power, if the back end takes so many; 0 unless given. */
  readonly ringPageOrder?: number;
  /** Pages shared for data, all rings together. */
  readonly pagesMax?: number;
  /** What is not used, even if the back end offers it. */
  readonly without?: ReadonlySet<BlockFeature>;
}

export interface BlockFrontParts {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  readonly log: Log;
  /** The number of the virtual device: 51712 is xvda. */
  readonly devid: number;
  readonly options?: BlockFrontOptions;
}

export class BlockFront implements BlockDevice {
  private readonly parts: BlockFrontParts;
  private readonly without: ReadonlySet<BlockFeature>;
  private readonly device: LastingFront;
  private geometry: BlockDeviceInfo | undefined;
  private flushOperation: number | undefined;
  private pages: FrontPages | undefined;
  private queues: FrontQueue[] = [];
  /** The queue whose turn it is. */
  private turn = 0;
  private requestBytesMax = PAGE_SIZE;
  private connected = false;
  /** Jobs without a request, in the order in which they are asked. */
  private waiting: FrontJob[] = [];
  private jobs = 0;
  private nextOrder = 0;
  private idle: (() => void) | undefined;
  private resized = () => {};
  /** Why there is no disk any more. */
  private ended: XenError | undefined;

  private constructor(parts: BlockFrontParts) {
    this.parts = parts;
    this.without = parts.options?.without ?? new Set();
    const { hypervisor, xenstore, clock, log, devid } = parts;
    this.device = new LastingFront({
      xenstore,
      clock,
      log,
      hypervisor,
      type: 'vbd',
      devid,
      operation: 'use a disk',
      driver: {
        offer: (keys) => this.offer(keys),
        connect: (keys) => this.connectRings(keys),
        close: () => this.disconnect(),
      },
      onEnd: (reason) => this.end(reason),
    });
  }

  /** Connects to the disk. Rejects with ENOENT when there is none, ENODEV when its back end closed. */
  static async connect(parts: BlockFrontParts): Promise<BlockFront> {
    const front = new BlockFront(parts);
    await front.device.open();
    return front;
  }

  get info(): BlockDeviceInfo {
    if (this.geometry === undefined) throw new XenError('ENOTCONN', 'ask a disk for its size');
    return this.geometry;
  }

  read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    return this.submit(BLKIF_OP_READ, position, byteLength(targets), targets);
  }

  write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    return this.submit(BLKIF_OP_WRITE, position, byteLength(sources), sources);
  }

  async flush(): Promise<void> {
    // A back end that offers neither way has no cache to flush.
    if (this.flushOperation === undefined) return;
    try {
      await this.submit(this.flushOperation, 0, 0, []);
    } catch (error) {
      // So has one that knows the operation and not what to do.
      if (errorCode(error) !== 'ENOTSUP') throw error;
      this.flushOperation = undefined;
    }
  }

  async discard(position: number, length: number): Promise<void> {
    if (!this.info.discard) throw new XenError('ENOTSUP', 'discard', 'the back end cannot');
    await this.submit(BLKIF_OP_DISCARD, position, length, []);
  }

  /** The back end tells of a new size by itself. */
  async refresh(): Promise<void> {}

  onResize(handler: () => void): void {
    this.resized = handler;
  }

  /**
   * This domain was suspended and runs again, perhaps on another host: its back end knows nothing of
   * it. Resolves when the old rings are let go; what was not answered is asked again.
   */
  resume(): Promise<void> {
    return this.device.resume();
  }

  /** Waits for what is under way, and for the back end to let go. */
  close(): Promise<void> {
    return this.device.close(async () => {
      // Without a back end nothing would ever be answered.
      if (!this.connected || this.jobs === 0) return;
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
    });
  }

  private end(reason: XenError): void {
    this.ended ??= reason;
    for (const job of this.waiting.splice(0)) job.done(this.ended);
  }

  private submit(
    operation: number,
    position: number,
    length: number,
    buffers: readonly Uint8Array[],
  ): Promise<void> {
    if (this.ended !== undefined) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      const done = (error?: unknown) => {
        if (error === undefined) resolve();
        else reject(error);
        this.jobDone();
      };
      this.jobs++;
      const job = { operation, position, length, buffers, done, order: 0 };
      for (const part of splitJob(job, this.requestBytesMax)) {
        part.order = this.nextOrder++;
        this.waiting.push(part);
      }
      this.pushWaiting();
    });
  }

  private jobDone(): void {
    this.device.progress();
    this.jobs--;
    if (this.jobs === 0) this.idle?.();
  }

  /** Puts what waits into the rings, in turn, as far as there is room. */
  private pushWaiting(): void {
    if (!this.connected) return;
    let taken = 0;
    while (taken < this.waiting.length && this.put(this.waiting[taken]!)) taken++;
    this.waiting.splice(0, taken);
    for (const queue of this.queues) queue.push();
  }

  private put(job: FrontJob): boolean {
    for (let tries = 0; tries < this.queues.length; tries++) {
      this.turn = (this.turn + 1) % this.queues.length;
      if (this.queues[this.turn]!.put(job)) return true;
    }
    return false;
  }

  private async offer(keys: DeviceKeys): Promise<void> {
    const { hypervisor, clock, options = {} } = this.parts;
    const { peer } = keys;
    const { count, ringPageOrder } = await this.chooseRings(keys);
    const pagesMax = options.pagesMax ?? PAGES_MAX_DEFAULT;
    const pages = new FrontPages(hypervisor.grants, peer, pagesMax);
    this.pages = pages;
    for (let queue = 0; queue < count; queue++) {
      this.queues.push(
        new FrontQueue({
          hypervisor,
          clock,
          peer,
          ringPageOrder,
          pages,
          onRoom: () => this.pushWaiting(),
          onViolation: (error) => keys.fail(error),
        }),
      );
    }
    await keys.write({
      ...ringKeys(this.queues),
      ...(ringPageOrder > 0 ? { 'ring-page-order': String(ringPageOrder) } : {}),
      ...(count > 1 ? { 'multi-queue-num-queues': String(count) } : {}),
      protocol: XEN_IO_PROTO_ABI_X86_64,
      'feature-persistent': this.without.has('persistent') ? '0' : '1',
      // We count in units of 512 bytes, whatever the sectors measure.
      'feature-large-sector-size': '1',
    });
  }

  /** As many rings as both ends can do, and as large. */
  private async chooseRings(keys: DeviceKeys): Promise<{ count: number; ringPageOrder: number }> {
    const { queues = 1, ringPageOrder = 0 } = this.parts.options ?? {};
    const most = async (feature: BlockFeature, key: string, max: number) =>
      this.without.has(feature) ? 0 : ((await readPeerNumber(keys, key, max)) ?? 0);
    const orderMax = await most('multi-page', 'max-ring-page-order', 31);
    const queuesMax = await most('multi-queue', 'multi-queue-max-queues', 0xffff);
    return {
      count: Math.max(1, Math.min(queues, queuesMax, QUEUES_MAX)),
      ringPageOrder: Math.min(ringPageOrder, orderMax, RING_PAGE_ORDER_MAX),
    };
  }

  /** Called again while connected, when the back end announces a change: the size is all that can. */
  private async connectRings(keys: DeviceKeys): Promise<void> {
    const before = this.geometry;
    const geometry = await readGeometry(keys);
    this.geometry = { ...geometry, discard: geometry.discard && !this.without.has('discard') };
    if (!this.connected) await this.beginUse(keys);
    if (before !== undefined && before.size !== geometry.size) this.resized();
  }

  private async beginUse(keys: DeviceKeys): Promise<void> {
    const offers = async (feature: BlockFeature, key: string) =>
      !this.without.has(feature) && (await readPeerFlag(keys, key));
    if (await offers('flush', 'feature-flush-cache'))
      this.flushOperation = BLKIF_OP_FLUSH_DISKCACHE;
    else if (await offers('barrier', 'feature-barrier'))
      this.flushOperation = BLKIF_OP_WRITE_BARRIER;
    else this.flushOperation = undefined;
    const most = await readPeerNumber(keys, 'feature-max-indirect-segments', 0xffff);
    const indirect = this.without.has('indirect') ? 0 : Math.min(most ?? 0, INDIRECT_SEGMENTS);
    this.requestBytesMax = this.segmentsMax(indirect) * PAGE_SIZE;
    this.waiting = this.waiting.flatMap((job) => splitJob(job, this.requestBytesMax));
    this.connected = true;
    this.pushWaiting();
  }

  /** Segments of the largest request that this domain has pages for. Throws ENOSPC when it has none. */
  private segmentsMax(indirect: number): number {
    const pages = this.pages!;
    if (indirect > BLKIF_MAX_SEGMENTS_PER_REQUEST && pages.prepare(indirect + 1) > indirect) {
      return indirect;
    }
    const direct = pages.prepare(BLKIF_MAX_SEGMENTS_PER_REQUEST);
    if (direct > 0) return direct;
    throw new XenError('ENOSPC', 'share pages for a disk', 'this domain can share no more');
  }

  /** Lets go of all that is shared; what was not answered waits to be asked again. */
  private async disconnect(): Promise<void> {
    this.connected = false;
    const unanswered = this.queues.flatMap((queue) => queue.close());
    this.queues = [];
    this.pages?.close();
    this.pages = undefined;
    unanswered.sort((a, b) => a.order - b.order);
    this.waiting = [...unanswered, ...this.waiting];
    if (this.ended !== undefined) this.end(this.ended);
  }
}

/** Where the back end finds the rings: a single one's keys stand in the device's own directory. */
function ringKeys(queues: readonly FrontQueue[]): Record<string, string> {
  if (queues.length === 1) return queues[0]!.keys('');
  return Object.assign({}, ...queues.map((queue, index) => queue.keys(`queue-${index}/`)));
}
