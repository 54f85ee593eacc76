/**
 * The paths that open transactions have looked at or changed. A change of anything else cannot be
 * in the way of any of them.
 */
export class TouchedPaths {
  /** How many transactions have touched each path. */
  private readonly counts = new Map<string, number>();

  add(path: string): void {
    this.counts.set(path, (this.counts.get(path) ?? 0) + 1);
  }

  remove(path: string): void {
    const count = this.counts.get(path) ?? 0;
    if (count > 1) this.counts.set(path, count - 1);
    else this.counts.delete(path);
  }

  has(path: string): boolean {
    // To look for a long path takes its time even where there is nothing.
    return this.counts.size > 0 && this.counts.has(path);
  }
}
