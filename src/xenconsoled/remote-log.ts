/**
 * The log of one console whose daemon is a domain of its own: the relay in dom0 keeps it. A batch stays
 * in the guest's ring until the relay says that it is stored. When the relay was killed before it said
 * so, the next one is told where in the ring the batch began, and its note (guest-log.ts) whether that
 * has to be taken back; then it gets the batch again.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { ConsoleLog } from './console-outlets.ts';
import type { RelayConnection } from './relay-connection.ts';
import type { RelayMessage } from './relay-frames.ts';

/** How long a guest waits for a relay that is away before it goes on without. */
export const RELAY_PATIENCE_MS = 60_000;
/** Bytes of one console that are kept for a relay that is away for longer; what comes on top is dropped. */
export const KEPT_BYTES_MAX = 1 << 18;

/**
 * The relay is told at most so often that its note is of no use any more. Where a ring goes on, the next
 * index says so, too; to say it after each batch would wake dom0 a second time for it.
 */
export const REST_MS = 1_000;

/** What the relay has yet to store. */
interface Piece {
  /** Where in the ring it began. */
  readonly index: number;
  readonly bytes: Uint8Array;
  /** Somebody waits for it. */
  stored: (() => void) | undefined;
}

export interface RemoteLogParts {
  readonly domid: DomId;
  /** Where in the ring the first batch will begin. */
  readonly index: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once there is nothing left to tell the relay. */
  readonly onOver: () => void;
}

/** Indexes of the ring count over 32 bits. */
const after = (index: number, length: number) => (index + length) >>> 0;

export class RemoteLog implements ConsoleLog {
  private readonly parts: RemoteLogParts;
  private connection: RelayConnection | undefined;
  private channel = 0;
  /** The relay has opened the log. */
  private ready = false;
  /** The oldest piece is on its way. */
  private sent = false;
  private closeSent = false;
  private pieces: Piece[] = [];
  private keptBytes = 0;
  private lostBytes = 0;
  /** Where in the ring the next batch begins. */
  private next: number;
  private impatience: Timer | undefined;
  /** The relay's note may tell of a batch. */
  private noted = false;
  private resting: Timer | undefined;
  /** The relay has been away for so long that nobody waits for it. */
  private abandoned = false;
  private ending: { readonly isOver: boolean; readonly done: () => void } | undefined;

  constructor(parts: RemoteLogParts) {
    this.parts = parts;
    this.next = parts.index;
  }

  /** There is a relay: asks it for the log. */
  connect(connection: RelayConnection, channel: number): void {
    this.connection = connection;
    this.channel = channel;
    this.ready = false;
    this.sent = false;
    this.closeSent = false;
    // The piece that the last relay had not confirmed is the one that it may have begun to store.
    const index = this.pieces[0]?.index ?? this.next;
    connection.send({ type: 'open', channel, kind: 'log', domid: this.parts.domid, index });
  }

  /** The relay is gone. What it has not confirmed is the next one's. */
  disconnect(): void {
    this.connection = undefined;
    this.ready = false;
    // A ring that lives still has what was not confirmed.
    if (this.ending?.isOver === false) this.finish();
  }

  /** What the relay says of the log; false when that is nothing that it may say now. */
  receive(message: RelayMessage): boolean {
    if (message.type === 'opened' && !this.ready) {
      this.ready = true;
      this.advance();
      return true;
    }
    if (message.type === 'stored' && this.sent) {
      this.confirm();
      return true;
    }
    if (message.type !== 'close' || !this.closeSent) return false;
    this.finish();
    return true;
  }

  take(index: number, bytes: Uint8Array, stored: () => void): void {
    this.next = after(index, bytes.length);
    if (this.abandoned && this.keptBytes + bytes.length > KEPT_BYTES_MAX) {
      this.drop(bytes.length);
      this.parts.clock.after(0, stored);
      return;
    }
    if (this.abandoned) this.parts.clock.after(0, stored);
    this.keep({ index, bytes: bytes.slice(), stored: this.abandoned ? undefined : stored });
  }

  rest(): void {
    if (!this.noted) return;
    this.resting ??= this.parts.clock.after(REST_MS, () => {
      this.resting = undefined;
      this.tellRest();
    });
  }

  takeLast(bytes: Uint8Array): void {
    const index = this.next;
    this.next = after(index, bytes.length);
    if (this.keptBytes + bytes.length > KEPT_BYTES_MAX) this.drop(bytes.length);
    else this.keep({ index, bytes: bytes.slice(), stored: undefined });
  }

  /**
   * Resolves when the relay has closed the log; when there is none, soon: of a guest that is gone,
   * what it printed last is kept for the next relay.
   */
  close(isOver: boolean): Promise<void> {
    return new Promise((resolve) => {
      this.ending = { isOver, done: resolve };
      if (this.connection === undefined && !isOver) return this.finish();
      if (this.connection === undefined) resolve();
      this.advance();
    });
  }

  /** Nobody will tell the relay any more. */
  abandon(): void {
    this.impatience?.cancel();
    this.resting?.cancel();
    this.ending?.done();
  }

  private tellRest(): void {
    if (!this.ready || this.pieces.length > 0 || this.ending !== undefined) return;
    this.noted = false;
    this.connection?.send({ type: 'rest', channel: this.channel });
  }

  private keep(piece: Piece): void {
    this.pieces.push(piece);
    this.keptBytes += piece.bytes.length;
    if (piece.stored !== undefined) {
      this.impatience ??= this.parts.clock.after(RELAY_PATIENCE_MS, () => this.loseHope());
    }
    this.advance();
  }

  /** Tells the relay the next thing, where it waits for one. */
  private advance(): void {
    const { connection, channel } = this;
    if (connection === undefined || !this.ready || this.sent || this.closeSent) return;
    const [piece] = this.pieces;
    if (piece !== undefined) {
      this.sent = true;
      this.noted = true;
      connection.send({ type: 'batch', channel, index: piece.index, bytes: piece.bytes });
    } else if (this.ending !== undefined) {
      this.closeSent = true;
      connection.send({ type: 'close', channel, isOver: this.ending.isOver });
    }
  }

  private confirm(): void {
    const piece = this.pieces.shift() as Piece;
    this.sent = false;
    this.keptBytes -= piece.bytes.length;
    this.impatience?.cancel();
    this.impatience = undefined;
    if (this.pieces.length === 0) this.recover();
    piece.stored?.();
    this.advance();
  }

  private loseHope(): void {
    const { log, domid } = this.parts;
    this.impatience = undefined;
    this.abandoned = true;
    log.warn('the relay does not store output: the guest goes on without', { domid });
    for (const piece of this.pieces) {
      piece.stored?.();
      piece.stored = undefined;
    }
  }

  /** The relay has all that was kept for it. */
  private recover(): void {
    const { log, domid } = this.parts;
    this.abandoned = false;
    if (this.lostBytes === 0) return;
    log.warn('the log is written again', { domid, lost_bytes: this.lostBytes });
    this.lostBytes = 0;
  }

  private drop(length: number): void {
    const { log, domid } = this.parts;
    if (this.lostBytes === 0) {
      log.error('the log loses output', { domid, reason: `limit: ${KEPT_BYTES_MAX} bytes` });
    }
    this.lostBytes += length;
  }

  private finish(): void {
    this.abandon();
    this.parts.onOver();
  }
}
