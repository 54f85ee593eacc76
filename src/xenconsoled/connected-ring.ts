/** A guest's console ring while it is connected: its page, its port and how often it may wake us. */
import { GNTTAB_RESERVED_CONSOLE } from '../abi/grant_table.ts';
import type { Clock } from '../base/clock.ts';
import { XenError } from '../base/errors.ts';
import { type DomId, grantRef } from '../base/ids.ts';
import { backConsole } from '../console/console-stream.ts';
import type { DomainControl, Hypervisor, Pages } from '../hypervisor/contract.ts';
import type { RingStream } from '../ring/ring-stream.ts';
import type { ConsoleKeys } from './console-keys.ts';
import { EventAllowance } from './event-allowance.ts';

export interface RingAccess {
  readonly hypervisor: Hypervisor;
  readonly domainControl: DomainControl;
  readonly clock: Clock;
}

export interface ConnectedRing {
  readonly keys: ConsoleKeys;
  readonly stream: RingStream;
  /** Calls `handler` on each of the guest's signals, as often as its allowance permits. */
  onEvent(handler: () => void): void;
  close(): void;
}

/** The page by its grant; a domain that was built without a grant table has the frame only. */
function mapPage(access: RingAccess, domid: DomId, gfn: number): Pages {
  try {
    return access.hypervisor.grants.map(domid, [grantRef(GNTTAB_RESERVED_CONSOLE)]);
  } catch (error) {
    if (!(error instanceof XenError)) throw error;
    return access.domainControl.mapForeign(domid, [gfn]);
  }
}

/** Binds the guest's port and maps its page. Throws `XenError` when Xen refuses one of them. */
export function connectRing(access: RingAccess, domid: DomId, keys: ConsoleKeys): ConnectedRing {
  const channel = access.hypervisor.events.bindInterdomain(domid, keys.port);
  let pages: Pages;
  try {
    pages = mapPage(access, domid, keys.ringGfn);
  } catch (error) {
    channel.close();
    throw error;
  }
  const stream = backConsole({ page: pages.page(0), channel, release: () => pages.close() });
  const allowance = new EventAllowance(channel, access.clock);
  return {
    keys,
    stream,
    onEvent: (handler) =>
      stream.onReady(() => {
        allowance.spend();
        handler();
      }),
    close: () => {
      allowance.close();
      stream.close();
    },
  };
}
