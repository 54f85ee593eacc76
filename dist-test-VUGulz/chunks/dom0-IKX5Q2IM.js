import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XS_STATE_CONN_TYPE_RING,
  XS_STATE_CONN_TYPE_SOCKET,
  XS_STATE_FLAGS,
  XS_STATE_IDENT,
  XS_STATE_NODE_PERM_IGNORE,
  XS_STATE_TYPE_CONN,
  XS_STATE_TYPE_END,
  XS_STATE_TYPE_GLOBAL,
  XS_STATE_TYPE_NODE,
  XS_STATE_TYPE_WATCH,
  XS_STATE_VERSION,
  XsStateConnectionRing,
  XsStateConnectionSocket,
  XsStateGlobal,
  XsStateNode,
  XsStateNodePerm,
  XsStatePreamble,
  XsStateRecordHeader,
  XsStateWatch,
  encodeState,
  forgetTakeOver,
  paddedLength,
  takeOver
} from "./chunk-KQ5H4OKH.js";
import {
  ENTRY_COUNTERS,
  ENTRY_DOMAIN,
  ENTRY_DOMAIN_GONE,
  ENTRY_NODE,
  ENTRY_NODE_GONE,
  ENTRY_NODE_TOUCHED,
  ENTRY_OUTPUT,
  ENTRY_OUTPUT_DROPPED,
  ENTRY_RING,
  ENTRY_RING_GONE,
  ENTRY_RING_IGNORED,
  ENTRY_RING_POSITION,
  ENTRY_SETTINGS,
  ENTRY_TRANSACTION,
  ENTRY_TRANSACTION_GONE,
  ENTRY_TRANSACTION_LAST,
  ENTRY_TRANSACTION_REQUEST,
  ENTRY_WATCH,
  ENTRY_WATCH_GONE,
  EVERY_INCARNATION,
  FrameScanner,
  NO_VALUE,
  PermissionLists,
  bytesOf,
  outputLength,
  ownerOf,
  readJournalHeader,
  skipOutput,
  startXenstored,
  valueFrom
} from "./chunk-R55HPQGR.js";
import "./chunk-2WEKOQT4.js";
import "./chunk-CENJH6II.js";
import {
  LinuxPages,
  openDevice,
  openDomainControl,
  openLinuxHypervisor
} from "./chunk-RMLGY3KQ.js";
import {
  Holdings
} from "./chunk-7FWQTIXQ.js";
import {
  DOMID_INVALID
} from "./chunk-YFVYMXZQ.js";
import {
  DEFAULT_OPTIONS
} from "./chunk-XBUZ4ILQ.js";
import "./chunk-LYWPVKHU.js";
import {
  adoptXenstoreSocket,
  listenXenstoreSocket,
  xenstoreStatePath
} from "./chunk-KZAJKWCF.js";
import {
  UnixSockets,
  nodeClock
} from "./chunk-A4XA7GZ3.js";
import {
  HEADER_SIZE,
  encodePacket,
  encodeStrings
} from "./chunk-SG3WZJOQ.js";
import {
  latin1Decode,
  latin1Encode
} from "./chunk-HVXLNJDG.js";
import {
  loadNative
} from "./chunk-MHMOFGF5.js";
import {
  domainHome,
  parentPath
} from "./chunk-FWPDKSSG.js";
import {
  XsdSockmsg
} from "./chunk-FM26WRJC.js";
import "./chunk-WRZEEFDO.js";
import {
  DOM0,
  domId,
  eventPort
} from "./chunk-GNCMNX2R.js";
import {
  XenError,
  errorMessage
} from "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// stubdoms/xenstored/dom0.ts
import { readFileSync as readFileSync3 } from "node:fs";

// src/hypervisor/linux/kernel-store-ring.ts
import { closeSync, openSync, readFileSync } from "node:fs";
var pageFile = "/proc/xen/xsd_kva";
var portFile = "/proc/xen/xsd_port";
function openKernelStoreRing(hypervisor, options = {}) {
  const port = options.port ?? kernelPort();
  const pages = new LinuxPages(openDevice(pageFile, "xenfs", mapRingPage));
  try {
    return { pages, channel: hypervisor.events.bindInterdomain(options.domid ?? DOM0, port) };
  } catch (error) {
    pages.close();
    throw error;
  }
}
function kernelPort() {
  return eventPort(openDevice(portFile, "xenfs", () => Number(readFileSync(portFile, "latin1"))));
}
function mapRingPage() {
  const fd = openSync(pageFile, "r+");
  try {
    return loadNative().mapFile(fd, 0, 1);
  } finally {
    closeSync(fd);
  }
}

