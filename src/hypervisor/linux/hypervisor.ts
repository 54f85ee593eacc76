/** The contract over Linux's device nodes in /dev/xen: dom0, driver domains, any Linux guest. */
import type { DomId } from '../../base/ids.ts';
import type { Hypervisor, Supports } from '../contract.ts';
import { LinuxEventChannels } from './events.ts';
import { LinuxGrantTable } from './grants.ts';
import { ownDomid } from './own-domid.ts';

export { openDomainControl } from './domain-control.ts';

export interface LinuxHypervisorOptions {
  /** Our own domid, where the caller knows it; found out otherwise. */
  readonly domid?: DomId;
}

const supports: Supports = { detach: true, contiguousMaps: true, loopback: true };

export class LinuxHypervisor implements Hypervisor {
  readonly domid: DomId;
  readonly grants = new LinuxGrantTable();
  readonly events: LinuxEventChannels;
  readonly supports = supports;

  constructor(domid: DomId) {
    this.domid = domid;
    this.events = new LinuxEventChannels();
  }

  close(): void {
    // Pages first: their notices are sent through event channels.
    this.grants.close();
    this.events.close();
  }
}

/**
 * Opens this domain's view of the hypervisor. The process stays alive while an event channel is
 * open. Throws ENOENT when this is not a domain of Xen or a module is not loaded, EACCES without
 * the right to open the devices.
 */
export function openLinuxHypervisor(options: LinuxHypervisorOptions = {}): LinuxHypervisor {
  return new LinuxHypervisor(options.domid ?? ownDomid());
}
