/**
 * Which address of a range is whose, and how long. A station gets the address that it had, or that was
 * set aside for it, or else one that follows from its MAC address, so that it seldom changes.
 */
import type { Clock } from '../base/clock.ts';
import { type Ipv4Range, rangeHas, rangeLast } from './ipv4-range.ts';
import type { MacAddress } from './mac-address.ts';

export interface DhcpLease {
  readonly mac: MacAddress;
  readonly address: number;
  /** Milliseconds since 1970. */
  readonly until_ms: number;
}

export interface DhcpLeasesParts {
  readonly clock: Clock;
  readonly range: Ipv4Range;
  /** Addresses of the range that nobody gets: the server's own. */
  readonly kept: readonly number[];
}

/** An offer is for so long, until the station has chosen. */
const OFFER_MS = 60_000;
/**
 * An address that somebody was found to use without asking is left alone for so long, unless there is no
 * other any more: a station that declines all of them takes them from nobody.
 */
const DECLINED_MS = 600_000;
const NOBODY = 0 as MacAddress;

export class DhcpLeases {
  private readonly clock: Clock;
  private readonly range: Ipv4Range;
  private readonly kept: ReadonlySet<number>;
  private readonly byAddress = new Map<number, DhcpLease>();
  private readonly byMac = new Map<MacAddress, DhcpLease>();
  private readonly reservedFor = new Map<number, MacAddress>();

  constructor({ clock, range, kept }: DhcpLeasesParts) {
    this.clock = clock;
    this.range = range;
    this.kept = new Set(kept);
  }

  /**
   * Sets an address aside for a station, which gets no other then but those that were set aside for it
   * too. One that is not in the range is nothing that we give.
   */
  reserve(mac: MacAddress, address: number): void {
    if (this.isGiven(address)) this.reservedFor.set(address, mac);
  }

  /** Takes up a lease that a former process has given. */
  restore(lease: DhcpLease): void {
    if (this.isGiven(lease.address) && !this.isOver(lease)) this.set(lease);
  }

  find(mac: MacAddress): DhcpLease | undefined {
    const lease = this.byMac.get(mac);
    return lease === undefined || this.isOver(lease) ? undefined : lease;
  }

  /**
   * An address for the station, held for it until it has chosen; `undefined` when none is free.
   *
   * @param wanted what the station asks for: it gets it if nobody has it
   */
  offer(mac: MacAddress, wanted: number | undefined): number | undefined {
    const address = this.choose(mac, wanted);
    if (address === undefined) return undefined;
    const until_ms = this.clock.wallclock_ms() + OFFER_MS;
    const former = this.find(mac);
    // What the station has already is not cut short.
    if (former?.address !== address || former.until_ms < until_ms) {
      this.set({ mac, address, until_ms });
    }
    return address;
  }

  /** Gives the address for so long; `undefined` when it is not the station's to have. */
  take(mac: MacAddress, address: number, lease_ms: number): DhcpLease | undefined {
    const reserved = this.reservedTo(mac);
    if (reserved.length > 0 && !reserved.includes(address)) return undefined;
    if (!this.isFree(address, mac)) return undefined;
    const lease = { mac, address, until_ms: this.clock.wallclock_ms() + lease_ms };
    this.set(lease);
    return lease;
  }

  /** The station, and whatever was set aside for it, is gone. */
  release(mac: MacAddress): void {
    const lease = this.byMac.get(mac);
    if (lease === undefined) return;
    this.byMac.delete(mac);
    this.byAddress.delete(lease.address);
  }

  /** Ends what was set aside for a station. */
  forget(mac: MacAddress): void {
    for (const address of this.reservedTo(mac)) this.reservedFor.delete(address);
    this.release(mac);
  }

  /** The station has found that somebody else uses its address. */
  decline(mac: MacAddress, address: number): void {
    if (this.byMac.get(mac)?.address !== address) return;
    this.release(mac);
    const until_ms = this.clock.wallclock_ms() + DECLINED_MS;
    this.byAddress.set(address, { mac: NOBODY, address, until_ms });
  }

  private choose(mac: MacAddress, wanted: number | undefined): number | undefined {
    const free = (address: number) => this.isFree(address, mac);
    const declined = (address: number) => this.isDeclined(address, mac);
    for (const isGood of [free, declined]) {
      for (const address of this.candidates(mac, wanted)) if (isGood(address)) return address;
    }
    return undefined;
  }

  /** Addresses for a station, the best first; all others in the order that follows from its MAC address. */
  private *candidates(mac: MacAddress, wanted: number | undefined): Iterable<number> {
    const reserved = this.reservedTo(mac);
    if (reserved.length > 0) {
      if (wanted !== undefined && reserved.includes(wanted)) yield wanted;
      yield* reserved;
      return;
    }
    const known = this.byMac.get(mac)?.address;
    if (known !== undefined) yield known;
    if (wanted !== undefined) yield wanted;
    const { first } = this.range;
    const count = rangeLast(this.range) - first + 1;
    for (let step = 0; step < count; step++) yield first + (((mac % count) + step) % count);
  }

  private reservedTo(mac: MacAddress): number[] {
    const all = [...this.reservedFor];
    return all.filter(([, owner]) => owner === mac).map(([address]) => address);
  }

  /** Neither the network's name nor its broadcast, nor kept for somebody. */
  private isGiven(address: number): boolean {
    const isStation = rangeHas(this.range, address) && address !== this.range.first;
    return isStation && address !== rangeLast(this.range) && !this.kept.has(address);
  }

  private isFree(address: number, mac: MacAddress): boolean {
    if (!this.isGiven(address)) return false;
    if ((this.reservedFor.get(address) ?? mac) !== mac) return false;
    const lease = this.byAddress.get(address);
    return lease === undefined || lease.mac === mac || this.isOver(lease);
  }

  /** Free, but for somebody who declined it. */
  private isDeclined(address: number, mac: MacAddress): boolean {
    if ((this.reservedFor.get(address) ?? mac) !== mac) return false;
    return this.byAddress.get(address)?.mac === NOBODY;
  }

  private isOver({ until_ms }: DhcpLease): boolean {
    return until_ms <= this.clock.wallclock_ms();
  }

  private set(lease: DhcpLease): void {
    this.release(lease.mac);
    const former = this.byAddress.get(lease.address);
    if (former !== undefined) this.byMac.delete(former.mac);
    this.byMac.set(lease.mac, lease);
    this.byAddress.set(lease.address, lease);
  }
}
