import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  EVERY_INCARNATION,
  INTRODUCE_DOMAIN,
  NO_INCARNATION,
  PermissionLists,
  RELEASE_DOMAIN,
  SERVER_FEATURES,
  TRANSACTION_COST,
  startXenstored,
  valueFrom
} from "./chunk-R55HPQGR.js";
import {
  DOMID_ANY
} from "./chunk-YFVYMXZQ.js";
import {
  QUOTAS_BY_NAME
} from "./chunk-XBUZ4ILQ.js";
import {
  xenstoreStatePath
} from "./chunk-KZAJKWCF.js";
import {
  nodeClock
} from "./chunk-A4XA7GZ3.js";
import {
  HEADER_SIZE,
  PAYLOAD_MAX
} from "./chunk-SG3WZJOQ.js";
import {
  latin1Decode,
  latin1Encode,
  latin1Write
} from "./chunk-HVXLNJDG.js";
import {
  absoluteOrSpecialPath,
  absolutePath,
  domainHome,
  isAbsolutePath,
  isSpecialPath,
  parentPath
} from "./chunk-FWPDKSSG.js";
import {
  XS_WATCH_EVENT,
  XsdSockmsg
} from "./chunk-FM26WRJC.js";
import {
  byteArray,
  i32,
  struct,
  u16,
  u32,
  u32be,
  u8
} from "./chunk-WRZEEFDO.js";
import {
  DOMID_FIRST_RESERVED,
  domId
} from "./chunk-GNCMNX2R.js";
import {
  ProtocolViolation,
  XenError,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// stubdoms/xenstored/takeover.ts
import { closeSync, fstatSync, readFileSync, statSync, unlinkSync } from "node:fs";

// src/abi/xenstore_state.ts
var XS_STATE_IDENT = "xenstore";
var XS_STATE_VERSION = 1;
var XS_STATE_FLAGS = 0;
var XsStatePreamble = struct("struct xs_state_preamble", {
  ident: byteArray(8),
  version: u32be,
  flags: u32be
});
var XS_STATE_TYPE_END = 0;
var XS_STATE_TYPE_GLOBAL = 1;
var XS_STATE_TYPE_CONN = 2;
var XS_STATE_TYPE_WATCH = 3;
var XS_STATE_TYPE_TA = 4;
var XS_STATE_TYPE_NODE = 5;
var XS_STATE_TYPE_GLB_QUOTA = 6;
var XS_STATE_TYPE_DOMAIN = 7;
var XS_STATE_TYPE_WATCH_EXT = 8;
var XsStateRecordHeader = struct("struct xs_state_record_header", {
  type: u32,
  length: u32
});
var XsStateGlobal = struct("struct xs_state_global", {
  socket_fd: i32,
  evtchn_fd: i32
});
var XS_STATE_CONN_TYPE_RING = 0;
var XS_STATE_CONN_TYPE_SOCKET = 1;
var XS_STATE_CONN_FIELDS_UNIQ_ID = 1;
var XsStateConnectionRing = struct(
  "struct xs_state_connection",
  {
    conn_id: u32,
    conn_type: u16,
    fields: u16,
    domid: u16,
    /** `DOMID_INVALID` for none. */
    tdomid: u16,
    /** Our port, of the handed descriptor; 0 for none. */
    evtchn: u32,
    data_in_len: u16,
    data_resp_len: u16,
    data_out_len: u32
  },
  {
    cFields: {
      fields: "pad",
      domid: "spec.ring.domid",
      tdomid: "spec.ring.tdomid",
      evtchn: "spec.ring.evtchn"
    }
  }
);
var XsStateConnectionSocket = struct(
  "struct xs_state_connection",
  {
    conn_id: u32,
    conn_type: u16,
    fields: u16,
    socket_fd: i32,
    unused: u32,
    data_in_len: u16,
    data_resp_len: u16,
    data_out_len: u32
  },
  { cFields: { fields: "pad", socket_fd: "spec.socket_fd", unused: "spec.ring.evtchn" } }
);
var XsStateWatch = struct("struct xs_state_watch", {
  conn_id: u32,
  path_length: u16,
  token_length: u16
});
var XsStateWatchExt = struct("struct xs_state_watch_ext", {
  conn_id: u32,
  path_length: u16,
  token_length: u16,
  depth: u16,
  pad: u16
});
var WATCH_DEPTH_UNLIMITED = 65535;
var XsStateTransaction = struct("struct xs_state_transaction", {
  conn_id: u32,
  ta_id: u32
});
var XS_STATE_NODE_PERM_IGNORE = 1;
var XsStateNodePerm = struct("struct xs_state_node_perm", {
  access: u8,
  flags: u8,
  domid: u16
});
var XsStateNode = struct("struct xs_state_node", {
  conn_id: u32,
  ta_id: u32,
  path_len: u16,
  data_len: u16,
  ta_access: u16,
  perm_n: u16
});
var XsStateGlbQuota = struct("struct xs_state_glb_quota", {
  n_dom_quota: u16,
  n_glob_quota: u16
});
var XsStateDomain = struct("struct xs_state_domain", {
  domain_id: u16,
  n_quota: u16,
  /** `XENSTORE_SERVER_FEATURE_…`; from version 2 on. */
  features: u32
});

// src/xenstored/migration-stream-records.ts
var RECORD_ALIGN = 8;
var VERSION_MAX = 2;
var paddedLength = (length) => Math.ceil(length / RECORD_ALIGN) * RECORD_ALIGN;
function refuseStream(rule, at, detail) {
  throw new ProtocolViolation("read a migration stream", rule, `${detail} at byte ${at}`);
}
function openStream(bytes) {
  if (bytes.length < XsStatePreamble.size) {
    refuseStream("the stream has a header", 0, `it has ${bytes.length} bytes`);
  }
  const { ident, version, flags } = XsStatePreamble.view(bytes);
  if (latin1Decode(ident) !== XS_STATE_IDENT) {
    refuseStream(`ident is "${XS_STATE_IDENT}"`, XsStatePreamble.offset.ident, "it is another");
  }
  if (version < 1 || version > VERSION_MAX) {
    const at = XsStatePreamble.offset.version;
    refuseStream(`version is from 1 to ${VERSION_MAX}`, at, `it is ${version}`);
  }
  if (flags !== 0) {
    refuseStream("flags are 0: little-endian", XsStatePreamble.offset.flags, `they are ${flags}`);
  }
  return { version, records: { [Symbol.iterator]: () => readRecords(bytes) } };
}
function* readRecords(bytes) {
  for (let at = XsStatePreamble.size; ; ) {
    if (at + XsStateRecordHeader.size > bytes.length) {
      refuseStream("the last record is END", at, `the stream ends after ${bytes.length} bytes`);
    }
    const { type, length } = XsStateRecordHeader.view(bytes, at);
    const start = at + XsStateRecordHeader.size;
    const end = start + paddedLength(length);
    if (end > bytes.length) {
      refuseStream("a record ends within the stream", at, `${length} bytes are said to follow`);
    }
    yield { type, body: bytes.subarray(start, start + length), at: start };
    if (type === XS_STATE_TYPE_END) {
      if (length !== 0) refuseStream("END is empty", at, `${length} bytes are said to follow`);
      if (end !== bytes.length) refuseStream("nothing follows END", end, "there is more");
      return;
    }
    at = end;
  }
}
var BodyReader = class {
  record;
  name;
  next = 0;
  constructor(record, name) {
    this.record = record;
    this.name = name;
  }
  /** Where in the stream reading goes on. */
  get at() {
    return this.record.at + this.next;
  }
  structure(layout) {
    const from = this.advance(layout.size, layout.cName);
    return layout.view(this.record.body, from);
  }
  /** A copy: the stream's memory may go. */
  bytes(length, what) {
    const from = this.advance(length, what);
    return this.record.body.slice(from, from + length);
  }
  /** A string of which the length counts the NUL at its end. */
  text(length, what) {
    const { at } = this;
    const bytes = this.bytes(length, what);
    if (length === 0 || bytes.indexOf(0) !== length - 1) {
      refuseStream(`${this.name}: ${what} has a NUL at its end only`, at, "it has not");
    }
    return latin1Decode(bytes, 0, length - 1);
  }
  /** A string up to its NUL. */
  untilNul(what) {
    const { body } = this.record;
    const nul = body.indexOf(0, this.next);
    return this.text(nul < 0 ? body.length - this.next + 1 : nul + 1 - this.next, what);
  }
  align() {
    this.next = paddedLength(this.next);
  }
  /** Nothing but padding may be left. */
  finish() {
    const { body } = this.record;
    if (body.length !== this.next && body.length !== paddedLength(this.next)) {
      const rule = `${this.name}: length is that of what it holds`;
      refuseStream(rule, this.at, `${body.length} is not ${this.next}`);
    }
  }
  advance(length, what) {
    const from = this.next;
    if (from + length > this.record.body.length) {
      const rule = `${this.name}: ${what} ends within the record`;
      refuseStream(rule, this.at, `it has ${length} bytes`);
    }
    this.next = from + length;
    return from;
  }
};
function readGlobal(record) {
  const reader = new BodyReader(record, "GLOBAL_DATA");
  const { socket_fd, evtchn_fd } = reader.structure(XsStateGlobal);
  reader.finish();
  const descriptor = (fd) => fd < 0 ? void 0 : fd;
  return { listener: descriptor(socket_fd), events: descriptor(evtchn_fd) };
}
function readConnection(record) {
  const name = "CONNECTION_DATA";
  const reader = new BodyReader(record, name);
  const ring = reader.structure(XsStateConnectionRing);
  const { conn_id, conn_type, fields, data_in_len, data_resp_len, data_out_len } = ring;
  if (conn_id === 0) refuseStream(`${name}: conn-id is not 0`, record.at, "it is");
  if (conn_type !== XS_STATE_CONN_TYPE_RING && conn_type !== XS_STATE_CONN_TYPE_SOCKET) {
    refuseStream(`${name}: conn-type is 0 or 1`, record.at, `it is ${conn_type}`);
  }
  if (data_resp_len > data_out_len) {
    const detail = `${data_resp_len} are more than ${data_out_len}`;
    refuseStream(`${name}: out-resp-len <= out-data-len`, record.at, detail);
  }
  const { at: inputAt } = reader;
  const input = reader.bytes(data_in_len, "in-data");
  const partialAt = reader.at;
  const partial = reader.bytes(data_resp_len, "the partial response");
  const outputAt = reader.at;
  const output = reader.bytes(data_out_len - data_resp_len, "out-data");
  if ((fields & XS_STATE_CONN_FIELDS_UNIQ_ID) !== 0) {
    reader.align();
    reader.bytes(8, "unique-id");
  }
  reader.finish();
  const { domid, tdomid, evtchn } = ring;
  return {
    id: conn_id,
    carrier: conn_type === XS_STATE_CONN_TYPE_RING ? { kind: "ring", domid, target: tdomid, port: evtchn } : { kind: "socket", fd: XsStateConnectionSocket.view(record.body).socket_fd },
    input,
    partial,
    output,
    at: { input: inputAt, partial: partialAt, output: outputAt }
  };
}
function readWatch(record) {
  const reader = new BodyReader(record, "WATCH_DATA");
  const { conn_id, path_length, token_length } = reader.structure(XsStateWatch);
  const path = reader.text(path_length, "wpath");
  const token = reader.text(token_length, "token");
  reader.finish();
  return { connection: conn_id, path, token, depth: void 0 };
}
function readExtendedWatch(record) {
  const reader = new BodyReader(record, "WATCH_DATA_EXTENDED");
  const { conn_id, path_length, token_length, depth } = reader.structure(XsStateWatchExt);
  const path = reader.text(path_length, "wpath");
  const token = reader.text(token_length, "token");
  reader.finish();
  return {
    connection: conn_id,
    path,
    token,
    depth: depth === WATCH_DEPTH_UNLIMITED ? void 0 : depth
  };
}
function readTransaction(record) {
  const reader = new BodyReader(record, "TRANSACTION_DATA");
  const { conn_id, ta_id } = reader.structure(XsStateTransaction);
  reader.finish();
  if (ta_id === 0) refuseStream("TRANSACTION_DATA: tx-id is not 0", record.at, "it is");
  return { connection: conn_id, id: ta_id };
}
function readPermission(reader) {
  const { at } = reader;
  const { access, flags, domid } = reader.structure(XsStateNodePerm);
  const letter = String.fromCharCode(access);
  if (!/^[nrwb]$/.test(letter)) {
    refuseStream("NODE_DATA: perm is one of n r w b", at, `it is ${access}`);
  }
  return { access: letter, flags, domid };
}
function readNode(record) {
  const reader = new BodyReader(record, "NODE_DATA");
  const { conn_id, ta_id, path_len, data_len, perm_n } = reader.structure(XsStateNode);
  const permissions = [];
  for (let i = 0; i < perm_n; i++) permissions.push(readPermission(reader));
  const path = reader.text(path_len, "path");
  const value = reader.bytes(data_len, "value");
  reader.finish();
  return { connection: conn_id, transaction: ta_id, path, value, permissions };
}
function readQuotas(reader, count) {
  const bytes = reader.bytes(count * 4, "quota-val");
  const view = new DataView(bytes.buffer);
  return Array.from({ length: count }, (_, index) => ({
    name: reader.untilNul("quota-names"),
    value: view.getUint32(index * 4, true)
  }));
}
function readGlobalQuotas(record) {
  const reader = new BodyReader(record, "GLOBAL_QUOTA_DATA");
  const { n_dom_quota, n_glob_quota } = reader.structure(XsStateGlbQuota);
  const quotas = readQuotas(reader, n_dom_quota + n_glob_quota);
  reader.finish();
  return quotas;
}
function readDomain(record) {
  const reader = new BodyReader(record, "DOMAIN_DATA");
  const { domain_id, n_quota, features } = reader.structure(XsStateDomain);
  const quotas = readQuotas(reader, n_quota);
  reader.finish();
  return { domid: domain_id, features, quotas };
}

// src/xenstored/migration-stream-decode.ts
var NO_BYTES = new Uint8Array(0);
var TYPE_UNKNOWN = 65535;
function packetEndingIn(rest) {
  const header = new Uint8Array(HEADER_SIZE);
  const view = XsdSockmsg.view(header);
  for (let unsent = 0; unsent < HEADER_SIZE && unsent <= rest.length; unsent++) {
    const payload = rest.subarray(unsent);
    if (payload.length > PAYLOAD_MAX) continue;
    view.type = TYPE_UNKNOWN;
    view.len = payload.length;
    const fromLength = Math.min(unsent, HEADER_SIZE - XsdSockmsg.offset.len);
    const told = rest.subarray(unsent - fromLength, unsent);
    if (told.some((byte, i) => byte !== header[HEADER_SIZE - fromLength + i])) continue;
    header.set(rest.subarray(0, unsent), HEADER_SIZE - unsent);
    const { type, req_id, tx_id } = view;
    const packet = { type, requestId: req_id, transactionId: tx_id, payload };
    return { packet, sent: HEADER_SIZE - unsent, charge: void 0 };
  }
  return void 0;
}
function wholePackets(bytes, start) {
  const output = [];
  for (let at = 0; at < bytes.length; ) {
    const rule = "CONNECTION_DATA: out-data is whole packets after the partial response";
    if (at + HEADER_SIZE > bytes.length) refuseStream(rule, start + at, "a header is cut off");
    const { type, req_id, tx_id, len } = XsdSockmsg.view(bytes, at);
    const from = at + HEADER_SIZE;
    if (len > PAYLOAD_MAX || from + len > bytes.length) {
      refuseStream(rule, start + at, `a payload of ${len} bytes is not there`);
    }
    const payload = bytes.subarray(from, from + len);
    checkEvent(type, payload, start + at);
    const packet = { type, requestId: req_id, transactionId: tx_id, payload };
    output.push({ packet, sent: 0, charge: void 0 });
    at = from + len;
  }
  return output;
}
function checkEvent(type, payload, at) {
  if (type !== XS_WATCH_EVENT) return;
  const nul = payload.indexOf(0);
  if (nul < 0 || payload.indexOf(0, nul + 1) < 0) {
    refuseStream("CONNECTION_DATA: an event is a path and a token", at, "it is something else");
  }
}
function doomedTransaction(id) {
  return {
    id,
    snapshot: void 0,
    accesses: [],
    growth: [],
    requests: void 0,
    outdated: true,
    torn: true,
    createdNodes: false,
    wrote: true,
    failed: false,
    memory: TRANSACTION_COST,
    doomed: true
  };
}
var Decoder = class {
  options;
  version;
  quotas;
  domains = /* @__PURE__ */ new Map();
  connections = /* @__PURE__ */ new Map();
  nodes = /* @__PURE__ */ new Map();
  specialPermissions = /* @__PURE__ */ new Map();
  lists = new PermissionLists();
  watches = /* @__PURE__ */ new Set();
  global;
  constructor(options, version) {
    this.options = options;
    this.version = version;
    this.quotas = { ...options.quotas };
    const { incarnation } = this.domain(0);
    for (const name of [INTRODUCE_DOMAIN, RELEASE_DOMAIN]) {
      this.specialPermissions.set(name, [{ domid: 0, access: "n", incarnation }]);
    }
  }
  take(record) {
    switch (record.type) {
      case XS_STATE_TYPE_END:
        return;
      case XS_STATE_TYPE_GLOBAL:
        this.takeGlobal(record);
        return;
      case XS_STATE_TYPE_CONN:
        this.takeConnection(record);
        return;
      case XS_STATE_TYPE_WATCH:
        this.takeWatch(record, readWatch(record));
        return;
      case XS_STATE_TYPE_WATCH_EXT:
        this.requireVersion2(record, "WATCH_DATA_EXTENDED");
        this.takeWatch(record, readExtendedWatch(record));
        return;
      case XS_STATE_TYPE_TA:
        this.takeTransaction(record);
        return;
      case XS_STATE_TYPE_NODE:
        this.takeNode(record);
        return;
      case XS_STATE_TYPE_GLB_QUOTA:
        this.setQuotas(this.quotas, readGlobalQuotas(record));
        return;
      case XS_STATE_TYPE_DOMAIN:
        this.takeDomain(record);
        return;
      default:
        refuseStream("type is that of a record", record.at, `it is ${record.type}`);
    }
  }
  finish() {
    if (!this.nodes.has("/")) refuseStream("the root is among the nodes", 0, "it is not");
    const { global, nodes, domains, quotas, specialPermissions } = this;
    return {
      state: {
        generation: nodes.size,
        lastIncarnation: domains.size,
        quotas,
        specialPermissions,
        domains: [...domains.values()],
        nodes: [...nodes.values()],
        connections: [...this.connections.values()].map(({ home: _, ...connection }) => connection)
      },
      listener: global?.listener,
      events: global?.events
    };
  }
  requireVersion2(record, name) {
    if (this.version >= 2) return;
    refuseStream(`${name} is of version 2`, record.at, `the stream is of ${this.version}`);
  }
  takeGlobal(record) {
    if (this.global !== void 0) {
      refuseStream("GLOBAL_DATA is there once", record.at, "it is there again");
    }
    this.global = readGlobal(record);
  }
  takeConnection(record) {
    const read = readConnection(record);
    const { id, carrier, input, partial, output, at } = read;
    if (this.connections.has(id)) {
      refuseStream("CONNECTION_DATA: conn-id is of one connection", record.at, `${id} is of two`);
    }
    const begun = partial.length === 0 ? [] : [packetEndingIn(partial)];
    if (begun.includes(void 0)) {
      const rule = "CONNECTION_DATA: the partial response is the end of a packet";
      refuseStream(rule, at.partial, "no packet ends so");
    }
    const domid = carrier.kind === "ring" ? carrier.domid : 0;
    this.connections.set(id, {
      carrier: carrier.kind === "ring" ? this.takeRing(record, carrier) : { kind: "socket", fd: carrier.fd, name: `socket ${id}`, unsent: NO_BYTES },
      input,
      output: [...begun, ...wholePackets(output, at.output)],
      watches: [],
      lastTransactionId: 0,
      transactions: [],
      home: domainHome(domId(domid))
    });
  }
  takeRing(record, { domid, target, port }) {
    if (domid >= DOMID_FIRST_RESERVED) {
      refuseStream("CONNECTION_DATA: domid is that of a domain", record.at, `it is ${domid}`);
    }
    const domain = this.domain(domid);
    if (domain.ring !== void 0) {
      refuseStream("CONNECTION_DATA: a domain has one ring", record.at, `domain ${domid} has two`);
    }
    const { masterDomid, remotePort } = this.options;
    domain.ring = {
      remotePort: domid === masterDomid ? void 0 : port && remotePort(port) || 0
    };
    domain.features = 0;
    if (target < DOMID_FIRST_RESERVED) domain.target = this.domain(target).domid;
    const ignored = port === 0;
    return { kind: "ring", domid, ignored, consumed: void 0, produced: void 0 };
  }
  connection(record, id) {
    const connection = this.connections.get(id);
    if (connection !== void 0) return connection;
    return refuseStream("conn-id is that of a connection before", record.at, `${id} is of none`);
  }
  takeWatch(record, read) {
    const { token, depth } = read;
    const connection = this.connection(record, read.connection);
    const special = isSpecialPath(read.path);
    const relative = !special && !isAbsolutePath(read.path);
    const path = this.checked(record, () => {
      return special ? read.path : absolutePath(read.path, connection.home);
    });
    const key = `${read.connection} ${path}\0${token}`;
    if (this.watches.has(key)) {
      refuseStream("a watch is there once", record.at, `${path} is watched twice`);
    }
    this.watches.add(key);
    connection.watches.push({ path, token, depth, relative, number: this.watches.size });
  }
  takeTransaction(record) {
    const { connection: id, id: transaction } = readTransaction(record);
    const connection = this.connection(record, id);
    if (connection.transactions.some((known) => known.id === transaction)) {
      const rule = "TRANSACTION_DATA: tx-id is of one transaction";
      refuseStream(rule, record.at, `${transaction} is of two`);
    }
    connection.transactions.push(doomedTransaction(transaction));
    connection.lastTransactionId = Math.max(connection.lastTransactionId, transaction);
  }
  takeNode(record) {
    const read = readNode(record);
    if (read.connection !== 0) {
      const { transactions } = this.connection(record, read.connection);
      if (transactions.some(({ id }) => id === read.transaction)) return;
      const rule = "NODE_DATA: tx-id is that of a transaction before";
      refuseStream(rule, record.at, `${read.transaction} is of none`);
    }
    if (read.permissions.length === 0) {
      refuseStream("NODE_DATA: a node has an owner", record.at, "it has no permissions");
    }
    const path = this.checked(record, () => absoluteOrSpecialPath(read.path, void 0));
    const permissions = this.lists.shared(
      read.permissions.map((entry, index) => this.permission(entry, index))
    );
    if (isSpecialPath(path)) {
      if (!this.specialPermissions.has(path)) {
        refuseStream("NODE_DATA: there is something of that name", record.at, `${path} is none`);
      }
      this.specialPermissions.set(path, permissions);
      return;
    }
    if (this.nodes.has(path)) {
      refuseStream("NODE_DATA: a node is there once", record.at, `${path} is there twice`);
    }
    if (path !== "/" && !this.nodes.has(parentPath(path))) {
      refuseStream("NODE_DATA: a node comes after its parent", record.at, `${path} does not`);
    }
    const generation = this.nodes.size + 1;
    const value = valueFrom(read.value, 0);
    this.nodes.set(path, { path, value, permissions, generation, birth: generation });
  }
  takeDomain(record) {
    const { domid, features, quotas } = readDomain(record);
    if (domid >= DOMID_FIRST_RESERVED) {
      refuseStream("DOMAIN_DATA: domain-id is that of a domain", record.at, `it is ${domid}`);
    }
    const domain = this.domain(domid);
    if (this.version >= 2) domain.features = features & SERVER_FEATURES;
    const ownQuotas = { ...domain.ownQuotas };
    this.setQuotas(ownQuotas, quotas);
    domain.ownQuotas = ownQuotas;
  }
  /** Of those that we do not have nothing is kept, as the document says. */
  setQuotas(target, quotas) {
    for (const { name, value } of quotas) {
      const quota = QUOTAS_BY_NAME.get(name);
      if (quota !== void 0) target[quota] = value;
    }
  }
  permission(entry, index) {
    const { access, flags, domid } = entry;
    const stale = (flags & XS_STATE_NODE_PERM_IGNORE) !== 0;
    const named = !stale && domid < DOMID_FIRST_RESERVED;
    if (named) return { access, domid, incarnation: this.domain(domid).incarnation };
    if (index === 0) return { access, domid: 0, incarnation: this.domain(0).incarnation };
    const incarnation = !stale && domid === DOMID_ANY ? EVERY_INCARNATION : NO_INCARNATION;
    return { access, domid, incarnation };
  }
  /** What the stream names is known; whether it still is there shows when the state is taken up. */
  domain(domid) {
    const known = this.domains.get(domid);
    if (known !== void 0) return known;
    const created = {
      domid,
      incarnation: this.domains.size + 1,
      features: SERVER_FEATURES,
      ownQuotas: {},
      shutdown: false,
      target: void 0,
      ring: void 0
    };
    this.domains.set(domid, created);
    return created;
  }
  checked(record, path) {
    try {
      return path();
    } catch (error) {
      return refuseStream("a path is one of xenstore", record.at, errorMessage(error));
    }
  }
};
function decodeMigrationStream(bytes, options) {
  const { version, records: all } = openStream(bytes);
  const decoder = new Decoder(options, version);
  for (const record of all) decoder.take(record);
  return decoder.finish();
}

// src/xenstored/state-encoding.ts
var FORMAT = "paravane xenstored state";
var VERSION = 1;
var BEGINNING = `{"format":"${FORMAT}",`;
var BYTES = "$bytes";
var MAP = "$map";
function toJson(key, changed) {
  const value = this[key];
  if (value instanceof Uint8Array) return { [BYTES]: latin1Decode(value) };
  if (value instanceof Map) return { [MAP]: [...value] };
  return changed;
}
function fromJson(_key, value) {
  if (typeof value !== "object" || value === null) return value;
  if (BYTES in value) return latin1Encode(value[BYTES]);
  if (MAP in value) return new Map(value[MAP]);
  return value;
}
function refuse(detail) {
  throw new XenError("EINVAL", "read the state of a xenstored", detail);
}
function isEncodedState(bytes) {
  return latin1Decode(bytes, 0, Math.min(bytes.length, BEGINNING.length)) === BEGINNING;
}
function encodeState({ state, listener }) {
  const { nodes, ...rest } = state;
  const head = { format: FORMAT, version: VERSION, listener };
  const lines = [JSON.stringify(head), JSON.stringify(rest, toJson)];
  let count = 0;
  for (const { path, value, permissions, generation, birth } of nodes) {
    const line = [path, value, permissions, generation, birth];
    lines.push(JSON.stringify(line, toJson));
    count++;
  }
  lines.push(JSON.stringify({ nodes: count }), "");
  return joinLines(lines);
}
function joinLines(lines) {
  const bytes = new Uint8Array(lines.reduce((sum, line) => sum + line.length + 1, -1));
  let at = 0;
  lines.forEach((line, index) => {
    at = latin1Write(line, bytes, at);
    if (index < lines.length - 1) bytes[at++] = LINE_END;
  });
  return bytes;
}
var LINE_END = "\n".charCodeAt(0);
function* linesOf(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(LINE_END, at);
    if (end < 0) refuse("it ends within a line");
    yield latin1Decode(bytes, at, end);
    at = end + 1;
  }
}
function decodeState(bytes) {
  if (!isEncodedState(bytes)) refuse(`it does not begin with ${BEGINNING}`);
  let number = 0;
  const parsed = [];
  for (const line of linesOf(bytes)) {
    number++;
    try {
      parsed.push(JSON.parse(line, fromJson));
    } catch (error) {
      refuse(`line ${number} is no JSON: ${errorMessage(error)}`);
    }
    if (number === 1) checkVersion(parsed[0]);
  }
  const [head, rest, ...others] = parsed;
  const end = others.pop();
  if (end?.nodes !== others.length) refuse("it does not end with the number of its nodes");
  const lists = new PermissionLists();
  const nodes = others.map(
    ([path, value, permissions, generation, birth]) => {
      return { path, value, permissions: lists.shared(permissions), generation, birth };
    }
  );
  return { listener: head.listener, state: { ...rest, nodes } };
}
function checkVersion({ version }) {
  if (version !== VERSION) refuse(`this program reads version ${VERSION}, not ${version}`);
}

