/**
 * Keeps one domain from making other transactions fail by changing nodes all the time (XSA-206): a
 * change of what an open transaction has touched costs its domain a credit, and a domain without
 * credit is not listened to until it has earned some. All other changes are free.
 */
import type { Clock } from '../base/clock.ts';
import type { Domain, Domains } from './domain.ts';

/** Changes per second that all domains together may go on making; the numbers are C's. */
const CREDITS_PER_SECOND = 200;
/** What one domain can save for itself. */
const DOMAIN_CREDIT_MAX = 10;
/** What domains did not use and whoever needs it takes. */
const RESERVE_MAX = 1000;

interface Credit {
  amount: number;
  updated_ms: number;
}

export class WriteLimit {
  private readonly clock: Clock;
  private readonly domains: Domains;
  private readonly credits = new WeakMap<Domain, Credit>();
  private reserve = RESERVE_MAX;

  constructor(clock: Clock, domains: Domains) {
    this.clock = clock;
    this.domains = domains;
  }

  /** Takes a credit for a change that was in the way of somebody's transaction. */
  debit(domain: Domain): void {
    if (domain.privileged) return;
    const credit = this.updated(domain);
    credit.amount -= 1;
    this.borrow(credit);
  }

  /** How long the domain must wait until it is listened to again; 0 for not at all. */
  wait_ms(domain: Domain): number {
    if (domain.privileged || !this.credits.has(domain)) return 0;
    const credit = this.updated(domain);
    this.borrow(credit);
    return credit.amount >= 0 ? 0 : Math.ceil(-credit.amount / this.creditsPerMs);
  }

  private get creditsPerMs(): number {
    return CREDITS_PER_SECOND / 1000 / this.domains.count;
  }

  private updated(domain: Domain): Credit {
    const now_ms = this.clock.now_ms();
    let credit = this.credits.get(domain);
    if (credit === undefined) {
      credit = { amount: DOMAIN_CREDIT_MAX, updated_ms: now_ms };
      this.credits.set(domain, credit);
    }
    const earned = (now_ms - credit.updated_ms) * this.creditsPerMs;
    const amount = credit.amount + earned;
    credit.updated_ms = now_ms;
    credit.amount = Math.min(amount, DOMAIN_CREDIT_MAX);
    this.reserve = Math.min(this.reserve + amount - credit.amount, RESERVE_MAX);
    return credit;
  }

  private borrow(credit: Credit): void {
    const borrowed = Math.min(Math.max(0, -credit.amount), this.reserve);
    credit.amount += borrowed;
    this.reserve -= borrowed;
  }
}
