/** Makes a peer wait that signals again and again without anything to say (XSA-332, XSA-391). */
import type { Clock } from '../base/clock.ts';
import type { EventChannel } from '../hypervisor/contract.ts';

/** Empty signals in a row before the channel has to pause. */
const EMPTY_SIGNALS_MAX = 16;
const PAUSE_MS = 1;

export class SignalAllowance {
  private readonly channel: EventChannel;
  private readonly clock: Clock;
  private empty = 0;

  constructor(channel: EventChannel, clock: Clock) {
    this.channel = channel;
    this.clock = clock;
  }

  /** Told of each signal, from its handler. @param isEmpty nothing had come with it */
  spend(isEmpty: boolean): void {
    this.empty = isEmpty ? this.empty + 1 : 0;
    if (this.empty < EMPTY_SIGNALS_MAX) return;
    this.empty = 0;
    this.channel.pause();
    this.clock.after(PAUSE_MS, () => {
      if (!this.channel.closed) this.channel.resume();
    });
  }
}
