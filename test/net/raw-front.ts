/**
 * A network front end that does exactly what a test says, right or wrong: it plays its side through
 * the rings' real memory and the real keys.
 */
import {
  NETTXF_extra_info,
  NETTXF_more_data,
  NetifExtraGso,
  NetifRxRequest,
  NetifRxResponse,
  NetifTxRequest,
  NetifTxResponse,
  XenNetifCtrlRequest,
  XenNetifCtrlResponse,
} from '../../src/abi/io/netif.ts';
import { Sring } from '../../src/abi/io/ring.ts';
import { DOM0 } from '../../src/base/ids.ts';
import type { EventChannel, SharedPages } from '../../src/hypervisor/contract.ts';
import { devicePaths, type HostDevice, type HostGuest, type SimHost } from '../xenbus/sim-host.ts';

export interface RawSlot {
  readonly gref: number;
  readonly offset?: number;
  readonly size: number;
  readonly flags?: number;
  readonly id?: number;
}

/** The fields of an extra info with any type. */
export interface RawExtra {
  readonly type: number;
  readonly flags?: number;
  readonly gso_type?: number;
  readonly gso_size?: number;
}

/** One ring of slots, without any of the rules. */
class RawRing {
  readonly pages: SharedPages;
  readonly slotSize: number;
  produced = 0;
  private consumed = 0;

  constructor(guest: HostGuest, slotSize: number) {
    this.pages = guest.hypervisor.grants.share(DOM0, 1, 'read-write');
    this.slotSize = slotSize;
    const ring = Sring.view(this.pages.bytes);
    ring.req_event = 1;
    ring.rsp_event = 1;
  }

  get slots(): number {
    return 2 ** Math.floor(Math.log2((4096 - Sring.offset.ring) / this.slotSize));
  }

  slot(index: number): Uint8Array {
    const start = Sring.offset.ring + (index % this.slots) * this.slotSize;
    return this.pages.bytes.subarray(start, start + this.slotSize);
  }

  /** The next slot, emptied. */
  next(): Uint8Array {
    return this.slot(this.produced++).fill(0);
  }

  publish(reqProd: number): void {
    Sring.view(this.pages.bytes).req_prod = reqProd;
  }

  /** Slots with responses since the last call. */
  responses(): Uint8Array[] {
    const { rsp_prod } = Sring.view(this.pages.bytes);
    const found: Uint8Array[] = [];
    while (this.consumed < rsp_prod) found.push(this.slot(this.consumed++).slice());
    return found;
  }
}

export class RawFront {
  readonly host: SimHost;
  readonly guest: HostGuest;
  readonly device: HostDevice;
  readonly tx: RawRing;
  readonly rx: RawRing;
  readonly control: RawRing;
  /** Pages that the back end may write. */
  readonly data: SharedPages;
  readonly channel: EventChannel;
  readonly controlChannel: EventChannel;
  events = 0;

  constructor(host: SimHost, guest: HostGuest, devid = 0) {
    this.host = host;
    this.guest = guest;
    this.device = devicePaths(guest, 'vif', devid);
    this.tx = new RawRing(guest, NetifTxRequest.size);
    this.rx = new RawRing(guest, NetifRxRequest.size);
    this.control = new RawRing(guest, XenNetifCtrlRequest.size);
    const { grants, events } = guest.hypervisor;
    this.data = grants.share(DOM0, 40, 'read-write');
    this.channel = events.allocateUnbound(DOM0);
    this.controlChannel = events.allocateUnbound(DOM0);
    this.channel.onEvent(() => {
      this.events++;
    });
    this.controlChannel.onEvent(() => {});
  }

  /** What an honest front end publishes, with changes; `undefined` leaves a key out. */
  async publish(changes: Record<string, string | undefined> = {}, state = '4'): Promise<void> {
    const keys: Record<string, string | undefined> = {
      'tx-ring-ref': String(this.tx.pages.refs[0]),
      'rx-ring-ref': String(this.rx.pages.refs[0]),
      'event-channel': String(this.channel.port),
      'request-rx-copy': '1',
      'feature-rx-notify': '1',
      'feature-sg': '1',
      'feature-gso-tcpv4': '1',
      'feature-gso-tcpv6': '1',
      'feature-ipv6-csum-offload': '1',
      ...changes,
      state,
    };
    for (const [key, value] of Object.entries(keys)) {
      if (value !== undefined) await this.write(key, value);
    }
    await this.host.settle();
  }

