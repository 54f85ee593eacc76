/** Where stations were last seen: by VLAN and address the port, for as long as they are heard of. */
import type { MacAddress } from './mac-address.ts';

/** As long as the Linux bridge remembers a station. */
export const AGE_MS_MAX = 300_000;
/** Addresses that one port may teach: a guest that invents some fills no more than its part. */
export const ADDRESSES_PER_PORT_MAX = 256;

interface Entry<Port> {
  port: Port;
  seen_ms: number;
}

const isFresh = ({ seen_ms }: Entry<unknown>, now_ms: number) => now_ms - seen_ms < AGE_MS_MAX;

export class AddressTable<Port> {
  /** By VLAN, since both numbers together are more than a number holds. */
  private readonly vlans = new Map<number, Map<MacAddress, Entry<Port>>>();
  private readonly taught = new Map<Port, number>();

  /** A frame from `address` came through `port`. @param now_ms never goes back */
  learn(vlan: number, address: MacAddress, port: Port, now_ms: number): void {
    const entries = this.entriesOf(vlan);
    const known = entries.get(address);
    if (known?.port === port) {
      known.seen_ms = now_ms;
      return;
    }
    if (this.count(port) >= ADDRESSES_PER_PORT_MAX && !this.makeRoom(port, now_ms)) return;
    if (known !== undefined) this.forget(entries, address, known);
    entries.set(address, { port, seen_ms: now_ms });
    this.taught.set(port, this.count(port) + 1);
  }

  /** The port behind which the station is, as far as that is known. */
  find(vlan: number, address: MacAddress, now_ms: number): Port | undefined {
    const entry = this.vlans.get(vlan)?.get(address);
    return entry !== undefined && isFresh(entry, now_ms) ? entry.port : undefined;
  }

  /** Nothing is known any more of who is behind `port`. */
  forgetPort(port: Port): void {
    this.forgetWhere((entry) => entry.port === port);
    this.taught.delete(port);
  }

  private entriesOf(vlan: number): Map<MacAddress, Entry<Port>> {
    const known = this.vlans.get(vlan);
    if (known !== undefined) return known;
    const made = new Map<MacAddress, Entry<Port>>();
    this.vlans.set(vlan, made);
    return made;
  }

  private count(port: Port): number {
    return this.taught.get(port) ?? 0;
  }

  /** Forgets the stations of `port` that were not heard of for long; false when there are none. */
  private makeRoom(port: Port, now_ms: number): boolean {
    const before = this.count(port);
    this.forgetWhere((entry) => entry.port === port && !isFresh(entry, now_ms));
    return this.count(port) < before;
  }

  private forgetWhere(isMeant: (entry: Entry<Port>) => boolean): void {
    for (const entries of this.vlans.values()) {
      for (const [address, entry] of entries) {
        if (isMeant(entry)) this.forget(entries, address, entry);
      }
    }
  }

  private forget(
    entries: Map<MacAddress, Entry<Port>>,
    address: MacAddress,
    { port }: Entry<Port>,
  ): void {
    entries.delete(address);
    this.taught.set(port, this.count(port) - 1);
  }
}
