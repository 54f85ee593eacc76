/** The privileged calls through /dev/xen/privcmd; for dom0 and other privileged domains. */
import { XenDomctlGetdomaininfo } from '../../abi/domctl.ts';
import { EVTCHNSTAT_interdomain, EvtchnStatus } from '../../abi/event_channel.ts';
import {
  XEN_SYSCTL_INTERFACE_VERSION,
  XenSysctlGetdomaininfolist,
  XenSysctlReadconsole,
} from '../../abi/sysctl.ts';
import { DOMID_SELF } from '../../abi/xen.ts';
import { errorCode, XenError } from '../../base/errors.ts';
import { type DomId, domId } from '../../base/ids.ts';
import type { DomainControl, DomainInfo, Pages } from '../contract.ts';
import { DomainListing, domainInfo } from '../domain-listing.ts';
import { attempt, openDevice } from './errors.ts';
import { loadNative, type NativePrivcmd } from './native.ts';
import { LinuxPages } from './pages.ts';

/** Versions of sysctl to try, ours first: from Xen 4.2 on, with room for those to come. */
const sysctlVersions = [
  XEN_SYSCTL_INTERFACE_VERSION,
  ...Array.from({ length: 0x20 - 0x09 }, (_, index) => 0x09 + index),
];

/** Xen's console ring is 16 KiB unless its command line says otherwise. */
const CONSOLE_BYTES_MAX = 16 * 1024;

/** What the shim counts for one domain: more than any version of Xen writes. */
const DOMAIN_INFO_BYTES = 512;

export class LinuxDomainControl extends DomainListing implements DomainControl {
  private readonly device: NativePrivcmd;
  private readonly version: number;
  private readonly listOperation = new Uint8Array(XenSysctlGetdomaininfolist.size);
  private readonly listRequest = XenSysctlGetdomaininfolist.view(this.listOperation);
  private readonly infoBuffer = new Uint8Array(DOMAIN_INFO_BYTES);
  private readonly infoAnswer = XenDomctlGetdomaininfo.view(this.infoBuffer);
  private readonly consoleOperation = new Uint8Array(XenSysctlReadconsole.size);
  private readonly consoleRequest = XenSysctlReadconsole.view(this.consoleOperation);
  private readonly consoleBuffer = new Uint8Array(CONSOLE_BYTES_MAX);
  private readonly open = new Set<Pages>();

  constructor() {
    super();
    this.device = openDevice('/dev/xen/privcmd', 'xen-privcmd', () => new (loadNative().Privcmd)());
    this.version = attempt('ask Xen for its domains', () => this.probeVersion(), {
      EPERM: 'only a privileged domain may',
    });
  }

  mapForeign(domid: DomId, gfns: readonly number[]): Pages {
    const buffer = attempt(`map frames ${gfns.join(', ')} of domain ${domid}`, () =>
      this.device.mapForeign(domId(domid), BigUint64Array.from(gfns, BigInt)),
    );
    const pages = new LinuxPages(buffer, (closed) => this.open.delete(closed));
    this.open.add(pages);
    return pages;
  }

  readConsole(): Uint8Array | undefined {
    const request = this.consoleRequest;
    request.interface_version = this.version;
    request.clear = 0;
    // `index` stays from one call to the next: it counts all text that Xen has ever printed.
    request.incremental = 1;
    attempt("read Xen's console", () =>
      this.device.sysctl('readconsole', this.consoleOperation, this.consoleBuffer),
    );
    return request.count === 0 ? undefined : this.consoleBuffer.slice(0, request.count);
  }

  /**
   * The peer's port of one of this domain's channels, whichever process has it open; `undefined`
   * where there is no such channel or it has no peer.
   */
  peerPort(port: number): number | undefined {
    const operation = new Uint8Array(EvtchnStatus.size);
    const view = EvtchnStatus.view(operation);
    view.dom = DOMID_SELF;
    view.port = port;
    try {
      this.device.eventChannelStatus(operation);
    } catch (error) {
      if (errorCode(error) === 'EINVAL') return undefined;
      throw error;
    }
    return view.status === EVTCHNSTAT_interdomain ? view.peer_port : undefined;
  }

  /** Lets go of all frames that are still mapped, and of the device. Idempotent. */
  close(): void {
    for (const pages of [...this.open]) pages.close();
    this.device.close();
  }

  protected override firstFrom(first: number): DomainInfo | undefined {
    attempt('ask Xen for its domains', () => this.getdomaininfolist(this.version, first));
    if (this.listRequest.num_domains === 0) return undefined;
    const { domain, flags } = this.infoAnswer;
    return domainInfo(domain, flags);
  }

  private getdomaininfolist(version: number, first: number): void {
    this.listRequest.interface_version = version;
    this.listRequest.first_domain = first;
    this.device.sysctl('getdomaininfolist', this.listOperation, this.infoBuffer);
  }

  private probeVersion(): number {
    for (const version of sysctlVersions) {
      try {
        this.getdomaininfolist(version, 0);
        return version;
      } catch (error) {
        if (errorCode(error) !== 'EACCES') throw error;
      }
    }
    throw new XenError('ENOTSUP', 'ask Xen for its domains', 'its sysctl version is unknown');
  }
}

/** Throws ENOENT or EACCES without the device, EPERM in a domain without privilege. */
export function openDomainControl(): LinuxDomainControl {
  return new LinuxDomainControl();
}
