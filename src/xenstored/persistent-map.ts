/**
 * A map from strings that is never changed: `set` and `delete` answer with another map, which
 * shares all but a few small arrays with this one. So keeping an old version costs nothing.
 *
 * It is a hash trie: each branch looks at five more bits of the key's hash and has a slot for those
 * of the 32 cases that occur, which its bitmap tells.
 */

interface Leaf<Value> {
  readonly hash: number;
  readonly key: string;
  readonly value: Value;
}

interface Branch<Value> {
  readonly bitmap: number;
  readonly slots: readonly Slot<Value>[];
}

/** Different keys with the same hash. */
interface Collision<Value> {
  readonly hash: number;
  readonly leaves: readonly Leaf<Value>[];
}

type Slot<Value> = Leaf<Value> | Branch<Value> | Collision<Value>;

const BITS = 5;
const MASK = (1 << BITS) - 1;
const EMPTY: Branch<never> = { bitmap: 0, slots: [] };

/** FNV-1a over the characters, as a signed number, which takes no memory of its own. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return hash;
}

function bitCount(bitmap: number): number {
  let n = bitmap - ((bitmap >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

const bitAt = (hash: number, shift: number) => 1 << ((hash >>> shift) & MASK);
const indexOf = (bitmap: number, bit: number) => bitCount(bitmap & (bit - 1));

function replaced<Item>(items: readonly Item[], index: number, item: Item): Item[] {
  const copy = items.slice();
  copy[index] = item;
  return copy;
}

function inserted<Item>(items: readonly Item[], index: number, item: Item): Item[] {
  // Not by splice, which leaves room for more items that never come.
  const copy = new Array<Item>(items.length + 1);
  for (let i = 0; i < index; i++) copy[i] = items[i] as Item;
  copy[index] = item;
  for (let i = index; i < items.length; i++) copy[i + 1] = items[i] as Item;
  return copy;
}

function removed<Item>(items: readonly Item[], index: number): Item[] {
  const copy = new Array<Item>(items.length - 1);
  for (let i = 0; i < index; i++) copy[i] = items[i] as Item;
  for (let i = index; i < copy.length; i++) copy[i] = items[i + 1] as Item;
  return copy;
}

/** A slot that holds both; their hashes agree in all bits below `shift`. */
function join<Value>(
  slot: Leaf<Value> | Collision<Value>,
  leaf: Leaf<Value>,
  shift: number,
): Slot<Value> {
  if (slot.hash === leaf.hash) {
    const leaves = 'leaves' in slot ? slot.leaves : [slot];
    return { hash: leaf.hash, leaves: [...leaves, leaf] };
  }
  const slotBit = bitAt(slot.hash, shift);
  const leafBit = bitAt(leaf.hash, shift);
  if (slotBit === leafBit) {
    return { bitmap: slotBit, slots: [join(slot, leaf, shift + BITS)] };
  }
  // The sign bit makes the highest slot negative, so the order is asked of the unsigned values.
  const slots = slotBit >>> 0 < leafBit >>> 0 ? [slot, leaf] : [leaf, slot];
  return { bitmap: slotBit | leafBit, slots };
}

/** The slot with the leaf added, or put in the place of the one with its key. */
function slotWith<Value>(slot: Slot<Value>, leaf: Leaf<Value>, shift: number): Slot<Value> {
  if ('bitmap' in slot) return branchWith(slot, leaf, shift);
  if ('leaves' in slot) {
    const at = slot.leaves.findIndex(({ key }) => key === leaf.key);
    if (at < 0) return join(slot, leaf, shift);
    return { hash: slot.hash, leaves: replaced(slot.leaves, at, leaf) };
  }
  return slot.key === leaf.key ? leaf : join(slot, leaf, shift);
}

function branchWith<Value>(branch: Branch<Value>, leaf: Leaf<Value>, shift: number): Branch<Value> {
  const { bitmap, slots } = branch;
  const bit = bitAt(leaf.hash, shift);
  const index = indexOf(bitmap, bit);
  if ((bitmap & bit) === 0) {
    return { bitmap: bitmap | bit, slots: inserted(slots, index, leaf) };
  }
  const slot = slotWith(slots[index] as Slot<Value>, leaf, shift + BITS);
  return { bitmap, slots: replaced(slots, index, slot) };
}

/** The slot without the key: `undefined` when nothing is left, the slot itself when it was not there. */
function slotWithout<Value>(
  slot: Slot<Value>,
  key: string,
  hash: number,
  shift: number,
): Slot<Value> | undefined {
  if ('bitmap' in slot) return branchWithout(slot, key, hash, shift);
  if ('leaves' in slot) {
    const at = slot.leaves.findIndex((leaf) => leaf.key === key);
    if (at < 0) return slot;
    const leaves = removed(slot.leaves, at);
    return leaves.length === 1 ? leaves[0] : { hash: slot.hash, leaves };
  }
  return slot.key === key ? undefined : slot;
}

