/** A network back end that does exactly what a test says, right or wrong, in domain 0. */
import {
  NetifExtraGso,
  NetifRxRequest,
  NetifRxResponse,
  NetifTxRequest,
  NetifTxResponse,
  XenNetifCtrlRequest,
  XenNetifCtrlResponse,
} from '../../src/abi/io/netif.ts';
import { Sring } from '../../src/abi/io/ring.ts';
import { eventPort, grantRef } from '../../src/base/ids.ts';
import type { EventChannel, Pages } from '../../src/hypervisor/contract.ts';
import type { HostDevice, HostGuest, HostProcess, SimHost } from '../xenbus/sim-host.ts';

/** What an honest back end publishes. */
const HONEST: Record<string, string> = {
  'feature-rx-copy': '1',
  'feature-sg': '1',
  'feature-gso-tcpv4': '1',
  'feature-gso-tcpv6': '1',
  'feature-ipv6-csum-offload': '1',
};

export interface RawReceived {
  readonly offset?: number;
  readonly flags?: number;
  readonly status: number;
}

export class RawBack {
  readonly host: SimHost;
  readonly guest: HostGuest;
  readonly device: HostDevice;
  readonly process: HostProcess;
  tx!: Pages;
  rx!: Pages;
  control: Pages | undefined;
  channel!: EventChannel;
  controlChannel: EventChannel | undefined;
  /** Signals that came. */
  events = 0;
  private responded = 0;
  private received = 0;

  private constructor(host: SimHost, guest: HostGuest, device: HostDevice) {
    this.host = host;
    this.guest = guest;
    this.device = device;
    this.process = host.startProcess();
  }

  /** Attaches a device and waits for nobody. */
  static async attach(
    host: SimHost,
    guest: HostGuest,
    frontKeys: Record<string, string> = { mac: '00:16:3e:00:00:0a' },
  ): Promise<RawBack> {
    return new RawBack(host, guest, await host.attach(guest, 'vif', 0, {}, frontKeys));
  }

  async write(keys: Record<string, string>): Promise<void> {
    for (const [key, value] of Object.entries(keys)) {
      await this.host.finish(this.process.xenstore.write(`${this.device.back}/${key}`, value));
    }
  }

  /** Goes to InitWait, takes the front end's rings and goes to Connected. */
  async connect(keys: Record<string, string> = {}): Promise<void> {
    await this.write({ ...HONEST, ...keys, state: '2' });
    await this.host.settle();
    await this.bind();
    await this.write({ state: '4' });
    await this.host.settle();
  }

  async bind(): Promise<void> {
    const value = async (key: string) => this.host.value(`${this.device.front}/${key}`);
    const { grants, events } = this.process.hypervisor;
    const map = async (key: string) =>
      grants.map(this.guest.domid, [grantRef(Number(await value(key)))]);
    const channel = async (key: string) =>
      events.bindInterdomain(this.guest.domid, eventPort(Number(await value(key))));
    this.tx = await map('tx-ring-ref');
    this.rx = await map('rx-ring-ref');
    this.channel = await channel('event-channel');
    this.channel.onEvent(() => {
      this.events++;
    });
    if ((await value('ctrl-ring-ref')) !== undefined) {
      this.control = await map('ctrl-ring-ref');
      this.controlChannel = await channel('event-channel-ctrl');
    }
    this.responded = 0;
    this.received = 0;
  }

  get transmitted(): number {
    return Sring.view(this.tx.bytes).req_prod;
  }

  get offered(): number {
    return Sring.view(this.rx.bytes).req_prod;
  }

  transmitRequest(index: number) {
    return NetifTxRequest.view(slotOf(this.tx, index, NetifTxRequest.size));
  }

  receiveRequest(index: number) {
    return NetifRxRequest.view(slotOf(this.rx, index, NetifRxRequest.size));
  }

  /** Writes into the page that is offered as number `index`. */
  fill(index: number, bytes: Uint8Array): void {
    const ref = grantRef(this.receiveRequest(index).gref);
    const batch = this.process.hypervisor.grants.copyBatch(1);
    batch.toPeer(this.guest.domid, ref, 0, bytes);
    if (batch.run() > 0) throw new Error('the page cannot be written');
  }

  /** Answers a transmit request without telling anybody. */
  respond(id: number, status = 0): void {
    const slot = slotOf(this.tx, this.responded++, NetifTxRequest.size);
    Object.assign(NetifTxResponse.view(slot), { id, status });
  }

  /** Puts one slot of a received packet without telling anybody. */
  deliver({ offset = 0, flags = 0, status }: RawReceived): void {
    const slot = slotOf(this.rx, this.received++, NetifRxRequest.size);
    Object.assign(NetifRxResponse.view(slot), { id: 0, offset, flags, status });
  }

  deliverExtra(extra: {
    type: number;
    flags?: number;
    gso_type?: number;
    gso_size?: number;
  }): void {
    const slot = slotOf(this.rx, this.received++, NetifRxRequest.size).fill(0);
    Object.assign(NetifExtraGso.view(slot), extra);
  }

  /** Publishes what was put, signals, and lets everybody work. */
  async push(indexes: { tx?: number; rx?: number } = {}): Promise<void> {
    Sring.view(this.tx.bytes).rsp_prod = indexes.tx ?? this.responded;
    Sring.view(this.rx.bytes).rsp_prod = indexes.rx ?? this.received;
    this.channel.notify();
    await this.host.settle();
  }

  /** Answers the first control request with whatever the test says. */
  async respondControl(more: { id?: number; type?: number; status?: number }): Promise<void> {
    const slot = slotOf(this.control!, 0, XenNetifCtrlRequest.size);
    const { id, type } = XenNetifCtrlRequest.view(slot);
    Object.assign(XenNetifCtrlResponse.view(slot), { id, type, status: 0, result: 0, ...more });
    Sring.view(this.control!.bytes).rsp_prod = 1;
    this.controlChannel!.notify();
    await this.host.settle();
  }
}

function slotOf(ring: Pages, index: number, size: number): Uint8Array {
  const slots = 2 ** Math.floor(Math.log2((4096 - Sring.offset.ring) / size));
  const start = Sring.offset.ring + (index % slots) * size;
  return ring.bytes.subarray(start, start + size);
}
