import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  startXenstored,
  xenstoreRingStream
} from "./chunk-R55HPQGR.js";
import {
  BlockFront,
  startBlkback
} from "./chunk-HJQJP4RJ.js";
import {
  SHUTDOWN_crash,
  SHUTDOWN_poweroff
} from "./chunk-GPJKCV6N.js";
import {
  XENCONSOLED_DEFAULTS,
  frontConsole,
  startXenconsoled
} from "./chunk-VA2YK6AB.js";
import {
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_general_error,
  GNTST_okay,
  GNTTAB_NR_RESERVED_ENTRIES,
  GNTTAB_RESERVED_CONSOLE,
  GNTTAB_RESERVED_XENSTORE
} from "./chunk-2WEKOQT4.js";
import "./chunk-6MNRIXTP.js";
import "./chunk-CENJH6II.js";
import "./chunk-LRBUSU5K.js";
import "./chunk-DMYIZMIZ.js";
import {
  EVTCHN_FIFO_NR_CHANNELS
} from "./chunk-7FWQTIXQ.js";
import {
  VIRQ_CON_RING,
  VIRQ_DOM_EXC
} from "./chunk-YFVYMXZQ.js";
import "./chunk-XBUZ4ILQ.js";
import {
  logTo,
  silentLog
} from "./chunk-EW4O7BUS.js";
import {
  SECTOR_SIZE
} from "./chunk-LQUJFEZC.js";
import "./chunk-CIIRNFUU.js";
import {
  PAGE_SIZE
} from "./chunk-LYWPVKHU.js";
import {
  XenstoreClient
} from "./chunk-SG3WZJOQ.js";
import {
  latin1Decode,
  latin1Encode
} from "./chunk-HVXLNJDG.js";
import {
  XenbusStateInitialising
} from "./chunk-IXIAWWMT.js";
import {
  domainHome
} from "./chunk-FWPDKSSG.js";
import "./chunk-FM26WRJC.js";
import "./chunk-WRZEEFDO.js";
import {
  DOM0,
  domId,
  eventPort,
  grantRef
} from "./chunk-GNCMNX2R.js";
import {
  XenError
} from "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// src/base/prng.ts
var Prng = class {
  a;
  b;
  c;
  counter = 1;
  /** @param seed any 32-bit number */
  constructor(seed) {
    this.a = seed >>> 0;
    this.b = 2654435769;
    this.c = 608135816;
    for (let i = 0; i < 12; i++) this.uint32();
  }
  /** Uniform over 0 … 2^32 - 1. */
  uint32() {
    const sum = this.a + this.b + this.counter >>> 0;
    this.counter = this.counter + 1 >>> 0;
    this.a = (this.b ^ this.b >>> 9) >>> 0;
    this.b = this.c + (this.c << 3) >>> 0;
    this.c = (this.c << 21 | this.c >>> 11) + sum >>> 0;
    return sum;
  }
  /** An integer from 0 to `limit` - 1. */
  below(limit) {
    if (!Number.isInteger(limit) || limit <= 0 || limit > 4294967296) {
      throw new RangeError(`below() needs a limit from 1 to 2^32, not ${limit}`);
    }
    return Math.floor(this.uint32() / 4294967296 * limit);
  }
  /** True with the given probability, 0 to 1. */
  chance(probability) {
    return this.uint32() / 4294967296 < probability;
  }
  /** One element of a non-empty array. */
  pick(items) {
    return items[this.below(items.length)];
  }
};

// src/hypervisor/sim/grants.ts
function freeRefs(domain, count) {
  const refs = [];
  for (let ref = GNTTAB_NR_RESERVED_ENTRIES; ref < domain.limits.grants_max; ref++) {
    if (refs.length === count) break;
    if (!domain.grants.has(ref)) refs.push(ref);
  }
  return refs;
}
function grantPages(xen, domain, peer, count, readOnly) {
  const operation = `grant ${count} pages of domain ${domain.domid} to domain ${peer}`;
  if (xen.fault("refuseShare")) throw new XenError("ENOSPC", operation, "fault on purpose");
  const room = domain.limits.grants_max - GNTTAB_NR_RESERVED_ENTRIES;
  const refs = count <= room ? freeRefs(domain, count) : [];
  if (refs.length < count) throw new XenError("ENOSPC", operation, "the grant table is full");
  const frames = domain.allocateFrames(count);
  const entries = frames.map((frame, index) => {
    const entry = {
      ref: refs[index],
      peer,
      frame,
      readOnly,
      mappings: 0,
      revoked: false,
      reserved: false
    };
    domain.grants.set(entry.ref, entry);
    return entry;
  });
  const access = readOnly ? "to read" : "to read and write";
  xen.trace(domain, () => `grants ${refs.join(", ")} to domain ${peer} ${access}`);
  return entries;
}
function grantReserved(domain, ref, peer, frame) {
  domain.grants.set(ref, {
    ref,
    peer,
    frame,
    readOnly: false,
    mappings: 0,
    revoked: false,
    reserved: true
  });
}
function endGrant(xen, entry) {
  const domain = entry.frame.owner;
  domain.grants.delete(entry.ref);
  domain.frames.delete(entry.frame.gfn);
  xen.trace(domain, () => `grant ${entry.ref} has ended`);
}
function revokeGrant(xen, entry) {
  if (entry.frame.owner.state === "gone") return;
  entry.revoked = true;
  if (entry.mappings === 0) endGrant(xen, entry);
  else
    xen.trace(
      entry.frame.owner,
      () => `grant ${entry.ref} ends when domain ${entry.peer} unmaps it`
    );
}
function findGrant(xen, user, granter, ref, write) {
  const domain = xen.domain(granter);
  if (domain === void 0) return GNTST_bad_domain;
  if (domain.state === "dying") return GNTST_general_error;
  const entry = domain.grants.get(ref);
  if (entry === void 0) return GNTST_bad_gntref;
  if (entry.peer !== user.domid) return GNTST_general_error;
  if (write && entry.readOnly) return GNTST_general_error;
  return entry;
}
var refusals = /* @__PURE__ */ new Map([
  [GNTST_bad_domain, "there is no such domain"],
  [GNTST_bad_gntref, "there is no such grant"],
  [GNTST_general_error, "it is not granted to us for reading and writing"]
]);
function mapGrants(xen, user, granter, refs) {
  const entries = refs.map((ref) => {
    const operation = `map grant ${ref} of domain ${granter}`;
    if (xen.fault("refuseMap")) throw new XenError("EINVAL", operation, "fault on purpose");
    const entry = findGrant(xen, user, granter, ref, true);
    if (typeof entry === "number") throw new XenError("EINVAL", operation, refusals.get(entry));
    return entry;
  });
  for (const entry of entries) {
    entry.mappings += 1;
    xen.holdFrame(entry.frame);
  }
  xen.trace(user, () => `maps ${refs.join(", ")} of domain ${granter}`);
  return entries;
}
function unmapGrants(xen, user, entries) {
  const refs = entries.map((entry) => entry.ref).join(", ");
  const granter = entries[0].frame.owner;
  xen.trace(user, () => `unmaps ${refs} of domain ${granter.domid}`);
  for (const entry of entries) {
    entry.mappings -= 1;
    xen.releaseFrame(entry.frame);
    if (entry.revoked && entry.mappings === 0 && granter.state !== "gone") endGrant(xen, entry);
  }
}

