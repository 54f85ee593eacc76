/**
 * The simulator: Xen and its domains in one process, in pure TypeScript, for tests and for a first
 * try on any machine. Everything that happens follows from the seed.
 */
import { EVTCHN_FIFO_NR_CHANNELS } from '../../abi/event_channel.ts';
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../../abi/grant_table.ts';
import { VIRQ_CON_RING, VIRQ_DOM_EXC } from '../../abi/xen.ts';
import type { Clock } from '../../base/clock.ts';
import { DOM0, type DomId } from '../../base/ids.ts';
import { type Log, silentLog } from '../../base/log.ts';
import { Prng } from '../../base/prng.ts';
import { SimDomain } from './domain.ts';
import { type FaultPlan, noFaults } from './faults.ts';
import { makeBootPage, type SimGuest } from './guest.ts';
import { leftovers, waiting } from './inventory.ts';
import { raiseVirq } from './ports.ts';
import { Scheduler } from './scheduler.ts';
import { Domain, type DomainLimits, Xen } from './xen.ts';

export type { SimDomain } from './domain.ts';
export type { FaultPlan } from './faults.ts';
export type { SimGuest } from './guest.ts';

/** `max_grant_frames` of Xen, 64, with 512 entries each. */
const GRANTS_MAX = 64 * 512;
/** What `xl` gives a guest, `max_event_channels`. */
const GUEST_PORTS_MAX = 1023;

/** A run that does more than this has two ends that never stop signalling each other. */
const RUN_STEPS_MAX = 1_000_000;
/** How long `finish` lets periodic timers tick before it gives a promise up. */
const FINISH_MS_MAX = 600_000;

/** Lets promises that are ready settle: a chain as long as any that a service builds per event. */
async function settleMicrotasks(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await undefined;
}

export interface SimWorldOptions {
  /** Any 32-bit number. */
  readonly seed: number;
  readonly faults?: Partial<FaultPlan>;
  /** Awaited after each event, so that what the event woke can run. Under Node: a `setImmediate`. */
  readonly settle?: () => Promise<void>;
  /** Told every grant, map, copy, signal and port change, at level debug. */
  readonly log?: Log;
}

export interface SimDomainOptions extends Partial<DomainLimits> {
  readonly name?: string;
  /** May use `DomainControl` and virtual interrupts. Domain 0 always may. */
  readonly privileged?: boolean;
  /** Has hardware virtualisation. */
  readonly hvm?: boolean;
  /** A number of one's own choice, such as that of a domain that is gone. */
  readonly domid?: DomId;
}

export interface SimGuestOptions extends SimDomainOptions {
  /** The domain that xenstored runs in; 0 unless given. */
  readonly xenstoreDomid?: DomId;
  /** The domain that xenconsoled runs in; 0 unless given. */
  readonly consoleDomid?: DomId;
}

export class SimWorld {
  readonly seed: number;
  /** Virtual: it moves only when the world runs. */
  readonly clock: Clock;
  /** The probabilities may be changed while the world runs. */
  readonly faults: FaultPlan;
  private readonly scheduler: Scheduler;
  private readonly xen: Xen;
  private readonly settle: () => Promise<void>;
  private readonly outsideWork = new Set<Promise<unknown>>();

  constructor(options: SimWorldOptions) {
    const prng = new Prng(options.seed);
    this.seed = options.seed;
    this.faults = { ...noFaults, ...options.faults };
    this.settle = options.settle ?? settleMicrotasks;
    this.scheduler = new Scheduler(prng);
    this.clock = this.scheduler;
    this.xen = new Xen(this.scheduler, prng, this.faults, options.log ?? silentLog);
    this.xen.onDomainEvent = () => raiseVirq(this.xen, VIRQ_DOM_EXC);
  }

  /** A new running domain. Domids count up from 0; the first domain is privileged. */
  createDomain(options: SimDomainOptions = {}): SimDomain {
    return new SimDomain(this.xen, this.addDomain(options));
  }

