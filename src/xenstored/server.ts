/** xenstored: one function of what it stands on. */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { DomainControl, EventChannel, Hypervisor, Pages } from '../hypervisor/contract.ts';
import type { Packet } from '../xenstore/packet.ts';
import type { Charge } from './charge.ts';
import { type Carrier, Connection, type ConnectionParts, type Handover } from './connection.ts';
import { Domains } from './domain.ts';
import { Introductions } from './introduction.ts';
import { Journal, type JournalGrowth, type JournalSource } from './journal/journal.ts';
import type { JournalStorage } from './journal/storage.ts';
import { LiveUpdate, type Succession } from './live-update.ts';
import { answer } from './operations.ts';
import { DEFAULT_OPTIONS, type XenstoredOptions } from './options.ts';
import { repeatRequests } from './replay.ts';
import type { Services } from './request.ts';
import type { ChargeState, ConnectionState, ServerState, SocketCarrierState } from './state.ts';
import { Store } from './store.ts';
import { TimeLimit } from './time-limit.ts';
import { Trace, type TraceFile } from './trace.ts';
import { WriteLimit } from './write-limit.ts';

export interface XenstoredParts {
  /** Without it there are sockets and no rings. */
  readonly hypervisor?: Hypervisor | undefined;
  /** Without it no domain's death is noticed, and every domid is taken to be a domain's. */
  readonly domainControl?: DomainControl | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly options?: Partial<XenstoredOptions>;
  /** Where requests are traced to when an operator asks for that. */
  readonly traceFile?: TraceFile | undefined;
  /**
   * What an earlier xenstored was. Its quotas hold, not those of `options`. Our own kernel's ring
   * is to be attached before anything else happens, so that its watches miss nothing.
   */
  readonly state?: ServerState | undefined;
  /** A socket of the state, as a stream, if it is one; without it sockets are left out. */
  readonly adoptSocket?: (carrier: SocketCarrierState) => AdoptedSocket | undefined;
  /** What can take the place of this program, for a live update. */
  readonly succession?: Succession | undefined;
  /** Where all that must outlive this process is kept; what is there now is replaced. */
  readonly journal?: XenstoredJournal | undefined;
}

export interface XenstoredJournal {
  readonly storage: JournalStorage;
  /** Names this boot of the host, in at most 64 characters: the rings of domains end with it. */
  readonly epoch: string;
  readonly growth?: JournalGrowth | undefined;
}

export interface AdoptedSocket {
  readonly stream: ByteStream;
  readonly handover?: Handover;
}

export interface XenstoredStatus {
  readonly nodes: number;
  readonly watches: number;
  readonly connections: number;
  readonly transactions: number;
  /** Domids of the domains with a ring, in order. */
  readonly introduced: readonly number[];
}

export interface Xenstored {
  /**
   * Serves a client of the tools: privileged. The stream belongs to xenstored from here on.
   *
   * @param handover without it the socket is left out of what `capture` returns
   */
  attachSocket(stream: ByteStream, name: string, handover?: Handover): void;
  /** Serves our own kernel's ring. Page and channel belong to xenstored from here on. */
  attachKernelRing(page: Pages, channel: EventChannel): void;
  /** All that a successor needs to go on. To be asked for between requests, not from within one. */
  capture(): ServerState;
  status(): XenstoredStatus;
  /** Walks the whole store and logs what does not fit together; returns how many such findings. */
  check(): number;
  /** Lets go of all clients. Idempotent. */
  close(): void;
}

class Server implements Xenstored, JournalSource {
  private readonly parts: XenstoredParts;
  private readonly options: XenstoredOptions;
  private readonly store: Store;
  private readonly services: Services;
  private readonly writeLimit: WriteLimit;
  private readonly timeLimit: TimeLimit;
  private readonly connections = new Set<Connection>();
  /** Clients that have events queued which were not given to them yet. */
  private readonly unflushed = new Set<Connection>();
  /** Clients that have requests which may not be answered now. */
  private readonly held = new Set<Connection>();
  /** By id: those of the state that is taken up. */
  private readonly charges = new Map<number, Charge>();
  private isClosed = false;

  constructor(parts: XenstoredParts) {
    const { clock, log, domainControl, hypervisor } = parts;
    this.parts = parts;
    this.options = { ...DEFAULT_OPTIONS, ...parts.options };
    const { options } = this;
    const { state } = parts;
    const quotas = { ...(state?.quotas ?? options.quotas) };
    const domains = new Domains({ domainControl, options, quotas, clock, log }, state);
    const store = new Store(domains, quotas, log, state);
    this.store = store;
    this.writeLimit = new WriteLimit(clock, domains);
    this.timeLimit = new TimeLimit(clock);
    const introductions = new Introductions({
      hypervisor,
      domainControl,
      store,
      options,
      log,
      connect: (name, carrier, connection) => this.connect(name, carrier, connection),
      turnEnded: () => this.turnEnded(),
    });
    const trace = new Trace(parts.traceFile, clock);
    const liveUpdate = new LiveUpdate({
      succession: parts.succession,
      clock,
      log,
      transactionHolders: () =>
        [...this.connections]
          .filter(({ transactions }) => transactions.size > 0)
          .map(({ name }) => name),
      capture: (connection, reply) => this.captureWith(connection, reply),
      ports: () => introductions.ports,
      leaveRings: () => this.leaveRings(),
      reply: (connection, packet) => this.replyLater(connection, packet),
    });
    this.services = { store, introductions, clock, log, trace, liveUpdate };
    if (parts.journal !== undefined) {
      store.journal = new Journal({ ...parts.journal, clock, log }, this);
    }
    if (state !== undefined) this.takeUp(state);
    store.journal?.begin();
  }