  /** As `publish`, with the control ring. */
  publishControl(changes: Record<string, string | undefined> = {}): Promise<void> {
    return this.publish({
      'ctrl-ring-ref': String(this.control.pages.refs[0]),
      'event-channel-ctrl': String(this.controlChannel.port),
      ...changes,
    });
  }

  async write(key: string, value: string): Promise<void> {
    await this.host.finish(this.guest.xenstore.write(`${this.device.front}/${key}`, value));
  }

  async backState(): Promise<string | undefined> {
    return this.host.value(`${this.device.back}/state`);
  }

  /** What the back end says of a device that has failed. */
  error(): Promise<string | undefined> {
    return this.host.value(`/local/domain/0/error${this.device.back.slice(15)}/error`);
  }

  /** Puts one slot of a packet without telling anybody. */
  put({ gref, offset = 0, size, flags = 0, id = this.tx.produced }: RawSlot): void {
    Object.assign(NetifTxRequest.view(this.tx.next()), { gref, offset, size, flags, id });
  }

  putExtra(extra: RawExtra): void {
    Object.assign(NetifExtraGso.view(this.tx.next()), extra);
  }

  /** Puts a packet into as many pages as it takes, after its extra infos. */
  putPacket(bytes: Uint8Array, flags = 0, extras: readonly RawExtra[] = []): void {
    const count = Math.max(1, Math.ceil(bytes.length / 4096));
    for (let page = 0; page < count; page++) {
      const piece = bytes.subarray(page * 4096, (page + 1) * 4096);
      this.data.page(page).set(piece);
      const more = page + 1 < count ? NETTXF_more_data : 0;
      const first = page === 0 ? flags | (extras.length > 0 ? NETTXF_extra_info : 0) : 0;
      const size = page === 0 ? bytes.length : piece.length;
      this.put({ gref: this.data.refs[page]!, size, flags: more | first });
      if (page === 0) for (const extra of extras) this.putExtra(extra);
    }
  }

  /** Publishes what was put, and signals. */
  push(reqProd = this.tx.produced): void {
    this.tx.publish(reqProd);
    this.channel.notify();
  }

  /** The statuses of responses since the last call. */
  statuses(): number[] {
    return this.tx.responses().map((slot) => NetifTxResponse.view(slot).status);
  }

  /** Pushes, lets everybody work, and returns the statuses. */
  async ask(): Promise<number[]> {
    this.push();
    await this.host.settle();
    return this.statuses();
  }

  /** Offers pages to receive into, from number `first` on. */
  offer(count: number, first = 0): void {
    for (let page = first; page < first + count; page++) {
      const request = NetifRxRequest.view(this.rx.next());
      request.id = page;
      request.gref = this.data.refs[page] ?? page;
    }
    this.rx.publish(this.rx.produced);
    this.channel.notify();
  }

  /** What was received since the last call, slot by slot. */
  received() {
    return this.rx.responses().map((slot) => {
      const { id, offset, flags, status } = NetifRxResponse.view(slot);
      return { id, offset, flags, status };
    });
  }

  /** Asks through the control ring. */
  async configure(type: number, ...data: number[]): Promise<{ status: number; result: number }> {
    const [argument0 = 0, argument1 = 0, argument2 = 0] = data;
    const id = this.control.produced;
    const request = XenNetifCtrlRequest.view(this.control.next());
    Object.assign(request, { id, type, argument0, argument1, argument2 });
    this.control.publish(this.control.produced);
    this.controlChannel.notify();
    await this.host.settle();
    const [slot] = this.control.responses();
    const response = XenNetifCtrlResponse.view(slot!);
    if (response.id !== id || response.type !== type) throw new Error('not the response asked for');
    return { status: response.status, result: response.result };
  }

  /** Stops using what it shared. */
  release(): void {
    this.channel.close();
    this.controlChannel.close();
    for (const ring of [this.tx, this.rx, this.control]) ring.pages.close();
    this.data.close();
  }
}