// src/node/journal-file.ts
import {
  closeSync as closeSync2,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync as openSync2,
  readFileSync as readFileSync2,
  readSync,
  renameSync,
  unlinkSync
} from "node:fs";
import { constants } from "node:os";
import { dirname } from "node:path";
var PAGE_SIZE = 4096;
var SEGMENT_PAGES = 256;
var SEGMENT_SIZE = SEGMENT_PAGES * PAGE_SIZE;
var COPY_SIZE = 1 << 20;
var NO_BYTES = new Uint8Array(0);
var MappedFile = class {
  path;
  fd;
  length = 0;
  native;
  segments = 0;
  segment = NO_BYTES;
  segmentUsed = 0;
  closed = false;
  constructor(native, path) {
    this.native = native;
    this.path = path;
    this.fd = tried(`create the journal ${path}`, () => openSync2(path, "w+", 384));
  }
  /** Adds all of it, or nothing and throws. */
  append(bytes) {
    const pages = this.segments * SEGMENT_PAGES;
    const missing = this.length + bytes.length - pages * PAGE_SIZE;
    if (missing > 0) this.setAside(pages + Math.ceil(missing / SEGMENT_SIZE) * SEGMENT_PAGES);
    for (let at = 0; at < bytes.length; ) {
      if (this.segmentUsed === this.segment.length) this.mapNext();
      const count = Math.min(bytes.length - at, SEGMENT_SIZE - this.segmentUsed);
      const part = count === bytes.length ? bytes : bytes.subarray(at, at + count);
      this.segment.set(part, this.segmentUsed);
      this.segmentUsed += count;
      at += count;
    }
    this.length += bytes.length;
  }
  /** Adds what `other` has from `position` on. */
  appendFrom(other, position) {
    const buffer = new Uint8Array(Math.min(COPY_SIZE, Math.max(0, other.length - position)));
    for (let at = position; at < other.length; ) {
      const count = Math.min(buffer.length, other.length - at);
      const read = tried(
        `read the journal ${other.path}`,
        () => readSync(other.fd, buffer, 0, count, at)
      );
      this.append(buffer.subarray(0, read));
      at += read;
    }
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.unmap();
    closeSync2(this.fd);
  }
  setAside(pages) {
    const error = this.native.setAside(this.fd, pages);
    if (error === 0) return;
    const full = error === -constants.errno.ENOSPC;
    const what = `set aside ${pages * PAGE_SIZE} bytes for the journal ${this.path}`;
    throw new XenError(
      full ? "ENOSPC" : "EIO",
      what,
      full ? "the disk is full" : `errno ${-error}`
    );
  }
  mapNext() {
    const next = tried(
      `map the journal ${this.path}`,
      () => this.native.mapFile(this.fd, this.segments * SEGMENT_PAGES, SEGMENT_PAGES)
    );
    this.unmap();
    this.segment = new Uint8Array(next);
    this.segments++;
    this.segmentUsed = 0;
  }
  unmap() {
    if (this.segment.length > 0) this.native.unmap(this.segment.buffer);
    this.segment = NO_BYTES;
    this.segmentUsed = 0;
  }
};
function tried(operation, action) {
  try {
    return action();
  } catch (error) {
    if (error instanceof XenError) throw error;
    throw new XenError("EIO", operation, errorMessage(error), error);
  }
}
function syncDirectory(path) {
  const fd = openSync2(dirname(path), "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync2(fd);
  }
}
var JournalFile = class {
  /** What an earlier process left there, if anything. */
  found;
  native;
  options;
  lock;
  file;
  rewrite;
  closed = false;
  /** Throws EBUSY while another process has it, and EIO when the file can't be had. */
  constructor(native, options) {
    this.native = native;
    this.options = options;
    const { path } = options;
    this.lock = lockBeside(native, path);
    try {
      this.found = tried(
        `read the journal ${path}`,
        () => existsSync(path) ? readFileSync2(path) : void 0
      );
    } catch (error) {
      closeSync2(this.lock);
      throw error;
    }
  }
  get length() {
    return this.file?.length ?? 0;
  }
  append(bytes) {
    const { file } = this;
    if (file === void 0) throw new TypeError("a journal begins with a rewrite");
    file.append(bytes);
    if (!this.options.durable) return;
    tried(`write the journal ${file.path} to its disk`, () => fdatasyncSync(file.fd));
  }
  beginRewrite() {
    const { path } = this.options;
    const fresh = new MappedFile(this.native, `${path}.new`);
    this.rewrite = fresh;
    return {
      append: (bytes) => fresh.append(bytes),
      replace: (position) => this.replaceBy(fresh, position),
      abandon: () => this.abandon()
    };
  }
  /** Lets go of the file, which stays. Idempotent. */
  close() {
    if (this.closed) return;
    this.closed = true;
    this.abandon();
    this.file?.close();
    closeSync2(this.lock);
  }
  replaceBy(fresh, position) {
    const { path, durable } = this.options;
    if (this.file !== void 0) fresh.appendFrom(this.file, position);
    tried(`put the journal ${path} into its place`, () => {
      if (durable) fdatasyncSync(fresh.fd);
      renameSync(fresh.path, path);
      if (durable) syncDirectory(path);
    });
    this.file?.close();
    this.file = fresh;
    this.rewrite = void 0;
  }
  abandon() {
    if (this.rewrite === void 0) return;
    this.rewrite.close();
    unlinkSync(this.rewrite.path);
    this.rewrite = void 0;
  }
};
function lockBeside(native, path) {
  const operation = `lock the journal ${path}`;
  const fd = tried(operation, () => {
    mkdirSync(dirname(path), { recursive: true });
    return openSync2(`${path}.lock`, "w", 384);
  });
  try {
    if (tried(operation, () => native.tryLock(fd, true))) return fd;
  } catch (error) {
    closeSync2(fd);
    throw error;
  }
  closeSync2(fd);
  throw new XenError("EBUSY", operation, "another xenstored keeps its journal there");
}

