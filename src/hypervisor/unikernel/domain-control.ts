/** The privileged calls of the stub-domain kernel, for those to whom Xen grants them. */
import {
  XEN_DOMCTL_getdomaininfo,
  XEN_DOMCTL_INTERFACE_VERSION,
  XenDomctl,
} from '../../abi/domctl.ts';
import { XEN_ESRCH } from '../../abi/errno.ts';
import {
  XEN_SYSCTL_INTERFACE_VERSION,
  XEN_SYSCTL_readconsole,
  XenSysctlReadconsole,
} from '../../abi/sysctl.ts';
import { type DomId, domId } from '../../base/ids.ts';
import type { DomainControl, DomainInfo, Pages } from '../contract.ts';
import { DomainListing, domainInfo } from '../domain-listing.ts';
import { MappedPages } from '../mapped-pages.ts';
import { granted } from './errors.ts';
import type { XenObject } from './xen-object.ts';

/** Xen's console ring is 16 KiB unless its command line says otherwise. */
const CONSOLE_BYTES_MAX = 16 * 1024;

export class UnikernelDomainControl extends DomainListing implements DomainControl {
  private readonly xen: XenObject;
  private readonly domctl = new Uint8Array(XenDomctl.size);
  private readonly domctlView = XenDomctl.view(this.domctl);
  private readonly readconsole = new Uint8Array(XenSysctlReadconsole.size);
  private readonly readconsoleView = XenSysctlReadconsole.view(this.readconsole);

  constructor(xen: XenObject) {
    super();
    this.xen = xen;
  }

  mapForeign(domid: DomId, gfns: readonly number[]): Pages {
    const buffer = granted(
      `map frames ${gfns.join(', ')} of domain ${domid}`,
      this.xen.mapForeign(domId(domid), BigUint64Array.from(gfns, BigInt)),
    );
    return new MappedPages(buffer, (mapped) => this.xen.unmap(mapped));
  }

  readConsole(): Uint8Array | undefined {
    const text = new Uint8Array(CONSOLE_BYTES_MAX);
    const request = this.readconsoleView;
    request.cmd = XEN_SYSCTL_readconsole;
    request.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    // `index` stays from one call to the next: it counts all text that Xen has ever printed.
    request.incremental = 1;
    request.count = text.length;
    granted(
      "read Xen's console",
      this.xen.sysctl(this.readconsole, XenSysctlReadconsole.offset.buffer, text),
    );
    return request.count === 0 ? undefined : text.slice(0, request.count);
  }

  protected override firstFrom(first: number): DomainInfo | undefined {
    const request = this.domctlView;
    request.cmd = XEN_DOMCTL_getdomaininfo;
    request.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    request.domain = first;
    const result = this.xen.domctl(this.domctl);
    if (result === -XEN_ESRCH) return undefined;
    granted('ask Xen for its domains', result);
    return domainInfo(request.infoDomain, request.infoFlags);
  }
}
