/** What a domain, or for dom0 also a socket of the tools, has asked for since it came. */
import { HEADER_SIZE, type Packet } from '../xenstore/packet.ts';

/** Stands for all types of requests that there are not, so that a guest cannot fill memory with them. */
export const UNKNOWN_REQUEST = -1;

const sizeOf = ({ payload }: Packet) => HEADER_SIZE + payload.length;

export class Activity {
  /** Bytes, with headers. */
  received = 0;
  sent = 0;
  /** Requests that were answered with an error. */
  errors = 0;
  events = 0;
  /** Transactions that were committed as they were. */
  committed = 0;
  /** Transactions that were committed after their requests were run again. */
  replayed = 0;
  /** Transactions that got EAGAIN. */
  conflicted = 0;
  private readonly requestsByType = new Map<number, number>();

  /** @param type of the request, or `UNKNOWN_REQUEST` */
  countRequest(type: number, packet: Packet): void {
    this.requestsByType.set(type, (this.requestsByType.get(type) ?? 0) + 1);
    this.received += sizeOf(packet);
  }

  countReply(packet: Packet, isError: boolean): void {
    this.sent += sizeOf(packet);
    if (isError) this.errors++;
  }

  countEvent(packet: Packet): void {
    this.sent += sizeOf(packet);
    this.events++;
  }

  /** How many of each type, `UNKNOWN_REQUEST` among them. */
  get requests(): ReadonlyMap<number, number> {
    return this.requestsByType;
  }
}
