/** Which guests' consoles are to be served: how that is found out depends on what the daemon may ask. */
import type { DomId } from '../base/ids.ts';

export interface GuestFinder {
  /** Looks again: a guest may be gone. */
  look(): void;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Told of all that there are. Resolves when they are served, as far as that can be now. */
export type OnGuests = (guests: ReadonlySet<DomId>) => Promise<void>;

/**
 * Looks for guests from here on.
 *
 * @param found called each time that they may be others; never once it is closed
 */
export type FindGuests = (found: OnGuests) => Promise<GuestFinder>;