// src/node/trace-file.ts
import { appendFileSync, closeSync as closeSync3, openSync as openSync3, writeSync } from "node:fs";
function traceFile(path, log) {
  let current = path;
  let fd;
  const close = () => {
    if (fd !== void 0) closeSync3(fd);
    fd = void 0;
  };
  return {
    open(other) {
      const next = other ?? current;
      if (next === void 0) throw new XenError("EINVAL", "trace", "no file was ever named");
      try {
        const opened = openSync3(next, "a", 420);
        close();
        fd = opened;
        current = next;
      } catch (error) {
        throw new XenError("EIO", `open the trace file ${next}`, errorMessage(error), error);
      }
    },
    close,
    get isOpen() {
      return fd !== void 0;
    },
    write(line) {
      if (fd === void 0) return;
      try {
        writeSync(fd, `${line}
`, null, "latin1");
      } catch (error) {
        log.error("the trace ends", { path: current, error: errorMessage(error) });
        close();
      }
    },
    append(other, text) {
      try {
        appendFileSync(other, text, "latin1");
      } catch (error) {
        throw new XenError("EIO", `write ${other}`, errorMessage(error), error);
      }
    }
  };
}

// src/xenstored/journal/byte-reader.ts
var ByteReader = class {
  memory;
  view;
  at;
  end;
  lastPath = "";
  constructor(memory, start = 0, end = memory.length) {
    this.memory = memory;
    this.view = new DataView(memory.buffer, memory.byteOffset, memory.length);
    this.at = start;
    this.end = end;
  }
  get isAtEnd() {
    return this.at === this.end;
  }
  u8() {
    return this.view.getUint8(this.take(1));
  }
  u16() {
    return this.view.getUint16(this.take(2), true);
  }
  u32() {
    return this.view.getUint32(this.take(4), true);
  }
  u53() {
    return this.view.getFloat64(this.take(8), true);
  }
  text() {
    const length = this.u16();
    const start = this.take(length);
    return latin1Decode(this.memory, start, start + length);
  }
  path() {
    const shared = this.u16();
    if (shared > this.lastPath.length) throw new RangeError(`no path of ${shared} bytes before`);
    this.lastPath = this.lastPath.slice(0, shared) + this.text();
    return this.lastPath;
  }
  /** A copy. */
  data() {
    const length = this.u32();
    const start = this.take(length);
    return this.memory.slice(start, start + length);
  }
  take(size) {
    const start = this.at;
    if (start + size > this.end) throw new RangeError(`${size} bytes are not there at ${start}`);
    this.at += size;
    return start;
  }
};

