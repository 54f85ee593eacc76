/** The network back end as a service in a simulated host, and guests whose programs are real ones. */
import { setImmediate as turn } from 'node:timers/promises';
import type { VifNetwork } from '../../src/net/back-request.ts';
import { NetFront, type NetFrontOptions } from '../../src/net/front.ts';
import { type MacAddress, macAddressText } from '../../src/net/mac-address.ts';
import { Wire } from '../../src/net/wire.ts';
import { TapInterface } from '../../src/node/tap-interface.ts';
import type { BackService } from '../../stubdoms/back-service.ts';
import { startNetback } from '../../stubdoms/netback/service.ts';
import { native } from '../native/shim.ts';
import { NetworkNamespace } from '../node/network-namespace.ts';
import { type HostDevice, type HostGuest, type HostProcess, SimHost } from '../xenbus/sim-host.ts';

export interface GuestNetwork {
  networkFor(name: string): VifNetwork;
  close(): void | Promise<void>;
}

/** A guest whose network stack is that of a namespace: its front end hands frames to a TAP device there. */
export interface RealGuest {
  readonly guest: HostGuest;
  readonly device: HostDevice;
  readonly front: NetFront;
  readonly tap: TapInterface;
  readonly space: NetworkNamespace;
}

export class NetbackWorld extends SimHost {
  process!: HostProcess;
  private netback: BackService | undefined;
  private network: GuestNetwork | undefined;
  private readonly real: { close(): void | Promise<void> }[] = [];
  private pumping: Promise<void> | undefined;
  private pumps = false;

  /** Starts the service in a new process. */
  async startService(open: (process: HostProcess) => Promise<GuestNetwork>): Promise<void> {
    this.process = this.startProcess();
    const { hypervisor, xenstore, clock } = this.process;
    const network = await this.finish(open(this.process));
    this.network = network;
    const parts = { hypervisor, xenstore, clock, log: this.logger, options: {} };
    const networkFor = (name: string) => network.networkFor(name);
    this.netback = await this.finish(startNetback({ ...parts, networkFor }));
  }

  /** As SIGKILL does it. */
  killService(): void {
    this.process.kill();
    this.netback = undefined;
    this.network = undefined;
  }

  async addGuest(
    mac: MacAddress,
    keys: Record<string, string> = {},
    options: NetFrontOptions = {},
  ): Promise<{ guest: HostGuest; device: HostDevice; front: NetFront }> {
    const guest = await this.guest();
    const own = { mac: macAddressText(mac), handle: '0' };
    const device = await this.attach(guest, 'vif', 0, { ...own, ...keys }, own);
    const { hypervisor, xenstore } = guest;
    const { clock } = guest.boot.domain;
    const connecting = NetFront.connect({
      ...{ hypervisor, xenstore, clock, log: this.logger, options },
      devid: 0,
    });
    return { guest, device, front: await this.finish(connecting) };
  }

  /** A guest whose interface is `name` in a namespace of its own. */
  async addRealGuest(
    name: string,
    mac: MacAddress,
    keys: Record<string, string> = {},
    options: NetFrontOptions = {},
  ): Promise<RealGuest> {
    const made = await this.addGuest(mac, keys, options);
    const space = await NetworkNamespace.open();
    this.real.push(space);
    const tap = TapInterface.open(native, { name, mac });
    this.real.push(tap);
    const { clock } = made.guest.boot.domain;
    const wire = new Wire({
      ...{ guest: made.front, host: tap, clock, options: { name } },
      onCarrier: (carrier) => tap.setCarrier(carrier),
    });
    this.real.push(wire);
    await space.take(name);
    return { ...made, tap, space };
  }

  /** Lets the simulated world go on with the real one, until `stopPump`. */
  pump(): void {
    this.pumps = true;
    const go = async () => {
      while (this.pumps) {
        await this.settle(0.2);
        await turn();
      }
    };
    this.pumping = go();
  }

  async stopPump(): Promise<void> {
    this.pumps = false;
    await this.pumping;
  }

  /** Ends everything; what is still held then is returned. */
  async endWorld(guests: readonly { guest: HostGuest; device: HostDevice }[]): Promise<string[]> {
    await this.stopPump();
    for (const thing of this.real.splice(0).reverse()) await thing.close();
    for (const { guest, device } of guests) await this.destroy(guest, [device]);
    await this.settle();
    const { netback, network } = this;
    if (netback !== undefined) await this.finish(netback.close());
    if (network !== undefined) await this.finish(Promise.resolve(network.close()));
    const tools = (await this.tree('/tool')).filter((path) => path !== '/tool/xenstored');
    const nodes = [...(await this.tree('/local/domain/0')), ...tools];
    return [...nodes, ...(await this.end())];
  }
}
