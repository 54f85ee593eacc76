/** xenstored: one function of what it stands on. */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { DomainControl, EventChannel, Hypervisor, Pages } from '../hypervisor/contract.ts';
import { type Carrier, Connection, type ConnectionParts } from './connection.ts';
import { Domains } from './domain.ts';
import { Introductions } from './introduction.ts';
import { answer } from './operations.ts';
import { DEFAULT_OPTIONS, type XenstoredOptions } from './options.ts';
import type { Services } from './request.ts';
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
  /** Serves a client of the tools: privileged. The stream belongs to xenstored from here on. */
  attachSocket(stream: ByteStream, name: string): void;
  /** Serves our own kernel's ring. Page and channel belong to xenstored from here on. */
  attachKernelRing(page: Pages, channel: EventChannel): void;
  status(): XenstoredStatus;
  /** Walks the whole store and logs what does not fit together; returns how many such findings. */
  check(): number;
  /** Lets go of all clients. Idempotent. */
  close(): void;
}

class Server implements Xenstored {
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
  private isClosed = false;

  constructor(parts: XenstoredParts) {
    const { clock, log, domainControl, hypervisor } = parts;
    this.parts = parts;
    this.options = { ...DEFAULT_OPTIONS, ...parts.options };
    const { options } = this;
    const quotas = { ...options.quotas };
    const domains = new Domains({ domainControl, options, quotas, clock, log });
    const store = new Store(domains, quotas, log);
    this.store = store;
    this.writeLimit = new WriteLimit(clock, domains);
    this.timeLimit = new TimeLimit(clock);
    const introductions = new Introductions({
      hypervisor,
      domainControl,
      store,
      options,
      log,
      connect: (name, carrier) => this.connect(name, carrier),
      turnEnded: () => this.turnEnded(),
    });
    const trace = new Trace(parts.traceFile, clock);
    this.services = { store, introductions, clock, log, trace };
  }

  attachSocket(stream: ByteStream, name: string): void {
    this.connect(name, { stream, domain: undefined });
  }

  attachKernelRing(page: Pages, channel: EventChannel): void {
    this.services.introductions.attachKernelRing(page, channel);
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
    this.services.introductions.close();
    for (const connection of this.connections) connection.close();
  }

  private connect(name: string, carrier: Carrier): Connection {
    const { clock, log } = this.parts;
    const parts: ConnectionParts = {
      store: this.store,
      options: this.options,
      clock,
      log,
      trace: this.services.trace,
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
      closed: (connection) => {
        this.held.delete(connection);
        this.connections.delete(connection);
        this.unflushed.delete(connection);
      },
    };
    const connection = new Connection(name, carrier, parts);
    this.connections.add(connection);
    return connection;
  }

  private turnEnded(): void {
    for (const connection of this.unflushed) connection.flush();
    this.unflushed.clear();
    for (const connection of this.held) {
      if (connection.resume()) this.held.delete(connection);
    }
  }
}

/** Starts xenstored: it serves whoever is attached, and domains as they are introduced. */
export function startXenstored(parts: XenstoredParts): Xenstored {
  return new Server(parts);
}
