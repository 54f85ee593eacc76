/** Which guests' consoles are to be served: how that is found out depends on what the daemon may ask. */
import type { DomId } from '../base/ids.ts';

export interface GuestFinder {
  /** Looks again: a guest may be gone. */
  look(): void;
  /** Idempotent. */
  close(): Promise<void>;
}

/**
 * Looks for guests from here on.
 *
 * @param found told of all that there are, each time that they may be others; never once it is closed
 */
export type FindGuests = (found: (guests: ReadonlySet<DomId>) => void) => Promise<GuestFinder>;
