/** The domains that there are, by asking Xen for one after the other. */
import {
  XEN_DOMINF_dying,
  XEN_DOMINF_hvm_guest,
  XEN_DOMINF_shutdown,
  XEN_DOMINF_shutdownmask,
  XEN_DOMINF_shutdownshift,
} from '../abi/domctl.ts';
import { DOMID_FIRST_RESERVED, type DomId, domId } from '../base/ids.ts';
import type { DomainInfo } from './contract.ts';

/** What Xen's `struct xen_domctl_getdomaininfo` says. */
export function domainInfo(domid: number, flags: number): DomainInfo {
  return {
    domid: domId(domid),
    dying: (flags & XEN_DOMINF_dying) !== 0,
    shutdown: (flags & XEN_DOMINF_shutdown) !== 0,
    shutdownReason: (flags >>> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask,
    hvm: (flags & XEN_DOMINF_hvm_guest) !== 0,
  };
}

export abstract class DomainListing {
  /** The domain with the lowest domid from `first` on. */
  protected abstract firstFrom(first: number): DomainInfo | undefined;

  info(domid: DomId): DomainInfo | undefined {
    const found = this.firstFrom(domId(domid));
    return found?.domid === domid ? found : undefined;
  }

  list(): DomainInfo[] {
    const domains: DomainInfo[] = [];
    let next = 0;
    // One by one: the distance from one to the next in memory depends on the version of Xen.
    while (next < DOMID_FIRST_RESERVED) {
      const found = this.firstFrom(next);
      if (found === undefined) break;
      domains.push(found);
      next = found.domid + 1;
    }
    return domains;
  }
}
