import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  joinBytes,
  latin1Decode,
  latin1Encode,
  latin1Write,
  sleep
} from "./chunk-HVXLNJDG.js";
import {
  XENSTORE_PAYLOAD_MAX,
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_ERROR,
  XS_GET_DOMAIN_PATH,
  XS_GET_FEATURE,
  XS_GET_PERMS,
  XS_GET_QUOTA,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_RM,
  XS_SET_FEATURE,
  XS_SET_PERMS,
  XS_SET_QUOTA,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
  XsdSockmsg
} from "./chunk-FM26WRJC.js";
import {
  DOMID_FIRST_RESERVED,
  domId
} from "./chunk-GNCMNX2R.js";
import {
  ProtocolViolation,
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// src/xenstore/packet.ts
var HEADER_SIZE = XsdSockmsg.size;
var PAYLOAD_MAX = XENSTORE_PAYLOAD_MAX;
var COPIED_SINGLY_MAX = 64;
var PacketWriter = class {
  target;
  header;
  constructor(target) {
    this.target = target;
    this.header = XsdSockmsg.view(target);
  }
  /** Writes the packet at `offset` and returns the offset after it. Throws RangeError when the payload is too long. */
  write(packet, offset) {
    const { target, header } = this;
    const { payload } = packet;
    if (payload.length > PAYLOAD_MAX) {
      throw new RangeError(`a payload has at most ${PAYLOAD_MAX} bytes, not ${payload.length}`);
    }
    header.moveTo(offset);
    header.type = packet.type;
    header.req_id = packet.requestId;
    header.tx_id = packet.transactionId;
    header.len = payload.length;
    const start = offset + HEADER_SIZE;
    if (payload.length > COPIED_SINGLY_MAX) target.set(payload, start);
    else for (let i = 0; i < payload.length; i++) target[start + i] = payload[i];
    return start + payload.length;
  }
};
function encodePacket(packet) {
  const bytes = new Uint8Array(HEADER_SIZE + packet.payload.length);
  new PacketWriter(bytes).write(packet, 0);
  return bytes;
}
function checkHoldsNoNul(text) {
  if (text.includes("\0")) throw new RangeError("a string that NUL ends holds no NUL itself");
}
function encodeStrings(...strings) {
  let length = strings.length;
  for (const text of strings) {
    checkHoldsNoNul(text);
    length += text.length;
  }
  const payload = new Uint8Array(length);
  let at = 0;
  for (const text of strings) at = latin1Write(text, payload, at) + 1;
  return payload;
}
function encodeStringAndValue(text, value) {
  checkHoldsNoNul(text);
  const payload = new Uint8Array(text.length + 1 + value.length);
  latin1Write(value, payload, latin1Write(text, payload, 0) + 1);
  return payload;
}
function decodeStrings(payload, countMax = Number.POSITIVE_INFINITY) {
  const strings = [];
  let end = 0;
  for (let at = 0; at < payload.length && strings.length < countMax; at++) {
    if (payload[at] !== 0) continue;
    strings.push(latin1Decode(payload, end, at));
    end = at + 1;
  }
  return { strings, end };
}
var XSD_ERRORS = [
  "EINVAL",
  "EACCES",
  "EEXIST",
  "EISDIR",
  "ENOENT",
  "ENOMEM",
  "ENOSPC",
  "EIO",
  "ENOTEMPTY",
  "ENOSYS",
  "EROFS",
  "EBUSY",
  "EAGAIN",
  "EISCONN",
  "E2BIG",
  "EPERM"
];
function encodeError(code) {
  return encodeStrings(XSD_ERRORS.includes(code) ? code : "EINVAL");
}
function decodeError(payload) {
  const nul = payload.indexOf(0);
  const name = latin1Decode(payload, 0, nul < 0 ? payload.length : nul);
  return XSD_ERRORS.find((code) => code === name);
}
var OK_PAYLOAD = latin1Encode("OK\0");
var OPERATION_NAMES = /* @__PURE__ */ new Map([
  [XS_CONTROL, "CONTROL"],
  [XS_DIRECTORY, "DIRECTORY"],
  [XS_READ, "READ"],
  [XS_GET_PERMS, "GET_PERMS"],
  [XS_WATCH, "WATCH"],
  [XS_UNWATCH, "UNWATCH"],
  [XS_TRANSACTION_START, "TRANSACTION_START"],
  [XS_TRANSACTION_END, "TRANSACTION_END"],
  [XS_INTRODUCE, "INTRODUCE"],
  [XS_RELEASE, "RELEASE"],
  [XS_GET_DOMAIN_PATH, "GET_DOMAIN_PATH"],
  [XS_WRITE, "WRITE"],
  [XS_MKDIR, "MKDIR"],
  [XS_RM, "RM"],
  [XS_SET_PERMS, "SET_PERMS"],
  [XS_WATCH_EVENT, "WATCH_EVENT"],
  [XS_ERROR, "ERROR"],
  [XS_IS_DOMAIN_INTRODUCED, "IS_DOMAIN_INTRODUCED"],
  [XS_RESUME, "RESUME"],
  [XS_SET_TARGET, "SET_TARGET"],
  [XS_RESET_WATCHES, "RESET_WATCHES"],
  [XS_DIRECTORY_PART, "DIRECTORY_PART"],
  [XS_GET_FEATURE, "GET_FEATURE"],
  [XS_SET_FEATURE, "SET_FEATURE"],
  [XS_GET_QUOTA, "GET_QUOTA"],
  [XS_SET_QUOTA, "SET_QUOTA"]
]);
function operationName(type) {
  return OPERATION_NAMES.get(type) ?? `operation ${type}`;
}

// src/xenstore/packet-stream.ts
var QUEUE_CAPACITY_MIN = HEADER_SIZE + PAYLOAD_MAX;
var QUEUE_CAPACITY_KEPT = 16 * QUEUE_CAPACITY_MIN;
var NO_BYTES = new Uint8Array(0);
var PacketStream = class {
  stream;
  headerBytes = new Uint8Array(HEADER_SIZE);
  header = XsdSockmsg.view(this.headerBytes);
  headerFilled = 0;
  /** Present once the header is whole and says how long the payload is. */
  payload;
  payloadFilled = 0;
  /** Bytes that were received elsewhere and come before those of the stream. */
  early = NO_BYTES;
  queue = new Uint8Array(QUEUE_CAPACITY_MIN);
  writer = new PacketWriter(this.queue);
  queueStart = 0;
  queueEnd = 0;
  /** The start of the queue as it was sent last: replies of one client are often of one size. */
  window = NO_BYTES;
  constructor(stream) {
    this.stream = stream;
  }
  /**
   * The next packet that has arrived whole, or `undefined`. Only as many bytes are taken from the
   * stream as that packet has, so whoever stops calling holds the peer back. Throws
   * `ProtocolViolation` on a length that no packet may have; the stream is of no use after that.
   */
  receive() {
    if (this.payload === void 0) {
      const { headerBytes, headerFilled } = this;
      const missing = headerFilled === 0 ? headerBytes : headerBytes.subarray(headerFilled);
      this.headerFilled += this.take(missing);
      if (this.headerFilled < HEADER_SIZE) return void 0;
      const { len } = this.header;
      if (len > PAYLOAD_MAX) {
        throw new ProtocolViolation(
          `receive ${operationName(this.header.type)}`,
          "xenstore: len <= XENSTORE_PAYLOAD_MAX",
          `len is ${len}, the limit ${PAYLOAD_MAX}`
        );
      }
      this.payload = new Uint8Array(len);
    }
    const { payload } = this;
    if (this.payloadFilled < payload.length) {
      const { payloadFilled } = this;
      const missing = payloadFilled === 0 ? payload : payload.subarray(payloadFilled);
      this.payloadFilled += this.take(missing);
      if (this.payloadFilled < payload.length) return void 0;
    }
    const { type, req_id, tx_id } = this.header;
    this.headerFilled = 0;
    this.payload = void 0;
    this.payloadFilled = 0;
    return { type, requestId: req_id, transactionId: tx_id, payload };
  }
  /**
   * A copy of the bytes that were taken from the stream and not given out, because they are a part
   * of a packet: what a journal must keep. Bytes put back are among them.
   */
  partialInput() {
    const { headerFilled, payloadFilled, early } = this;
    const bytes = new Uint8Array(headerFilled + payloadFilled + early.length);
    bytes.set(this.headerBytes.subarray(0, headerFilled));
    if (this.payload !== void 0) {
      bytes.set(this.payload.subarray(0, payloadFilled), headerFilled);
    }
    bytes.set(early, headerFilled + payloadFilled);
    return bytes;
  }
  /** Puts bytes back that were taken from this stream before; they are received before all others. */
  putBack(bytes) {
    this.early = joinBytes(bytes, this.early);
  }
  /**
   * Queues a packet; `flush` sends it. The queue has no limit of its own: whoever answers a hostile
   * peer looks at `queuedBytes` and stops receiving in time.
   */
  send(packet) {
    this.reserve(HEADER_SIZE + packet.payload.length);
    this.queueEnd = this.writer.write(packet, this.queueEnd);
  }
  /** As `send`, for a packet of which the first bytes have been sent before. */
  sendRest(packet, sent) {
    this.send(packet);
    this.queueStart += sent;
  }
  /** Bytes that `send` took and the stream has not. */
  get queuedBytes() {
    return this.queueEnd - this.queueStart;
  }
  /** A copy of the bytes that wait to be sent; the first packet among them may have gone in part. */
  unsentOutput() {
    return this.queue.slice(this.queueStart, this.queueEnd);
  }
  /** Gives the stream what fits now. True when nothing is left; otherwise call again on ready. */
  flush() {
    while (this.queueStart < this.queueEnd) {
      const taken = this.stream.write(this.queued());
      if (taken === 0) return false;
      this.queueStart += taken;
    }
    this.queueStart = 0;
    this.queueEnd = 0;
    if (this.queue.length > QUEUE_CAPACITY_KEPT) this.use(new Uint8Array(QUEUE_CAPACITY_MIN));
    return true;
  }
  /** See `ByteStream.onReady`. */
  onReady(handler) {
    this.stream.onReady(handler);
  }
  /** True once the peer is gone and no whole packet of its is left; part of one may be. */
  get ended() {
    return this.early.length === 0 && this.stream.ended;
  }
  /** Lets go of the stream; what is still queued is lost. Idempotent. */
  close() {
    this.stream.close();
  }
  take(target) {
    const { early } = this;
    if (early.length === 0) return this.stream.read(target);
    const length = Math.min(early.length, target.length);
    target.set(early.subarray(0, length));
    this.early = early.subarray(length);
    return length === target.length ? length : length + this.stream.read(target.subarray(length));
  }
  /**
   * Makes room for `size` more bytes behind the queue, by moving it to the front or by growing. It
   * only moves when the room gained is as large as what is moved, so a byte moves once on average.
   */
  reserve(size) {
    if (this.queueEnd + size <= this.queue.length) return;
    const queued = this.queuedBytes;
    let capacity = this.queue.length;
    while (2 * queued + size > capacity) capacity *= 2;
    const target = capacity === this.queue.length ? this.queue : new Uint8Array(capacity);
    target.set(this.queue.subarray(this.queueStart, this.queueEnd));
    if (target !== this.queue) this.use(target);
    this.queueStart = 0;
    this.queueEnd = queued;
  }
  queued() {
    const { queue, queueStart, queueEnd } = this;
    if (queueStart > 0) return queue.subarray(queueStart, queueEnd);
    if (this.window.length !== queueEnd) this.window = queue.subarray(0, queueEnd);
    return this.window;
  }
  use(queue) {
    this.queue = queue;
    this.window = NO_BYTES;
    this.writer = new PacketWriter(queue);
  }
};

// src/xenstore/connection.ts
var BATCH_MAX = 256;
var MEANING = {
  E2BIG: "too large, or over the quota of watches",
  EACCES: "permission denied",
  EAGAIN: "conflicts with another transaction",
  EEXIST: "exists already",
  EINVAL: "xenstored calls it invalid",
  ENOENT: "no such node, domain or transaction",
  ENOSPC: "over the quota",
  ENOSYS: "this xenstored does not have the operation",
  EPERM: "not permitted"
};
var Connection = class {
  packets;
  clock;
  onEvent;
  onEnd;
  requestsMax;
  pending = /* @__PURE__ */ new Map();
  /** Requests that are not sent before others are answered, in their order. */
  waiting = [];
  lastRequestId = 0;
  flushScheduled = false;
  failure;
  /**
   * @param requestsMax requests under way at a time
   * @param onEvent called with each watch event while replies are being taken: must not throw
   * @param onEnd called once, when the connection has ended, whoever ended it
   */
  constructor(stream, clock, requestsMax, onEvent, onEnd) {
    this.packets = new PacketStream(stream);
    this.clock = clock;
    this.requestsMax = requestsMax;
    this.onEvent = onEvent;
    this.onEnd = onEnd;
    this.packets.onReady(() => this.advance());
  }
  /** Why the connection ended, once it has. */
  get endReason() {
    return this.failure;
  }
  /**
   * Resolves with the payload of the reply. Rejects with `XenError`: xenstored's code, E2BIG for a
   * payload that no packet holds, ECONNRESET when the connection ends first.
   */
  request(request) {
    const operation = `xenstore ${operationName(request.type)} ${request.subject}`;
    if (this.failure !== void 0) return Promise.reject(this.lost(operation, this.failure));
    const { type, transactionId, payload } = request;
    if (payload.length > PAYLOAD_MAX) {
      const detail = `a request has at most ${PAYLOAD_MAX} bytes, not ${payload.length}`;
      return Promise.reject(new XenError("E2BIG", operation, detail));
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ type, transactionId, payload, operation, resolve, reject });
      this.sendWaiting();
    });
  }
  /** Ends the connection. Idempotent. */
  close() {
    this.end(new XenError("ECONNRESET", "xenstore connection", "it was closed"));
  }
  sendWaiting() {
    while (this.pending.size < this.requestsMax) {
      const request = this.waiting.shift();
      if (request === void 0) return;
      const requestId = this.unusedRequestId();
      const { type, transactionId, payload } = request;
      this.pending.set(requestId, request);
      this.packets.send({ type, requestId, transactionId, payload });
      this.flushSoon();
    }
  }
  unusedRequestId() {
    do {
      this.lastRequestId = this.lastRequestId + 1 >>> 0;
    } while (this.lastRequestId === 0 || this.pending.has(this.lastRequestId));
    return this.lastRequestId;
  }
  /** Requests made in one turn of the event loop leave together. */
  flushSoon() {
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    void Promise.resolve().then(() => {
      this.flushScheduled = false;
      if (this.failure === void 0) this.orEnd(() => this.packets.flush());
    });
  }
  advance() {
    if (this.failure !== void 0) return;
    this.orEnd(() => {
      this.packets.flush();
      this.receiveBatch();
    });
  }
  receiveBatch() {
    for (let count = 0; count < BATCH_MAX; count++) {
      const packet = this.packets.receive();
      if (packet === void 0) {
        if (this.packets.ended) {
          this.end(new XenError("ECONNRESET", "xenstore connection", "xenstored has gone"));
        }
        return;
      }
      this.accept(packet);
    }
    this.clock.after(0, () => this.advance());
  }
  /** What goes wrong with the stream or with what came over it ends the connection. */
  orEnd(action) {
    try {
      action();
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      this.end(error);
    }
  }
  accept(packet) {
    if (packet.type === XS_WATCH_EVENT) {
      const { strings } = decodeStrings(packet.payload, 2);
      const [path, token] = strings;
      if (path === void 0 || token === void 0) {
        throw new ProtocolViolation(
          "receive WATCH_EVENT",
          "xenstore: a watch event holds a path and a token",
          `${strings.length} strings in ${packet.payload.length} bytes`
        );
      }
      this.onEvent(path, token);
      return;
    }
    const request = this.pending.get(packet.requestId);
    if (request === void 0) {
      throw new ProtocolViolation(
        `receive ${operationName(packet.type)}`,
        "xenstore: a reply echoes the req_id of a request under way",
        `req_id ${packet.requestId}`
      );
    }
    if (packet.type !== request.type && packet.type !== XS_ERROR) {
      throw new ProtocolViolation(
        request.operation,
        "xenstore: a reply has the type of its request or XS_ERROR",
        `the reply is ${operationName(packet.type)}`
      );
    }
    this.pending.delete(packet.requestId);
    this.sendWaiting();
    if (packet.type === XS_ERROR) request.reject(refusal(request.operation, packet.payload));
    else request.resolve(packet.payload);
  }
  lost(operation, reason) {
    if (reason instanceof ProtocolViolation) return reason;
    return new XenError("ECONNRESET", operation, reason.message, reason);
  }
  /** Ends the connection because of `reason`: nothing that waits is left waiting. */
  end(reason) {
    if (this.failure !== void 0) return;
    this.failure = reason;
    this.packets.close();
    for (const request of [...this.pending.values(), ...this.waiting]) {
      request.reject(this.lost(request.operation, reason));
    }
    this.pending.clear();
    this.waiting.length = 0;
    this.onEnd(reason);
  }
};
function refusal(operation, payload) {
  const code = decodeError(payload);
  if (code !== void 0) return new XenError(code, operation, MEANING[code]);
  const name = JSON.stringify(latin1Decode(payload, 0, Math.min(payload.length, 32)));
  return new XenError("EIO", operation, `xenstored answers with the unknown error ${name}`);
}

