/** One client of xenstored, whatever carries its bytes: a domain's ring, or a socket of the tools. */
import {
  XENSTORE_ERROR_COMM,
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XS_ERROR,
  XS_WATCH_EVENT,
} from '../abi/io/xs_wire.ts';
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { errorMessage, ProtocolViolation } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { encodeError, PAYLOAD_MAX, type Packet } from '../xenstore/packet.ts';
import { PacketStream } from '../xenstore/packet-stream.ts';
import { Charge } from './charge.ts';
import type { Domain } from './domain.ts';
import { SERVER_FEATURES } from './features.ts';
import type { XenstoredOptions } from './options.ts';
import { Outgoing } from './outgoing.ts';
import type { Identity } from './permissions.ts';
import type { Store } from './store.ts';
import type { Trace } from './trace.ts';
import { Transaction } from './transaction.ts';
import type { Requester } from './view.ts';
import type { Watch, Watcher } from './watch.ts';

/** Requests that one client is answered in a row before the others have their turn. */
const REQUESTS_PER_TURN = 32;
/** How long such a turn may take; it ends with the request that makes it longer. */
const TURN_MS = 0.5;

/** What carries a client's bytes. */
export interface Carrier {
  readonly stream: ByteStream;
  /** A ring of this domain's; absent for a socket. */
  readonly domain: Domain | undefined;
  /** Why the stream ended by itself; absent for a socket, which just ends. */
  readonly failure?: () => unknown;
  /** Tells the client, `XENSTORE_ERROR_…`, that it is not listened to any more. */
  readonly refuse?: (error: number) => void;
}

export interface ConnectionParts {
  readonly store: Store;
  readonly options: XenstoredOptions;
  readonly clock: Clock;
  readonly log: Log;
  /** Answers one request through `reply`. */
  readonly answer: (connection: Connection, request: Packet, charge: Charge | undefined) => void;
  /** How long the domain must wait because of what it has asked for lately. */
  readonly wait_ms: (domain: Domain) => number;
  /** There are events to be flushed, once whatever they tell of is over. */
  readonly eventsQueued: (connection: Connection) => void;
  /** The client has requests and may have none of them answered now; `resume` is to be tried whenever something was taken or given back. */
  readonly held: (connection: Connection) => void;
  /** A turn is over: others have events now, or may go on. */
  readonly turnEnded: () => void;
  /** The connection has closed. */
  readonly closed: (connection: Connection) => void;
  readonly trace: Trace;
}

export class Connection implements Watcher, Requester {
  /** For people: `domain 3`, or what the socket's owner calls it. */
  readonly name: string;
  readonly domain: Domain;
  readonly identity: Identity | undefined;
  readonly transactions = new Map<number, Transaction>();
  private readonly watches = new Map<string, Watch>();
  private readonly parts: ConnectionParts;
  private readonly carrier: Carrier;
  private readonly packets: PacketStream;
  private readonly outgoing: Outgoing;
  private lastTransactionId = 0;
  /** Broke a rule: its ring stays mapped and is not looked at until the domain is gone. */
  private ignored = false;
  private isClosed = false;
  private turn: Timer | undefined;
  /** The turn comes as soon as the others had theirs. */
  private turnIsNext = false;

  constructor(name: string, carrier: Carrier, parts: ConnectionParts) {
    this.name = name;
    this.carrier = carrier;
    this.parts = parts;
    this.identity = carrier.domain;
    // A socket acts in dom0's name: there relative paths stand, and dom0 pays.
    this.domain = carrier.domain ?? parts.store.domains.findOrCreate(0);
    const { activity } = this.domain;
    this.packets = new PacketStream(carrier.stream);
    this.outgoing = new Outgoing({
      packets: this.packets,
      account: this.domain.account,
      clock: parts.clock,
      eventTimeout_ms: parts.options.watchEventTimeout_ms,
      queued: (packet) => {
        const { type, payload } = packet;
        parts.trace.packet('OUT', name, type, payload);
        if (type === XS_WATCH_EVENT) activity.countEvent(packet);
        else activity.countReply(packet, type === XS_ERROR);
      },
    });
    parts.trace.note('obj', name, 'create', 'connection');
    // Whoever has a turn coming does not get another for ringing the bell.
    this.packets.onReady(() => {
      if (!this.turnIsNext) this.run();
    });
  }

