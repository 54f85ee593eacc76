/**
 * A map from strings that is never changed: `set`, `delete` and `edit` lead to another map, which
 * shares all but a few small arrays with this one. So keeping an old version costs nothing.
 *
 * It is a hash trie: each branch looks at five more bits of the key's hash. There are a million
 * leaves, so a leaf is no object: key and value stand in the array of their branch.
 */
import { randomHash, type StringHash } from './string-hash.ts';

/**
 * An array of: a bitmap of those of the 32 cases that have one leaf, a bitmap of those that have
 * more, which are in a branch below; key and value of each leaf; the branches, the last case first.
 * Below the last bits of the hash are keys that have all of it in common, and both bitmaps are 0.
 */
type Branch = readonly unknown[];

const LEAF_BITS = 0;
const BRANCH_BITS = 1;
/** Where the leaves begin. */
const LEAVES = 2;

const BITS = 5;
const MASK = (1 << BITS) - 1;
const HASH_BITS = 32;
const EMPTY: Branch = [0, 0];

function bitCount(bitmap: number): number {
  let n = bitmap - ((bitmap >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

const leafBits = (branch: Branch) => branch[LEAF_BITS] as number;
const branchBits = (branch: Branch) => branch[BRANCH_BITS] as number;
const bitAt = (hash: number, shift: number) => 1 << ((hash >>> shift) & MASK);

/** Where the leaf of the case `bit` is, or belongs. */
function leafIndex(branch: Branch, bit: number): number {
  return LEAVES + 2 * bitCount(leafBits(branch) & (bit - 1));
}

/** Where the branch of the case `bit` is. */
function branchIndex(branch: Branch, bit: number): number {
  return branch.length - 1 - bitCount(branchBits(branch) & (bit - 1));
}

/** Where the key is among leaves that no bitmap tells of; -1 when it is not there. */
function collisionIndex(branch: Branch, key: string): number {
  for (let at = LEAVES; at < branch.length; at += 2) if (branch[at] === key) return at;
  return -1;
}

/** Branches that an edit has made and may change, since nobody else knows them yet. */
type OwnBranches = Set<Branch> | undefined;

/** The branch with another item: the branch itself if it is of `own`, or else a copy, which then is. */
function replaced(branch: Branch, index: number, item: unknown, own: OwnBranches): Branch {
  if (branch[index] === item) return branch;
  if (own?.has(branch)) {
    (branch as unknown[])[index] = item;
    return branch;
  }
  const copy = branch.slice();
  copy[index] = item;
  own?.add(copy);
  return copy;
}

/**
 * The branch with other bitmaps, and from `start` on `inserted` in the place of `count` items. Not
 * by splice, which leaves room for more items that never come.
 */
function rebuilt(
  branch: Branch,
  leaves: number,
  branches: number,
  start: number,
  count: number,
  inserted: readonly unknown[],
): unknown[] {
  const copy = new Array<unknown>(branch.length - count + inserted.length);
  copy[LEAF_BITS] = leaves;
  copy[BRANCH_BITS] = branches;
  let to = LEAVES;
  for (let i = LEAVES; i < start; i++) copy[to++] = branch[i];
  for (const item of inserted) copy[to++] = item;
  for (let i = start + count; i < branch.length; i++) copy[to++] = branch[i];
  return copy;
}

/** What `set` puts where. */
interface Addition {
  readonly hash: number;
  readonly key: string;
  readonly value: unknown;
  readonly own: OwnBranches;
  /** Whether the key was there before, found out on the way. */
  replaces: boolean;
}

/** A branch of two leaves whose hashes agree in all bits below `shift`. */
function branchOfTwo(addition: Addition, other: Branch, otherHash: number, shift: number): Branch {
  const { hash, key, value } = addition;
  if (shift >= HASH_BITS) return [0, 0, ...other, key, value];
  const bit = bitAt(hash, shift);
  const otherBit = bitAt(otherHash, shift);
  if (bit === otherBit) return [0, bit, branchOfTwo(addition, other, otherHash, shift + BITS)];
  // The sign bit makes the highest case negative, so the order is asked of the unsigned values.
  const isFirst = bit >>> 0 < otherBit >>> 0;
  return isFirst
    ? [bit | otherBit, 0, key, value, ...other]
    : [bit | otherBit, 0, ...other, key, value];
}

function branchWith(branch: Branch, addition: Addition, shift: number, hashOf: StringHash): Branch {
  const { hash, key, value, own } = addition;
  if (shift >= HASH_BITS) {
    const at = collisionIndex(branch, key);
    addition.replaces = at >= 0;
    return at >= 0 ? replaced(branch, at + 1, value, own) : [...branch, key, value];
  }
  const bit = bitAt(hash, shift);
  const leaves = leafBits(branch);
  const branches = branchBits(branch);
  if (branches & bit) {
    const index = branchIndex(branch, bit);
    const below = branchWith(branch[index] as Branch, addition, shift + BITS, hashOf);
    return replaced(branch, index, below, own);
  }
  const index = leafIndex(branch, bit);
  if (!(leaves & bit)) return rebuilt(branch, leaves | bit, branches, index, 0, [key, value]);
  const otherKey = branch[index] as string;
  if (otherKey === key) {
    addition.replaces = true;
    return replaced(branch, index + 1, value, own);
  }
  const other = [otherKey, branch[index + 1]];
  const below = branchOfTwo(addition, other, hashOf(otherKey), shift + BITS);
  const rest = rebuilt(branch, leaves & ~bit, branches | bit, index, 2, []);
  // Among the branches, which stand the last case first.
  rest.splice(rest.length - bitCount(branches & (bit - 1)), 0, below);
  return rest.slice();
}

/** What `delete` takes away. */
interface Removal {
  readonly hash: number;
  readonly key: string;
  readonly own: OwnBranches;
  /** Whether the key was there, found out on the way. */
  found: boolean;
}

/** The branch without the key, or the branch itself when it was not there. */
function branchWithout(branch: Branch, removal: Removal, shift: number): Branch {
  const { hash, key, own } = removal;
  if (shift >= HASH_BITS) {
    const at = collisionIndex(branch, key);
    if (at < 0) return branch;
    removal.found = true;
    return rebuilt(branch, 0, 0, at, 2, []);
  }
  const bit = bitAt(hash, shift);
  const leaves = leafBits(branch);
  const branches = branchBits(branch);
  if (leaves & bit) {
    const index = leafIndex(branch, bit);
    if (branch[index] !== key) return branch;
    removal.found = true;
    return rebuilt(branch, leaves & ~bit, branches, index, 2, []);
  }
  if (!(branches & bit)) return branch;
  const index = branchIndex(branch, bit);
  const below = branchWithout(branch[index] as Branch, removal, shift + BITS);
  if (!removal.found) return branch;
  if (below.length > LEAVES + 2 || branchBits(below) !== 0) {
    return replaced(branch, index, below, own);
  }
  // A branch of one leaf is that leaf.
  const rest = rebuilt(branch, leaves, branches & ~bit, index, 1, []);
  const leaf = below.slice(LEAVES);
  return rebuilt(rest, leaves | bit, branches & ~bit, leafIndex(branch, bit), 0, leaf);
}

/** The keys of a branch and of all below, with their values, in no order. */
function* leavesOf(branch: Branch): Generator<[string, unknown]> {
  const end = branch.length - bitCount(branchBits(branch));
  for (let at = LEAVES; at < end; at += 2) yield [branch[at] as string, branch[at + 1]];
  for (let at = end; at < branch.length; at++) yield* leavesOf(branch[at] as Branch);
}

/** What a branch has of one case, as a branch of its own. */
function caseOf(branch: Branch, bit: number): Branch {
  if (branchBits(branch) & bit) return branch[branchIndex(branch, bit)] as Branch;
  if (!(leafBits(branch) & bit)) return EMPTY;
  const index = leafIndex(branch, bit);
  return [0, 0, branch[index], branch[index + 1]];
}

/** A key under which two maps have different values; `undefined` where a map has none. */
export interface Difference<Value> {
  readonly key: string;
  readonly one: Value | undefined;
  readonly other: Value | undefined;
}

function* branchDifferences<Value>(one: Branch, other: Branch): Generator<Difference<Value>> {
  if (one === other) return;
  const shared = branchBits(one) & branchBits(other);
  if (shared !== 0) {
    let cases = leafBits(one) | branchBits(one) | leafBits(other) | branchBits(other);
    for (; cases !== 0; cases &= cases - 1) {
      const bit = cases & -cases;
      yield* branchDifferences<Value>(caseOf(one, bit), caseOf(other, bit));
    }
    return;
  }
  const others = new Map(leavesOf(other));
  for (const [key, value] of leavesOf(one)) {
    const another = others.get(key);
    others.delete(key);
    if (another !== value) yield { key, one: value as Value, other: another as Value | undefined };
  }
  for (const [key, value] of others) yield { key, one: undefined, other: value as Value };
}

/** A map while it is changed. */
export class MapEdit<Value> {
  root: Branch;
  size: number;
  private readonly hashOf: StringHash;
  private readonly own: OwnBranches;

  constructor(root: Branch, size: number, hashOf: StringHash, own: OwnBranches) {
    this.root = root;
    this.size = size;
    this.hashOf = hashOf;
    this.own = own;
  }

  set(key: string, value: Value): void {
    const { hashOf, own } = this;
    const addition = { hash: hashOf(key), key, value, own, replaces: false };
    this.root = branchWith(this.root, addition, 0, hashOf);
    if (!addition.replaces) this.size++;
  }

  delete(key: string): void {
    const removal = { hash: this.hashOf(key), key, own: this.own, found: false };
    this.root = branchWithout(this.root, removal, 0);
    if (removal.found) this.size--;
  }
}

export class PersistentMap<Value> {
  private readonly root: Branch;
  private readonly hashOf: StringHash;
  /** How many keys. */
  readonly size: number;

  private constructor(root: Branch, size: number, hashOf: StringHash) {
    this.root = root;
    this.size = size;
    this.hashOf = hashOf;
  }

  /** @param hashOf of the map and of all that are made of it; nobody can foresee the default */
  static empty<Value>(hashOf: StringHash = randomHash()): PersistentMap<Value> {
    return new PersistentMap<Value>(EMPTY, 0, hashOf);
  }

  get(key: string): Value | undefined {
    const hash = this.hashOf(key);
    let branch = this.root;
    for (let shift = 0; shift < HASH_BITS; shift += BITS) {
      const bit = bitAt(hash, shift);
      if (leafBits(branch) & bit) {
        const index = leafIndex(branch, bit);
        return branch[index] === key ? (branch[index + 1] as Value) : undefined;
      }
      if (!(branchBits(branch) & bit)) return undefined;
      branch = branch[branchIndex(branch, bit)] as Branch;
    }
    const at = collisionIndex(branch, key);
    return at < 0 ? undefined : (branch[at + 1] as Value);
  }

  set(key: string, value: Value): PersistentMap<Value> {
    return this.changed(undefined, (edit) => edit.set(key, value));
  }

  delete(key: string): PersistentMap<Value> {
    return this.changed(undefined, (edit) => edit.delete(key));
  }

  /** The map after all that `change` does. What lies on the way of several changes is copied once. */
  edit(change: (edit: MapEdit<Value>) => void): PersistentMap<Value> {
    return this.changed(new Set(), change);
  }

  /**
   * The keys under which `other`, which was made of this map or this of it, has another value, in no
   * order. Takes as long as the two have gone apart, however large they are.
   */
  differences(other: PersistentMap<Value>): Iterable<Difference<Value>> {
    return branchDifferences<Value>(this.root, other.root);
  }

  private changed(own: OwnBranches, change: (edit: MapEdit<Value>) => void): PersistentMap<Value> {
    const { hashOf, root, size } = this;
    const edit = new MapEdit<Value>(root, size, hashOf, own);
    change(edit);
    return edit.root === root ? this : new PersistentMap<Value>(edit.root, edit.size, hashOf);
  }
}
