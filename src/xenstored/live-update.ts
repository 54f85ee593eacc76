/**
 * Live update: another program takes the place of this one while all clients stay connected. It is
 * asked for by `xenstore-control live-update`, in steps: the file or, piece by piece, what is in it,
 * perhaps its command line, and the start. Whatever fails before the other program runs leaves us serving, and is the answer.
 */
import { XS_CONTROL } from '../abi/io/xs_wire.ts';
import { type Clock, sleep } from '../base/clock.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { encodeStrings, OK_PAYLOAD, type Packet } from '../xenstore/packet.ts';
import type { Connection } from './connection.ts';
import type { ServerState } from './state.ts';

/** How often is looked whether transactions are still open. */
const TRANSACTIONS_POLL_MS = 20;

/** A program that can take the place of this one. */
export interface Successor {
  /** It goes on with all that the state has. Otherwise with what Xen 4.17 knows: no open transactions, no features. */
  readonly keepsAll: boolean;
  /** Finds out whether it would take up the state. Rejects with the reason why not. */
  rehearse(state: ServerState): Promise<void>;
  /**
   * Puts it in our place. Returns only by throwing, and then nothing has happened.
   *
   * @param ports our own ports of the rings of domains, by domid
   */
  takeOver(state: ServerState, ports: ReadonlyMap<number, number>): void;
}

/** A file's name, or what is in it: to a domain without files it is sent. */
export type Program = string | Uint8Array;

/** Finds the programs that can. */
export interface Succession {
  /**
   * @param commandLine what it is to be started with, separated by spaces; as we were if not given
   * @throws XenError why the file cannot
   */
  find(program: Program, commandLine: string | undefined): Successor;
}

export interface LiveUpdateParts {
  readonly succession: Succession | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Who has transactions open, in words for people. */
  readonly transactionHolders: () => readonly string[];
  /** The state, with a reply that this connection is to be given by the successor. */
  readonly capture: (connection: Connection, reply: Packet) => ServerState;
  readonly ports: () => ReadonlyMap<number, number>;
  /** Leaves the rings as Xen 4.17 expects them; the result takes that back. */
  readonly leaveRings: () => () => void;
  /** Answers a request of the connection, and lets those go on who were held. */
  readonly reply: (connection: Connection, packet: Packet) => void;
}

export interface StartOptions {
  /** How long open transactions are waited for. */
  readonly timeout_ms: number;
  /** They are lost after that; otherwise the update is. */
  readonly force: boolean;
}

/** Bytes that an image may have. */
const IMAGE_MAX = 4 << 20;

interface Session {
  readonly connection: Connection;
  /** For people. */
  readonly file: string;
  readonly program: Program;
  /** Bytes of an image that have not come yet. */
  missing: number;
  commandLine: string | undefined;
  started: boolean;
}

const WHAT = 'live update';

export class LiveUpdate {
  private readonly parts: LiveUpdateParts;
  private session: Session | undefined;
  private waits = false;

  constructor(parts: LiveUpdateParts) {
    this.parts = parts;
  }

  /** Transactions are waited for, so that none may be started. */
  get holdsTransactions(): boolean {
    return this.waits;
  }

  /** Throws the reason why that file will not do. */
  choose(connection: Connection, file: string): void {
    this.requireNone();
    this.successor(file, undefined);
    this.begin(connection, file, file, 0);
  }

  /** An image of that many bytes is about to come. Throws the reason why it will not do. */
  expectImage(connection: Connection, length: number): void {
    this.requireNone();
    if (length < 1 || length > IMAGE_MAX) {
      throw new XenError(
        'EINVAL',
        WHAT,
        `an image has from 1 to ${IMAGE_MAX} bytes, not ${length}`,
      );
    }
    this.begin(connection, 'an image', new Uint8Array(length), length);
  }

  /** The next bytes of it. Throws where they are more than were to come. */
  addToImage(connection: Connection, bytes: Uint8Array): void {
    const session = this.sessionOf(connection);
    const { program, missing } = session;
    if (typeof program === 'string' || bytes.length > missing) {
      throw new XenError('EINVAL', WHAT, `${missing} bytes of an image are to come`);
    }
    program.set(bytes, program.length - missing);
    session.missing -= bytes.length;
  }

