/**
 * Guests as a console daemon finds them that is a domain of its own, and may not ask Xen: the
 * toolstack makes a directory below this domain's `backend/console` for each guest that is to have its
 * console here, and leaves it to us to remove that when the guest is gone.
 */
import { errorMessage } from '../base/errors.ts';
import { DOMID_FIRST_RESERVED, type DomId, domId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { Stepper } from '../xenbus/stepper.ts';
import { childrenOf } from '../xenstore/directories.ts';
import { childPath, domainHome } from '../xenstore/path.ts';
import type { Xenstore, XenstoreNodes } from '../xenstore/xenstore.ts';
import { readConsoleKey } from './console-keys.ts';
import type { FindGuests, OnGuests } from './guest-finder.ts';

export interface AssignedGuestsParts {
  readonly xenstore: Xenstore;
  /** The domain that the daemon is in. */
  readonly domid: DomId;
  readonly log: Log;
}

/** Where the toolstack tells domain `domid` of the consoles that it is to serve. */
export function consoleBackends(domid: DomId): string {
  return `${domainHome(domid)}/backend/console`;
}

function isGuest(name: string, consoleDomain: DomId): boolean {
  const number = /^[1-9][0-9]{0,4}$/.test(name) ? Number(name) : DOMID_FIRST_RESERVED;
  // Made anew under its number, a console domain is named as the one that has its own console.
  return number < DOMID_FIRST_RESERVED && number !== consoleDomain;
}

/** The guests whose first console the toolstack has given to a domain; some may be gone. */
export async function guestsBelow(nodes: XenstoreNodes, consoleDomain: DomId): Promise<DomId[]> {
  const root = consoleBackends(consoleDomain);
  const guests: DomId[] = [];
  for (const name of await childrenOf(nodes, root)) {
    if (!isGuest(name, consoleDomain)) continue;
    if ((await childrenOf(nodes, childPath(root, name))).includes('0')) {
      guests.push(domId(Number(name)));
    }
  }
  return guests;
}

class AssignedGuests {
  private readonly parts: AssignedGuestsParts;
  private readonly found: OnGuests;
  private readonly stepper = new Stepper(() => this.guardedScan());
  private closed = false;

  constructor(parts: AssignedGuestsParts, found: OnGuests) {
    this.parts = parts;
    this.found = found;
  }

  look(): void {
    this.stepper.wake();
  }

  /** Resolves once those that were there at first are served. */
  async begin(): Promise<void> {
    await this.guardedScan();
  }

  async stop(): Promise<void> {
    this.closed = true;
    await this.stepper.stop();
  }

  private async guardedScan(): Promise<void> {
    try {
      const guests = await this.scan();
      if (!this.closed) await this.found(guests);
    } catch (error) {
      this.parts.log.error('cannot look for guests', { error: errorMessage(error) });
    }
  }

  private async scan(): Promise<Set<DomId>> {
    const { xenstore, domid } = this.parts;
    const guests = new Set<DomId>();
    for (const guest of await guestsBelow(xenstore, domid)) {
      // The toolstack lets us see the one before it makes the other.
      const port = await readConsoleKey(xenstore, `${domainHome(guest)}/console/port`);
      if (port !== undefined) guests.add(guest);
      else await this.remove(`${consoleBackends(domid)}/${guest}`);
    }
    return guests;
  }

  private async remove(path: string): Promise<void> {
    try {
      await this.parts.xenstore.remove(path);
    } catch (error) {
      this.parts.log.debug('directory not removed', { error: errorMessage(error) });
    }
  }
}

export function assignedGuests(parts: AssignedGuestsParts): FindGuests {
  return async (found) => {
    const guests = new AssignedGuests(parts, found);
    const look = () => guests.look();
    // Who is there from before is served when a relay comes with the first viewers.
    await guests.begin();
    const watch = await parts.xenstore.watch(consoleBackends(parts.domid), look);
    const close = async () => {
      await watch.close().catch(() => {});
      await guests.stop();
    };
    return { look, close };
  };
}
