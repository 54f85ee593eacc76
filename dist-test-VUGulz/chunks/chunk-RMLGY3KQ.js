import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  EVTCHNSTAT_interdomain,
  EvtchnStatus
} from "./chunk-7FWQTIXQ.js";
import {
  DOMID_SELF
} from "./chunk-YFVYMXZQ.js";
import {
  PAGE_SIZE
} from "./chunk-LYWPVKHU.js";
import {
  latin1Decode,
  latin1Encode
} from "./chunk-HVXLNJDG.js";
import {
  loadNative
} from "./chunk-MHMOFGF5.js";
import {
  XS_READ,
  XsdSockmsg
} from "./chunk-FM26WRJC.js";
import {
  struct,
  u16,
  u32,
  u64,
  u8
} from "./chunk-WRZEEFDO.js";
import {
  DOM0,
  DOMID_FIRST_RESERVED,
  domId,
  eventPort,
  grantRef
} from "./chunk-GNCMNX2R.js";
import {
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// src/abi/domctl.ts
var XenDomctlGetdomaininfo = struct(
  "struct xen_domctl_getdomaininfo",
  {
    domain: u16,
    pad1: u16,
    /** `XEN_DOMINF_…`, and the shutdown code above `XEN_DOMINF_shutdownshift`. */
    flags: u32
  },
  { sizeMin: 112 }
);
var XEN_DOMINF_dying = 1 << 0;
var XEN_DOMINF_hvm_guest = 1 << 1;
var XEN_DOMINF_shutdown = 1 << 2;
var XEN_DOMINF_shutdownmask = 255;
var XEN_DOMINF_shutdownshift = 16;
var XEN_DOMCTL_SIZE = 144;
var XenDomctl = struct(
  "struct xen_domctl",
  {
    cmd: u32,
    interface_version: u32,
    domain: u16,
    pad0: u16,
    pad1: u16,
    pad2: u16,
    /** What it says of the domain: the fields of `XenDomctlGetdomaininfo` that we use. */
    infoDomain: u16,
    infoPad1: u16,
    infoFlags: u32
  },
  {
    sizeMin: XEN_DOMCTL_SIZE,
    cFields: {
      pad0: "_pad[0]",
      pad1: "_pad[1]",
      pad2: "_pad[2]",
      infoDomain: "u.getdomaininfo.domain",
      infoPad1: "u.getdomaininfo.pad1",
      infoFlags: "u.getdomaininfo.flags"
    }
  }
);

// src/abi/sysctl.ts
var XEN_SYSCTL_INTERFACE_VERSION = 21;
var XEN_SYSCTL_SIZE = 136;
var XenSysctlReadconsole = struct(
  "struct xen_sysctl",
  {
    cmd: u32,
    interface_version: u32,
    clear: u8,
    /** 1 reads on from `index`, 0 from the oldest text. */
    incremental: u8,
    pad0: u8,
    pad1: u8,
    /** In: where to read on. Out: where to read on the next time. */
    index: u32,
    buffer: u64,
    /** In: bytes that fit. Out: bytes written. */
    count: u32
  },
  {
    sizeMin: XEN_SYSCTL_SIZE,
    cFields: {
      clear: "u.readconsole.clear",
      incremental: "u.readconsole.incremental",
      pad0: "u.readconsole.pad0",
      pad1: "u.readconsole.pad1",
      index: "u.readconsole.index",
      buffer: "u.readconsole.buffer",
      count: "u.readconsole.count"
    }
  }
);
var XenSysctlGetdomaininfolist = struct(
  "struct xen_sysctl",
  {
    cmd: u32,
    interface_version: u32,
    /** The lowest domid to describe. */
    first_domain: u16,
    max_domains: u32,
    buffer: u64,
    num_domains: u32
  },
  {
    sizeMin: XEN_SYSCTL_SIZE,
    cFields: {
      first_domain: "u.getdomaininfolist.first_domain",
      max_domains: "u.getdomaininfolist.max_domains",
      buffer: "u.getdomaininfolist.buffer",
      num_domains: "u.getdomaininfolist.num_domains"
    }
  }
);

// src/hypervisor/domain-listing.ts
function domainInfo(domid, flags) {
  return {
    domid: domId(domid),
    dying: (flags & XEN_DOMINF_dying) !== 0,
    shutdown: (flags & XEN_DOMINF_shutdown) !== 0,
    shutdownReason: flags >>> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask,
    hvm: (flags & XEN_DOMINF_hvm_guest) !== 0
  };
}
var DomainListing = class {
  info(domid) {
    const found = this.firstFrom(domId(domid));
    return found?.domid === domid ? found : void 0;
  }
  list() {
    const domains = [];
    let next = 0;
    while (next < DOMID_FIRST_RESERVED) {
      const found = this.firstFrom(next);
      if (found === void 0) break;
      domains.push(found);
      next = found.domid + 1;
    }
    return domains;
  }
};

// src/hypervisor/linux/errors.ts
var codes = {
  E2BIG: true,
  EACCES: true,
  EAGAIN: true,
  EBADF: true,
  EBUSY: true,
  ECONNRESET: true,
  EEXIST: true,
  EFAULT: true,
  EFBIG: true,
  EINVAL: true,
  EIO: true,
  EISCONN: true,
  EISDIR: true,
  ENODEV: true,
  ENOENT: true,
  ENOMEM: true,
  ENOSPC: true,
  ENOSYS: true,
  ENOTCONN: true,
  ENOTEMPTY: true,
  ENOTSUP: true,
  EPERM: true,
  EPROTO: true,
  EROFS: true,
  ESRCH: true,
  ETIMEDOUT: true
};
function codeOf(error) {
  const code = errorCode(error);
  if (code === void 0) return void 0;
  return code in codes ? code : "EIO";
}
function attempt(operation, call, explain = {}) {
  try {
    return call();
  } catch (error) {
    const code = error instanceof XenError ? void 0 : codeOf(error);
    if (code === void 0 || error instanceof TypeError || error instanceof RangeError) {
      throw error;
    }
    throw new XenError(code, operation, explain[code] ?? errorMessage(error), error);
  }
}
function openDevice(path, module, open) {
  const noDevice = `not running on Xen, or the Linux module is not loaded: modprobe ${module}`;
  const noRight = "only root may open it";
  return attempt(`open ${path}`, open, {
    ENOENT: noDevice,
    ENODEV: noDevice,
    EACCES: noRight,
    EPERM: noRight
  });
}

// src/hypervisor/mapped-pages.ts
var MappedPages = class {
  count;
  memory;
  unmap;
  onClose;
  open = true;
  constructor(buffer, unmap2, onClose = () => {
  }) {
    this.memory = new Uint8Array(buffer);
    this.count = buffer.byteLength / PAGE_SIZE;
    this.unmap = unmap2;
    this.onClose = onClose;
  }
  get bytes() {
    if (!this.open) throw new TypeError("these pages are closed");
    return this.memory;
  }
  page(index) {
    if (!Number.isInteger(index) || index < 0 || index >= this.count) {
      throw new RangeError(`page ${index} of ${this.count}`);
    }
    return this.bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
  }
  close() {
    if (!this.open) return;
    this.open = false;
    this.unmap(this.memory.buffer);
    this.onClose(this);
  }
  get closed() {
    return !this.open;
  }
};
var MappedSharedPages = class extends MappedPages {
  refs;
  constructor(buffer, refs, unmap2, onClose) {
    super(buffer, unmap2, onClose);
    this.refs = refs;
  }
};

// src/hypervisor/linux/pages.ts
function unmap(buffer) {
  loadNative().unmap(buffer);
}
var LinuxPages = class extends MappedPages {
  constructor(buffer, onClose) {
    super(buffer, unmap, onClose);
  }
};

// src/hypervisor/linux/domain-control.ts
var sysctlVersions = [
  XEN_SYSCTL_INTERFACE_VERSION,
  ...Array.from({ length: 32 - 9 }, (_, index) => 9 + index)
];
var CONSOLE_BYTES_MAX = 16 * 1024;
var DOMAIN_INFO_BYTES = 512;
var LinuxDomainControl = class extends DomainListing {
  device;
  version;
  listOperation = new Uint8Array(XenSysctlGetdomaininfolist.size);
  listRequest = XenSysctlGetdomaininfolist.view(this.listOperation);
  infoBuffer = new Uint8Array(DOMAIN_INFO_BYTES);
  infoAnswer = XenDomctlGetdomaininfo.view(this.infoBuffer);
  consoleOperation = new Uint8Array(XenSysctlReadconsole.size);
  consoleRequest = XenSysctlReadconsole.view(this.consoleOperation);
  consoleBuffer = new Uint8Array(CONSOLE_BYTES_MAX);
  open = /* @__PURE__ */ new Set();
  constructor() {
    super();
    this.device = openDevice("/dev/xen/privcmd", "xen-privcmd", () => new (loadNative()).Privcmd());
    this.version = attempt("ask Xen for its domains", () => this.probeVersion(), {
      EPERM: "only a privileged domain may"
    });
  }
  mapForeign(domid, gfns) {
    const buffer = attempt(
      `map frames ${gfns.join(", ")} of domain ${domid}`,
      () => this.device.mapForeign(domId(domid), BigUint64Array.from(gfns, BigInt))
    );
    const pages = new LinuxPages(buffer, (closed) => this.open.delete(closed));
    this.open.add(pages);
    return pages;
  }
  readConsole() {
    const request = this.consoleRequest;
    request.interface_version = this.version;
    request.clear = 0;
    request.incremental = 1;
    attempt(
      "read Xen's console",
      () => this.device.sysctl("readconsole", this.consoleOperation, this.consoleBuffer)
    );
    return request.count === 0 ? void 0 : this.consoleBuffer.slice(0, request.count);
  }
  /**
   * The peer's port of one of this domain's channels, whichever process has it open; `undefined`
   * where there is no such channel or it has no peer.
   */
  peerPort(port) {
    const operation = new Uint8Array(EvtchnStatus.size);
    const view = EvtchnStatus.view(operation);
    view.dom = DOMID_SELF;
    view.port = port;
    try {
      this.device.eventChannelStatus(operation);
    } catch (error) {
      if (errorCode(error) === "EINVAL") return void 0;
      throw error;
    }
    return view.status === EVTCHNSTAT_interdomain ? view.peer_port : void 0;
  }
  /** Lets go of all frames that are still mapped, and of the device. Idempotent. */
  close() {
    for (const pages of [...this.open]) pages.close();
    this.device.close();
  }
  firstFrom(first) {
    attempt("ask Xen for its domains", () => this.getdomaininfolist(this.version, first));
    if (this.listRequest.num_domains === 0) return void 0;
    const { domain, flags } = this.infoAnswer;
    return domainInfo(domain, flags);
  }
  getdomaininfolist(version, first) {
    this.listRequest.interface_version = version;
    this.listRequest.first_domain = first;
    this.device.sysctl("getdomaininfolist", this.listOperation, this.infoBuffer);
  }
  probeVersion() {
    for (const version of sysctlVersions) {
      try {
        this.getdomaininfolist(version, 0);
        return version;
      } catch (error) {
        if (errorCode(error) !== "EACCES") throw error;
      }
    }
    throw new XenError("ENOTSUP", "ask Xen for its domains", "its sysctl version is unknown");
  }
};
function openDomainControl() {
  return new LinuxDomainControl();
}

// src/hypervisor/port-channel.ts
var PortChannel = class {
  port;
  owner;
  handler;
  paused = false;
  /** A signal has come that the handler was not told of. */
  signalled = false;
  /** The port was masked when the signal was reported; it has to be unmasked. */
  masked = false;
  open = true;
  constructor(owner, port) {
    this.owner = owner;
    this.port = port;
  }
  notify() {
    this.requireOpen();
    this.owner.notifyPort(this.port);
  }
  onEvent(handler) {
    this.requireOpen();
    this.handler = handler;
    if (this.signalled) this.owner.serveLater(this);
  }
  pause() {
    this.requireOpen();
    this.paused = true;
  }
  resume() {
    this.requireOpen();
    this.paused = false;
    if (this.masked) this.owner.serveLater(this);
  }
  close() {
    if (!this.open) return;
    this.open = false;
    this.owner.forget(this);
    this.owner.closePort(this.port);
  }
  get closed() {
    return !this.open;
  }
  /** The port was reported, and is masked now. */
  signal() {
    this.masked = true;
    this.signalled = true;
  }
  /** Runs the handler if it is due. Returns true when the port is to be unmasked now. */
  serve() {
    if (!this.open || this.paused) return false;
    if (this.signalled) {
      if (this.handler === void 0) return false;
      this.signalled = false;
      this.handler();
    }
    return this.open && !this.paused && this.takeMask();
  }
  /** Whether the port is masked for this channel's sake; it counts as unmasked from now on. */
  takeMask() {
    const { masked } = this;
    this.masked = false;
    return masked;
  }
  requireOpen() {
    if (!this.open) throw new TypeError(`event channel ${this.port} is closed`);
  }
};

// src/hypervisor/linux/events.ts
var BATCH_MAX = 256;
var LinuxEventChannels = class {
  device;
  poller;
  readable;
  open = /* @__PURE__ */ new Map();
  ports = new Uint32Array(BATCH_MAX);
  unmasked = new Uint32Array(BATCH_MAX);
  later = /* @__PURE__ */ new Set();
  closed = false;
  constructor() {
    const native = loadNative();
    this.device = openDevice("/dev/xen/evtchn", "xen-evtchn", () => new native.Evtchn());
    this.readable = native.READABLE;
    this.poller = new native.Poller(this.device.fd, () => this.receive());
    this.poller.start(this.readable);
    this.poller.unref();
  }
  allocateUnbound(peer) {
    return this.bind(
      `allocate an event channel for domain ${peer}`,
      () => this.device.bindUnboundPort(domId(peer))
    );
  }
  bindInterdomain(peer, remotePort) {
    return this.bind(
      `bind port ${remotePort} of domain ${peer}`,
      () => this.device.bindInterdomain(domId(peer), eventPort(remotePort))
    );
  }
  bindVirq(virq) {
    return this.bind(`bind VIRQ ${virq}`, () => this.device.bindVirq(virq));
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    for (const channel of [...this.open.values()]) channel.close();
    this.poller.close();
    this.device.close();
  }
  notifyPort(port) {
    this.device.notify(port);
  }
  closePort(port) {
    this.device.unbind(port);
  }
  /**
   * The descriptor of the device, for a program that takes the place of this one and keeps our
   * ports. None is left masked, or that program would never hear of it; it has to look for itself
   * for whatever was signalled and not served.
   */
  handOver() {
    const masked = [...this.open.values()].filter((channel) => channel.takeMask());
    for (let at = 0; at < masked.length; at += BATCH_MAX) {
      const ports = Uint32Array.from(masked.slice(at, at + BATCH_MAX), ({ port }) => port);
      this.device.unmask(ports, ports.length);
    }
    return this.device.fd;
  }
  serveLater(channel) {
    if (this.later.size === 0) setImmediate(() => this.serveDeferred());
    this.later.add(channel);
  }
  forget(channel) {
    this.open.delete(channel.port);
    this.later.delete(channel);
    if (this.open.size === 0) this.poller.unref();
  }
  bind(operation, call) {
    if (this.closed) throw new TypeError("the hypervisor is closed");
    const channel = new PortChannel(this, eventPort(attempt(operation, call)));
    if (this.open.size === 0) this.poller.ref();
    this.open.set(channel.port, channel);
    return channel;
  }
  /** The device is readable. What does not fit in a batch makes it readable again. */
  receive() {
    let count;
    try {
      count = this.device.read(this.ports);
    } catch (error) {
      if (errorCode(error) !== "EFBIG") throw error;
      this.recoverFromOverflow();
      return;
    }
    const channels = [];
    for (let i = 0; i < count; i++) {
      const channel = this.open.get(this.ports[i]);
      if (channel === void 0) continue;
      channel.signal();
      channels.push(channel);
    }
    this.serve(channels);
  }
  /**
   * The driver's ring overflows when ports are bound and closed again and again between two turns
   * of the event loop. Which ports were signalled is lost, so each of them counts as signalled.
   */
  recoverFromOverflow() {
    this.device.reset();
    for (const channel of this.open.values()) {
      channel.signal();
      this.serveLater(channel);
    }
    this.poller.start(this.readable);
  }
  serveDeferred() {
    const channels = [...this.later];
    this.later = /* @__PURE__ */ new Set();
    for (let at = 0; at < channels.length; at += BATCH_MAX) {
      this.serve(channels.slice(at, at + BATCH_MAX));
    }
  }
  /** Runs the handlers of up to `BATCH_MAX` channels and unmasks these with one write. */
  serve(channels) {
    let count = 0;
    const errors = [];
    for (const channel of channels) {
      try {
        if (channel.serve()) this.unmasked[count++] = channel.port;
      } catch (error) {
        errors.push(error);
      }
    }
    if (!this.closed) this.device.unmask(this.unmasked, count);
    if (errors.length > 0) throw errors[0];
  }
};

// src/hypervisor/grant-copy.ts
var COPY_REF = 0;
var COPY_DOMID = 1;
var COPY_OFFSET = 2;
var COPY_LENGTH = 3;
var COPY_TO_PEER = 4;
var COPY_WORDS = 5;
var nothing = new Uint8Array(0);
var GrantCopyBatch = class {
  capacity;
  copyGrants;
  operations;
  locals;
  statuses;
  filled = 0;
  ran = 0;
  constructor(capacity, copyGrants) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 65536) {
      throw new RangeError(`a batch holds from 1 to 65536 copies, not ${capacity}`);
    }
    this.copyGrants = copyGrants;
    this.capacity = capacity;
    this.operations = new Uint32Array(capacity * COPY_WORDS);
    this.locals = new Array(capacity).fill(nothing);
    this.statuses = new Int16Array(capacity);
  }
  get length() {
    return this.filled;
  }
  fromPeer(peer, ref, offset, local) {
    return this.add(peer, ref, offset, local, 0);
  }
  toPeer(peer, ref, offset, local) {
    return this.add(peer, ref, offset, local, 1);
  }
  add(peer, ref, offset, local, toPeer) {
    if (this.filled === this.capacity) {
      throw new RangeError(`a batch for ${this.capacity} copies is full`);
    }
    if (!Number.isInteger(offset) || offset < 0 || offset + local.length > PAGE_SIZE) {
      throw new RangeError(`${local.length} bytes at ${offset} are not within the peer's page`);
    }
    const index = this.filled;
    const at = index * COPY_WORDS;
    this.operations[at + COPY_REF] = grantRef(ref);
    this.operations[at + COPY_DOMID] = domId(peer);
    this.operations[at + COPY_OFFSET] = offset;
    this.operations[at + COPY_LENGTH] = local.length;
    this.operations[at + COPY_TO_PEER] = toPeer;
    this.locals[index] = local;
    this.filled = index + 1;
    return index;
  }
  run() {
    const count = this.filled;
    this.filled = 0;
    this.ran = 0;
    this.copyGrants(this.operations, this.locals, this.statuses, count);
    this.ran = count;
    let refused = 0;
    for (let index = 0; index < count; index++) if (this.statuses[index] !== 0) refused++;
    return refused;
  }
  status(index) {
    if (!Number.isInteger(index) || index < 0 || index >= this.ran) {
      throw new RangeError(`copy ${index} of a batch of ${this.ran}`);
    }
    return this.statuses[index];
  }
};

