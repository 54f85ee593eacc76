/** What can be done with nodes, with the permissions and quotas that hold for whoever asks. */
import { XenError } from '../base/errors.ts';
import { absolutePath, parentPath } from '../xenstore/path.ts';
import { ChildList } from './child-list.ts';
import { MAY_OWN, MAY_WRITE, ownedBy, ownerOf, type Permissions, rightsOf } from './permissions.ts';
import type { Store } from './store.ts';
import { type Node, nodeSize, postOrder, type Visit, withChild, withoutChild } from './tree.ts';
import { NO_VALUE, type Value } from './value.ts';
import type { Requester, View } from './view.ts';

/**
 * What clients run into all the time, since they ask for nodes that may be there. Only the code is
 * told, and to make an error of its own for each, with its stack, took longer than the request.
 */
const NO_SUCH_NODE = new XenError('ENOENT', 'use a node');
const NO_PERMISSION = new XenError('EACCES', 'use a node');

const DOMAIN_PREFIX = /^\/local\/domain\/\d{1,5}\//;

export class Nodes {
  private readonly store: Store;
  private readonly view: View;
  private readonly requester: Requester;

  constructor(store: Store, view: View, requester: Requester) {
    this.store = store;
    this.view = view;
    this.requester = requester;
  }

  /** The absolute form of a node's path. Throws EINVAL. */
  resolve(path: string): string {
    const absolute = absolutePath(path, this.requester.domain.home);
    const { account } = this.requester.domain;
    const pathLength = account.quota('pathLength');
    const isPeak = absolute.length > account.peaks.get('pathLength');
    if (isPeak || (pathLength !== 0 && absolute.length > pathLength)) {
      // The prefix that the path of a domain's own nodes must have does not count.
      const length = absolute.length - (DOMAIN_PREFIX.exec(absolute)?.[0].length ?? 0);
      if (pathLength !== 0 && length > pathLength) {
        throw new XenError('EINVAL', 'resolve a path', `a path has at most ${pathLength} bytes`);
      }
      account.peaks.note('pathLength', length);
    }
    return absolute;
  }

  /** The node, for somebody who needs the rights `need`. Throws ENOENT or EACCES. */
  get(path: string, need: number): Node {
    const node = this.find(path, need);
    if (node === undefined) throw NO_SUCH_NODE;
    return node;
  }

  /** Writes the value, and creates the node and those above it where there are none. */
  write(path: string, value: Value): void {
    const node = this.find(path, MAY_WRITE);
    if (node === undefined) {
      this.create(path, value);
      return;
    }
    const { permissions, children, birth } = node;
    const generation = this.store.nextGeneration();
    const written: Node = { value, permissions, children, generation, birth };
    this.checkSize(path, written);
    this.view.apply([{ path, node: written }]);
    this.view.changed(path, false, { node: written });
  }

  /** Creates the node unless it is there. */
  mkdir(path: string): void {
    if (this.find(path, MAY_WRITE) === undefined) this.create(path, NO_VALUE);
  }

  /** Removes the node and all below it, whoever owns them. Nothing, where only the parent is there. */
  remove(path: string): void {
    if (this.find(path, MAY_WRITE) === undefined) {
      if (this.view.get(parentPath(path)) !== undefined) return;
      // There is no parent either.
      throw NO_SUCH_NODE;
    }
    if (path === '/') throw new XenError('EINVAL', 'remove /', 'the root stays');
    removeSubtree(this.store, this.view, path);
  }

  setPermissions(path: string, permissions: Permissions): void {
    const node = this.get(path, MAY_WRITE | MAY_OWN);
    const owner = ownerOf(node.permissions).domid;
    if (!this.requester.privileged && ownerOf(permissions).domid !== owner) {
      throw new XenError('EPERM', `set permissions of ${path}`, 'the owner is not yours to change');
    }
    const { value, children, birth } = node;
    const generation = this.store.nextGeneration();
    const changed: Node = { value, permissions, children, generation, birth };
    this.checkSize(path, changed);
    this.view.apply([{ path, node: changed }]);
    this.view.changed(path, false, { node: changed, before: node.permissions });
  }

