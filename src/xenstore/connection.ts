/**
 * One client's connection to xenstored: requests go out as fast as they are made, replies find
 * their request by its id, watch events go where the client says. Knows nothing of operations.
 */
import { XS_ERROR, XS_WATCH_EVENT } from '../abi/io/xs_wire.ts';
import type { ByteStream } from '../base/byte-stream.ts';
import { latin1Decode } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, ProtocolViolation, XenError } from '../base/errors.ts';
import { decodeError, decodeStrings, operationName, PAYLOAD_MAX, type Packet } from './packet.ts';
import { PacketStream } from './packet-stream.ts';

/** Packets taken in one turn of the event loop; the rest waits for the next. */
const BATCH_MAX = 256;

/** What xenstored's codes mean, for people. */
const MEANING: Partial<Record<ErrorCode, string>> = {
  E2BIG: 'too large, or over the quota of watches',
  EACCES: 'permission denied',
  EAGAIN: 'conflicts with another transaction',
  EEXIST: 'exists already',
  EINVAL: 'xenstored calls it invalid',
  ENOENT: 'no such node, domain or transaction',
  ENOSPC: 'over the quota',
  ENOSYS: 'this xenstored does not have the operation',
  EPERM: 'not permitted',
};

interface PendingRequest {
  readonly type: number;
  readonly transactionId: number;
  readonly payload: Uint8Array;
  readonly operation: string;
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: XenError) => void;
}

export interface Request {
  /** `XS_…` of xs_wire.h. */
  readonly type: number;
  /** 0 outside a transaction. */
  readonly transactionId: number;
  readonly payload: Uint8Array;
  /** What the request is about, for errors: a path or a domid. */
  readonly subject: string;
}

export class Connection {
  private readonly packets: PacketStream;
  private readonly clock: Clock;
  private readonly onEvent: (path: string, token: string) => void;
  private readonly onEnd: (reason: XenError) => void;
  private readonly requestsMax: number;
  private readonly pending = new Map<number, PendingRequest>();
  /** Requests that are not sent before others are answered, in their order. */
  private readonly waiting: PendingRequest[] = [];
  private lastRequestId = 0;
  private flushScheduled = false;
  private failure: XenError | undefined;

  /**
   * @param requestsMax requests under way at a time
   * @param onEvent called with each watch event while replies are being taken: must not throw
   * @param onEnd called once, when the connection has ended, whoever ended it
   */
  constructor(
    stream: ByteStream,
    clock: Clock,
    requestsMax: number,
    onEvent: (path: string, token: string) => void,
    onEnd: (reason: XenError) => void,
  ) {
    this.packets = new PacketStream(stream);
    this.clock = clock;
    this.requestsMax = requestsMax;
    this.onEvent = onEvent;
    this.onEnd = onEnd;
    this.packets.onReady(() => this.advance());
  }

  /** Why the connection ended, once it has. */
  get endReason(): XenError | undefined {
    return this.failure;
  }

  /**
   * Resolves with the payload of the reply. Rejects with `XenError`: xenstored's code, E2BIG for a
   * payload that no packet holds, ECONNRESET when the connection ends first.
   */
  request(request: Request): Promise<Uint8Array> {
    const operation = `xenstore ${operationName(request.type)} ${request.subject}`;
    if (this.failure !== undefined) return Promise.reject(this.lost(operation, this.failure));
    const { type, transactionId, payload } = request;
    if (payload.length > PAYLOAD_MAX) {
      const detail = `a request has at most ${PAYLOAD_MAX} bytes, not ${payload.length}`;
      return Promise.reject(new XenError('E2BIG', operation, detail));
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ type, transactionId, payload, operation, resolve, reject });
      this.sendWaiting();
    });
  }

  /** Ends the connection. Idempotent. */
  close(): void {
    this.end(new XenError('ECONNRESET', 'xenstore connection', 'it was closed'));
  }

  private sendWaiting(): void {
    while (this.pending.size < this.requestsMax) {
      const request = this.waiting.shift();
      if (request === undefined) return;
      const requestId = this.unusedRequestId();
      const { type, transactionId, payload } = request;
      this.pending.set(requestId, request);
      this.packets.send({ type, requestId, transactionId, payload });
      this.flushSoon();
    }
  }

  private unusedRequestId(): number {
    do {
      this.lastRequestId = (this.lastRequestId + 1) >>> 0;
    } while (this.lastRequestId === 0 || this.pending.has(this.lastRequestId));
    return this.lastRequestId;
  }

  /** Requests made in one turn of the event loop leave together. */
  private flushSoon(): void {
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    void Promise.resolve().then(() => {
      this.flushScheduled = false;
      if (this.failure === undefined) this.orEnd(() => this.packets.flush());
    });
  }

  private advance(): void {
    if (this.failure !== undefined) return;
    this.orEnd(() => {
      this.packets.flush();
      this.receiveBatch();
    });
  }

  private receiveBatch(): void {
    for (let count = 0; count < BATCH_MAX; count++) {
      const packet = this.packets.receive();
      if (packet === undefined) {
        if (this.packets.ended) {
          this.end(new XenError('ECONNRESET', 'xenstore connection', 'xenstored has gone'));
        }
        return;
      }
      this.accept(packet);
    }
    this.clock.after(0, () => this.advance());
  }

  /** What goes wrong with the stream or with what came over it ends the connection. */
  private orEnd(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      this.end(error);
    }
  }

  private accept(packet: Packet): void {
    if (packet.type === XS_WATCH_EVENT) {
      const { strings } = decodeStrings(packet.payload, 2);
      const [path, token] = strings;
      if (path === undefined || token === undefined) {
        throw new ProtocolViolation(
          'receive WATCH_EVENT',
          'xenstore: a watch event holds a path and a token',
          `${strings.length} strings in ${packet.payload.length} bytes`,
        );
      }
      this.onEvent(path, token);
      return;
    }
    const request = this.pending.get(packet.requestId);
    if (request === undefined) {
      throw new ProtocolViolation(
        `receive ${operationName(packet.type)}`,
        'xenstore: a reply echoes the req_id of a request under way',
        `req_id ${packet.requestId}`,
      );
    }
    if (packet.type !== request.type && packet.type !== XS_ERROR) {
      throw new ProtocolViolation(
        request.operation,
        'xenstore: a reply has the type of its request or XS_ERROR',
        `the reply is ${operationName(packet.type)}`,
      );
    }
    this.pending.delete(packet.requestId);
    this.sendWaiting();
    if (packet.type === XS_ERROR) request.reject(refusal(request.operation, packet.payload));
    else request.resolve(packet.payload);
  }

  private lost(operation: string, reason: XenError): XenError {
    if (reason instanceof ProtocolViolation) return reason;
    return new XenError('ECONNRESET', operation, reason.message, reason);
  }

  /** Ends the connection because of `reason`: nothing that waits is left waiting. */
  end(reason: XenError): void {
    if (this.failure !== undefined) return;
    this.failure = reason;
    this.packets.close();
    for (const request of [...this.pending.values(), ...this.waiting]) {
      request.reject(this.lost(request.operation, reason));
    }
    this.pending.clear();
    this.waiting.length = 0;
    this.onEnd(reason);
  }
}

function refusal(operation: string, payload: Uint8Array): XenError {
  const code = decodeError(payload);
  if (code !== undefined) return new XenError(code, operation, MEANING[code]);
  const name = JSON.stringify(latin1Decode(payload, 0, Math.min(payload.length, 32)));
  return new XenError('EIO', operation, `xenstored answers with the unknown error ${name}`);
}