// src/hypervisor/sim/copy-batch.ts
var nowhere = new Uint8Array(0);
var SimCopyBatch = class {
  capacity;
  xen;
  domain;
  assertOpen;
  copies;
  filled = 0;
  ran = 0;
  /** @param assertOpen throws when the process that made the batch has ended */
  constructor(xen, domain, capacity, assertOpen) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`a batch holds 1 copy or more, not ${capacity}`);
    }
    this.xen = xen;
    this.domain = domain;
    this.capacity = capacity;
    this.assertOpen = assertOpen;
    this.copies = Array.from({ length: capacity }, () => ({
      toPeer: false,
      peer: domain.domid,
      ref: grantRef(0),
      offset: 0,
      local: nowhere,
      status: GNTST_okay
    }));
  }
  get length() {
    return this.filled;
  }
  fromPeer(peer, ref, offset, local) {
    return this.add(false, peer, ref, offset, local);
  }
  toPeer(peer, ref, offset, local) {
    return this.add(true, peer, ref, offset, local);
  }
  run() {
    this.assertOpen();
    let refused = 0;
    for (let index = 0; index < this.filled; index++) {
      const copy = this.copies[index];
      copy.status = this.perform(copy);
      copy.local = nowhere;
      if (copy.status !== GNTST_okay) refused += 1;
    }
    this.xen.trace(this.domain, () => `copies ${this.filled} times, ${refused} refused`);
    this.ran = this.filled;
    this.filled = 0;
    return refused;
  }
  status(index) {
    const copy = index < this.ran ? this.copies[index] : void 0;
    if (copy === void 0) throw new RangeError(`copy ${index} of a batch of ${this.ran}`);
    return copy.status;
  }
  add(toPeer, peer, ref, offset, local) {
    this.assertOpen();
    if (this.filled === this.capacity) {
      throw new RangeError(`a batch for ${this.capacity} copies is full`);
    }
    if (!Number.isInteger(offset) || offset < 0 || offset + local.length > PAGE_SIZE) {
      throw new RangeError(`${local.length} bytes at ${offset} are not within the peer's page`);
    }
    const copy = this.copies[this.filled];
    copy.toPeer = toPeer;
    copy.peer = domId(peer);
    copy.ref = grantRef(ref);
    copy.offset = offset;
    copy.local = local;
    this.filled += 1;
    return this.filled - 1;
  }
  perform(copy) {
    if (this.xen.fault("refuseCopy")) return GNTST_general_error;
    const entry = findGrant(this.xen, this.domain, copy.peer, copy.ref, copy.toPeer);
    if (typeof entry === "number") return entry;
    const { memory, offset } = entry.frame;
    const peerBytes = new Uint8Array(memory, offset + copy.offset, copy.local.length);
    if (copy.toPeer) peerBytes.set(copy.local);
    else copy.local.set(peerBytes);
    return GNTST_okay;
  }
};

// src/hypervisor/sim/ports.ts
var FIRST_PORT = 1;
var NR_VIRQS = 24;
function openPort(xen, domain, state, reserved = false) {
  let number = FIRST_PORT;
  while (domain.ports.has(number)) number++;
  const full = domain.ports.size >= domain.limits.ports_max;
  if (full || !reserved && xen.fault("refusePort")) {
    const operation = `open an event channel of domain ${domain.domid}`;
    throw new XenError("ENOSPC", operation, full ? "all its ports are in use" : "fault on purpose");
  }
  const port = {
    domain,
    number,
    reserved,
    state,
    pending: false,
    paused: false,
    queued: false,
    handler: void 0
  };
  domain.ports.set(number, port);
  return port;
}
function bindInterdomain(xen, domain, peer, remotePort) {
  const operation = `bind port ${remotePort} of domain ${peer}`;
  const peerDomain = xen.domain(peer);
  if (peerDomain === void 0) throw new XenError("ESRCH", operation, "there is no such domain");
  const remote = peerDomain.ports.get(remotePort);
  if (remote?.state.kind !== "unbound" || remote.state.peer !== domain.domid) {
    throw new XenError("EINVAL", operation, "it is not open for us");
  }
  const port = openPort(xen, domain, { kind: "interdomain", peer: remote });
  remote.state = { kind: "interdomain", peer: port };
  xen.trace(domain, () => `port ${port.number} is bound to port ${remotePort} of domain ${peer}`);
  signal(xen, port);
  return port;
}
function bindVirq(xen, domain, virq) {
  const operation = `bind virtual interrupt ${virq}`;
  if (!Number.isInteger(virq) || virq < 0 || virq >= NR_VIRQS) {
    throw new RangeError(`a virtual interrupt is 0 to ${NR_VIRQS - 1}, not ${virq}`);
  }
  if (!domain.privileged) throw new XenError("EPERM", operation, "the domain is not privileged");
  for (const { state } of domain.ports.values()) {
    if (state.kind === "virq" && state.virq === virq) throw new XenError("EEXIST", operation);
  }
  const port = openPort(xen, domain, { kind: "virq", virq });
  xen.trace(domain, () => `port ${port.number} is bound to virtual interrupt ${virq}`);
  return port;
}
function send(xen, port) {
  const { state } = port;
  if (state.kind === "virq") {
    throw new XenError("EINVAL", `signal port ${port.number}`, "it is a virtual interrupt");
  }
  const reaches = state.kind === "interdomain";
  xen.trace(
    port.domain,
    () => `signals port ${port.number}${reaches ? "" : ", which nobody has bound"}`
  );
  if (state.kind === "interdomain") signal(xen, state.peer);
}
function raiseVirq(xen, virq) {
  for (const domain of xen.domains.values()) {
    for (const port of domain.ports.values()) {
      if (port.state.kind === "virq" && port.state.virq === virq) signal(xen, port);
    }
  }
}
function signal(xen, port) {
  port.pending = true;
  queueDelivery(xen, port);
}
var deliverable = (port) => port.pending && !port.paused && port.handler !== void 0 && port.domain.state === "running";
function queueDelivery(xen, port) {
  if (port.queued || !deliverable(port)) return;
  port.queued = true;
  const job = () => {
    port.queued = false;
    deliver(xen, port);
  };
  if (xen.fault("delayEvent")) {
    xen.scheduler.after(xen.prng.below(xen.faults.delayEvent_ms_max + 1), job);
  } else {
    xen.scheduler.post(job);
  }
}
function deliver(xen, port) {
  if (!deliverable(port)) return;
  port.pending = false;
  xen.trace(port.domain, () => `has an event on port ${port.number}`);
  port.handler?.();
  if (xen.fault("spuriousEvent")) signal(xen, port);
}
function closePort(xen, port) {
  const { state, domain } = port;
  if (state.kind === "closed") return;
  if (state.kind === "interdomain") state.peer.state = { kind: "unbound", peer: domain.domid };
  port.state = { kind: "closed" };
  port.pending = false;
  port.handler = void 0;
  domain.ports.delete(port.number);
  xen.trace(domain, () => `closes port ${port.number}`);
}

