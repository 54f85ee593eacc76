/** One simulated domain, as tests hold it. */
import { SHUTDOWN_crash } from '../../abi/sched.ts';
import type { Clock } from '../../base/clock.ts';
import type { DomId } from '../../base/ids.ts';
import type { DomainControl, Hypervisor } from '../contract.ts';
import { SimHypervisor } from './hypervisor.ts';
import { SimProcess } from './process.ts';
import type { Domain, Xen } from './xen.ts';

export class SimDomain {
  readonly domid: DomId;
  readonly name: string;
  /** What the toolstack gave the domain's kernel; it stays while processes come and go. */
  readonly kernel: SimHypervisor;
  private readonly xen: Xen;
  private readonly domain: Domain;
  private readonly processes: SimProcess[] = [];
  private main: SimProcess;

  constructor(xen: Xen, domain: Domain) {
    this.xen = xen;
    this.domain = domain;
    this.domid = domain.domid;
    this.name = domain.name;
    this.kernel = new SimHypervisor(xen, domain);
    this.main = this.startProcess();
  }

  /** The contract as the domain's main process has it. */
  get hypervisor(): Hypervisor {
    return this.main.hypervisor;
  }

  /** The main process's privileged calls, when the domain is privileged. */
  get control(): DomainControl | undefined {
    return this.main.control;
  }

  /** The world's time, with timers that end with the main process. */
  get clock(): Clock {
    return this.main.clock;
  }

  /** Still exists, even if it only waits for others to unmap its pages. */
  get exists(): boolean {
    return this.domain.state !== 'gone';
  }

  /** One more process beside the main one, to be killed by itself. */
  startProcess(): SimProcess {
    this.assertRunning();
    const process = new SimProcess(this.xen, this.domain);
    this.processes.push(process);
    return process;
  }

  /** Kills the main process as SIGKILL does and starts another, which this returns. */
  restartProcess(): Hypervisor {
    this.assertRunning();
    this.xen.trace(this.domain, () => 'its main process is killed and started again');
    this.main.kill();
    this.main = this.startProcess();
    return this.main.hypervisor;
  }

  /**
   * The domain stops with a `SHUTDOWN_…` reason of sched.h and waits for the toolstack to destroy
   * it, which is `kill()`. An orderly one ends its processes first; a crashed one leaves its
   * memory, grants and ports as they were.
   */
  shutdown(reason: number): void {
    this.assertRunning();
    for (const process of this.processes) {
      if (reason === SHUTDOWN_crash) process.freeze();
      else process.kill();
    }
    this.domain.state = 'shutdown';
    this.domain.stopped = true;
    this.domain.shutdownReason = reason;
    this.xen.trace(this.domain, () => `shuts down with reason ${reason}`);
    this.xen.onDomainEvent();
  }

  /**
   * Destroys the domain at once, as `xl destroy` does: it can give no end notice. Its ports close,
   * what it mapped is unmapped, and it stays in the list as dying while others map its pages.
   */
  kill(): void {
    const { domain, xen } = this;
    if (domain.state === 'dying' || domain.state === 'gone') return;
    xen.trace(domain, () => 'is destroyed');
    for (const process of this.processes) process.vanish();
    this.kernel.vanish();
    domain.state = 'dying';
    if (!xen.finishDying(domain)) xen.onDomainEvent();
  }

  private assertRunning(): void {
    if (this.domain.state !== 'running') throw new TypeError(`${this.name} does not run any more`);
  }
}
