import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  connectXenstoreSocket,
  xenstoreSocketPath
} from "./chunk-KZAJKWCF.js";
import {
  nodeClock
} from "./chunk-A4XA7GZ3.js";
import {
  XenstoreClient
} from "./chunk-SG3WZJOQ.js";
import {
  sleep
} from "./chunk-HVXLNJDG.js";
import {
  DOM0
} from "./chunk-GNCMNX2R.js";
import {
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// src/node/xenstore-access.ts
import { statSync } from "node:fs";

// src/xenstore/reconnecting.ts
var RETRY_MIN_MS = 20;
var RETRY_MAX_MS = 500;
var LastingWatch = class {
  path;
  handler;
  forget;
  current;
  closed = false;
  constructor(path, handler, forget) {
    this.path = path;
    this.handler = handler;
    this.forget = forget;
  }
  /** Sets it on a connection that has none of it. */
  async set(client) {
    if (this.closed) return;
    const watch = await client.watch(this.path, (path) => {
      if (!this.closed) this.handler(path);
    });
    this.current = watch;
    if (this.closed) await watch.close();
  }
  async close() {
    if (this.closed) return;
    this.closed = true;
    this.forget(this);
    await this.current?.close();
  }
};
var ReconnectingXenstore = class _ReconnectingXenstore {
  parts;
  watches = /* @__PURE__ */ new Set();
  client;
  closed = false;
  constructor(parts, first) {
    this.parts = parts;
    this.client = Promise.resolve(first);
    first.onEnd((reason) => this.lost(reason));
  }
  /** Rejects as `connect` does when there is no xenstored to begin with. */
  static async open(parts) {
    return new _ReconnectingXenstore(parts, await parts.connect());
  }
  read(path) {
    return this.ask((client) => client.read(path));
  }
  readIfPresent(path) {
    return this.ask((client) => client.readIfPresent(path));
  }
  list(path) {
    return this.ask((client) => client.list(path));
  }
  write(path, value) {
    return this.ask((client) => client.write(path, value));
  }
  mkdir(path) {
    return this.ask((client) => client.mkdir(path));
  }
  remove(path) {
    return this.ask(async (client, isAgain) => {
      try {
        await client.remove(path);
      } catch (error) {
        if (!isAgain || errorCode(error) !== "ENOENT") throw error;
      }
    });
  }
  getPermissions(path) {
    return this.ask((client) => client.getPermissions(path));
  }
  setPermissions(path, permissions) {
    return this.ask((client) => client.setPermissions(path, permissions));
  }
  transaction(body) {
    return this.ask((client) => client.transaction(body));
  }
  async watch(path, handler) {
    const watch = new LastingWatch(path, handler, (gone) => this.watches.delete(gone));
    await this.ask(async (client) => {
      await watch.set(client);
      this.watches.add(watch);
    });
    return watch;
  }
  domainPath(domid) {
    return this.ask((client) => client.domainPath(domid));
  }
  isDomainIntroduced(domid) {
    return this.ask((client) => client.isDomainIntroduced(domid));
  }
  async introduce(domid, gfn, port) {
    return (await this.client).introduce(domid, gfn, port);
  }
  async release(domid) {
    return (await this.client).release(domid);
  }
  setTarget(domid, target) {
    return this.ask((client) => client.setTarget(domid, target));
  }
  async control(command, ...args) {
    return (await this.client).control(command, ...args);
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.client.then(
      (client) => client.close(),
      () => {
      }
    );
  }
  /** Asks until there is an answer. `isAgain` tells that it may have been carried out before. */
  async ask(question) {
    for (let isAgain = false; ; isAgain = true) {
      const client = await this.client;
      try {
        return await question(client, isAgain);
      } catch (error) {
        if (this.closed || errorCode(error) !== "ECONNRESET") throw error;
      }
    }
  }
  lost(reason) {
    if (this.closed) return;
    this.parts.log.warn(`xenstored is gone, waiting for it: ${reason.message}`);
    this.client = this.connectAgain();
    this.client.catch(() => {
    });
  }
  async connectAgain() {
    const { connect, clock, log } = this.parts;
    for (let delay_ms = RETRY_MIN_MS; ; delay_ms = Math.min(2 * delay_ms, RETRY_MAX_MS)) {
      await sleep(clock, delay_ms);
      if (this.closed) throw new XenError("ECONNRESET", "xenstore connection", "it was closed");
      try {
        const client = await connect();
        if (this.closed) client.close();
        await this.setWatches(client);
        client.onEnd((reason) => this.lost(reason));
        log.info("xenstored is back");
        return client;
      } catch (error) {
        log.debug("still no xenstored", { error: errorMessage(error) });
      }
    }
  }
  async setWatches(client) {
    try {
      await Promise.all([...this.watches].map((watch) => watch.set(client)));
    } catch (error) {
      client.close();
      throw error;
    }
  }
};

// src/node/xenstore-device.ts
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
var XENSTORE_DEVICE = "/dev/xen/xenbus";
var DeviceStream = class {
  fd;
  poller;
  readable;
  handler = () => {
  };
  failed = false;
  closed = false;
  constructor(native, fd) {
    this.fd = fd;
    this.readable = native.READABLE;
    this.poller = new native.Poller(fd, (events) => {
      if (events < 0) this.failed = true;
      this.handler();
    });
  }
  read(target) {
    return this.attempt(() => readSync(this.fd, target));
  }
  /** The driver takes one packet a call, of any length, and drops what follows it. */
  write(source) {
    return this.attempt(() => writeSync(this.fd, source));
  }
  onReady(handler) {
    this.handler = handler;
    if (!this.ended) this.poller.start(this.readable);
  }
  get ended() {
    return this.failed || this.closed;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.poller.close();
    closeSync(this.fd);
  }
  attempt(transfer) {
    if (this.ended) return 0;
    try {
      return transfer();
    } catch (error) {
      if (errorCode(error) === "EAGAIN") return 0;
      this.failed = true;
      this.poller.stop();
      setImmediate(() => this.handler());
      return 0;
    }
  }
};
var REQUESTS_MAX = 1;
function connectXenstoreDevice(native, path) {
  let fd;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const code = errorCode(error) === "EACCES" ? "EACCES" : "ENOENT";
    throw new XenError(code, `open ${path}`, errorMessage(error), error);
  }
  return new XenstoreClient(new DeviceStream(native, fd), nodeClock, REQUESTS_MAX);
}

