/** One process of a domain, as tests start and kill it. */
import type { Clock } from '../../base/clock.ts';
import type { DomainControl, Hypervisor } from '../contract.ts';
import { SimDomainControl } from './control.ts';
import { SimHypervisor } from './hypervisor.ts';
import { ProcessClock } from './process-clock.ts';
import type { Domain, Xen } from './xen.ts';

export class SimProcess {
  readonly hypervisor: Hypervisor;
  /** The privileged calls, when the domain is privileged. */
  readonly control: DomainControl | undefined;
  /** The world's time, with timers that end with the process. */
  readonly clock: Clock;
  private readonly ownHypervisor: SimHypervisor;
  private readonly ownClock: ProcessClock;

  constructor(xen: Xen, domain: Domain) {
    this.ownHypervisor = new SimHypervisor(xen, domain);
    this.ownClock = new ProcessClock(xen.scheduler);
    this.hypervisor = this.ownHypervisor;
    this.control = domain.privileged ? new SimDomainControl(xen, this.ownHypervisor) : undefined;
    this.clock = this.ownClock;
  }

  /**
   * Ends the process as SIGKILL does: the kernel gives the end notices, closes the ports and takes
   * back pages and grants. Its timers and handlers never run again. Idempotent.
   */
  kill(): void {
    this.ownClock.end();
    this.ownHypervisor.close();
  }

  /** Stops as when its whole domain has crashed: nothing runs, everything stays as it was. */
  freeze(): void {
    this.ownClock.end();
  }

  /** Ends as when its whole domain is destroyed: nobody is left to give notice. */
  vanish(): void {
    this.ownClock.end();
    this.ownHypervisor.vanish();
  }
}