// src/xenstored/journal/recovery.ts
var RingRecord = class {
  consumed = 0;
  produced = 0;
  ignored = false;
  input = new Uint8Array(0);
  output = [];
  watches = /* @__PURE__ */ new Map();
  transactions = /* @__PURE__ */ new Map();
  lastTransactionId = 0;
  stand(position) {
    const sent = outputLength(this.output) - position.pending;
    this.output = skipOutput(this.output, Math.max(0, sent));
    this.consumed = position.consumed;
    this.produced = position.produced;
    this.input = position.input;
  }
  ignore() {
    this.ignored = true;
    this.output = [];
    this.watches.clear();
    this.transactions.clear();
  }
  state(domid) {
    const { consumed, produced, ignored, input, output, lastTransactionId } = this;
    return {
      carrier: { kind: "ring", domid, consumed, produced, ignored },
      input,
      output,
      watches: [...this.watches.values()],
      lastTransactionId,
      transactions: [...this.transactions].map(([id, again]) => doomed(id, again))
    };
  }
};
function doomed(id, again) {
  return {
    id,
    snapshot: void 0,
    accesses: [],
    growth: [],
    requests: [],
    outdated: true,
    torn: true,
    createdNodes: false,
    wrote: false,
    failed: false,
    memory: 0,
    doomed: true,
    again
  };
}
var Recovered = class {
  generation = 0;
  lastIncarnation = 0;
  settings;
  domains = /* @__PURE__ */ new Map();
  nodes = /* @__PURE__ */ new Map();
  rings = /* @__PURE__ */ new Map();
  lists = new PermissionLists();
  apply(reader) {
    while (!reader.isAtEnd) this.applyEntry(reader.u8(), reader);
  }
  applyEntry(kind, reader) {
    switch (kind) {
      case ENTRY_COUNTERS:
        this.generation = reader.u53();
        this.lastIncarnation = reader.u53();
        return;
      case ENTRY_SETTINGS:
        this.settings = JSON.parse(readJson(reader));
        return;
      case ENTRY_DOMAIN: {
        const domain = JSON.parse(readJson(reader));
        this.domains.set(domain.domid, domain);
        return;
      }
      case ENTRY_DOMAIN_GONE:
        this.domains.delete(reader.u32());
        return;
      case ENTRY_NODE:
        this.applyNode(reader);
        return;
      case ENTRY_NODE_TOUCHED: {
        const path = reader.path();
        const generation = reader.u53();
        const node = this.nodes.get(path);
        if (node !== void 0) this.nodes.set(path, { ...node, generation });
        return;
      }
      case ENTRY_NODE_GONE:
        this.nodes.delete(reader.path());
        return;
      case ENTRY_RING:
        this.rings.set(reader.u32(), new RingRecord());
        return;
      case ENTRY_RING_GONE:
        this.rings.delete(reader.u32());
        return;
      default:
        this.applyToRing(kind, reader);
    }
  }
  applyNode(reader) {
    const path = reader.path();
    const generation = reader.u53();
    const birth = reader.u53();
    const permissions = this.readPermissions(reader);
    const value = valueFrom(reader.data(), 0);
    this.nodes.set(path, { path, value, permissions, generation, birth });
  }
  readPermissions(reader) {
    const entries = [];
    for (let count = reader.u16(); count > 0; count--) {
      const domid = reader.u32();
      const access = String.fromCharCode(reader.u8());
      entries.push({ domid, access, incarnation: reader.u53() });
    }
    return this.lists.shared(entries);
  }
  applyToRing(kind, reader) {
    const ring = this.rings.get(reader.u32()) ?? new RingRecord();
    switch (kind) {
      case ENTRY_RING_IGNORED:
        ring.ignore();
        return;
      case ENTRY_RING_POSITION:
        ring.stand({
          consumed: reader.u32(),
          produced: reader.u32(),
          pending: reader.u32(),
          input: reader.data()
        });
        return;
      case ENTRY_OUTPUT: {
        const sent = reader.u16();
        const charge = { id: reader.u53(), domid: reader.u32() };
        const packet = readPacket(reader);
        ring.output.push({ packet, sent, charge: charge.id === 0 ? void 0 : charge });
        return;
      }
      case ENTRY_OUTPUT_DROPPED: {
        const dropped = /* @__PURE__ */ new Set();
        for (let count = reader.u32(); count > 0; count--) dropped.add(reader.u32());
        ring.output = ring.output.filter((_, index) => !dropped.has(index));
        return;
      }
      case ENTRY_WATCH: {
        const number = reader.u53();
        const relative = reader.u8() === 1;
        const depth = reader.u32();
        const path = reader.text();
        const token = reader.text();
        const deep = depth === 4294967295 ? void 0 : depth;
        ring.watches.set(`${path}\0${token}`, { path, token, depth: deep, relative, number });
        return;
      }
      case ENTRY_WATCH_GONE:
        ring.watches.delete(`${reader.text()}\0${reader.text()}`);
        return;
      case ENTRY_TRANSACTION:
        ring.lastTransactionId = reader.u32();
        ring.transactions.set(ring.lastTransactionId, []);
        return;
      case ENTRY_TRANSACTION_LAST:
        ring.lastTransactionId = reader.u32();
        return;
      case ENTRY_TRANSACTION_GONE:
        ring.transactions.delete(reader.u32());
        return;
      case ENTRY_TRANSACTION_REQUEST: {
        const id = reader.u32();
        ring.transactions.get(id)?.push(readPacket(reader));
        return;
      }
      default:
        throw new RangeError(`there is no entry ${kind}`);
    }
  }
};
function readJson(reader) {
  return String.fromCharCode(...reader.data());
}
function readPacket(reader) {
  const type = reader.u32();
  const requestId = reader.u32();
  const transactionId = reader.u32();
  return { type, requestId, transactionId, payload: reader.data() };
}
function connected(nodes, log) {
  const isThere = /* @__PURE__ */ new Map([["/", true]]);
  const reaches = (path) => {
    const known = isThere.get(path);
    if (known !== void 0) return known;
    const does = nodes.has(path) && reaches(parentPath(path));
    isThere.set(path, does);
    return does;
  };
  const kept = [...nodes.values()].filter(({ path }) => reaches(path));
  if (kept.length < nodes.size) {
    log.error(`the journal lacks the parents of ${nodes.size - kept.length} nodes: they are lost`);
  }
  return kept;
}
function recover(bytes, defaults, epoch, log) {
  const sameEpoch = readJournalHeader(bytes) === epoch;
  const recovered = new Recovered();
  const frames = new FrameScanner(bytes);
  let found = frames.next();
  for (; typeof found !== "string"; found = frames.next()) {
    recovered.apply(new ByteReader(bytes, found.start, found.end));
  }
  if (found === "torn") {
    const position = frames.position;
    log.warn(`the journal is torn at byte ${position}: what follows is left out`, { position });
  }
  const { settings, generation, lastIncarnation, nodes, domains, rings } = recovered;
  if (settings === void 0 || !nodes.has("/")) {
    log.error("the journal holds no whole store: xenstored begins anew");
    return void 0;
  }
  return {
    generation,
    lastIncarnation,
    quotas: { ...defaults, ...settings.quotas },
    specialPermissions: new Map(settings.specialPermissions),
    domains: [...domains.values()],
    nodes: connected(nodes, log),
    connections: sameEpoch ? [...rings].map(([domid, ring]) => ring.state(domid)) : []
  };
}

