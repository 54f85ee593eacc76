/** How domains come and go: introduced by the tools, released by them, or found dead. */
import { GNTTAB_RESERVED_XENSTORE } from '../abi/grant_table.ts';
import { XENSTORE_ERROR_NONE, XENSTORE_SERVER_FEATURE_RECONNECTION } from '../abi/io/xs_wire.ts';
import { VIRQ_DOM_EXC } from '../abi/xen.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import { DOMID_FIRST_RESERVED, domId, EVENT_PORT_MAX, eventPort, grantRef } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { DomainControl, EventChannel, Hypervisor, Pages } from '../hypervisor/contract.ts';
import type { Carrier, Connection } from './connection.ts';
import type { Domain } from './domain.ts';
import { removeSubtree } from './nodes.ts';
import type { XenstoredOptions } from './options.ts';
import { outputLength, skipOutput } from './output-state.ts';
import { ownedBy } from './permissions.ts';
import { DomainRing } from './ring.ts';
import type { ConnectionState, DomainState } from './state.ts';
import { INTRODUCE_DOMAIN, RELEASE_DOMAIN, type Store } from './store.ts';
import type { Transaction } from './transaction.ts';
import { postOrder } from './tree.ts';
import { LiveView } from './view.ts';

export interface IntroductionsParts {
  readonly hypervisor: Hypervisor | undefined;
  readonly domainControl: DomainControl | undefined;
  readonly store: Store;
  readonly options: XenstoredOptions;
  readonly log: Log;
  readonly connect: (name: string, carrier: Carrier, state?: ConnectionState) => Connection;
  /** Events may have been queued outside of any client's turn. */
  readonly turnEnded: () => void;
}

interface Introduced {
  readonly ring: DomainRing;
  connection: Connection | undefined;
  /** Our own, 0 before there is one. */
  port: number;
}

/** How a ring begins: with nothing in it, or where it stood before. */
interface RingStart {
  readonly reset?: true;
  readonly state?: ConnectionState | undefined;
}

/** Maps the domain's ring and binds its event channel. */
function openRing(hypervisor: Hypervisor, domid: number, port: number) {
  const pages = hypervisor.grants.map(domId(domid), [grantRef(GNTTAB_RESERVED_XENSTORE)]);
  try {
    const channel = hypervisor.events.bindInterdomain(domId(domid), eventPort(port));
    return { pages, channel };
  } catch (error) {
    pages.close();
    throw error;
  }
}

/** The state without the output that the ring has been given since. */
function whereItStands(state: ConnectionState, ring: DomainRing): ConnectionState {
  const { carrier, output } = state;
  if (carrier.kind !== 'ring') return state;
  const { consumed, produced } = carrier;
  if (consumed === undefined || produced === undefined) {
    return { ...state, carrier: { ...carrier, ...ring.position } };
  }
  const sent = ring.goOn(consumed, produced, outputLength(output));
  return { ...state, output: skipOutput(output, sent) };
}

export class Introductions {
  private readonly parts: IntroductionsParts;
  private readonly introduced = new Map<Domain, Introduced>();
  private virq: EventChannel | undefined;
  private kernelState: ConnectionState | undefined;

  constructor(parts: IntroductionsParts) {
    this.parts = parts;
    this.listen();
  }

  isIntroduced(domid: number): boolean {
    return this.parts.store.domains.find(domid)?.introduced === true;
  }

  /** The introduced domain. Throws ENOENT. */
  get(domid: number): Domain {
    const domain = this.parts.store.domains.find(domid);
    if (domain?.introduced !== true) throw new XenError('ENOENT', `look for domain ${domid}`);
    return domain;
  }

  /** Our own ports of the rings, by domid. */
  get ports(): Map<number, number> {
    return new Map([...this.introduced].map(([{ domid }, { port }]) => [domid, port]));
  }

  /** What our own kernel's connection was, until its ring is attached. */
  get waiting(): ConnectionState | undefined {
    return this.kernelState;
  }

  /** The transactions that the domain has open. */
  transactionsOf(domain: Domain): readonly Transaction[] {
    return [...(this.introduced.get(domain)?.connection?.transactions.values() ?? [])];
  }

