/** The tree as it is now, who pays for its nodes, and who is told when it changes. */
import type { Log } from '../base/log.ts';
import { parentPath } from '../xenstore/path.ts';
import { Charge } from './charge.ts';
import { ChildList } from './child-list.ts';
import type { Domain, Domains } from './domain.ts';
import type { Journal } from './journal/journal.ts';
import { MAY_READ, ownerOf, type Permissions, rightsOf } from './permissions.ts';
import type { Account, Quotas } from './quota.ts';
import { Snapshots } from './snapshots.ts';
import type { ServerState } from './state.ts';
import { TouchedPaths } from './touched-paths.ts';
import {
  type Change,
  type Node,
  nodeSize,
  nodeStates,
  postOrder,
  Tree,
  withChild,
} from './tree.ts';
import { NO_VALUE } from './value.ts';
import { pathSeenBy, type Watch, type Watcher, WatchIndex } from './watch.ts';

/** What a client must be able to read, one of them, in order to be told of a change. */
export interface Subject {
  readonly node: Node | undefined;
  /** Looked up when absent. */
  readonly parent?: Node | undefined;
  /** The permissions before the change, where they count too. */
  readonly before?: Permissions | undefined;
}

/** Happenings that can be watched like paths. */
export const INTRODUCE_DOMAIN = '@introduceDomain';
export const RELEASE_DOMAIN = '@releaseDomain';

/** Bytes that a node costs its owner. */
export function nodeCost(path: string, node: Node): number {
  return path.length + nodeSize(node);
}

/** What the store keeps of a server's state. */
type StoreState = Pick<ServerState, 'generation' | 'specialPermissions' | 'nodes'>;

export class Store {
  readonly domains: Domains;
  /** The limits as they are now: `xenstore-control quota set` changes them. */
  readonly quotas: Quotas;
  readonly watches = new WatchIndex();
  /** Who may see `@introduceDomain` and `@releaseDomain`. */
  readonly specialPermissions: Map<string, Permissions>;
  readonly snapshots = new Snapshots();
  readonly touched = new TouchedPaths();
  /** Changes of something that an open transaction has touched. */
  disturbances = 0;
  /** Transactions that have begun and not ended, of all clients. */
  openTransactions = 0;
  /** Keeps what must outlive this process, where that was asked for. */
  journal: Journal | undefined;
  /** Another number whenever a limit, or something of a domain besides its nodes, may be another. */
  settingsRevision = 0;
  private lastCharge = 0;
  private current: Tree;
  private generation = 0;
  private readonly log: Log;

  /** @param state what an earlier xenstored has stored; its domains are `domains` */
  constructor(domains: Domains, quotas: Quotas, log: Log, state?: StoreState) {
    this.domains = domains;
    this.quotas = quotas;
    this.log = log;
    if (state !== undefined) {
      this.generation = state.generation;
      this.specialPermissions = new Map(state.specialPermissions);
      this.current = Tree.of(state.nodes);
      for (const { path } of nodeStates(this.current)) {
        this.charge(path, this.current.get(path) as Node, 1);
      }
      return;
    }
    const dom0 = domains.findOrCreate(0);
    const permissions: Permissions = [{ domid: 0, access: 'n', incarnation: dom0.incarnation }];
    this.specialPermissions = new Map([
      [INTRODUCE_DOMAIN, permissions],
      [RELEASE_DOMAIN, permissions],
    ]);
    this.current = Tree.create(this.emptyNode(permissions));
    const root = this.current.get('/') as Node;
    dom0.account.nodes++;
    dom0.account.addMemory(nodeCost('/', root));
    this.createInitialNodes(permissions);
  }

  capture(): Pick<ServerState, 'generation' | 'nodes'> {
    const { generation, current } = this;
    return {
      generation,
      nodes: { [Symbol.iterator]: () => nodeStates(current) },
    };
  }

  /** A snapshot: it stays as it is whatever happens afterwards. */
  get tree(): Tree {
    return this.current;
  }

  /** A number larger than all before. */
  nextGeneration(): number {
    return ++this.generation;
  }

  get lastGeneration(): number {
    return this.generation;
  }

  /** A limit, or something of a domain besides its nodes, may be another now. */
  settingsChanged(): void {
    this.settingsRevision++;
  }

  /** The charge of a request of the account's domain. */
  newCharge(account: Account): Charge {
    return new Charge(account, ++this.lastCharge);
  }

  /** The charge that an earlier xenstored has numbered so. */
  chargeAgain(account: Account, id: number): Charge {
    this.lastCharge = Math.max(this.lastCharge, id);
    return new Charge(account, id);
  }

