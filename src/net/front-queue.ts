/** One queue of a network front end: a pair of rings, and one event channel or two. */
import type { Clock, Timer } from '../base/clock.ts';
import { XenError } from '../base/errors.ts';
import { Holdings } from '../base/holdings.ts';
import type { DomId } from '../base/ids.ts';
import type { EventChannel, Hypervisor, SharedPages } from '../hypervisor/contract.ts';
import type { FrontPage, FrontPages } from '../ring/front-pages.ts';
import { SignalAllowance } from '../ring/signal-allowance.ts';
import type { Frame } from './frame.ts';
import { FrontReceive } from './front-receive.ts';
import { FrontTransmit } from './front-transmit.ts';
import type { MacAddress } from './mac-address.ts';
import type { InterfaceCounts } from './network-interface.ts';

export interface FrontQueueParts {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  readonly peer: DomId;
  /** An event channel for each ring. */
  readonly splitChannels: boolean;
  /** For frames in both directions; shared with the other queues of the device. */
  readonly pages: FrontPages;
  /** Pages offered for frames to come; fewer where this domain can share no more. */
  readonly receivePages: number;
  readonly counts: InterfaceCounts;
  readonly onFrames: (frames: readonly Frame[]) => void;
  /** There is room for more. */
  readonly onRoom: () => void;
  /** The back end broke a rule: the device is over. */
  readonly onViolation: (error: unknown) => void;
}

export class FrontQueue {
  private readonly parts: FrontQueueParts;
  private readonly held = new Holdings();
  private readonly transmitRing: SharedPages;
  private readonly receiveRing: SharedPages;
  private readonly transmitChannel: EventChannel;
  private readonly receiveChannel: EventChannel;
  private readonly transmit: FrontTransmit;
  private readonly receive: FrontReceive;
  /** Pages offered for frames to come. */
  readonly receivePages: number;
  private later: Timer | undefined;
  private failed = false;

  /** Shares rings and pages with the back end. Throws ENOSPC when this domain cannot. */
  constructor(parts: FrontQueueParts) {
    const { counts, hypervisor, pages, peer, splitChannels } = parts;
    this.parts = parts;
    try {
      const { grants, events } = hypervisor;
      this.transmitRing = this.held.keep(grants.share(peer, 1, 'read-write'));
      this.receiveRing = this.held.keep(grants.share(peer, 1, 'read-write'));
      this.transmitChannel = this.held.keep(events.allocateUnbound(peer));
      this.receiveChannel = splitChannels
        ? this.held.keep(events.allocateUnbound(peer))
        : this.transmitChannel;
      const receivePages = this.takePages();
      this.receivePages = receivePages.length;
      this.transmit = new FrontTransmit({ memory: this.transmitRing.bytes, pages, counts });
      this.receive = new FrontReceive({
        memory: this.receiveRing.bytes,
        pages: receivePages,
        counts,
        onFrames: parts.onFrames,
      });
    } catch (error) {
      this.held.close();
      throw error;
    }
    this.receive.push();
    this.listen();
  }

  /** Where the back end finds the rings; all keys begin with `prefix`. */
  keys(prefix: string): Record<string, string> {
    const transmitPort = String(this.transmitChannel.port);
    const ports: Record<string, string> = this.parts.splitChannels
      ? {
          [`${prefix}event-channel-tx`]: transmitPort,
          [`${prefix}event-channel-rx`]: String(this.receiveChannel.port),
        }
      : { [`${prefix}event-channel`]: transmitPort };
    return {
      [`${prefix}tx-ring-ref`]: String(this.transmitRing.refs[0]),
      [`${prefix}rx-ring-ref`]: String(this.receiveRing.refs[0]),
      ...ports,
    };
  }

  /** Puts the frame into the ring; false when there is no room. The back end hears of it by `push`. */
  put(frame: Frame): boolean {
    return !this.failed && this.transmit.put(frame);
  }

  putMulticast(group: MacAddress, joined: boolean): boolean {
    return !this.failed && this.transmit.putMulticast(group, joined);
  }

  /** Publishes what was put. */
  push(): void {
    if (!this.failed && this.transmit.push()) this.transmitChannel.notify();
  }

  /** Lets go of the rings. The pages are the device's. */
  close(): void {
    this.failed = true;
    this.later?.cancel();
    this.held.close();
  }

  private takePages(): FrontPage[] {
    const { pages, receivePages } = this.parts;
    const taken: FrontPage[] = [];
    pages.take(pages.prepare(receivePages), taken);
    if (taken.length > 0) return taken;
    throw new XenError('ENOSPC', 'share pages for a network interface', 'there is none');
  }

  private listen(): void {
    const { clock, splitChannels } = this.parts;
    const serve = (channel: EventChannel, handle: () => boolean) => {
      const allowance = new SignalAllowance(channel, clock);
      channel.onEvent(() => {
        const hadNothing = !handle();
        if (!this.failed) allowance.spend(hadNothing);
      });
    };
    if (splitChannels) {
      serve(this.transmitChannel, () => this.takeResponses());
      serve(this.receiveChannel, () => this.takeFrames());
    } else {
      serve(this.transmitChannel, () => {
        const responded = this.takeResponses();
        return this.takeFrames() || responded;
      });
    }
  }

  /** Returns whether any had come. */
  private takeResponses(): boolean {
    if (this.failed) return false;
    const taken = this.guarded(() => this.transmit.serve()) ?? 0;
    if (taken > 0 && !this.failed) this.parts.onRoom();
    return taken > 0;
  }

  private takeFrames(): boolean {
    // While more is to be taken later, the back end was not asked to signal.
    if (this.failed || this.later !== undefined) return false;
    const found = this.guarded(() => this.receive.serve());
    // Who took the frames may have closed the device.
    if (found === undefined || this.failed) return true;
    if (this.receive.push()) this.receiveChannel.notify();
    if (found.more) {
      this.later = this.parts.clock.after(0, () => {
        this.later = undefined;
        this.takeFrames();
      });
    }
    return found.taken > 0;
  }

  private guarded<Value>(work: () => Value): Value | undefined {
    try {
      return work();
    } catch (error) {
      this.failed = true;
      this.parts.onViolation(error);
      return undefined;
    }
  }
}
