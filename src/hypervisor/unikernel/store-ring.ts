/** The ring that the toolstack made for our own domain to speak with xenstored. */
import { HVM_PARAM_STORE_EVTCHN, HVM_PARAM_STORE_PFN } from '../../abi/hvm/params.ts';
import { XenError } from '../../base/errors.ts';
import { eventPort } from '../../base/ids.ts';
import type { EventChannel, Pages } from '../contract.ts';
import { MappedPages } from '../mapped-pages.ts';
import type { UnikernelHypervisor } from './hypervisor.ts';
import type { XenObject } from './xen-object.ts';

export interface StoreRing {
  /** One page, a `struct xenstore_domain_interface`. */
  readonly pages: Pages;
  readonly channel: EventChannel;
}

/** Opens the ring, once. Throws ENODEV in a domain that was made without one. */
export function openStoreRing(xen: XenObject, hypervisor: UnikernelHypervisor): StoreRing {
  const frame = xen.parameter(HVM_PARAM_STORE_PFN);
  const port = xen.parameter(HVM_PARAM_STORE_EVTCHN);
  if (frame === 0 || port === 0) {
    throw new XenError('ENODEV', 'open the xenstore ring', 'this domain was made without one');
  }
  const pages = new MappedPages(xen.ownFrames(frame, 1), (buffer) => xen.unmap(buffer));
  return { pages, channel: hypervisor.events.adopt(eventPort(port)) };
}