// stubdoms/xenstored/succession.ts
import { spawn } from "node:child_process";
import {
  accessSync,
  closeSync as closeSync4,
  constants as constants2,
  existsSync as existsSync2,
  openSync as openSync4,
  readSync as readSync2,
  statSync,
  unlinkSync as unlinkSync2,
  writeFileSync
} from "node:fs";
import { resolve } from "node:path";

// src/xenstored/migration-stream-encode.ts
var NO_BYTES2 = new Uint8Array(0);
var DOMID_MASK = 65535;
function refuse(rule) {
  throw new XenError("ENOTSUP", "hand over to a xenstored of Xen 4.17", rule);
}
function concatenated(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
function recordOf(type, ...parts) {
  const body = concatenated(parts);
  const length = paddedLength(body.length);
  const bytes = new Uint8Array(XsStateRecordHeader.size + length);
  const header = XsStateRecordHeader.view(bytes);
  header.type = type;
  header.length = length;
  bytes.set(body, XsStateRecordHeader.size);
  return bytes;
}
function preamble() {
  const bytes = new Uint8Array(XsStatePreamble.size);
  const view = XsStatePreamble.view(bytes);
  view.ident = latin1Encode(XS_STATE_IDENT);
  view.version = XS_STATE_VERSION;
  view.flags = XS_STATE_FLAGS;
  return bytes;
}
function globalRecord({ listener, events }) {
  const bytes = new Uint8Array(XsStateGlobal.size);
  const view = XsStateGlobal.view(bytes);
  view.socket_fd = listener;
  view.evtchn_fd = events ?? -1;
  return recordOf(XS_STATE_TYPE_GLOBAL, bytes);
}
function silentRing({ domid }) {
  return {
    carrier: { kind: "ring", domid, ignored: true, consumed: void 0, produced: void 0 },
    input: NO_BYTES2,
    output: [],
    watches: [],
    lastTransactionId: 0,
    transactions: []
  };
}
function connectionsOf(state) {
  const rings = /* @__PURE__ */ new Map();
  for (const connection of state.connections) {
    const { carrier } = connection;
    if (carrier.kind === "ring") rings.set(carrier.domid, connection);
  }
  const introduced = state.domains.filter(({ domid, ring }) => domid === 0 || ring !== void 0);
  return [
    ...introduced.map((domain) => rings.get(domain.domid) ?? silentRing(domain)).sort((a, b) => domidOf(a) - domidOf(b)),
    ...state.connections.filter(({ carrier }) => carrier.kind === "socket")
  ];
}
function domidOf({ carrier }) {
  return carrier.kind === "ring" ? carrier.domid : 0;
}
function checkInput(input, name) {
  if (input.length <= HEADER_SIZE) return;
  if (input.length > HEADER_SIZE + XsdSockmsg.view(input).len) {
    refuse(`${name} has sent several requests that are not answered yet`);
  }
}
var unsent = ({ packet, sent }) => encodePacket(packet).subarray(sent);
function connectionRecord(id, connection, domains, ports) {
  const { carrier, input, output } = connection;
  const [first] = output;
  const isRing = carrier.kind === "ring";
  if (!isRing && carrier.unsent.length > 0) refuse(`${carrier.name} does not read what it is sent`);
  checkInput(input, isRing ? `domain ${carrier.domid}` : carrier.name);
  const data = concatenated(output.map(unsent));
  const head = new Uint8Array(XsStateConnectionRing.size);
  const view = XsStateConnectionRing.view(head);
  view.conn_id = id;
  view.conn_type = isRing ? XS_STATE_CONN_TYPE_RING : XS_STATE_CONN_TYPE_SOCKET;
  if (isRing) {
    view.domid = carrier.domid;
    view.tdomid = domains.get(carrier.domid)?.target ?? DOMID_INVALID;
    view.evtchn = carrier.ignored ? 0 : ports.get(carrier.domid) ?? 0;
  } else {
    XsStateConnectionSocket.view(head).socket_fd = carrier.fd;
  }
  view.data_in_len = input.length;
  view.data_resp_len = first !== void 0 && first.sent > 0 ? unsent(first).length : 0;
  view.data_out_len = data.length;
  return recordOf(XS_STATE_TYPE_CONN, head, input, data);
}
function* watchRecords(id, connection) {
  const home = domainHome(domId(domidOf(connection)));
  for (const { path, token, depth, relative } of connection.watches) {
    if (depth !== void 0) refuse(`it knows no depth of a watch, as that for ${path} has`);
    const asked = relative ? path.slice(home.length + 1) : path;
    const head = new Uint8Array(XsStateWatch.size);
    const view = XsStateWatch.view(head);
    view.conn_id = id;
    view.path_length = asked.length + 1;
    view.token_length = token.length + 1;
    yield recordOf(XS_STATE_TYPE_WATCH, head, encodeStrings(asked, token));
  }
}
var NodeRecords = class {
  domains;
  constructor(domains) {
    this.domains = domains;
  }
  record(path, value, permissions) {
    const owner = ownerOf(permissions);
    if (!this.isCurrent(owner)) refuse(`the owner of ${path}, domain ${owner.domid}, is gone`);
    const head = new Uint8Array(XsStateNode.size);
    const view = XsStateNode.view(head);
    view.path_len = path.length + 1;
    view.data_len = value.length;
    view.perm_n = permissions.length;
    const parts = [this.permissionList(path, permissions), encodeStrings(path), bytesOf(value)];
    return recordOf(XS_STATE_TYPE_NODE, head, ...parts);
  }
  permissionList(path, permissions) {
    const bytes = new Uint8Array(permissions.length * XsStateNodePerm.size);
    permissions.forEach((entry, index) => {
      if (entry.incarnation === EVERY_INCARNATION) {
        refuse(`it knows no permission for every domain, as ${path} has`);
      }
      const view = XsStateNodePerm.view(bytes, index * XsStateNodePerm.size);
      view.access = entry.access.charCodeAt(0);
      view.flags = this.isCurrent(entry) ? 0 : XS_STATE_NODE_PERM_IGNORE;
      view.domid = entry.domid & DOMID_MASK;
    });
    return bytes;
  }
  isCurrent({ domid, incarnation }) {
    return this.domains.get(domid)?.incarnation === incarnation;
  }
};
function encodeMigrationStream(state, handed) {
  const domains = new Map(state.domains.map((domain) => [domain.domid, domain]));
  const parts = [preamble(), globalRecord(handed)];
  connectionsOf(state).forEach((connection, index) => {
    const id = index + 1;
    parts.push(
      connectionRecord(id, connection, domains, handed.ports),
      ...watchRecords(id, connection)
    );
  });
  const nodes = new NodeRecords(domains);
  for (const [name, permissions] of state.specialPermissions) {
    parts.push(nodes.record(name, NO_VALUE, permissions));
  }
  for (const { path, value, permissions } of state.nodes) {
    parts.push(nodes.record(path, value, permissions));
  }
  parts.push(recordOf(XS_STATE_TYPE_END));
  return concatenated(parts);
}

// stubdoms/xenstored/succession.ts
var REHEARSAL_LIMIT_MS = 6e4;
var TAKE_OVER = ["-U", "--live-update"];
var REHEARSE = "--rehearse";
var C_NO_LIMIT = 2 ** 31 - 1;
function refuse2(file, detail) {
  throw new XenError("EINVAL", `live update to ${file}`, detail);
}
function beginningOf(file) {
  const bytes = Buffer.alloc(256);
  try {
    if (!statSync(file).isFile()) refuse2(file, "it is no file");
    accessSync(file, constants2.X_OK);
    const fd = openSync4(file, "r");
    const length = readSync2(fd, bytes);
    closeSync4(fd);
    return bytes.toString("latin1", 0, length);
  } catch (error) {
    if (error instanceof XenError) throw error;
    return refuse2(file, errorMessage(error));
  }
}
function writeDump(bytes) {
  const path = xenstoreStatePath();
  removeDump();
  try {
    writeFileSync(path, bytes, { mode: 384, flag: "wx" });
  } catch (error) {
    removeDump();
    throw new XenError("EIO", `write the state to ${path}`, errorMessage(error), error);
  }
}
function removeDump() {
  const path = xenstoreStatePath();
  if (existsSync2(path)) unlinkSync2(path);
}
var wordsOf = (commandLine) => commandLine.split(/[ \t]+/).filter((word) => word !== "");
var withTakeOver = (words) => [
  ...words.filter((word) => !TAKE_OVER.includes(word)),
  TAKE_OVER[0]
];
function cOptions({ quotas }, pidFile) {
  const limit = (quota) => quotas[quota] || C_NO_LIMIT;
  return [
    ...pidFile === void 0 ? [] : ["-F", pidFile],
    ...["-E", limit("nodes"), "-S", limit("nodeSize"), "-W", limit("watches")],
    ...["-t", limit("transactions"), "-A", limit("permissions"), "-M", limit("pathLength")],
    ...["-Q", `outstanding=${limit("outstanding")}`],
    ...["-Q", `transaction-nodes=${limit("transactionNodes")}`],
    // Of memory alone 0 is no limit there, too.
    ...["-Q", `memory=${quotas.memoryHard}`, "-q", `memory=${quotas.memorySoft}`]
  ].map(String);
}
function clientSockets({ connections }) {
  return connections.flatMap(({ carrier }) => carrier.kind === "socket" ? [carrier.fd] : []);
}
var Successors = class {
  parts;
  constructor(parts) {
    this.parts = parts;
  }
  find(program, commandLine) {
    if (typeof program !== "string") {
      throw new XenError("EINVAL", "live update", "this xenstored is a process: it takes a file");
    }
    const file = resolve(program);
    const beginning = beginningOf(file);
    const words = commandLine === void 0 ? void 0 : wordsOf(commandLine);
    if (beginning.startsWith("\x7FELF")) {
      return this.foreign(file, words);
    }
    if (/^#!.*\bnode\b/.test(beginning)) return this.ours(file, words ?? process.argv.slice(2));
    return refuse2(file, "it is neither a script for Node nor an ELF file");
  }
  ours(file, words) {
    const args = withTakeOver(words);
    const { native, listener } = this.parts;
    return {
      keepsAll: true,
      rehearse: (state) => rehearse(file, args, encodeState({ state, listener: listener() })),
      takeOver: (state) => {
        writeDump(encodeState({ state, listener: listener() }));
        become(native, file, args, [listener(), ...clientSockets(state)]);
      }
    };
  }
  foreign(file, words) {
    const { native, listener, hypervisor, journal, pidFile } = this.parts;
    return {
      keepsAll: false,
      rehearse: async (state) => {
        encodeMigrationStream(state, { listener: -1, events: void 0, ports: /* @__PURE__ */ new Map() });
      },
      takeOver: (state, ports) => {
        const events = hypervisor?.events.handOver();
        writeDump(encodeMigrationStream(state, { listener: listener(), events, ports }));
        if (journal !== void 0 && existsSync2(journal)) unlinkSync2(journal);
        const kept = [
          listener(),
          ...clientSockets(state),
          ...events === void 0 ? [] : [events]
        ];
        become(native, file, withTakeOver(words ?? cOptions(state, pidFile)), kept);
      }
    };
  }
};
async function rehearse(file, args, state) {
  writeDump(state);
  try {
    const child = spawn(file, [...args, REHEARSE], {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: REHEARSAL_LIMIT_MS,
      killSignal: "SIGKILL"
    });
    let said = "";
    child.stderr.on("data", (text) => {
      said = `${said}${text}`.slice(-4096);
    });
    const [code, signal] = await new Promise(
      (done, failed) => {
        child.once("error", failed);
        child.once("close", (...how) => done(how));
      }
    );
    if (code === 0) return;
    const last = said.trim().split("\n").pop() ?? "";
    refuse2(file, `it does not take over: ${last === "" ? `it ended by ${signal ?? code}` : last}`);
  } catch (error) {
    if (error instanceof XenError) throw error;
    refuse2(file, errorMessage(error));
  } finally {
    removeDump();
  }
}
function become(native, file, args, kept) {
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  try {
    native.execute(file, [file, ...args], environment, Int32Array.from(kept));
  } catch (error) {
    removeDump();
    refuse2(file, errorMessage(error));
  }
}
function successionOf(parts) {
  return new Successors(parts);
}

// stubdoms/xenstored/dom0.ts
function bootId() {
  return readFileSync3("/proc/sys/kernel/random/boot_id", "latin1").trim();
}
function recoverFrom({ found }, { path }, { quotas }, log) {
  if (found === void 0) return void 0;
  try {
    const state = recover(found, quotas, bootId(), log);
    log.info("took up the journal", { path, domains: state?.domains.length });
    return state;
  } catch (error) {
    const detail = `${errorMessage(error)}; move it away to begin with an empty store`;
    throw new XenError("EINVAL", `take up the journal ${path}`, detail, error);
  }
}
function attachKernel(xenstored, settings, hypervisor) {
  const { pages, channel } = openKernelStoreRing(hypervisor, {
    domid: domId(settings.options?.masterDomid ?? DEFAULT_OPTIONS.masterDomid),
    port: settings.kernelPort
  });
  xenstored.attachKernelRing(pages, channel);
}
function adoptSocket(sockets, { fd, unsent: unsent2 }, log) {
  try {
    const socket = sockets.adopt(fd, unsent2);
    return { stream: socket, handover: socket };
  } catch (error) {
    log.error(`a client is lost: descriptor ${fd} is not its socket: ${errorMessage(error)}`, {
      fd
    });
    return void 0;
  }
}
var CLIENT = "socket ";
function lastClient({ connections }) {
  return connections.reduce((last, { carrier }) => {
    const name = carrier.kind === "socket" ? carrier.name : "";
    return Math.max(last, Number(name.startsWith(CLIENT) ? name.slice(CLIENT.length) : 0) || 0);
  }, 0);
}
async function listen(xenstored, socket, taken) {
  let clients = taken === void 0 ? 0 : lastClient(taken.state);
  const attach = (client) => {
    clients++;
    xenstored.attachSocket(client, `${CLIENT}${clients}`, client);
  };
  const adopted = taken?.listener;
  if (adopted === void 0) return listenXenstoreSocket(loadNative(), socket, attach);
  return adoptXenstoreSocket(loadNative(), adopted, socket, attach);
}
async function openXenstored(settings, log) {
  const held = new Holdings();
  try {
    const trace = held.keep(traceFile(settings.traceFile, log));
    if (settings.traceFile !== void 0) trace.open();
    const { journal } = settings;
    const options = { ...DEFAULT_OPTIONS, ...settings.options };
    const domainControl = settings.domains ? held.keep(openDomainControl()) : void 0;
    const taken = settings.takeOver ? takeOver(options, domainControl, log) : void 0;
    const hypervisor = settings.domains ? held.keep(openLinuxHypervisor()) : void 0;
    const storage = journal && held.keep(new JournalFile(loadNative(), journal));
    const journalled = () => journal && storage && recoverFrom(storage, journal, options, log);
    const adopted = new UnixSockets(loadNative());
    let listener;
    const xenstored = held.keep(
      startXenstored({
        hypervisor,
        domainControl,
        clock: nodeClock,
        log,
        options,
        traceFile: trace,
        state: taken === void 0 ? journalled() : taken.state,
        adoptSocket: (carrier) => adoptSocket(adopted, carrier, log),
        journal: storage && { storage, epoch: bootId() },
        succession: successionOf({
          native: loadNative(),
          hypervisor,
          listener: () => listener?.fd ?? -1,
          journal: journal?.path,
          pidFile: settings.pidFile
        })
      })
    );
    adopted.finish();
    if (hypervisor !== void 0) attachKernel(xenstored, settings, hypervisor);
    listener = held.keep(await listen(xenstored, settings.socket, taken));
    if (taken !== void 0) forgetTakeOver();
    return held;
  } catch (error) {
    held.close();
    throw error;
  }
}
export {
  openXenstored
};
//# sourceMappingURL=dom0-IKX5Q2IM.js.map
