/** What a connection has to send: replies and events, in order, until the client takes them. */
import { XS_WATCH_EVENT } from '../abi/io/xs_wire.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { encodeStrings, HEADER_SIZE, PAYLOAD_MAX, type Packet } from '../xenstore/packet.ts';
import type { PacketStream } from '../xenstore/packet-stream.ts';
import type { Charge } from './charge.ts';
import type { Account } from './quota.ts';

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
}

const sizeOf = (packet: Packet) => HEADER_SIZE + packet.payload.length;

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
    const { account, clock, eventTimeout_ms } = this.parts;
    const key = path.startsWith('@') ? undefined : `${path}\0${token}`;
    if (key !== undefined && this.pendingEvents.has(key)) return;
    if (account.memoryExceededBy(HEADER_SIZE + length)) {
      account.logDenial('memoryHard', 'memory for an event');
      return;
    }
    if (key !== undefined) this.pendingEvents.add(key);
    const timed = eventTimeout_ms > 0 && !account.privileged;
    this.push({
      packet: {
        type: XS_WATCH_EVENT,
        requestId: 0,
        transactionId: 0,
        payload: encodeStrings(path, token),
      },
      charge,
      event: key,
      expires_ms: timed ? clock.now_ms() + eventTimeout_ms : Number.POSITIVE_INFINITY,
    });
    if (timed) this.expiry ??= clock.after(eventTimeout_ms, () => this.expire());
  }

  /** Gives the client what it takes now. */
  flush(): void {
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

  private push(item: Item): void {
    this.parts.queued(item.packet);
    item.charge?.hold();
    this.items.push(item);
    this.bytesQueued += sizeOf(item.packet);
    this.parts.account.addMemory(sizeOf(item.packet));
  }

  private settle(item: Item): void {
    if (item.event !== undefined) this.pendingEvents.delete(item.event);
    this.bytesQueued -= sizeOf(item.packet);
    this.parts.account.addMemory(-sizeOf(item.packet));
    item.charge?.release();
  }

  /** Drops the events that have waited too long, but not one that the client has a part of. */
  private expire(): void {
    this.expiry = undefined;
    const { clock } = this.parts;
    const now_ms = clock.now_ms();
    const waiting = this.items.slice(this.head);
    this.items = waiting.filter(
      (item, index) => item.expires_ms > now_ms || (index === 0 && this.underWay),
    );
    this.head = 0;
    const kept = new Set(this.items);
    for (const item of waiting) if (!kept.has(item)) this.settle(item);
    // All events wait equally long, so the first that is left and still whole is the next to go.
    const next = this.items.find(({ expires_ms }) => {
      return expires_ms > now_ms && expires_ms !== Number.POSITIVE_INFINITY;
    });
    if (next !== undefined) {
      this.expiry = clock.after(next.expires_ms - now_ms, () => this.expire());
    }
  }
}
