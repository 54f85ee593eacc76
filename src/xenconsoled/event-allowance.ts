/** How often a guest is listened to: the rate limit of xenconsoled, per console. */
import type { Clock, Timer } from '../base/clock.ts';
import type { EventChannel } from '../hypervisor/contract.ts';

export const EVENTS_PER_PERIOD_MAX = 30;
export const PERIOD_MS = 200;

export class EventAllowance {
  private readonly channel: EventChannel;
  private readonly clock: Clock;
  private readonly renewed: () => void;
  private periodEnd_ms: number;
  private spent = 0;
  private timer: Timer | undefined;
  private held = false;
  private closed = false;

  /** @param renewed called when a period is over in which all was spent: something may be waiting */
  constructor(channel: EventChannel, clock: Clock, renewed: () => void) {
    this.channel = channel;
    this.clock = clock;
    this.renewed = renewed;
    this.periodEnd_ms = clock.now_ms() + PERIOD_MS;
  }

  /** Nothing is left of it until the period is over. */
  get exhausted(): boolean {
    return this.timer !== undefined;
  }

  /** Counts one event, or one batch without an event. The last one pauses the channel until the period is over. */
  spend(): void {
    if (this.closed || this.exhausted) return;
    const now_ms = this.clock.now_ms();
    if (now_ms >= this.periodEnd_ms) this.beginPeriod();
    this.spent++;
    if (this.spent < EVENTS_PER_PERIOD_MAX) return;
    this.channel.pause();
    this.timer = this.clock.after(this.periodEnd_ms - now_ms, () => {
      this.timer = undefined;
      this.beginPeriod();
      if (!this.held) this.channel.resume();
      this.renewed();
    });
  }

  /** Events merge into one, at no cost, until `letGo`: what they tell will be looked at then in any case. */
  hold(): void {
    if (this.held || this.closed) return;
    this.held = true;
    if (!this.exhausted) this.channel.pause();
  }

  letGo(): void {
    if (!this.held || this.closed) return;
    this.held = false;
    if (!this.exhausted) this.channel.resume();
  }

  /** Must be called before the channel is closed. Idempotent. */
  close(): void {
    this.closed = true;
    this.timer?.cancel();
    this.timer = undefined;
  }

  private beginPeriod(): void {
    this.spent = 0;
    this.periodEnd_ms = this.clock.now_ms() + PERIOD_MS;
  }
}
