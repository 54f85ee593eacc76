/**
 * The names of a node's children, oldest first: the order in which xenstored lists them. Never
 * changed; `with` and `without` answer with another list that shares most of its memory.
 *
 * The names stand in runs of at most `RUN_MAX`, so that one more child costs the copy of one run
 * and of the list of runs, not of ten thousand names.
 */
import { latin1Write } from '../base/bytes.ts';

interface Entry {
  readonly name: string;
  /** The node's `birth`: larger for a younger sibling. */
  readonly birth: number;
}

type Run = readonly Entry[];

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

export class ChildList implements Iterable<string> {
  private readonly runs: readonly Run[];
  /** How many children. */
  readonly count: number;
  /** Bytes of all names, each with a NUL after it: what `XS_DIRECTORY` answers with. */
  readonly byteLength: number;
  private wire: Uint8Array | undefined;

  private constructor(runs: readonly Run[], count: number, byteLength: number) {
    this.runs = runs;
    this.count = count;
    this.byteLength = byteLength;
  }

  static readonly empty = new ChildList([], 0, 0);

  *[Symbol.iterator](): Iterator<string> {
    for (const run of this.runs) for (const { name } of run) yield name;
  }

  /** With one more child, which is not yet here. */
  with(name: string, birth: number): ChildList {
    const entry = { name, birth };
    const at = Math.max(0, this.runAt(birth));
    const run = this.runs[at] ?? [];
    const index = lastUpTo(run, birth, (other) => other.birth) + 1;
    const longer = [...run.slice(0, index), entry, ...run.slice(index)];
    // A run that is full is halved, unless it grows at its end as it does nearly always.
    const middle = index === run.length ? RUN_MAX : RUN_MAX / 2;
    const parts =
      longer.length > RUN_MAX ? [longer.slice(0, middle), longer.slice(middle)] : [longer];
    const runs = [...this.runs.slice(0, at), ...parts, ...this.runs.slice(at + 1)];
    return new ChildList(runs, this.count + 1, this.byteLength + name.length + 1);
  }

  /** Without the child of that name and birth, which is here. */
  without(name: string, birth: number): ChildList {
    const at = this.runAt(birth);
    const run = (this.runs[at] ?? []).filter((entry) => entry.birth !== birth);
    const middle = run.length > 0 ? [run] : [];
    const runs = [...this.runs.slice(0, at), ...middle, ...this.runs.slice(at + 1)];
    return new ChildList(runs, this.count - 1, this.byteLength - name.length - 1);
  }

  /** The names as `XS_DIRECTORY` answers with them: each followed by NUL. Made once, then kept. */
  get bytes(): Uint8Array {
    if (this.wire === undefined) {
      this.wire = new Uint8Array(this.byteLength);
      let at = 0;
      for (const name of this) at = latin1Write(name, this.wire, at) + 1;
    }
    return this.wire;
  }

  private runAt(birth: number): number {
    return lastUpTo(this.runs, birth, (run) => (run[0] as Entry).birth);
  }
}