  /** Makes the changes, each of another node. Says nothing to watchers. */
  apply(changes: readonly Change[]): void {
    const { current } = this;
    let disturbs = false;
    for (const { path, node } of changes) {
      if (this.touched.changed(path)) disturbs = true;
      const old = current.get(path);
      if (old !== undefined) {
        this.charge(path, old, -1);
        this.snapshots.replaced(nodeCost(path, old));
      }
      if (node !== undefined) this.charge(path, node, 1);
      this.journal?.node(path, old, node);
    }
    this.current = current.with(changes);
    if (disturbs) this.disturbances++;
  }

  /** The domain that pays for the node, unless it is gone. */
  owner(node: Node): Domain | undefined {
    return this.domains.current(ownerOf(node.permissions));
  }

  /**
   * Tells the watchers of a change at `path`.
   *
   * @param exact only those who watch exactly this path, because those above are told of the
   *   removal of something higher up
   */
  fire(path: string, exact: boolean, subject: Subject, charge: Charge | undefined): void {
    const watches = exact ? this.watches.at(path) : this.watches.covering(path);
    for (const watch of watches) {
      if (this.mayHear(watch.watcher, path, subject)) {
        watch.watcher.deliver(pathSeenBy(watch, path), watch.token, charge);
      }
    }
  }

  /**
   * Tells the watchers of a happening such as `@releaseDomain`, which befell these domains: once
   * for all of them whoever set no depth, and of each domain, as `@releaseDomain/3`, whoever set
   * one, or watches that domain alone.
   */
  fireSpecial(path: string, domids: readonly number[]): void {
    const permissions = this.specialPermissions.get(path);
    const tell = ({ watcher, token }: Watch, event: string) => {
      if (permissions !== undefined && rightsOf(watcher.caller, permissions) & MAY_READ) {
        watcher.deliver(event, token, undefined);
      }
    };
    const watches = this.watches.at(path);
    for (const watch of watches) if (watch.depth === undefined) tell(watch, path);
    for (const domid of domids) {
      const event = `${path}/${domid}`;
      for (const watch of watches)
        if (watch.depth !== undefined && watch.depth > 0) tell(watch, event);
      for (const watch of this.watches.at(event)) tell(watch, event);
    }
  }

  /**
   * Walks the whole store and logs what does not fit together: a child that is named and not
   * there, a node that nobody names, an owner who is charged for more or fewer nodes than he has.
   * Returns how many such findings.
   */
  check(): number {
    let findings = 0;
    const report = (message: string) => {
      findings++;
      this.log.error(`store check: ${message}`);
    };
    const owned = new Map<Domain, number>();
    let reachable = 0;
    for (const { path, node } of postOrder(this.current, '/')) {
      reachable++;
      const owner = this.owner(node);
      if (owner === undefined) report(`the owner of ${path} is gone`);
      else owned.set(owner, (owned.get(owner) ?? 0) + 1);
      for (const name of node.children) {
        const child = path === '/' ? `/${name}` : `${path}/${name}`;
        if (this.current.get(child) === undefined) report(`${child} is named and not there`);
      }
    }
    if (reachable !== this.current.size) {
      report(`${this.current.size - reachable} nodes cannot be reached`);
    }
    for (const domain of this.domains) {
      const nodes = owned.get(domain) ?? 0;
      if (nodes !== domain.account.nodes) {
        report(`domain ${domain.domid} owns ${nodes} nodes, charged ${domain.account.nodes}`);
      }
    }
    return findings;
  }

  private mayHear(watcher: Watcher, path: string, subject: Subject): boolean {
    const { caller } = watcher;
    const { node, before } = subject;
    if (before !== undefined && rightsOf(caller, before) & MAY_READ) return true;
    // Created and removed by one transaction: nobody ever saw it.
    if (node === undefined) return false;
    if (rightsOf(caller, node.permissions) & MAY_READ) return true;
    const parent = subject.parent ?? this.current.get(parentPath(path));
    return parent !== undefined && (rightsOf(caller, parent.permissions) & MAY_READ) !== 0;
  }

  private charge(path: string, node: Node, sign: 1 | -1): void {
    const account = this.owner(node)?.account;
    if (account === undefined) return;
    account.nodes += sign;
    account.addMemory(sign * nodeCost(path, node));
  }

  private emptyNode(permissions: Permissions): Node {
    const generation = this.nextGeneration();
    return {
      value: NO_VALUE,
      permissions,
      children: ChildList.empty,
      generation,
      birth: generation,
    };
  }

  /** `/tool/xenstored`, which C's xenstored has from the start. */
  private createInitialNodes(permissions: Permissions): void {
    for (const path of ['/tool', '/tool/xenstored']) {
      const node = this.emptyNode(permissions);
      const above = parentPath(path);
      const parent = withChild(
        this.current.get(above) as Node,
        path,
        node.birth,
        this.nextGeneration(),
      );
      this.apply([
        { path: above, node: parent },
        { path, node },
      ]);
    }
  }
}
