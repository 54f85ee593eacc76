/** What becomes of one domain's connection, for the journal. */
import type { Packet } from '../../xenstore/packet.ts';
import type { ChargeState, ConnectionState, WatchState } from '../state.ts';
import type { ByteWriter } from './byte-writer.ts';
import {
  ENTRY_RING,
  ENTRY_RING_GONE,
  ENTRY_RING_IGNORED,
  ENTRY_TRANSACTION,
  ENTRY_TRANSACTION_GONE,
  putConnection,
  putOutput,
  putOutputDropped,
  putPosition,
  putRing,
  putTransaction,
  putTransactionRequest,
  putWatch,
  putWatchGone,
  type RingPosition,
} from './entries.ts';

export interface RingSource {
  position(): RingPosition;
}

export class RingJournal {
  private readonly domid: number;
  private readonly source: RingSource;
  private readonly out: ByteWriter;
  /** Those whose position the next commit tells. */
  private readonly moving: Set<RingJournal>;

  constructor(domid: number, source: RingSource, out: ByteWriter, moving: Set<RingJournal>) {
    this.domid = domid;
    this.source = source;
    this.out = out;
    this.moving = moving;
  }

  /** It begins, as a new one or as an earlier one was. */
  opened(state: ConnectionState | undefined): void {
    if (state === undefined) putRing(this.out, ENTRY_RING, this.domid);
    else putConnection(this.out, state);
    this.moved();
  }

  closed(): void {
    this.moving.delete(this);
    putRing(this.out, ENTRY_RING_GONE, this.domid);
  }

  ignored(): void {
    putRing(this.out, ENTRY_RING_IGNORED, this.domid);
  }

  /** Something was taken from the ring. */
  moved(): void {
    this.moving.add(this);
  }

  putPosition(): void {
    putPosition(this.out, this.domid, this.source.position());
  }

  queued(packet: Packet, charge: ChargeState | undefined): void {
    putOutput(this.out, this.domid, { packet, sent: 0, charge });
  }

  /** Some of the output is about to be dropped: those at these indexes of what is not sent, in order. */
  dropping(indexes: readonly number[]): void {
    this.putPosition();
    putOutputDropped(this.out, this.domid, indexes);
  }

  watched(watch: WatchState): void {
    putWatch(this.out, this.domid, watch);
  }

  unwatched(path: string, token: string): void {
    putWatchGone(this.out, this.domid, path, token);
  }

  transactionStarted(id: number): void {
    putTransaction(this.out, ENTRY_TRANSACTION, this.domid, id);
  }

  transactionEnded(id: number): void {
    putTransaction(this.out, ENTRY_TRANSACTION_GONE, this.domid, id);
  }

  /** A request has changed something within the transaction. */
  transactionChanged(id: number, request: Packet): void {
    putTransactionRequest(this.out, this.domid, id, request);
  }
}
