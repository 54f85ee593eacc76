/**
 * A transaction: the nodes that it has touched, as it found them and as it left them.
 *
 * It reads the tree as it was at one moment: the last at which every node that it had touched was
 * still as it had found it. So all that it is told was true together, and what changes before it
 * looks there cannot make it fail. It also keeps its requests with their replies, so that they can
 * be run again when others have changed what it touched: see `commitTransaction`.
 */
import { XS_ERROR, XS_MKDIR, XS_RM, XS_SET_PERMS, XS_WRITE } from '../abi/io/xs_wire.ts';
import { XenError } from '../base/errors.ts';
import type { Packet } from '../xenstore/packet.ts';
import type { Charge } from './charge.ts';
import { ownerOf, type PermissionEntry } from './permissions.ts';
import type { RecordedRequest, Reply } from './reply.ts';
import type { SnapshotHolder } from './snapshots.ts';
import type { EventKind, TransactionState } from './state.ts';
import { nodeCost, type Store, type Subject } from './store.ts';
import type { Toucher } from './touched-paths.ts';
import { type Change, type Node, nodeOf, type Tree, wholeState } from './tree.ts';
import type { Requester, View } from './view.ts';

/** Bytes that a transaction costs its domain from the start: so memory bounds how many are open. */
export const TRANSACTION_COST = 1024;
/**
 * Requests that a transaction keeps to run them again, as many as oxenstored: it happens at one go,
 * and others wait meanwhile. A longer one has to find its nodes unchanged.
 */
const REQUESTS_KEPT_MAX = 1024;
/** Bytes that a kept request costs besides its payload and its reply. */
const REQUEST_OVERHEAD = 64;

const WRITING: ReadonlySet<number> = new Set([XS_WRITE, XS_MKDIR, XS_RM, XS_SET_PERMS]);

interface Access {
  /** The node as it is within the transaction. */
  node: Node | undefined;
  /** As it was when first seen. */
  readonly found: Node | undefined;
  changed: boolean;
  /** Whom to tell at the end, if anyone. See `Store.fire`. */
  event: EventKind | undefined;
}

/** How many nodes more or fewer somebody owns because of the transaction. */
interface Growth {
  readonly owner: PermissionEntry;
  nodes: number;
}

export class Transaction implements View, SnapshotHolder, Toucher {
  readonly id: number;
  private readonly store: Store;
  private readonly requester: Requester;
  /** By path, in order of the first touch, which is the order of the events. */
  private readonly accesses = new Map<string, Access>();
  /** By incarnation. */
  private readonly growth = new Map<number, Growth>();
  private recorded: RecordedRequest[] | undefined = [];
  /** The tree that it reads; absent before it has read, and when it had to be let go of. */
  private snapshot: Tree | undefined;
  /** A node that it has touched may not be as it was found. */
  private suspicious = false;
  /** A node that it has touched was changed; the snapshot stays what it is. */
  private outdated = false;
  /** What it was told was not all true together. */
  private torn = false;
  private memory = 0;
  private createdNodes = false;
  private wrote = false;
  private failed = false;
  private endsInVain = false;

  constructor(id: number, store: Store, requester: Requester) {
    this.id = id;
    this.store = store;
    this.requester = requester;
    this.addMemory(TRANSACTION_COST);
  }

  get(path: string): Node | undefined {
    return this.access(path).node;
  }

  apply(changes: readonly Change[]): void {
    const cost = (path: string, node: Node | undefined) =>
      node === undefined ? 0 : nodeCost(path, node);
    let bytes = 0;
    for (const { path, node } of changes) {
      bytes += cost(path, node) - cost(path, this.access(path).node);
    }
    const removes = changes.some(({ node }) => node === undefined);
    if (!removes) this.checkMemory(bytes);
    this.addMemory(bytes);
    for (const { path, node } of changes) {
      const access = this.access(path);
      this.grow(access.node, -1);
      this.grow(node, 1);
      if (access.node === undefined) this.createdNodes = true;
      access.node = node;
      access.changed = true;
    }
  }

