/** A guest's console ring while it is connected: its page, its port and how often it may wake us. */
import { GNTTAB_RESERVED_CONSOLE } from '../abi/grant_table.ts';
import type { Clock } from '../base/clock.ts';
import { XenError } from '../base/errors.ts';
import { type DomId, type EventPort, type GrantRef, grantRef } from '../base/ids.ts';
import { backConsole, printedIndex } from '../console/console-stream.ts';
import type { DomainControl, Hypervisor, Pages } from '../hypervisor/contract.ts';
import type { RingStream } from '../ring/ring-stream.ts';
import type { ConsoleKeys } from './console-keys.ts';
import { EventAllowance } from './event-allowance.ts';

export interface RingAccess {
  readonly hypervisor: Hypervisor;
  /** Of a domain that may map frames of others. */
  readonly domainControl?: DomainControl;
  readonly clock: Clock;
}

export interface ConnectedRing {
  /** What is read stays in the ring until `release`. */
  readonly stream: RingStream;
  /** `out_cons`: how much of what the guest printed is out of the ring. */
  readonly index: number;
  /** Calls `handler` on the guest's signals, as often as its allowance permits. */
  onEvent(handler: () => void): void;
  /** How often the ring may be looked at. When it is exhausted, `onEvent`'s handler is called once it is not. */
  readonly allowance: EventAllowance;
  close(): void;
}

/** Binds the guest's port, and closes it again when its page can't be mapped. */
function connect(
  access: RingAccess,
  domid: DomId,
  port: EventPort,
  mapPage: () => Pages,
): ConnectedRing {
  const channel = access.hypervisor.events.bindInterdomain(domid, port);
  let pages: Pages;
  try {
    pages = mapPage();
  } catch (error) {
    channel.close();
    throw error;
  }
  const page = pages.page(0);
  const release = () => pages.close();
  const stream = backConsole({ page, channel, release, keepsInput: true });
  let handler = () => {};
  const hear = () => {
    allowance.spend();
    handler();
  };
  const allowance = new EventAllowance(channel, access.clock, hear);
  return {
    stream,
    allowance,
    get index() {
      return printedIndex(page);
    },
    onEvent(called) {
      handler = called;
      stream.onReady(hear);
    },
    close: () => {
      allowance.close();
      stream.close();
    },
  };
}

/**
 * The first console's ring: by its reserved grant, or where the domain was built without a grant
 * table by its frame. Throws `XenError` when Xen refuses it.
 */
export function connectFirstRing(
  access: RingAccess,
  domid: DomId,
  keys: ConsoleKeys,
): ConnectedRing {
  return connect(access, domid, keys.port, () => {
    try {
      return access.hypervisor.grants.map(domid, [grantRef(GNTTAB_RESERVED_CONSOLE)]);
    } catch (error) {
      if (!(error instanceof XenError) || access.domainControl === undefined) throw error;
      return access.domainControl.mapForeign(domid, [keys.ringGfn]);
    }
  });
}

/** The ring of a further console, which its front end has granted. Throws `XenError` when Xen refuses it. */
export function connectGrantedRing(
  access: RingAccess,
  domid: DomId,
  ref: GrantRef,
  port: EventPort,
): ConnectedRing {
  return connect(access, domid, port, () => access.hypervisor.grants.map(domid, [ref]));
}