function branchWithout<Value>(
  branch: Branch<Value>,
  key: string,
  hash: number,
  shift: number,
): Slot<Value> | undefined {
  const { bitmap, slots } = branch;
  const bit = bitAt(hash, shift);
  if ((bitmap & bit) === 0) return branch;
  const index = indexOf(bitmap, bit);
  const old = slots[index] as Slot<Value>;
  const slot = slotWithout(old, key, hash, shift + BITS);
  if (slot === old) return branch;
  if (slot !== undefined) {
    // A branch with one leaf is that leaf, except at the root, which stays a branch.
    if (slots.length === 1 && !('bitmap' in slot) && shift > 0) return slot;
    return { bitmap, slots: replaced(slots, index, slot) };
  }
  if (slots.length === 1) return undefined;
  const rest = removed(slots, index);
  const [only] = rest;
  if (rest.length === 1 && only !== undefined && !('bitmap' in only) && shift > 0) return only;
  return { bitmap: bitmap & ~bit, slots: rest };
}

/** The leaves of a slot, in no order. */
function* leavesOf<Value>(slot: Slot<Value> | undefined): Generator<Leaf<Value>> {
  if (slot === undefined) return;
  if ('bitmap' in slot) for (const below of slot.slots) yield* leavesOf(below);
  else if ('leaves' in slot) yield* slot.leaves;
  else yield slot;
}

/** A key under which two maps have different values; `undefined` where a map has none. */
export interface Difference<Value> {
  readonly key: string;
  readonly one: Value | undefined;
  readonly other: Value | undefined;
}

const slotFor = <Value>({ bitmap, slots }: Branch<Value>, bit: number) =>
  (bitmap & bit) === 0 ? undefined : slots[indexOf(bitmap, bit)];

function* slotDifferences<Value>(
  one: Slot<Value> | undefined,
  other: Slot<Value> | undefined,
): Generator<Difference<Value>> {
  if (one === other) return;
  if (one !== undefined && other !== undefined && 'bitmap' in one && 'bitmap' in other) {
    for (let bits = one.bitmap | other.bitmap; bits !== 0; bits &= bits - 1) {
      const bit = bits & -bits;
      yield* slotDifferences(slotFor(one, bit), slotFor(other, bit));
    }
    return;
  }
  const others = new Map([...leavesOf(other)].map(({ key, value }) => [key, value]));
  for (const { key, value } of leavesOf(one)) {
    const another = others.get(key);
    others.delete(key);
    if (another !== value) yield { key, one: value, other: another };
  }
  for (const [key, value] of others) yield { key, one: undefined, other: value };
}

export class PersistentMap<Value> {
  private readonly root: Branch<Value>;
  /** How many keys. */
  readonly size: number;

  private constructor(root: Branch<Value>, size: number) {
    this.root = root;
    this.size = size;
  }

  static empty<Value>(): PersistentMap<Value> {
    return new PersistentMap<Value>(EMPTY, 0);
  }

  get(key: string): Value | undefined {
    return this.find(key, hashOf(key));
  }

  set(key: string, value: Value): PersistentMap<Value> {
    const hash = hashOf(key);
    const growth = this.find(key, hash) === undefined ? 1 : 0;
    return new PersistentMap(branchWith(this.root, { hash, key, value }, 0), this.size + growth);
  }

  delete(key: string): PersistentMap<Value> {
    const root = branchWithout(this.root, key, hashOf(key), 0);
    if (root === this.root) return this;
    return new PersistentMap((root as Branch<Value> | undefined) ?? EMPTY, this.size - 1);
  }

  /**
   * The keys under which `other` has another value than this map, in no order. Takes as long as the
   * two have gone apart, however large they are.
   */
  differences(other: PersistentMap<Value>): Iterable<Difference<Value>> {
    return slotDifferences<Value>(this.root, other.root);
  }

  private find(key: string, hash: number): Value | undefined {
    let slot: Slot<Value> = this.root;
    for (let shift = 0; 'bitmap' in slot; shift += BITS) {
      const bit = bitAt(hash, shift);
      if ((slot.bitmap & bit) === 0) return undefined;
      slot = slot.slots[indexOf(slot.bitmap, bit)] as Slot<Value>;
    }
    if ('leaves' in slot) return slot.leaves.find((leaf) => leaf.key === key)?.value;
    return slot.key === key ? slot.value : undefined;
  }
}