  changed(path: string, exact: boolean, _subject: Subject): void {
    const access = this.access(path);
    if (!exact) access.event = 'covering';
    else access.event ??= 'exact';
  }

  /** The others when the transaction ends: it may remove as many until then. */
  countedNow(_count: number): number {
    return 1;
  }

  disturbed(): void {
    this.suspicious = true;
  }

  /** The transaction will not be committed. */
  spoil(): void {
    this.failed = true;
  }

  /** The old tree takes too much memory: from here on the present one is read. */
  snapshotLost(): void {
    this.snapshot = undefined;
  }

  /** It as a value, from which it goes on elsewhere as if nothing had happened. */
  capture(): TransactionState {
    const { id, snapshot, store, outdated, torn, createdNodes, wrote, failed, memory } = this;
    return {
      id,
      doomed: this.endsInVain,
      snapshot: snapshot && [...store.tree.differencesOf(snapshot)],
      accesses: [...this.accesses].map(([path, { node, changed, event }]) => ({
        path,
        changed,
        node: changed && node !== undefined ? wholeState(node) : undefined,
        event,
      })),
      growth: [...this.growth.values()].map(({ owner, nodes }) => ({ owner, nodes })),
      requests: this.recorded && [...this.recorded],
      outdated,
      torn,
      createdNodes,
      wrote,
      failed,
      memory,
    };
  }

  /** Makes this transaction, which has just begun, what another was when it was captured. */
  takeUp(state: TransactionState): void {
    const { store } = this;
    const differences = state.snapshot;
    const hasTree = differences !== undefined && !state.torn;
    this.snapshot = hasTree ? store.tree.withDifferences(differences) : undefined;
    for (const { path, changed, node, event } of state.accesses) {
      const found = this.snapshot?.get(path);
      const changedTo = node && nodeOf(node);
      this.accesses.set(path, { node: changed ? changedTo : found, found, changed, event });
      store.touched.add(path, this);
    }
    this.suspicious = true;
    for (const { owner, nodes } of state.growth) {
      this.growth.set(owner.incarnation, { owner, nodes });
    }
    this.recorded = state.requests && [...state.requests];
    this.outdated = state.outdated;
    // What it found before its tree was lost is not known any more.
    this.torn = state.torn || (!hasTree && state.accesses.length > 0);
    this.createdNodes = state.createdNodes;
    this.wrote = state.wrote;
    this.failed = state.failed;
    this.endsInVain = state.doomed;
    if (this.snapshot !== undefined) store.snapshots.hold(this);
    this.addMemory(Math.max(state.memory, TRANSACTION_COST) - this.memory);
  }

  /** Keeps a request about nodes, and what it was answered. */
  record(packet: Packet, reply: Reply): void {
    if (WRITING.has(packet.type) && reply.type !== XS_ERROR) this.wrote = true;
    if (this.recorded === undefined) return;
    const bytes = REQUEST_OVERHEAD + packet.payload.length + reply.payload.length;
    const tooLong = this.recorded.length === REQUESTS_KEPT_MAX;
    if (tooLong || this.requester.domain.account.memoryExceededBy(bytes)) {
      this.recorded = undefined;
      return;
    }
    this.recorded.push({ packet, reply });
    this.addMemory(bytes);
  }

  /** The requests in order, unless they were too many to keep. */
  get requests(): readonly RecordedRequest[] | undefined {
    return this.recorded;
  }

  /** What it takes, for the operator to read; `requests` are those that are kept. */
  get usage(): { readonly nodes: number; readonly requests: number; readonly bytes: number } {
    const requests = this.recorded?.length ?? 0;
    return { nodes: this.accesses.size, requests, bytes: this.memory };
  }

  /** It ends with EAGAIN, since nobody knows any more what it was told. */
  get doomed(): boolean {
    return this.endsInVain;
  }

  /** No request has written, and all that was read was true together. */
  get onlyRead(): boolean {
    return !this.wrote && !this.torn;
  }

