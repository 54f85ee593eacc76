/**
 * A wire between a guest's interface and one of the host's, each frame as it is, whatever VLAN it is of.
 * Where the guest has no room, the host's side is held back: the host's own queues do then what they
 * are there for.
 */
import type { Clock } from '../base/clock.ts';
import type { Frame } from './frame.ts';
import { ETHERNET_HEADER_BYTES } from './frame.ts';
import type { NetworkInterface, PausableInterface } from './network-interface.ts';
import { type PortOptions, SwitchPort } from './switch-port.ts';

export interface WireParts {
  readonly guest: NetworkInterface;
  readonly host: PausableInterface;
  readonly clock: Clock;
  /** What is allowed to the guest, and what the wire is called. */
  readonly options: Omit<PortOptions, 'vlans' | 'rateOut'>;
  /** Whether somebody is at the guest's end is not what it was. */
  readonly onCarrier: (carrier: boolean) => void;
}

export class Wire {
  /** The guest's end: what has passed there, and captures of it. */
  readonly port: SwitchPort;
  private readonly parts: WireParts;
  /** What the guest had no room for, as long as the host's side is held back. */
  private rest: readonly Frame[] = [];
  private closed = false;

  /** Takes all handlers of both ends. Throws RangeError when an option makes no sense. */
  constructor(parts: WireParts) {
    const { guest, host, clock, options, onCarrier } = parts;
    this.parts = parts;
    this.port = new SwitchPort(guest, options, clock, () => this.disconnect());
    guest.onReceive((frames) => this.fromGuest(frames));
    host.onReceive((frames) => this.toGuest(frames));
    guest.onRoom(() => this.guestHasRoom());
    guest.onChange(() => this.carrierChanged());
    onCarrier(this.port.carrier);
  }

  /** Takes the wire away from both ends, which stay their owners'. Idempotent. */
  close(): void {
    this.port.close();
  }

  private disconnect(): void {
    if (this.closed) return;
    this.closed = true;
    const { guest, host, onCarrier } = this.parts;
    for (const end of [guest, host]) {
      end.onReceive(() => {});
      end.onChange(() => {});
      end.onRoom(() => {});
    }
    this.dropRest();
    onCarrier(false);
  }

  private carrierChanged(): void {
    if (!this.port.carrier) this.dropRest();
    this.parts.onCarrier(this.port.carrier);
  }

  private dropRest(): void {
    this.port.counts.out.dropped.room += this.rest.length;
    this.rest = [];
    this.parts.host.resume();
  }

  private fromGuest(frames: readonly Frame[]): void {
    const passing = frames.filter((frame) => this.passes(frame));
    // What the host does not take is lost, as on any network.
    const taken = this.parts.host.send(passing);
    this.port.counts.in.dropped.room += passing.length - taken;
  }

  private passes(frame: Frame): boolean {
    const { port } = this;
    if (frame.bytes.length < ETHERNET_HEADER_BYTES) return port.drops('invalid');
    if (!port.admits(frame)) return false;
    port.countIn(frame);
    return true;
  }

  private toGuest(frames: readonly Frame[]): void {
    // A guest that is gone or has stalled takes nothing, and nobody waits for it.
    if (!this.port.carrier) return;
    const taken = this.port.offer(frames);
    this.rest = taken === frames.length ? [] : frames.slice(taken);
    if (this.rest.length > 0) this.parts.host.pause();
  }

  private guestHasRoom(): void {
    const { rest } = this;
    if (rest.length === 0) return;
    this.toGuest(rest);
    if (this.rest.length === 0) this.parts.host.resume();
  }
}