  /** A new running domain with the pages and ports that the toolstack gives every guest. */
  buildGuest(options: SimGuestOptions = {}): SimGuest {
    const { xen } = this;
    const state = this.addDomain(options);
    const domain = new SimDomain(xen, state);
    const xenstoreDomid = options.xenstoreDomid ?? DOM0;
    const consoleDomid = options.consoleDomid ?? DOM0;
    return {
      domain,
      xenstore: makeBootPage(xen, state, domain, GNTTAB_RESERVED_XENSTORE, xenstoreDomid),
      console: makeBootPage(xen, state, domain, GNTTAB_RESERVED_CONSOLE, consoleDomid),
    };
  }

  /** Text, one character a byte, on the hypervisor's own console: `VIRQ_CON_RING` announces it. */
  printHypervisorConsole(text: string): void {
    this.xen.console.append(text);
    raiseVirq(this.xen, VIRQ_CON_RING);
  }

  /**
   * Runs what is due, in an order drawn from the seed, until nothing is due any more, `until` holds
   * or `for_ms` of virtual time have passed. When nothing is due now, time jumps to the next timer.
   * Throws what a handler throws.
   */
  async run(options: { until?: () => boolean; for_ms?: number } = {}): Promise<void> {
    const { until = () => false, for_ms } = options;
    const limit_ms = for_ms === undefined ? Infinity : this.scheduler.now_ms() + for_ms;
    const held = await this.runUntil(until, limit_ms);
    if (!held && for_ms !== undefined) this.scheduler.advanceTo(limit_ms);
  }

  /**
   * The promise's result, with the world run meanwhile. Rejects with who waits for what when
   * nothing more can happen and the promise is still pending.
   */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const note = () => {
      settled = true;
    };
    promise.then(note, note);
    const limit_ms = this.scheduler.now_ms() + FINISH_MS_MAX;
    if (await this.runUntil(() => settled, limit_ms)) return promise;
    const waits = waiting(this.xen).map((line) => `\n  ${line}`);
    throw new Error(
      `nothing more happens and the promise is pending (seed ${this.seed})${waits.join('')}`,
    );
  }

  /**
   * Lets real work, such as reading a file, take part: until `work` settles, virtual time stands
   * still and the world counts as busy. Returns `work`.
   */
  outside<T>(work: Promise<T>): Promise<T> {
    this.outsideWork.add(work);
    const forget = () => {
      this.outsideWork.delete(work);
    };
    work.then(forget, forget);
    return work;
  }

  /** Every grant, mapping and port that is still open, as sentences; empty at the end of a test. */
  leftovers(): string[] {
    return leftovers(this.xen);
  }

  /** Returns whether `until` holds; otherwise nothing is due up to `limit_ms`. */
  private async runUntil(until: () => boolean, limit_ms: number): Promise<boolean> {
    await this.settle();
    for (let steps = 0; steps < RUN_STEPS_MAX; steps++) {
      if (until()) return true;
      const busyOutside = this.outsideWork.size > 0;
      const stepped = this.scheduler.step(busyOutside ? this.scheduler.now_ms() : limit_ms);
      if (!stepped && !busyOutside) return false;
      if (!stepped) await Promise.race([...this.outsideWork].map((work) => work.catch(() => {})));
      await this.settle();
    }
    throw new Error(`the world is still busy after ${RUN_STEPS_MAX} steps (seed ${this.seed})`);
  }

  private addDomain(options: SimDomainOptions): Domain {
    const domid = options.domid ?? this.xen.freeDomId();
    if (this.xen.domain(domid) !== undefined) throw new TypeError(`domain ${domid} exists already`);
    const privileged = options.privileged ?? domid === DOM0;
    const domain = new Domain(
      domid,
      options.name ?? `domain ${domid}`,
      { privileged, hvm: options.hvm ?? false },
      {
        grants_max: options.grants_max ?? GRANTS_MAX,
        ports_max:
          options.ports_max ?? (privileged ? EVTCHN_FIFO_NR_CHANNELS - 1 : GUEST_PORTS_MAX),
      },
    );
    this.xen.domains.set(domid, domain);
    this.xen.trace(domain, () => `is created with domid ${domid}`);
    return domain;
  }
}
