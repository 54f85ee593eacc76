import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  endSignal
} from "./chunk-Q3QLAXFX.js";
import {
  ByteRingReader,
  ByteRingWriter,
  StreamEnd
} from "./chunk-CENJH6II.js";
import {
  openLinuxHypervisor
} from "./chunk-RMLGY3KQ.js";
import {
  Holdings
} from "./chunk-7FWQTIXQ.js";
import "./chunk-YFVYMXZQ.js";
import {
  VCHAN_NOTIFY_READ,
  VCHAN_NOTIFY_WRITE,
  VchanInterface,
  checkOrders,
  chooseOrders,
  connectVchanTarget,
  grantWords,
  listenAtVchanTarget,
  ringsOf,
  vchanTargetName
} from "./chunk-SVFUDFGH.js";
import {
  silentLog
} from "./chunk-EW4O7BUS.js";
import {
  connectXenstore
} from "./chunk-UXLTWUUS.js";
import "./chunk-LYWPVKHU.js";
import "./chunk-KZAJKWCF.js";
import {
  nodeClock
} from "./chunk-A4XA7GZ3.js";
import "./chunk-SG3WZJOQ.js";
import {
  sleep
} from "./chunk-HVXLNJDG.js";
import {
  loadNative
} from "./chunk-MHMOFGF5.js";
import {
  childPath,
  domainHome
} from "./chunk-FWPDKSSG.js";
import "./chunk-FM26WRJC.js";
import "./chunk-WRZEEFDO.js";
import {
  DOM0,
  EVENT_PORT_MAX,
  domId,
  eventPort,
  grantRef
} from "./chunk-GNCMNX2R.js";
import {
  ProtocolViolation,
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// src/node/vchan-bridge.ts
import { once } from "node:events";

// src/vchan/keys.ts
var REF = "ring-ref";
var PORT = "event-channel";
var GRANT_REF_MAX = 4294967295;
function vchanPath(server, client, port) {
  return `${domainHome(server)}/data/vchan/${client}/${port}`;
}
async function publishKeys(xenstore, path, keys, server, client) {
  await removeKeys(xenstore, path);
  const permissions = [
    { domid: server, access: "n" },
    { domid: client, access: "r" }
  ];
  const publish = (name, value) => [
    xenstore.write(childPath(path, name), String(value)),
    xenstore.setPermissions(childPath(path, name), permissions)
  ];
  const written = await Promise.allSettled([
    ...publish(PORT, keys.port),
    ...publish(REF, keys.ref)
  ]);
  const refusal = written.find((one) => one.status === "rejected");
  if (refusal === void 0) return;
  await removeKeys(xenstore, path).catch(() => {
  });
  throw refusal.reason;
}
async function withdrawKeys(xenstore, path, keys) {
  const ref = await xenstore.readIfPresent(childPath(path, REF));
  if (ref === String(keys.ref)) await removeKeys(xenstore, path);
}
async function removeKeys(xenstore, path) {
  try {
    await xenstore.remove(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}
function keyNumber(path, name, value, max) {
  const number = /^[1-9][0-9]{0,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  throw new ProtocolViolation(
    `read ${childPath(path, name)}`,
    `vchan: ${name} is a decimal number from 1 to ${max}`,
    JSON.stringify(value.slice(0, 32))
  );
}
async function readKeys(xenstore, path) {
  const [ref, port] = await Promise.all([
    xenstore.read(childPath(path, REF)),
    xenstore.read(childPath(path, PORT))
  ]);
  return {
    ref: grantRef(keyNumber(path, REF, ref, GRANT_REF_MAX)),
    port: eventPort(keyNumber(path, PORT, port, EVENT_PORT_MAX))
  };
}
async function keysStand(xenstore, path, keys) {
  return await xenstore.readIfPresent(childPath(path, REF)) === String(keys.ref);
}

// src/vchan/peer-domain.ts
var PeerDomain = class _PeerDomain {
  watch;
  constructor(watch) {
    this.watch = watch;
  }
  /**
   * Calls `onGone` once the domain is gone, and soon if there is none with that number. xenstored
   * tells of domains' ends only those whom `@releaseDomain` permits, by default dom0 and driver
   * domains; to others this never tells.
   */
  static async watch(xenstore, domid, onGone) {
    if (domid === DOM0) return new _PeerDomain(void 0);
    const look = async () => {
      try {
        if (!await xenstore.isDomainIntroduced(domid)) onGone();
      } catch (error) {
        if (!(error instanceof XenError)) throw error;
      }
    };
    try {
      return new _PeerDomain(await xenstore.watch("@releaseDomain", () => void look()));
    } catch (error) {
      if (error instanceof XenError && error.code === "EACCES") return new _PeerDomain(void 0);
      throw error;
    }
  }
  /** Idempotent. */
  async close() {
    await this.watch?.close();
  }
};
function noSuchDomain(operation, domid) {
  return new XenError("ESRCH", operation, `domain ${domid} is gone`);
}

// src/vchan/patience.ts
var LOOKS_MAX = 1e3;
var PAUSE_MAX = 128;
var Patience = class {
  pause = 0;
  left = 0;
  /** Whether `happened` came true while we looked, which is once at least. */
  pays(happened) {
    if (happened()) return true;
    if (this.left > 0) {
      this.left--;
      return false;
    }
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      if (happened()) {
        this.pause = 0;
        return true;
      }
    }
    this.pause = Math.min(PAUSE_MAX, 2 * this.pause + 1);
    this.left = this.pause;
    return false;
  }
};

// src/vchan/vchan.ts
var LIVE_GONE = 0;
var LIVE_CONNECTED = 1;
var LIVE_AWAITED = 2;
var { cli_live, srv_live, cli_notify, srv_notify } = VchanInterface.offset;
var VCHAN_FLAGS = {
  client: { live: cli_live, wishes: srv_notify, peerLive: srv_live, peerWishes: cli_notify },
  server: { live: srv_live, wishes: cli_notify, peerLive: cli_live, peerWishes: srv_notify }
};
var PORTION_MIN = 32768;
var ROUNDS_MAX = 64;
function part(bytes, start, length) {
  if (start === 0 && bytes.length <= length) return bytes;
  return bytes.subarray(start, start + length);
}
var Vchan = class {
  page;
  flags;
  reader;
  writer;
  receiveSize;
  sendSize;
  channel;
  clock;
  release;
  end = new StreamEnd(() => this.wake());
  answers = new Patience();
  floods = new Patience();
  rooms = new Patience();
  handler = () => {
  };
  gone = false;
  /** Set in the page since the last event, so that setting it again would tell the peer nothing. */
  awaitsBytes = false;
  awaitsRoom = false;
  /** In this turn: all bytes were read; not all were written; some were. */
  drained = false;
  filled = false;
  wrote = false;
  /** The turn's end is due. */
  settleDue = false;
  /** How far the handler knows of bytes, by the producer's index. */
  knownProduced = 0;
  /** Bytes written in all. */
  written = 0;
  constructor(parts) {
    const { role, left, right } = parts;
    this.page = parts.page;
    this.flags = VCHAN_FLAGS[role];
    const [incoming, outgoing] = role === "client" ? [right, left] : [left, right];
    this.reader = new ByteRingReader(incoming);
    this.receiveSize = incoming.data.length;
    this.writer = new ByteRingWriter(outgoing);
    this.sendSize = outgoing.data.length;
    this.channel = parts.channel;
    this.clock = parts.clock;
    this.release = parts.release;
  }
  read(target) {
    if (this.end.over || target.length === 0) return 0;
    try {
      const length = this.takeBytes(target);
      this.knownProduced = this.reader.produced;
      this.drained = length < target.length;
      this.settleLater();
      return length;
    } catch (error) {
      return this.end.fail(error);
    }
  }
  /** Takes nothing once the peer is gone. */
  write(source) {
    if (source.length === 0 || this.peerGone) return 0;
    try {
      this.expectBytes();
      const length = this.putBytes(source);
      this.written += length;
      this.wrote ||= length > 0;
      this.filled = length < source.length;
      this.settleLater();
      return length;
    } catch (error) {
      return this.end.fail(error);
    }
  }
  /** Calls `handler` once soon, too: a signal from before this end existed may have been lost. */
  onReady(handler) {
    this.handler = handler;
    if (this.end.closed) return;
    this.channel.onEvent(() => {
      this.awaitsBytes = false;
      this.awaitsRoom = false;
      this.end.wake();
    });
    this.end.wakeSoon();
  }
  /**
   * Bytes written that the peer has yet to read; 0 once it is gone. While there are some, `onReady`
   * tells when they have become fewer.
   */
  get unread() {
    if (this.peerGone) return 0;
    try {
      if (this.writer.space === this.sendSize) return 0;
      this.awaitRoom();
      return this.sendSize - this.writer.space;
    } catch (error) {
      return this.end.fail(error);
    }
  }
  /** True once the peer has closed its end or died; bytes that it sent may still be there to read. */
  get peerGone() {
    if (!this.end.over && !this.gone) this.lookForPeer();
    return this.end.over || this.gone;
  }
  /** True once the peer is gone and all is read, after it broke a rule, when `error` says which, and after `close`. */
  get ended() {
    if (!this.peerGone) return false;
    try {
      return this.end.over || this.reader.available === 0;
    } catch (error) {
      this.end.fail(error);
      return true;
    }
  }
  /** Why the stream ended by itself: a `ProtocolViolation`, or the binding's refusal to notify. */
  get error() {
    return this.end.error;
  }
  /** For whoever learns that the peer's whole domain is gone, which leaves its flag as it was. */
  peerVanished() {
    this.gone = true;
    this.end.wakeSoon();
  }
  /** Signals the peer although it does not wait, where it has read nothing yet of all that was written. */
  remind() {
    if (this.channel.closed || this.peerGone || this.written === 0 || this.unread < this.written)
      return;
    this.signal();
  }
  close() {
    if (this.end.close()) this.release();
  }
  // Of a large ring both go by halves, and the peer is told of each half at once: it works on one
  // while we are busy with the other. Where much is on its way, a call goes on with what the peer
  // does right now.
  takeBytes(target) {
    const half = this.receiveSize >> 1;
    const portion = Math.max(half, PORTION_MIN);
    for (let taken = 0, rounds = 0; ; rounds++) {
      const length = this.reader.read(part(target, taken, portion));
      if (length > 0) this.tell(VCHAN_NOTIFY_READ);
      taken += length;
      if (taken === target.length || taken < half || rounds === ROUNDS_MAX) return taken;
      if (this.reader.available === 0 && !this.floods.pays(this.peerSent)) return taken;
    }
  }
  putBytes(source) {
    const portion = Math.max(this.sendSize >> 1, PORTION_MIN);
    for (let put = 0, rounds = 0; ; rounds++) {
      const length = this.writer.write(part(source, put, portion));
      if (length > 0) this.tell(VCHAN_NOTIFY_WRITE);
      put += length;
      if (put === source.length || rounds === ROUNDS_MAX) return put;
      if (this.writer.space === 0 && !this.rooms.pays(this.peerTook)) return put;
    }
  }
  awaitBytes() {
    this.awaitsBytes = true;
    Atomics.or(this.page, this.flags.wishes, VCHAN_NOTIFY_WRITE);
  }
  /** We look for bytes when the turn ends: until then the peer need not signal that there are some. */
  expectBytes() {
    if (!this.awaitsBytes) return;
    this.awaitsBytes = false;
    Atomics.and(this.page, this.flags.wishes, ~VCHAN_NOTIFY_WRITE);
  }
  awaitRoom() {
    this.awaitsRoom = true;
    Atomics.or(this.page, this.flags.wishes, VCHAN_NOTIFY_READ);
  }
  lookForPeer() {
    const live3 = Atomics.load(this.page, this.flags.peerLive);
    if (live3 === LIVE_GONE) this.gone = true;
    else if (live3 !== LIVE_CONNECTED) {
      const rule = "vchan: the live flag of a connected end is 1, and 0 once it is gone";
      const detail = `it is ${live3}`;
      this.end.fail(new ProtocolViolation("look whether the peer is there", rule, detail));
    }
  }
  /** Signals the peer if it waits for what we have just done. */
  tell(bit) {
    const { peerWishes } = this.flags;
    if ((Atomics.load(this.page, peerWishes) & bit) === 0) return;
    if ((Atomics.and(this.page, peerWishes, ~bit) & bit) !== 0) this.signal();
  }
  signal() {
    try {
      this.channel.notify();
    } catch (error) {
      this.end.fail(error);
    }
  }
  wake() {
    this.settleDue = true;
    this.work();
    this.settle();
  }
  work() {
    this.filled = false;
    if (!this.end.over) this.bytesSinceKnown();
    this.handler();
  }
  /** The turn ends once whoever reads and writes has returned. */
  settleLater() {
    if (this.settleDue) return;
    this.settleDue = true;
    void Promise.resolve().then(() => this.settle());
  }
  /** Lets the handler work for as long as the peer keeps up with it; then the peer is to signal. */
  settle() {
    for (let rounds = 0; this.settleDue && !this.end.over; rounds++) {
      if (rounds < ROUNDS_MAX && this.peerAnswers()) this.work();
      else {
        this.settleDue = false;
        this.awaitPeer();
      }
    }
    this.settleDue = false;
  }
  /** Looks for a while whether the peer answers to what was written, where that is likely. */
  peerAnswers() {
    const isLikely = this.wrote && this.drained && !this.filled;
    this.wrote = false;
    return isLikely && this.answers.pays(this.peerSent);
  }
  peerSent = () => this.reader.moved;
  peerTook = () => this.writer.moved;
  /** Asks for a signal, and looks once more for what the peer did before it could know of that. */
  awaitPeer() {
    if (!this.awaitsBytes) this.awaitBytes();
    if (this.filled && !this.awaitsRoom) this.awaitRoom();
    const came = this.bytesSinceKnown();
    if (came || this.filled && this.hasRoom()) this.clock.after(0, () => this.end.wake());
  }
  hasRoom() {
    try {
      return this.writer.space > 0;
    } catch (error) {
      this.end.fail(error);
      return false;
    }
  }
  /** Whether bytes came of which the handler does not know. From here on it does. */
  bytesSinceKnown() {
    const known = this.knownProduced;
    try {
      const any = this.reader.available > 0;
      this.knownProduced = this.reader.produced;
      return any && known !== this.knownProduced;
    } catch (error) {
      this.end.fail(error);
      return false;
    }
  }
};

// src/vchan/client.ts
var { live, wishes, peerLive } = VCHAN_FLAGS.client;
function checkLiveFlags(page, operation) {
  const server = Atomics.load(page, peerLive);
  const client = Atomics.load(page, live);
  if (server === LIVE_GONE) throw new XenError("ENOTCONN", operation, "the server has closed it");
  if (client === LIVE_CONNECTED) throw new XenError("EBUSY", operation, "it has a client already");
  if (server !== LIVE_CONNECTED || client !== LIVE_GONE && client !== LIVE_AWAITED) {
    throw new ProtocolViolation(
      operation,
      "vchan: before a client comes, srv_live is 1 and cli_live is 2 or 0",
      `srv_live ${server}, cli_live ${client}`
    );
  }
  return { reconnects: client === LIVE_GONE };
}
function dropRemains({ left, right }, operation) {
  if (new ByteRingReader(left).available > 0) {
    throw new XenError("EBUSY", operation, "the server still reads what its last client sent");
  }
  const reader = new ByteRingReader(right);
  reader.read(new Uint8Array(reader.available));
}
var RECONNECT_MS = 200;
async function attach({ hypervisor, clock }, { server, path }, { ref }, channel, release) {
  const map = (refs2, notice) => release.keep(hypervisor.grants.map(server, Array.from(refs2, grantRef), notice));
  const page = map([ref], { byteOffset: VchanInterface.offset.cli_live, channel }).bytes;
  const { left_order, right_order } = VchanInterface.view(page);
  const orders = { left: left_order, right: right_order };
  checkOrders(orders);
  const operation = `connect to the vchan at ${path}`;
  const { reconnects } = checkLiveFlags(page, operation);
  let next = 0;
  const refs = Uint32Array.from(grantWords(page, orders));
  const rings = ringsOf(page, orders, (count) => {
    next += count;
    return map(refs.subarray(next - count, next)).bytes;
  });
  if (reconnects) {
    channel.notify();
    await sleep(clock, RECONNECT_MS);
    if (channel.closed) throw new XenError("ECONNRESET", operation, "it was given up");
    checkLiveFlags(page, operation);
    dropRemains(rings, operation);
  }
  Atomics.store(page, wishes, VCHAN_NOTIFY_WRITE);
  Atomics.store(page, live, LIVE_CONNECTED);
  channel.notify();
  return new Vchan({
    ...{ role: "client", page, ...rings, channel, clock },
    release: () => release.close()
  });
}
var REMINDER_MS = 100;
var REMINDERS_MAX = 20;
function remindAtFirst(vchan, clock) {
  let left = REMINDERS_MAX;
  const remind = () => {
    vchan.remind();
    if (--left > 0) timer = clock.after(REMINDER_MS, remind);
  };
  let timer = clock.after(REMINDER_MS, remind);
  return { close: () => timer.cancel() };
}
async function connectNow(host, address, onClosed) {
  const { server, path } = address;
  const keys = await readKeys(host.xenstore, path);
  const held = new Holdings();
  held.keep({ close: onClosed });
  try {
    const channel = held.keep(host.hypervisor.events.bindInterdomain(server, keys.port));
    if (!await keysStand(host.xenstore, path, keys)) {
      throw new XenError("EAGAIN", `connect to the vchan at ${path}`, "another client was faster");
    }
    const vchan = await attach(host, address, keys, channel, held);
    held.keep(remindAtFirst(vchan, host.clock));
    return vchan;
  } catch (error) {
    held.close();
    throw error;
  }
}
var PASSING = /* @__PURE__ */ new Set(["EACCES", "EAGAIN", "EBUSY", "EINVAL", "ENOENT", "ENOTCONN", "EPERM"]);
var AWAITS_KEYS = /* @__PURE__ */ new Set(["EACCES", "ENOENT"]);
var RETRY_MS = 500;
var VchanConnector = class _VchanConnector {
  host;
  address;
  log;
  watch;
  domain;
  open = /* @__PURE__ */ new Set();
  last = Promise.resolve();
  changes = 0;
  onChange = () => {
  };
  failure;
  constructor(host, address, log) {
    this.host = host;
    this.address = address;
    this.log = log;
  }
  /** Rejects with `XenError` when xenstored refuses a watch. */
  static async open(host, server, path, log = silentLog) {
    const connector = new _VchanConnector(host, { server, path }, log);
    connector.watch = await host.xenstore.watch(path, () => connector.changed());
    connector.domain = await PeerDomain.watch(host.xenstore, server, () => connector.domainGone());
    return connector;
  }
  /**
   * Resolves once connected, however long that takes; one after the other, since a server offers
   * one vchan at a time. The log says what it waits for. Rejects with `XenError`: ESRCH when the
   * server's domain is gone, ECONNRESET after `close`, and `ProtocolViolation`.
   */
  connect() {
    const connected = this.last.then(() => this.untilConnected());
    this.last = connected.catch(() => {
    });
    return connected;
  }
  /** Ends what waits; what is connected goes on. Idempotent. */
  async close() {
    this.end(new XenError("ECONNRESET", this.operation, "it was given up"));
    await Promise.all([this.watch?.close(), this.domain?.close()]);
  }
  get operation() {
    return `connect to the vchan at ${this.address.path}`;
  }
  async untilConnected() {
    let lastReason = "";
    while (this.failure === void 0) {
      const { changes } = this;
      try {
        return await this.tryOnce();
      } catch (error) {
        const code = errorCode(error) ?? "";
        if (!PASSING.has(code)) throw error;
        const reason = errorMessage(error);
        if (reason !== lastReason) this.log.info(`waits for the server: ${reason}`);
        lastReason = reason;
        if (changes === this.changes) await this.nextChange(!AWAITS_KEYS.has(code));
      }
    }
    throw this.failure;
  }
  async tryOnce() {
    let vchan;
    const forget = () => {
      if (vchan !== void 0) this.open.delete(vchan);
    };
    vchan = await connectNow(this.host, this.address, forget);
    this.open.add(vchan);
    if (this.failure === void 0) return vchan;
    vchan.close();
    throw this.failure;
  }
  nextChange(limited) {
    return new Promise((resolve) => {
      const timer = limited ? this.host.clock.after(RETRY_MS, resolve) : void 0;
      this.onChange = () => {
        timer?.cancel();
        resolve();
      };
    });
  }
  changed() {
    this.changes++;
    this.onChange();
  }
  domainGone() {
    this.end(noSuchDomain(this.operation, this.address.server));
    for (const vchan of this.open) vchan.peerVanished();
  }
  end(reason) {
    this.failure ??= reason;
    this.changed();
  }
};

// src/vchan/join.ts
var PORTION = 65536;
var TURN_PORTIONS_MAX = 64;
var Flow = class {
  from;
  to;
  buffer = new Uint8Array(PORTION);
  start = 0;
  end = 0;
  constructor(from, to) {
    this.from = from;
    this.to = to;
  }
  /** Nothing is on its way. */
  get empty() {
    return this.start === this.end;
  }
  /** Moves what there is and what fits; true when there may be more for the next turn. */
  move() {
    for (let portions = 0; portions < TURN_PORTIONS_MAX; portions++) {
      if (this.empty) {
        this.start = 0;
        this.end = this.from.read(this.buffer);
        if (this.end === 0) return false;
      }
      this.start += this.to.write(this.buffer.subarray(this.start, this.end));
      if (!this.empty) return false;
    }
    return true;
  }
};
function join(vchan, other, clock) {
  const incoming = new Flow(vchan, other);
  const outgoing = new Flow(other, vchan);
  let turnDue = false;
  let over = false;
  return new Promise((resolve) => {
    const isOver = () => {
      if (vchan.ended) return incoming.empty || other.ended;
      return other.ended && outgoing.empty && vchan.unread === 0;
    };
    const advance = () => {
      if (over) return;
      const more = [incoming.move(), outgoing.move()].includes(true);
      over = isOver();
      if (over) {
        vchan.close();
        other.close();
        resolve(vchan.error);
      } else if (more && !turnDue) {
        turnDue = true;
        clock.after(0, () => {
          turnDue = false;
          advance();
        });
      }
    };
    vchan.onReady(advance);
    other.onReady(advance);
  });
}

// src/vchan/server.ts
var { live: live2, wishes: wishes2, peerLive: peerLive2 } = VCHAN_FLAGS.server;
var Offer = class {
  keys;
  channel;
  page;
  rings;
  clock;
  held = new Holdings();
  /** Throws `XenError` when grants or ports are used up. */
  constructor(host, client, orders) {
    const { events, grants } = host.hypervisor;
    const { held } = this;
    this.clock = host.clock;
    try {
      this.channel = held.keep(events.allocateUnbound(client));
      const notice = { byteOffset: VchanInterface.offset.srv_live, channel: this.channel };
      const first = held.keep(grants.share(client, 1, "read-write", notice));
      this.page = first.bytes;
      const own = [];
      this.rings = ringsOf(this.page, orders, (count) => {
        const pages = held.keep(grants.share(client, count, "read-write"));
        own.push(pages);
        return pages.bytes;
      });
      this.keys = { ref: first.refs[0], port: this.channel.port };
      grantWords(this.page, orders).set(own.flatMap(({ refs }) => refs));
    } catch (error) {
      held.close();
      throw error;
    }
    const view = VchanInterface.view(this.page);
    view.left_order = orders.left;
    view.right_order = orders.right;
    Atomics.store(this.page, wishes2, VCHAN_NOTIFY_WRITE);
    Atomics.store(this.page, peerLive2, LIVE_AWAITED);
    Atomics.store(this.page, live2, LIVE_CONNECTED);
  }
  /** `LIVE_…`, if the client keeps to the rules. */
  get clientLive() {
    return Atomics.load(this.page, peerLive2);
  }
  /** The vchan once its client has come. The offer must not be used any more. */
  accept(onClosed) {
    const release = () => {
      this.close();
      onClosed();
    };
    const { page, channel, clock } = this;
    return new Vchan({ role: "server", page, ...this.rings, channel, clock, release });
  }
  close() {
    this.held.close();
  }
};
var CONNECTIONS_MAX = 128;
var VchanServer = class _VchanServer {
  /** Resolves with the reason when the server cannot go on; never, while it can. */
  ended;
  host;
  options;
  orders;
  onConnection;
  log;
  open = /* @__PURE__ */ new Set();
  end;
  domain;
  offer;
  /** What stands in xenstore. */
  published;
  publishing;
  closed = false;
  constructor(host, options, onConnection) {
    this.host = host;
    this.options = options;
    this.orders = chooseOrders(options.receive_min ?? 0, options.send_min ?? 0);
    this.onConnection = onConnection;
    this.log = options.log ?? silentLog;
    let end = (_) => {
    };
    this.ended = new Promise((resolve) => {
      end = resolve;
    });
    this.end = end;
  }
  /**
   * Resolves once a client may come; each that comes is handed to `onConnection`, which owns it.
   * Rejects with `XenError` when grants, ports or quotas are used up or the path may not be written.
   */
  static async listen(host, options, onConnection) {
    const server = new _VchanServer(host, options, onConnection);
    await server.publish(new Offer(host, options.client, server.orders));
    try {
      const { client } = options;
      server.domain = await PeerDomain.watch(host.xenstore, client, () => server.clientGone());
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }
  /** Lets no further client in and removes the keys; those that are connected go on. Idempotent. */
  async close() {
    if (this.closed) return;
    this.closed = true;
    await this.publishing?.catch(() => {
    });
    this.offer?.close();
    this.offer = void 0;
    await this.domain?.close();
    await this.withdraw();
  }
  async publish(offer) {
    const { client, path } = this.options;
    const { hypervisor, xenstore } = this.host;
    try {
      await publishKeys(xenstore, path, offer.keys, hypervisor.domid, client);
    } catch (error) {
      offer.close();
      throw error;
    }
    this.published = offer.keys;
    this.offer = offer;
    offer.channel.onEvent(() => this.look());
  }
  /**
   * Offers the next vchan where there is room for one; otherwise removes the keys, which name one
   * that is taken. When its client leaves, a second one must not find the way to the same page.
   */
  renew() {
    if (this.closed || this.publishing !== void 0 || this.offer !== void 0) return;
    const offer = this.nextOffer();
    if (offer === void 0 && this.published === void 0) return;
    const done = offer === void 0 ? this.withdraw() : this.publish(offer);
    this.publishing = done.then(
      () => {
        this.publishing = void 0;
        this.look();
        this.renew();
      },
      (error) => this.fail(error)
    );
  }
  nextOffer() {
    const { connections_max = CONNECTIONS_MAX, client } = this.options;
    if (this.open.size >= connections_max) return void 0;
    try {
      return new Offer(this.host, client, this.orders);
    } catch (error) {
      if (this.open.size === 0) this.fail(error);
      else if (!(error instanceof XenError)) throw error;
      else if (this.published !== void 0) this.log.warn(`no further vchan: ${error.message}`);
      return void 0;
    }
  }
  async withdraw() {
    const keys = this.published;
    this.published = void 0;
    if (keys !== void 0) await withdrawKeys(this.host.xenstore, this.options.path, keys);
  }
  fail(error) {
    this.publishing = void 0;
    if (!(error instanceof XenError)) throw error;
    this.end(error);
  }
  /** Something has happened to the offer. */
  look() {
    const { offer } = this;
    const state = offer?.clientLive;
    if (this.closed || offer === void 0 || state === LIVE_AWAITED) return;
    this.offer = void 0;
    if (state === LIVE_CONNECTED || state === LIVE_GONE) this.accept(offer);
    else {
      offer.close();
      this.log.warn(errorMessage(wrongLive(state)));
    }
    this.renew();
  }
  accept(offer) {
    const vchan = offer.accept(() => {
      this.open.delete(vchan);
      this.renew();
    });
    this.open.add(vchan);
    this.onConnection(vchan);
  }
  clientGone() {
    for (const vchan of this.open) vchan.peerVanished();
    this.end(noSuchDomain(`offer a vchan at ${this.options.path}`, this.options.client));
  }
};
function wrongLive(state) {
  const rule = "vchan: a client that comes sets cli_live to 1";
  return new ProtocolViolation("look whether a client has come", rule, `it is ${state}`);
}

// src/node/vchan-duplex.ts
import { Duplex } from "node:stream";
var PORTION2 = 65536;
var scratch = new Uint8Array(PORTION2);
var VchanDuplex = class extends Duplex {
  vchan;
  /** The stream's consumer has asked for bytes that had not come yet. */
  readWanted = false;
  unwritten;
  finishing;
  constructor(vchan) {
    super({ allowHalfOpen: false });
    this.vchan = vchan;
    vchan.onReady(() => this.advance());
  }
  _read() {
    this.readWanted = true;
    this.readMore();
  }
  _write(chunk, _encoding, done) {
    this.unwritten = { rest: chunk, done };
    this.writeMore();
  }
  _final(done) {
    this.finishing = done;
    this.finish();
  }
  _destroy(error, done) {
    this.vchan.close();
    done(error);
  }
  advance() {
    this.readMore();
    this.writeMore();
    this.finish();
  }
  readMore() {
    while (this.readWanted && !this.readableEnded) {
      const length = this.vchan.read(scratch);
      if (length === 0) {
        if (this.vchan.ended) this.endOfBytes();
        return;
      }
      this.readWanted = this.push(Buffer.from(scratch.subarray(0, length)));
    }
  }
  endOfBytes() {
    this.readWanted = false;
    const { error } = this.vchan;
    if (error === void 0) this.push(null);
    else this.destroy(error);
  }
  writeMore() {
    const { unwritten, vchan } = this;
    if (unwritten === void 0) return;
    unwritten.rest = unwritten.rest.subarray(vchan.write(unwritten.rest));
    if (unwritten.rest.length > 0 && !vchan.peerGone) return;
    this.unwritten = void 0;
    unwritten.done(unwritten.rest.length > 0 ? this.peerIsGone() : null);
  }
  peerIsGone() {
    const reason = this.vchan.error;
    return reason ?? new XenError("ECONNRESET", "write to a vchan", "its other end is gone");
  }
  /** Closes the vchan once the peer has all that was written. */
  finish() {
    const done = this.finishing;
    if (done === void 0 || this.vchan.unread > 0) return;
    this.finishing = void 0;
    for (let length = this.vchan.read(scratch); length > 0; length = this.vchan.read(scratch)) {
      this.push(Buffer.from(scratch.subarray(0, length)));
    }
    this.vchan.close();
    if (!this.readableEnded) this.push(null);
    done();
  }
};
function vchanDuplex(vchan) {
  return new VchanDuplex(vchan);
}

// src/node/vchan-bridge.ts
async function domainNamed(xenstore, domain) {
  if (/^[0-9]{1,5}$/.test(domain)) return domId(Number(domain));
  for (const number of await xenstore.list("/local/domain")) {
    const name = await xenstore.readIfPresent(`/local/domain/${number}/name`);
    if (name === domain) return domId(Number(number));
  }
  throw new XenError("ESRCH", `find domain ${JSON.stringify(domain)}`, "no domain has that name");
}
async function overStdio(vchan) {
  const duplex = vchanDuplex(vchan);
  duplex.pipe(process.stdout, { end: false });
  process.stdin.pipe(duplex);
  try {
    await once(duplex, "close");
  } finally {
    process.stdin.destroy();
  }
}
var VchanBridge = class {
  host;
  native;
  settings;
  log;
  held = [];
  open = /* @__PURE__ */ new Set();
  constructor(host, native, settings, log) {
    this.host = host;
    this.native = native;
    this.settings = settings;
    this.log = log;
  }
  /**
   * Resolves when all is done that there is to do: after the one connection that there can be over
   * standard input and output. Rejects with `XenError` when it cannot go on.
   */
  async run() {
    const peer = await domainNamed(this.host.xenstore, this.settings.domain);
    return this.settings.role === "listen" ? this.listen(peer) : this.connect(peer);
  }
  /** Ends every connection and lets nobody in any more. */
  async close() {
    for (const vchan of this.open) vchan.close();
    for (let thing = this.held.pop(); thing !== void 0; thing = this.held.pop()) {
      await thing.close();
    }
  }
  path(server, client) {
    const { port } = this.settings;
    return port.includes("/") ? port : vchanPath(server, client, port);
  }
  async listen(client) {
    const { target, receive_min, send_min } = this.settings;
    const path = this.path(this.host.hypervisor.domid, client);
    const single = target === void 0 || target.kind === "descriptor";
    const connections_max = single ? 1 : this.settings.connections_max;
    const options = { client, path, receive_min, send_min, connections_max, log: this.log };
    let done = (_) => {
    };
    const firstDone = new Promise((resolve) => {
      done = resolve;
    });
    const server = await VchanServer.listen(this.host, options, (vchan) => {
      const served = this.carry(vchan, target && (() => connectVchanTarget(this.native, target)));
      if (single) done(served);
      else served.catch((error) => this.log.error(errorMessage(error)));
    });
    this.held.push(server);
    this.log.info(`listening at ${path}`);
    await this.announce();
    const reason = await Promise.race([firstDone, server.ended]);
    if (reason !== void 0) throw reason;
  }
  async connect(server) {
    const { target } = this.settings;
    const path = this.path(server, this.host.hypervisor.domid);
    const connector = await VchanConnector.open(this.host, server, path, this.log);
    this.held.push(connector);
    if (target === void 0) {
      await this.announce();
      return this.carry(await connector.connect(), void 0);
    }
    const listener = await listenAtVchanTarget(this.native, target, (stream) => {
      const carried = connector.connect().then((vchan) => this.carry(vchan, async () => stream));
      carried.catch((error) => {
        this.log.error(errorMessage(error));
        stream.close();
      });
    });
    this.held.push(listener);
    this.log.info(`listening at ${vchanTargetName(target)} for ${path}`);
    await this.announce();
    return new Promise(() => {
    });
  }
  /** One connection, until it has ended, to another stream or to our standard input and output. */
  async carry(vchan, connectOther) {
    this.open.add(vchan);
    this.log.debug("a connection begins", { open: this.open.size });
    try {
      if (connectOther === void 0) await overStdio(vchan);
      else {
        const breach = await join(vchan, await connectOther(), this.host.clock);
        if (breach !== void 0) throw breach;
      }
    } finally {
      vchan.close();
      this.open.delete(vchan);
      this.log.debug("a connection has ended", { open: this.open.size });
    }
  }
  async announce() {
    const { statePath } = this.settings;
    if (statePath !== void 0) await this.host.xenstore.write(statePath, "running");
  }
};

// src/dom0/run-vchan.ts
async function runVchan(settings, xenstoreSocket, log) {
  const held = new Holdings();
  try {
    const signalled = endSignal(log);
    const native = loadNative();
    const hypervisor = held.keep(openLinuxHypervisor());
    const xenstore = held.keep(await connectXenstore({ native: loadNative, path: xenstoreSocket }));
    const lost = new Promise((_, reject) => xenstore.onEnd(reject));
    lost.catch(() => {
    });
    const bridge = new VchanBridge(
      { hypervisor, xenstore, clock: nodeClock },
      native,
      settings,
      log
    );
    try {
      await Promise.race([bridge.run(), signalled, lost]);
    } finally {
      await bridge.close();
    }
  } finally {
    held.close();
  }
}
export {
  runVchan
};
//# sourceMappingURL=run-vchan-EQDJQDFO.js.map
