/** What an unprivileged domain may use, and what each domain uses. */
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { Peaks } from './peaks.ts';

/** The limits, 0 for none; all but that on paths hold for unprivileged domains only. */
export interface Quotas {
  /** Nodes that a domain may own. */
  nodes: number;
  /**
   * Watches that a domain may have. C's xenstored refuses one when there are more than this
   * already, so it lets one more be set than the name says; the same goes for transactions.
   */
  watches: number;
  /** Transactions that a domain may have open; each takes memory of its domain besides. */
  transactions: number;
  /** Requests of a domain whose replies, or whose events at others, have not been taken yet. */
  outstanding: number;
  /** Nodes that one transaction may touch. */
  transactionNodes: number;
  /** Bytes above which the domain is no longer listened to. */
  memoryHard: number;
  /** Bytes above which a warning is logged. */
  memorySoft: number;
  /** Bytes of one node, as `nodeSize` counts them; a node is smaller than this. */
  nodeSize: number;
  /** Bytes of a path, `/local/domain/<domid>/` not counted. */
  pathLength: number;
  /** Entries of a permission list. */
  permissions: number;
}

/**
 * As in C's xenstored of Xen 4.17, except for transactions: ten are too few for 25 set-ups at once,
 * and it is their memory that must be bounded, which `memoryHard` does.
 */
export const DEFAULT_QUOTAS: Readonly<Quotas> = {
  nodes: 1000,
  watches: 128,
  transactions: 1000,
  outstanding: 20,
  transactionNodes: 1024,
  memoryHard: 2.5 * 1024 * 1024,
  memorySoft: 2 * 1024 * 1024,
  nodeSize: 2048,
  pathLength: 2048,
  permissions: 5,
};

/** How long a domain that keeps running into one limit is not mentioned again. */
const DENIAL_LOG_INTERVAL_MS = 10_000;

interface Denials {
  logged_ms: number;
  unlogged: number;
}

/** What one domain uses. */
export class Account {
  readonly domid: number;
  /** Limits do not hold for a privileged domain; what it uses is counted all the same. */
  readonly privileged: boolean;
  /** The most of each thing that the domain has used. */
  readonly peaks = new Peaks();
  /** How often a limit has refused it something. */
  refusals = 0;
  private nodesOwned = 0;
  private watchesSet = 0;
  private requestsOutstanding = 0;
  private memoryUsed = 0;
  private aboveSoft = false;
  private aboveHard = false;
  private readonly denials = new Map<string, Denials>();
  /** The limits of all domains. */
  private readonly quotas: Readonly<Quotas>;
  /** The limits that somebody has set for this domain alone. */
  private readonly ownQuotas: Partial<Quotas>;
  private readonly clock: Clock;
  private readonly log: Log;

  constructor(
    domid: number,
    privileged: boolean,
    quotas: Quotas,
    clock: Clock,
    log: Log,
    ownQuotas: Readonly<Partial<Quotas>> = {},
  ) {
    this.ownQuotas = { ...ownQuotas };
    this.domid = domid;
    this.privileged = privileged;
    this.quotas = quotas;
    this.clock = clock;
    this.log = log;
  }

  get nodes(): number {
    return this.nodesOwned;
  }

  set nodes(count: number) {
    this.nodesOwned = count;
    this.peaks.note('nodes', count);
  }

  get watches(): number {
    return this.watchesSet;
  }

  set watches(count: number) {
    this.watchesSet = count;
    this.peaks.note('watches', count);
  }

  get outstanding(): number {
    return this.requestsOutstanding;
  }

  set outstanding(count: number) {
    this.requestsOutstanding = count;
    this.peaks.note('outstanding', count);
  }

  /** Bytes that nodes, watches, transactions, replies and events of the domain take. */
  get memory(): number {
    return this.memoryUsed;
  }

  /** The limit as it was set, for this domain or for all; 0 for none. */
  quota(quota: keyof Quotas): number {
    return this.ownQuotas[quota] ?? this.quotas[quota];
  }

  /** The limits that were set for this domain alone. */
  get own(): Readonly<Partial<Quotas>> {
    return { ...this.ownQuotas };
  }

  /** Sets a limit for this domain alone, 0 for none. It stays when that of all domains changes. */
  setQuota(quota: keyof Quotas, value: number): void {
    this.ownQuotas[quota] = value;
  }

  /** The limit that holds: infinite where there is none and for a privileged domain. */
  limit(quota: keyof Quotas): number {
    if (this.privileged) return Number.POSITIVE_INFINITY;
    const value = this.quota(quota);
    return value === 0 ? Number.POSITIVE_INFINITY : value;
  }

  /** Counts `bytes` more, or fewer when negative, without a limit. */
  addMemory(bytes: number): void {
    this.memoryUsed += bytes;
    this.peaks.note('memory', this.memoryUsed);
    this.noticeMemory();
  }

  /** Whether `bytes` more would be too many. */
  memoryExceededBy(bytes: number): boolean {
    return this.memoryUsed + bytes >= this.limit('memoryHard');
  }

  /** Whether the domain uses so much that it is no longer listened to. */
  get stalled(): boolean {
    return this.outstanding >= this.limit('outstanding') || this.memoryExceededBy(0);
  }

  /** The refusal of a limit, which the caller throws. Logged with the domain and the limit. */
  denied(code: ErrorCode, quota: keyof Quotas, what: string): XenError {
    const limit = this.quota(quota);
    this.logDenial(quota, what);
    return new XenError(code, what, `quota ${quota} of domain ${this.domid} is ${limit}`);
  }

  /** Logs that a limit was hit, often enough to be seen and too seldom to fill a disk. */
  logDenial(quota: keyof Quotas, what: string): void {
    if (quota !== 'memorySoft') this.refusals++;
    const now_ms = this.clock.now_ms();
    const earlier = this.denials.get(quota);
    if (earlier !== undefined && now_ms - earlier.logged_ms < DENIAL_LOG_INTERVAL_MS) {
      earlier.unlogged++;
      return;
    }
    this.denials.set(quota, { logged_ms: now_ms, unlogged: 0 });
    this.log.warn(`domain ${this.domid} was denied: ${what}`, {
      domid: this.domid,
      quota,
      limit: this.quota(quota),
      ...(earlier === undefined ? {} : { denialsNotLogged: earlier.unlogged }),
    });
  }

  /** Begins to look for peaks anew, from what is used now. */
  resetPeaks(): void {
    this.peaks.reset();
    this.peaks.note('nodes', this.nodesOwned);
    this.peaks.note('watches', this.watchesSet);
    this.peaks.note('outstanding', this.requestsOutstanding);
    this.peaks.note('memory', this.memoryUsed);
  }

  private noticeMemory(): void {
    if (this.privileged) return;
    const aboveHard = this.memoryExceededBy(0);
    if (aboveHard && !this.aboveHard) {
      this.logDenial('memoryHard', 'memory is used up, its requests wait');
    }
    this.aboveHard = aboveHard;
    const aboveSoft = this.memoryUsed >= this.limit('memorySoft');
    if (aboveSoft && !this.aboveSoft) this.logDenial('memorySoft', 'uses much memory');
    this.aboveSoft = aboveSoft;
  }
}
