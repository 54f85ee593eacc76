/** The most that a domain has used of what is limited: `xenstore-control quota max`. */

/** What is counted of a domain, then what is measured of a single transaction, node or path. */
export interface Usage {
  nodes: number;
  watches: number;
  transactions: number;
  outstanding: number;
  memory: number;
  transactionNodes: number;
  permissions: number;
  pathLength: number;
  nodeSize: number;
}

const NOTHING: Readonly<Usage> = {
  nodes: 0,
  watches: 0,
  transactions: 0,
  outstanding: 0,
  memory: 0,
  transactionNodes: 0,
  permissions: 0,
  pathLength: 0,
  nodeSize: 0,
};

export class Peaks {
  private readonly values: Usage = { ...NOTHING };

  get(what: keyof Usage): number {
    return this.values[what];
  }

  note(what: keyof Usage, value: number): void {
    if (value > this.values[what]) this.values[what] = value;
  }

  /** Takes over what was higher elsewhere. */
  include(other: Peaks): void {
    for (const what of Object.keys(NOTHING) as (keyof Usage)[]) this.note(what, other.get(what));
  }

  reset(): void {
    Object.assign(this.values, NOTHING);
  }
}
