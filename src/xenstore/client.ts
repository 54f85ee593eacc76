/** Xenstore as a client sees it, over any byte stream that leads to a xenstored. */
import {
  XS_CONTROL,
  XS_GET_DOMAIN_PATH,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_RELEASE,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
} from '../abi/io/xs_wire.ts';
import type { ByteStream } from '../base/byte-stream.ts';
import { latin1Decode } from '../base/bytes.ts';
import { type Clock, sleep } from '../base/clock.ts';
import { errorCode, ProtocolViolation, type XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import { Connection } from './connection.ts';
import { NodeOperations, replyStrings } from './nodes.ts';
import { encodeStrings, operationName } from './packet.ts';
import type { Xenstore, XenstoreNodes, XenstoreWatch } from './xenstore.ts';

/**
 * How often a transaction is run before its EAGAIN is passed on. With the delays below that is
 * about ten seconds of nothing but conflicts, which only a starved or a broken store gives.
 */
const TRANSACTION_ATTEMPTS_MAX = 100;
/** The first few conflicts are answered at once; then the delay doubles up to the longest. */
const TRANSACTION_IMMEDIATE_ATTEMPTS = 4;
const TRANSACTION_DELAY_MAX_MS = 100;

const OUTSIDE_TRANSACTIONS = 0;

interface Watcher {
  readonly handler: (changedPath: string) => void;
  closing: boolean;
}

function retryDelay_ms(attempt: number): number {
  const doublings = attempt - TRANSACTION_IMMEDIATE_ATTEMPTS;
  return doublings < 0 ? 0 : Math.min(2 ** doublings, TRANSACTION_DELAY_MAX_MS);
}

export class XenstoreClient extends NodeOperations implements Xenstore {
  private readonly connection: Connection;
  private readonly clock: Clock;
  private readonly watchers = new Map<string, Watcher>();
  private lastToken = 0;
  private endHandler: (reason: XenError) => void = () => {};

  /**
   * @param stream belongs to the client from here on: closed with it
   * @param requestsMax requests under way at a time; any number unless given
   */
  constructor(stream: ByteStream, clock: Clock, requestsMax = Number.POSITIVE_INFINITY) {
    super((type, path, payload) => this.send(type, path, payload));
    this.clock = clock;
    this.connection = new Connection(
      stream,
      clock,
      requestsMax,
      (path, token) => this.dispatch(path, token),
      (reason) => this.ended(reason),
    );
  }

  /**
   * The one function to call when the connection has ended, by `close`, by xenstored or by a breach
   * of the protocol, with the reason. Everything that was under way has been rejected by then.
   */
  onEnd(handler: (reason: XenError) => void): void {
    this.endHandler = handler;
    const reason = this.connection.endReason;
    if (reason !== undefined) void Promise.resolve().then(() => handler(reason));
  }

  async transaction<Result>(body: (nodes: XenstoreNodes) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const id = await this.startTransaction();
      const result = await this.runInTransaction(id, body);
      try {
        await this.endTransaction(id, true);
        return result;
      } catch (error) {
        if (errorCode(error) !== 'EAGAIN' || attempt === TRANSACTION_ATTEMPTS_MAX) throw error;
      }
      const delay_ms = retryDelay_ms(attempt);
      if (delay_ms > 0) await sleep(this.clock, delay_ms);
    }
  }

  /** The handler is called from the event loop; its first call may come before the watch resolves. */
  async watch(path: string, handler: (changedPath: string) => void): Promise<XenstoreWatch> {
    this.lastToken++;
    const token = String(this.lastToken);
    const request = encodeStrings(path, token);
    const watcher: Watcher = { handler, closing: false };
    this.watchers.set(token, watcher);
    try {
      await this.send(XS_WATCH, path, request);
    } catch (error) {
      this.watchers.delete(token);
      throw error;
    }
    let closed: Promise<void> | undefined;
    return {
      path,
      close: () => {
        watcher.closing = true;
        closed ??= this.unwatch(path, token);
        return closed;
      },
    };
  }

  async domainPath(domid: DomId): Promise<string> {
    return this.oneString(XS_GET_DOMAIN_PATH, [String(domid)]);
  }

  async isDomainIntroduced(domid: DomId): Promise<boolean> {
    const answer = await this.oneString(XS_IS_DOMAIN_INTRODUCED, [String(domid)]);
    if (answer !== 'T' && answer !== 'F') {
      this.violated(XS_IS_DOMAIN_INTRODUCED, String(domid), 'the answer is T or F', answer);
    }
    return answer === 'T';
  }

  async introduce(domid: DomId, gfn: number, port: number): Promise<void> {
    const payload = encodeStrings(String(domid), String(gfn), String(port));
    await this.send(XS_INTRODUCE, String(domid), payload);
  }

  async release(domid: DomId): Promise<void> {
    await this.send(XS_RELEASE, String(domid), encodeStrings(String(domid)));
  }

  async setTarget(domid: DomId, target: DomId): Promise<void> {
    const payload = encodeStrings(String(domid), String(target));
    await this.send(XS_SET_TARGET, String(domid), payload);
  }

  async control(command: string, ...args: string[]): Promise<string> {
    const payload = await this.send(XS_CONTROL, command, encodeStrings(command, ...args));
    const last = payload.length - 1;
    return latin1Decode(payload, 0, payload[last] === 0 ? last : payload.length);
  }

  close(): void {
    this.connection.close();
  }

  private send(
    type: number,
    subject: string,
    payload: Uint8Array,
    transactionId = OUTSIDE_TRANSACTIONS,
  ): Promise<Uint8Array> {
    return this.connection.request({ type, transactionId, payload, subject });
  }

  private violated(type: number, subject: string, rule: string, answer: string): never {
    throw new ProtocolViolation(
      `xenstore ${operationName(type)} ${subject}`,
      `xenstore: ${rule}`,
      `the answer is ${JSON.stringify(answer.slice(0, 64))}`,
    );
  }

  private async oneString(type: number, request: readonly string[]): Promise<string> {
    const subject = request[0] ?? '';
    const payload = await this.send(type, subject, encodeStrings(...request));
    const [text, ...others] = replyStrings(type, subject, payload);
    if (text === undefined || others.length > 0) {
      this.violated(type, subject, 'the answer is one string', latin1Decode(payload));
    }
    return text;
  }

  private async startTransaction(): Promise<number> {
    const text = await this.oneString(XS_TRANSACTION_START, ['']);
    const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
    if (id === 0 || id > 0xffffffff) {
      this.violated(XS_TRANSACTION_START, '', 'a transaction id is a number from 1', text);
    }
    return id;
  }

  private async runInTransaction<Result>(
    id: number,
    body: (nodes: XenstoreNodes) => Promise<Result>,
  ): Promise<Result> {
    let over = false;
    const nodes = new NodeOperations((type, path, payload) => {
      if (over) throw new TypeError(`${operationName(type)} ${path}: its transaction is over`);
      return this.send(type, path, payload, id);
    });
    try {
      return await body(nodes);
    } catch (error) {
      // What the body has to say matters more than a connection that ends before the abort.
      await this.endTransaction(id, false).catch(() => {});
      throw error;
    } finally {
      over = true;
    }
  }

  private async endTransaction(id: number, commit: boolean): Promise<void> {
    const payload = encodeStrings(commit ? 'T' : 'F');
    await this.send(XS_TRANSACTION_END, commit ? 'commit' : 'abort', payload, id);
  }

  private async unwatch(path: string, token: string): Promise<void> {
    try {
      await this.send(XS_UNWATCH, path, encodeStrings(path, token));
    } catch (error) {
      // The watch ended with the connection, and that is all that was wanted.
      if (this.connection.endReason === undefined) throw error;
    } finally {
      this.watchers.delete(token);
    }
  }

  /**
   * A token that is not ours is no breach: on a ring, watches that an earlier kernel of the same
   * domain has set may still fire.
   */
  private dispatch(path: string, token: string): void {
    const watcher = this.watchers.get(token);
    if (watcher === undefined) return;
    // Not called from here, so that a handler that throws cannot harm the connection.
    void Promise.resolve().then(() => {
      if (!watcher.closing) watcher.handler(path);
    });
  }

  private ended(reason: XenError): void {
    this.watchers.clear();
    this.endHandler(reason);
  }
}