// src/hypervisor/sim/event-channel.ts
var SimEventChannel = class {
  port;
  xen;
  state;
  onClosed;
  ended = false;
  constructor(xen, port, onClosed) {
    this.xen = xen;
    this.state = port;
    this.port = eventPort(port.number);
    this.onClosed = onClosed;
  }
  get closed() {
    return this.ended;
  }
  notify() {
    this.assertOpen();
    send(this.xen, this.state);
  }
  onEvent(handler) {
    this.assertOpen();
    this.state.handler = handler;
    queueDelivery(this.xen, this.state);
  }
  pause() {
    this.assertOpen();
    this.state.paused = true;
  }
  resume() {
    this.assertOpen();
    this.state.paused = false;
    queueDelivery(this.xen, this.state);
  }
  close() {
    this.vanish();
  }
  vanish() {
    if (this.ended) return;
    this.ended = true;
    closePort(this.xen, this.state);
    this.onClosed(this);
  }
  assertOpen() {
    if (this.ended) throw new TypeError(`the event channel on port ${this.port} is closed`);
  }
};

// src/hypervisor/sim/pages.ts
function oneRun(frames) {
  return frames.every((frame, index) => {
    const first = frames[0];
    return frame.memory === first.memory && frame.offset === first.offset + index * PAGE_SIZE;
  });
}
function checkNotice(count, notice) {
  const { byteOffset, channel } = notice;
  if (byteOffset !== void 0) {
    if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset >= count * PAGE_SIZE) {
      throw new RangeError(`byteOffset ${byteOffset} is not within ${count} pages`);
    }
  }
  if (channel?.closed) throw new TypeError("the event channel of an EndNotice must be open");
}
var SimPages = class {
  count;
  pages;
  run;
  notice;
  release;
  ended = false;
  /** @param release gives the pages back, exactly once */
  constructor(frames, notice, release) {
    this.count = frames.length;
    this.pages = frames.map((frame) => new Uint8Array(frame.memory, frame.offset, PAGE_SIZE));
    const first = frames[0];
    this.run = oneRun(frames) ? new Uint8Array(first.memory, first.offset, frames.length * PAGE_SIZE) : void 0;
    this.notice = notice;
    this.release = release;
  }
  get closed() {
    return this.ended;
  }
  get bytes() {
    this.assertOpen();
    if (this.run === void 0) {
      throw new XenError(
        "ENOTSUP",
        `show ${this.count} pages as one run`,
        "the simulator can only where the peer allocated them together and in this order"
      );
    }
    return this.run;
  }
  page(index) {
    this.assertOpen();
    const page = this.pages[index];
    if (page === void 0) throw new RangeError(`page ${index} of ${this.count} pages`);
    return page;
  }
  close() {
    if (this.ended) return;
    const { byteOffset, channel } = this.notice;
    if (byteOffset !== void 0) {
      this.page(Math.floor(byteOffset / PAGE_SIZE))[byteOffset % PAGE_SIZE] = 0;
    }
    this.vanish();
    if (channel !== void 0 && !channel.closed) channel.notify();
  }
  vanish() {
    if (this.ended) return;
    this.ended = true;
    this.release();
  }
  assertOpen() {
    if (this.ended) throw new TypeError("these pages are closed");
  }
};

// src/hypervisor/sim/hypervisor.ts
function checkCount(count) {
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(`there must be 1 page or more, not ${count}`);
  }
}
var SimSharedPages = class extends SimPages {
  refs;
  constructor(entries, notice, release) {
    super(
      entries.map((entry) => entry.frame),
      notice,
      release
    );
    this.refs = entries.map((entry) => grantRef(entry.ref));
  }
};
var SimHypervisor = class {
  domid;
  grants;
  events;
  supports = { detach: false, contiguousMaps: false, loopback: true };
  xen;
  domain;
  pages = /* @__PURE__ */ new Set();
  channels = /* @__PURE__ */ new Set();
  ended = false;
  constructor(xen, domain) {
    this.xen = xen;
    this.domain = domain;
    this.domid = domain.domid;
    this.grants = {
      share: (peer, count, access, notice) => this.share(peer, count, access, notice),
      map: (peer, refs, notice) => this.map(peer, refs, notice),
      copyBatch: (capacity) => {
        this.assertOpen();
        return new SimCopyBatch(xen, domain, capacity, () => this.assertOpen());
      }
    };
    this.events = {
      allocateUnbound: (peer) => {
        this.assertOpen();
        const port = openPort(xen, domain, { kind: "unbound", peer: domId(peer) });
        xen.trace(domain, () => `port ${port.number} is open for domain ${peer}`);
        return this.openChannel(port);
      },
      bindInterdomain: (peer, remotePort) => {
        this.assertOpen();
        return this.openChannel(bindInterdomain(xen, domain, domId(peer), eventPort(remotePort)));
      },
      bindVirq: (virq) => {
        this.assertOpen();
        return this.openChannel(bindVirq(xen, domain, virq));
      }
    };
  }
  close() {
    for (const pages of this.pages) pages.close();
    this.vanish();
  }
  /** Ends as when the domain is destroyed: nobody is left to give notice. */
  vanish() {
    this.ended = true;
    for (const handle of [...this.pages, ...this.channels]) handle.vanish();
  }
  /** A window on frames that stays until it is closed or the process ends. */
  openWindow(frames, release) {
    const pages = new SimPages(frames, {}, () => {
      this.pages.delete(pages);
      release();
    });
    this.pages.add(pages);
    return pages;
  }
  openChannel(port) {
    const channel = new SimEventChannel(this.xen, port, () => this.channels.delete(channel));
    this.channels.add(channel);
    return channel;
  }
  assertOpen() {
    if (this.ended) throw new TypeError(`this hypervisor of ${this.domain.name} is closed`);
  }
  share(peer, count, access, notice = {}) {
    this.assertOpen();
    checkCount(count);
    checkNotice(count, notice);
    const { xen, domain } = this;
    const entries = grantPages(xen, domain, domId(peer), count, access === "read");
    const pages = new SimSharedPages(entries, notice, () => {
      this.pages.delete(pages);
      for (const entry of entries) revokeGrant(xen, entry);
    });
    this.pages.add(pages);
    return pages;
  }
  map(peer, refs, notice = {}) {
    this.assertOpen();
    checkCount(refs.length);
    checkNotice(refs.length, notice);
    const { xen, domain } = this;
    const entries = mapGrants(xen, domain, domId(peer), refs.map(grantRef));
    const frames = entries.map((entry) => entry.frame);
    const pages = new SimPages(frames, notice, () => {
      this.pages.delete(pages);
      unmapGrants(xen, domain, entries);
    });
    this.pages.add(pages);
    return pages;
  }
};

