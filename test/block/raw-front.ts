/**
 * A block front end that does exactly what a test says, right or wrong: it plays its side through
 * the ring's real memory and the real keys.
 */
import { BlkifRequestSegment } from '../../src/abi/io/blkif.ts';
import { Sring } from '../../src/abi/io/ring.ts';
import { DOM0 } from '../../src/base/ids.ts';
import type { BlkifProtocol } from '../../src/block/protocol.ts';
import { x86_64 } from '../../src/block/protocol.ts';
import type { EventChannel, SharedPages } from '../../src/hypervisor/contract.ts';
import { devicePaths, type HostDevice, type HostGuest, type SimHost } from '../xenbus/sim-host.ts';

export interface RawSegment {
  readonly gref: number;
  readonly first_sect?: number;
  readonly last_sect?: number;
}

export interface RawRequest {
  readonly operation: number;
  readonly id?: bigint;
  readonly sector_number?: number;
  readonly segments?: readonly RawSegment[];
  /** Instead of the number of segments given. */
  readonly nr_segments?: number;
}

export interface RawResponse {
  readonly id: bigint;
  readonly operation: number;
  readonly status: number;
}

export class RawFront {
  readonly host: SimHost;
  readonly guest: HostGuest;
  readonly device: HostDevice;
  readonly ringPages: SharedPages;
  /** Eight pages that the back end may write. */
  readonly data: SharedPages;
  readonly channel: EventChannel;
  events = 0;
  private readonly protocol: BlkifProtocol;
  private readonly slots: number;
  private produced = 0;
  private consumed = 0;

  constructor(host: SimHost, guest: HostGuest, devid: number, protocol = x86_64, pages = 1) {
    this.host = host;
    this.guest = guest;
    this.device = devicePaths(guest, 'vbd', devid);
    this.protocol = protocol;
    const { grants, events } = guest.hypervisor;
    this.ringPages = grants.share(DOM0, pages, 'read-write');
    this.data = grants.share(DOM0, 8, 'read-write');
    this.channel = events.allocateUnbound(DOM0);
    this.channel.onEvent(() => {
      this.events++;
    });
    const room = this.ringPages.bytes.length - Sring.offset.ring;
    this.slots = 2 ** Math.floor(Math.log2(room / protocol.request.size));
    const ring = Sring.view(this.ringPages.bytes);
    ring.req_event = 1;
    ring.rsp_event = 1;
  }

  /** What an honest front end publishes, with changes; `undefined` leaves a key out. */
  async publish(changes: Record<string, string | undefined> = {}, state = '3'): Promise<void> {
    const keys: Record<string, string | undefined> = {
      'ring-ref': String(this.ringPages.refs[0]),
      'event-channel': String(this.channel.port),
      protocol: 'x86_64-abi',
      'feature-persistent': '1',
      ...changes,
      state,
    };
    for (const [key, value] of Object.entries(keys)) {
      if (value !== undefined) await this.write(key, value);
    }
    await this.host.settle();
  }

  async write(key: string, value: string): Promise<void> {
    await this.host.finish(this.guest.xenstore.write(`${this.device.front}/${key}`, value));
  }

  async backState(): Promise<string | undefined> {
    return this.host.value(`${this.device.back}/state`);
  }

  /** The slot of the request put last. */
  lastSlot(): Uint8Array {
    return this.slot(this.produced - 1);
  }

  /** Puts a request without telling anybody. */
  put(request: RawRequest): void {
    const { segments = [] } = request;
    const slot = this.slot(this.produced).fill(0);
    const view = this.protocol.request.view(slot);
    view.operation = request.operation;
    view.id = request.id ?? BigInt(this.produced);
    view.sector_number = request.sector_number ?? 0;
    view.nr_segments = request.nr_segments ?? segments.length;
    segments.forEach((segment, index) => {
      const at = this.protocol.request.offset.seg + index * BlkifRequestSegment.size;
      const target = BlkifRequestSegment.view(slot, at);
      target.gref = segment.gref;
      target.first_sect = segment.first_sect ?? 0;
      target.last_sect = segment.last_sect ?? 7;
    });
    this.produced++;
  }

  /** Publishes what was put, and signals. */
  push(reqProd = this.produced): void {
    Atomics.store(
      new Uint32Array(this.ringPages.bytes.buffer, this.ringPages.bytes.byteOffset, 1),
      0,
      reqProd,
    );
    this.channel.notify();
  }

  /** How many responses wait to be taken. */
  countResponses(): number {
    return Sring.view(this.ringPages.bytes).rsp_prod - this.consumed;
  }

  /** The responses since the last call. */
  responses(): RawResponse[] {
    const { rsp_prod } = Sring.view(this.ringPages.bytes);
    const found: RawResponse[] = [];
    for (; this.consumed < rsp_prod; this.consumed++) {
      const { id, operation, status } = this.protocol.response.view(this.slot(this.consumed));
      found.push({ id, operation, status });
    }
    return found;
  }

  /** Asks, lets everybody work, and returns the answers. */
  async ask(...requests: RawRequest[]): Promise<RawResponse[]> {
    for (const request of requests) this.put(request);
    this.push();
    await this.host.settle();
    return this.responses();
  }

  /** Stops using what it shared. */
  release(): void {
    this.channel.close();
    this.ringPages.close();
    this.data.close();
  }

  private slot(index: number): Uint8Array {
    const { size } = this.protocol.request;
    const start = Sring.offset.ring + (index % this.slots) * size;
    return this.ringPages.bytes.subarray(start, start + size);
  }
}