// stubdoms/xenstored/takeover.ts
function forgetTakeOver() {
  unlinkSync(xenstoreStatePath());
}
var EVENT_DEVICE = "/dev/xen/evtchn";
function closeEventDevice(fd, log) {
  if (isEventDevice(fd)) closeSync(fd);
  else log.warn(`descriptor ${fd} was to be ${EVENT_DEVICE} and is something else`, { fd });
}
function isEventDevice(fd) {
  try {
    const found = fstatSync(fd);
    return found.isCharacterDevice() && found.rdev === statSync(EVENT_DEVICE).rdev;
  } catch {
    return false;
  }
}
function readDump() {
  const path = xenstoreStatePath();
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    const detail = `no xenstored has left its state at ${path}: ${errorMessage(error)}`;
    throw new XenError("ENOENT", "take over from another xenstored", detail, error);
  }
}
function readState(options, peerPort) {
  const bytes = readDump();
  if (isEncodedState(bytes)) return { ...decodeState(bytes), events: void 0 };
  const { quotas, masterDomid } = options;
  return decodeMigrationStream(bytes, { quotas, masterDomid, remotePort: peerPort });
}
function takeOver(options, ports, log) {
  const { state, listener, events } = readState(options, (port) => ports?.peerPort(port));
  if (events !== void 0) closeEventDevice(events, log);
  log.info("took over from another xenstored", {
    domains: state.domains.length,
    connections: state.connections.length
  });
  return { state, listener };
}
var SILENT = {
  ended: false,
  read: () => 0,
  write: () => 0,
  onReady() {
  },
  close() {
  }
};
function rehearseTakeOver(options, log) {
  const { state } = readState(options, () => void 0);
  const adoptSocket = () => ({ stream: SILENT });
  const xenstored = startXenstored({ clock: nodeClock, log, options, state, adoptSocket });
  const findings = xenstored.check();
  xenstored.close();
  if (findings === 0) return;
  throw new XenError("EINVAL", "take up the state", `${findings} things do not fit together`);
}

export {
  XS_STATE_IDENT,
  XS_STATE_VERSION,
  XS_STATE_FLAGS,
  XsStatePreamble,
  XS_STATE_TYPE_END,
  XS_STATE_TYPE_GLOBAL,
  XS_STATE_TYPE_CONN,
  XS_STATE_TYPE_WATCH,
  XS_STATE_TYPE_NODE,
  XsStateRecordHeader,
  XsStateGlobal,
  XS_STATE_CONN_TYPE_RING,
  XS_STATE_CONN_TYPE_SOCKET,
  XsStateConnectionRing,
  XsStateConnectionSocket,
  XsStateWatch,
  XS_STATE_NODE_PERM_IGNORE,
  XsStateNodePerm,
  XsStateNode,
  paddedLength,
  encodeState,
  forgetTakeOver,
  takeOver,
  rehearseTakeOver
};
//# sourceMappingURL=chunk-KQ5H4OKH.js.map
