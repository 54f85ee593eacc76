/** What a connection has to send: replies and events, in order, until the client takes them. */
import { XS_WATCH_EVENT } from '../abi/io/xs_wire.ts';
import { latin1Decode } from '../base/bytes.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { encodeStrings, HEADER_SIZE, PAYLOAD_MAX, type Packet } from '../xenstore/packet.ts';
import type { PacketStream } from '../xenstore/packet-stream.ts';
import type { Charge } from './charge.ts';
import type { RingJournal } from './journal/ring-journal.ts';
import { packetSize } from './output-state.ts';
import type { Account } from './quota.ts';
import type { ChargeState, OutputState } from './state.ts';

interface Item {
  readonly packet: Packet;
  /** Of the request that this answers, or that caused this event. */
  readonly charge: Charge | undefined;
  /** Of an event that another like it would add nothing to. */
  readonly event: string | undefined;
  /** When it is no longer worth telling. */
  readonly expires_ms: number;
}

export interface OutgoingParts {
  readonly packets: PacketStream;
  /** Pays for what is queued. */
  readonly account: Account;
  readonly clock: Clock;
  /** How long an event waits to be taken; 0 for ever. */
  readonly eventTimeout_ms: number;
  /** Told of every reply and event when it is queued. */
  readonly queued: (packet: Packet) => void;
  /** Of a domain's ring. */
  readonly journal: RingJournal | undefined;
  /** Makes what was recorded true, before anything else is sent. */
  readonly commit: () => void;
}

/** What makes another event like this one add nothing; `undefined` of one that tells of a happening. */
function eventKey(path: string, token: string): string | undefined {
  return path.startsWith('@') ? undefined : `${path}\0${token}`;
}

export class Outgoing {
  private readonly parts: OutgoingParts;
  private items: Item[] = [];
  /** The items before this index have been sent. */
  private head = 0;
  /** The first item has been given to the stream, at least in part. */
  private underWay = false;
  private bytesQueued = 0;
  private readonly pendingEvents = new Set<string>();
  private expiry: Timer | undefined;

  constructor(parts: OutgoingParts) {
    this.parts = parts;
  }

  /** Bytes that the client has not taken. */
  get bytes(): number {
    return this.bytesQueued;
  }

  reply(packet: Packet, charge: Charge | undefined): void {
    this.push({
      packet,
      charge,
      event: undefined,
      expires_ms: Number.POSITIVE_INFINITY,
    });
  }

  /**
   * Queues a watch event. One that is too long is dropped (XSA-324), and so is one that is waiting
   * already, unless it tells of a happening, and one for which the client has no memory left.
   */
  event(path: string, token: string, charge: Charge | undefined): void {
    const length = path.length + token.length + 2;
    if (length > PAYLOAD_MAX) return;
    const { account } = this.parts;
    const key = eventKey(path, token);
    if (key !== undefined && this.pendingEvents.has(key)) return;
    if (account.memoryExceededBy(HEADER_SIZE + length)) {
      account.logDenial('memoryHard', 'memory for an event');
      return;
    }
    const payload = encodeStrings(path, token);
    this.pushEvent({ type: XS_WATCH_EVENT, requestId: 0, transactionId: 0, payload }, key, charge);
  }

  /** Bytes that are not sent; unlike `bytes` it counts of a packet that was sent in part the rest alone. */
  get unsent(): number {
    const first = this.items[this.head];
    const part = this.underWay && first !== undefined ? packetSize(first.packet) : 0;
    return this.bytesQueued - part + (part === 0 ? 0 : this.parts.packets.queuedBytes);
  }

  /** What waits to be sent. */
  capture(): OutputState[] {
    const { packets } = this.parts;
    return this.items.slice(this.head).map(({ packet, charge }, index) => ({
      packet,
      sent: index === 0 && this.underWay ? packetSize(packet) - packets.queuedBytes : 0,
      charge: charge?.state,
    }));
  }

  /** Queues what waited to be sent elsewhere. Events may wait as long as new ones. */
  takeUp(
    output: readonly OutputState[],
    chargeOf: (state: ChargeState) => Charge | undefined,
  ): void {
    for (const { packet, sent, charge: state } of output) {
      const charge = state && chargeOf(state);
      if (packet.type === XS_WATCH_EVENT) {
        const [path, token] = latin1Decode(packet.payload).split('\0') as [string, string];
        this.pushEvent(packet, eventKey(path, token), charge);
      } else {
        this.reply(packet, charge);
      }
      if (sent === 0) continue;
      this.parts.packets.sendRest(packet, sent);
      this.underWay = true;
    }
  }

  /** Gives the client what it takes now. */
  flush(): void {
    if (this.items.length === 0) return;
    const { packets } = this.parts;
    for (let item = this.items[this.head]; item !== undefined; item = this.items[this.head]) {
      if (!this.underWay) packets.send(item.packet);
      this.underWay = true;
      if (!packets.flush()) return;
      this.underWay = false;
      this.head++;
      this.settle(item);
    }
    this.items = [];
    this.head = 0;
  }

  /** Forgets all that was not sent. */
  clear(): void {
    const items = this.items.slice(this.head);
    this.items = [];
    this.head = 0;
    this.underWay = false;
    this.expiry?.cancel();
    this.expiry = undefined;
    for (const item of items) this.settle(item);
  }

  private pushEvent(packet: Packet, key: string | undefined, charge: Charge | undefined): void {
    const { account, clock, eventTimeout_ms } = this.parts;
    if (key !== undefined) this.pendingEvents.add(key);
    const timed = eventTimeout_ms > 0 && !account.privileged;
    const expires_ms = timed ? clock.now_ms() + eventTimeout_ms : Number.POSITIVE_INFINITY;
    this.push({ packet, charge, event: key, expires_ms });
    if (timed) this.expiry ??= clock.after(eventTimeout_ms, () => this.expire());
  }

  private push(item: Item): void {
    this.parts.queued(item.packet);
    this.parts.journal?.queued(item.packet, item.charge?.state);
    item.charge?.hold();
    this.items.push(item);
    this.bytesQueued += packetSize(item.packet);
    this.parts.account.addMemory(packetSize(item.packet));
  }

  private settle(item: Item): void {
    if (item.event !== undefined) this.pendingEvents.delete(item.event);
    this.bytesQueued -= packetSize(item.packet);
    this.parts.account.addMemory(-packetSize(item.packet));
    item.charge?.release();
  }

  /** Drops the events that have waited too long, but not one that the client has a part of. */
  private expire(): void {
    this.expiry = undefined;
    const { clock } = this.parts;
    const now_ms = clock.now_ms();
    const waiting = this.items.slice(this.head);
    const stays = (item: Item, index: number) =>
      item.expires_ms > now_ms || (index === 0 && this.underWay);
    const dropped = [...waiting.keys()].filter((index) => !stays(waiting[index] as Item, index));
    this.parts.journal?.dropping(dropped);
    this.items = waiting.filter(stays);
    this.head = 0;
    for (const index of dropped) this.settle(waiting[index] as Item);
    this.parts.commit();
    // All events wait equally long, so the first that is left and still whole is the next to go.
    const next = this.items.find(({ expires_ms }) => {
      return expires_ms > now_ms && expires_ms !== Number.POSITIVE_INFINITY;
    });
    if (next !== undefined) {
      this.expiry = clock.after(next.expires_ms - now_ms, () => this.expire());
    }
  }
}
