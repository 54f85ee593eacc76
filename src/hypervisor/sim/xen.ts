/** What the simulated hypervisor knows: domains, their pages, grants and ports. */
import { type DomId, domId } from '../../base/ids.ts';
import { type Log, silentLog } from '../../base/log.ts';
import type { Prng } from '../../base/prng.ts';
import { PAGE_SIZE } from '../contract.ts';
import { ConsoleRing } from './console-ring.ts';
import type { FaultPlan } from './faults.ts';
import type { Scheduler } from './scheduler.ts';

/** One page of a domain's memory. */
export interface Frame {
  readonly owner: Domain;
  readonly gfn: number;
  readonly memory: ArrayBuffer;
  /** Where the page begins in `memory`. */
  readonly offset: number;
  /** By how many mappings, granted and foreign, it is in use. */
  mappings: number;
}

/** One entry of a grant table. */
export interface GrantEntry {
  readonly ref: number;
  readonly peer: DomId;
  readonly frame: Frame;
  readonly readOnly: boolean;
  /** How often it is mapped. */
  mappings: number;
  /** The granter wants it back; it ends with the last mapping. */
  revoked: boolean;
  /** Made by the toolstack, so it stays as long as the domain. */
  readonly reserved: boolean;
}

export type PortState =
  | { readonly kind: 'unbound'; readonly peer: DomId }
  | { readonly kind: 'interdomain'; readonly peer: Port }
  | { readonly kind: 'virq'; readonly virq: number }
  | { readonly kind: 'closed' };

export interface Port {
  readonly domain: Domain;
  readonly number: number;
  /** Made by the toolstack, so it stays as long as the domain. */
  readonly reserved: boolean;
  state: PortState;
  pending: boolean;
  paused: boolean;
  /** A delivery is already in the scheduler. */
  queued: boolean;
  handler: (() => void) | undefined;
}

export type DomainState = 'running' | 'shutdown' | 'dying' | 'gone';

export interface DomainLimits {
  /** Entries of the grant table. The default is 64 frames of 512, `max_grant_frames` of Xen. */
  readonly grants_max: number;
  /** Event channels. The default of `xl` is 1023. */
  readonly ports_max: number;
}

export interface DomainKind {
  /** May bind virtual interrupts and use `DomainControl`. */
  readonly privileged: boolean;
  readonly hvm: boolean;
}

export class Domain {
  readonly domid: DomId;
  readonly name: string;
  readonly privileged: boolean;
  readonly hvm: boolean;
  readonly limits: DomainLimits;
  /** By guest frame number. */
  readonly frames = new Map<number, Frame>();
  /** Those that somebody maps, also when the domain has no more use for them. */
  readonly mappedFrames = new Set<Frame>();
  readonly grants = new Map<number, GrantEntry>();
  readonly ports = new Map<number, Port>();
  state: DomainState = 'running';
  /** It has shut down or crashed, whatever became of it then. */
  stopped = false;
  shutdownReason = 0;
  private nextGfn = 0x1000;

  constructor(domid: DomId, name: string, kind: DomainKind, limits: DomainLimits) {
    this.domid = domid;
    this.name = name;
    this.privileged = kind.privileged;
    this.hvm = kind.hvm;
    this.limits = limits;
  }

  /** `count` new zeroed pages that follow each other. */
  allocateFrames(count: number): Frame[] {
    const memory = new ArrayBuffer(count * PAGE_SIZE);
    return Array.from({ length: count }, (_, index) => {
      const frame: Frame = {
        owner: this,
        gfn: this.nextGfn++,
        memory,
        offset: index * PAGE_SIZE,
        mappings: 0,
      };
      this.frames.set(frame.gfn, frame);
      return frame;
    });
  }
}

export class Xen {
  readonly scheduler: Scheduler;
  readonly prng: Prng;
  readonly faults: FaultPlan;
  readonly domains = new Map<number, Domain>();
  readonly console = new ConsoleRing();
  /** Called when a domain has stopped, begun to die or gone: what `VIRQ_DOM_EXC` announces. */
  onDomainEvent: () => void = () => {};
  private readonly log: Log;
  private lastDomId = -1;

  constructor(scheduler: Scheduler, prng: Prng, faults: FaultPlan, log: Log) {
    this.scheduler = scheduler;
    this.prng = prng;
    this.faults = faults;
    this.log = log;
  }

  /** Logs one step. The sentence is only built when somebody listens. */
  trace(domain: Domain, what: () => string): void {
    if (this.log === silentLog) return;
    this.log.debug(`${domain.name}: ${what()}`, { at_ms: this.scheduler.now_ms() });
  }

  /** The domain while it exists, also while it is dying. */
  domain(domid: number): Domain | undefined {
    return this.domains.get(domid);
  }

  /** Draws whether a fault happens. A fault that never happens draws nothing, so old seeds stay good. */
  fault(name: Exclude<keyof FaultPlan, 'delayEvent_ms_max'>): boolean {
    const probability = this.faults[name];
    return probability > 0 && this.prng.chance(probability);
  }

  /** A domain maps `frame`, so its memory stays. */
  holdFrame(frame: Frame): void {
    frame.mappings += 1;
    frame.owner.mappedFrames.add(frame);
  }

  /** A mapping of `frame` ends, and with the last of them a dying owner. */
  releaseFrame(frame: Frame): void {
    frame.mappings -= 1;
    if (frame.mappings === 0) frame.owner.mappedFrames.delete(frame);
    if (frame.owner.state === 'dying') this.finishDying(frame.owner);
  }

  /** Removes a dying domain once nobody maps its memory. */
  finishDying(domain: Domain): boolean {
    if (domain.mappedFrames.size > 0) return false;
    domain.state = 'gone';
    domain.frames.clear();
    domain.grants.clear();
    this.domains.delete(domain.domid);
    this.trace(domain, () => 'is gone');
    this.onDomainEvent();
    return true;
  }

  /** The number for the next domain: they count up and none is used again. */
  freeDomId(): DomId {
    let next = this.lastDomId + 1;
    while (this.domains.has(next)) next++;
    this.lastDomId = next;
    return domId(next);
  }
}