  /**
   * Serves the ring of a domain whose `port` waits for us. Once more for the same domain: the ring
   * starts anew, over that port, with no watches and no transactions.
   */
  introduce(domid: number, port: number): void {
    const { hypervisor, store } = this.parts;
    const what = `introduce domain ${domid}`;
    if (hypervisor === undefined) {
      throw new XenError('ENOSYS', what, 'this xenstored runs without Xen');
    }
    if (domid >= DOMID_FIRST_RESERVED || port <= 0 || port > EVENT_PORT_MAX) {
      throw new XenError('EINVAL', what, `no domain or no port: ${port}`);
    }
    const domain = store.domains.find(domid);
    const known = domain === undefined ? undefined : this.introduced.get(domain);
    if (domain !== undefined && known !== undefined) {
      this.introduceAgain(hypervisor, domain, known, port);
      return;
    }
    const { pages, channel } = openRing(hypervisor, domid, port);
    const introduced = store.domains.findOrCreate(domid);
    introduced.shutdown = false;
    introduced.remotePort = port;
    this.serve(introduced, pages, channel, { reset: true });
    if (domid !== this.parts.options.masterDomid) store.fireSpecial(INTRODUCE_DOMAIN, [domid]);
  }

  /** Serves the ring of our own kernel, which nobody introduces. Both belong to us from here on. */
  attachKernelRing(pages: Pages, channel: EventChannel): void {
    const domain = this.parts.store.domains.findOrCreate(this.parts.options.masterDomid);
    domain.shutdown = false;
    this.serve(domain, pages, channel, { state: this.kernelState });
    this.kernelState = undefined;
    this.parts.turnEnded();
    channel.notify();
  }

  /**
   * Goes on with the rings of an earlier xenstored. A domain whose ring cannot be had is gone, as
   * `lookForDead` finds out, or has to be introduced again.
   */
  takeUp(states: readonly DomainState[], connections: readonly ConnectionState[]): void {
    const { hypervisor, store, log } = this.parts;
    for (const { domid, ring } of states) {
      const domain = store.domains.find(domid);
      if (ring === undefined || domain === undefined) continue;
      const state = connections.find(({ carrier }) => {
        return carrier.kind === 'ring' && carrier.domid === domid;
      });
      if (ring.remotePort === undefined) {
        this.kernelState = state;
        continue;
      }
      domain.introduced = true;
      domain.remotePort = ring.remotePort;
      if (hypervisor === undefined) continue;
      try {
        const { pages, channel } = openRing(hypervisor, domid, ring.remotePort);
        this.serve(domain, pages, channel, { state });
        // Whatever it waits for, a signal of ours may have been lost.
        channel.notify();
      } catch (error) {
        log.warn(`the ring of domain ${domid} cannot be had again: ${errorMessage(error)}`, {
          domid,
        });
      }
    }
  }

  /** Ends the domain's ring, and removes what it owns. */
  release(domain: Domain): void {
    this.remove(domain);
  }

  /** Asks Xen about every domain, since the interrupt does not say which one it is about. */
  lookForDead(): void {
    const { store, domainControl } = this.parts;
    const newlyShutdown: number[] = [];
    for (const domain of store.domains) {
      if (domain.domid === 0 || domainControl === undefined) continue;
      const info = store.domains.info(domain.domid);
      if (info !== undefined && domain.introduced && info.shutdown && !domain.shutdown) {
        domain.shutdown = true;
        newlyShutdown.push(domain.domid);
      }
      // One that has no ring is kept until its number is free for another.
      if (info === undefined || (domain.introduced && info.dying)) this.remove(domain);
    }
    if (newlyShutdown.length > 0) store.settingsChanged();
    if (newlyShutdown.length > 0) store.fireSpecial(RELEASE_DOMAIN, newlyShutdown);
  }

  /**
   * Leaves all rings as a xenstored of Xen 4.17 that takes them over expects them: it offers no
   * feature, looks at what each page says, and binds the interrupt itself. Whoever waits for a
   * signal of ours gets it. The result takes that back.
   */
  leave(): () => void {
    this.virq?.close();
    for (const { ring } of this.introduced.values()) {
      ring.release();
      ring.offer(0);
      ring.notify();
    }
    return () => {
      for (const [domain, { ring }] of this.introduced) ring.offer(domain.features);
      this.listen();
      this.lookForDead();
    };
  }

  /** Ends all rings. The nodes stay. Idempotent. */
  close(): void {
    this.virq?.close();
    for (const { ring, connection } of this.introduced.values()) {
      connection?.close();
      ring.close();
    }
    this.introduced.clear();
  }

  /** Hears of it when a domain has died. */
  private listen(): void {
    const { hypervisor, domainControl, turnEnded } = this.parts;
    if (hypervisor === undefined || domainControl === undefined) return;
    this.virq = hypervisor.events.bindVirq(VIRQ_DOM_EXC);
    this.virq.onEvent(() => {
      this.lookForDead();
      turnEnded();
    });
  }

