/** The page that a domain shares with us, from the introduction until the domain is gone. */
import {
  XENSTORE_CONNECTED,
  XENSTORE_RECONNECT,
  XENSTORE_RING_SIZE,
  XenstoreDomainInterface,
} from '../abi/io/xs_wire.ts';
import type { EventChannel, Pages } from '../hypervisor/contract.ts';
import type { RingStream } from '../ring/ring-stream.ts';
import { xenstoreRingStream } from '../xenstore/ring-transport.ts';

export class DomainRing {
  private readonly pages: Pages;
  private readonly page: ReturnType<typeof XenstoreDomainInterface.view>;
  private stream: RingStream | undefined;
  private channel: EventChannel | undefined;

  constructor(pages: Pages) {
    this.pages = pages;
    this.page = XenstoreDomainInterface.view(pages.page(0));
  }

  /** The ring as a stream over another channel than before, if there was one. The page stays mapped when the stream ends. */
  connect(channel: EventChannel): RingStream {
    this.stream?.close();
    const { pages } = this;
    const lent: Pages = {
      count: pages.count,
      get bytes() {
        return pages.bytes;
      },
      page: (index) => pages.page(index),
      close() {},
      get closed() {
        return pages.closed;
      },
    };
    this.channel = channel;
    this.stream = xenstoreRingStream(lent, channel, 'server');
    return this.stream;
  }

  /** Where the two rings stand; what was read counts as consumed. */
  get position(): { readonly consumed: number; readonly produced: number } {
    const { req_cons, rsp_prod } = this.page;
    return { consumed: (req_cons + this.taken) >>> 0, produced: rsp_prod };
  }

  /** Bytes that were read from the stream and are not given free. */
  get taken(): number {
    return this.stream?.taken ?? 0;
  }

  /** Gives free what was read. */
  release(): void {
    this.stream?.release();
  }

  /**
   * Goes on where an earlier xenstored stood, which may have ended at any moment: requests that it
   * had taken are skipped. Returns how many of `queued` bytes of output it had sent after it last
   * said where it stood. A ring that cannot have come from there was begun anew since: it is taken
   * as it is, and nothing of the output was sent.
   */
  goOn(consumed: number, produced: number, queued: number): number {
    const { page } = this;
    const taken = (consumed - page.req_cons) >>> 0;
    if (taken <= (page.req_prod - page.req_cons) >>> 0 && taken <= XENSTORE_RING_SIZE) {
      page.req_cons = consumed;
    }
    const sent = (page.rsp_prod - produced) >>> 0;
    return sent <= queued ? sent : 0;
  }

  /** Signals the domain. */
  notify(): void {
    if (this.channel?.closed === false) this.channel.notify();
  }

  /** Tells the domain, `XENSTORE_SERVER_FEATURE_…`, what it may use. */
  offer(features: number): void {
    this.page.server_features = features;
  }

  /** Empties both rings, as an introduction does. */
  reset(): void {
    const { page } = this;
    page.req_cons = 0;
    page.req_prod = 0;
    page.rsp_cons = 0;
    page.rsp_prod = 0;
  }

  /** The domain has given up what is in the ring and waits until it begins anew. */
  get wantsReconnect(): boolean {
    return this.page.connection === XENSTORE_RECONNECT;
  }

  /** Tells the domain that the ring has begun anew. */
  endReconnect(): void {
    this.page.connection = XENSTORE_CONNECTED;
  }

  /** Tells the domain, `XENSTORE_ERROR_…`, why it is not listened to. */
  tellError(error: number): void {
    this.page.error = error;
  }

  /** Idempotent. */
  close(): void {
    this.stream?.close();
    this.pages.close();
  }
}
