/** The contract over the object `xen` of the stub-domain kernel, native/unikernel. */
import { type DomId, domId } from '../../base/ids.ts';
import type { Hypervisor, Supports } from '../contract.ts';
import { granted } from './errors.ts';
import { type EventLoop, eventLoop } from './event-loop.ts';
import { UnikernelEventChannels } from './events.ts';
import { UnikernelGrantTable } from './grants.ts';

const supports: Supports = { detach: true, contiguousMaps: true, loopback: true };

export class UnikernelHypervisor implements Hypervisor {
  readonly grants: UnikernelGrantTable;
  readonly events: UnikernelEventChannels;
  readonly supports = supports;
  private readonly loop: EventLoop;

  constructor(loop: EventLoop) {
    this.loop = loop;
    this.grants = new UnikernelGrantTable(loop.xen);
    this.events = new UnikernelEventChannels(loop);
  }

  /** Another one after this domain was suspended. */
  get domid(): DomId {
    return domId(this.loop.xen.domid);
  }

  /**
   * Suspends this domain until the toolstack lets it run again. Returns true in another domain: its
   * event channels have ended then, and its shared pages are shared with nobody. Throws `XenError`
   * EBUSY, and does nothing, while pages of other domains are mapped.
   */
  suspend(): boolean {
    const result = granted('suspend this domain', this.loop.xen.suspend(), {
      EBUSY: 'it has mapped pages of other domains, for whom it works',
    });
    if (result !== 0) return false;
    this.events.lose();
    this.loop.resume();
    return true;
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
