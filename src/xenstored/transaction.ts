/**
 * A transaction: the nodes that it has touched, as it found them and as it left them.
 *
 * It reads a node from the store when it first touches it, and from then on sees its own copy. It
 * commits if every node that it touched still has the generation that it was first seen with. So
 * while it can still commit, all that it has read was true together at one moment, and changes to
 * nodes that it never looked at cannot make it fail.
 *
 * It keeps the nodes that it touched and no older version of the whole tree: otherwise a guest
 * could hold on to everything that others throw away, and nobody would pay.
 */
import { XenError } from '../base/errors.ts';
import type { Charge } from './charge.ts';
import { ownerOf, type PermissionEntry, type Permissions } from './permissions.ts';
import { type Change, nodeCost, type Store, type Subject } from './store.ts';
import type { Node } from './tree.ts';
import type { Requester, View } from './view.ts';

interface Access {
  /** The node as it is within the transaction. */
  node: Node | undefined;
  /** Its generation when first seen; absent where there was no node. */
  readonly generation: number | undefined;
  /** Its permissions when first seen. */
  readonly permissions: Permissions | undefined;
  changed: boolean;
  /** Whom to tell at the end, if anyone. See `Store.fire`. */
  event: 'exact' | 'covering' | undefined;
}

/** How many nodes more or fewer somebody owns because of the transaction. */
interface Growth {
  readonly owner: PermissionEntry;
  nodes: number;
}

export class Transaction implements View {
  readonly id: number;
  private readonly store: Store;
  private readonly requester: Requester;
  /** By path, in order of the first touch, which is the order of the events. */
  private readonly accesses = new Map<string, Access>();
  /** By incarnation. */
  private readonly growth = new Map<number, Growth>();
  /** Of the store at the start: while it is the same, there is no conflict to look for. */
  private readonly revision: number;
  private memory = 0;
  private createdNodes = false;
  private failed = false;

  constructor(id: number, store: Store, requester: Requester) {
    this.id = id;
    this.store = store;
    this.requester = requester;
    this.revision = store.revision;
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
    const { account } = this.requester.domain;
    const removes = changes.some(({ node }) => node === undefined);
    if (!removes && account.memoryExceededBy(bytes)) {
      this.spoil();
      throw account.denied('ENOMEM', 'memoryHard', 'memory for a node in a transaction');
    }
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

  /** The transaction will not be committed. */
  spoil(): void {
    this.failed = true;
  }

  /**
   * Makes the changes of the transaction those of the store and tells the watchers. Throws EAGAIN
   * when a node that it touched is not as it was, ENOMEM when something failed on the way or the
   * owner of one of its nodes is gone, ENOSPC when somebody would own too many nodes.
   *
   * @param charge the request that ends the transaction; it pays for the events
   * @returns whether anything was changed
   */
  commit(charge: Charge | undefined): boolean {
    if (this.failed) throw new XenError('ENOMEM', 'end transaction', 'it failed before');
    this.checkOwners();
    this.checkConflicts();
    const changed = [...this.accesses].filter(([, access]) => access.changed);
    this.store.apply(changed.map(([path, { node }]) => ({ path, node })));
    for (const [path, access] of changed) {
      if (access.event === undefined) continue;
      const subject = { node: this.store.tree.get(path), before: access.permissions };
      this.store.fire(path, access.event === 'exact', subject, charge);
    }
    return changed.length > 0;
  }

  /** Gives back the memory; the transaction is not used after that. */
  close(): void {
    this.addMemory(-this.memory);
    this.accesses.clear();
  }

  private access(path: string): Access {
    const earlier = this.accesses.get(path);
    if (earlier !== undefined) return earlier;
    const { domain, privileged } = this.requester;
    if (!privileged && this.accesses.size >= this.store.quotas.transactionNodes) {
      this.spoil();
      throw domain.account.denied('ENOSPC', 'transactionNodes', 'a node more in a transaction');
    }
    const node = this.store.tree.get(path);
    const access: Access = {
      node,
      generation: node?.generation,
      permissions: node?.permissions,
      changed: false,
      event: undefined,
    };
    this.accesses.set(path, access);
    this.addMemory(node === undefined ? path.length : nodeCost(path, node));
    return access;
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

  private checkOwners(): void {
    const { store, requester } = this;
    for (const { owner, nodes } of this.growth.values()) {
      const domain = store.domains.current(owner);
      if (domain === undefined) {
        throw new XenError('ENOMEM', 'end transaction', `domain ${owner.domid} is gone`);
      }
      const limited = !requester.privileged && !domain.privileged && this.createdNodes;
      // Unlike outside of transactions the last node of the quota is out of reach, as in C's.
      if (limited && domain.account.nodes + nodes >= store.quotas.nodes) {
        throw domain.account.denied('ENOSPC', 'nodes', 'the nodes of a transaction');
      }
    }
  }

  private checkConflicts(): void {
    const { tree, revision } = this.store;
    if (revision === this.revision) return;
    for (const [path, { generation }] of this.accesses) {
      if (tree.get(path)?.generation !== generation) {
        throw new XenError('EAGAIN', 'end transaction', `${path} has changed`);
      }
    }
  }
}