  /** Throws where the connection has not chosen a file. */
  setCommandLine(connection: Connection, commandLine: string): void {
    this.sessionOf(connection).commandLine = commandLine;
  }

  /**
   * Begins, and answers the request later. Throws where the connection has not chosen a file, EBUSY
   * when it has begun already.
   */
  start(connection: Connection, request: Packet, options: StartOptions): void {
    const session = this.sessionOf(connection);
    if (session.started) throw new XenError('EBUSY', WHAT, 'it has begun already');
    if (session.missing > 0) {
      throw new XenError('EINVAL', WHAT, `${session.missing} bytes of the image are missing`);
    }
    session.started = true;
    void this.run(session, request, options);
  }

  /** Throws where there is nothing to abort. */
  abort(): void {
    if (this.session === undefined) throw new XenError('ENOENT', WHAT, 'there is none to abort');
    this.session = undefined;
  }

  /** Whoever asked for it is gone. */
  closed(connection: Connection): void {
    if (this.session?.connection === connection) this.session = undefined;
  }

  private requireNone(): void {
    if (this.session !== undefined) throw new XenError('EBUSY', WHAT, 'there is one already');
  }

  private begin(connection: Connection, file: string, program: Program, missing: number): void {
    this.session = { connection, file, program, missing, commandLine: undefined, started: false };
  }

  private sessionOf(connection: Connection): Session {
    if (this.session?.connection === connection) return this.session;
    throw new XenError('EINVAL', WHAT, 'the file comes first');
  }

  private successor(program: Program, commandLine: string | undefined): Successor {
    const { succession } = this.parts;
    if (succession === undefined) throw new XenError('ENOTSUP', WHAT, 'nothing can replace this');
    return succession.find(program, commandLine);
  }

  private async run(session: Session, request: Packet, options: StartOptions): Promise<void> {
    const { log, reply } = this.parts;
    const { connection, file } = session;
    log.info(`live update to ${file} begins`, { file });
    let reason = '';
    try {
      await this.replace(session, request, options);
    } catch (error) {
      reason = errorMessage(error);
    }
    log.error(`live update failed: ${reason}`, { file });
    this.waits = false;
    if (this.session === session) this.session = undefined;
    reply(connection, answerTo(request, encodeStrings(latin1Only(reason))));
  }

  private async replace(session: Session, request: Packet, options: StartOptions): Promise<void> {
    const { capture, ports, leaveRings } = this.parts;
    const { connection, program, commandLine } = session;
    const successor = this.successor(program, commandLine);
    const state = () => capture(connection, answerTo(request, OK_PAYLOAD));
    await successor.rehearse(state());
    this.checkWanted(session);
    if (successor.keepsAll) {
      successor.takeOver(state(), ports());
      return;
    }
    await this.waitForTransactions(session, options);
    const takeRingsBack = leaveRings();
    try {
      successor.takeOver(state(), ports());
    } catch (error) {
      takeRingsBack();
      throw error;
    }
  }

  private async waitForTransactions(session: Session, options: StartOptions): Promise<void> {
    const { clock, log, transactionHolders } = this.parts;
    const { timeout_ms, force } = options;
    const deadline_ms = clock.now_ms() + timeout_ms;
    this.waits = true;
    const first = transactionHolders();
    if (first.length > 0) log.info(`live update waits for the transactions of ${first.join(', ')}`);
    for (;;) {
      const holders = transactionHolders();
      if (holders.length === 0) return;
      if (clock.now_ms() >= deadline_ms) {
        if (force) return;
        const who = holders.join(', ');
        throw new XenError('EBUSY', WHAT, `transactions would be lost, of ${who}`);
      }
      await sleep(clock, TRANSACTIONS_POLL_MS);
      this.checkWanted(session);
    }
  }

  private checkWanted(session: Session): void {
    if (this.session !== session) throw new XenError('EIO', WHAT, 'it was aborted');
  }
}

function answerTo({ requestId, transactionId }: Packet, payload: Uint8Array): Packet {
  return { type: XS_CONTROL, requestId, transactionId, payload };
}

/** A message of the system may hold any characters; on the wire there are bytes. */
function latin1Only(text: string): string {
  return text.replace(/[^ -\xff]/g, '?');
}
