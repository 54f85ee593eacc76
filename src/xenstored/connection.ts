/** One client of xenstored, whatever carries its bytes: a domain's ring, or a socket of the tools. */
import {
  XENSTORE_ERROR_COMM,
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XS_ERROR,
  XS_TRANSACTION_START,
  XS_WATCH_EVENT,
} from '../abi/io/xs_wire.ts';
import type { ByteStream } from '../base/byte-stream.ts';
import { joinBytes } from '../base/bytes.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { errorMessage, ProtocolViolation } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { encodeError, encodePacket, PAYLOAD_MAX, type Packet } from '../xenstore/packet.ts';
import { PacketStream } from '../xenstore/packet-stream.ts';
import type { Charge } from './charge.ts';
import type { Domain } from './domain.ts';
import { SERVER_FEATURES } from './features.ts';
import type { RingPosition } from './journal/entries.ts';
import type { RingJournal } from './journal/ring-journal.ts';
import type { XenstoredOptions } from './options.ts';
import { Outgoing } from './outgoing.ts';
import type { Identity } from './permissions.ts';
import type { ChargeState, ConnectionState, OutputState, WatchState } from './state.ts';
import type { Store } from './store.ts';
import type { Trace } from './trace.ts';
import { Transaction } from './transaction.ts';
import type { Requester } from './view.ts';
import type { Watch, Watcher } from './watch.ts';

const unsent = (packet: Packet): OutputState => ({ packet, sent: 0, charge: undefined });

/** Requests that one client is answered in a row before the others have their turn. */
const REQUESTS_PER_TURN = 32;
/** How long such a turn may take; it ends with the request that makes it longer. */
const TURN_MS = 0.5;

/** A ring as its own two indexes tell of it. */
export interface RingEnd {
  /** Where it stands; what was taken counts as consumed. */
  readonly position: { readonly consumed: number; readonly produced: number };
  /** Bytes that were read and are not given free. */
  readonly taken: number;
  /** Gives them free. */
  release(): void;
}

/** What carries a client's bytes. */
export interface Carrier {
  readonly stream: ByteStream;
  /** A ring of this domain's; absent for a socket. */
  readonly domain: Domain | undefined;
  /** Why the stream ended by itself; absent for a socket, which just ends. */
  readonly failure?: () => unknown;
  /** Of a socket that another process can take over. */
  readonly handover?: Handover | undefined;
  /** Of a domain's ring. */
  readonly ring?: RingEnd;
  /** Puts another connection into the place of this one if the domain asks for that; returns whether it did. */
  readonly reconnect?: () => boolean;
  /** Tells the client, `XENSTORE_ERROR_…`, that it is not listened to any more. */
  readonly refuse?: (error: number) => void;
}

/** How another process takes over a socket. */
export interface Handover {
  readonly fd: number;
  /** A copy of the bytes that were taken from the kernel and not from the stream. */
  unread(): Uint8Array;
  /** A copy of the bytes that the stream took and the kernel has not. */
  unsent(): Uint8Array;
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
  /** False while all transactions must end. */
  readonly mayStartTransaction: () => boolean;
  /** The connection has closed. */
  readonly closed: (connection: Connection) => void;
  readonly trace: Trace;
  /** The charge of a connection's state that is taken up; the same for the same id. */
  readonly chargeOf: (state: ChargeState) => Charge | undefined;
  /** Makes what was recorded in the journal true. */
  readonly commit: () => void;
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
  /** Of a ring, where there is a journal. */
  readonly journal: RingJournal | undefined;
  private lastTransactionId = 0;
  /** Broke a rule: its ring stays mapped and is not looked at until the domain is gone. */
  private ignored = false;
  private isClosed = false;
  /** Its next request would start a transaction, and may not yet. */
  private startsHeld = false;
  private turn: Timer | undefined;
  /** The turn comes as soon as the others had theirs. */
  private turnIsNext = false;