  /**
   * The node if the caller has the rights `need`, `undefined` if there is none. Throws EACCES
   * otherwise, and also where the lack of a node would tell something of a place that is hidden.
   */
  private find(path: string, need: number): Node | undefined {
    const { requester, view } = this;
    const node = view.get(path);
    if (node !== undefined && (rightsOf(requester, node.permissions) & need) === need) return node;
    let above: Node | undefined;
    for (let at = path; above === undefined; ) {
      at = parentPath(at);
      above = view.get(at);
    }
    const mayKnow = (rightsOf(requester, above.permissions) & need) !== 0;
    if (node === undefined && mayKnow) return undefined;
    throw NO_PERMISSION;
  }

  private create(path: string, value: Value): void {
    const missing = [path];
    let above = parentPath(path);
    let parent = this.view.get(above);
    while (parent === undefined) {
      missing.push(above);
      above = parentPath(above);
      parent = this.view.get(above);
    }
    this.checkCount(missing.length);
    const created = this.construct(missing, parent.permissions, value);
    const top = created[created.length - 1] as { path: string; node: Node };
    const grown = withChild(parent, top.path, top.node.birth, this.store.nextGeneration());
    const changes = [...created, { path: above, node: grown }];
    for (const change of changes) this.checkSize(change.path, change.node);
    this.view.apply(changes);
    const node = (created[0] as { node: Node }).node;
    this.view.changed(path, false, { node, parent: created[1]?.node ?? grown });
  }

  /** The missing nodes, the deepest first: each inherits the permissions of the one above it. */
  private construct(
    missing: readonly string[],
    inherited: Permissions,
    value: Value,
  ): { path: string; node: Node }[] {
    const { privileged, domain } = this.requester;
    // What the tools create in a guest's place is the guest's; what a guest creates is its own.
    const permissions = privileged ? inherited : ownedBy(inherited, domain);
    const created: { path: string; node: Node }[] = [];
    for (const path of missing) {
      const generation = this.store.nextGeneration();
      const below = created[created.length - 1];
      const node: Node = {
        value: below === undefined ? value : NO_VALUE,
        permissions,
        children: ChildList.empty,
        generation,
        birth: generation,
      };
      const childBirth = below?.node.birth ?? 0;
      created.push({
        path,
        node: below === undefined ? node : withChild(node, below.path, childBirth, generation),
      });
    }
    return created;
  }

  private checkCount(more: number): void {
    const { account } = this.requester.domain;
    if (account.nodes + this.view.countedNow(more) > account.limit('nodes')) {
      throw account.denied('ENOSPC', 'nodes', 'a node');
    }
  }

  private checkSize(path: string, node: Node): void {
    const { account } = this.requester.domain;
    const size = nodeSize(node);
    if (size < account.limit('nodeSize')) {
      account.peaks.note('nodeSize', size);
      return;
    }
    this.view.spoil();
    throw account.denied('ENOSPC', 'nodeSize', `a node so large at ${path}`);
  }
}

/** Removes `top`, which is not the root, and all below it. Watchers hear of the deepest first. */
export function removeSubtree(store: Store, view: View, top: string): void {
  const above = parentPath(top);
  const parent = view.get(above);
  if (parent === undefined) throw new XenError('EINVAL', `remove ${top}`, 'it has no parent');
  const visits = visitAll(view, top);
  const last = visits[visits.length - 1];
  if (last === undefined) return;
  const shrunk = withoutChild(parent, top, last.node, store.nextGeneration());
  for (const { path, node, parent: over } of visits) {
    view.changed(path, path !== top, { node, parent: over });
  }
  view.apply([
    ...visits.map(({ path }) => ({ path, node: undefined })),
    { path: above, node: shrunk },
  ]);
}

function visitAll(view: View, top: string): Visit[] {
  try {
    return [...postOrder(view, top)];
  } catch (error) {
    // A transaction that may touch no more nodes: C's xenstored tells it of an EIO here.
    throw new XenError('EIO', `remove ${top}`, 'the walk ended early', error);
  }
}
