/** A guest's interface as it is seen from the host: what is sent there, the guest receives. */
import type { BackReceive } from './back-receive.ts';
import { ETHERNET_HEADER_BYTES, type Frame } from './frame.ts';
import { Leftovers } from './leftovers.ts';
import { type MacAddress, macAddressAt } from './mac-address.ts';
import type { MulticastFilter } from './multicast-filter.ts';
import type {
  InterfaceCounts,
  NetworkInterface,
  NetworkInterfaceInfo,
} from './network-interface.ts';
import type { OffloadAdapter } from './offloads.ts';
import type { Steering } from './steering.ts';

export interface BackVifParts {
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly adapter: OffloadAdapter;
  readonly steering: Steering;
  readonly multicast: MulticastFilter;
  /** One a queue. */
  readonly receivers: readonly BackReceive[];
  readonly counts: InterfaceCounts;
}

export class BackVif implements NetworkInterface {
  readonly counts: InterfaceCounts;
  readonly takesRests = true;
  /** Whoever is told of what the guest transmits takes frames with a rest. */
  givesRests = false;
  private readonly parts: BackVifParts;
  private connected = true;
  private receiver: (frames: readonly Frame[]) => void = () => {};
  private room = () => {};
  private changed = () => {};
  /** The frame that is being sent, and whether there was room for it. */
  private current: Frame | undefined;
  private taken = true;
  private readonly leftovers: Leftovers;

  constructor(parts: BackVifParts) {
    this.parts = parts;
    this.counts = parts.counts;
    this.leftovers = new Leftovers((frame) => this.putNow(frame), parts.counts);
  }

  get info(): NetworkInterfaceInfo {
    const { mac, mtu, receivers } = this.parts;
    const carrier = this.connected && !receivers.some(({ stalled }) => stalled);
    return { mac, mtu, carrier };
  }

  send(frames: readonly Frame[]): number {
    if (!this.connected) return 0;
    let count = 0;
    while (count < frames.length && this.leftovers.proceed() && this.sendOne(frames[count]!))
      count++;
    for (const queue of this.parts.receivers) queue.flush();
    return count;
  }

  onReceive(handler: (frames: readonly Frame[]) => void, takesRests = false): void {
    this.receiver = handler;
    this.givesRests = takesRests;
  }

  onRoom(handler: () => void): void {
    this.room = handler;
  }

  onChange(handler: () => void): void {
    this.changed = handler;
  }

  /** Frames that the guest transmits. */
  deliver(frames: readonly Frame[]): void {
    this.receiver(frames);
  }

  /** There is room again, or `info` is not what it was. */
  announceRoom(): void {
    if (this.leftovers.proceed()) this.room();
  }

  announceChange(): void {
    this.changed();
  }

  /** The guest has gone, or is going. */
  disconnect(): void {
    if (!this.connected) return;
    this.connected = false;
    this.leftovers.drop();
    this.changed();
  }

  private sendOne(frame: Frame): boolean {
    const { dropped } = this.counts.sent;
    if (frame.bytes.length < ETHERNET_HEADER_BYTES) {
      dropped.length++;
      return true;
    }
    if (!this.parts.multicast.passes(macAddressAt(frame.bytes, 0))) {
      dropped.filtered++;
      return true;
    }
    this.current = frame;
    this.taken = true;
    const refusal = this.parts.adapter.adapt(frame, this.put);
    this.current = undefined;
    if (refusal !== undefined) dropped[refusal]++;
    return this.taken;
  }

  private readonly put = (frame: Frame): void => {
    if (frame === this.current) this.taken = this.putNow(frame);
    else this.leftovers.add(frame);
  };

  private putNow(frame: Frame): boolean {
    const { steering, receivers } = this.parts;
    const queue = receivers[steering.choose(frame.bytes)]!;
    const hasRoom = queue.put(frame, steering.hash);
    // What was made for this guest alone is in memory that is used again at once.
    if (frame !== this.current) queue.flush();
    return hasRoom;
  }
}
