/**
 * Everything that xenstored stores, as one value: a tree that is never changed, of which every
 * change makes another. Old and new share nearly all memory, so a snapshot costs nothing.
 *
 * Nodes are found by their whole path, so neither a lookup nor a change depends on how deep a node
 * is, and no code here recurses.
 */
import { assert } from '../base/assert.ts';
import { XenError } from '../base/errors.ts';
import { childPath, parentPath, pathName } from '../xenstore/path.ts';
import { ChildList } from './child-list.ts';
import type { Permissions } from './permissions.ts';
import { PersistentMap } from './persistent-map.ts';
import type { ChildState, NodeDifference, NodeState, WholeNodeState } from './state.ts';
import type { Value } from './value.ts';

/** One node. Its children are nodes of their own, here are only their names. */
export interface Node {
  readonly value: Value;
  readonly permissions: Permissions;
  readonly children: ChildList;
  /** Another number whenever value, permissions or the list of children are others: how conflicts are seen. */
  readonly generation: number;
  /** The generation it was created with: how siblings are ordered. */
  readonly birth: number;
}

/** What became of one node; absent where it was removed. */
export interface Change {
  readonly path: string;
  readonly node: Node | undefined;
}

/** Bytes that C's xenstored takes for a node besides what varies, `struct xs_tdb_record_hdr`. */
const NODE_HEADER_SIZE = 24;
/** Bytes of one permission entry there, `struct xs_permissions`. */
const PERMISSION_SIZE = 8;

/** Bytes of a node as the quota on its size counts them, which is as C's xenstored stores it. */
export function nodeSize(node: Node): number {
  return (
    NODE_HEADER_SIZE +
    PERMISSION_SIZE * node.permissions.length +
    node.value.length +
    node.children.byteLength
  );
}

export class Tree {
  private readonly nodes: PersistentMap<Node>;

  private constructor(nodes: PersistentMap<Node>) {
    this.nodes = nodes;
  }

  /** A tree with nothing but a root. */
  static create(root: Node): Tree {
    return new Tree(PersistentMap.empty<Node>().set('/', root));
  }

  /** The tree of these nodes, in whatever order. Throws EINVAL when one has no parent among them. */
  static of(states: Iterable<NodeState>): Tree {
    const children = new Map<string, ChildState[]>();
    const all = [...states];
    for (const { path } of all) children.set(path, []);
    for (const { path, birth } of all) {
      if (path === '/') continue;
      const siblings = children.get(parentPath(path));
      if (siblings === undefined) {
        throw new XenError('EINVAL', 'take up a tree', `the node ${path} has no parent`);
      }
      siblings.push({ name: pathName(path), birth });
    }
    if (!children.has('/')) throw new XenError('EINVAL', 'take up a tree', 'it has no root');
    let nodes = PersistentMap.empty<Node>();
    for (const { path, value, permissions, generation, birth } of all) {
      const list = ChildList.of(children.get(path) as ChildState[]);
      nodes = nodes.set(path, { value, permissions, children: list, generation, birth });
    }
    return new Tree(nodes);
  }

  /** Where `older` is not as this tree is: the nodes that it has there. In no order. */
  *differencesOf(older: Tree): Generator<NodeDifference> {
    for (const { key, other } of this.nodes.differences(older.nodes)) {
      yield { path: key, node: other && wholeState(other) };
    }
  }

  /** The tree with nodes put into the place of those that it has, or taken away. */
  withDifferences(differences: readonly NodeDifference[]): Tree {
    return this.with(differences.map(({ path, node }) => ({ path, node: node && nodeOf(node) })));
  }

  /** How many nodes, the root among them. */
  get size(): number {
    return this.nodes.size;
  }

  get(path: string): Node | undefined {
    return this.nodes.get(path);
  }

  /** The tree after these changes, in order. Names in lists of children are the caller's to keep in step. */
  with(changes: readonly Change[]): Tree {
    const { nodes } = this;
    const [first] = changes;
    if (changes.length === 1 && first?.node !== undefined) {
      return new Tree(nodes.set(first.path, first.node));
    }
    const changed = nodes.edit((edit) => {
      for (const { path, node } of changes) {
        assert(path !== '/' || node !== undefined, 'the root stays');
        if (node === undefined) edit.delete(path);
        else edit.set(path, node);
      }
    });
    return new Tree(changed);
  }
}

/** The node as a value of its own. */
export function wholeState({
  value,
  permissions,
  children,
  generation,
  birth,
}: Node): WholeNodeState {
  return { value, permissions, children: children.entries, generation, birth };
}

export function nodeOf(state: WholeNodeState): Node {
  const { value, permissions, children, generation, birth } = state;
  return { value, permissions, children: ChildList.of(children), generation, birth };
}

/** All nodes, each after its parent and its older siblings. */
export function* nodeStates(tree: Tree): Generator<NodeState> {
  const paths = ['/'];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const { value, permissions, children, generation, birth } = tree.get(path) as Node;
    yield { path, value, permissions, generation, birth };
    const { entries } = children;
    for (let i = entries.length - 1; i >= 0; i--) {
      paths.push(childPath(path, (entries[i] as ChildState).name));
    }
  }
}

/** Where nodes are read from: a tree, or a transaction's view of one. */
interface Source {
  get(path: string): Node | undefined;
}

/** A node on a walk, with its path and its parent on that walk. */
export interface Visit {
  readonly path: string;
  readonly node: Node;
  /** Absent for the node where the walk began. */
  readonly parent: Node | undefined;
}

interface Step extends Visit {
  readonly names: Iterator<string>;
}

/**
 * The node at `top` and all below, children before their parents: the order in which a removal
 * tells of them. `enter` may leave a node and what is below it out of the walk.
 */
export function* postOrder(
  source: Source,
  top: string,
  enter: (visit: Visit) => boolean = () => true,
): Generator<Visit> {
  const steps: Step[] = [];
  const descend = (path: string, parent: Node | undefined) => {
    const node = source.get(path);
    if (node === undefined) return;
    const step = { path, node, parent, names: node.children[Symbol.iterator]() };
    if (enter(step)) steps.push(step);
  };
  descend(top, undefined);
  for (;;) {
    const step = steps[steps.length - 1];
    if (step === undefined) return;
    const next = step.names.next();
    if (next.done === true) {
      steps.pop();
      yield step;
    } else {
      descend(childPath(step.path, next.value), step.node);
    }
  }
}

/** The node with other children; `generation` is its new one. */
function withChildren(node: Node, children: ChildList, generation: number): Node {
  const { value, permissions, birth } = node;
  return { value, permissions, children, generation, birth };
}

/** The parent with the child's name added; `generation` is the parent's new one. */
export function withChild(parent: Node, path: string, birth: number, generation: number): Node {
  return withChildren(parent, parent.children.with(pathName(path), birth), generation);
}

/** The parent with the child's name removed; `generation` is the parent's new one. */
export function withoutChild(parent: Node, path: string, child: Node, generation: number): Node {
  return withChildren(parent, parent.children.without(pathName(path), child.birth), generation);
}
