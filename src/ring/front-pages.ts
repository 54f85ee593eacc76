/**
 * Pages that a front end shares with its back end for the data of requests. They are shared when
 * they are first needed and stay shared until the device ends (persistent grants), so a back end may
 * keep them mapped, and none is used for anything else while it does (XSA-396). Data is copied into
 * and out of them: what the back end does to a page afterwards, nobody sees.
 */
import { XenError } from '../base/errors.ts';
import type { DomId, GrantRef } from '../base/ids.ts';
import type { GrantTable, SharedPages } from '../hypervisor/contract.ts';

/** Pages shared by one call. */
const RUN_PAGES = 32;

export interface FrontPage {
  readonly ref: GrantRef;
  readonly bytes: Uint8Array;
}

export class FrontPages {
  private readonly grants: GrantTable;
  private readonly peer: DomId;
  /** How many there may be; less, once this domain has no more to share. */
  private pagesMax: number;
  private readonly runs: SharedPages[] = [];
  private readonly free: FrontPage[] = [];
  private total = 0;

  constructor(grants: GrantTable, peer: DomId, pagesMax: number) {
    this.grants = grants;
    this.peer = peer;
    this.pagesMax = pagesMax;
  }

  /** Shares what is missing to have `count` pages free. Returns how many are free then, `count` at most. */
  prepare(count: number): number {
    while (this.free.length < count && this.total < this.pagesMax) this.shareRun();
    return Math.min(count, this.free.length);
  }

  /** Adds `count` pages to `into`, or none when so many are not free. */
  take(count: number, into: FrontPage[]): boolean {
    if (this.prepare(count) < count) return false;
    for (let n = 0; n < count; n++) into.push(this.free.pop()!);
    return true;
  }

  /** Takes all of `pages` back, and empties it. */
  give(pages: FrontPage[]): void {
    this.free.push(...pages.splice(0));
  }

  close(): void {
    for (const run of this.runs.splice(0)) run.close();
    this.free.length = 0;
    this.total = 0;
  }

  private shareRun(): void {
    const count = Math.min(RUN_PAGES, this.pagesMax - this.total);
    let run: SharedPages;
    try {
      run = this.grants.share(this.peer, count, 'read-write');
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      // Others in this domain share pages too; what there is has to do.
      this.pagesMax = this.total;
      return;
    }
    this.runs.push(run);
    this.total += count;
    run.refs.forEach((ref, index) => {
      this.free.push({ ref, bytes: run.page(index) });
    });
  }
}

/** Copies one run of buffers to another, until either ends. */
export function copyBytes(sources: readonly Uint8Array[], targets: readonly Uint8Array[]): void {
  let index = 0;
  let at = 0;
  for (const source of sources) {
    for (let from = 0; from < source.length && index < targets.length; ) {
      const target = targets[index]!;
      const piece = source.subarray(from, from + target.length - at);
      target.set(piece, at);
      from += piece.length;
      at += piece.length;
      if (at === target.length) {
        index++;
        at = 0;
      }
    }
  }
}