// src/xenstore/permissions.ts
var ENTRY = /^([nrwb])([0-9]{1,5})$/;
function formatPermission(permission) {
  return `${permission.access}${permission.domid}`;
}
function parsePermission(text) {
  const match = ENTRY.exec(text);
  if (match === null) {
    throw new XenError(
      "EINVAL",
      `permission ${JSON.stringify(text.slice(0, 32))}`,
      "an entry is one of the letters n r w b and a domid"
    );
  }
  const domid = Number(match[2]);
  if (domid >= DOMID_FIRST_RESERVED) {
    throw new XenError(
      "EINVAL",
      `permission ${text}`,
      `a domid is less than ${DOMID_FIRST_RESERVED}`
    );
  }
  return { access: match[1], domid: domId(domid) };
}

// src/xenstore/nodes.ts
var LIST_RESTARTS_MAX = 100;
var LIST_MAX = 16 << 20;
function replyStrings(type, subject, payload) {
  const { strings, end } = decodeStrings(payload);
  if (end !== payload.length) {
    throw new ProtocolViolation(
      `xenstore ${operationName(type)} ${subject}`,
      "xenstore: strings in a reply end with NUL",
      `${payload.length - end} bytes follow the last NUL`
    );
  }
  return strings;
}
var NodeOperations = class {
  request;
  constructor(request) {
    this.request = request;
  }
  async read(path) {
    return latin1Decode(await this.request(XS_READ, path, encodeStrings(path)));
  }
  async readIfPresent(path) {
    try {
      return await this.read(path);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return void 0;
      throw error;
    }
  }
  async list(path) {
    let payload;
    try {
      payload = await this.request(XS_DIRECTORY, path, encodeStrings(path));
    } catch (error) {
      if (errorCode(error) === "E2BIG") return this.listInParts(path);
      throw error;
    }
    return replyStrings(XS_DIRECTORY, path, payload);
  }
  async write(path, value) {
    await this.request(XS_WRITE, path, encodeStringAndValue(path, value));
  }
  async mkdir(path) {
    await this.request(XS_MKDIR, path, encodeStrings(path));
  }
  async remove(path) {
    await this.request(XS_RM, path, encodeStrings(path));
  }
  async getPermissions(path) {
    const payload = await this.request(XS_GET_PERMS, path, encodeStrings(path));
    try {
      return replyStrings(XS_GET_PERMS, path, payload).map(parsePermission);
    } catch (error) {
      if (error instanceof ProtocolViolation) throw error;
      throw new ProtocolViolation(
        `xenstore GET_PERMS ${path}`,
        "xenstore: a permission entry is a letter and a domid",
        errorMessage(error)
      );
    }
  }
  async setPermissions(path, permissions) {
    const payload = encodeStrings(path, ...permissions.map(formatPermission));
    await this.request(XS_SET_PERMS, path, payload);
  }
  /** Parts of one generation make a consistent list; when the generation changes, all starts anew. */
  async listInParts(path) {
    for (let restarts = 0; restarts < LIST_RESTARTS_MAX; restarts++) {
      const names = await this.listOneGeneration(path);
      if (names !== void 0) return names;
    }
    throw new XenError(
      "EAGAIN",
      `xenstore DIRECTORY_PART ${path}`,
      `the directory changed ${LIST_RESTARTS_MAX} times while it was listed`
    );
  }
  async listOneGeneration(path) {
    const names = [];
    let generation;
    let offset = 0;
    while (offset <= LIST_MAX) {
      const part = await this.directoryPart(path, offset);
      if (generation !== void 0 && part.generation !== generation) return void 0;
      generation = part.generation;
      for (const name of part.names) names.push(name);
      if (part.last) return names;
      offset += part.length;
    }
    throw new XenError(
      "ENOMEM",
      `xenstore DIRECTORY_PART ${path}`,
      `the names of a directory may take ${LIST_MAX} bytes`
    );
  }
  /** The reply holds the generation, then names, then an empty name if no more follow. */
  async directoryPart(path, offset) {
    const request = encodeStrings(path, String(offset));
    const payload = await this.request(XS_DIRECTORY_PART, path, request);
    const strings = replyStrings(XS_DIRECTORY_PART, path, payload);
    const generation = strings.shift();
    const last = strings[strings.length - 1] === "";
    if (last) strings.pop();
    if (generation === void 0 || strings.length === 0 && !last) {
      throw new ProtocolViolation(
        `xenstore DIRECTORY_PART ${path}`,
        "xenstore: a part of a directory holds a generation and a name",
        `${payload.length} bytes`
      );
    }
    const length = strings.reduce((sum, name) => sum + name.length + 1, 0);
    return { generation, names: strings, length, last };
  }
};