// src/node/xenstore-access.ts
var ANSWER_MS_MAX = 3e4;
function isCharacterDevice(path) {
  return statSync(path, { throwIfNoEntry: false })?.isCharacterDevice() ?? false;
}
async function connectDevice(access, path) {
  const client = connectXenstoreDevice(access.native(), path);
  const clock = access.clock ?? nodeClock;
  let timer = { cancel: () => {
  } };
  const silence = new Promise((_, reject) => {
    timer = clock.after(ANSWER_MS_MAX, () => {
      const detail = `no xenstored has answered for ${ANSWER_MS_MAX / 1e3} s`;
      reject(new XenError("ETIMEDOUT", `reach xenstore through ${path}`, detail));
    });
  });
  try {
    await Promise.race([client.domainPath(DOM0), silence]);
    return client;
  } catch (error) {
    client.close();
    throw error;
  } finally {
    timer.cancel();
  }
}
function wayTo(access) {
  const device = (path) => () => connectDevice(access, path);
  const named = access.path ?? process.env.XENSTORED_PATH;
  if (named !== void 0 && isCharacterDevice(named)) return device(named);
  const socket = () => connectXenstoreSocket(named ?? xenstoreSocketPath());
  if (named !== void 0) return socket;
  let way;
  return async () => {
    if (way !== void 0) return way();
    const [client, found] = await firstOf(socket, device(XENSTORE_DEVICE));
    way = found;
    return client;
  };
}
async function firstOf(socket, device) {
  try {
    return [await socket(), socket];
  } catch (error) {
    const noDaemon = errorCode(error) === "ENOENT" || errorCode(error) === "ENOTCONN";
    if (!noDaemon || !isCharacterDevice(XENSTORE_DEVICE)) throw error;
  }
  return [await device(), device];
}
function connectXenstore(access) {
  return wayTo(access)();
}
function followXenstore(access, log) {
  return ReconnectingXenstore.open({ connect: wayTo(access), clock: nodeClock, log });
}

export {
  connectXenstore,
  followXenstore
};
//# sourceMappingURL=chunk-UXLTWUUS.js.map
