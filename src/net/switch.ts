/**
 * A learning switch between any number of interfaces, all in this process: a frame from one guest to
 * another is copied into this process once and out of it once. Of a large one only the headers are, as
 * long as nobody here asks for the rest, which goes from page to page.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { AddressTable } from './address-table.ts';
import { ETHERNET_HEADER_BYTES, type Frame } from './frame.ts';
import { isGroupAddress, MAC_BYTES, macAddressAt, parseMacAddress } from './mac-address.ts';
import type { NetworkInterface } from './network-interface.ts';
import { type PortOptions, SwitchPort } from './switch-port.ts';
import { isMember, TaggedForms } from './vlan.ts';

/** What bridges say to each other (IEEE 802.1D, table 7-10): sixteen groups that none forwards. */
const BRIDGE_GROUPS_FIRST = parseMacAddress('01:80:c2:00:00:00');
const BRIDGE_GROUPS = 16;

/** How late a station may be forgotten. */
const TIME_READ_MS = 1000;

export class Switch {
  private readonly clock: Clock;
  /** The time, read so long ago at most; on some hosts that costs as much as the rest of a frame. */
  private now_ms = 0;
  /** While `now_ms` is of use. */
  private timer: Timer | undefined;
  private readonly table = new AddressTable<SwitchPort>();
  private readonly members = new Set<SwitchPort>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The ports that there are now. */
  get ports(): SwitchPort[] {
    return [...this.members];
  }

  /**
   * Plugs an interface in; the switch takes its handlers for frames and changes. Throws RangeError
   * when an option makes no sense.
   */
  addPort(network: NetworkInterface, options: PortOptions): SwitchPort {
    const port = new SwitchPort(network, options, this.clock, () => this.remove(port, network));
    this.members.add(port);
    network.onReceive((frames) => this.forward(port, frames), true);
    network.onChange(() => {
      // Whoever was behind it may come back somewhere else.
      if (!port.carrier) this.table.forgetPort(port);
    });
    return port;
  }

  private remove(port: SwitchPort, network: NetworkInterface): void {
    if (!this.members.delete(port)) return;
    this.table.forgetPort(port);
    network.onReceive(() => {});
    network.onChange(() => {});
    if (this.members.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
  }

  private forward(from: SwitchPort, frames: readonly Frame[]): void {
    this.readTime();
    for (const frame of frames) this.forwardOne(from, frame);
    for (const port of this.members) port.flush();
  }

  private readTime(): void {
    if (this.timer !== undefined) return;
    this.now_ms = this.clock.now_ms();
    this.timer = this.clock.after(TIME_READ_MS, () => {
      this.timer = undefined;
    });
  }

  private forwardOne(from: SwitchPort, frame: Frame): void {
    const { now_ms } = this;
    const { bytes } = frame;
    if (bytes.length < ETHERNET_HEADER_BYTES) {
      from.drops('invalid');
      return;
    }
    if (!from.admits(frame)) return;
    const target = macAddressAt(bytes, 0);
    const source = macAddressAt(bytes, MAC_BYTES);
    const isBetweenBridges =
      target >= BRIDGE_GROUPS_FIRST && target < BRIDGE_GROUPS_FIRST + BRIDGE_GROUPS;
    if (isBetweenBridges || isGroupAddress(source)) {
      from.drops('invalid');
      return;
    }
    const forms = new TaggedForms(frame, from.vlans);
    const { vlan } = forms;
    if (vlan === 0) {
      from.drops('vlan');
      return;
    }
    from.countIn(frame);
    this.table.learn(vlan, source, from, now_ms);
    const known = isGroupAddress(target) ? undefined : this.table.find(vlan, target, now_ms);
    if (known === undefined) this.flood(from, forms);
    // A station behind the same port has heard the frame already.
    else if (known !== from) known.put(forms);
  }

  private flood(from: SwitchPort, forms: TaggedForms): void {
    for (const port of this.members) {
      if (port !== from && isMember(port.vlans, forms.vlan)) port.put(forms);
    }
  }
}
