/** What the toolstack gives a new guest: the xenstore and the console page, each with its port. */
import type { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../../abi/grant_table.ts';
import { type DomId, type GrantRef, grantRef } from '../../base/ids.ts';
import type { EventChannel, Pages } from '../contract.ts';
import type { SimDomain } from './domain.ts';
import { grantReserved } from './grants.ts';
import { openPort } from './ports.ts';
import type { Domain, Frame, Xen } from './xen.ts';

/** A page of a guest that a daemon shares, and the event channel that goes with it. */
export interface BootPage {
  /** The reserved grant reference, `GNTTAB_RESERVED_…`. */
  readonly ref: GrantRef;
  /** The guest's frame number, as INTRODUCE and `console/ring-ref` name it. */
  readonly gfn: number;
  /** The guest's end of it. Its `port` is what INTRODUCE and `console/port` name. */
  readonly channel: EventChannel;
  /** The page as the guest itself sees it. */
  readonly page: Pages;
}

export interface SimGuest {
  readonly domain: SimDomain;
  readonly xenstore: BootPage;
  readonly console: BootPage;
}

export function makeBootPage(
  xen: Xen,
  domain: Domain,
  simDomain: SimDomain,
  reserved: typeof GNTTAB_RESERVED_CONSOLE | typeof GNTTAB_RESERVED_XENSTORE,
  daemon: DomId,
): BootPage {
  const [frame] = domain.allocateFrames(1) as [Frame];
  grantReserved(domain, reserved, daemon, frame);
  const port = openPort(xen, domain, { kind: 'unbound', peer: daemon }, true);
  return {
    ref: grantRef(reserved),
    gfn: frame.gfn,
    channel: simDomain.kernel.openChannel(port),
    page: simDomain.kernel.openWindow([frame], () => {}),
  };
}
