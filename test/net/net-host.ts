/** A simulated host with our network back end in domain 0, and what its guests sent kept by interface. */
import type { FaultPlan } from '../../src/hypervisor/sim/world.ts';
import { NetBack } from '../../src/net/back.ts';
import type { VifRequest } from '../../src/net/back-request.ts';
import type { NetFeature } from '../../src/net/features.ts';
import type { Frame } from '../../src/net/frame.ts';
import { NetFront, type NetFrontOptions } from '../../src/net/front.ts';
import { type MacAddress, macAddressText } from '../../src/net/mac-address.ts';
import type { NetworkInterface } from '../../src/net/network-interface.ts';
import { noPortCounts } from '../../src/net/switch-port.ts';
import { BackBus } from '../../src/xenbus/back-bus.ts';
import { type HostDevice, type HostGuest, type HostProcess, SimHost } from '../xenbus/sim-host.ts';
import { MAC_A } from './packets.ts';

/** A frame as it was when it came. */
export const kept = (frame: Frame): Frame => ({
  bytes: frame.bytes.slice(),
  checksum: frame.checksum,
  gso: frame.gso,
  hash: frame.hash,
});

/** Frames that came out of an interface, in order. */
export function collect(network: NetworkInterface): Frame[] {
  const frames: Frame[] = [];
  network.onReceive((batch) => frames.push(...batch.map(kept)));
  return frames;
}

export interface PluggedVif {
  readonly vif: NetworkInterface;
  readonly request: VifRequest;
  readonly frames: Frame[];
  /** How often `info` changed. */
  changes: number;
  /** How often there was room again. */
  rooms: number;
}

export class NetHost extends SimHost {
  process!: HostProcess;
  bus!: BackBus;
  /** The interfaces that are plugged in now, by their guests and numbers: `3/0`. */
  readonly plugged = new Map<string, PluggedVif>();
  /** What else is done with each interface when it is plugged in. */
  onPlug: (vif: NetworkInterface, request: VifRequest) => { close(): void } = () => ({
    close: () => {},
  });
  without: readonly NetFeature[] = [];

  static async start(
    seed = 1,
    faults: Partial<FaultPlan> = {},
    without: readonly NetFeature[] = [],
  ): Promise<NetHost> {
    const host = new NetHost(seed, faults);
    host.without = without;
    await host.startBack();
    return host;
  }

  /** Starts the back end in a new process. */
  async startBack(): Promise<void> {
    this.process = this.startProcess();
    const { hypervisor, xenstore, clock } = this.process;
    const without = new Set(this.without);
    this.bus = await this.finish(
      BackBus.open({
        xenstore,
        log: this.logger,
        domid: hypervisor.domid,
        type: 'vif',
        driverFor: () =>
          new NetBack({
            hypervisor,
            clock,
            without,
            scripts: true,
            network: { plug: (vif, request) => this.plug(vif, request) },
          }),
      }),
    );
  }

  /** An interface for a guest, up to the back end's InitWait. */
  async attachVif(
    guest: HostGuest,
    devid = 0,
    keys: Record<string, string> = {},
    mac: MacAddress = MAC_A,
  ): Promise<HostDevice> {
    const own = { mac: macAddressText(mac), handle: String(devid) };
    const { mtu } = keys;
    const device = await this.attach(
      guest,
      'vif',
      devid,
      { ...own, ...keys },
      { ...own, ...(mtu === undefined ? {} : { mtu }) },
    );
    await this.settle();
    return device;
  }

  front(guest: HostGuest, options: NetFrontOptions = {}, devid = 0): Promise<NetFront> {
    return this.finish(
      NetFront.connect({
        hypervisor: guest.hypervisor,
        xenstore: guest.xenstore,
        clock: guest.boot.domain.clock,
        log: this.logger,
        devid,
        options,
      }),
    );
  }

  /** The interface of a guest as it is seen from the host. */
  vif(guest: HostGuest, devid = 0): PluggedVif {
    const found = this.plugged.get(`${guest.domid}/${devid}`);
    if (found === undefined) throw new Error(`no interface ${devid} of ${guest.domid} is plugged`);
    return found;
  }

  /** Ends the back end and everything else; what is still held then is returned. */
  async endAll(): Promise<string[]> {
    await this.finish(this.bus.close());
    return this.end();
  }

  private plug(vif: NetworkInterface, request: VifRequest) {
    const name = `${request.peer}/${request.devid}`;
    const plugged = { vif, request, frames: collect(vif), changes: 0, rooms: 0 };
    vif.onChange(() => {
      plugged.changes++;
    });
    vif.onRoom(() => {
      plugged.rooms++;
    });
    this.plugged.set(name, plugged);
    const more = this.onPlug(vif, request);
    return {
      port: { counts: noPortCounts() },
      close: () => {
        if (this.plugged.get(name) === plugged) this.plugged.delete(name);
        more.close();
      },
    };
  }
}
