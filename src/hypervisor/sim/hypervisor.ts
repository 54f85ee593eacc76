/** The contract as one process of a domain has it, and all that the process holds. */
import { type DomId, domId, eventPort, type GrantRef, grantRef } from '../../base/ids.ts';
import type {
  EndNotice,
  EventChannels,
  GrantTable,
  Hypervisor,
  Pages,
  SharedPages,
  Supports,
} from '../contract.ts';
import { simCopyBatch } from './copy-batch.ts';
import { SimEventChannel } from './event-channel.ts';
import { grantPages, mapGrants, revokeGrant, unmapGrants } from './grants.ts';
import { checkNotice, type Handle, SimPages } from './pages.ts';
import { bindInterdomain, bindVirq, openPort } from './ports.ts';
import type { Domain, Frame, GrantEntry, Port, Xen } from './xen.ts';

function checkCount(count: number): void {
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(`there must be 1 page or more, not ${count}`);
  }
}

class SimSharedPages extends SimPages implements SharedPages {
  readonly refs: readonly GrantRef[];

  constructor(entries: readonly GrantEntry[], notice: EndNotice, release: () => void) {
    super(
      entries.map((entry) => entry.frame),
      notice,
      release,
    );
    this.refs = entries.map((entry) => grantRef(entry.ref));
  }
}

export class SimHypervisor implements Hypervisor {
  readonly domid: DomId;
  readonly grants: GrantTable;
  readonly events: EventChannels;
  readonly supports: Supports = { detach: false, contiguousMaps: false, loopback: true };
  private readonly xen: Xen;
  private readonly domain: Domain;
  private readonly pages = new Set<Handle>();
  private readonly channels = new Set<Handle>();
  private ended = false;

  constructor(xen: Xen, domain: Domain) {
    this.xen = xen;
    this.domain = domain;
    this.domid = domain.domid;
    this.grants = {
      share: (peer, count, access, notice) => this.share(peer, count, access, notice),
      map: (peer, refs, notice) => this.map(peer, refs, notice),
      copyBatch: (capacity) => {
        this.assertOpen();
        return simCopyBatch(xen, domain, capacity, () => this.assertOpen());
      },
      copyMemory: (bytes) => new Uint8Array(bytes),
    };
    this.events = {
      allocateUnbound: (peer) => {
        this.assertOpen();
        const port = openPort(xen, domain, { kind: 'unbound', peer: domId(peer) });
        xen.trace(domain, () => `port ${port.number} is open for domain ${peer}`);
        return this.openChannel(port);
      },
      bindInterdomain: (peer, remotePort) => {
        this.assertOpen();
        return this.openChannel(bindInterdomain(xen, domain, domId(peer), eventPort(remotePort)));
      },
      bindVirq: (virq) => {
        this.assertOpen();
        return this.openChannel(bindVirq(xen, domain, virq));
      },
    };
  }

  close(): void {
    // Pages first: an EndNotice signals through a channel that must still be open.
    for (const pages of this.pages) pages.close();
    this.vanish();
  }

  /** Ends as when the domain is destroyed: nobody is left to give notice. */
  vanish(): void {
    this.ended = true;
    for (const handle of [...this.pages, ...this.channels]) handle.vanish();
  }

  /** A window on frames that stays until it is closed or the process ends. */
  openWindow(frames: readonly Frame[], release: () => void): Pages {
    const pages: SimPages = new SimPages(frames, {}, () => {
      this.pages.delete(pages);
      release();
    });
    this.pages.add(pages);
    return pages;
  }

  openChannel(port: Port): SimEventChannel {
    const channel = new SimEventChannel(this.xen, port, () => this.channels.delete(channel));
    this.channels.add(channel);
    return channel;
  }

  assertOpen(): void {
    if (this.ended) throw new TypeError(`this hypervisor of ${this.domain.name} is closed`);
  }

  private share(
    peer: DomId,
    count: number,
    access: 'read' | 'read-write',
    notice: EndNotice = {},
  ): SharedPages {
    this.assertOpen();
    checkCount(count);
    checkNotice(count, notice);
    const { xen, domain } = this;
    const entries = grantPages(xen, domain, domId(peer), count, access === 'read');
    const pages: SimSharedPages = new SimSharedPages(entries, notice, () => {
      this.pages.delete(pages);
      for (const entry of entries) revokeGrant(xen, entry);
    });
    this.pages.add(pages);
    return pages;
  }

  private map(peer: DomId, refs: readonly GrantRef[], notice: EndNotice = {}): Pages {
    this.assertOpen();
    checkCount(refs.length);
    checkNotice(refs.length, notice);
    const { xen, domain } = this;
    const entries = mapGrants(xen, domain, domId(peer), refs.map(grantRef));
    const frames = entries.map((entry) => entry.frame);
    const pages: SimPages = new SimPages(frames, notice, () => {
      this.pages.delete(pages);
      unmapGrants(xen, domain, entries);
    });
    this.pages.add(pages);
    return pages;
  }
}