  /** @param state what the client's connection to an earlier xenstored was */
  constructor(name: string, carrier: Carrier, parts: ConnectionParts, state?: ConnectionState) {
    this.name = name;
    this.carrier = carrier;
    this.parts = parts;
    this.identity = carrier.domain;
    // A socket acts in dom0's name: there relative paths stand, and dom0 pays.
    this.domain = carrier.domain ?? parts.store.domains.findOrCreate(0);
    const { activity } = this.domain;
    this.packets = new PacketStream(carrier.stream);
    this.journal =
      carrier.domain &&
      parts.store.journal?.ring(carrier.domain.domid, { position: () => this.ringPosition() });
    this.outgoing = new Outgoing({
      journal: this.journal,
      commit: parts.commit,
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
    if (state !== undefined) this.takeUp(state);
    this.journal?.opened(state);
    // Whoever has a turn coming does not get another for ringing the bell.
    this.packets.onReady(() => {
      if (!this.turnIsNext) this.run();
    });
  }

  /**
   * All of it but the carrier, or `undefined` where nobody could take that over.
   *
   * @param reply is to be sent after all else
   */
  capture(reply?: Packet): ConnectionState | undefined {
    const { carrier, name, ignored } = this;
    const { domain, handover, ring } = carrier;
    const state = {
      input: joinBytes(this.packets.partialInput(), handover?.unread()),
      output: [...this.outgoing.capture(), ...(reply === undefined ? [] : [unsent(reply)])],
      watches: [...this.watches.values()].map((watch) => this.watchState(watch)),
      lastTransactionId: this.lastTransactionId,
      transactions: [...this.transactions.values()].map((transaction) => transaction.capture()),
    };
    if (domain !== undefined && ring !== undefined) {
      const { domid } = domain;
      return { ...state, carrier: { kind: 'ring', domid, ignored, ...ring.position } };
    }
    if (handover === undefined) return undefined;
    const { fd } = handover;
    return { ...state, carrier: { kind: 'socket', fd, name, unsent: handover.unsent() } };
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
    if (this.isClosed || this.carrier.reconnect?.() || this.ignored) return;
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

  /** @param number where it stands among all watches; as the latest if not given */
  addWatch(watch: Watch, number?: number): void {
    const { account } = this.domain;
    this.watches.set(`${watch.path}\0${watch.token}`, watch);
    if (number === undefined) this.parts.store.watches.add(watch);
    else this.parts.store.watches.addAgain(watch, number);
    this.journal?.watched(this.watchState(watch));
    if (this.identity !== undefined) account.watches++;
    this.noteWatch('create', watch);
    account.addMemory(watch.path.length + watch.token.length);
  }

  removeWatch(watch: Watch): void {
    const { account } = this.domain;
    if (!this.watches.delete(`${watch.path}\0${watch.token}`)) return;
    this.parts.store.watches.remove(watch);
    this.journal?.unwatched(watch.path, watch.token);
    this.noteWatch('destroy', watch);
    if (this.identity !== undefined) account.watches--;
    account.addMemory(-watch.path.length - watch.token.length);
  }

  startTransaction(): Transaction {
    do {
      this.lastTransactionId = (this.lastTransactionId + 1) >>> 0;
    } while (this.lastTransactionId === 0 || this.transactions.has(this.lastTransactionId));
    return this.addTransaction(this.lastTransactionId);
  }

  endTransaction(transaction: Transaction): void {
    if (!this.transactions.delete(transaction.id)) return;
    this.parts.store.openTransactions--;
    this.journal?.transactionEnded(transaction.id);
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
    this.journal?.closed();
    this.packets.close();
    this.parts.trace.note('obj', this.name, 'destroy', 'connection');
    this.parts.closed(this);
  }

  private takeUp(state: ConnectionState): void {
    const { carrier } = state;
    this.ignored = carrier.kind === 'ring' && carrier.ignored;
    this.packets.putBack(state.input);
    for (const { path, token, depth, relative, number } of state.watches) {
      const home = relative ? this.domain.home : '';
      this.addWatch({ watcher: this, path, token, depth, home }, number);
    }
    this.lastTransactionId = state.lastTransactionId;
    for (const open of state.transactions) this.addTransaction(open.id).takeUp(open);
    this.outgoing.takeUp(state.output, this.parts.chargeOf);
    // Nobody else wakes us for what is here already.
    this.runAfter(0);
  }

  private addTransaction(id: number): Transaction {
    const transaction = new Transaction(id, this.parts.store, this);
    this.transactions.set(id, transaction);
    this.parts.store.openTransactions++;
    this.journal?.transactionStarted(id);
    this.noteTransaction('create', transaction);
    return transaction;
  }

  private watchState(watch: Watch): WatchState {
    const { path, token, depth, home } = watch;
    const number = this.parts.store.watches.numberOf(watch);
    return { path, token, depth, relative: home !== '', number };
  }

  private ringPosition(): RingPosition {
    const { carrier, packets, outgoing } = this;
    const { consumed, produced } = carrier.ring?.position ?? { consumed: 0, produced: 0 };
    return { consumed, produced, pending: outgoing.unsent, input: packets.partialInput() };
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
      if (request === undefined) {
        // The domain may have added bytes while we had not given free those before, and told nobody.
        if (!this.giveFree()) return;
        continue;
      }
      if (this.mustNotStart(request)) {
        this.packets.putBack(encodePacket(request));
        this.giveFree();
        break;
      }
      const { account } = this.domain;
      const charge = this.identity === undefined ? undefined : this.parts.store.newCharge(account);
      this.parts.answer(this, request, charge);
      if (this.deaf) return;
      this.giveFree();
      this.flush();
    }
    this.parts.held(this);
  }

  /**
   * Makes what became of the bytes that were taken true, and only then gives their place in the
   * ring free: a xenstored that ends before finds them there again. Returns whether there were any.
   */
  private giveFree(): boolean {
    const { ring } = this.carrier;
    const hasTaken = ring !== undefined && ring.taken > 0;
    if (hasTaken) this.journal?.moved();
    this.parts.commit();
    if (hasTaken) ring.release();
    return hasTaken;
  }

  /** Of whoever has a transaction the requests go on, since they will end it. */
  private mustNotStart({ type, transactionId }: Packet): boolean {
    const starts = type === XS_TRANSACTION_START && transactionId === 0;
    this.startsHeld = starts && this.transactions.size === 0 && !this.parts.mayStartTransaction();
    return this.startsHeld;
  }

  /** Whether the client may have another request answered now. */
  private mayContinue(): boolean {
    if (this.startsHeld && !this.parts.mayStartTransaction()) return false;
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
    this.journal?.ignored();
    this.carrier.refuse?.(error);
  }
}
