/** The tree as one request sees it: as it is, or as it is within a transaction. */
import type { Charge } from './charge.ts';
import type { Domain } from './domain.ts';
import type { Caller } from './permissions.ts';
import { nodeCost, type Store, type Subject } from './store.ts';
import type { Change, Node } from './tree.ts';

export interface View {
  /** The node, or `undefined`. Throws ENOSPC where the transaction may touch no further node. */
  get(path: string): Node | undefined;
  /**
   * Makes the changes, all or none. Throws ENOMEM when whoever pays has no memory left; a removal
   * is never refused.
   */
  apply(changes: readonly Change[]): void;
  /** Tells the watchers of a change, now or when the transaction ends well. See `Store.fire`. */
  changed(path: string, exact: boolean, subject: Subject): void;
  /** How many of `count` nodes to be created the requester's quota is asked about now. */
  countedNow(count: number): number;
  /** A write failed half-way: a transaction will not be committed. */
  spoil(): void;
}

/** Who sends requests, as the tree needs to know it. */
export interface Requester extends Caller {
  /** The domain that pays: that of the ring, or dom0 for a socket. */
  readonly domain: Domain;
}

/** Throws ENOMEM when an owner of changed nodes would have more memory than its quota. */
function checkMemory(store: Store, changes: readonly Change[]): void {
  let added: Map<Domain, number> | undefined;
  const add = (path: string, node: Node | undefined, sign: 1 | -1) => {
    const owner = node === undefined ? undefined : store.owner(node);
    if (node === undefined || owner === undefined || owner.privileged) return;
    added ??= new Map();
    added.set(owner, (added.get(owner) ?? 0) + sign * nodeCost(path, node));
  };
  for (const { path, node } of changes) {
    add(path, store.tree.get(path), -1);
    add(path, node, 1);
  }
  for (const [domain, bytes] of added ?? []) {
    if (domain.account.memoryExceededBy(bytes)) {
      throw domain.account.denied('ENOMEM', 'memoryHard', 'memory for a node');
    }
  }
}

/** What is read and written is the store itself, at once. */
export class LiveView implements View {
  private readonly store: Store;
  private readonly charge: Charge | undefined;

  constructor(store: Store, charge: Charge | undefined) {
    this.store = store;
    this.charge = charge;
  }

  get(path: string): Node | undefined {
    return this.store.tree.get(path);
  }

  apply(changes: readonly Change[]): void {
    if (changes.every(({ node }) => node !== undefined)) checkMemory(this.store, changes);
    this.store.apply(changes);
  }

  changed(path: string, exact: boolean, subject: Subject): void {
    this.store.fire(path, exact, subject, this.charge);
  }

  countedNow(count: number): number {
    return count;
  }

  /** Nothing was written. */
  spoil(): void {}
}
