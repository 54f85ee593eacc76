/**
 * Keeps one domain from taking all of our time: what its requests take it is charged for, and a
 * domain that has used up its share is not listened to until others could have had theirs. Without
 * it, everybody would wait for each large removal or commit of a guest that asks for nothing else.
 */
import type { Clock } from '../base/clock.ts';
import type { Domain } from './domain.ts';

/** The part of our time that one unprivileged domain may take for good. */
const SHARE = 0.5;
/** What a domain can save, so that a burst of ordinary requests does not have to wait. */
const SAVED_MS_MAX = 10;

interface Credit {
  amount_ms: number;
  updated_ms: number;
}

export class TimeLimit {
  private readonly clock: Clock;
  private readonly credits = new WeakMap<Domain, Credit>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Does `work` at the expense of the domain. */
  charge(domain: Domain, work: () => void): void {
    if (domain.privileged) {
      work();
      return;
    }
    const start_ms = this.clock.now_ms();
    work();
    const credit = this.updated(domain);
    credit.amount_ms -= credit.updated_ms - start_ms;
  }

  /** How long the domain must wait until it is listened to again; 0 for not at all. */
  wait_ms(domain: Domain): number {
    if (domain.privileged || !this.credits.has(domain)) return 0;
    const { amount_ms } = this.updated(domain);
    return amount_ms >= 0 ? 0 : -amount_ms / SHARE;
  }

  private updated(domain: Domain): Credit {
    const now_ms = this.clock.now_ms();
    let credit = this.credits.get(domain);
    if (credit === undefined) {
      credit = { amount_ms: SAVED_MS_MAX, updated_ms: now_ms };
      this.credits.set(domain, credit);
    }
    const earned_ms = (now_ms - credit.updated_ms) * SHARE;
    credit.amount_ms = Math.min(credit.amount_ms + earned_ms, SAVED_MS_MAX);
    credit.updated_ms = now_ms;
    return credit;
  }
}
