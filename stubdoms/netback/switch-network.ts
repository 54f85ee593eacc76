/** One switch in this process as the network of all guests, and what else is plugged into it. */
import type { Clock } from '../../src/base/clock.ts';
import { errorMessage, XenError } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/log.ts';
import type { PluggedVif, VifNetwork, VifRequest } from '../../src/net/back-request.ts';
import { DhcpServer, type LeaseStore } from '../../src/net/dhcp-server.ts';
import { parseIpAddress } from '../../src/net/ip-address.ts';
import { type Ipv4Range, ipv4Number, ipv4Text, rangeText } from '../../src/net/ipv4-range.ts';
import { LocalStation } from '../../src/net/local-station.ts';
import type { MacAddress } from '../../src/net/mac-address.ts';
import type { NetworkInterface } from '../../src/net/network-interface.ts';
import { StationFilter } from '../../src/net/station-filter.ts';
import { Switch } from '../../src/net/switch.ts';
import type { PortOptions, SwitchPort } from '../../src/net/switch-port.ts';
import { type PortVlans, UNTAGGED } from '../../src/net/vlan.ts';

/** Locally administered; the four bytes below are the station's IP address. */
const STATION_MAC = 0x0250_0000_0000;
/** Ranges that an address for the server and others to give fit in, and that a table can hold. */
const PREFIX_MIN = 16;
const PREFIX_MAX = 29;

export interface SwitchNetworkParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Where leases are kept. */
  readonly leases: LeaseStore;
  /** Guests may only use their own addresses, unless their device says otherwise. */
  readonly filter: boolean;
}

/**
 * The VLANs that a network's name asks for, written as Xen's script for Open vSwitch has it: `NAME.10`
 * for guests that know nothing of VLAN 10, `NAME:20:30` for frames with tags. Throws RangeError.
 */
export function portVlans(bridge: string | undefined): PortVlans {
  const [, untagged, tagged] = /^[^.:]*(?:\.(\d{1,4}))?((?::\d{1,4})*)$/.exec(bridge ?? '') ?? [];
  if (bridge !== undefined && tagged === undefined) {
    throw new RangeError(
      `a network is NAME, NAME.VLAN or NAME:VLAN:VLAN, not ${JSON.stringify(bridge.slice(0, 48))}`,
    );
  }
  const trunk = (tagged ?? '').split(':').slice(1).map(Number);
  if (untagged === undefined && trunk.length === 0) return UNTAGGED;
  return { ...(untagged === undefined ? {} : { untagged: Number(untagged) }), tagged: trunk };
}

/** Throws EINVAL for a range that is none, or too large or too small to be served. */
export function checkDhcpRange(range: Ipv4Range): void {
  if (range.prefix >= PREFIX_MIN && range.prefix <= PREFIX_MAX) return;
  const rule = `a range has a prefix from ${PREFIX_MIN} to ${PREFIX_MAX}`;
  throw new XenError('EINVAL', `serve ${rangeText(range)} by DHCP`, rule);
}

export class SwitchNetwork {
  private readonly parts: SwitchNetworkParts;
  private readonly network: Switch;
  private station: LocalStation | undefined;
  private dhcp: DhcpServer | undefined;

  constructor(parts: SwitchNetworkParts) {
    this.parts = parts;
    this.network = new Switch(parts.clock);
  }

  /** Gives the network a host that is its first address and gives the others to guests. */
  async serveDhcp(range: Ipv4Range): Promise<void> {
    checkDhcpRange(range);
    const { clock, log, leases } = this.parts;
    const address = range.first + 1;
    const dhcp = await DhcpServer.open({ clock, log, store: leases, range, address });
    this.dhcp = dhcp;
    const mac = (STATION_MAC + address) as MacAddress;
    this.station = new LocalStation({ clock, mac, address, dhcp });
    this.network.addPort(this.station, { name: 'dhcp' });
    log.info('addresses are given by DHCP', { range: rangeText(range), by: ipv4Text(address) });
  }

  /** Plugs in what leads out of the network. */
  addUplink(network: NetworkInterface, options: PortOptions): SwitchPort {
    return this.network.addPort(network, options);
  }

  port(name: string): SwitchPort | undefined {
    return this.network.ports.find((port) => port.name === name);
  }

  networkFor(name: string): VifNetwork {
    let mac: MacAddress | undefined;
    return {
      plug: (vif, request) => {
        mac = request.mac;
        return this.plug(name, vif, request);
      },
      end: (isGone) => {
        if (isGone && mac !== undefined) void this.dhcp?.forget(mac);
      },
    };
  }

  close(): void {
    for (const port of this.network.ports) port.close();
    this.station?.close();
  }

  private plug(name: string, vif: NetworkInterface, request: VifRequest): PluggedVif {
    try {
      // Last, since nothing else is left behind where it fails.
      this.reserve(request);
      const port = this.network.addPort(vif, { name, ...this.portOptions(request) });
      return { port, close: () => port.close() };
    } catch (error) {
      throw new XenError('EINVAL', `plug ${name} in`, errorMessage(error), error);
    }
  }

  private portOptions(request: VifRequest): Omit<PortOptions, 'name'> {
    const vlans = portVlans(request.bridge);
    if (!this.parts.filter || !request.filtered) return { vlans };
    return { vlans, filter: new StationFilter(request.mac, request.addresses) };
  }

  /** An address that the guest was given is its own by DHCP too. */
  private reserve({ mac, addresses }: VifRequest): void {
    for (const address of addresses) {
      const bytes = parseIpAddress(address);
      if (bytes.length === 4) this.dhcp?.reserve(mac, ipv4Number(bytes));
    }
  }
}
