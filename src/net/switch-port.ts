/** One port of a switch: an interface, what is allowed there, and what has passed. */
import type { Clock } from '../base/clock.ts';
import { Capture, type CaptureOptions, type CaptureSink } from './capture.ts';
import type { Frame } from './frame.ts';
import type { DirectionCounts, NetworkInterface } from './network-interface.ts';
import type { StationFilter } from './station-filter.ts';
import { type ByteRate, TokenBucket } from './token-bucket.ts';
import { checkVlans, type PortVlans, type TaggedForms, UNTAGGED } from './vlan.ts';

export interface PortOptions {
  /** For people. */
  readonly name: string;
  /** Every port is in VLAN 1 without tags unless given. */
  readonly vlans?: PortVlans;
  /** Which addresses who is behind the port may use; all unless given. */
  readonly filter?: StationFilter;
  /** How much may come from who is behind the port; what is more is dropped. */
  readonly rateIn?: ByteRate;
  /** How much may go there. */
  readonly rateOut?: ByteRate;
}

/** Why a frame got no further than a port. */
export type PortDropReason =
  /** No Ethernet frame, or one that bridges keep to themselves. */
  | 'invalid'
  /** Of a VLAN that the port is not in. */
  | 'vlan'
  /** From an address that is not its sender's. */
  | 'filter'
  | 'rate'
  /** The interface had no room for it. */
  | 'room';

export interface PortCounts {
  /** Frames that came from who is behind the port and passed. */
  readonly in: DirectionCounts<PortDropReason>;
  /** Frames that went there. */
  readonly out: DirectionCounts<PortDropReason>;
}

export function noPortCounts(): PortCounts {
  return { in: noneYet(), out: noneYet() };
}

function noneYet(): DirectionCounts<PortDropReason> {
  return { frames: 0, bytes: 0, dropped: { invalid: 0, vlan: 0, filter: 0, rate: 0, room: 0 } };
}

export class SwitchPort {
  readonly name: string;
  readonly vlans: PortVlans;
  readonly filter: StationFilter | undefined;
  readonly counts = noPortCounts();
  private readonly network: NetworkInterface;
  private readonly clock: Clock;
  private readonly bucketIn: TokenBucket | undefined;
  private readonly bucketOut: TokenBucket | undefined;
  private readonly onClose: () => void;
  private readonly captures = new Set<Capture>();
  private outgoing: Frame[] = [];

  /** Throws RangeError when an option makes no sense. */
  constructor(network: NetworkInterface, options: PortOptions, clock: Clock, onClose: () => void) {
    this.network = network;
    this.name = options.name;
    this.vlans = checkVlans(options.vlans ?? UNTAGGED);
    this.filter = options.filter;
    this.clock = clock;
    this.bucketIn = options.rateIn && new TokenBucket(clock, options.rateIn);
    this.bucketOut = options.rateOut && new TokenBucket(clock, options.rateOut);
    this.onClose = onClose;
  }

  /** Somebody is behind the port. */
  get carrier(): boolean {
    return this.network.info.carrier;
  }

  /** Copies of all frames that come and go at this port, until `close` is called or the port is gone. */
  capture(sink: CaptureSink, options?: CaptureOptions): { close(): void } {
    const capture = new Capture(sink, this.clock, options);
    this.captures.add(capture);
    return { close: () => void this.captures.delete(capture) };
  }

  /** Takes the port out of the switch. Idempotent. The interface stays its owner's. */
  close(): void {
    for (const capture of this.captures) capture.end();
    this.captures.clear();
    this.onClose();
  }

  /** Whether the frame may come in here: counts it in any case. */
  admits(frame: Frame): boolean {
    if (this.captures.size > 0) frame.rest?.fetch();
    const { bytes } = frame;
    for (const capture of this.captures) capture.add(bytes);
    if (this.bucketIn?.take(bytes.length) === false) return this.drops('rate');
    if (this.filter?.passes(bytes) === false) return this.drops('filter');
    return true;
  }

  /** Counts a frame that came and was dropped. Always false. */
  drops(reason: PortDropReason): false {
    this.counts.in.dropped[reason]++;
    return false;
  }

  /** The frame goes out here, in the form that the port's VLANs ask for, by the next `flush`. */
  put(forms: TaggedForms): void {
    if (!this.carrier) return;
    const frame = forms.leaving(this.vlans);
    if (this.bucketOut?.take(frame.bytes.length) === false) this.counts.out.dropped.rate++;
    else this.outgoing.push(frame);
  }

  /** Sends what was put. */
  flush(): void {
    const { outgoing, counts } = this;
    if (outgoing.length === 0) return;
    this.outgoing = [];
    if (this.network.takesRests !== true || this.captures.size > 0) {
      for (const { rest } of outgoing) rest?.fetch();
    }
    counts.out.dropped.room += outgoing.length - this.offer(outgoing);
  }

  /** Sends frames as they are. Returns how many were taken, in order; the others were not. */
  offer(frames: readonly Frame[]): number {
    const sent = this.network.send(frames);
    for (let index = 0; index < sent; index++) this.countOut(frames[index]!);
    return sent;
  }

  /** The frame has passed the port on its way in. */
  countIn({ bytes }: Frame): void {
    this.counts.in.frames++;
    this.counts.in.bytes += bytes.length;
  }

  private countOut({ bytes }: Frame): void {
    this.counts.out.frames++;
    this.counts.out.bytes += bytes.length;
    for (const capture of this.captures) capture.add(bytes);
  }
}
