/**
 * The names of a node's children, oldest first: the order in which xenstored lists them. Never
 * changed; `with` and `without` answer with another list that shares most of its memory.
 *
 * The names stand in runs of at most `RUN_MAX`, so that one more child costs the copy of one run
 * and of the list of runs, not of ten thousand names.
 */
import { latin1Write } from '../base/bytes.ts';
import type { ChildState } from './state.ts';

/** A child is no object: its name and its birth stand at the same index of two arrays. */
interface Run {
  readonly names: readonly string[];
  /** The nodes' `birth`: larger for a younger sibling. */
  readonly births: readonly number[];
  /** Bytes of its names, each with a NUL after it. */
  readonly byteLength: number;
}

const RUN_MAX = 64;

/** The index of the last of `count` births that is at most `birth`; -1 without one. */
function lastUpTo(count: number, birth: number, birthAt: (index: number) => number): number {
  let low = -1;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (birthAt(middle) <= birth) low = middle;
    else high = middle - 1;
  }
  return low;
}

function sizeOf(names: readonly string[]): number {
  let bytes = 0;
  for (const name of names) bytes += name.length + 1;
  return bytes;
}

function part({ names, births }: Run, start: number, end: number): Run {
  const some = names.slice(start, end);
  return { names: some, births: births.slice(start, end), byteLength: sizeOf(some) };
}

/** A copy with no more room than it needs: of a million lists, most never change again. */
function withItem<Item>(items: readonly Item[], index: number, item: Item): Item[] {
  const copy = new Array<Item>(items.length + 1);
  for (let i = 0; i < index; i++) copy[i] = items[i] as Item;
  copy[index] = item;
  for (let i = index; i < items.length; i++) copy[i + 1] = items[i] as Item;
  return copy;
}

function withoutItem<Item>(items: readonly Item[], index: number): Item[] {
  const copy = new Array<Item>(items.length - 1);
  for (let i = 0; i < index; i++) copy[i] = items[i] as Item;
  for (let i = index + 1; i < items.length; i++) copy[i - 1] = items[i] as Item;
  return copy;
}

const EMPTY_RUN: Run = { names: [], births: [], byteLength: 0 };

export class ChildList implements Iterable<string> {
  private readonly runs: readonly Run[];
  /** How many children. */
  readonly count: number;
  /** Bytes of all names, each with a NUL after it: what `XS_DIRECTORY` answers with. */
  readonly byteLength: number;

  private constructor(runs: readonly Run[], count: number, byteLength: number) {
    this.runs = runs;
    this.count = count;
    this.byteLength = byteLength;
  }

  static readonly empty = new ChildList([], 0, 0);

  /** The list of these children, in whatever order they come. */
  static of(children: readonly ChildState[]): ChildList {
    if (children.length === 0) return ChildList.empty;
    const sorted = [...children].sort((a, b) => a.birth - b.birth);
    const names = sorted.map(({ name }) => name);
    const births = sorted.map(({ birth }) => birth);
    const whole = { names, births, byteLength: sizeOf(names) };
    const runs: Run[] = [];
    for (let at = 0; at < names.length; at += RUN_MAX) runs.push(part(whole, at, at + RUN_MAX));
    return new ChildList(runs, names.length, whole.byteLength);
  }

  /** The children with their births, oldest first. */
  get entries(): readonly ChildState[] {
    return this.runs.flatMap(({ names, births }) =>
      names.map((name, index) => ({ name, birth: births[index] as number })),
    );
  }

  *[Symbol.iterator](): Iterator<string> {
    for (const { names } of this.runs) yield* names;
  }

  /** With one more child, which is not yet here. */
  with(name: string, birth: number): ChildList {
    const at = Math.max(0, this.runAt(birth));
    const run = this.runs[at] ?? EMPTY_RUN;
    const { names, births } = run;
    const index = lastUpTo(births.length, birth, (i) => births[i] as number) + 1;
    const size = name.length + 1;
    const longer = {
      names: withItem(names, index, name),
      births: withItem(births, index, birth),
      byteLength: run.byteLength + size,
    };
    const { length } = longer.names;
    // A run that is full is halved, unless it grows at its end as it does nearly always.
    const middle = index === names.length ? RUN_MAX : RUN_MAX / 2;
    const parts =
      length > RUN_MAX ? [part(longer, 0, middle), part(longer, middle, length)] : [longer];
    return new ChildList(this.runsWith(at, parts), this.count + 1, this.byteLength + size);
  }

  /** Without the child of that name and birth, which is here. */
  without(name: string, birth: number): ChildList {
    const at = this.runAt(birth);
    const { names, births, byteLength } = this.runs[at] as Run;
    const size = name.length + 1;
    if (this.count === 1) return ChildList.empty;
    const index = lastUpTo(births.length, birth, (i) => births[i] as number);
    const shorter = {
      names: withoutItem(names, index),
      births: withoutItem(births, index),
      byteLength: byteLength - size,
    };
    const parts = names.length > 1 ? [shorter] : [];
    return new ChildList(this.runsWith(at, parts), this.count - 1, this.byteLength - size);
  }

  /**
   * The names as `XS_DIRECTORY` answers with them, each followed by NUL, from the byte at `offset`:
   * as many whole names as `room` bytes hold. No other name is looked at than those returned and
   * the rest of their runs.
   */
  bytesFrom(offset: number, room: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(room, Math.max(0, this.byteLength - offset)));
    let skip = offset;
    let end = 0;
    for (const { names, byteLength } of this.runs) {
      if (skip >= byteLength) {
        skip -= byteLength;
        continue;
      }
      for (const name of names) {
        const size = name.length + 1;
        if (skip >= size) {
          skip -= size;
          continue;
        }
        if (end + size - skip > bytes.length) return bytes.subarray(0, end);
        // The NUL is there already.
        end = latin1Write(skip === 0 ? name : name.slice(skip), bytes, end) + 1;
        skip = 0;
      }
    }
    return bytes.subarray(0, end);
  }

  /** The runs with others in the place of the one at `at`. Most lists have one. */
  private runsWith(at: number, parts: readonly Run[]): readonly Run[] {
    const { runs } = this;
    return runs.length <= 1 ? parts : [...runs.slice(0, at), ...parts, ...runs.slice(at + 1)];
  }

  private runAt(birth: number): number {
    const { runs } = this;
    return lastUpTo(runs.length, birth, (index) => (runs[index] as Run).births[0] as number);
  }
}