// src/hypervisor/sim/control.ts
function describe(domain) {
  return {
    domid: domain.domid,
    dying: domain.state === "dying",
    shutdown: domain.stopped,
    shutdownReason: domain.shutdownReason,
    hvm: domain.hvm
  };
}
var SimDomainControl = class {
  xen;
  hypervisor;
  consoleRead = 0;
  constructor(xen, hypervisor) {
    this.xen = xen;
    this.hypervisor = hypervisor;
  }
  info(domid) {
    this.hypervisor.assertOpen();
    const domain = this.xen.domain(domId(domid));
    return domain && describe(domain);
  }
  list() {
    this.hypervisor.assertOpen();
    return [...this.xen.domains.values()].map(describe).sort((a, b) => a.domid - b.domid);
  }
  mapForeign(domid, gfns) {
    this.hypervisor.assertOpen();
    const { xen } = this;
    if (gfns.length === 0) throw new RangeError("there must be 1 frame or more");
    const domain = xen.domain(domId(domid));
    const operation = `map frames of domain ${domid}`;
    if (domain === void 0) throw new XenError("ESRCH", operation, "there is no such domain");
    const frames = gfns.map((gfn) => {
      const frame = domain.state === "dying" ? void 0 : domain.frames.get(gfn);
      if (frame === void 0) throw new XenError("EINVAL", operation, `no frame ${gfn}`);
      return frame;
    });
    for (const frame of frames) xen.holdFrame(frame);
    return this.hypervisor.openWindow(frames, () => {
      for (const frame of frames) xen.releaseFrame(frame);
    });
  }
  readConsole() {
    this.hypervisor.assertOpen();
    const { console } = this.xen;
    const text = console.since(this.consoleRead);
    this.consoleRead = console.total;
    return text === "" ? void 0 : latin1Encode(text);
  }
};

// src/hypervisor/sim/process-clock.ts
var ProcessClock = class {
  world;
  timers = /* @__PURE__ */ new Set();
  ended = false;
  constructor(world) {
    this.world = world;
  }
  now_ms() {
    return this.world.now_ms();
  }
  wallclock_ms() {
    return this.world.wallclock_ms();
  }
  after(delay_ms, callback) {
    const inner = this.world.after(delay_ms, () => {
      this.timers.delete(timer);
      callback();
    });
    const timer = {
      cancel: () => {
        this.timers.delete(timer);
        inner.cancel();
      }
    };
    this.timers.add(timer);
    if (this.ended) timer.cancel();
    return timer;
  }
  /** The process is gone: no timer rings any more. */
  end() {
    this.ended = true;
    for (const timer of this.timers) timer.cancel();
  }
};

// src/hypervisor/sim/process.ts
var SimProcess = class {
  hypervisor;
  /** The privileged calls, when the domain is privileged. */
  control;
  /** The world's time, with timers that end with the process. */
  clock;
  ownHypervisor;
  ownClock;
  constructor(xen, domain) {
    this.ownHypervisor = new SimHypervisor(xen, domain);
    this.ownClock = new ProcessClock(xen.scheduler);
    this.hypervisor = this.ownHypervisor;
    this.control = domain.privileged ? new SimDomainControl(xen, this.ownHypervisor) : void 0;
    this.clock = this.ownClock;
  }
  /**
   * Ends the process as SIGKILL does: the kernel gives the end notices, closes the ports and takes
   * back pages and grants. Its timers and handlers never run again. Idempotent.
   */
  kill() {
    this.ownClock.end();
    this.ownHypervisor.close();
  }
  /** Stops as when its whole domain has crashed: nothing runs, everything stays as it was. */
  freeze() {
    this.ownClock.end();
  }
  /** Ends as when its whole domain is destroyed: nobody is left to give notice. */
  vanish() {
    this.ownClock.end();
    this.ownHypervisor.vanish();
  }
};

// src/hypervisor/sim/domain.ts
var SimDomain = class {
  domid;
  name;
  /** What the toolstack gave the domain's kernel; it stays while processes come and go. */
  kernel;
  xen;
  domain;
  processes = [];
  main;
  constructor(xen, domain) {
    this.xen = xen;
    this.domain = domain;
    this.domid = domain.domid;
    this.name = domain.name;
    this.kernel = new SimHypervisor(xen, domain);
    this.main = this.startProcess();
  }
  /** The contract as the domain's main process has it. */
  get hypervisor() {
    return this.main.hypervisor;
  }
  /** The main process's privileged calls, when the domain is privileged. */
  get control() {
    return this.main.control;
  }
  /** The world's time, with timers that end with the main process. */
  get clock() {
    return this.main.clock;
  }
  /** Still exists, even if it only waits for others to unmap its pages. */
  get exists() {
    return this.domain.state !== "gone";
  }
  /** One more process beside the main one, to be killed by itself. */
  startProcess() {
    this.assertRunning();
    const process = new SimProcess(this.xen, this.domain);
    this.processes.push(process);
    return process;
  }
  /** Kills the main process as SIGKILL does and starts another, which this returns. */
  restartProcess() {
    this.assertRunning();
    this.xen.trace(this.domain, () => "its main process is killed and started again");
    this.main.kill();
    this.main = this.startProcess();
    return this.main.hypervisor;
  }
  /**
   * The domain stops with a `SHUTDOWN_…` reason of sched.h and waits for the toolstack to destroy
   * it, which is `kill()`. An orderly one ends its processes first; a crashed one leaves its
   * memory, grants and ports as they were.
   */
  shutdown(reason) {
    this.assertRunning();
    for (const process of this.processes) {
      if (reason === SHUTDOWN_crash) process.freeze();
      else process.kill();
    }
    this.domain.state = "shutdown";
    this.domain.stopped = true;
    this.domain.shutdownReason = reason;
    this.xen.trace(this.domain, () => `shuts down with reason ${reason}`);
    this.xen.onDomainEvent();
  }
  /**
   * Destroys the domain at once, as `xl destroy` does: it can give no end notice. Its ports close,
   * what it mapped is unmapped, and it stays in the list as dying while others map its pages.
   */
  kill() {
    const { domain, xen } = this;
    if (domain.state === "dying" || domain.state === "gone") return;
    xen.trace(domain, () => "is destroyed");
    for (const process of this.processes) process.vanish();
    this.kernel.vanish();
    domain.state = "dying";
    if (!xen.finishDying(domain)) xen.onDomainEvent();
  }
  assertRunning() {
    if (this.domain.state !== "running") throw new TypeError(`${this.name} does not run any more`);
  }
};

// src/hypervisor/sim/faults.ts
var noFaults = {
  delayEvent: 0,
  delayEvent_ms_max: 10,
  spuriousEvent: 0,
  refuseShare: 0,
  refuseMap: 0,
  refuseCopy: 0,
  refusePort: 0
};

// src/hypervisor/sim/guest.ts
function makeBootPage(xen, domain, simDomain, reserved, daemon) {
  const [frame] = domain.allocateFrames(1);
  grantReserved(domain, reserved, daemon, frame);
  const port = openPort(xen, domain, { kind: "unbound", peer: daemon }, true);
  return {
    ref: grantRef(reserved),
    gfn: frame.gfn,
    channel: simDomain.kernel.openChannel(port),
    page: simDomain.kernel.openWindow([frame], () => {
    })
  };
}

