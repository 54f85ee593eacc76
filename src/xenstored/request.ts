/** One request, as an operation sees it: who asks, for what, and with what it may work. */
import { XS_ERROR } from '../abi/io/xs_wire.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { decodeStrings, encodeError, type Packet } from '../xenstore/packet.ts';
import type { Charge } from './charge.ts';
import type { Connection } from './connection.ts';
import type { Introductions } from './introduction.ts';
import type { LiveUpdate } from './live-update.ts';
import { Nodes } from './nodes.ts';
import type { Reply } from './reply.ts';
import type { Store } from './store.ts';
import type { Trace } from './trace.ts';
import type { Transaction } from './transaction.ts';
import { LiveView } from './view.ts';

/** What all requests share. */
export interface Services {
  readonly store: Store;
  readonly introductions: Introductions;
  readonly clock: Clock;
  readonly log: Log;
  readonly trace: Trace;
  readonly liveUpdate: LiveUpdate;
}

export class Request {
  readonly connection: Connection;
  readonly services: Services;
  readonly packet: Packet;
  /** The transaction that it belongs to, if to any. */
  readonly transaction: Transaction | undefined;
  readonly charge: Charge | undefined;
  /** The nodes were looked at: a transaction keeps such a request. */
  aboutNodes = false;
  /** What is done after the reply was queued. */
  afterReply: () => void = () => {};

  constructor(
    connection: Connection,
    services: Services,
    packet: Packet,
    transaction: Transaction | undefined,
    charge: Charge | undefined,
  ) {
    this.connection = connection;
    this.services = services;
    this.packet = packet;
    this.transaction = transaction;
    this.charge = charge;
  }

  get payload(): Uint8Array {
    return this.packet.payload;
  }

  get store(): Store {
    return this.services.store;
  }

  /** The nodes, as the transaction has them if there is one. */
  nodes(): Nodes {
    const { store, transaction, charge, connection } = this;
    this.aboutNodes = true;
    return new Nodes(store, transaction ?? new LiveView(store, charge), connection);
  }

  /** The payload as exactly one string with a NUL at its end. Throws EINVAL. */
  onlyString(): string {
    const { strings, end } = decodeStrings(this.payload, 1);
    const [only] = strings;
    if (only === undefined || end !== this.payload.length) {
      throw new XenError(
        'EINVAL',
        'read a request',
        'it is to be one string with a NUL at its end',
      );
    }
    return only;
  }

  /** The strings of the payload that a NUL ends, at least `countMin`. Throws EINVAL. */
  strings(countMin: number): string[] {
    const { strings } = decodeStrings(this.payload);
    if (strings.length < countMin) {
      throw new XenError('EINVAL', 'read a request', `it is to have ${countMin} strings`);
    }
    return strings;
  }
}

/**
 * The reply for what was thrown while a request was worked on. What is wrong with a request is told
 * to whoever sent it; what is wrong with us, to the operator too.
 */
export function errorReply(error: unknown, connection: Connection, services: Services): Reply {
  if (error instanceof XenError) return { type: XS_ERROR, payload: encodeError(error.code) };
  services.log.error(`a request of ${connection.name} failed: ${errorMessage(error)}`);
  return { type: XS_ERROR, payload: encodeError('EIO') };
}

/** A number as C's atoi() takes it from the start of a string: what is not one is 0. */
export function leadingInteger(text: string): number {
  return Number(/^[ \t\n\v\f\r]*([+-]?\d+)/.exec(text)?.[1] ?? 0) | 0;
}

/** As `leadingInteger`, for a domid. */
export function leadingDomid(text: string): number {
  return leadingInteger(text) >>> 0;
}
