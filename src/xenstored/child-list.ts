/**
 * The names of a node's children, oldest first: the order in which xenstored lists them. Never
 * changed; `with` and `without` answer with another list that shares most of its memory.
 *
 * The names stand in runs of at most `RUN_MAX`, so that one more child costs the copy of one run
 * and of the list of runs, not of ten thousand names.
 */
import { latin1Encode } from '../base/bytes.ts';
import type { ChildState } from './state.ts';

interface Run {
  readonly entries: readonly ChildState[];
  /** Bytes of its names, each with a NUL after it. */
  readonly byteLength: number;
}

const RUN_MAX = 64;

/** The index of the last item whose birth, as `birthOf` tells, is at most `birth`; -1 without one. */
function lastUpTo<Item>(items: readonly Item[], birth: number, birthOf: (item: Item) => number) {
  let low = -1;
  let high = items.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (birthOf(items[middle] as Item) <= birth) low = middle;
    else high = middle - 1;
  }
  return low;
}

function runOf(entries: readonly ChildState[]): Run {
  return { entries, byteLength: entries.reduce((sum, { name }) => sum + name.length + 1, 0) };
}

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
    const entries = [...children].sort((a, b) => a.birth - b.birth);
    const runs: Run[] = [];
    for (let at = 0; at < entries.length; at += RUN_MAX) {
      runs.push(runOf(entries.slice(at, at + RUN_MAX)));
    }
    const byteLength = runs.reduce((sum, run) => sum + run.byteLength, 0);
    return new ChildList(runs, entries.length, byteLength);
  }

  /** The children with their births, oldest first. */
  get entries(): readonly ChildState[] {
    return this.runs.flatMap(({ entries }) => entries);
  }

  *[Symbol.iterator](): Iterator<string> {
    for (const { entries } of this.runs) for (const { name } of entries) yield name;
  }

  /** With one more child, which is not yet here. */
  with(name: string, birth: number): ChildList {
    const entry = { name, birth };
    const at = Math.max(0, this.runAt(birth));
    const run = this.runs[at]?.entries ?? [];
    const index = lastUpTo(run, birth, (other) => other.birth) + 1;
    const longer = [...run.slice(0, index), entry, ...run.slice(index)];
    // A run that is full is halved, unless it grows at its end as it does nearly always.
    const middle = index === run.length ? RUN_MAX : RUN_MAX / 2;
    const parts =
      longer.length > RUN_MAX ? [longer.slice(0, middle), longer.slice(middle)] : [longer];
    const runs = [...this.runs.slice(0, at), ...parts.map(runOf), ...this.runs.slice(at + 1)];
    return new ChildList(runs, this.count + 1, this.byteLength + name.length + 1);
  }

  /** Without the child of that name and birth, which is here. */
  without(name: string, birth: number): ChildList {
    const at = this.runAt(birth);
    const run = (this.runs[at]?.entries ?? []).filter((entry) => entry.birth !== birth);
    const middle = run.length > 0 ? [runOf(run)] : [];
    const runs = [...this.runs.slice(0, at), ...middle, ...this.runs.slice(at + 1)];
    return new ChildList(runs, this.count - 1, this.byteLength - name.length - 1);
  }

  /**
   * The names as `XS_DIRECTORY` answers with them, each followed by NUL, from the byte at `offset`:
   * as many whole names as `room` bytes hold. No other name is looked at than those returned and
   * the rest of their runs.
   */
  bytesFrom(offset: number, room: number): Uint8Array {
    let text = '';
    let skip = offset;
    for (const { entries, byteLength } of this.runs) {
      if (skip >= byteLength) {
        skip -= byteLength;
        continue;
      }
      for (const { name } of entries) {
        const rest = skip > name.length ? '' : `${name.slice(skip)}\0`;
        skip = Math.max(0, skip - name.length - 1);
        if (text.length + rest.length > room) return latin1Encode(text);
        text += rest;
      }
    }
    return latin1Encode(text);
  }

  private runAt(birth: number): number {
    return lastUpTo(this.runs, birth, ({ entries }) => (entries[0] as ChildState).birth);
  }
}