// src/hypervisor/linux/grants.ts
var noGrantLeft = "no page or grant left; the limit of pages is /sys/module/xen_gntalloc/parameters/limit";
function noticePort(notice) {
  if (notice?.channel?.closed) throw new TypeError("the notice's event channel is closed");
  return notice?.channel?.port;
}
var LinuxGrantTable = class {
  gntdev;
  gntalloc;
  open = /* @__PURE__ */ new Set();
  closed = false;
  share(peer, count, access, notice) {
    const device = this.gntallocDevice();
    const { buffer, refs } = attempt(
      `share ${count} pages with domain ${peer}`,
      () => device.share(
        domId(peer),
        count,
        access === "read-write",
        notice?.byteOffset,
        noticePort(notice)
      ),
      { ENOSPC: noGrantLeft }
    );
    return this.keep(
      new MappedSharedPages(
        buffer,
        Array.from(refs, grantRef),
        unmap,
        (pages) => this.open.delete(pages)
      )
    );
  }
  map(peer, refs, notice) {
    const device = this.gntdevDevice();
    const buffer = attempt(
      `map grants ${refs.join(", ")} of domain ${peer}`,
      () => device.map(
        domId(peer),
        Uint32Array.from(refs, grantRef),
        notice?.byteOffset,
        noticePort(notice)
      )
    );
    return this.keep(new LinuxPages(buffer, (pages) => this.open.delete(pages)));
  }
  copyBatch(capacity) {
    const device = this.gntdevDevice();
    return new GrantCopyBatch(
      capacity,
      (operations, locals, statuses, count) => attempt(
        `copy ${count} times between grants and memory`,
        () => device.copy(operations, locals, statuses, count)
      )
    );
  }
  close() {
    this.closed = true;
    for (const pages of [...this.open]) pages.close();
    this.gntdev?.close();
    this.gntalloc?.close();
  }
  // Each device is opened when it is first needed: a back end does well without gntalloc.
  gntdevDevice() {
    this.requireOpen();
    this.gntdev ??= openDevice("/dev/xen/gntdev", "xen-gntdev", () => new (loadNative()).Gntdev());
    return this.gntdev;
  }
  gntallocDevice() {
    this.requireOpen();
    this.gntalloc ??= openDevice(
      "/dev/xen/gntalloc",
      "xen-gntalloc",
      () => new (loadNative()).Gntalloc()
    );
    return this.gntalloc;
  }
  requireOpen() {
    if (this.closed) throw new TypeError("the hypervisor is closed");
  }
  keep(pages) {
    this.open.add(pages);
    return pages;
  }
};

