/**
 * What a request keeps busy until its reply and every event that it caused have been taken: the
 * quota on outstanding requests. So a domain that writes faster than others read is made to wait,
 * not the memory made to grow (XSA-326).
 */
import type { Account } from './quota.ts';
import type { ChargeState } from './state.ts';

export class Charge {
  private readonly account: Account;
  /** Another one for each request, from 1. */
  private readonly id: number;
  private holders = 0;

  constructor(account: Account, id: number) {
    this.account = account;
    this.id = id;
  }

  get state(): ChargeState {
    return { id: this.id, domid: this.account.domid };
  }

  hold(): void {
    if (this.holders++ === 0) this.account.outstanding++;
  }

  release(): void {
    if (--this.holders === 0) this.account.outstanding--;
  }
}
