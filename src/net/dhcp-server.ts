/**
 * A DHCP server (RFC 2131) for the stations of one network. It promises an address only once the
 * promise is where the next process finds it.
 */
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { Log, LogFields, LogLevel } from '../base/log.ts';
import { type DhcpLease, DhcpLeases } from './dhcp-leases.ts';
import {
  DHCPACK,
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPINFORM,
  DHCPNAK,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
  type DhcpReply,
  type DhcpRequest,
} from './dhcp-message.ts';
import { type Ipv4Range, ipv4Text, rangeMask } from './ipv4-range.ts';
import { type MacAddress, macAddressText } from './mac-address.ts';
import { TokenBucket } from './token-bucket.ts';

/** Where leases are kept, so that a process that is killed forgets none. */
export interface LeaseStore {
  load(): Promise<DhcpLease[]>;
  save(lease: DhcpLease): Promise<void>;
  remove(mac: MacAddress): Promise<void>;
}

export interface DhcpServerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: LeaseStore;
  readonly range: Ipv4Range;
  /** The server's own address, one of the range. */
  readonly address: number;
}

const LEASE_S = 3600;
/** Lines of the log: one a second, and after a quiet time so many at once. Stations cause them at will. */
const LOG_LINES = { bytesPerSecond: 1, burstBytes: 100 };

export class DhcpServer {
  private readonly parts: DhcpServerParts;
  private readonly leases: DhcpLeases;
  private readonly logLines: TokenBucket;

  private constructor(parts: DhcpServerParts) {
    const { clock, range, address } = parts;
    this.parts = parts;
    this.logLines = new TokenBucket(clock, LOG_LINES);
    this.leases = new DhcpLeases({ clock, range, kept: [address] });
  }

  /** Takes up the leases that a former process has given. Rejects when these cannot be read. */
  static async open(parts: DhcpServerParts): Promise<DhcpServer> {
    const server = new DhcpServer(parts);
    for (const lease of await parts.store.load()) server.leases.restore(lease);
    return server;
  }

  /** A station is to have that address, if it is one of the range's. */
  reserve(mac: MacAddress, address: number): void {
    this.leases.reserve(mac, address);
  }

  /** A station is gone for good. */
  async forget(mac: MacAddress): Promise<void> {
    this.leases.forget(mac);
    await this.guarded(() => this.parts.store.remove(mac));
  }

  /** Resolves with what is to be answered, `undefined` for nothing. */
  async answer(request: DhcpRequest): Promise<DhcpReply | undefined> {
    switch (request.type) {
      case DHCPDISCOVER:
        return this.offer(request);
      case DHCPREQUEST:
        return this.grant(request);
      case DHCPINFORM:
        return { ...this.reply(DHCPACK, 0), mask: rangeMask(this.parts.range) };
      case DHCPDECLINE:
        return this.declined(request);
      case DHCPRELEASE:
        return this.released(request);
      default:
        return undefined;
    }
  }

  private offer({ mac, requested }: DhcpRequest): DhcpReply | undefined {
    const address = this.leases.offer(mac, requested);
    if (address === undefined) {
      this.tell('warn', 'no address is left', { mac: macAddressText(mac) });
      return undefined;
    }
    return this.promise(DHCPOFFER, address);
  }

  private async grant(request: DhcpRequest): Promise<DhcpReply | undefined> {
    const { mac, ciaddr, requested, server } = request;
    if (server !== undefined && server !== this.parts.address) {
      // The station has chosen another server.
      this.leases.release(mac);
      return undefined;
    }
    const wanted = requested ?? ciaddr;
    const lease = this.leases.take(mac, wanted, LEASE_S * 1000);
    if (lease === undefined) {
      return { ...this.reply(DHCPNAK, 0), message: `${ipv4Text(wanted)} is not yours to have` };
    }
    const isSaved = await this.guarded(() => this.parts.store.save(lease));
    if (!isSaved) return undefined;
    const fields = { mac: macAddressText(mac), address: ipv4Text(wanted) };
    this.tell('info', 'address leased', fields);
    return this.promise(DHCPACK, lease.address);
  }

  private async declined({ mac, requested }: DhcpRequest): Promise<undefined> {
    if (requested === undefined) return;
    const address = ipv4Text(requested);
    this.tell('warn', 'somebody else uses an address', { mac: macAddressText(mac), address });
    this.leases.decline(mac, requested);
    await this.guarded(() => this.parts.store.remove(mac));
  }

  private async released({ mac, ciaddr }: DhcpRequest): Promise<undefined> {
    if (this.leases.find(mac)?.address !== ciaddr) return;
    this.leases.release(mac);
    await this.guarded(() => this.parts.store.remove(mac));
  }

  private promise(type: number, address: number): DhcpReply {
    const mask = rangeMask(this.parts.range);
    return { ...this.reply(type, address), mask, lease_s: LEASE_S };
  }

  private reply(type: number, address: number): DhcpReply {
    return { type, address, server: this.parts.address };
  }

  /** False when it failed, of which the log tells. */
  private async guarded(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.tell('error', 'lease not kept', { error: errorMessage(error) });
      return false;
    }
  }

  private tell(level: LogLevel, message: string, fields: LogFields): void {
    this.parts.log[this.logLines.take(1) ? level : 'debug'](message, fields);
  }
}