  get caller(): Requester {
    return this;
  }

  get privileged(): boolean {
    return this.domain.privileged;
  }

  get target(): Identity | undefined {
    return this.carrier.domain?.target;
  }

  /** `XENSTORE_SERVER_FEATURE_…` that it is offered. */
  get features(): number {
    return this.carrier.domain?.features ?? SERVER_FEATURES;
  }

  /** Closed or ignored: nothing is read from it or sent to it any more. */
  get deaf(): boolean {
    return this.isClosed || this.ignored;
  }

  /** Answers what has arrived, as far as the client may have it answered now. */
  run(): void {
    if (this.deaf) return;
    this.flush();
    try {
      this.answerSome();
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.refuse(XENSTORE_ERROR_PROTO, error);
    }
    if (!this.deaf && this.packets.ended) this.end();
    this.parts.turnEnded();
  }

  /** Gives the client what it takes now of its replies and events. */
  flush(): void {
    if (this.deaf) return;
    this.outgoing.flush();
    const { privilegedQueueMax } = this.parts.options;
    if (this.identity === undefined && this.outgoing.bytes > privilegedQueueMax) {
      this.parts.log.error(`${this.name} is cut off: it does not read what it is sent`, {
        limit: privilegedQueueMax,
      });
      this.close();
    }
  }

  /** Lets a client that was held go on, if it may; returns whether it does. */
  resume(): boolean {
    if (!this.mayContinue()) return false;
    this.runAfter(0);
    return true;
  }

  reply(request: Packet, type: number, payload: Uint8Array, charge: Charge | undefined): void {
    if (this.deaf) return;
    const fits = payload.length <= PAYLOAD_MAX;
    const { requestId, transactionId } = request;
    this.outgoing.reply(
      {
        type: fits ? type : XS_ERROR,
        requestId,
        transactionId,
        payload: fits ? payload : encodeError('E2BIG'),
      },
      charge,
    );
  }

  deliver(path: string, token: string, charge: Charge | undefined): void {
    if (this.deaf) return;
    const { log, options, eventsQueued } = this.parts;
    // The kernel of a privileged domain has this one ring and no other: it loses events instead.
    const lost = this.identity !== undefined && this.outgoing.bytes > options.privilegedQueueMax;
    if (lost) log.error(`${this.name} loses events: it does not read what it is sent`);
    else this.outgoing.event(path, token, charge);
    eventsQueued(this);
  }

  findWatch(path: string, token: string): Watch | undefined {
    return this.watches.get(`${path}\0${token}`);
  }

  get watchCount(): number {
    return this.watches.size;
  }

  addWatch(watch: Watch): void {
    const { account } = this.domain;
    this.watches.set(`${watch.path}\0${watch.token}`, watch);
    this.parts.store.watches.add(watch);
    if (this.identity !== undefined) account.watches++;
    this.noteWatch('create', watch);
    account.addMemory(watch.path.length + watch.token.length);
  }

  removeWatch(watch: Watch): void {
    const { account } = this.domain;
    if (!this.watches.delete(`${watch.path}\0${watch.token}`)) return;
    this.parts.store.watches.remove(watch);
    this.noteWatch('destroy', watch);
    if (this.identity !== undefined) account.watches--;
    account.addMemory(-watch.path.length - watch.token.length);
  }

