/** How a bench measures: everybody in turns, several times, and of each figure the median. */

export interface BenchOptions {
  /** Fewer rounds and smaller counts: to see that all works, not to compare. */
  readonly quick: boolean;
  /** That part alone, where a bench has several. */
  readonly part?: string | undefined;
}

export interface Quantity {
  readonly name: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher';
}

export interface Row extends Quantity {
  readonly ours: number;
  /** By the peer's name; one that cannot do it at all is absent. */
  readonly peers: Readonly<Record<string, number>>;
}

/** What was measured in one go, by the quantity's name; what could not be done is absent. */
export type Figures = ReadonlyMap<string, number>;

export interface Contestant {
  /** `ours`, or the name of a peer. */
  readonly side: string;
  measure(): Promise<Figures>;
}

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

/** Lets the contestants measure in turns, so that what else the machine does meets all alike. */
export async function measureInTurns(
  quantities: readonly Quantity[],
  contestants: readonly Contestant[],
  rounds: number,
): Promise<Row[]> {
  const measured: { side: string; figures: Figures }[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const { side, measure } of contestants) {
      process.stderr.write(`round ${round} of ${rounds}: ${side}\n`);
      measured.push({ side, figures: await measure() });
    }
  }
  return quantities.map((quantity) => {
    const medianOf = (side: string) =>
      median(
        measured
          .filter((one) => one.side === side)
          .flatMap(({ figures }) => figures.get(quantity.name) ?? []),
      );
    const ours = medianOf('ours');
    if (ours === undefined) throw new Error(`ours has no figure for "${quantity.name}"`);
    const peers: Record<string, number> = {};
    for (const { side } of contestants) {
      const figure = side === 'ours' ? undefined : medianOf(side);
      if (figure !== undefined) peers[side] = figure;
    }
    return { ...quantity, ours, peers };
  });
}