// src/hypervisor/sim/inventory.ts
function describePort({ domain, number, state }) {
  const name = `port ${number} of ${domain.name}`;
  switch (state.kind) {
    case "unbound":
      return `${name} (open for domain ${state.peer})`;
    case "interdomain":
      return `${name} (bound to port ${state.peer.number} of ${state.peer.domain.name})`;
    case "virq":
      return `${name} (virtual interrupt ${state.virq})`;
    case "closed":
      return `${name} (closed)`;
  }
}
function grantsOf(domain) {
  return [...domain.grants.values()].filter((entry) => !entry.reserved).map(
    (entry) => `grant ${entry.ref} of ${domain.name} to domain ${entry.peer} is ` + (entry.revoked ? "revoked but still mapped" : "not revoked")
  );
}
function mappingsOf(domain) {
  return [...domain.mappedFrames].map(
    (frame) => `frame ${frame.gfn} of ${domain.name} is mapped ${frame.mappings} times`
  );
}
function portsOf(domain) {
  return [...domain.ports.values()].filter((port) => !port.reserved).map((port) => `${describePort(port)} is open`);
}
function leftovers(xen) {
  return [...xen.domains.values()].flatMap((domain) => [
    ...grantsOf(domain),
    ...mappingsOf(domain),
    ...portsOf(domain)
  ]);
}
function waiting(xen) {
  const ports = [...xen.domains.values()].flatMap((domain) => [...domain.ports.values()]).filter((port) => port.handler !== void 0).map((port) => `${describePort(port)} ${port.paused ? "is paused" : "waits for a signal"}`);
  const timers = xen.scheduler.timers_ms.map((due_ms) => `a timer rings at ${due_ms} ms`);
  return [...ports, ...timers];
}

// src/hypervisor/sim/scheduler.ts
var START_WALLCLOCK_MS = Date.UTC(2024, 0, 1);
var Scheduler = class {
  now = 0;
  ready = [];
  /** In order of `due_ms`, then of setting. */
  alarms = [];
  prng;
  constructor(prng) {
    this.prng = prng;
  }
  now_ms() {
    return this.now;
  }
  wallclock_ms() {
    return START_WALLCLOCK_MS + this.now;
  }
  after(delay_ms, callback) {
    if (!(delay_ms >= 0)) throw new RangeError(`a delay must be 0 or more, not ${delay_ms}`);
    const alarm = {
      due_ms: this.now + delay_ms,
      callback,
      cancel: () => {
        const at2 = this.alarms.indexOf(alarm);
        if (at2 >= 0) this.alarms.splice(at2, 1);
      }
    };
    let at = this.alarms.length;
    while (at > 0 && this.alarms[at - 1].due_ms > alarm.due_ms) at--;
    this.alarms.splice(at, 0, alarm);
    return alarm;
  }
  /** Runs `job` soon, in any order with the other jobs that are ready then. */
  post(job) {
    this.ready.push(job);
  }
  /** When each timer rings, the earliest first. */
  get timers_ms() {
    return this.alarms.map((alarm) => alarm.due_ms);
  }
  /**
   * Runs one thing that is due; when nothing is, jumps to the next timer up to `limit_ms` and runs
   * that. Returns false when there was nothing to run.
   */
  step(limit_ms) {
    const next = this.alarms[0];
    const timerDue = next !== void 0 && next.due_ms <= this.now;
    const candidates = this.ready.length + (timerDue ? 1 : 0);
    if (candidates > 0) {
      const chosen = this.prng.below(candidates);
      const job = this.ready[chosen];
      if (job !== void 0) this.ready.splice(chosen, 1);
      else this.alarms.shift();
      (job ?? next.callback)();
      return true;
    }
    if (next === void 0 || next.due_ms > limit_ms) return false;
    this.alarms.shift();
    this.now = next.due_ms;
    next.callback();
    return true;
  }
  /** Lets time pass up to `time_ms`, when nothing is due before. */
  advanceTo(time_ms) {
    this.now = Math.max(this.now, time_ms);
  }
};

// src/hypervisor/sim/console-ring.ts
var CONSOLE_RING_SIZE = 16384;
var ConsoleRing = class {
  text = "";
  /** How many characters it ever had. */
  total = 0;
  append(text) {
    this.text = (this.text + text).slice(-CONSOLE_RING_SIZE);
    this.total += text.length;
  }
  /** What came after the first `position` characters, as far as it is still there. */
  since(position) {
    const fresh = Math.min(this.total - position, this.text.length);
    return fresh === 0 ? "" : this.text.slice(-fresh);
  }
};

// src/hypervisor/sim/xen.ts
var Domain = class {
  domid;
  name;
  privileged;
  hvm;
  limits;
  /** By guest frame number. */
  frames = /* @__PURE__ */ new Map();
  /** Those that somebody maps, also when the domain has no more use for them. */
  mappedFrames = /* @__PURE__ */ new Set();
  grants = /* @__PURE__ */ new Map();
  ports = /* @__PURE__ */ new Map();
  state = "running";
  /** It has shut down or crashed, whatever became of it then. */
  stopped = false;
  shutdownReason = 0;
  nextGfn = 4096;
  constructor(domid, name, kind, limits) {
    this.domid = domid;
    this.name = name;
    this.privileged = kind.privileged;
    this.hvm = kind.hvm;
    this.limits = limits;
  }
  /** `count` new zeroed pages that follow each other. */
  allocateFrames(count) {
    const memory = new ArrayBuffer(count * PAGE_SIZE);
    return Array.from({ length: count }, (_, index) => {
      const frame = {
        owner: this,
        gfn: this.nextGfn++,
        memory,
        offset: index * PAGE_SIZE,
        mappings: 0
      };
      this.frames.set(frame.gfn, frame);
      return frame;
    });
  }
};
var Xen = class {
  scheduler;
  prng;
  faults;
  domains = /* @__PURE__ */ new Map();
  console = new ConsoleRing();
  /** Called when a domain has stopped, begun to die or gone: what `VIRQ_DOM_EXC` announces. */
  onDomainEvent = () => {
  };
  log;
  lastDomId = -1;
  constructor(scheduler, prng, faults, log) {
    this.scheduler = scheduler;
    this.prng = prng;
    this.faults = faults;
    this.log = log;
  }
  /** Logs one step. The sentence is only built when somebody listens. */
  trace(domain, what) {
    if (this.log === silentLog) return;
    this.log.debug(`${domain.name}: ${what()}`, { at_ms: this.scheduler.now_ms() });
  }
  /** The domain while it exists, also while it is dying. */
  domain(domid) {
    return this.domains.get(domid);
  }
  /** Draws whether a fault happens. A fault that never happens draws nothing, so old seeds stay good. */
  fault(name) {
    const probability = this.faults[name];
    return probability > 0 && this.prng.chance(probability);
  }
  /** A domain maps `frame`, so its memory stays. */
  holdFrame(frame) {
    frame.mappings += 1;
    frame.owner.mappedFrames.add(frame);
  }
  /** A mapping of `frame` ends, and with the last of them a dying owner. */
  releaseFrame(frame) {
    frame.mappings -= 1;
    if (frame.mappings === 0) frame.owner.mappedFrames.delete(frame);
    if (frame.owner.state === "dying") this.finishDying(frame.owner);
  }
  /** Removes a dying domain once nobody maps its memory. */
  finishDying(domain) {
    if (domain.mappedFrames.size > 0) return false;
    domain.state = "gone";
    domain.frames.clear();
    domain.grants.clear();
    this.domains.delete(domain.domid);
    this.trace(domain, () => "is gone");
    this.onDomainEvent();
    return true;
  }
  /** The number for the next domain: they count up and none is used again. */
  freeDomId() {
    let next = this.lastDomId + 1;
    while (this.domains.has(next)) next++;
    this.lastDomId = next;
    return domId(next);
  }
};

