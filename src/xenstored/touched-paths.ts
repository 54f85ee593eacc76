/**
 * The paths that open transactions have looked at or changed. A change of anything else cannot be
 * in the way of any of them.
 */

/** A transaction that is open. */
export interface Toucher {
  /** A node that it has touched was changed by somebody else. */
  disturbed(): void;
}

export class TouchedPaths {
  /** Nearly always there is one for a path. */
  private readonly touchers = new Map<string, Toucher | Set<Toucher>>();

  add(path: string, toucher: Toucher): void {
    const others = this.touchers.get(path);
    if (others === undefined) this.touchers.set(path, toucher);
    else if (others instanceof Set) others.add(toucher);
    else if (others !== toucher) this.touchers.set(path, new Set([others, toucher]));
  }

  remove(path: string, toucher: Toucher): void {
    const all = this.touchers.get(path);
    if (all === toucher) this.touchers.delete(path);
    if (!(all instanceof Set)) return;
    all.delete(toucher);
    if (all.size === 0) this.touchers.delete(path);
  }

  /** Tells all who have touched the node that it has changed, and returns whether there are any. */
  changed(path: string): boolean {
    // To look for a long path takes its time even where there is nothing.
    if (this.touchers.size === 0) return false;
    const touchers = this.touchers.get(path);
    if (touchers === undefined) return false;
    if (touchers instanceof Set) for (const toucher of touchers) toucher.disturbed();
    else touchers.disturbed();
    return true;
  }
}