// src/xenstore/client.ts
var TRANSACTION_ATTEMPTS_MAX = 100;
var TRANSACTION_IMMEDIATE_ATTEMPTS = 4;
var TRANSACTION_DELAY_MAX_MS = 100;
var OUTSIDE_TRANSACTIONS = 0;
function retryDelay_ms(attempt) {
  const doublings = attempt - TRANSACTION_IMMEDIATE_ATTEMPTS;
  return doublings < 0 ? 0 : Math.min(2 ** doublings, TRANSACTION_DELAY_MAX_MS);
}
var XenstoreClient = class extends NodeOperations {
  connection;
  clock;
  watchers = /* @__PURE__ */ new Map();
  lastToken = 0;
  endHandler = () => {
  };
  /**
   * @param stream belongs to the client from here on: closed with it
   * @param requestsMax requests under way at a time; any number unless given
   */
  constructor(stream, clock, requestsMax = Number.POSITIVE_INFINITY) {
    super((type, path, payload) => this.send(type, path, payload));
    this.clock = clock;
    this.connection = new Connection(
      stream,
      clock,
      requestsMax,
      (path, token) => this.dispatch(path, token),
      (reason) => this.ended(reason)
    );
  }
  /**
   * The one function to call when the connection has ended, by `close`, by xenstored or by a breach
   * of the protocol, with the reason. Everything that was under way has been rejected by then.
   */
  onEnd(handler) {
    this.endHandler = handler;
    const reason = this.connection.endReason;
    if (reason !== void 0) void Promise.resolve().then(() => handler(reason));
  }
  async transaction(body) {
    for (let attempt = 1; ; attempt++) {
      const id = await this.startTransaction();
      const result = await this.runInTransaction(id, body);
      try {
        await this.endTransaction(id, true);
        return result;
      } catch (error) {
        if (errorCode(error) !== "EAGAIN" || attempt === TRANSACTION_ATTEMPTS_MAX) throw error;
      }
      const delay_ms = retryDelay_ms(attempt);
      if (delay_ms > 0) await sleep(this.clock, delay_ms);
    }
  }
  /** The handler is called from the event loop; its first call may come before the watch resolves. */
  async watch(path, handler) {
    this.lastToken++;
    const token = String(this.lastToken);
    const request = encodeStrings(path, token);
    const watcher = { handler, closing: false };
    this.watchers.set(token, watcher);
    try {
      await this.send(XS_WATCH, path, request);
    } catch (error) {
      this.watchers.delete(token);
      throw error;
    }
    let closed;
    return {
      path,
      close: () => {
        watcher.closing = true;
        closed ??= this.unwatch(path, token);
        return closed;
      }
    };
  }
  async domainPath(domid) {
    return this.oneString(XS_GET_DOMAIN_PATH, [String(domid)]);
  }
  async isDomainIntroduced(domid) {
    const answer = await this.oneString(XS_IS_DOMAIN_INTRODUCED, [String(domid)]);
    if (answer !== "T" && answer !== "F") {
      this.violated(XS_IS_DOMAIN_INTRODUCED, String(domid), "the answer is T or F", answer);
    }
    return answer === "T";
  }
  async introduce(domid, gfn, port) {
    const payload = encodeStrings(String(domid), String(gfn), String(port));
    await this.send(XS_INTRODUCE, String(domid), payload);
  }
  async release(domid) {
    await this.send(XS_RELEASE, String(domid), encodeStrings(String(domid)));
  }
  async setTarget(domid, target) {
    const payload = encodeStrings(String(domid), String(target));
    await this.send(XS_SET_TARGET, String(domid), payload);
  }
  async control(command, ...args) {
    const payload = await this.send(XS_CONTROL, command, encodeStrings(command, ...args));
    const last = payload.length - 1;
    return latin1Decode(payload, 0, payload[last] === 0 ? last : payload.length);
  }
  close() {
    this.connection.close();
  }
  send(type, subject, payload, transactionId = OUTSIDE_TRANSACTIONS) {
    return this.connection.request({ type, transactionId, payload, subject });
  }
  violated(type, subject, rule, answer) {
    throw new ProtocolViolation(
      `xenstore ${operationName(type)} ${subject}`,
      `xenstore: ${rule}`,
      `the answer is ${JSON.stringify(answer.slice(0, 64))}`
    );
  }
  async oneString(type, request) {
    const subject = request[0] ?? "";
    const payload = await this.send(type, subject, encodeStrings(...request));
    const [text, ...others] = replyStrings(type, subject, payload);
    if (text === void 0 || others.length > 0) {
      this.violated(type, subject, "the answer is one string", latin1Decode(payload));
    }
    return text;
  }
  async startTransaction() {
    const text = await this.oneString(XS_TRANSACTION_START, [""]);
    const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
    if (id === 0 || id > 4294967295) {
      this.violated(XS_TRANSACTION_START, "", "a transaction id is a number from 1", text);
    }
    return id;
  }
  async runInTransaction(id, body) {
    let over = false;
    const nodes = new NodeOperations((type, path, payload) => {
      if (over) throw new TypeError(`${operationName(type)} ${path}: its transaction is over`);
      return this.send(type, path, payload, id);
    });
    try {
      return await body(nodes);
    } catch (error) {
      await this.endTransaction(id, false).catch(() => {
      });
      throw error;
    } finally {
      over = true;
    }
  }
  async endTransaction(id, commit) {
    const payload = encodeStrings(commit ? "T" : "F");
    await this.send(XS_TRANSACTION_END, commit ? "commit" : "abort", payload, id);
  }
  async unwatch(path, token) {
    try {
      await this.send(XS_UNWATCH, path, encodeStrings(path, token));
    } catch (error) {
      if (this.connection.endReason === void 0) throw error;
    } finally {
      this.watchers.delete(token);
    }
  }
  /**
   * A token that is not ours is no breach: on a ring, watches that an earlier kernel of the same
   * domain has set may still fire.
   */
  dispatch(path, token) {
    const watcher = this.watchers.get(token);
    if (watcher === void 0) return;
    void Promise.resolve().then(() => {
      if (!watcher.closing) watcher.handler(path);
    });
  }
  ended(reason) {
    this.watchers.clear();
    this.endHandler(reason);
  }
};

export {
  HEADER_SIZE,
  PAYLOAD_MAX,
  encodePacket,
  encodeStrings,
  decodeStrings,
  encodeError,
  OK_PAYLOAD,
  operationName,
  PacketStream,
  formatPermission,
  parsePermission,
  XenstoreClient
};
//# sourceMappingURL=chunk-SG3WZJOQ.js.map