// src/hypervisor/sim/world.ts
var GRANTS_MAX = 64 * 512;
var GUEST_PORTS_MAX = 1023;
var RUN_STEPS_MAX = 1e6;
var FINISH_MS_MAX = 6e5;
async function settleMicrotasks() {
  for (let turn = 0; turn < 100; turn++) await void 0;
}
var SimWorld = class {
  seed;
  /** Virtual: it moves only when the world runs. */
  clock;
  /** The probabilities may be changed while the world runs. */
  faults;
  scheduler;
  xen;
  settle;
  outsideWork = /* @__PURE__ */ new Set();
  constructor(options) {
    const prng = new Prng(options.seed);
    this.seed = options.seed;
    this.faults = { ...noFaults, ...options.faults };
    this.settle = options.settle ?? settleMicrotasks;
    this.scheduler = new Scheduler(prng);
    this.clock = this.scheduler;
    this.xen = new Xen(this.scheduler, prng, this.faults, options.log ?? silentLog);
    this.xen.onDomainEvent = () => raiseVirq(this.xen, VIRQ_DOM_EXC);
  }
  /** A new running domain. Domids count up from 0; the first domain is privileged. */
  createDomain(options = {}) {
    return new SimDomain(this.xen, this.addDomain(options));
  }
  /** A new running domain with the pages and ports that the toolstack gives every guest. */
  buildGuest(options = {}) {
    const { xen } = this;
    const state = this.addDomain(options);
    const domain = new SimDomain(xen, state);
    const xenstoreDomid = options.xenstoreDomid ?? DOM0;
    const consoleDomid = options.consoleDomid ?? DOM0;
    return {
      domain,
      xenstore: makeBootPage(xen, state, domain, GNTTAB_RESERVED_XENSTORE, xenstoreDomid),
      console: makeBootPage(xen, state, domain, GNTTAB_RESERVED_CONSOLE, consoleDomid)
    };
  }
  /** Text, one character a byte, on the hypervisor's own console: `VIRQ_CON_RING` announces it. */
  printHypervisorConsole(text) {
    this.xen.console.append(text);
    raiseVirq(this.xen, VIRQ_CON_RING);
  }
  /**
   * Runs what is due, in an order drawn from the seed, until nothing is due any more, `until` holds
   * or `for_ms` of virtual time have passed. When nothing is due now, time jumps to the next timer.
   * Throws what a handler throws.
   */
  async run(options = {}) {
    const { until = () => false, for_ms } = options;
    const limit_ms = for_ms === void 0 ? Infinity : this.scheduler.now_ms() + for_ms;
    const held = await this.runUntil(until, limit_ms);
    if (!held && for_ms !== void 0) this.scheduler.advanceTo(limit_ms);
  }
  /**
   * The promise's result, with the world run meanwhile. Rejects with who waits for what when
   * nothing more can happen and the promise is still pending.
   */
  async finish(promise) {
    let settled = false;
    const note = () => {
      settled = true;
    };
    promise.then(note, note);
    const limit_ms = this.scheduler.now_ms() + FINISH_MS_MAX;
    if (await this.runUntil(() => settled, limit_ms)) return promise;
    const waits = waiting(this.xen).map((line) => `
  ${line}`);
    throw new Error(
      `nothing more happens and the promise is pending (seed ${this.seed})${waits.join("")}`
    );
  }
  /**
   * Lets real work, such as reading a file, take part: until `work` settles, virtual time stands
   * still and the world counts as busy. Returns `work`.
   */
  outside(work) {
    this.outsideWork.add(work);
    const forget = () => {
      this.outsideWork.delete(work);
    };
    work.then(forget, forget);
    return work;
  }
  /** Every grant, mapping and port that is still open, as sentences; empty at the end of a test. */
  leftovers() {
    return leftovers(this.xen);
  }
  /** Returns whether `until` holds; otherwise nothing is due up to `limit_ms`. */
  async runUntil(until, limit_ms) {
    await this.settle();
    for (let steps = 0; steps < RUN_STEPS_MAX; steps++) {
      if (until()) return true;
      const busyOutside = this.outsideWork.size > 0;
      const stepped = this.scheduler.step(busyOutside ? this.scheduler.now_ms() : limit_ms);
      if (!stepped && !busyOutside) return false;
      if (!stepped) await Promise.race([...this.outsideWork].map((work) => work.catch(() => {
      })));
      await this.settle();
    }
    throw new Error(`the world is still busy after ${RUN_STEPS_MAX} steps (seed ${this.seed})`);
  }
  addDomain(options) {
    const domid = options.domid ?? this.xen.freeDomId();
    if (this.xen.domain(domid) !== void 0) throw new TypeError(`domain ${domid} exists already`);
    const privileged = options.privileged ?? domid === DOM0;
    const domain = new Domain(
      domid,
      options.name ?? `domain ${domid}`,
      { privileged, hvm: options.hvm ?? false },
      {
        grants_max: options.grants_max ?? GRANTS_MAX,
        ports_max: options.ports_max ?? (privileged ? EVTCHN_FIFO_NR_CHANNELS - 1 : GUEST_PORTS_MAX)
      }
    );
    this.xen.domains.set(domid, domain);
    this.xen.trace(domain, () => `is created with domid ${domid}`);
    return domain;
  }
};

// src/dom0/simulation/line-stream.ts
var READ_BYTES = 4096;
var LineStream = class {
  stream;
  chunk = new Uint8Array(READ_BYTES);
  /** What has arrived and nobody has read, one character a byte. */
  text = "";
  reader;
  unsent = new Uint8Array(0);
  sent = [];
  constructor(stream) {
    this.stream = stream;
    stream.onReady(() => this.move());
  }
  /** Resolves when the stream has taken all of `bytes`. One write at a time. */
  async write(bytes) {
    this.unsent = bytes;
    await this.drained();
  }
  /** Resolves when nothing waits to be written. */
  drained() {
    return new Promise((resolve) => {
      this.sent.push(resolve);
      this.move();
    });
  }
  /** The next line, without its end. One read at a time. */
  readLine() {
    return this.readUntil("\n");
  }
  /** All up to and without `until`, which is taken too. Rejects with ECONNRESET when the stream ends before. */
  readUntil(until) {
    return new Promise((resolve, reject) => {
      this.reader = { until, resolve, reject };
      this.move();
    });
  }
  move() {
    for (let n = this.stream.read(this.chunk); n > 0; n = this.stream.read(this.chunk)) {
      this.text += latin1Decode(this.chunk, 0, n);
    }
    const { reader } = this;
    if (reader !== void 0) this.serve(reader);
    while (this.unsent.length > 0) {
      const taken = this.stream.write(this.unsent);
      if (taken === 0) return;
      this.unsent = this.unsent.subarray(taken);
    }
    for (const resolve of this.sent.splice(0)) resolve();
  }
  serve(reader) {
    const at = this.text.indexOf(reader.until);
    if (at >= 0) {
      this.reader = void 0;
      const found = this.text.slice(0, at);
      this.text = this.text.slice(at + reader.until.length);
      reader.resolve(latin1Encode(found));
    } else if (this.stream.ended) {
      this.reader = void 0;
      reader.reject(new XenError("ECONNRESET", "read a line", "the stream has ended"));
    }
  }
};

