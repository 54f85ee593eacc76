/**
 * The front end's pages as bytes that a disk can read into and write from.
 *
 * A front end that offers persistent grants uses the same pages again and again: each is mapped
 * when it is first seen and stays, so the disk's data moves straight between the file and the
 * guest's memory. What one request needs is mapped by one call, and let go by one. Every other page is copied by Xen through memory of ours: mapping and unmapping a
 * page for one request costs more than copying it, and a page that was granted for reading only
 * cannot be mapped at all (`GrantTable.map` says why).
 *
 * Memory of ours serves one front end only, so what a former request left in it is that guest's own.
 */
import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { XenError } from '../base/errors.ts';
import type { DomId, GrantRef } from '../base/ids.ts';
import { type CopyBatch, type GrantTable, PAGE_SIZE, type Pages } from '../hypervisor/contract.ts';
import { type BackRequest, INDIRECT_SEGMENTS_MAX, type RequestSegment } from './back-request.ts';

/** As many as Linux's blkback keeps: a one-page ring of requests that are all different. */
export const PERSISTENT_PAGES_MAX = 1056;
/**
 * Pages that no request used for this long, at most twice as long, are let go; Linux's blkback waits as
 * long.
 */
export const PERSISTENT_IDLE_MS = 60_000;

/** Pages that were mapped together, and are unmapped together. */
interface PersistentRun {
  readonly refs: readonly GrantRef[];
  readonly pages: Pages;
  /** Segments of requests under way. */
  users: number;
  /** Since idle pages were last looked for. No clock is read for each request. */
  wasUsed: boolean;
}

interface PersistentPage {
  readonly run: PersistentRun;
  readonly bytes: Uint8Array;
}

export interface GuestPagesParts {
  readonly grants: GrantTable;
  readonly peer: DomId;
  /** Both ends agreed on persistent grants. */
  readonly persistent: boolean;
  readonly clock: Clock;
}

/** What a request under way uses; goes back by `release`. */
export class RequestPages {
  /** One window a segment, for the disk. */
  readonly windows: Uint8Array[] = [];
  /** For each segment the mapped page or our own memory: exactly one is there. */
  readonly mapped: (PersistentPage | undefined)[] = [];
  readonly copied: (Uint8Array | undefined)[] = [];
}

export class GuestPages {
  private readonly parts: GuestPagesParts;
  private readonly persistent = new Map<GrantRef, PersistentPage>();
  private readonly runs = new Set<PersistentRun>();
  private readonly free: Uint8Array[] = [];
  private readonly batch: CopyBatch;
  private idleTimer: Timer | undefined;

  constructor(parts: GuestPagesParts) {
    this.parts = parts;
    this.batch = parts.grants.copyBatch(INDIRECT_SEGMENTS_MAX);
  }

  /** Pages mapped now. */
  get mappedCount(): number {
    return this.persistent.size;
  }

  /** Copies the beginning of a page of the front end's. Throws EINVAL when the grant is no good. */
  readPage(ref: GrantRef, target: Uint8Array): void {
    if (!this.persistent.has(ref)) this.mapRun([ref]);
    const mapped = this.persistent.get(ref);
    if (mapped !== undefined) {
      mapped.run.wasUsed = true;
      target.set(mapped.bytes.subarray(0, target.length));
      return;
    }
    this.batch.fromPeer(this.parts.peer, ref, 0, target);
    this.runBatch();
  }

  /** Windows onto the segments of a request; what the disk puts there reaches the guest by `storeRead`. */
  acquire(request: BackRequest, into: RequestPages): void {
    this.mapMissing(request);
    for (let index = 0; index < request.segmentCount; index++) {
      const segment = request.segments[index]!;
      const mapped = this.persistent.get(segment.ref);
      const copied = mapped === undefined ? this.freePage() : undefined;
      if (mapped !== undefined) mapped.run.users++;
      into.mapped[index] = mapped;
      into.copied[index] = copied;
      into.windows[index] =
        mapped === undefined
          ? window(copied!, 0, segment)
          : window(mapped.bytes, segment.offset, segment);
    }
  }

