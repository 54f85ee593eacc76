/**
 * A TAP device in this domain for each guest's interface. It is there before the toolstack's hotplug
 * script looks for it, and called as the script expects: as Linux's netback calls its own. It stays when
 * this process is killed, with its addresses and its place in a bridge, and the next process takes it up.
 */
import { existsSync, readdirSync } from 'node:fs';
import type { Clock } from '../../src/base/clock.ts';
import { errorMessage } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/log.ts';
import type { PluggedVif, VifNetwork, VifRequest } from '../../src/net/back-request.ts';
import { parseMacAddress } from '../../src/net/mac-address.ts';
import type { NetworkInterface } from '../../src/net/network-interface.ts';
import { StationFilter } from '../../src/net/station-filter.ts';
import type { SwitchPort } from '../../src/net/switch-port.ts';
import { Wire } from '../../src/net/wire.ts';
import { type NativeTaps, TapInterface, type TapOptions } from '../../src/node/tap-interface.ts';

const INTERFACES = '/sys/class/net';
/** The host's end in a bridge: a bridge takes the least of its ports' addresses for its own. */
const BRIDGED_MAC = parseMacAddress('fe:ff:ff:ff:ff:ff');

export interface TapNetworkParts {
  readonly native: NativeTaps;
  readonly clock: Clock;
  readonly log: Log;
}

/** The host's side of one device. */
class TapVif implements VifNetwork {
  private readonly parts: TapNetworkParts;
  private readonly name: string;
  private readonly ports: Map<string, SwitchPort>;
  private tap: TapInterface | undefined;

  constructor(parts: TapNetworkParts, name: string, ports: Map<string, SwitchPort>) {
    this.parts = parts;
    this.name = name;
    this.ports = ports;
  }

  prepare(request: VifRequest): void {
    this.open(request).setCarrier(false);
  }

  plug(guest: NetworkInterface, request: VifRequest): PluggedVif {
    const host = this.open(request);
    const filter =
      request.addresses.length > 0 && request.filtered
        ? new StationFilter(request.mac, request.addresses)
        : undefined;
    const { port, close } = this.wire(guest, host, filter);
    this.ports.set(this.name, port);
    return {
      port,
      close: () => {
        if (this.ports.get(this.name) === port) this.ports.delete(this.name);
        close();
      },
    };
  }

  end(isGone: boolean): void {
    // A guest that went before it connected was perhaps prepared by a former process.
    if (isGone && this.tap === undefined) removeLeftTap(this.parts, this.name);
    if (isGone) this.tap?.persist(false);
    this.tap?.close();
    this.tap = undefined;
  }

  private wire(guest: NetworkInterface, host: TapInterface, filter: StationFilter | undefined) {
    const wire = new Wire({
      guest,
      host,
      clock: this.parts.clock,
      options: { name: this.name, ...(filter === undefined ? {} : { filter }) },
      onCarrier: (carrier) => host.setCarrier(carrier),
    });
    return { port: wire.port, close: () => wire.close() };
  }

  private open(request: VifRequest): TapInterface {
    if (this.tap?.info.carrier === true) return this.tap;
    // Somebody has deleted it, or it was never there.
    this.tap?.close();
    this.tap = undefined;
    const { bridge, scripted } = request;
    const tap = TapInterface.open(this.parts.native, this.tapOptions(request));
    try {
      tap.persist(true);
      if (!scripted) this.bringUp(tap, bridge);
    } catch (error) {
      tap.persist(false);
      tap.close();
      throw error;
    }
    this.tap = tap;
    return tap;
  }

  private tapOptions({ name, bridge, scripted, mtu }: VifRequest): TapOptions {
    if (name !== undefined && existsSync(`${INTERFACES}/${name}`)) return { name };
    // What somebody has made of a device that is there already stays so.
    if (existsSync(`${INTERFACES}/${this.name}`)) return { name: this.name };
    const isInBridge = !scripted && bridge !== undefined;
    return { name: this.name, mtu, ...(isInBridge ? { mac: BRIDGED_MAC } : {}) };
  }

  /** What a hotplug script would do. */
  private bringUp(tap: TapInterface, bridge: string | undefined): void {
    const isJoined = existsSync(`${INTERFACES}/${tap.name}/master`);
    if (bridge !== undefined && !isJoined) tap.joinBridge(bridge);
    tap.bringUp();
  }
}

/** Removes the device of that name, if there is one, that a former process has left. */
function removeLeftTap({ native, log }: TapNetworkParts, name: string): void {
  // Linux's own are no TAP devices, and not ours to remove.
  if (!existsSync(`${INTERFACES}/${name}/tun_flags`)) return;
  try {
    const tap = TapInterface.open(native, { name });
    tap.persist(false);
    tap.close();
    log.info('left device removed', { name });
  } catch (error) {
    log.warn('left device not removed', { name, error: errorMessage(error) });
  }
}

export class TapNetwork {
  private readonly parts: TapNetworkParts;
  private readonly ports = new Map<string, SwitchPort>();

  constructor(parts: TapNetworkParts) {
    this.parts = parts;
  }

  networkFor(name: string): VifNetwork {
    return new TapVif(this.parts, name, this.ports);
  }

  port(name: string): SwitchPort | undefined {
    return this.ports.get(name);
  }

  /**
   * Removes devices that a former process has left for guests that are gone.
   *
   * @param isServed whether there is a device for the interface of that name
   */
  async removeLeft(isServed: (domid: string, devid: string) => Promise<boolean>): Promise<void> {
    for (const name of readdirSync(INTERFACES)) {
      const [, domid, devid] = /^vif(\d+)\.(\d+)$/.exec(name) ?? [];
      if (domid === undefined || devid === undefined) continue;
      if (!(await isServed(domid, devid))) removeLeftTap(this.parts, name);
    }
  }
}