// src/dom0/simulation/toolstack.ts
var XVDA = 202 << 8;
var CONSOLE_LIMIT_BYTES = 1048576;
var backendPath = (domid) => `${domainHome(DOM0)}/backend/vbd/${domid}/${XVDA}`;
var frontendPath = (domid) => `${domainHome(domid)}/device/vbd/${XVDA}`;
async function writeAll(nodes, directory, permissions, values) {
  await nodes.mkdir(directory);
  await nodes.setPermissions(directory, permissions);
  for (const [name, value] of Object.entries(values)) {
    await nodes.write(`${directory}/${name}`, String(value));
  }
}
async function initialiseDom0(store) {
  const home = domainHome(DOM0);
  await store.write(`${home}/name`, "Domain-0");
  await store.write(`${home}/domid`, String(DOM0));
  await store.mkdir(`${home}/backend/vbd`);
}
async function introduceGuest(store, guest, plan) {
  const { domid } = guest.domain;
  const home = domainHome(domid);
  const readableByGuest = [
    { domid: DOM0, access: "n" },
    { domid, access: "r" }
  ];
  const ownedByGuest = [
    { domid, access: "n" },
    { domid: DOM0, access: "r" }
  ];
  await store.transaction(async (nodes) => {
    await writeAll(nodes, home, readableByGuest, { name: plan.name, domid });
    await writeAll(nodes, `${home}/data`, ownedByGuest, {});
    await writeAll(nodes, `${home}/console`, readableByGuest, {
      "ring-ref": guest.console.gfn,
      port: guest.console.channel.port,
      type: "xenconsoled",
      limit: CONSOLE_LIMIT_BYTES,
      output: "pty"
    });
    await writeAll(nodes, backendPath(domid), readableByGuest, {
      frontend: frontendPath(domid),
      "frontend-id": domid,
      params: plan.disk,
      "physical-device-path": plan.disk,
      "hotplug-status": "connected",
      mode: "w",
      online: 1,
      state: XenbusStateInitialising
    });
    await writeAll(nodes, frontendPath(domid), ownedByGuest, {
      backend: backendPath(domid),
      "backend-id": DOM0,
      "virtual-device": XVDA,
      "device-type": "disk",
      state: XenbusStateInitialising
    });
  });
  await store.introduce(domid, guest.xenstore.gfn, guest.xenstore.channel.port);
}
async function destroyGuest(store, guest) {
  const { domid } = guest.domain;
  guest.domain.kill();
  await store.transaction(async (nodes) => {
    await nodes.remove(`${domainHome(DOM0)}/backend/vbd/${domid}`);
    await nodes.remove(domainHome(domid));
  });
}

// src/dom0/simulation/guest.ts
var PROMPT = "type a line: ";
var TEST_BYTES = 2 * 1024 * 1024;
async function exerciseDisk(disk, prng) {
  const length = Math.min(TEST_BYTES, disk.info.size);
  const written = new Uint8Array(length);
  const words = new Uint32Array(written.buffer);
  for (let i = 0; i < words.length; i++) words[i] = prng.uint32();
  await disk.write(0, [written]);
  await disk.flush();
  const back = new Uint8Array(length);
  await disk.read(0, [back]);
  const different = back.findIndex((byte, i) => byte !== written[i]);
  if (different >= 0) {
    throw new XenError("EIO", "read the disk back", `byte ${different} is not what was written`);
  }
  return `wrote ${length} bytes, flushed, read them back: the same`;
}
async function runGuest(guest, seed, log) {
  const { domain, xenstore, console } = guest;
  const store = new XenstoreClient(
    xenstoreRingStream(xenstore.page, xenstore.channel, "client"),
    domain.clock
  );
  const terminal = frontConsole({
    page: console.page.page(0),
    channel: console.channel,
    release: () => console.page.close()
  });
  const lines = new LineStream(terminal);
  const say = (text) => lines.write(latin1Encode(text));
  const name = await store.read("name");
  await say(`${name} is up as domain ${await store.read("domid")}\r
`);
  const { hypervisor, clock } = domain;
  const disk = await BlockFront.connect({ hypervisor, xenstore: store, clock, log, devid: XVDA });
  await say(`xvda has ${disk.info.size / disk.info.sectorSize} sectors\r
`);
  await say(`${await exerciseDisk(disk, new Prng(seed))}\r
`);
  await say(PROMPT);
  const line = latin1Decode(await lines.readLine());
  await say(`you typed "${line}"\r
`);
  await disk.close();
  await say("powering off\r\n");
  await lines.drained();
  store.close();
  terminal.close();
  domain.shutdown(SHUTDOWN_poweroff);
}

// src/base/byte-pipe.ts
var Queue = class {
  bytes;
  start = 0;
  length = 0;
  constructor(capacity) {
    this.bytes = new Uint8Array(capacity);
  }
  put(source) {
    const count = Math.min(source.length, this.bytes.length - this.length);
    const at = (this.start + this.length) % this.bytes.length;
    const first = Math.min(count, this.bytes.length - at);
    this.bytes.set(source.subarray(0, first), at);
    this.bytes.set(source.subarray(first, count), 0);
    this.length += count;
    return count;
  }
  take(target) {
    const count = Math.min(target.length, this.length);
    const first = Math.min(count, this.bytes.length - this.start);
    target.set(this.bytes.subarray(this.start, this.start + first));
    target.set(this.bytes.subarray(0, count - first), first);
    this.start = (this.start + count) % this.bytes.length;
    this.length -= count;
    return count;
  }
};
var PipeEnd = class {
  clock;
  incoming;
  outgoing;
  handler;
  wakeDue = false;
  peer;
  closed = false;
  constructor(clock, incoming, outgoing) {
    this.clock = clock;
    this.incoming = incoming;
    this.outgoing = outgoing;
  }
  read(target) {
    if (this.closed) return 0;
    const count = this.incoming.take(target);
    if (count > 0) this.peer?.wake();
    return count;
  }
  write(source) {
    if (this.closed || this.peer?.closed === true) return 0;
    const count = this.outgoing.put(source);
    if (count > 0) this.peer?.wake();
    return count;
  }
  onReady(handler) {
    this.handler = handler;
    this.wake();
  }
  get ended() {
    return this.closed || this.peer?.closed === true && this.incoming.length === 0;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.peer?.wake();
  }
  /** Calls the handler from the event loop, once for all that happened until then. */
  wake() {
    if (this.wakeDue || this.closed) return;
    this.wakeDue = true;
    this.clock.after(0, () => {
      this.wakeDue = false;
      if (!this.closed) this.handler?.();
    });
  }
};
function bytePipe(clock, capacity = 65536) {
  const there = new Queue(capacity);
  const back = new Queue(capacity);
  const left = new PipeEnd(clock, back, there);
  const right = new PipeEnd(clock, there, back);
  left.peer = right;
  right.peer = left;
  return [left, right];
}

