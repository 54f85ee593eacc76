/** How often a guest may wake the daemon: the rate limit of xenconsoled, per console. */
import type { Clock, Timer } from '../base/clock.ts';
import type { EventChannel } from '../hypervisor/contract.ts';

export const EVENTS_PER_PERIOD_MAX = 30;
export const PERIOD_MS = 200;

export class EventAllowance {
  private readonly channel: EventChannel;
  private readonly clock: Clock;
  private periodEnd_ms: number;
  private spent = 0;
  private timer: Timer | undefined;

  constructor(channel: EventChannel, clock: Clock) {
    this.channel = channel;
    this.clock = clock;
    this.periodEnd_ms = clock.now_ms() + PERIOD_MS;
  }

  /** Counts one event. The last one of the allowance pauses the channel until the period is over. */
  spend(): void {
    const now_ms = this.clock.now_ms();
    if (now_ms >= this.periodEnd_ms) this.beginPeriod();
    this.spent++;
    if (this.spent < EVENTS_PER_PERIOD_MAX || this.timer !== undefined) return;
    this.channel.pause();
    this.timer = this.clock.after(this.periodEnd_ms - now_ms, () => {
      this.timer = undefined;
      this.beginPeriod();
      this.channel.resume();
    });
  }

  /** Must be called before the channel is closed. Idempotent. */
  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private beginPeriod(): void {
    this.spent = 0;
    this.periodEnd_ms = this.clock.now_ms() + PERIOD_MS;
  }
}
