import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  PAGE_SIZE
} from "./chunk-LYWPVKHU.js";
import {
  listenUnixSocket,
  socketStream
} from "./chunk-A4XA7GZ3.js";
import {
  arrayOf,
  struct,
  u16,
  u32,
  u8
} from "./chunk-WRZEEFDO.js";
import {
  ProtocolViolation,
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// src/node/vchan-target.ts
import { createConnection, createServer, Socket } from "node:net";

// src/node/descriptor-stream.ts
import { closeSync } from "node:fs";
import { constants } from "node:os";
var NOTHING_NOW = -constants.errno.EAGAIN;
var DescriptorStream = class {
  native;
  fd;
  poller;
  handler = () => {
  };
  /** The kernel had no more when it was last asked. Until it says otherwise, there is no need to ask. */
  dry = false;
  /** The kernel took no more. */
  full = false;
  /** What is polled for. */
  awaited = 0;
  over = false;
  closed = false;
  /** @param fd of a socket that does not block; it belongs to the stream from here on */
  constructor(native, fd) {
    this.native = native;
    this.fd = fd;
    this.poller = new native.Poller(fd, (events) => this.polled(events));
  }
  read(target) {
    if (this.ended || this.dry || target.length === 0) return 0;
    const length = this.native.readNow(this.fd, target);
    if (length > 0) {
      if (length < target.length) this.awaitBytes();
      return length;
    }
    if (length === NOTHING_NOW) this.awaitBytes();
    else this.end();
    return 0;
  }
  write(source) {
    if (this.ended || this.full || source.length === 0) return 0;
    const length = this.native.writeNow(this.fd, source);
    if (length === source.length) return length;
    this.full = true;
    if (length >= 0 || length === NOTHING_NOW) this.await(this.awaited | this.native.WRITABLE);
    return Math.max(0, length);
  }
  onReady(handler) {
    this.handler = handler;
    setImmediate(() => this.wake());
  }
  get ended() {
    return this.over || this.closed;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.poller.close();
    closeSync(this.fd);
  }
  awaitBytes() {
    this.dry = true;
    this.await(this.awaited | this.native.READABLE);
  }
  await(events) {
    if (events === this.awaited) return;
    this.awaited = events;
    if (events === 0) this.poller.stop();
    else this.poller.start(events);
  }
  polled(events) {
    const { READABLE, WRITABLE } = this.native;
    if (events < 0) {
      this.awaited = 0;
      this.dry = false;
    } else {
      if ((events & READABLE) !== 0) this.dry = false;
      if ((events & WRITABLE) !== 0) {
        this.full = false;
        this.await(this.awaited & ~WRITABLE);
      }
    }
    this.handler();
    if (!this.dry && !this.closed) this.await(this.awaited & ~READABLE);
  }
  end() {
    this.over = true;
    this.await(0);
    setImmediate(() => this.wake());
  }
  wake() {
    if (!this.closed) this.handler();
  }
};

// src/node/vchan-target.ts
var TCP = /^tcp:(?:(.*):)?([0-9]{1,5})$/;
var TCP_PORT_MAX = 65535;
function parseVchanTarget(text) {
  if (/^[0-9]{1,9}$/.test(text)) return { kind: "descriptor", fd: Number(text) };
  if (!text.startsWith("tcp:")) {
    if (text === "") throw new RangeError("the path of a socket is not empty");
    return { kind: "unix", path: text };
  }
  const [, host = "localhost", port = ""] = TCP.exec(text) ?? [];
  if (port === "" || Number(port) > TCP_PORT_MAX) {
    throw new RangeError(
      `TCP is written tcp:PORT or tcp:HOST:PORT, a port at most ${TCP_PORT_MAX}`
    );
  }
  return { kind: "tcp", host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}
function vchanTargetName(target) {
  if (target.kind === "unix") return target.path;
  return target.kind === "tcp" ? `tcp:${target.host}:${target.port}` : `descriptor ${target.fd}`;
}
var CODES = {
  EACCES: "EACCES",
  EADDRINUSE: "EBUSY",
  ECONNREFUSED: "ENOTCONN",
  ENOENT: "ENOENT"
};
function refused(operation, error) {
  const code = CODES[errorCode(error) ?? ""] ?? "EIO";
  return new XenError(code, operation, errorMessage(error), error);
}
function connectTcp(where) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(where);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.setNoDelay();
      resolve(socketStream(socket));
    });
  });
}
async function connectVchanTarget(native, target) {
  try {
    if (target.kind === "descriptor") return socketStream(new Socket({ fd: target.fd }));
    if (target.kind === "tcp") return await connectTcp(target);
    return new DescriptorStream(native, native.connectUnix(target.path));
  } catch (error) {
    throw refused(`connect to ${vchanTargetName(target)}`, error);
  }
}
function listenWithNode(target, onConnection) {
  return new Promise((resolve, reject) => {
    const server = createServer(
      { allowHalfOpen: true, noDelay: true },
      (socket) => onConnection(socketStream(socket))
    );
    server.once("error", reject);
    if (target.kind === "tcp") server.listen(target.port, target.host, () => resolve(server));
    else server.listen({ fd: target.fd }, () => resolve(server));
  });
}
async function listenAtVchanTarget(native, target, onConnection) {
  if (target.kind === "unix") {
    return listenUnixSocket(native, target.path, "clients", {
      add: (fd) => onConnection(new DescriptorStream(native, fd)),
      finish: () => {
      }
    });
  }
  try {
    return await listenWithNode(target, onConnection);
  } catch (error) {
    throw refused(`listen at ${vchanTargetName(target)}`, error);
  }
}

