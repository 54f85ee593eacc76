/**
 * The old trees that transactions still look at, and how much memory they keep from being freed.
 *
 * A tree shares all with its successors except what was replaced since. So whatever the number of
 * transactions, together they hold no more than what was replaced since the oldest of them began
 * to look; when that is too much, the oldest loses its tree. Otherwise a guest could hold on to
 * everything that others throw away, and nobody would pay.
 */

/** Whoever looks at an old tree. */
export interface SnapshotHolder {
  /** The tree must be let go of. */
  snapshotLost(): void;
}

/** Bytes of replaced nodes, all holders together. */
export const SNAPSHOT_BYTES_MAX = 16 * 1024 * 1024;
/** What replacing a node costs besides the node: the way to it in the tree. */
const REPLACED_NODE_OVERHEAD = 1024;

export class Snapshots {
  /** The oldest first; with each, what had been replaced when it began. */
  private readonly holders = new Map<SnapshotHolder, number>();
  private replacedBytes = 0;

  /** The holder looks at the tree as it is now, and at no older one. */
  hold(holder: SnapshotHolder): void {
    this.holders.delete(holder);
    this.holders.set(holder, this.replacedBytes);
  }

  release(holder: SnapshotHolder): void {
    this.holders.delete(holder);
  }

  /** A node of so many bytes is no longer part of the tree. */
  replaced(bytes: number): void {
    if (this.holders.size === 0) return;
    this.replacedBytes += bytes + REPLACED_NODE_OVERHEAD;
    for (const [holder, atStart] of this.holders) {
      if (this.replacedBytes - atStart <= SNAPSHOT_BYTES_MAX) return;
      this.holders.delete(holder);
      holder.snapshotLost();
    }
  }
}