  /** Fetches the data of a write. Throws EINVAL when a grant is no good. */
  fetchWrite(request: BackRequest, pages: RequestPages): void {
    for (let index = 0; index < request.segmentCount; index++) {
      if (pages.copied[index] === undefined) continue;
      const { ref, offset } = request.segments[index]!;
      this.batch.fromPeer(this.parts.peer, ref, offset, pages.windows[index]!);
    }
    this.runBatch();
  }

  /** Delivers the data of a read. Throws EINVAL when a grant is no good. */
  storeRead(request: BackRequest, pages: RequestPages): void {
    for (let index = 0; index < request.segmentCount; index++) {
      if (pages.copied[index] === undefined) continue;
      const { ref, offset } = request.segments[index]!;
      this.batch.toPeer(this.parts.peer, ref, offset, pages.windows[index]!);
    }
    this.runBatch();
  }

  /** The disk is done with the windows, if there were any. */
  release(pages: RequestPages): void {
    for (let index = 0; index < pages.windows.length; index++) {
      const mapped = pages.mapped[index];
      if (mapped === undefined) {
        this.free.push(pages.copied[index]!);
      } else {
        mapped.run.users--;
        mapped.run.wasUsed = true;
      }
    }
    pages.windows.length = 0;
    pages.mapped.length = 0;
    pages.copied.length = 0;
  }

  /** Unmaps every page. All requests must have been released. */
  close(): void {
    this.idleTimer?.cancel();
    for (const run of this.runs) {
      assert(run.users === 0, 'no page is unmapped under a request');
      this.unmapRun(run);
    }
    this.free.length = 0;
  }

  /** Maps what of the request's pages is not mapped; a page that stays without is to be copied. */
  private mapMissing(request: BackRequest): void {
    if (!this.parts.persistent) return;
    let missing: Set<GrantRef> | undefined;
    for (let index = 0; index < request.segmentCount; index++) {
      const { ref } = request.segments[index]!;
      if (this.persistent.has(ref)) continue;
      missing ??= new Set();
      missing.add(ref);
    }
    if (missing === undefined || this.mapRun([...missing]) || missing.size === 1) return;
    // One that is no good must not take the others their place.
    for (const ref of missing) this.mapRun([ref]);
  }

  /** Maps all of `refs`, or none; whether it did. */
  private mapRun(refs: readonly GrantRef[]): boolean {
    const { grants, peer, persistent, clock } = this.parts;
    if (!persistent || this.persistent.size + refs.length > PERSISTENT_PAGES_MAX) return false;
    let pages: Pages;
    try {
      pages = grants.map(peer, refs);
    } catch (error) {
      // A bad grant, or a limit of this host's. The copy goes through or says what is wrong.
      if (error instanceof XenError) return false;
      throw error;
    }
    const run = { refs, pages, users: 0, wasUsed: true };
    this.runs.add(run);
    refs.forEach((ref, index) => {
      this.persistent.set(ref, { run, bytes: pages.page(index) });
    });
    this.idleTimer ??= clock.after(PERSISTENT_IDLE_MS, () => this.dropIdle());
    return true;
  }

  private unmapRun(run: PersistentRun): void {
    run.pages.close();
    for (const ref of run.refs) this.persistent.delete(ref);
    this.runs.delete(run);
  }

  private dropIdle(): void {
    const { clock } = this.parts;
    for (const run of this.runs) {
      if (run.users === 0 && !run.wasUsed) this.unmapRun(run);
      run.wasUsed = false;
    }
    // Memory of ours too: what a burst needed is not kept for ever.
    this.free.length = 0;
    this.idleTimer =
      this.runs.size > 0 ? clock.after(PERSISTENT_IDLE_MS, () => this.dropIdle()) : undefined;
  }

  private freePage(): Uint8Array {
    return this.free.pop() ?? new Uint8Array(PAGE_SIZE);
  }

  private runBatch(): void {
    if (this.batch.length === 0) return;
    const refused = this.batch.run();
    if (refused === 0) return;
    throw new XenError(
      'EINVAL',
      `copy pages of domain ${this.parts.peer}`,
      `Xen refused ${refused} of them`,
    );
  }
}

function window(page: Uint8Array, offset: number, { length }: RequestSegment): Uint8Array {
  return length === PAGE_SIZE ? page : page.subarray(offset, offset + length);
}
