/** Xen's rules of grants as a plain model that drives the simulator and compares after each step. */
import { expect } from 'vitest';
import type { DomId, GrantRef } from '../../src/base/ids.ts';
import type { Pages, SharedPages } from '../../src/hypervisor/contract.ts';
import { type SimDomain, SimWorld } from '../../src/hypervisor/sim/world.ts';

const DOMAINS = 3;

/** One granted page. */
interface Entry {
  readonly peer: DomId;
  readonly writable: boolean;
  /** What byte 0 of the page holds, different for every page. */
  readonly stamp: number;
  mapped: number;
  revoked: boolean;
}

interface Share {
  readonly owner: SimDomain;
  readonly pages: SharedPages;
  readonly refs: readonly GrantRef[];
  readonly entries: readonly Entry[];
}

interface Mapping {
  readonly user: SimDomain;
  readonly granter: SimDomain;
  readonly pages: Pages;
  readonly refs: readonly GrantRef[];
  readonly entries: readonly Entry[];
}

export class GrantModel {
  private readonly world: SimWorld;
  private readonly domains: SimDomain[];
  /** The live grants of each domain by reference. */
  private readonly tables = new Map<SimDomain, Map<GrantRef, Entry>>();
  private readonly shares: Share[] = [];
  private readonly mappings: Mapping[] = [];
  private stamps = 0;

  constructor(seed: number) {
    this.world = new SimWorld({ seed });
    this.domains = Array.from({ length: DOMAINS }, () => this.createDomain());
  }

  share(ownerSlot: number, peerSlot: number, count: number, writable: boolean): void {
    const owner = this.domains[ownerSlot] as SimDomain;
    const peer = (this.domains[peerSlot] as SimDomain).domid;
    const access = writable ? 'read-write' : 'read';
    const pages = owner.hypervisor.grants.share(peer, count, access);
    expect(pages.bytes.every((byte) => byte === 0)).toBe(true);
    const entries = pages.refs.map((ref, index) => {
      expect(this.table(owner).has(ref)).toBe(false);
      const stamp = (this.stamps++ % 255) + 1;
      const entry: Entry = { peer, writable, stamp, mapped: 0, revoked: false };
      pages.page(index)[0] = stamp;
      this.table(owner).set(ref, entry);
      return entry;
    });
    this.shares.push({ owner, pages, refs: pages.refs, entries });
  }

  revoke(choice: number): void {
    const share = this.shares[choice % this.shares.length];
    if (share === undefined) return;
    share.pages.close();
    for (const entry of share.entries) entry.revoked = true;
    this.sweep();
  }

  /** Tries to map some pages of one share, old or live, by the choice of bits in `pageBits`. */
  map(userSlot: number, choice: number, pageBits: number): void {
    const share = this.shares[choice % this.shares.length];
    const refs = share?.refs.filter((_, index) => (pageBits >> index) & 1) ?? [];
    if (share === undefined || refs.length === 0) return;
    const user = this.domains[userSlot] as SimDomain;
    const entries = refs.map((ref) => this.usable(user, share.owner, ref, true));
    let pages: Pages | undefined;
    try {
      pages = user.hypervisor.grants.map(share.owner.domid, refs);
    } catch {
      expect(entries).toContain(undefined);
      return;
    }
    expect(entries).not.toContain(undefined);
    const mapped = entries as Entry[];
    for (const entry of mapped) entry.mapped += 1;
    this.mappings.push({ user, granter: share.owner, pages, refs, entries: mapped });
  }

  unmap(choice: number): void {
    const [mapping] = this.mappings.splice(choice % (this.mappings.length || 1), 1);
    mapping?.pages.close();
    for (const entry of mapping?.entries ?? []) entry.mapped -= 1;
    this.sweep();
  }

  copy(userSlot: number, choice: number, toPeer: boolean): void {
    const share = this.shares[choice % this.shares.length];
    if (share === undefined) return;
    const user = this.domains[userSlot] as SimDomain;
    const ref = share.refs[0] as GrantRef;
    const entry = this.usable(user, share.owner, ref, toPeer);
    const local = new Uint8Array([entry?.stamp ?? 0]);
    const batch = user.hypervisor.grants.copyBatch(1);
    if (toPeer) batch.toPeer(share.owner.domid, ref, 0, local);
    else batch.fromPeer(share.owner.domid, ref, 0, local.fill(0));
    expect(batch.run()).toBe(entry === undefined ? 1 : 0);
    expect(local[0]).toBe(entry?.stamp ?? 0);
  }

  /** Destroys a domain; a new one takes its place. */
  kill(slot: number): void {
    const domain = this.domains[slot] as SimDomain;
    domain.kill();
    this.tables.get(domain)?.clear();
    this.forgetMappings(domain);
    this.domains[slot] = this.createDomain();
  }

  restart(slot: number): void {
    const domain = this.domains[slot] as SimDomain;
    domain.restartProcess();
    for (const share of this.shares) {
      if (share.owner === domain) for (const entry of share.entries) entry.revoked = true;
    }
    this.forgetMappings(domain);
  }

  /** What must hold after every step. */
  check(): void {
    for (const { pages, entries } of this.mappings) {
      entries.forEach((entry, index) => {
        expect(pages.page(index)[0]).toBe(entry.stamp);
      });
    }
    for (const { pages, entries } of this.shares) {
      if (pages.closed) continue;
      entries.forEach((entry, index) => {
        expect(pages.page(index)[0]).toBe(entry.stamp);
      });
    }
    for (const domain of new Set(this.mappings.map((mapping) => mapping.granter))) {
      expect(domain.exists).toBe(true);
    }
  }

  end(): void {
    for (const domain of this.domains) domain.hypervisor.close();
    expect(this.world.leftovers()).toEqual([]);
    for (const share of this.shares) expect(share.pages.closed).toBe(true);
    for (const mapping of this.mappings) expect(mapping.pages.closed).toBe(true);
  }

  private createDomain(): SimDomain {
    const domain = this.world.createDomain();
    this.tables.set(domain, new Map());
    return domain;
  }

  private table(domain: SimDomain): Map<GrantRef, Entry> {
    return this.tables.get(domain) as Map<GrantRef, Entry>;
  }

  /** The grant that lets `user` use the page, if there is one. */
  private usable(
    user: SimDomain,
    owner: SimDomain,
    ref: GrantRef,
    write: boolean,
  ): Entry | undefined {
    const entry = this.table(owner).get(ref);
    if (entry?.peer !== user.domid || (write && !entry.writable)) return undefined;
    return entry;
  }

  private forgetMappings(user: SimDomain): void {
    for (const mapping of this.mappings.filter((one) => one.user === user)) {
      this.mappings.splice(this.mappings.indexOf(mapping), 1);
      for (const entry of mapping.entries) entry.mapped -= 1;
    }
    this.sweep();
  }

  /** Ends the grants that are revoked and mapped by nobody. */
  private sweep(): void {
    for (const table of this.tables.values()) {
      for (const [ref, entry] of table) {
        if (entry.revoked && entry.mapped === 0) table.delete(ref);
      }
    }
  }
}
