/** One simulated domain, as tests hold it. */

import { SHUTDOWN_crash } from '../../abi/sched.ts';
import type { Clock } from '../../base/clock.ts';
import type { DomId } from '../../base/ids.ts';
import type { DomainControl, Hypervisor } from '../contract.ts';
import { SimDomainControl } from './control.ts';
import { SimProcess } from './process.ts';
import { ProcessClock } from './process-clock.ts';
import type { Domain, Xen } from './xen.ts';

export class SimDomain {
  readonly domid: DomId;
  readonly name: string;
  /** What the toolstack gave the domain's kernel; it stays while processes come and go. */
  readonly kernel: SimProcess;
  private readonly xen: Xen;
  private readonly domain: Domain;
  private process: SimProcess;
  private processControl: SimDomainControl | undefined;
  private processClock: ProcessClock;

  constructor(xen: Xen, domain: Domain) {
    this.xen = xen;
    this.domain = domain;
    this.domid = domain.domid;
    this.name = domain.name;
    this.kernel = new SimProcess(xen, domain);
    this.process = new SimProcess(xen, domain);
    this.processControl = this.openControl();
    this.processClock = new ProcessClock(xen.scheduler);
  }

  /** The contract as the domain's present process has it. */
  get hypervisor(): Hypervisor {
    return this.process;
  }

  /** The privileged calls, when the domain is privileged. */
  get control(): DomainControl | undefined {
    return this.processControl;
  }

  /** The world's time, with timers that end with the present process. */
  get clock(): Clock {
    return this.processClock;
  }

  /** Still exists, even if it only waits for others to unmap its pages. */
  get exists(): boolean {
    return this.domain.state !== 'gone';
  }

  /**
   * Ends the process as SIGKILL does and starts another: the kernel gives the end notices, closes
   * the ports and takes back pages and grants. Timers and handlers of the old one never run again.
   */
  restartProcess(): Hypervisor {
    this.assertRunning();
    this.xen.trace(this.domain, 'its process is killed and started again');
    this.process.close();
    this.processClock.end();
    this.process = new SimProcess(this.xen, this.domain);
    this.processControl = this.openControl();
    this.processClock = new ProcessClock(this.xen.scheduler);
    return this.process;
  }

  /**
   * The domain stops with a `SHUTDOWN_…` reason of sched.h and waits for the toolstack to destroy
   * it, which is `kill()`. An orderly one ends its processes first; a crashed one leaves its
   * memory, grants and ports as they were.
   */
  shutdown(reason: number): void {
    this.assertRunning();
    if (reason !== SHUTDOWN_crash) this.process.close();
    this.processClock.end();
    this.domain.state = 'shutdown';
    this.domain.stopped = true;
    this.domain.shutdownReason = reason;
    this.xen.trace(this.domain, `shuts down with reason ${reason}`);
    this.xen.onDomainEvent();
  }

  /**
   * Destroys the domain at once, as `xl destroy` does: it can give no end notice. Its ports close,
   * what it mapped is unmapped, and it stays in the list as dying while others map its pages.
   */
  kill(): void {
    const { domain, xen } = this;
    if (domain.state === 'dying' || domain.state === 'gone') return;
    xen.trace(domain, 'is destroyed');
    this.processClock.end();
    this.process.vanish();
    this.kernel.vanish();
    domain.state = 'dying';
    if (!xen.finishDying(domain)) xen.onDomainEvent();
  }

  private openControl(): SimDomainControl | undefined {
    return this.domain.privileged ? new SimDomainControl(this.xen, this.process) : undefined;
  }

  private assertRunning(): void {
    if (this.domain.state !== 'running') throw new TypeError(`${this.name} does not run any more`);
  }
}