  private introduceAgain(
    hypervisor: Hypervisor,
    domain: Domain,
    known: Introduced,
    port: number,
  ): void {
    known.connection?.close();
    known.connection = undefined;
    const channel = hypervisor.events.bindInterdomain(domId(domain.domid), eventPort(port));
    domain.remotePort = port;
    this.open(domain, known, channel, { reset: true });
  }

  private serve(domain: Domain, pages: Pages, channel: EventChannel, start: RingStart): void {
    const introduced: Introduced = { ring: new DomainRing(pages), connection: undefined, port: 0 };
    this.introduced.set(domain, introduced);
    domain.introduced = true;
    this.parts.store.settingsChanged();
    this.open(domain, introduced, channel, start);
  }

  private open(
    domain: Domain,
    introduced: Introduced,
    channel: EventChannel,
    start: RingStart,
  ): void {
    const { ring } = introduced;
    // Also where an earlier xenstored was asked to and ended.
    const waits = ring.wantsReconnect;
    const state = waits ? undefined : start.state;
    if (start.reset || waits) ring.reset();
    if (state === undefined) ring.tellError(XENSTORE_ERROR_NONE);
    // Our own kernel's channel is the composition's: we could not open it once more.
    const isOwn = domain.remotePort === undefined;
    ring.offer(domain.features & ~(isOwn ? XENSTORE_SERVER_FEATURE_RECONNECTION : 0));
    const stream = ring.connect(channel);
    introduced.port = channel.port;
    introduced.connection = this.parts.connect(
      `domain ${domain.domid}`,
      {
        stream,
        domain,
        failure: () => stream.error,
        ring,
        reconnect: () => this.reconnect(domain, introduced),
        refuse: (error) => ring.tellError(error),
      },
      state && whereItStands(state, ring),
    );
    if (!waits) return;
    this.parts.store.journal?.commit();
    ring.endReconnect();
    channel.notify();
  }

  /** Begins the ring anew if the domain asks for that; returns whether it did. */
  private reconnect(domain: Domain, introduced: Introduced): boolean {
    const { hypervisor, log, turnEnded } = this.parts;
    const { remotePort } = domain;
    if (hypervisor === undefined || remotePort === undefined) return false;
    if (!introduced.ring.wantsReconnect) return false;
    log.info(`domain ${domain.domid} begins its ring anew`, { domid: domain.domid });
    try {
      this.introduceAgain(hypervisor, domain, introduced, remotePort);
    } catch (error) {
      // It has closed its port: then it waits until it is introduced again.
      if (!(error instanceof XenError)) throw error;
      log.warn(`the ring of domain ${domain.domid} cannot be had again: ${error.message}`, {
        domid: domain.domid,
      });
    }
    turnEnded();
    return true;
  }

  /** Ends all that the domain has here, so that a later one with its domid inherits nothing. */
  private remove(domain: Domain): void {
    const { store } = this.parts;
    const introduced = this.introduced.get(domain);
    introduced?.connection?.close();
    this.removeNodes(domain);
    store.domains.forget(domain);
    this.introduced.delete(domain);
    introduced?.ring.close();
    if (domain.introduced) store.fireSpecial(RELEASE_DOMAIN, [domain.domid]);
    domain.introduced = false;
    store.settingsChanged();
  }

  private removeNodes(domain: Domain): void {
    if (domain.account.nodes === 0) return;
    if (this.parts.options.keepOrphans) this.adoptOrphans(domain);
    else this.removeOrphans(domain);
  }

  private removeOrphans(domain: Domain): void {
    const { store, log } = this.parts;
    const tops: string[] = [];
    const walk = postOrder(store.tree, '/', ({ path, node }) => {
      if (store.owner(node) !== domain) return true;
      tops.push(path);
      return false;
    });
    for (const _ of walk);
    const view = new LiveView(store, undefined);
    for (const path of tops) {
      // Only a privileged client can have given the root away; there it goes back.
      if (path === '/') this.adoptOrphans(domain);
      else removeSubtree(store, view, path);
    }
    log.debug(`removed what domain ${domain.domid} owned`, { subtrees: tops.length });
  }

  private adoptOrphans(domain: Domain): void {
    const { store, options } = this.parts;
    const heir = store.domains.findOrCreate(options.privDomid);
    for (const { path, node } of postOrder(store.tree, '/')) {
      if (store.owner(node) !== domain) continue;
      const permissions = ownedBy(node.permissions, heir);
      const generation = store.nextGeneration();
      store.apply([{ path, node: { ...node, permissions, generation } }]);
    }
  }
}
