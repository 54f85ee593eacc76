/** A block back end that does exactly what a test says, right or wrong, in domain 0. */
import { BlkifRequest, BlkifRequestSegment, BlkifResponse } from '../../src/abi/io/blkif.ts';
import { Sring } from '../../src/abi/io/ring.ts';
import { eventPort, grantRef } from '../../src/base/ids.ts';
import type { EventChannel, Pages } from '../../src/hypervisor/contract.ts';
import type { HostDevice, HostGuest, HostProcess, SimHost } from '../xenbus/sim-host.ts';

export const XVDA = 51712;
const SLOTS = 32;

/** What an honest back end of a disk of 1 MiB publishes. */
const HONEST: Record<string, string> = {
  'feature-persistent': '1',
  'feature-flush-cache': '1',
  'feature-discard': '1',
  'feature-max-indirect-segments': '32',
  sectors: '2048',
  'sector-size': '512',
  info: '0',
};

export class RawBack {
  readonly host: SimHost;
  readonly guest: HostGuest;
  readonly device: HostDevice;
  readonly process: HostProcess;
  ring!: Pages;
  channel!: EventChannel;
  /** Signals that came. */
  events = 0;
  /** Grants of the data that requests named, mapped for as long as the test likes. */
  readonly mapped: Pages[] = [];
  private produced = 0;

  private constructor(host: SimHost, guest: HostGuest, device: HostDevice) {
    this.host = host;
    this.guest = guest;
    this.device = device;
    this.process = host.startProcess();
  }

  /** Attaches a device and waits for nobody. */
  static async attach(host: SimHost, guest: HostGuest): Promise<RawBack> {
    return new RawBack(host, guest, await host.attach(guest, 'vbd', XVDA));
  }

  async write(keys: Record<string, string>): Promise<void> {
    for (const [key, value] of Object.entries(keys)) {
      await this.host.finish(this.process.xenstore.write(`${this.device.back}/${key}`, value));
    }
  }

  /** Goes to InitWait, takes the front end's ring and goes to Connected. */
  async connect(keys: Record<string, string> = {}): Promise<void> {
    await this.write({ ...HONEST, ...keys, state: '2' });
    await this.host.settle();
    await this.bind();
    await this.write({ state: '4' });
    await this.host.settle();
  }

  async bind(): Promise<void> {
    const value = async (key: string) =>
      Number(await this.host.value(`${this.device.front}/${key}`));
    const { grants, events } = this.process.hypervisor;
    this.ring = grants.map(this.guest.domid, [grantRef(await value('ring-ref'))]);
    this.channel = events.bindInterdomain(
      this.guest.domid,
      eventPort(await value('event-channel')),
    );
    this.channel.onEvent(() => {
      this.events++;
    });
    this.produced = 0;
  }

  /** The front end's request number `index`, as it stands in the ring. */
  request(index: number) {
    return BlkifRequest.view(this.slot(index));
  }

  get requests(): number {
    return Sring.view(this.ring.bytes).req_prod;
  }

  /** Maps the page of the first segment of a request. */
  mapData(index: number): Uint8Array {
    const at = BlkifRequest.offset.seg;
    const { gref } = BlkifRequestSegment.view(this.slot(index).subarray(at));
    const pages = this.process.hypervisor.grants.map(this.guest.domid, [grantRef(gref)]);
    this.mapped.push(pages);
    return pages.page(0);
  }

  /** Puts a response without telling anybody. */
  respond(id: bigint, status = 0): void {
    const response = BlkifResponse.view(this.slot(this.produced));
    response.id = id;
    response.status = status;
    this.produced++;
  }

  /** Publishes what was put, or any other index, and signals. */
  async push(rspProd = this.produced): Promise<void> {
    Sring.view(this.ring.bytes).rsp_prod = rspProd;
    this.channel.notify();
    await this.host.settle();
  }

  release(): void {
    for (const pages of this.mapped) pages.close();
    this.ring.close();
    this.channel.close();
  }

  private slot(index: number): Uint8Array {
    const start = Sring.offset.ring + (index % SLOTS) * BlkifRequest.size;
    return this.ring.bytes.subarray(start, start + BlkifRequest.size);
  }
}