// src/hypervisor/linux/own-domid.ts
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from "node:fs";

// src/abi/features.ts
var XENFEAT_dom0 = 11;

// src/hypervisor/linux/own-domid.ts
var featuresFile = "/sys/hypervisor/properties/features";
var xenbusDevice = "/dev/xen/xenbus";
var ANSWER_MS_MAX = 5e3;
var RETRY_MS = 5;
function ownDomid() {
  return isControlDomain() ? DOM0 : domidFromXenstore();
}
function isControlDomain() {
  const text = openDevice(featuresFile, "xenfs", () => readFileSync(featuresFile, "latin1"));
  return (BigInt(`0x${text.trim()}`) >> BigInt(XENFEAT_dom0) & 1n) === 1n;
}
function domidFromXenstore() {
  const fd = openDevice(
    xenbusDevice,
    "xenfs",
    () => openSync(xenbusDevice, constants.O_RDWR | constants.O_NONBLOCK)
  );
  try {
    writeSync(fd, requestToRead("domid"));
    const header = XsdSockmsg.view(readFully(fd, XsdSockmsg.size));
    const payload = latin1Decode(readFully(fd, header.len));
    if (header.type !== XS_READ || !/^\d+$/.test(payload)) {
      throw new XenError("EIO", "find our own domid", `xenstore answers "${payload}"`);
    }
    return domId(Number(payload));
  } finally {
    closeSync(fd);
  }
}
function requestToRead(path) {
  const payload = latin1Encode(`${path}\0`);
  const request = new Uint8Array(XsdSockmsg.size + payload.length);
  const header = XsdSockmsg.view(request);
  header.type = XS_READ;
  header.len = payload.length;
  request.set(payload, XsdSockmsg.size);
  return request;
}
function readFully(fd, length) {
  const bytes = new Uint8Array(length);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const deadline_ms = Date.now() + ANSWER_MS_MAX;
  for (let at = 0; at < length; ) {
    try {
      at += readSync(fd, bytes, at, length - at, null);
    } catch (error) {
      if (errorCode(error) !== "EAGAIN") throw error;
      if (Date.now() > deadline_ms) {
        throw new XenError("ETIMEDOUT", "find our own domid", "xenstore does not answer");
      }
      Atomics.wait(sleeper, 0, 0, RETRY_MS);
    }
  }
  return bytes;
}

// src/hypervisor/linux/hypervisor.ts
var supports = { detach: true, contiguousMaps: true, loopback: true };
var LinuxHypervisor = class {
  domid;
  grants = new LinuxGrantTable();
  events;
  supports = supports;
  constructor(domid) {
    this.domid = domid;
    this.events = new LinuxEventChannels();
  }
  close() {
    this.grants.close();
    this.events.close();
  }
};
function openLinuxHypervisor(options = {}) {
  return new LinuxHypervisor(options.domid ?? ownDomid());
}

export {
  openDevice,
  LinuxPages,
  openDomainControl,
  openLinuxHypervisor
};
//# sourceMappingURL=chunk-RMLGY3KQ.js.map
