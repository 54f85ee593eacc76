/**
 * The guest's end of a further console, `device/console/N`, as a `ByteStream`. The first console
 * has no handshake: its page and port come with the domain, and `frontConsole` makes the stream.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import { XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Hypervisor } from '../hypervisor/contract.ts';
import type { RingStream } from '../ring/ring-stream.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { FrontDevice } from '../xenbus/front-device.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { frontConsole } from './console-stream.ts';

export interface ConsoleFrontParts {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly log: Log;
  /** The number of the console, from 1. */
  readonly devid: number;
}

export class ConsoleFront implements ByteStream {
  private readonly hypervisor: Hypervisor;
  private device: FrontDevice | undefined;
  private ring: RingStream | undefined;
  private handler: () => void = () => {};
  private over = false;

  private constructor(hypervisor: Hypervisor) {
    this.hypervisor = hypervisor;
  }

  /** Connects to the console. Rejects with ENOENT when there is none, ENODEV when its back end closed. */
  static async connect(parts: ConsoleFrontParts): Promise<ConsoleFront> {
    const { hypervisor, xenstore, log, devid } = parts;
    const front = new ConsoleFront(hypervisor);
    front.device = await FrontDevice.start({
      xenstore,
      log,
      domid: hypervisor.domid,
      type: 'console',
      devid,
      driver: {
        offer: (keys) => front.offer(keys),
        connect: async () => front.handler(),
        close: async () => front.lost(),
      },
    });
    await front.device.untilOpen();
    return front;
  }

  read(target: Uint8Array): number {
    return this.ring?.read(target) ?? 0;
  }

  write(source: Uint8Array): number {
    return this.over ? 0 : (this.ring?.write(source) ?? 0);
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    this.ring?.onReady(() => this.ready());
  }

  get ended(): boolean {
    return this.over;
  }

  /** The back end takes what is still in the ring; `closed` tells when it has. */
  close(): void {
    this.over = true;
    void this.closed();
  }

  /** Closes the device in order and resolves when the back end has let go of it. */
  async closed(): Promise<void> {
    this.over = true;
    await this.device?.close();
  }

  private async offer(keys: DeviceKeys): Promise<void> {
    const { grants, events } = this.hypervisor;
    const pages = grants.share(keys.peer, 1, 'read-write');
    try {
      const channel = events.allocateUnbound(keys.peer);
      this.ring = frontConsole({ page: pages.page(0), channel, release: () => pages.close() });
      this.ring.onReady(() => this.ready());
      await keys.write({ 'ring-ref': String(pages.refs[0]), port: String(channel.port) });
    } catch (error) {
      if (this.ring === undefined) pages.close();
      throw error;
    }
  }

  private ready(): void {
    const { error } = this.ring ?? {};
    if (error instanceof XenError) this.device?.fail(error);
    this.handler();
  }

  private lost(): void {
    this.over = true;
    this.ring?.close();
    this.ring = undefined;
    this.handler();
  }
}
