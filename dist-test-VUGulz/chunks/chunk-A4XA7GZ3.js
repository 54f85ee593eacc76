import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  copyBytes,
  joinBytes,
  sleep
} from "./chunk-HVXLNJDG.js";
import {
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// src/node/clock.ts
var { performance } = globalThis;
var nodeClock = {
  now_ms: () => performance.now(),
  wallclock_ms: () => Date.now(),
  after(delay_ms, callback) {
    if (delay_ms <= 0) {
      const immediate = setImmediate(callback);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timer = setTimeout(callback, delay_ms);
    return { cancel: () => clearTimeout(timer) };
  }
};

// src/node/unix-socket.ts
import { closeSync } from "node:fs";
import { constants } from "node:os";
var ARRIVAL_ID = 0;
var ARRIVAL_START = 1;
var ARRIVAL_RECEIVED = 2;
var ARRIVAL_WRITABLE = 3;
var ARRIVAL_WORDS = 4;
var DEPARTURE_ID = 0;
var DEPARTURE_START = 1;
var DEPARTURE_LENGTH = 2;
var DEPARTURE_TAKEN = 3;
var DEPARTURE_WORDS = 4;
var BACKLOG = 128;
var ACCEPT_PAUSE_MS = 100;
var NOTHING_NOW = -constants.errno.EAGAIN;
var NOTHING = new Uint8Array(0);
var UnixSocketStream = class {
  fd;
  sockets;
  set;
  id;
  handler = () => {
  };
  /** Where what came and was not read yet is: in the memory of all sockets, or in memory of its own. */
  input = NOTHING;
  inputStart = 0;
  inputEnd = 0;
  /** Bytes that were accepted and that the kernel did not take yet. */
  refusedBytes = NOTHING;
  /** What is waited for. */
  awaited;
  /** Nothing more will come, and nothing can be sent. */
  over = false;
  closed = false;
  constructor(sockets, fd, id) {
    this.sockets = sockets;
    this.fd = fd;
    this.set = sockets.set;
    this.id = id;
    this.awaited = sockets.native.READABLE;
  }
  read(target) {
    const { inputStart, inputEnd } = this;
    if (inputStart === inputEnd) return 0;
    const length = Math.min(inputEnd - inputStart, target.length);
    copyBytes(this.input, inputStart, length, target, 0);
    this.inputStart += length;
    if (this.inputStart === inputEnd && !this.over) {
      this.await(this.awaited | this.sockets.native.READABLE);
    }
    return length;
  }
  write(source) {
    if (this.over || source.length === 0) return 0;
    this.sockets.makeRoom(source.length);
    return this.refusedBytes.length > 0 ? 0 : this.sockets.send(this.id, source);
  }
  onReady(handler) {
    this.handler = handler;
  }
  get ended() {
    return this.over && this.inputStart === this.inputEnd;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.over = true;
    this.inputStart = this.inputEnd;
    this.sockets.flush();
    this.sockets.remove(this.id);
  }
  unread() {
    return this.input.slice(this.inputStart, this.inputEnd);
  }
  unsent() {
    this.sockets.flush();
    return this.refusedBytes.slice();
  }
  /** Tells of bytes in the memory of all sockets, of the end or an error, or of room for more. */
  arrived(start, received, writable) {
    if (writable) this.sendRest();
    if (received > 0) {
      this.input = this.set.input;
      this.inputStart = start;
      this.inputEnd = start + received;
    } else if (received !== NOTHING_NOW) {
      this.over = true;
      this.await(0);
    }
    this.handler();
    if (this.input === this.set.input) this.keepRest();
  }
  /** Tells of bytes that the kernel did not take, after others that it did. */
  refused(bytes) {
    if (this.over) return;
    this.refusedBytes = joinBytes(this.refusedBytes, bytes);
    this.await(this.awaited | this.sockets.native.WRITABLE);
  }
  sendRest() {
    const { refusedBytes, sockets } = this;
    this.await(this.awaited & ~sockets.native.WRITABLE);
    sockets.makeRoom(refusedBytes.length);
    this.refusedBytes = NOTHING;
    sockets.send(this.id, refusedBytes);
  }
  /** Takes what the reader has left into memory of its own; the kernel holds the peer back meanwhile. */
  keepRest() {
    const { input, inputStart, inputEnd } = this;
    this.input = inputStart === inputEnd ? NOTHING : input.slice(inputStart, inputEnd);
    this.inputStart = 0;
    this.inputEnd = this.input.length;
    if (this.inputEnd > 0 && !this.over) this.await(this.awaited & ~this.sockets.native.READABLE);
  }
  await(events) {
    if (events === this.awaited || this.closed) return;
    this.awaited = events;
    this.set.await(this.id, events);
  }
};
var UnixSockets = class {
  native;
  set;
  /** By id in the set. */
  streams = /* @__PURE__ */ new Map();
  isFinal = false;
  /** Those that are ready are being served. */
  isServing = false;
  /** Runs of bytes that wait in the output to be sent, and where the last of them ends. */
  departureCount = 0;
  outputEnd = 0;
  constructor(native) {
    this.native = native;
    this.set = new native.SocketSet((count) => this.arrived(count));
  }
  /**
   * Goes on with the socket of a client whom another program has served. Throws an error with a
   * `code` where it is none.
   *
   * @param unsent bytes that the kernel had not taken there
   */
  adopt(fd, unsent) {
    this.native.adoptUnix(fd, 0);
    const stream = this.add(fd);
    if (unsent.length > 0) stream.refused(unsent);
    return stream;
  }
  add(fd) {
    const id = this.set.add(fd);
    const stream = new UnixSocketStream(this, fd, id);
    this.streams.set(id, stream);
    return stream;
  }
  remove(id) {
    this.streams.delete(id);
    this.set.remove(id);
    this.closeIfLast();
  }
  /** Sends what was gathered unless there is room besides it for `length` bytes. */
  makeRoom(length) {
    const { departures, output } = this.set;
    const isFull = (this.departureCount + 1) * DEPARTURE_WORDS > departures.length;
    if (isFull || length > output.length - this.outputEnd) this.flush();
  }
  /** Accepts what it can of the bytes, for which room was made, and returns how many. */
  send(id, source) {
    const { departures, output } = this.set;
    const length = Math.min(source.length, output.length);
    copyBytes(source, 0, length, output, this.outputEnd);
    const last = (this.departureCount - 1) * DEPARTURE_WORDS;
    if (last >= 0 && departures[last + DEPARTURE_ID] === id) {
      departures[last + DEPARTURE_LENGTH] = departures[last + DEPARTURE_LENGTH] + length;
    } else {
      const next = last + DEPARTURE_WORDS;
      departures[next + DEPARTURE_ID] = id;
      departures[next + DEPARTURE_START] = this.outputEnd;
      departures[next + DEPARTURE_LENGTH] = length;
      this.departureCount++;
    }
    this.outputEnd += length;
    if (!this.isServing) this.flush();
    return length;
  }
  /** Sends what was gathered. */
  flush() {
    const count = this.departureCount;
    if (count === 0) return;
    const { departures, output } = this.set;
    this.departureCount = 0;
    this.outputEnd = 0;
    this.set.send(count);
    for (let at = 0; at < count * DEPARTURE_WORDS; at += DEPARTURE_WORDS) {
      const length = departures[at + DEPARTURE_LENGTH];
      const taken = departures[at + DEPARTURE_TAKEN];
      if (taken === length || taken < 0 && taken !== NOTHING_NOW) continue;
      const start = departures[at + DEPARTURE_START];
      const rest = output.subarray(start + Math.max(0, taken), start + length);
      this.streams.get(departures[at + DEPARTURE_ID])?.refused(rest);
    }
  }
  /** No more will be added. */
  finish() {
    this.isFinal = true;
    this.closeIfLast();
  }
  closeIfLast() {
    if (this.isFinal && this.streams.size === 0) this.set.close();
  }
  arrived(count) {
    const { arrivals } = this.set;
    this.isServing = true;
    try {
      for (let at = 0; at < count * ARRIVAL_WORDS; at += ARRIVAL_WORDS) {
        this.streams.get(arrivals[at + ARRIVAL_ID])?.arrived(
          arrivals[at + ARRIVAL_START],
          arrivals[at + ARRIVAL_RECEIVED],
          arrivals[at + ARRIVAL_WRITABLE] === 1
        );
      }
    } finally {
      this.isServing = false;
      this.flush();
    }
  }
};
function servedTogether(native, onConnection) {
  const sockets = new UnixSockets(native);
  return { add: (fd) => onConnection(sockets.add(fd)), finish: () => sockets.finish() };
}
var UnixSocketListener = class _UnixSocketListener {
  fd;
  native;
  poller;
  clients;
  pause;
  closed = false;
  constructor(native, fd, clients) {
    this.native = native;
    this.clients = clients;
    this.fd = fd;
    this.poller = new native.Poller(this.fd, () => this.accept());
    this.poller.start(native.READABLE);
  }
  /** Binds to `path`, which nobody may have. Throws an error with a `code`. */
  static listen(native, path, clients) {
    return new _UnixSocketListener(native, native.listenUnix(path, BACKLOG), clients);
  }
  /** Goes on with a socket that another program has listened at. Throws an error with a `code`. */
  static adopt(native, fd, clients) {
    native.adoptUnix(fd, BACKLOG);
    return new _UnixSocketListener(native, fd, clients);
  }
  /** Takes no more connections; those there are go on. Idempotent. */
  close() {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.pause);
    this.poller.close();
    closeSync(this.fd);
    this.clients.finish();
  }
  accept() {
    const { native } = this;
    for (let accepted = 0; accepted < BACKLOG && !this.closed; accepted++) {
      const fd = native.acceptUnix(this.fd);
      if (fd === NOTHING_NOW) return;
      if (fd < 0) {
        this.poller.stop();
        this.pause = setTimeout(() => this.poller.start(native.READABLE), ACCEPT_PAUSE_MS);
        return;
      }
      this.clients.add(fd);
    }
  }
};

// src/node/socket-path.ts
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  unlinkSync
} from "node:fs";
import { createConnection } from "node:net";
import { dirname } from "node:path";
var SOCKET_PATH_MAX = 107;
function checkPathLength(operation, path) {
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX) {
    const rule = `the path of a Unix socket has at most ${SOCKET_PATH_MAX} bytes`;
    throw new XenError("EINVAL", operation, rule);
  }
}
function connectFailure(error, daemon) {
  switch (errorCode(error)) {
    case "ENOENT":
      return ["ENOENT", `there is no such socket; does a ${daemon} run?`];
    case "ECONNREFUSED":
      return ["ENOTCONN", `no ${daemon} listens there any more`];
    case "EACCES":
      return ["EACCES", "permission denied; the socket belongs to root"];
    case "EAGAIN":
      return ["EAGAIN", `too many others wait for ${daemon} to accept them`];
    default:
      return ["EIO", error.message];
  }
}
var CONNECT_PATIENCE_MS = 1e4;
var CONNECT_PAUSE_MS = 10;
function connectOnce(operation, path, daemon) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const failed = (error) => {
      const [code, detail] = connectFailure(error, daemon);
      reject(new XenError(code, operation, detail, error));
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.off("error", failed);
      resolve(socket);
    });
  });
}
async function connectUnixSocket(path, daemon) {
  const operation = `connect to ${daemon} at ${path}`;
  checkPathLength(operation, path);
  const deadline_ms = nodeClock.now_ms() + CONNECT_PATIENCE_MS;
  for (; ; ) {
    try {
      return await connectOnce(operation, path, daemon);
    } catch (error) {
      if (errorCode(error) !== "EAGAIN" || nodeClock.now_ms() > deadline_ms) throw error;
    }
    await sleep(nodeClock, CONNECT_PAUSE_MS);
  }
}
var ACCEPTS_CONNECTIONS = 65536;
function listenerName(path) {
  const inode = readFileSync("/proc/net/unix", "latin1").split("\n").map((line) => line.trim().split(/\s+/)).find((row) => row[7] === path && Number.parseInt(row[3] ?? "", 16) & ACCEPTS_CONNECTIONS)?.[6];
  const holds = (pid2) => {
    try {
      return readdirSync(`/proc/${pid2}/fd`).some(
        (fd) => readlinkSync(`/proc/${pid2}/fd/${fd}`) === `socket:[${inode}]`
      );
    } catch {
      return false;
    }
  };
  const pid = readdirSync("/proc").find((entry) => /^[0-9]+$/.test(entry) && holds(entry));
  if (pid === void 0) return "another process";
  return `process ${pid} (${readFileSync(`/proc/${pid}/comm`, "latin1").trim()})`;
}
async function makeWay(operation, path) {
  if (!existsSync(dirname(path))) {
    throw new XenError("ENOENT", operation, "there is no such directory");
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === void 0) return;
  if (!found.isSocket()) {
    throw new XenError("EEXIST", operation, "a file that is no socket stands there");
  }
  try {
    (await connectUnixSocket(path, "daemon")).destroy();
  } catch (error) {
    if (errorCode(error) !== "ENOTCONN") throw error;
    unlinkSync(path);
    return;
  }
  throw new XenError("EBUSY", operation, `${listenerName(path)} listens there already`);
}
async function listenUnixSocket(native, path, who, clients) {
  const operation = `listen for ${who} at ${path}`;
  checkPathLength(operation, path);
  await makeWay(operation, path);
  const umask = process.umask(127);
  let listener;
  try {
    listener = UnixSocketListener.listen(native, path, clients);
  } catch (error) {
    const code = errorCode(error) === "EACCES" ? "EACCES" : "EIO";
    throw new XenError(code, operation, errorMessage(error), error);
  } finally {
    process.umask(umask);
  }
  return removedWhenClosed(listener, path);
}
function adoptUnixListener(native, fd, path, who, clients) {
  try {
    return removedWhenClosed(UnixSocketListener.adopt(native, fd, clients), path);
  } catch (error) {
    const operation = `go on listening for ${who} at ${path}`;
    throw new XenError("EINVAL", operation, errorMessage(error), error);
  }
}
function removedWhenClosed(listener, path) {
  let open = true;
  return {
    path,
    fd: listener.fd,
    close() {
      if (open) unlinkSync(path);
      open = false;
      listener.close();
    }
  };
}

