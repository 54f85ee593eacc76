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

export class Domain implements Identity {
  readonly domid: number;
  readonly incarnation: number;
  readonly account: Account;
  readonly activity = new Activity();
  /** Has, or had until it broke a rule, a ring that we serve. */
  introduced = false;
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
  }

  /** Dom0, or the domain named by `--priv-domid`. */
  get privileged(): boolean {
    return this.account.privileged;
  }

  /** Where its relative paths stand. */
  get home(): string {
    return domainHome(domId(this.domid));
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

export class Domains {
  private readonly parts: DomainsParts;
  private readonly byDomid = new Map<number, Domain>();
  private lastIncarnation = NO_INCARNATION;
  /** Of the unprivileged domains that are gone. */
  private readonly pastPeaks = new Peaks();

  constructor(parts: DomainsParts) {
    this.parts = parts;
    // Dom0 owns the first nodes and pays for what sockets do, so it is known from the start.
    this.create(0);
  }

  [Symbol.iterator](): IterableIterator<Domain> {
    return [...this.byDomid.values()][Symbol.iterator]();
  }

  get count(): number {
    return this.byDomid.size;
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
    const { options, quotas, clock, log } = this.parts;
    const privileged = domid === 0 || domid === options.privDomid;
    const domain = new Domain(
      ++this.lastIncarnation,
      new Account(domid, privileged, quotas, clock, log),
    );
    this.byDomid.set(domid, domain);
    return domain;
  }
}