  attachSocket(stream: ByteStream, name: string, handover?: Handover): void {
    this.connect(name, { stream, domain: undefined, handover });
  }

  attachKernelRing(page: Pages, channel: EventChannel): void {
    this.services.introductions.attachKernelRing(page, channel);
  }

  capture(): ServerState {
    return this.captureWith();
  }

  /** @param reply is not sent yet to that connection */
  private captureWith(repliedTo?: Connection, reply?: Packet): ServerState {
    const { generation, nodes } = this.store.capture();
    const { waiting } = this.services.introductions;
    return {
      generation,
      nodes,
      lastIncarnation: this.lastIncarnation,
      ...this.settings(),
      connections: [...this.connections]
        .map((connection) => connection.capture(connection === repliedTo ? reply : undefined))
        .concat(waiting)
        .filter((connection) => connection !== undefined),
    };
  }

  settings(): Pick<ServerState, 'quotas' | 'specialPermissions' | 'domains'> {
    const { quotas, specialPermissions, domains } = this.store;
    return {
      quotas: { ...quotas },
      specialPermissions: new Map(specialPermissions),
      domains: [...domains].map((domain) => domain.capture()),
    };
  }

  get settingsRevision(): number {
    // Both only grow. A domain that some permission names is known from then on.
    return this.store.settingsRevision + this.lastIncarnation;
  }

  get generation(): number {
    return this.store.lastGeneration;
  }

  get lastIncarnation(): number {
    return this.store.domains.incarnations;
  }

  status(): XenstoredStatus {
    const { store } = this;
    return {
      nodes: store.tree.size,
      watches: store.watches.count,
      connections: this.connections.size,
      transactions: store.openTransactions,
      introduced: [...store.domains]
        .filter(({ introduced }) => introduced)
        .map(({ domid }) => domid)
        .sort((a, b) => a - b),
    };
  }

  check(): number {
    return this.store.check();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    // What ends now is not over: the next xenstored goes on with it.
    this.store.journal?.close();
    this.services.introductions.close();
    for (const connection of this.connections) connection.close();
  }

  /** Goes on with the clients of an earlier xenstored, and looks who is gone since. */
  private takeUp({ domains, connections }: ServerState): void {
    const { introductions } = this.services;
    const { adoptSocket, clock } = this.parts;
    for (const connection of connections) {
      const { carrier } = connection;
      if (carrier.kind !== 'socket' || adoptSocket === undefined) continue;
      const adopted = adoptSocket(carrier);
      if (adopted === undefined) continue;
      const { stream, handover } = adopted;
      this.connect(carrier.name, { stream, domain: undefined, handover }, connection);
    }
    introductions.takeUp(domains, connections);
    // Not before our own kernel's ring is there to hear of it.
    clock.after(0, () => {
      if (this.isClosed) return;
      this.charges.clear();
      introductions.lookForDead();
      this.turnEnded();
    });
  }

  /** None for a domain that is gone. */
  private chargeOf({ id, domid }: ChargeState): Charge | undefined {
    const account = this.store.domains.find(domid)?.account;
    const known = this.charges.get(id);
    if (known !== undefined || account === undefined) return known;
    const charge = this.store.chargeAgain(account, id);
    this.charges.set(id, charge);
    return charge;
  }

  private connect(name: string, carrier: Carrier, state?: ConnectionState): Connection {
    const { clock, log } = this.parts;
    const parts: ConnectionParts = {
      store: this.store,
      options: this.options,
      clock,
      log,
      trace: this.services.trace,
      chargeOf: (charge) => this.chargeOf(charge),
      commit: () => this.store.journal?.commit(),
      answer: (connection, request, charge) => {
        const { disturbances } = this.store;
        const { domain } = connection;
        this.timeLimit.charge(domain, () => answer(connection, this.services, request, charge));
        if (this.store.disturbances !== disturbances) this.writeLimit.debit(domain);
      },
      wait_ms: (domain) =>
        Math.max(this.writeLimit.wait_ms(domain), this.timeLimit.wait_ms(domain)),
      eventsQueued: (connection) => this.unflushed.add(connection),
      held: (connection) => this.held.add(connection),
      turnEnded: () => this.turnEnded(),
      mayStartTransaction: () => !this.services.liveUpdate.holdsTransactions,
      closed: (connection) => {
        this.services.liveUpdate.closed(connection);
        this.held.delete(connection);
        this.connections.delete(connection);
        this.unflushed.delete(connection);
      },
    };
    const connection = new Connection(name, carrier, parts, state);
    this.connections.add(connection);
    for (const { id, again } of state?.transactions ?? []) {
      const transaction = connection.transactions.get(id);
      if (again === undefined || transaction === undefined) continue;
      repeatRequests(connection, this.services, transaction, again);
    }
    return connection;
  }

  private leaveRings(): () => void {
    const takeRingsBack = this.services.introductions.leave();
    return () => {
      takeRingsBack();
      this.store.journal?.begin();
      this.turnEnded();
    };
  }

  private replyLater(connection: Connection, packet: Packet): void {
    connection.reply(packet, packet.type, packet.payload, undefined);
    this.unflushed.add(connection);
    this.turnEnded();
  }

  private turnEnded(): void {
    this.store.journal?.commit();
    if (this.unflushed.size > 0) {
      for (const connection of this.unflushed) connection.flush();
      this.unflushed.clear();
    }
    if (this.held.size === 0) return;
    for (const connection of this.held) {
      if (connection.resume()) this.held.delete(connection);
    }
  }
}

/** Starts xenstored: it serves whoever is attached, and domains as they are introduced. */
export function startXenstored(parts: XenstoredParts): Xenstored {
  return new Server(parts);
}
