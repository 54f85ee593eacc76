/**
 * A domain's end of its xenstore ring that signals exactly when Linux does (xenbus_comms.c): after
 * it has put bytes into a ring that was empty, and after it has taken bytes from one that was full.
 */
import { XENSTORE_RING_SIZE, XenstoreDomainInterface } from '../../src/abi/io/xs_wire.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import type { EventChannel, Pages } from '../../src/hypervisor/contract.ts';

export class LinuxFront implements ByteStream {
  readonly ended = false;
  private readonly channel: EventChannel;
  private readonly page: ReturnType<typeof XenstoreDomainInterface.view>;
  private readonly requests: Uint8Array;
  private readonly replies: Uint8Array;
  private closed = false;

  constructor(pages: Pages, channel: EventChannel) {
    const page = pages.page(0);
    const { offset } = XenstoreDomainInterface;
    this.channel = channel;
    this.page = XenstoreDomainInterface.view(page);
    this.requests = page.subarray(offset.req, offset.req + XENSTORE_RING_SIZE);
    this.replies = page.subarray(offset.rsp, offset.rsp + XENSTORE_RING_SIZE);
  }

  onReady(handler: () => void): void {
    this.channel.onEvent(() => {
      if (!this.closed) handler();
    });
  }

  write(source: Uint8Array): number {
    const { page } = this;
    let written = 0;
    while (written < source.length) {
      const prod = page.req_prod;
      const room = XENSTORE_RING_SIZE - ((prod - page.req_cons) >>> 0);
      if (room === 0) break;
      const at = prod % XENSTORE_RING_SIZE;
      const chunk = Math.min(room, XENSTORE_RING_SIZE - at, source.length - written);
      this.requests.set(source.subarray(written, written + chunk), at);
      page.req_prod = prod + chunk;
      written += chunk;
      if (prod === page.req_cons) this.channel.notify();
    }
    return written;
  }

  read(target: Uint8Array): number {
    const { page } = this;
    let length = 0;
    while (length < target.length) {
      const cons = page.rsp_cons;
      const available = (page.rsp_prod - cons) >>> 0;
      if (available === 0) break;
      const at = cons % XENSTORE_RING_SIZE;
      const chunk = Math.min(available, XENSTORE_RING_SIZE - at, target.length - length);
      target.set(this.replies.subarray(at, at + chunk), length);
      page.rsp_cons = cons + chunk;
      length += chunk;
      if ((page.rsp_prod - cons) >>> 0 >= XENSTORE_RING_SIZE) this.channel.notify();
    }
    return length;
  }

  close(): void {
    this.closed = true;
  }
}