  /** Whether a node that it touched is not as it was found. */
  hasConflict(): boolean {
    const { tree } = this.store;
    if (this.torn) return true;
    if (!this.suspicious) return false;
    for (const [path, { found }] of this.accesses) if (tree.get(path) !== found) return true;
    this.suspicious = false;
    return false;
  }

  /**
   * Throws ENOMEM when something failed on the way or the owner of one of its nodes is gone, ENOSPC
   * when somebody would own too many nodes.
   */
  checkFit(): void {
    if (this.failed) throw new XenError('ENOMEM', 'end transaction', 'it failed before');
    const { store, requester } = this;
    for (const { owner, nodes } of this.growth.values()) {
      const domain = store.domains.current(owner);
      if (domain === undefined) {
        throw new XenError('ENOMEM', 'end transaction', `domain ${owner.domid} is gone`);
      }
      // Unlike outside of transactions the last node of the quota is out of reach, as in C's.
      const limited = !requester.privileged && this.createdNodes;
      if (limited && domain.account.nodes + nodes >= domain.account.limit('nodes')) {
        throw domain.account.denied('ENOSPC', 'nodes', 'the nodes of a transaction');
      }
    }
  }

  /**
   * Makes the changes of the transaction, which fits and has no conflict, those of the store, and
   * tells the watchers.
   *
   * @param charge the request that ends the transaction; it pays for the events
   */
  commit(charge: Charge | undefined): void {
    const changed = [...this.accesses].filter(([, access]) => access.changed);
    this.forgetNodes();
    this.store.apply(changed.map(([path, { node }]) => ({ path, node })));
    for (const [path, { event, found }] of changed) {
      if (event === undefined) continue;
      const subject = { node: this.store.tree.get(path), before: found?.permissions };
      this.store.fire(path, event === 'exact', subject, charge);
    }
  }

  /** Lets go of the nodes, so that they are in nobody's way. */
  forgetNodes(): void {
    const { snapshots, touched } = this.store;
    snapshots.release(this);
    this.snapshot = undefined;
    for (const path of this.accesses.keys()) touched.remove(path, this);
    this.accesses.clear();
  }

  /** Gives back everything. Idempotent. */
  close(): void {
    this.forgetNodes();
    this.recorded = undefined;
    this.addMemory(-this.memory);
  }

  private access(path: string): Access {
    const earlier = this.accesses.get(path);
    if (earlier !== undefined) return earlier;
    const { account } = this.requester.domain;
    if (this.accesses.size >= account.limit('transactionNodes')) {
      this.spoil();
      throw account.denied('ENOSPC', 'transactionNodes', 'a node more in a transaction');
    }
    const node = this.readableTree().get(path);
    const bytes = node === undefined ? path.length : nodeCost(path, node);
    this.checkMemory(bytes);
    this.addMemory(bytes);
    const access: Access = { node, found: node, changed: false, event: undefined };
    this.accesses.set(path, access);
    account.peaks.note('transactionNodes', this.accesses.size);
    this.store.touched.add(path, this);
    return access;
  }

  private readableTree(): Tree {
    const { store } = this;
    if (this.snapshot !== store.tree && !this.outdated) {
      this.outdated = this.hasConflict();
      if (!this.outdated) {
        this.snapshot = store.tree;
        store.snapshots.hold(this);
      }
    }
    this.torn ||= this.snapshot === undefined;
    return this.snapshot ?? store.tree;
  }

  private checkMemory(bytes: number): void {
    const { account } = this.requester.domain;
    if (!account.memoryExceededBy(bytes)) return;
    this.spoil();
    throw account.denied('ENOMEM', 'memoryHard', 'memory for a node in a transaction');
  }

  private addMemory(bytes: number): void {
    this.memory += bytes;
    this.requester.domain.account.addMemory(bytes);
  }

  private grow(node: Node | undefined, sign: 1 | -1): void {
    if (node === undefined) return;
    const owner = ownerOf(node.permissions);
    const growth = this.growth.get(owner.incarnation);
    if (growth === undefined) this.growth.set(owner.incarnation, { owner, nodes: sign });
    else growth.nodes += sign;
  }
}