  startTransaction(): Transaction {
    do {
      this.lastTransactionId = (this.lastTransactionId + 1) >>> 0;
    } while (this.lastTransactionId === 0 || this.transactions.has(this.lastTransactionId));
    const transaction = new Transaction(this.lastTransactionId, this.parts.store, this);
    this.transactions.set(transaction.id, transaction);
    this.parts.store.openTransactions++;
    this.noteTransaction('create', transaction);
    return transaction;
  }

  endTransaction(transaction: Transaction): void {
    if (!this.transactions.delete(transaction.id)) return;
    this.parts.store.openTransactions--;
    this.noteTransaction('destroy', transaction);
    transaction.close();
  }

  /** Drops all watches and transactions. */
  reset(): void {
    for (const watch of this.watches.values()) this.removeWatch(watch);
    for (const transaction of this.transactions.values()) this.endTransaction(transaction);
  }

  /** Lets go of everything. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.turn?.cancel();
    this.reset();
    this.outgoing.clear();
    this.packets.close();
    this.parts.trace.note('obj', this.name, 'destroy', 'connection');
    this.parts.closed(this);
  }

  private noteTransaction(what: 'create' | 'destroy', { id }: Transaction): void {
    const { trace } = this.parts;
    if (trace.notes('obj')) trace.note('obj', this.name, what, `transaction ${id}`);
  }

  private noteWatch(what: 'create' | 'destroy', { path, token }: Watch): void {
    const { trace } = this.parts;
    if (trace.notes('obj')) trace.note('obj', this.name, what, `watch ${path} ${token}`);
  }

  private answerSome(): void {
    const { clock } = this.parts;
    const start_ms = clock.now_ms();
    for (let answered = 0; this.mayContinue(); answered++) {
      const isOver = answered > 0 && clock.now_ms() - start_ms >= TURN_MS;
      if (isOver || answered === REQUESTS_PER_TURN) {
        this.runAfter(0);
        return;
      }
      const request = this.packets.receive();
      if (request === undefined) return;
      const charge = this.identity === undefined ? undefined : new Charge(this.domain.account);
      this.parts.answer(this, request, charge);
      if (this.deaf) return;
      this.flush();
    }
    this.parts.held(this);
  }

  /** Whether the client may have another request answered now. */
  private mayContinue(): boolean {
    if (this.privileged) return this.outgoing.bytes <= this.parts.options.privilegedQueueMax / 2;
    if (this.domain.account.stalled) return false;
    const wait_ms = this.parts.wait_ms(this.domain);
    const { trace } = this.parts;
    if (wait_ms > 0 && this.turn === undefined && trace.notes('wrl')) {
      trace.note('wrl', this.name, 'wait', `${Math.ceil(wait_ms)} ms`);
    }
    if (wait_ms > 0) this.runAfter(wait_ms);
    return wait_ms === 0;
  }

  private runAfter(delay_ms: number): void {
    if (this.turn !== undefined && delay_ms > 0) return;
    this.turn?.cancel();
    this.turnIsNext = delay_ms === 0;
    this.turn = this.parts.clock.after(delay_ms, () => {
      this.turn = undefined;
      this.turnIsNext = false;
      this.run();
    });
  }

  /** The stream has ended, or must. */
  private end(): void {
    if (this.carrier.domain === undefined) {
      this.close();
      return;
    }
    const failure = this.carrier.failure?.();
    const broken = failure instanceof ProtocolViolation;
    this.refuse(broken ? XENSTORE_ERROR_RINGIDX : XENSTORE_ERROR_COMM, failure);
  }

  /** A client broke a rule. A socket is closed; a ring is ignored, since the domain still lives. */
  private refuse(error: number, reason: unknown): void {
    this.parts.log.warn(`${this.name} is not listened to any more: ${errorMessage(reason)}`);
    if (this.carrier.domain === undefined) {
      this.close();
      return;
    }
    this.ignored = true;
    this.turn?.cancel();
    this.reset();
    this.outgoing.clear();
    this.carrier.refuse?.(error);
  }
}