// src/block/memory-disk.ts
var MemoryDisk = class {
  /** The disk's content. */
  bytes;
  options;
  resized = () => {
  };
  /** @param size in bytes, a multiple of the sector size */
  constructor(size, options = {}) {
    const { sectorSize = SECTOR_SIZE, readOnly = false } = options;
    needWholeSectors(size, sectorSize);
    this.bytes = new Uint8Array(size);
    this.options = { sectorSize, readOnly };
  }
  get info() {
    const { sectorSize, readOnly } = this.options;
    const size = this.bytes.length;
    return { size, sectorSize, physicalSectorSize: sectorSize, readOnly, discard: true };
  }
  /** Cuts the disk short, or adds zeros at its end. @param size as in the constructor */
  resize(size) {
    needWholeSectors(size, this.options.sectorSize);
    const bytes = new Uint8Array(size);
    bytes.set(this.bytes.subarray(0, size));
    this.bytes = bytes;
    this.resized();
  }
  async read(position, targets) {
    for (const target of targets) {
      target.set(this.bytes.subarray(position, position + target.length));
      position += target.length;
    }
  }
  async write(position, sources) {
    this.needWritable();
    for (const source of sources) {
      this.bytes.set(source, position);
      position += source.length;
    }
  }
  async flush() {
  }
  async discard(position, length) {
    this.needWritable();
    this.bytes.fill(0, position, position + length);
  }
  async refresh() {
  }
  onResize(handler) {
    this.resized = handler;
  }
  async close() {
  }
  needWritable() {
    if (this.info.readOnly) throw new XenError("EROFS", "write to a memory disk");
  }
};
function needWholeSectors(size, sectorSize) {
  if (size > 0 && size % sectorSize === 0) return;
  throw new RangeError(`a disk has whole sectors of ${sectorSize} bytes, not ${size} bytes`);
}

// src/dom0/simulation/host.ts
var DISK_BYTES = 4 * 1024 * 1024;
var Terminals = class {
  dom0;
  viewers = /* @__PURE__ */ new Map();
  constructor(dom0) {
    this.dom0 = dom0;
  }
  open() {
    const [daemon, viewer] = bytePipe(this.dom0.clock);
    const path = `/simulated/pts/${this.viewers.size}`;
    this.viewers.set(path, new LineStream(viewer));
    return Object.assign(daemon, { path });
  }
  viewer(path) {
    const viewer = this.viewers.get(path);
    if (viewer === void 0) throw new Error(`xenconsoled never opened ${path}`);
    return viewer;
  }
};
async function awaitValue(store, path) {
  let found = (_) => {
  };
  const value = new Promise((resolve) => {
    found = resolve;
  });
  const watch = await store.watch(path, () => {
    void store.readIfPresent(path).then((text2) => text2 !== void 0 && found(text2));
  });
  const text = await value;
  await watch.close();
  return text;
}
function refuse(what) {
  throw new Error(`the simulated host has no use for ${what}`);
}
async function startHost(dom0, logOf2, trace) {
  const { clock, hypervisor, control: domainControl } = dom0;
  if (domainControl === void 0) throw new Error("domain 0 has the privileged calls");
  const xenstored = startXenstored({
    hypervisor,
    domainControl,
    clock,
    log: logOf2("xenstored"),
    traceFile: { isOpen: true, open() {
    }, close() {
    }, write: trace, append() {
    } }
  });
  const connect = (name) => {
    const [client, server] = bytePipe(clock);
    xenstored.attachSocket(server, name);
    return new XenstoreClient(client, clock);
  };
  const store = connect("toolstack");
  const terminals = new Terminals(dom0);
  const xenconsoled = await startXenconsoled(
    {
      hypervisor,
      domainControl,
      xenstore: connect("xenconsoled"),
      clock,
      log: logOf2("xenconsoled"),
      openTerminal: () => terminals.open(),
      // Nothing is logged, so neither is ever opened.
      openLog: () => refuse("a log"),
      openNote: () => refuse("a note")
    },
    XENCONSOLED_DEFAULTS
  );
  const blkback = await startBlkback({
    hypervisor,
    xenstore: connect("blkback"),
    clock,
    log: logOf2("blkback"),
    options: {},
    openDisk: async () => new MemoryDisk(DISK_BYTES)
  });
  return {
    store,
    status: () => xenstored.status(),
    viewer: async (guest) => terminals.viewer(await awaitValue(store, `${domainHome(guest.domain.domid)}/console/tty`)),
    async close() {
      await blkback.close();
      await xenconsoled.close();
      xenstored.close();
      hypervisor.close();
    }
  };
}

// src/dom0/simulation/simulation.ts
var GUESTS = ["alder", "birch"];
async function liveThrough(world, host, name, seed, print) {
  const guest = world.buildGuest({ name });
  const show = (bytes) => {
    const text = latin1Decode(bytes).trim();
    print(`console      ${name}: ${text}`);
    return text;
  };
  await introduceGuest(host.store, guest, { name, disk: `/simulated/${name}.img` });
  const life = runGuest(guest, seed, logOf(print, name));
  const viewer = await host.viewer(guest);
  for (const line of latin1Decode(await viewer.readUntil(PROMPT)).split("\n")) {
    if (line.trim() !== "") show(latin1Encode(line));
  }
  const typed = `hello ${name}`;
  print(`console      typed at ${name}: ${typed}`);
  await viewer.write(latin1Encode(`${typed}
`));
  const answer = show(await viewer.readLine());
  show(await viewer.readLine());
  await life;
  await destroyGuest(host.store, guest);
  return answer;
}
function logOf(print, who) {
  return logTo((level, message, fields) => {
    const details = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`);
    print(`${who.padEnd(12)} ${level}: ${message}${details.join("")}`);
  });
}
async function simulate(options) {
  const { seed, settle } = options;
  const print = (line) => {
    options.print(`${world.clock.now_ms().toFixed(3).padStart(10)} ms  ${line}`);
  };
  const world = new SimWorld({
    seed,
    settle,
    log: logTo((_level, message) => print(`xen          ${message}`))
  });
  const dom0 = world.createDomain({ name: "dom0" });
  const story = async () => {
    const host = await startHost(
      dom0,
      (service) => logOf(print, service),
      // The trace carries the date, which means nothing here.
      (line) => print(`xenstore     ${line.replace(/ \d{4}-\d\d-\d\dT\S+/, "")}`)
    );
    await initialiseDom0(host.store);
    const before = host.status();
    const answers2 = await Promise.all(
      GUESTS.map((name, index) => liveThrough(world, host, name, seed + index, print))
    );
    const after = host.status();
    await host.close();
    const nodes = after.nodes - before.nodes;
    return { answers: answers2, extra: nodes === 0 ? [] : [`xenstore has ${nodes} nodes more than before`] };
  };
  const { answers, extra } = await world.finish(story());
  return {
    answers,
    leftovers: [...extra, ...world.leftovers()],
    duration_ms: world.clock.now_ms()
  };
}
export {
  simulate
};
//# sourceMappingURL=simulation-BVTGT5DV.js.map
