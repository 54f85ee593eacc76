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
  private closed = false;

  /** @param renewed called when a period is over in which all was spent: something may be waiting */
  constructor(channel: EventChannel, clock: Clock, renewed: () => void) {
    this.channel = channel;
    this.clock = clock;
    this.renewed = renewed;
    this.periodEnd_ms = clock.now_ms() + PERIOD_MS;
  }

  /**
   * Counts one event, or one more look at the ring, and returns whether it is within the allowance.
   * The last one pauses the channel until the period is over.
   */
  spend(): boolean {
    if (this.closed || this.timer !== undefined) return false;
    const now_ms = this.clock.now_ms();
    if (now_ms >= this.periodEnd_ms) this.beginPeriod();
    this.spent++;
    if (this.spent < EVENTS_PER_PERIOD_MAX) return true;
    this.channel.pause();
    this.timer = this.clock.after(this.periodEnd_ms - now_ms, () => {
      this.timer = undefined;
      this.beginPeriod();
      this.channel.resume();
      this.renewed();
    });
    return true;
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