// src/abi/io/libxenvchan.ts
var VCHAN_NOTIFY_WRITE = 1;
var VCHAN_NOTIFY_READ = 2;
var VchanInterface = struct(
  "struct vchan_interface",
  {
    left_cons: u32,
    left_prod: u32,
    right_cons: u32,
    right_prod: u32,
    /** Logarithm of a ring's size; says where it lies: 10 and 11 in this page, above in pages of its own. */
    left_order: u16,
    right_order: u16,
    /** 0 gone, 1 connected, 2 (of the client) not yet connected. */
    cli_live: u8,
    srv_live: u8,
    /** `VCHAN_NOTIFY_…`: what the client wants the server to notify it of, and the other way round. */
    cli_notify: u8,
    srv_notify: u8,
    /** Grants of the rings' own pages, left before right. Their number depends on the orders. */
    grants: arrayOf(u32, 0)
  },
  {
    cFields: {
      left_cons: "left.cons",
      left_prod: "left.prod",
      right_cons: "right.cons",
      right_prod: "right.prod"
    }
  }
);

// src/vchan/rings.ts
var SMALL_ORDER = 10;
var LARGE_ORDER = 11;
var PAGE_ORDER = 12;
var ORDER_MAX = 20;
var VCHAN_RING_MAX = 1 << ORDER_MAX;
function pagesOfRing(order) {
  return order < PAGE_ORDER ? 0 : 1 << order - PAGE_ORDER;
}
function chooseOrders(left_min, right_min) {
  for (const size of [left_min, right_min]) {
    if (!Number.isInteger(size) || size < 0 || size > VCHAN_RING_MAX) {
      throw new RangeError(`a vchan's ring has 0 to ${VCHAN_RING_MAX} bytes, not ${size}`);
    }
  }
  const fits = (left, right) => left_min <= 1 << left && right_min <= 1 << right;
  if (fits(SMALL_ORDER, LARGE_ORDER)) return { left: SMALL_ORDER, right: LARGE_ORDER };
  if (fits(LARGE_ORDER, SMALL_ORDER)) return { left: LARGE_ORDER, right: SMALL_ORDER };
  const ownPages = (size) => Math.max(PAGE_ORDER, Math.ceil(Math.log2(size)));
  if (left_min <= 1 << LARGE_ORDER) return { left: LARGE_ORDER, right: ownPages(right_min) };
  if (right_min <= 1 << LARGE_ORDER) return { left: ownPages(left_min), right: LARGE_ORDER };
  return { left: ownPages(left_min), right: ownPages(right_min) };
}
function endOfGrants({ left, right }) {
  const grants = pagesOfRing(left) + pagesOfRing(right);
  return VchanInterface.offset.grants + grants * u32.size;
}
function checkOrders(orders) {
  const { left, right } = orders;
  const violated = (rule) => {
    const detail = `left_order ${left}, right_order ${right}`;
    throw new ProtocolViolation("look into the page of a vchan", `vchan: ${rule}`, detail);
  };
  for (const order of [left, right]) {
    if (order < SMALL_ORDER || order > ORDER_MAX) {
      violated(`a ring order is ${SMALL_ORDER} to ${ORDER_MAX}`);
    }
  }
  if (left === right && left < PAGE_ORDER) violated("one place in the page holds one ring");
  const inPage2 = Math.min(left, right);
  const room = inPage2 < PAGE_ORDER ? 1 << inPage2 : PAGE_SIZE;
  if (endOfGrants(orders) > room) violated("the grants end before the ring in the page");
}
function grantWords(page, orders) {
  const start = VchanInterface.offset.grants;
  const count = (endOfGrants(orders) - start) / u32.size;
  return new Uint32Array(page.buffer, page.byteOffset + start, count);
}
function inPage(page, order) {
  return page.subarray(1 << order, 2 << order);
}
function ringsOf(page, orders, ownPages) {
  const data = (order) => order < PAGE_ORDER ? inPage(page, order) : ownPages(pagesOfRing(order));
  const { left_cons, left_prod, right_cons, right_prod } = VchanInterface.offset;
  return {
    left: {
      name: "the vchan's left ring",
      data: data(orders.left),
      page,
      cons: left_cons,
      prod: left_prod
    },
    right: {
      name: "the vchan's right ring",
      data: data(orders.right),
      page,
      cons: right_cons,
      prod: right_prod
    }
  };
}

export {
  parseVchanTarget,
  vchanTargetName,
  connectVchanTarget,
  listenAtVchanTarget,
  VCHAN_NOTIFY_WRITE,
  VCHAN_NOTIFY_READ,
  VchanInterface,
  VCHAN_RING_MAX,
  chooseOrders,
  checkOrders,
  grantWords,
  ringsOf
};
//# sourceMappingURL=chunk-SVFUDFGH.js.map