// src/node/socket-stream.ts
var LINGER_MS = 5e3;
var SocketStream = class {
  socket;
  /** What the socket gave and nobody has read yet; the rest waits in the socket and in the kernel. */
  chunk = new Uint8Array(0);
  handler = () => {
  };
  closed = false;
  constructor(socket) {
    this.socket = socket;
    const wake = () => this.wake();
    socket.on("error", () => {
    });
    for (const event of ["readable", "drain", "end", "close"]) socket.on(event, wake);
  }
  read(target) {
    if (this.closed || target.length === 0) return 0;
    if (this.chunk.length === 0) {
      this.chunk = this.socket.read() ?? this.chunk;
    }
    const length = Math.min(this.chunk.length, target.length);
    target.set(this.chunk.subarray(0, length));
    this.chunk = this.chunk.subarray(length);
    return length;
  }
  write(source) {
    const { socket } = this;
    let taken = 0;
    while (taken < source.length && this.takesMore()) {
      const room = Math.max(1, socket.writableHighWaterMark - socket.writableLength);
      const portion = source.slice(taken, taken + room);
      socket.write(portion);
      taken += portion.length;
    }
    return taken;
  }
  onReady(handler) {
    this.handler = handler;
    setImmediate(() => {
      if (this.handler === handler) this.wake();
    });
  }
  get ended() {
    const { socket } = this;
    if (this.closed) return true;
    if (this.chunk.length > 0 || socket.readableLength > 0) return false;
    return socket.readableEnded || socket.destroyed;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.socket.setTimeout(LINGER_MS, () => this.socket.destroy());
    this.socket.destroySoon();
  }
  takesMore() {
    return !this.closed && this.socket.writable && !this.socket.writableNeedDrain;
  }
  wake() {
    if (!this.closed) this.handler();
  }
};
function socketStream(socket) {
  return new SocketStream(socket);
}

export {
  nodeClock,
  UnixSockets,
  servedTogether,
  UnixSocketListener,
  connectUnixSocket,
  listenUnixSocket,
  adoptUnixListener,
  socketStream
};
//# sourceMappingURL=chunk-A4XA7GZ3.js.map
