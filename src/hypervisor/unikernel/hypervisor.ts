/** The contract over the object `xen` of the stub-domain kernel, native/unikernel. */
import { type DomId, domId } from '../../base/ids.ts';
import type { Hypervisor, Supports } from '../contract.ts';
import { type EventLoop, eventLoop } from './event-loop.ts';
import { UnikernelEventChannels } from './events.ts';
import { UnikernelGrantTable } from './grants.ts';

const supports: Supports = { detach: true, contiguousMaps: true, loopback: true };

export class UnikernelHypervisor implements Hypervisor {
  readonly domid: DomId;
  readonly grants: UnikernelGrantTable;
  readonly events: UnikernelEventChannels;
  readonly supports = supports;

  constructor(loop: EventLoop) {
    this.domid = domId(loop.xen.domid);
    this.grants = new UnikernelGrantTable(loop.xen);
    this.events = new UnikernelEventChannels(loop);
  }

  close(): void {
    // Pages first: their notices are sent through event channels.
    this.grants.close();
    this.events.close();
  }
}

/**
 * Opens this domain's view of the hypervisor. The domain lives while an event channel is open or a
 * timer is set. Throws ENODEV outside of a stub domain.
 */
export function openUnikernelHypervisor(): UnikernelHypervisor {
  return new UnikernelHypervisor(eventLoop());
}
