/** The domains that xenstored knows: those with a ring, and those that some permission names. */
import type { Clock } from '../base/clock.ts';
import { DOMID_FIRST_RESERVED, domId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { DomainControl, DomainInfo } from '../hypervisor/contract.ts';
import { domainHome } from '../xenstore/path.ts';
import { Activity } from './activity.ts';
import { SERVER_FEATURES } from './features.ts';
import type { XenstoredOptions } from './options.ts';
import { Peaks } from './peaks.ts';
import { type Identity, NO_INCARNATION } from './permissions.ts';
import { Account, type Quotas } from './quota.ts';
import type { DomainState, ServerState } from './state.ts';

export class Domain implements Identity {
  readonly domid: number;
  readonly incarnation: number;
  readonly account: Account;
  readonly activity = new Activity();
  /** Where its relative paths stand. */
  readonly home: string;
  /** Has, or had until it broke a rule, a ring that we serve. */
  introduced = false;
  /** The port of its end of the ring's event channel; absent for our own kernel, which is not introduced. */
  remotePort: number | undefined;
  /** `XENSTORE_SERVER_FEATURE_…` that it is offered, or will be. */
  features = SERVER_FEATURES;
  /** It was told that this domain has shut down; `XS_RESUME` takes that back. */
  shutdown = false;
  /** Lends this domain its rights: a guest to the stub domain of its device model. */
  target: Domain | undefined;

  constructor(incarnation: number, account: Account) {
    this.domid = account.domid;
    this.incarnation = incarnation;
    this.account = account;
    this.home = domainHome(domId(this.domid));
  }

  /** Dom0, or the domain named by `--priv-domid`. */
  get privileged(): boolean {
    return this.account.privileged;
  }

  capture(): DomainState {
    const { domid, incarnation, features, account, shutdown, target, remotePort } = this;
    return {
      domid,
      incarnation,
      features,
      ownQuotas: account.own,
      shutdown,
      target: target?.domid,
      ring: this.introduced ? { remotePort } : undefined,
    };
  }
}

export interface DomainsParts {
  /** Without it every domid is taken to be a domain's, since there is nobody to ask. */
  readonly domainControl: DomainControl | undefined;
  readonly options: XenstoredOptions;
  readonly quotas: Quotas;
  readonly clock: Clock;
  readonly log: Log;
}

/** The domains of an earlier xenstored. */
type KnownDomains = Pick<ServerState, 'domains' | 'lastIncarnation'>;

const NO_DOMAINS: KnownDomains = { domains: [], lastIncarnation: NO_INCARNATION };

export class Domains {
  private readonly parts: DomainsParts;
  private readonly byDomid = new Map<number, Domain>();
  private lastIncarnation: number;
  /** Of the unprivileged domains that are gone. */
  private readonly pastPeaks = new Peaks();

  /** @param known those of an earlier xenstored, none of them introduced yet */
  constructor(parts: DomainsParts, known: KnownDomains = NO_DOMAINS) {
    this.parts = parts;
    this.lastIncarnation = known.lastIncarnation;
    for (const state of known.domains) this.takeUp(state);
    for (const { domid, target } of known.domains) {
      const domain = this.byDomid.get(domid);
      if (domain !== undefined && target !== undefined) domain.target = this.byDomid.get(target);
    }
    // Dom0 owns the first nodes and pays for what sockets do, so it is known from the start.
    this.findOrCreate(0);
  }

  [Symbol.iterator](): IterableIterator<Domain> {
    return [...this.byDomid.values()][Symbol.iterator]();
  }

  get count(): number {
    return this.byDomid.size;
  }

  /** The largest incarnation that a domain has had. */
  get incarnations(): number {
    return this.lastIncarnation;
  }

  find(domid: number): Domain | undefined {
    return this.byDomid.get(domid);
  }

  /** The very domain that is meant, unless it is gone. */
  current(identity: Identity): Domain | undefined {
    const domain = this.byDomid.get(identity.domid);
    return domain?.incarnation === identity.incarnation ? domain : undefined;
  }

  /** The domain, if it is known or Xen says that there is one. */
  known(domid: number): Domain | undefined {
    const domain = this.byDomid.get(domid);
    if (domain !== undefined) return domain;
    return this.exists(domid) ? this.create(domid) : undefined;
  }

  /** The domain, made known whatever Xen says. */
  findOrCreate(domid: number): Domain {
    return this.byDomid.get(domid) ?? this.create(domid);
  }

  /** Forgets the domain: whoever has its domid later is another. */
  forget(domain: Domain): void {
    this.byDomid.delete(domain.domid);
    if (!domain.privileged) this.pastPeaks.include(domain.account.peaks);
    for (const other of this.byDomid.values()) {
      if (other.target === domain) other.target = undefined;
    }
  }

  /** What Xen says of the domain: `undefined` when there is none, or when there is nobody to ask. */
  info(domid: number): DomainInfo | undefined {
    if (domid >= DOMID_FIRST_RESERVED) return undefined;
    return this.parts.domainControl?.info(domId(domid));
  }

  /** The most that any unprivileged domain has used of each thing. */
  peaks(): Peaks {
    const peaks = new Peaks();
    peaks.include(this.pastPeaks);
    for (const domain of this) if (!domain.privileged) peaks.include(domain.account.peaks);
    return peaks;
  }

  /** Begins to look for peaks anew, from what is used now. */
  resetPeaks(): void {
    this.pastPeaks.reset();
    for (const { account } of this) account.resetPeaks();
  }

  private exists(domid: number): boolean {
    if (domid >= DOMID_FIRST_RESERVED) return false;
    return this.parts.domainControl === undefined || this.info(domid) !== undefined;
  }

  private create(domid: number): Domain {
    return this.add(domid, ++this.lastIncarnation);
  }

  private takeUp({ domid, incarnation, features, ownQuotas, shutdown }: DomainState): void {
    const domain = this.add(domid, incarnation, ownQuotas);
    domain.features = features;
    domain.shutdown = shutdown;
  }

  private add(domid: number, incarnation: number, ownQuotas?: Partial<Quotas>): Domain {
    const { options, quotas, clock, log } = this.parts;
    const privileged = domid === 0 || domid === options.privDomid;
    const account = new Account(domid, privileged, quotas, clock, log, ownQuotas);
    const domain = new Domain(incarnation, account);
    this.byDomid.set(domid, domain);
    return domain;
  }
}
