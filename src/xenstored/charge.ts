/**
 * What a request keeps busy until its reply and every event that it caused have been taken: the
 * quota on outstanding requests. So a domain that writes faster than others read is made to wait,
 * not the memory made to grow (XSA-326).
 */
import type { Account } from './quota.ts';

export class Charge {
  readonly account: Account;
  private holders = 0;

  constructor(account: Account) {
    this.account = account;
  }

  hold(): void {
    if (this.holders++ === 0) this.account.outstanding++;
  }

  release(): void {
    if (--this.holders === 0) this.account.outstanding--;
  }
}
