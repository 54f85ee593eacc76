import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  GNTTAB_RESERVED_XENSTORE,
  RingStream
} from "./chunk-2WEKOQT4.js";
import {
  DOMID_ANY,
  DOMID_SELF,
  VIRQ_DOM_EXC
} from "./chunk-YFVYMXZQ.js";
import {
  Account,
  DEFAULT_OPTIONS,
  HARD_QUOTAS,
  Peaks,
  QUOTAS_BY_NAME,
  SOFT_QUOTAS
} from "./chunk-XBUZ4ILQ.js";
import {
  HEADER_SIZE,
  OK_PAYLOAD,
  PAYLOAD_MAX,
  PacketStream,
  decodeStrings,
  encodeError,
  encodePacket,
  encodeStrings,
  operationName
} from "./chunk-SG3WZJOQ.js";
import {
  joinBytes,
  latin1Decode,
  latin1Encode,
  latin1Write,
  sleep
} from "./chunk-HVXLNJDG.js";
import {
  absolutePath,
  childPath,
  domainHome,
  isAbsolutePath,
  isSpecialPath,
  parentPath,
  pathName
} from "./chunk-FWPDKSSG.js";
import {
  XENSTORE_ABS_PATH_MAX,
  XENSTORE_CONNECTED,
  XENSTORE_ERROR_COMM,
  XENSTORE_ERROR_NONE,
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XENSTORE_RECONNECT,
  XENSTORE_REL_PATH_MAX,
  XENSTORE_RING_SIZE,
  XENSTORE_SERVER_FEATURE_DOMID_ANY,
  XENSTORE_SERVER_FEATURE_ERROR,
  XENSTORE_SERVER_FEATURE_RECONNECTION,
  XENSTORE_SERVER_FEATURE_WATCHDEPTH,
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
  XenstoreDomainInterface
} from "./chunk-FM26WRJC.js";
import {
  assert,
  byteArray,
  struct,
  u32
} from "./chunk-WRZEEFDO.js";
import {
  DOMID_FIRST_RESERVED,
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

// src/xenstored/features.ts
var SERVER_FEATURES = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR | XENSTORE_SERVER_FEATURE_WATCHDEPTH | XENSTORE_SERVER_FEATURE_DOMID_ANY;

// src/xenstored/output-state.ts
var packetSize = (packet) => HEADER_SIZE + packet.payload.length;
function outputLength(output) {
  return output.reduce((sum, { packet, sent }) => sum + packetSize(packet) - sent, 0);
}
function skipOutput(output, bytes) {
  const rest = [];
  let skip = bytes;
  for (const item of output) {
    const size = packetSize(item.packet) - item.sent;
    if (skip < size) rest.push({ ...item, sent: item.sent + skip });
    skip = Math.max(0, skip - size);
  }
  return rest;
}

// src/xenstored/outgoing.ts
function eventKey(path, token) {
  return path.startsWith("@") ? void 0 : `${path}\0${token}`;
}
var Outgoing = class {
  parts;
  items = [];
  /** The items before this index have been sent. */
  head = 0;
  /** The first item has been given to the stream, at least in part. */
  underWay = false;
  bytesQueued = 0;
  pendingEvents = /* @__PURE__ */ new Set();
  expiry;
  constructor(parts) {
    this.parts = parts;
  }
  /** Bytes that the client has not taken. */
  get bytes() {
    return this.bytesQueued;
  }
  reply(packet, charge) {
    this.push({
      packet,
      charge,
      event: void 0,
      expires_ms: Number.POSITIVE_INFINITY
    });
  }
  /**
   * Queues a watch event. One that is too long is dropped (XSA-324), and so is one that is waiting
   * already, unless it tells of a happening, and one for which the client has no memory left.
   */
  event(path, token, charge) {
    const length = path.length + token.length + 2;
    if (length > PAYLOAD_MAX) return;
    const { account } = this.parts;
    const key = eventKey(path, token);
    if (key !== void 0 && this.pendingEvents.has(key)) return;
    if (account.memoryExceededBy(HEADER_SIZE + length)) {
      account.logDenial("memoryHard", "memory for an event");
      return;
    }
    const payload = encodeStrings(path, token);
    this.pushEvent({ type: XS_WATCH_EVENT, requestId: 0, transactionId: 0, payload }, key, charge);
  }
  /** Bytes that are not sent; unlike `bytes` it counts of a packet that was sent in part the rest alone. */
  get unsent() {
    const first = this.items[this.head];
    const part2 = this.underWay && first !== void 0 ? packetSize(first.packet) : 0;
    return this.bytesQueued - part2 + (part2 === 0 ? 0 : this.parts.packets.queuedBytes);
  }
  /** What waits to be sent. */
  capture() {
    const { packets } = this.parts;
    return this.items.slice(this.head).map(({ packet, charge }, index) => ({
      packet,
      sent: index === 0 && this.underWay ? packetSize(packet) - packets.queuedBytes : 0,
      charge: charge?.state
    }));
  }
  /** Queues what waited to be sent elsewhere. Events may wait as long as new ones. */
  takeUp(output, chargeOf) {
    for (const { packet, sent, charge: state } of output) {
      const charge = state && chargeOf(state);
      if (packet.type === XS_WATCH_EVENT) {
        const [path, token] = latin1Decode(packet.payload).split("\0");
        this.pushEvent(packet, eventKey(path, token), charge);
      } else {
        this.reply(packet, charge);
      }
      if (sent === 0) continue;
      this.parts.packets.sendRest(packet, sent);
      this.underWay = true;
    }
  }
  /** Gives the client what it takes now. */
  flush() {
    if (this.items.length === 0) return;
    const { packets } = this.parts;
    for (let item = this.items[this.head]; item !== void 0; item = this.items[this.head]) {
      if (!this.underWay) packets.send(item.packet);
      this.underWay = true;
      if (!packets.flush()) return;
      this.underWay = false;
      this.head++;
      this.settle(item);
    }
    this.items = [];
    this.head = 0;
  }
  /** Forgets all that was not sent. */
  clear() {
    const items = this.items.slice(this.head);
    this.items = [];
    this.head = 0;
    this.underWay = false;
    this.expiry?.cancel();
    this.expiry = void 0;
    for (const item of items) this.settle(item);
  }
  pushEvent(packet, key, charge) {
    const { account, clock, eventTimeout_ms } = this.parts;
    if (key !== void 0) this.pendingEvents.add(key);
    const timed = eventTimeout_ms > 0 && !account.privileged;
    const expires_ms = timed ? clock.now_ms() + eventTimeout_ms : Number.POSITIVE_INFINITY;
    this.push({ packet, charge, event: key, expires_ms });
    if (timed) this.expiry ??= clock.after(eventTimeout_ms, () => this.expire());
  }
  push(item) {
    this.parts.queued(item.packet);
    this.parts.journal?.queued(item.packet, item.charge?.state);
    item.charge?.hold();
    this.items.push(item);
    this.bytesQueued += packetSize(item.packet);
    this.parts.account.addMemory(packetSize(item.packet));
  }
  settle(item) {
    if (item.event !== void 0) this.pendingEvents.delete(item.event);
    this.bytesQueued -= packetSize(item.packet);
    this.parts.account.addMemory(-packetSize(item.packet));
    item.charge?.release();
  }
  /** Drops the events that have waited too long, but not one that the client has a part of. */
  expire() {
    this.expiry = void 0;
    const { clock } = this.parts;
    const now_ms = clock.now_ms();
    const waiting = this.items.slice(this.head);
    const stays = (item, index) => item.expires_ms > now_ms || index === 0 && this.underWay;
    const dropped = [...waiting.keys()].filter((index) => !stays(waiting[index], index));
    this.parts.journal?.dropping(dropped);
    this.items = waiting.filter(stays);
    this.head = 0;
    for (const index of dropped) this.settle(waiting[index]);
    this.parts.commit();
    const next = this.items.find(({ expires_ms }) => {
      return expires_ms > now_ms && expires_ms !== Number.POSITIVE_INFINITY;
    });
    if (next !== void 0) {
      this.expiry = clock.after(next.expires_ms - now_ms, () => this.expire());
    }
  }
};

// src/xenstored/permissions.ts
var MAY_READ = 1;
var MAY_WRITE = 2;
var MAY_OWN = 4;
var MAY_ALL = MAY_READ | MAY_WRITE | MAY_OWN;
var RIGHTS = {
  n: 0,
  r: MAY_READ,
  w: MAY_WRITE,
  b: MAY_READ | MAY_WRITE
};
var NO_INCARNATION = 0;
var EVERY_INCARNATION = -1;
function names(entry, who) {
  if (entry.incarnation === EVERY_INCARNATION) return true;
  return who !== void 0 && entry.domid === who.domid && entry.incarnation === who.incarnation;
}
function rightsOf(caller, permissions) {
  const { privileged, identity, target } = caller;
  const owner = ownerOf(permissions);
  if (privileged || names(owner, identity) || names(owner, target)) return MAY_ALL;
  for (let i = 1; i < permissions.length; i++) {
    const entry = permissions[i];
    if (names(entry, identity) || names(entry, target)) return RIGHTS[entry.access];
  }
  return RIGHTS[owner.access];
}
function ownerOf(permissions) {
  return permissions[0];
}
function ownedBy(permissions, owner) {
  const [{ access }, ...others] = permissions;
  return [{ domid: owner.domid, access, incarnation: owner.incarnation }, ...others];
}
var PermissionLists = class {
  lists = /* @__PURE__ */ new Map();
  shared(permissions) {
    const key = permissions.map((each) => `${each.access}${each.domid}.${each.incarnation}`);
    const text = key.join(" ");
    const known = this.lists.get(text);
    if (known === void 0) this.lists.set(text, permissions);
    return known ?? permissions;
  }
};
function formatEntry(entry) {
  return `${entry.access}${entry.domid | 0}`;
}
var ENTRY = /^([nrwb])[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/;
function parseEntry(text) {
  const match = ENTRY.exec(text);
  if (match === null) {
    throw new XenError("EINVAL", "set permissions", "an entry is one of n r w b and a domid");
  }
  const [, access, sign, digits = ""] = match;
  const octal = digits.length > 1 && /^0[0-7]/.test(digits);
  const number2 = octal ? Number.parseInt(digits, 8) : Number(digits);
  return { access, domid: (sign === "-" ? -number2 : number2) >>> 0 };
}

// src/xenstored/charge.ts
var Charge = class {
  account;
  /** Another one for each request, from 1. */
  id;
  holders = 0;
  constructor(account, id) {
    this.account = account;
    this.id = id;
  }
  get state() {
    return { id: this.id, domid: this.account.domid };
  }
  hold() {
    if (this.holders++ === 0) this.account.outstanding++;
  }
  release() {
    if (--this.holders === 0) this.account.outstanding--;
  }
};

// src/xenstored/child-list.ts
var RUN_MAX = 64;
function lastUpTo(count, birth, birthAt) {
  let low = -1;
  let high = count - 1;
  while (low < high) {
    const middle = low + high + 1 >> 1;
    if (birthAt(middle) <= birth) low = middle;
    else high = middle - 1;
  }
  return low;
}
function sizeOf(names2) {
  let bytes = 0;
  for (const name of names2) bytes += name.length + 1;
  return bytes;
}
function part({ names: names2, births }, start, end) {
  const some = names2.slice(start, end);
  return { names: some, births: births.slice(start, end), byteLength: sizeOf(some) };
}
function withItem(items, index, item) {
  const copy = new Array(items.length + 1);
  for (let i = 0; i < index; i++) copy[i] = items[i];
  copy[index] = item;
  for (let i = index; i < items.length; i++) copy[i + 1] = items[i];
  return copy;
}
function withoutItem(items, index) {
  const copy = new Array(items.length - 1);
  for (let i = 0; i < index; i++) copy[i] = items[i];
  for (let i = index + 1; i < items.length; i++) copy[i - 1] = items[i];
  return copy;
}
var EMPTY_RUN = { names: [], births: [], byteLength: 0 };
var ChildList = class _ChildList {
  runs;
  /** How many children. */
  count;
  /** Bytes of all names, each with a NUL after it: what `XS_DIRECTORY` answers with. */
  byteLength;
  constructor(runs, count, byteLength) {
    this.runs = runs;
    this.count = count;
    this.byteLength = byteLength;
  }
  static empty = new _ChildList([], 0, 0);
  /** The list of these children, in whatever order they come. */
  static of(children) {
    if (children.length === 0) return _ChildList.empty;
    const sorted = [...children].sort((a, b) => a.birth - b.birth);
    const names2 = sorted.map(({ name }) => name);
    const births = sorted.map(({ birth }) => birth);
    const whole = { names: names2, births, byteLength: sizeOf(names2) };
    const runs = [];
    for (let at = 0; at < names2.length; at += RUN_MAX) runs.push(part(whole, at, at + RUN_MAX));
    return new _ChildList(runs, names2.length, whole.byteLength);
  }
  /** The children with their births, oldest first. */
  get entries() {
    return this.runs.flatMap(
      ({ names: names2, births }) => names2.map((name, index) => ({ name, birth: births[index] }))
    );
  }
  *[Symbol.iterator]() {
    for (const { names: names2 } of this.runs) yield* names2;
  }
  /** With one more child, which is not yet here. */
  with(name, birth) {
    const at = Math.max(0, this.runAt(birth));
    const run = this.runs[at] ?? EMPTY_RUN;
    const { names: names2, births } = run;
    const index = lastUpTo(births.length, birth, (i) => births[i]) + 1;
    const size = name.length + 1;
    const longer = {
      names: withItem(names2, index, name),
      births: withItem(births, index, birth),
      byteLength: run.byteLength + size
    };
    const { length } = longer.names;
    const middle = index === names2.length ? RUN_MAX : RUN_MAX / 2;
    const parts = length > RUN_MAX ? [part(longer, 0, middle), part(longer, middle, length)] : [longer];
    return new _ChildList(this.runsWith(at, parts), this.count + 1, this.byteLength + size);
  }
  /** Without the child of that name and birth, which is here. */
  without(name, birth) {
    const at = this.runAt(birth);
    const { names: names2, births, byteLength } = this.runs[at];
    const size = name.length + 1;
    if (this.count === 1) return _ChildList.empty;
    const index = lastUpTo(births.length, birth, (i) => births[i]);
    const shorter = {
      names: withoutItem(names2, index),
      births: withoutItem(births, index),
      byteLength: byteLength - size
    };
    const parts = names2.length > 1 ? [shorter] : [];
    return new _ChildList(this.runsWith(at, parts), this.count - 1, this.byteLength - size);
  }
  /**
   * The names as `XS_DIRECTORY` answers with them, each followed by NUL, from the byte at `offset`:
   * as many whole names as `room` bytes hold. No other name is looked at than those returned and
   * the rest of their runs.
   */
  bytesFrom(offset, room) {
    const bytes = new Uint8Array(Math.min(room, Math.max(0, this.byteLength - offset)));
    let skip = offset;
    let end = 0;
    for (const { names: names2, byteLength } of this.runs) {
      if (skip >= byteLength) {
        skip -= byteLength;
        continue;
      }
      for (const name of names2) {
        const size = name.length + 1;
        if (skip >= size) {
          skip -= size;
          continue;
        }
        if (end + size - skip > bytes.length) return bytes.subarray(0, end);
        end = latin1Write(skip === 0 ? name : name.slice(skip), bytes, end) + 1;
        skip = 0;
      }
    }
    return bytes.subarray(0, end);
  }
  /** The runs with others in the place of the one at `at`. Most lists have one. */
  runsWith(at, parts) {
    const { runs } = this;
    return runs.length <= 1 ? parts : [...runs.slice(0, at), ...parts, ...runs.slice(at + 1)];
  }
  runAt(birth) {
    const { runs } = this;
    return lastUpTo(runs.length, birth, (index) => runs[index].births[0]);
  }
};

// src/xenstored/snapshots.ts
var SNAPSHOT_BYTES_MAX = 16 * 1024 * 1024;
var REPLACED_NODE_OVERHEAD = 1024;
var Snapshots = class {
  /** The oldest first; with each, what had been replaced when it began. */
  holders = /* @__PURE__ */ new Map();
  replacedBytes = 0;
  /** The holder looks at the tree as it is now, and at no older one. */
  hold(holder) {
    this.holders.delete(holder);
    this.holders.set(holder, this.replacedBytes);
  }
  release(holder) {
    this.holders.delete(holder);
  }
  /** A node of so many bytes is no longer part of the tree. */
  replaced(bytes) {
    if (this.holders.size === 0) return;
    this.replacedBytes += bytes + REPLACED_NODE_OVERHEAD;
    for (const [holder, atStart] of this.holders) {
      if (this.replacedBytes - atStart <= SNAPSHOT_BYTES_MAX) return;
      this.holders.delete(holder);
      holder.snapshotLost();
    }
  }
};

// src/xenstored/touched-paths.ts
var TouchedPaths = class {
  /** Nearly always there is one for a path. */
  touchers = /* @__PURE__ */ new Map();
  add(path, toucher) {
    const others = this.touchers.get(path);
    if (others === void 0) this.touchers.set(path, toucher);
    else if (others instanceof Set) others.add(toucher);
    else if (others !== toucher) this.touchers.set(path, /* @__PURE__ */ new Set([others, toucher]));
  }
  remove(path, toucher) {
    const all = this.touchers.get(path);
    if (all === toucher) this.touchers.delete(path);
    if (!(all instanceof Set)) return;
    all.delete(toucher);
    if (all.size === 0) this.touchers.delete(path);
  }
  /** Tells all who have touched the node that it has changed, and returns whether there are any. */
  changed(path) {
    if (this.touchers.size === 0) return false;
    const touchers = this.touchers.get(path);
    if (touchers === void 0) return false;
    if (touchers instanceof Set) for (const toucher of touchers) toucher.disturbed();
    else touchers.disturbed();
    return true;
  }
};

// src/xenstored/string-hash.ts
var WORD_SIZE = 4;
var FINAL_ROUNDS = 3;
var STATE_WORDS = 4;
var BLOCK_SIZE = 64;
var KEPT_MAX = XENSTORE_ABS_PATH_MAX;
function wordAt(text, at) {
  return text.charCodeAt(at) | text.charCodeAt(at + 1) << 8 | text.charCodeAt(at + 2) << 16 | text.charCodeAt(at + 3) << 24;
}
function lastWord(text, at) {
  const { length } = text;
  let word = length << 24;
  for (let i = at; i < length; i++) word ^= text.charCodeAt(i) << 8 * (i - at);
  return word;
}
var stateIndex = (size) => (size / BLOCK_SIZE - 1) * STATE_WORDS;
function keyedHash(key0, key1) {
  let long = "";
  const states = new Int32Array(KEPT_MAX / BLOCK_SIZE * STATE_WORDS);
  const sizeKept = (text) => {
    const size = Math.min(text.length, long.length, KEPT_MAX) & -BLOCK_SIZE;
    return text.slice(0, size) === long.slice(0, size) ? size : 0;
  };
  const hashOf = (text) => {
    let v0 = key0 | 0;
    let v1 = key1 | 0;
    let v2 = key0 ^ 1819895653;
    let v3 = key1 ^ 1952801890;
    let at = 0;
    if (text.length >= BLOCK_SIZE) {
      at = sizeKept(text);
      if (at > 0) {
        const state = stateIndex(at);
        v0 = states[state];
        v1 = states[state + 1];
        v2 = states[state + 2];
        v3 = states[state + 3];
      }
      long = text;
    }
    const end = text.length & -WORD_SIZE;
    const rounds = end + WORD_SIZE * (1 + FINAL_ROUNDS);
    for (; at < rounds; at += WORD_SIZE) {
      let word = 0;
      if (at < end) word = wordAt(text, at);
      else if (at === end) word = lastWord(text, at);
      else if (at === end + WORD_SIZE) v2 ^= 255;
      v3 ^= word;
      v0 = v0 + v1 | 0;
      v1 = (v1 << 5 | v1 >>> 27) ^ v0;
      v0 = v0 << 16 | v0 >>> 16;
      v2 = v2 + v3 | 0;
      v3 = (v3 << 8 | v3 >>> 24) ^ v2;
      v0 = v0 + v3 | 0;
      v3 = (v3 << 7 | v3 >>> 25) ^ v0;
      v2 = v2 + v1 | 0;
      v1 = (v1 << 13 | v1 >>> 19) ^ v2;
      v2 = v2 << 16 | v2 >>> 16;
      v0 ^= word;
      const done = at + WORD_SIZE;
      if (done % BLOCK_SIZE === 0 && done <= end && done <= KEPT_MAX) {
        const state = stateIndex(done);
        states[state] = v0;
        states[state + 1] = v1;
        states[state + 2] = v2;
        states[state + 3] = v3;
      }
    }
    return v1 ^ v3;
  };
  let last = "";
  let lastHash = hashOf(last);
  return (text) => {
    if (text !== last) {
      lastHash = hashOf(text);
      last = text;
    }
    return lastHash;
  };
}
function randomHash() {
  const word = () => Math.floor(Math.random() * 4294967296);
  return keyedHash(word(), word());
}

// src/xenstored/persistent-map.ts
var LEAF_BITS = 0;
var BRANCH_BITS = 1;
var LEAVES = 2;
var BITS = 5;
var MASK = (1 << BITS) - 1;
var HASH_BITS = 32;
var EMPTY = [0, 0];
function bitCount(bitmap) {
  let n = bitmap - (bitmap >>> 1 & 1431655765);
  n = (n & 858993459) + (n >>> 2 & 858993459);
  return Math.imul(n + (n >>> 4) & 252645135, 16843009) >>> 24;
}
var leafBits = (branch) => branch[LEAF_BITS];
var branchBits = (branch) => branch[BRANCH_BITS];
var bitAt = (hash, shift) => 1 << (hash >>> shift & MASK);
function leafIndex(branch, bit) {
  return LEAVES + 2 * bitCount(leafBits(branch) & bit - 1);
}
function branchIndex(branch, bit) {
  return branch.length - 1 - bitCount(branchBits(branch) & bit - 1);
}
function collisionIndex(branch, key) {
  for (let at = LEAVES; at < branch.length; at += 2) if (branch[at] === key) return at;
  return -1;
}
function replaced(branch, index, item, own) {
  if (branch[index] === item) return branch;
  if (own?.has(branch)) {
    branch[index] = item;
    return branch;
  }
  const copy = branch.slice();
  copy[index] = item;
  own?.add(copy);
  return copy;
}
function rebuilt(branch, leaves, branches, start, count, inserted) {
  const copy = new Array(branch.length - count + inserted.length);
  copy[LEAF_BITS] = leaves;
  copy[BRANCH_BITS] = branches;
  let to = LEAVES;
  for (let i = LEAVES; i < start; i++) copy[to++] = branch[i];
  for (const item of inserted) copy[to++] = item;
  for (let i = start + count; i < branch.length; i++) copy[to++] = branch[i];
  return copy;
}
function branchOfTwo(addition, other, otherHash, shift) {
  const { hash, key, value } = addition;
  if (shift >= HASH_BITS) return [0, 0, ...other, key, value];
  const bit = bitAt(hash, shift);
  const otherBit = bitAt(otherHash, shift);
  if (bit === otherBit) return [0, bit, branchOfTwo(addition, other, otherHash, shift + BITS)];
  const isFirst = bit >>> 0 < otherBit >>> 0;
  return isFirst ? [bit | otherBit, 0, key, value, ...other] : [bit | otherBit, 0, ...other, key, value];
}
function branchWith(branch, addition, shift, hashOf) {
  const { hash, key, value, own } = addition;
  if (shift >= HASH_BITS) {
    const at = collisionIndex(branch, key);
    addition.replaces = at >= 0;
    return at >= 0 ? replaced(branch, at + 1, value, own) : [...branch, key, value];
  }
  const bit = bitAt(hash, shift);
  const leaves = leafBits(branch);
  const branches = branchBits(branch);
  if (branches & bit) {
    const index2 = branchIndex(branch, bit);
    const below2 = branchWith(branch[index2], addition, shift + BITS, hashOf);
    return replaced(branch, index2, below2, own);
  }
  const index = leafIndex(branch, bit);
  if (!(leaves & bit)) return rebuilt(branch, leaves | bit, branches, index, 0, [key, value]);
  const otherKey = branch[index];
  if (otherKey === key) {
    addition.replaces = true;
    return replaced(branch, index + 1, value, own);
  }
  const other = [otherKey, branch[index + 1]];
  const below = branchOfTwo(addition, other, hashOf(otherKey), shift + BITS);
  const rest = rebuilt(branch, leaves & ~bit, branches | bit, index, 2, []);
  rest.splice(rest.length - bitCount(branches & bit - 1), 0, below);
  return rest.slice();
}
function branchWithout(branch, removal, shift) {
  const { hash, key, own } = removal;
  if (shift >= HASH_BITS) {
    const at = collisionIndex(branch, key);
    if (at < 0) return branch;
    removal.found = true;
    return rebuilt(branch, 0, 0, at, 2, []);
  }
  const bit = bitAt(hash, shift);
  const leaves = leafBits(branch);
  const branches = branchBits(branch);
  if (leaves & bit) {
    const index2 = leafIndex(branch, bit);
    if (branch[index2] !== key) return branch;
    removal.found = true;
    return rebuilt(branch, leaves & ~bit, branches, index2, 2, []);
  }
  if (!(branches & bit)) return branch;
  const index = branchIndex(branch, bit);
  const below = branchWithout(branch[index], removal, shift + BITS);
  if (!removal.found) return branch;
  if (below.length > LEAVES + 2 || branchBits(below) !== 0) {
    return replaced(branch, index, below, own);
  }
  const rest = rebuilt(branch, leaves, branches & ~bit, index, 1, []);
  const leaf = below.slice(LEAVES);
  return rebuilt(rest, leaves | bit, branches & ~bit, leafIndex(branch, bit), 0, leaf);
}
function* leavesOf(branch) {
  const end = branch.length - bitCount(branchBits(branch));
  for (let at = LEAVES; at < end; at += 2) yield [branch[at], branch[at + 1]];
  for (let at = end; at < branch.length; at++) yield* leavesOf(branch[at]);
}
function caseOf(branch, bit) {
  if (branchBits(branch) & bit) return branch[branchIndex(branch, bit)];
  if (!(leafBits(branch) & bit)) return EMPTY;
  const index = leafIndex(branch, bit);
  return [0, 0, branch[index], branch[index + 1]];
}
function* branchDifferences(one, other) {
  if (one === other) return;
  const shared = branchBits(one) & branchBits(other);
  if (shared !== 0) {
    let cases = leafBits(one) | branchBits(one) | leafBits(other) | branchBits(other);
    for (; cases !== 0; cases &= cases - 1) {
      const bit = cases & -cases;
      yield* branchDifferences(caseOf(one, bit), caseOf(other, bit));
    }
    return;
  }
  const others = new Map(leavesOf(other));
  for (const [key, value] of leavesOf(one)) {
    const another = others.get(key);
    others.delete(key);
    if (another !== value) yield { key, one: value, other: another };
  }
  for (const [key, value] of others) yield { key, one: void 0, other: value };
}
var MapEdit = class {
  root;
  size;
  hashOf;
  own;
  constructor(root, size, hashOf, own) {
    this.root = root;
    this.size = size;
    this.hashOf = hashOf;
    this.own = own;
  }
  set(key, value) {
    const { hashOf, own } = this;
    const addition = { hash: hashOf(key), key, value, own, replaces: false };
    this.root = branchWith(this.root, addition, 0, hashOf);
    if (!addition.replaces) this.size++;
  }
  delete(key) {
    const removal = { hash: this.hashOf(key), key, own: this.own, found: false };
    this.root = branchWithout(this.root, removal, 0);
    if (removal.found) this.size--;
  }
};
var PersistentMap = class _PersistentMap {
  root;
  hashOf;
  /** How many keys. */
  size;
  constructor(root, size, hashOf) {
    this.root = root;
    this.size = size;
    this.hashOf = hashOf;
  }
  /** @param hashOf of the map and of all that are made of it; nobody can foresee the default */
  static empty(hashOf = randomHash()) {
    return new _PersistentMap(EMPTY, 0, hashOf);
  }
  get(key) {
    const hash = this.hashOf(key);
    let branch = this.root;
    for (let shift = 0; shift < HASH_BITS; shift += BITS) {
      const bit = bitAt(hash, shift);
      if (leafBits(branch) & bit) {
        const index = leafIndex(branch, bit);
        return branch[index] === key ? branch[index + 1] : void 0;
      }
      if (!(branchBits(branch) & bit)) return void 0;
      branch = branch[branchIndex(branch, bit)];
    }
    const at = collisionIndex(branch, key);
    return at < 0 ? void 0 : branch[at + 1];
  }
  set(key, value) {
    return this.changed(void 0, (edit) => edit.set(key, value));
  }
  delete(key) {
    return this.changed(void 0, (edit) => edit.delete(key));
  }
  /** The map after all that `change` does. What lies on the way of several changes is copied once. */
  edit(change) {
    return this.changed(/* @__PURE__ */ new Set(), change);
  }
  /**
   * The keys under which `other`, which was made of this map or this of it, has another value, in no
   * order. Takes as long as the two have gone apart, however large they are.
   */
  differences(other) {
    return branchDifferences(this.root, other.root);
  }
  changed(own, change) {
    const { hashOf, root, size } = this;
    const edit = new MapEdit(root, size, hashOf, own);
    change(edit);
    return edit.root === root ? this : new _PersistentMap(edit.root, edit.size, hashOf);
  }
};

// src/xenstored/tree.ts
var NODE_HEADER_SIZE = 24;
var PERMISSION_SIZE = 8;
function nodeSize(node) {
  return NODE_HEADER_SIZE + PERMISSION_SIZE * node.permissions.length + node.value.length + node.children.byteLength;
}
var Tree = class _Tree {
  nodes;
  constructor(nodes) {
    this.nodes = nodes;
  }
  /** A tree with nothing but a root. */
  static create(root) {
    return new _Tree(PersistentMap.empty().set("/", root));
  }
  /** The tree of these nodes, in whatever order. Throws EINVAL when one has no parent among them. */
  static of(states) {
    const children = /* @__PURE__ */ new Map();
    const all = [...states];
    for (const { path } of all) children.set(path, []);
    for (const { path, birth } of all) {
      if (path === "/") continue;
      const siblings = children.get(parentPath(path));
      if (siblings === void 0) {
        throw new XenError("EINVAL", "take up a tree", `the node ${path} has no parent`);
      }
      siblings.push({ name: pathName(path), birth });
    }
    if (!children.has("/")) throw new XenError("EINVAL", "take up a tree", "it has no root");
    let nodes = PersistentMap.empty();
    for (const { path, value, permissions, generation, birth } of all) {
      const list = ChildList.of(children.get(path));
      nodes = nodes.set(path, { value, permissions, children: list, generation, birth });
    }
    return new _Tree(nodes);
  }
  /** Where `older` is not as this tree is: the nodes that it has there. In no order. */
  *differencesOf(older) {
    for (const { key, other } of this.nodes.differences(older.nodes)) {
      yield { path: key, node: other && wholeState(other) };
    }
  }
  /** The tree with nodes put into the place of those that it has, or taken away. */
  withDifferences(differences) {
    return this.with(differences.map(({ path, node }) => ({ path, node: node && nodeOf(node) })));
  }
  /** How many nodes, the root among them. */
  get size() {
    return this.nodes.size;
  }
  get(path) {
    return this.nodes.get(path);
  }
  /** The tree after these changes, in order. Names in lists of children are the caller's to keep in step. */
  with(changes) {
    const { nodes } = this;
    const [first] = changes;
    if (changes.length === 1 && first?.node !== void 0) {
      return new _Tree(nodes.set(first.path, first.node));
    }
    const changed = nodes.edit((edit) => {
      for (const { path, node } of changes) {
        assert(path !== "/" || node !== void 0, "the root stays");
        if (node === void 0) edit.delete(path);
        else edit.set(path, node);
      }
    });
    return new _Tree(changed);
  }
};
function wholeState({
  value,
  permissions,
  children,
  generation,
  birth
}) {
  return { value, permissions, children: children.entries, generation, birth };
}
function nodeOf(state) {
  const { value, permissions, children, generation, birth } = state;
  return { value, permissions, children: ChildList.of(children), generation, birth };
}
function* nodeStates(tree) {
  const paths = ["/"];
  for (let path = paths.pop(); path !== void 0; path = paths.pop()) {
    const { value, permissions, children, generation, birth } = tree.get(path);
    yield { path, value, permissions, generation, birth };
    const { entries } = children;
    for (let i = entries.length - 1; i >= 0; i--) {
      paths.push(childPath(path, entries[i].name));
    }
  }
}
function* postOrder(source, top, enter = () => true) {
  const steps = [];
  const descend = (path, parent) => {
    const node = source.get(path);
    if (node === void 0) return;
    const step2 = { path, node, parent, names: node.children[Symbol.iterator]() };
    if (enter(step2)) steps.push(step2);
  };
  descend(top, void 0);
  for (; ; ) {
    const step2 = steps[steps.length - 1];
    if (step2 === void 0) return;
    const next = step2.names.next();
    if (next.done === true) {
      steps.pop();
      yield step2;
    } else {
      descend(childPath(step2.path, next.value), step2.node);
    }
  }
}
function withChildren(node, children, generation) {
  const { value, permissions, birth } = node;
  return { value, permissions, children, generation, birth };
}
function withChild(parent, path, birth, generation) {
  return withChildren(parent, parent.children.with(pathName(path), birth), generation);
}
function withoutChild(parent, path, child, generation) {
  return withChildren(parent, parent.children.without(pathName(path), child.birth), generation);
}

// src/xenstored/value.ts
var NO_VALUE = "";
var STRING_MAX = 64;
function valueFrom(payload, start) {
  const size = payload.length - start;
  if (size <= STRING_MAX) return latin1Decode(payload, start);
  return size > start ? payload.subarray(start) : payload.slice(start);
}
function bytesOf(value) {
  return typeof value === "string" ? latin1Encode(value) : value;
}

// src/xenstored/watch.ts
function pathSeenBy(watch2, path) {
  return watch2.home === "" ? path : path.slice(watch2.home.length + 1);
}
var WatchIndex = class {
  /** The number of each watch tells which is the older, since a client hears of one change in that order. */
  byPath = /* @__PURE__ */ new Map();
  lastNumber = 0;
  watchCount = 0;
  /** How many watches. */
  get count() {
    return this.watchCount;
  }
  *[Symbol.iterator]() {
    for (const watches of this.byPath.values()) yield* watches.keys();
  }
  add(watch2) {
    this.watchCount++;
    this.watchesFor(watch2.path).set(watch2, ++this.lastNumber);
  }
  /** Adds a watch that was set before others that may be here already. */
  addAgain(watch2, number2) {
    this.watchCount++;
    this.lastNumber = Math.max(this.lastNumber, number2);
    const watches = this.watchesFor(watch2.path).set(watch2, number2);
    this.byPath.set(watch2.path, new Map([...watches].sort(([, a], [, b]) => a - b)));
  }
  /** Of two watches the one with the smaller number is the older. */
  numberOf(watch2) {
    return this.byPath.get(watch2.path)?.get(watch2) ?? 0;
  }
  remove(watch2) {
    const watches = this.byPath.get(watch2.path);
    if (watches?.delete(watch2)) this.watchCount--;
    if (watches?.size === 0) this.byPath.delete(watch2.path);
  }
  /** The watches for exactly this path, oldest first. */
  at(path) {
    return [...this.byPath.get(path)?.keys() ?? []];
  }
  /** The watches for this path and for those above it that reach so deep, oldest first. */
  covering(path) {
    if (this.byPath.size === 0) return [];
    const found = [];
    for (let at = path, levels = 0; ; at = parentPath(at), levels++) {
      for (const entry of this.byPath.get(at) ?? []) {
        const [{ depth }] = entry;
        if (depth === void 0 || levels <= depth) found.push(entry);
      }
      if (at === "/") break;
    }
    return found.sort(([, a], [, b]) => a - b).map(([watch2]) => watch2);
  }
  watchesFor(path) {
    let watches = this.byPath.get(path);
    if (watches === void 0) {
      watches = /* @__PURE__ */ new Map();
      this.byPath.set(path, watches);
    }
    return watches;
  }
};

// src/xenstored/store.ts
var INTRODUCE_DOMAIN = "@introduceDomain";
var RELEASE_DOMAIN = "@releaseDomain";
function nodeCost(path, node) {
  return path.length + nodeSize(node);
}
var Store = class {
  domains;
  /** The limits as they are now: `xenstore-control quota set` changes them. */
  quotas;
  watches = new WatchIndex();
  /** Who may see `@introduceDomain` and `@releaseDomain`. */
  specialPermissions;
  snapshots = new Snapshots();
  touched = new TouchedPaths();
  /** Changes of something that an open transaction has touched. */
  disturbances = 0;
  /** Transactions that have begun and not ended, of all clients. */
  openTransactions = 0;
  /** Keeps what must outlive this process, where that was asked for. */
  journal;
  /** Another number whenever a limit, or something of a domain besides its nodes, may be another. */
  settingsRevision = 0;
  lastCharge = 0;
  current;
  generation = 0;
  log;
  /** @param state what an earlier xenstored has stored; its domains are `domains` */
  constructor(domains, quotas, log, state) {
    this.domains = domains;
    this.quotas = quotas;
    this.log = log;
    if (state !== void 0) {
      this.generation = state.generation;
      this.specialPermissions = new Map(state.specialPermissions);
      this.current = Tree.of(state.nodes);
      for (const { path } of nodeStates(this.current)) {
        this.charge(path, this.current.get(path), 1);
      }
      return;
    }
    const dom0 = domains.findOrCreate(0);
    const permissions = [{ domid: 0, access: "n", incarnation: dom0.incarnation }];
    this.specialPermissions = /* @__PURE__ */ new Map([
      [INTRODUCE_DOMAIN, permissions],
      [RELEASE_DOMAIN, permissions]
    ]);
    this.current = Tree.create(this.emptyNode(permissions));
    const root = this.current.get("/");
    dom0.account.nodes++;
    dom0.account.addMemory(nodeCost("/", root));
    this.createInitialNodes(permissions);
  }
  capture() {
    const { generation, current } = this;
    return {
      generation,
      nodes: { [Symbol.iterator]: () => nodeStates(current) }
    };
  }
  /** A snapshot: it stays as it is whatever happens afterwards. */
  get tree() {
    return this.current;
  }
  /** A number larger than all before. */
  nextGeneration() {
    return ++this.generation;
  }
  get lastGeneration() {
    return this.generation;
  }
  /** A limit, or something of a domain besides its nodes, may be another now. */
  settingsChanged() {
    this.settingsRevision++;
  }
  /** The charge of a request of the account's domain. */
  newCharge(account) {
    return new Charge(account, ++this.lastCharge);
  }
  /** The charge that an earlier xenstored has numbered so. */
  chargeAgain(account, id) {
    this.lastCharge = Math.max(this.lastCharge, id);
    return new Charge(account, id);
  }
  /** Makes the changes, each of another node. Says nothing to watchers. */
  apply(changes) {
    const { current } = this;
    let disturbs = false;
    for (const { path, node } of changes) {
      if (this.touched.changed(path)) disturbs = true;
      const old = current.get(path);
      if (old !== void 0) {
        this.charge(path, old, -1);
        this.snapshots.replaced(nodeCost(path, old));
      }
      if (node !== void 0) this.charge(path, node, 1);
      this.journal?.node(path, old, node);
    }
    this.current = current.with(changes);
    if (disturbs) this.disturbances++;
  }
  /** The domain that pays for the node, unless it is gone. */
  owner(node) {
    return this.domains.current(ownerOf(node.permissions));
  }
  /**
   * Tells the watchers of a change at `path`.
   *
   * @param exact only those who watch exactly this path, because those above are told of the
   *   removal of something higher up
   */
  fire(path, exact, subject, charge) {
    const watches = exact ? this.watches.at(path) : this.watches.covering(path);
    for (const watch2 of watches) {
      if (this.mayHear(watch2.watcher, path, subject)) {
        watch2.watcher.deliver(pathSeenBy(watch2, path), watch2.token, charge);
      }
    }
  }
  /**
   * Tells the watchers of a happening such as `@releaseDomain`, which befell these domains: once
   * for all of them whoever set no depth, and of each domain, as `@releaseDomain/3`, whoever set
   * one, or watches that domain alone.
   */
  fireSpecial(path, domids) {
    const permissions = this.specialPermissions.get(path);
    const tell = ({ watcher, token }, event) => {
      if (permissions !== void 0 && rightsOf(watcher.caller, permissions) & MAY_READ) {
        watcher.deliver(event, token, void 0);
      }
    };
    const watches = this.watches.at(path);
    for (const watch2 of watches) if (watch2.depth === void 0) tell(watch2, path);
    for (const domid of domids) {
      const event = `${path}/${domid}`;
      for (const watch2 of watches)
        if (watch2.depth !== void 0 && watch2.depth > 0) tell(watch2, event);
      for (const watch2 of this.watches.at(event)) tell(watch2, event);
    }
  }
  /**
   * Walks the whole store and logs what does not fit together: a child that is named and not
   * there, a node that nobody names, an owner who is charged for more or fewer nodes than he has.
   * Returns how many such findings.
   */
  check() {
    let findings = 0;
    const report = (message) => {
      findings++;
      this.log.error(`store check: ${message}`);
    };
    const owned = /* @__PURE__ */ new Map();
    let reachable = 0;
    for (const { path, node } of postOrder(this.current, "/")) {
      reachable++;
      const owner = this.owner(node);
      if (owner === void 0) report(`the owner of ${path} is gone`);
      else owned.set(owner, (owned.get(owner) ?? 0) + 1);
      for (const name of node.children) {
        const child = path === "/" ? `/${name}` : `${path}/${name}`;
        if (this.current.get(child) === void 0) report(`${child} is named and not there`);
      }
    }
    if (reachable !== this.current.size) {
      report(`${this.current.size - reachable} nodes cannot be reached`);
    }
    for (const domain of this.domains) {
      const nodes = owned.get(domain) ?? 0;
      if (nodes !== domain.account.nodes) {
        report(`domain ${domain.domid} owns ${nodes} nodes, charged ${domain.account.nodes}`);
      }
    }
    return findings;
  }
  mayHear(watcher, path, subject) {
    const { caller } = watcher;
    const { node, before } = subject;
    if (before !== void 0 && rightsOf(caller, before) & MAY_READ) return true;
    if (node === void 0) return false;
    if (rightsOf(caller, node.permissions) & MAY_READ) return true;
    const parent = subject.parent ?? this.current.get(parentPath(path));
    return parent !== void 0 && (rightsOf(caller, parent.permissions) & MAY_READ) !== 0;
  }
  charge(path, node, sign) {
    const account = this.owner(node)?.account;
    if (account === void 0) return;
    account.nodes += sign;
    account.addMemory(sign * nodeCost(path, node));
  }
  emptyNode(permissions) {
    const generation = this.nextGeneration();
    return {
      value: NO_VALUE,
      permissions,
      children: ChildList.empty,
      generation,
      birth: generation
    };
  }
  /** `/tool/xenstored`, which C's xenstored has from the start. */
  createInitialNodes(permissions) {
    for (const path of ["/tool", "/tool/xenstored"]) {
      const node = this.emptyNode(permissions);
      const above = parentPath(path);
      const parent = withChild(
        this.current.get(above),
        path,
        node.birth,
        this.nextGeneration()
      );
      this.apply([
        { path: above, node: parent },
        { path, node }
      ]);
    }
  }
};

// src/xenstored/transaction.ts
var TRANSACTION_COST = 1024;
var REQUESTS_KEPT_MAX = 1024;
var REQUEST_OVERHEAD = 64;
var WRITING = /* @__PURE__ */ new Set([XS_WRITE, XS_MKDIR, XS_RM, XS_SET_PERMS]);
var Transaction = class {
  id;
  store;
  requester;
  /** By path, in order of the first touch, which is the order of the events. */
  accesses = /* @__PURE__ */ new Map();
  /** By incarnation. */
  growth = /* @__PURE__ */ new Map();
  recorded = [];
  /** The tree that it reads; absent before it has read, and when it had to be let go of. */
  snapshot;
  /** A node that it has touched may not be as it was found. */
  suspicious = false;
  /** A node that it has touched was changed; the snapshot stays what it is. */
  outdated = false;
  /** What it was told was not all true together. */
  torn = false;
  memory = 0;
  createdNodes = false;
  wrote = false;
  failed = false;
  endsInVain = false;
  constructor(id, store, requester) {
    this.id = id;
    this.store = store;
    this.requester = requester;
    this.addMemory(TRANSACTION_COST);
  }
  get(path) {
    return this.access(path).node;
  }
  apply(changes) {
    const cost = (path, node) => node === void 0 ? 0 : nodeCost(path, node);
    let bytes = 0;
    for (const { path, node } of changes) {
      bytes += cost(path, node) - cost(path, this.access(path).node);
    }
    const removes = changes.some(({ node }) => node === void 0);
    if (!removes) this.checkMemory(bytes);
    this.addMemory(bytes);
    for (const { path, node } of changes) {
      const access = this.access(path);
      this.grow(access.node, -1);
      this.grow(node, 1);
      if (access.node === void 0) this.createdNodes = true;
      access.node = node;
      access.changed = true;
    }
  }
  changed(path, exact, _subject) {
    const access = this.access(path);
    if (!exact) access.event = "covering";
    else access.event ??= "exact";
  }
  /** The others when the transaction ends: it may remove as many until then. */
  countedNow(_count) {
    return 1;
  }
  disturbed() {
    this.suspicious = true;
  }
  /** The transaction will not be committed. */
  spoil() {
    this.failed = true;
  }
  /** The old tree takes too much memory: from here on the present one is read. */
  snapshotLost() {
    this.snapshot = void 0;
  }
  /** It as a value, from which it goes on elsewhere as if nothing had happened. */
  capture() {
    const { id, snapshot, store, outdated, torn, createdNodes, wrote, failed, memory } = this;
    return {
      id,
      doomed: this.endsInVain,
      snapshot: snapshot && [...store.tree.differencesOf(snapshot)],
      accesses: [...this.accesses].map(([path, { node, changed, event }]) => ({
        path,
        changed,
        node: changed && node !== void 0 ? wholeState(node) : void 0,
        event
      })),
      growth: [...this.growth.values()].map(({ owner, nodes }) => ({ owner, nodes })),
      requests: this.recorded && [...this.recorded],
      outdated,
      torn,
      createdNodes,
      wrote,
      failed,
      memory
    };
  }
  /** Makes this transaction, which has just begun, what another was when it was captured. */
  takeUp(state) {
    const { store } = this;
    const differences = state.snapshot;
    const hasTree = differences !== void 0 && !state.torn;
    this.snapshot = hasTree ? store.tree.withDifferences(differences) : void 0;
    for (const { path, changed, node, event } of state.accesses) {
      const found = this.snapshot?.get(path);
      const changedTo = node && nodeOf(node);
      this.accesses.set(path, { node: changed ? changedTo : found, found, changed, event });
      store.touched.add(path, this);
    }
    this.suspicious = true;
    for (const { owner, nodes } of state.growth) {
      this.growth.set(owner.incarnation, { owner, nodes });
    }
    this.recorded = state.requests && [...state.requests];
    this.outdated = state.outdated;
    this.torn = state.torn || !hasTree && state.accesses.length > 0;
    this.createdNodes = state.createdNodes;
    this.wrote = state.wrote;
    this.failed = state.failed;
    this.endsInVain = state.doomed;
    if (this.snapshot !== void 0) store.snapshots.hold(this);
    this.addMemory(Math.max(state.memory, TRANSACTION_COST) - this.memory);
  }
  /** Keeps a request about nodes, and what it was answered. */
  record(packet, reply) {
    if (WRITING.has(packet.type) && reply.type !== XS_ERROR) this.wrote = true;
    if (this.recorded === void 0) return;
    const bytes = REQUEST_OVERHEAD + packet.payload.length + reply.payload.length;
    const tooLong = this.recorded.length === REQUESTS_KEPT_MAX;
    if (tooLong || this.requester.domain.account.memoryExceededBy(bytes)) {
      this.recorded = void 0;
      return;
    }
    this.recorded.push({ packet, reply });
    this.addMemory(bytes);
  }
  /** The requests in order, unless they were too many to keep. */
  get requests() {
    return this.recorded;
  }
  /** What it takes, for the operator to read; `requests` are those that are kept. */
  get usage() {
    const requests = this.recorded?.length ?? 0;
    return { nodes: this.accesses.size, requests, bytes: this.memory };
  }
  /** It ends with EAGAIN, since nobody knows any more what it was told. */
  get doomed() {
    return this.endsInVain;
  }
  /** No request has written, and all that was read was true together. */
  get onlyRead() {
    return !this.wrote && !this.torn;
  }
  /** Whether a node that it touched is not as it was found. */
  hasConflict() {
    const { tree } = this.store;
    if (this.torn) return true;
    if (!this.suspicious) return false;
    for (const [path, { found }] of this.accesses) if (tree.get(path) !== found) return true;
    this.suspicious = false;
    return false;
  }
  /**
   * Throws ENOMEM when something failed on the way or the owner of one of its nodes is gone, ENOSPC
   * when somebody would own too many nodes.
   */
  checkFit() {
    if (this.failed) throw new XenError("ENOMEM", "end transaction", "it failed before");
    const { store, requester } = this;
    for (const { owner, nodes } of this.growth.values()) {
      const domain = store.domains.current(owner);
      if (domain === void 0) {
        throw new XenError("ENOMEM", "end transaction", `domain ${owner.domid} is gone`);
      }
      const limited = !requester.privileged && this.createdNodes;
      if (limited && domain.account.nodes + nodes >= domain.account.limit("nodes")) {
        throw domain.account.denied("ENOSPC", "nodes", "the nodes of a transaction");
      }
    }
  }
  /**
   * Makes the changes of the transaction, which fits and has no conflict, those of the store, and
   * tells the watchers.
   *
   * @param charge the request that ends the transaction; it pays for the events
   */
  commit(charge) {
    const changed = [...this.accesses].filter(([, access]) => access.changed);
    this.forgetNodes();
    this.store.apply(changed.map(([path, { node }]) => ({ path, node })));
    for (const [path, { event, found }] of changed) {
      if (event === void 0) continue;
      const subject = { node: this.store.tree.get(path), before: found?.permissions };
      this.store.fire(path, event === "exact", subject, charge);
    }
  }
  /** Lets go of the nodes, so that they are in nobody's way. */
  forgetNodes() {
    const { snapshots, touched } = this.store;
    snapshots.release(this);
    this.snapshot = void 0;
    for (const path of this.accesses.keys()) touched.remove(path, this);
    this.accesses.clear();
  }
  /** Gives back everything. Idempotent. */
  close() {
    this.forgetNodes();
    this.recorded = void 0;
    this.addMemory(-this.memory);
  }
  access(path) {
    const earlier = this.accesses.get(path);
    if (earlier !== void 0) return earlier;
    const { account } = this.requester.domain;
    if (this.accesses.size >= account.limit("transactionNodes")) {
      this.spoil();
      throw account.denied("ENOSPC", "transactionNodes", "a node more in a transaction");
    }
    const node = this.readableTree().get(path);
    const bytes = node === void 0 ? path.length : nodeCost(path, node);
    this.checkMemory(bytes);
    this.addMemory(bytes);
    const access = { node, found: node, changed: false, event: void 0 };
    this.accesses.set(path, access);
    account.peaks.note("transactionNodes", this.accesses.size);
    this.store.touched.add(path, this);
    return access;
  }
  readableTree() {
    const { store } = this;
    if (this.snapshot !== store.tree && !this.outdated) {
      this.outdated = this.hasConflict();
      if (!this.outdated) {
        this.snapshot = store.tree;
        store.snapshots.hold(this);
      }
    }
    this.torn ||= this.snapshot === void 0;
    return this.snapshot ?? store.tree;
  }
  checkMemory(bytes) {
    const { account } = this.requester.domain;
    if (!account.memoryExceededBy(bytes)) return;
    this.spoil();
    throw account.denied("ENOMEM", "memoryHard", "memory for a node in a transaction");
  }
  addMemory(bytes) {
    this.memory += bytes;
    this.requester.domain.account.addMemory(bytes);
  }
  grow(node, sign) {
    if (node === void 0) return;
    const owner = ownerOf(node.permissions);
    const growth = this.growth.get(owner.incarnation);
    if (growth === void 0) this.growth.set(owner.incarnation, { owner, nodes: sign });
    else growth.nodes += sign;
  }
};

// src/xenstored/connection.ts
var unsent = (packet) => ({ packet, sent: 0, charge: void 0 });
var REQUESTS_PER_TURN = 32;
var TURN_MS = 0.5;
var Connection = class {
  /** For people: `domain 3`, or what the socket's owner calls it. */
  name;
  domain;
  identity;
  transactions = /* @__PURE__ */ new Map();
  watches = /* @__PURE__ */ new Map();
  parts;
  carrier;
  packets;
  outgoing;
  /** Of a ring, where there is a journal. */
  journal;
  lastTransactionId = 0;
  /** Broke a rule: its ring stays mapped and is not looked at until the domain is gone. */
  ignored = false;
  isClosed = false;
  /** Its next request would start a transaction, and may not yet. */
  startsHeld = false;
  turn;
  /** The turn comes as soon as the others had theirs. */
  turnIsNext = false;
  /** @param state what the client's connection to an earlier xenstored was */
  constructor(name, carrier, parts, state) {
    this.name = name;
    this.carrier = carrier;
    this.parts = parts;
    this.identity = carrier.domain;
    this.domain = carrier.domain ?? parts.store.domains.findOrCreate(0);
    const { activity } = this.domain;
    this.packets = new PacketStream(carrier.stream);
    this.journal = carrier.domain && parts.store.journal?.ring(carrier.domain.domid, { position: () => this.ringPosition() });
    this.outgoing = new Outgoing({
      journal: this.journal,
      commit: parts.commit,
      packets: this.packets,
      account: this.domain.account,
      clock: parts.clock,
      eventTimeout_ms: parts.options.watchEventTimeout_ms,
      queued: (packet) => {
        const { type, payload } = packet;
        parts.trace.packet("OUT", name, type, payload);
        if (type === XS_WATCH_EVENT) activity.countEvent(packet);
        else activity.countReply(packet, type === XS_ERROR);
      }
    });
    parts.trace.note("obj", name, "create", "connection");
    if (state !== void 0) this.takeUp(state);
    this.journal?.opened(state);
    this.packets.onReady(() => {
      if (!this.turnIsNext) this.run();
    });
  }
  /**
   * All of it but the carrier, or `undefined` where nobody could take that over.
   *
   * @param reply is to be sent after all else
   */
  capture(reply) {
    const { carrier, name, ignored } = this;
    const { domain, handover, ring } = carrier;
    const state = {
      input: joinBytes(this.packets.partialInput(), handover?.unread()),
      output: [...this.outgoing.capture(), ...reply === void 0 ? [] : [unsent(reply)]],
      watches: [...this.watches.values()].map((watch2) => this.watchState(watch2)),
      lastTransactionId: this.lastTransactionId,
      transactions: [...this.transactions.values()].map((transaction) => transaction.capture())
    };
    if (domain !== void 0 && ring !== void 0) {
      const { domid } = domain;
      return { ...state, carrier: { kind: "ring", domid, ignored, ...ring.position } };
    }
    if (handover === void 0) return void 0;
    const { fd } = handover;
    return { ...state, carrier: { kind: "socket", fd, name, unsent: handover.unsent() } };
  }
  get caller() {
    return this;
  }
  get privileged() {
    return this.domain.privileged;
  }
  get target() {
    return this.carrier.domain?.target;
  }
  /** `XENSTORE_SERVER_FEATURE_…` that it is offered. */
  get features() {
    return this.carrier.domain?.features ?? SERVER_FEATURES;
  }
  /** Closed or ignored: nothing is read from it or sent to it any more. */
  get deaf() {
    return this.isClosed || this.ignored;
  }
  /** Answers what has arrived, as far as the client may have it answered now. */
  run() {
    if (this.isClosed || this.carrier.reconnect?.() || this.ignored) return;
    this.flush();
    try {
      this.answerSome();
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.refuse(XENSTORE_ERROR_PROTO, error);
    }
    if (!this.deaf && this.packets.ended) this.end();
    this.parts.turnEnded();
  }
  /** Gives the client what it takes now of its replies and events. */
  flush() {
    if (this.deaf) return;
    this.outgoing.flush();
    const { privilegedQueueMax } = this.parts.options;
    if (this.identity === void 0 && this.outgoing.bytes > privilegedQueueMax) {
      this.parts.log.error(`${this.name} is cut off: it does not read what it is sent`, {
        limit: privilegedQueueMax
      });
      this.close();
    }
  }
  /** Lets a client that was held go on, if it may; returns whether it does. */
  resume() {
    if (!this.mayContinue()) return false;
    this.runAfter(0);
    return true;
  }
  reply(request, type, payload, charge) {
    if (this.deaf) return;
    const fits = payload.length <= PAYLOAD_MAX;
    const { requestId, transactionId } = request;
    this.outgoing.reply(
      {
        type: fits ? type : XS_ERROR,
        requestId,
        transactionId,
        payload: fits ? payload : encodeError("E2BIG")
      },
      charge
    );
  }
  deliver(path, token, charge) {
    if (this.deaf) return;
    const { log, options, eventsQueued } = this.parts;
    const lost = this.identity !== void 0 && this.outgoing.bytes > options.privilegedQueueMax;
    if (lost) log.error(`${this.name} loses events: it does not read what it is sent`);
    else this.outgoing.event(path, token, charge);
    eventsQueued(this);
  }
  findWatch(path, token) {
    return this.watches.get(`${path}\0${token}`);
  }
  get watchCount() {
    return this.watches.size;
  }
  /** @param number where it stands among all watches; as the latest if not given */
  addWatch(watch2, number2) {
    const { account } = this.domain;
    this.watches.set(`${watch2.path}\0${watch2.token}`, watch2);
    if (number2 === void 0) this.parts.store.watches.add(watch2);
    else this.parts.store.watches.addAgain(watch2, number2);
    this.journal?.watched(this.watchState(watch2));
    if (this.identity !== void 0) account.watches++;
    this.noteWatch("create", watch2);
    account.addMemory(watch2.path.length + watch2.token.length);
  }
  removeWatch(watch2) {
    const { account } = this.domain;
    if (!this.watches.delete(`${watch2.path}\0${watch2.token}`)) return;
    this.parts.store.watches.remove(watch2);
    this.journal?.unwatched(watch2.path, watch2.token);
    this.noteWatch("destroy", watch2);
    if (this.identity !== void 0) account.watches--;
    account.addMemory(-watch2.path.length - watch2.token.length);
  }
  startTransaction() {
    do {
      this.lastTransactionId = this.lastTransactionId + 1 >>> 0;
    } while (this.lastTransactionId === 0 || this.transactions.has(this.lastTransactionId));
    return this.addTransaction(this.lastTransactionId);
  }
  endTransaction(transaction) {
    if (!this.transactions.delete(transaction.id)) return;
    this.parts.store.openTransactions--;
    this.journal?.transactionEnded(transaction.id);
    this.noteTransaction("destroy", transaction);
    transaction.close();
  }
  /** Drops all watches and transactions. */
  reset() {
    for (const watch2 of this.watches.values()) this.removeWatch(watch2);
    for (const transaction of this.transactions.values()) this.endTransaction(transaction);
  }
  /** Lets go of everything. Idempotent. */
  close() {
    if (this.isClosed) return;
    this.isClosed = true;
    this.turn?.cancel();
    this.reset();
    this.outgoing.clear();
    this.journal?.closed();
    this.packets.close();
    this.parts.trace.note("obj", this.name, "destroy", "connection");
    this.parts.closed(this);
  }
  takeUp(state) {
    const { carrier } = state;
    this.ignored = carrier.kind === "ring" && carrier.ignored;
    this.packets.putBack(state.input);
    for (const { path, token, depth, relative, number: number2 } of state.watches) {
      const home = relative ? this.domain.home : "";
      this.addWatch({ watcher: this, path, token, depth, home }, number2);
    }
    this.lastTransactionId = state.lastTransactionId;
    for (const open of state.transactions) this.addTransaction(open.id).takeUp(open);
    this.outgoing.takeUp(state.output, this.parts.chargeOf);
    this.runAfter(0);
  }
  addTransaction(id) {
    const transaction = new Transaction(id, this.parts.store, this);
    this.transactions.set(id, transaction);
    this.parts.store.openTransactions++;
    this.journal?.transactionStarted(id);
    this.noteTransaction("create", transaction);
    return transaction;
  }
  watchState(watch2) {
    const { path, token, depth, home } = watch2;
    const number2 = this.parts.store.watches.numberOf(watch2);
    return { path, token, depth, relative: home !== "", number: number2 };
  }
  ringPosition() {
    const { carrier, packets, outgoing } = this;
    const { consumed, produced } = carrier.ring?.position ?? { consumed: 0, produced: 0 };
    return { consumed, produced, pending: outgoing.unsent, input: packets.partialInput() };
  }
  noteTransaction(what, { id }) {
    const { trace } = this.parts;
    if (trace.notes("obj")) trace.note("obj", this.name, what, `transaction ${id}`);
  }
  noteWatch(what, { path, token }) {
    const { trace } = this.parts;
    if (trace.notes("obj")) trace.note("obj", this.name, what, `watch ${path} ${token}`);
  }
  answerSome() {
    const { clock } = this.parts;
    const start_ms = clock.now_ms();
    for (let answered = 0; this.mayContinue(); answered++) {
      const isOver = answered > 0 && clock.now_ms() - start_ms >= TURN_MS;
      if (isOver || answered === REQUESTS_PER_TURN) {
        this.runAfter(0);
        return;
      }
      const request = this.packets.receive();
      if (request === void 0) {
        if (!this.giveFree()) return;
        continue;
      }
      if (this.mustNotStart(request)) {
        this.packets.putBack(encodePacket(request));
        this.giveFree();
        break;
      }
      const { account } = this.domain;
      const charge = this.identity === void 0 ? void 0 : this.parts.store.newCharge(account);
      this.parts.answer(this, request, charge);
      if (this.deaf) return;
      this.giveFree();
      this.flush();
    }
    this.parts.held(this);
  }
  /**
   * Makes what became of the bytes that were taken true, and only then gives their place in the
   * ring free: a xenstored that ends before finds them there again. Returns whether there were any.
   */
  giveFree() {
    const { ring } = this.carrier;
    const hasTaken = ring !== void 0 && ring.taken > 0;
    if (hasTaken) this.journal?.moved();
    this.parts.commit();
    if (hasTaken) ring.release();
    return hasTaken;
  }
  /** Of whoever has a transaction the requests go on, since they will end it. */
  mustNotStart({ type, transactionId }) {
    const starts = type === XS_TRANSACTION_START && transactionId === 0;
    this.startsHeld = starts && this.transactions.size === 0 && !this.parts.mayStartTransaction();
    return this.startsHeld;
  }
  /** Whether the client may have another request answered now. */
  mayContinue() {
    if (this.startsHeld && !this.parts.mayStartTransaction()) return false;
    if (this.privileged) return this.outgoing.bytes <= this.parts.options.privilegedQueueMax / 2;
    if (this.domain.account.stalled) return false;
    const wait_ms = this.parts.wait_ms(this.domain);
    const { trace } = this.parts;
    if (wait_ms > 0 && this.turn === void 0 && trace.notes("wrl")) {
      trace.note("wrl", this.name, "wait", `${Math.ceil(wait_ms)} ms`);
    }
    if (wait_ms > 0) this.runAfter(wait_ms);
    return wait_ms === 0;
  }
  runAfter(delay_ms) {
    if (this.turn !== void 0 && delay_ms > 0) return;
    this.turn?.cancel();
    this.turnIsNext = delay_ms === 0;
    this.turn = this.parts.clock.after(delay_ms, () => {
      this.turn = void 0;
      this.turnIsNext = false;
      this.run();
    });
  }
  /** The stream has ended, or must. */
  end() {
    if (this.carrier.domain === void 0) {
      this.close();
      return;
    }
    const failure = this.carrier.failure?.();
    const broken = failure instanceof ProtocolViolation;
    this.refuse(broken ? XENSTORE_ERROR_RINGIDX : XENSTORE_ERROR_COMM, failure);
  }
  /** A client broke a rule. A socket is closed; a ring is ignored, since the domain still lives. */
  refuse(error, reason) {
    this.parts.log.warn(`${this.name} is not listened to any more: ${errorMessage(reason)}`);
    if (this.carrier.domain === void 0) {
      this.close();
      return;
    }
    this.ignored = true;
    this.turn?.cancel();
    this.reset();
    this.outgoing.clear();
    this.journal?.ignored();
    this.carrier.refuse?.(error);
  }
};

// src/xenstored/activity.ts
var UNKNOWN_REQUEST = -1;
var sizeOf2 = ({ payload }) => HEADER_SIZE + payload.length;
var Activity = class {
  /** Bytes, with headers. */
  received = 0;
  sent = 0;
  /** Requests that were answered with an error. */
  errors = 0;
  events = 0;
  /** Transactions that were committed as they were. */
  committed = 0;
  /** Transactions that were committed after their requests were run again. */
  replayed = 0;
  /** Transactions that got EAGAIN. */
  conflicted = 0;
  requestsByType = /* @__PURE__ */ new Map();
  /** @param type of the request, or `UNKNOWN_REQUEST` */
  countRequest(type, packet) {
    this.requestsByType.set(type, (this.requestsByType.get(type) ?? 0) + 1);
    this.received += sizeOf2(packet);
  }
  countReply(packet, isError) {
    this.sent += sizeOf2(packet);
    if (isError) this.errors++;
  }
  countEvent(packet) {
    this.sent += sizeOf2(packet);
    this.events++;
  }
  /** How many of each type, `UNKNOWN_REQUEST` among them. */
  get requests() {
    return this.requestsByType;
  }
};

// src/xenstored/domain.ts
var Domain = class {
  domid;
  incarnation;
  account;
  activity = new Activity();
  /** Where its relative paths stand. */
  home;
  /** Has, or had until it broke a rule, a ring that we serve. */
  introduced = false;
  /** The port of its end of the ring's event channel; absent for our own kernel, which is not introduced. */
  remotePort;
  /** `XENSTORE_SERVER_FEATURE_…` that it is offered, or will be. */
  features = SERVER_FEATURES;
  /** It was told that this domain has shut down; `XS_RESUME` takes that back. */
  shutdown = false;
  /** Lends this domain its rights: a guest to the stub domain of its device model. */
  target;
  constructor(incarnation, account) {
    this.domid = account.domid;
    this.incarnation = incarnation;
    this.account = account;
    this.home = domainHome(domId(this.domid));
  }
  /** Dom0, or the domain named by `--priv-domid`. */
  get privileged() {
    return this.account.privileged;
  }
  capture() {
    const { domid, incarnation, features, account, shutdown, target, remotePort } = this;
    return {
      domid,
      incarnation,
      features,
      ownQuotas: account.own,
      shutdown,
      target: target?.domid,
      ring: this.introduced ? { remotePort } : void 0
    };
  }
};
var NO_DOMAINS = { domains: [], lastIncarnation: NO_INCARNATION };
var Domains = class {
  parts;
  byDomid = /* @__PURE__ */ new Map();
  lastIncarnation;
  /** Of the unprivileged domains that are gone. */
  pastPeaks = new Peaks();
  /** @param known those of an earlier xenstored, none of them introduced yet */
  constructor(parts, known = NO_DOMAINS) {
    this.parts = parts;
    this.lastIncarnation = known.lastIncarnation;
    for (const state of known.domains) this.takeUp(state);
    for (const { domid, target } of known.domains) {
      const domain = this.byDomid.get(domid);
      if (domain !== void 0 && target !== void 0) domain.target = this.byDomid.get(target);
    }
    this.findOrCreate(0);
  }
  [Symbol.iterator]() {
    return [...this.byDomid.values()][Symbol.iterator]();
  }
  get count() {
    return this.byDomid.size;
  }
  /** The largest incarnation that a domain has had. */
  get incarnations() {
    return this.lastIncarnation;
  }
  find(domid) {
    return this.byDomid.get(domid);
  }
  /** The very domain that is meant, unless it is gone. */
  current(identity) {
    const domain = this.byDomid.get(identity.domid);
    return domain?.incarnation === identity.incarnation ? domain : void 0;
  }
  /** The domain, if it is known or Xen says that there is one. */
  known(domid) {
    const domain = this.byDomid.get(domid);
    if (domain !== void 0) return domain;
    return this.exists(domid) ? this.create(domid) : void 0;
  }
  /** The domain, made known whatever Xen says. */
  findOrCreate(domid) {
    return this.byDomid.get(domid) ?? this.create(domid);
  }
  /** Forgets the domain: whoever has its domid later is another. */
  forget(domain) {
    this.byDomid.delete(domain.domid);
    if (!domain.privileged) this.pastPeaks.include(domain.account.peaks);
    for (const other of this.byDomid.values()) {
      if (other.target === domain) other.target = void 0;
    }
  }
  /** What Xen says of the domain: `undefined` when there is none, or when there is nobody to ask. */
  info(domid) {
    if (domid >= DOMID_FIRST_RESERVED) return void 0;
    return this.parts.domainControl?.info(domId(domid));
  }
  /** The most that any unprivileged domain has used of each thing. */
  peaks() {
    const peaks = new Peaks();
    peaks.include(this.pastPeaks);
    for (const domain of this) if (!domain.privileged) peaks.include(domain.account.peaks);
    return peaks;
  }
  /** Begins to look for peaks anew, from what is used now. */
  resetPeaks() {
    this.pastPeaks.reset();
    for (const { account } of this) account.resetPeaks();
  }
  exists(domid) {
    if (domid >= DOMID_FIRST_RESERVED) return false;
    return this.parts.domainControl === void 0 || this.info(domid) !== void 0;
  }
  create(domid) {
    return this.add(domid, ++this.lastIncarnation);
  }
  takeUp({ domid, incarnation, features, ownQuotas, shutdown }) {
    const domain = this.add(domid, incarnation, ownQuotas);
    domain.features = features;
    domain.shutdown = shutdown;
  }
  add(domid, incarnation, ownQuotas) {
    const { options, quotas, clock, log } = this.parts;
    const privileged = domid === 0 || domid === options.privDomid;
    const account = new Account(domid, privileged, quotas, clock, log, ownQuotas);
    const domain = new Domain(incarnation, account);
    this.byDomid.set(domid, domain);
    return domain;
  }
};

// src/xenstored/nodes.ts
var NO_SUCH_NODE = new XenError("ENOENT", "use a node");
var NO_PERMISSION = new XenError("EACCES", "use a node");
var DOMAIN_PREFIX = /^\/local\/domain\/\d{1,5}\//;
var Nodes = class {
  store;
  view;
  requester;
  constructor(store, view, requester) {
    this.store = store;
    this.view = view;
    this.requester = requester;
  }
  /** The absolute form of a node's path. Throws EINVAL. */
  resolve(path) {
    const absolute = absolutePath(path, this.requester.domain.home);
    const { account } = this.requester.domain;
    const pathLength = account.quota("pathLength");
    const isPeak = absolute.length > account.peaks.get("pathLength");
    if (isPeak || pathLength !== 0 && absolute.length > pathLength) {
      const length = absolute.length - (DOMAIN_PREFIX.exec(absolute)?.[0].length ?? 0);
      if (pathLength !== 0 && length > pathLength) {
        throw new XenError("EINVAL", "resolve a path", `a path has at most ${pathLength} bytes`);
      }
      account.peaks.note("pathLength", length);
    }
    return absolute;
  }
  /** The node, for somebody who needs the rights `need`. Throws ENOENT or EACCES. */
  get(path, need) {
    const node = this.find(path, need);
    if (node === void 0) throw NO_SUCH_NODE;
    return node;
  }
  /** Writes the value, and creates the node and those above it where there are none. */
  write(path, value) {
    const node = this.find(path, MAY_WRITE);
    if (node === void 0) {
      this.create(path, value);
      return;
    }
    const { permissions, children, birth } = node;
    const generation = this.store.nextGeneration();
    const written = { value, permissions, children, generation, birth };
    this.checkSize(path, written);
    this.view.apply([{ path, node: written }]);
    this.view.changed(path, false, { node: written });
  }
  /** Creates the node unless it is there. */
  mkdir(path) {
    if (this.find(path, MAY_WRITE) === void 0) this.create(path, NO_VALUE);
  }
  /** Removes the node and all below it, whoever owns them. Nothing, where only the parent is there. */
  remove(path) {
    if (this.find(path, MAY_WRITE) === void 0) {
      if (this.view.get(parentPath(path)) !== void 0) return;
      throw NO_SUCH_NODE;
    }
    if (path === "/") throw new XenError("EINVAL", "remove /", "the root stays");
    removeSubtree(this.store, this.view, path);
  }
  setPermissions(path, permissions) {
    const node = this.get(path, MAY_WRITE | MAY_OWN);
    const owner = ownerOf(node.permissions).domid;
    if (!this.requester.privileged && ownerOf(permissions).domid !== owner) {
      throw new XenError("EPERM", `set permissions of ${path}`, "the owner is not yours to change");
    }
    const { value, children, birth } = node;
    const generation = this.store.nextGeneration();
    const changed = { value, permissions, children, generation, birth };
    this.checkSize(path, changed);
    this.view.apply([{ path, node: changed }]);
    this.view.changed(path, false, { node: changed, before: node.permissions });
  }
  /**
   * The node if the caller has the rights `need`, `undefined` if there is none. Throws EACCES
   * otherwise, and also where the lack of a node would tell something of a place that is hidden.
   */
  find(path, need) {
    const { requester, view } = this;
    const node = view.get(path);
    if (node !== void 0 && (rightsOf(requester, node.permissions) & need) === need) return node;
    let above;
    for (let at = path; above === void 0; ) {
      at = parentPath(at);
      above = view.get(at);
    }
    const mayKnow = (rightsOf(requester, above.permissions) & need) !== 0;
    if (node === void 0 && mayKnow) return void 0;
    throw NO_PERMISSION;
  }
  create(path, value) {
    const missing = [path];
    let above = parentPath(path);
    let parent = this.view.get(above);
    while (parent === void 0) {
      missing.push(above);
      above = parentPath(above);
      parent = this.view.get(above);
    }
    this.checkCount(missing.length);
    const created = this.construct(missing, parent.permissions, value);
    const top = created[created.length - 1];
    const grown = withChild(parent, top.path, top.node.birth, this.store.nextGeneration());
    const changes = [...created, { path: above, node: grown }];
    for (const change of changes) this.checkSize(change.path, change.node);
    this.view.apply(changes);
    const node = created[0].node;
    this.view.changed(path, false, { node, parent: created[1]?.node ?? grown });
  }
  /** The missing nodes, the deepest first: each inherits the permissions of the one above it. */
  construct(missing, inherited, value) {
    const { privileged, domain } = this.requester;
    const permissions = privileged ? inherited : ownedBy(inherited, domain);
    const created = [];
    for (const path of missing) {
      const generation = this.store.nextGeneration();
      const below = created[created.length - 1];
      const node = {
        value: below === void 0 ? value : NO_VALUE,
        permissions,
        children: ChildList.empty,
        generation,
        birth: generation
      };
      const childBirth = below?.node.birth ?? 0;
      created.push({
        path,
        node: below === void 0 ? node : withChild(node, below.path, childBirth, generation)
      });
    }
    return created;
  }
  checkCount(more) {
    const { account } = this.requester.domain;
    if (account.nodes + this.view.countedNow(more) > account.limit("nodes")) {
      throw account.denied("ENOSPC", "nodes", "a node");
    }
  }
  checkSize(path, node) {
    const { account } = this.requester.domain;
    const size = nodeSize(node);
    if (size < account.limit("nodeSize")) {
      account.peaks.note("nodeSize", size);
      return;
    }
    this.view.spoil();
    throw account.denied("ENOSPC", "nodeSize", `a node so large at ${path}`);
  }
};
function removeSubtree(store, view, top) {
  const above = parentPath(top);
  const parent = view.get(above);
  if (parent === void 0) throw new XenError("EINVAL", `remove ${top}`, "it has no parent");
  const visits = visitAll(view, top);
  const last = visits[visits.length - 1];
  if (last === void 0) return;
  const shrunk = withoutChild(parent, top, last.node, store.nextGeneration());
  for (const { path, node, parent: over } of visits) {
    view.changed(path, path !== top, { node, parent: over });
  }
  view.apply([
    ...visits.map(({ path }) => ({ path, node: void 0 })),
    { path: above, node: shrunk }
  ]);
}
function visitAll(view, top) {
  try {
    return [...postOrder(view, top)];
  } catch (error) {
    throw new XenError("EIO", `remove ${top}`, "the walk ended early", error);
  }
}

// src/xenstore/ring-transport.ts
function xenstoreRingStream(pages, channel, role, release2 = () => pages.close()) {
  const { offset } = XenstoreDomainInterface;
  const page = pages.page(0);
  const requests = {
    name: "xenstore requests",
    data: page.subarray(offset.req, offset.req + XENSTORE_RING_SIZE),
    page,
    cons: offset.req_cons,
    prod: offset.req_prod
  };
  const replies = {
    name: "xenstore replies",
    data: page.subarray(offset.rsp, offset.rsp + XENSTORE_RING_SIZE),
    page,
    cons: offset.rsp_cons,
    prod: offset.rsp_prod
  };
  const [incoming, outgoing] = role === "client" ? [replies, requests] : [requests, replies];
  const keepsInput = role === "server";
  return new RingStream({ incoming, outgoing, channel, release: release2, keepsInput });
}

// src/xenstored/ring.ts
var DomainRing = class {
  pages;
  page;
  stream;
  channel;
  constructor(pages) {
    this.pages = pages;
    this.page = XenstoreDomainInterface.view(pages.page(0));
  }
  /** The ring as a stream over another channel than before, if there was one. The page stays mapped when the stream ends. */
  connect(channel) {
    this.stream?.close();
    const { pages } = this;
    const lent = {
      count: pages.count,
      get bytes() {
        return pages.bytes;
      },
      page: (index) => pages.page(index),
      close() {
      },
      get closed() {
        return pages.closed;
      }
    };
    this.channel = channel;
    this.stream = xenstoreRingStream(lent, channel, "server");
    return this.stream;
  }
  /** Where the two rings stand; what was read counts as consumed. */
  get position() {
    const { req_cons, rsp_prod } = this.page;
    return { consumed: req_cons + this.taken >>> 0, produced: rsp_prod };
  }
  /** Bytes that were read from the stream and are not given free. */
  get taken() {
    return this.stream?.taken ?? 0;
  }
  /** Gives free what was read. */
  release() {
    this.stream?.release();
  }
  /**
   * Goes on where an earlier xenstored stood, which may have ended at any moment: requests that it
   * had taken are skipped. Returns how many of `queued` bytes of output it had sent after it last
   * said where it stood. A ring that cannot have come from there was begun anew since: it is taken
   * as it is, and nothing of the output was sent.
   */
  goOn(consumed, produced, queued) {
    const { page } = this;
    const taken = consumed - page.req_cons >>> 0;
    if (taken <= page.req_prod - page.req_cons >>> 0 && taken <= XENSTORE_RING_SIZE) {
      page.req_cons = consumed;
    }
    const sent = page.rsp_prod - produced >>> 0;
    return sent <= queued ? sent : 0;
  }
  /** Signals the domain. */
  notify() {
    if (this.channel?.closed === false) this.channel.notify();
  }
  /** Tells the domain, `XENSTORE_SERVER_FEATURE_…`, what it may use. */
  offer(features) {
    this.page.server_features = features;
  }
  /** Empties both rings, as an introduction does. */
  reset() {
    const { page } = this;
    page.req_cons = 0;
    page.req_prod = 0;
    page.rsp_cons = 0;
    page.rsp_prod = 0;
  }
  /** The domain has given up what is in the ring and waits until it begins anew. */
  get wantsReconnect() {
    return this.page.connection === XENSTORE_RECONNECT;
  }
  /** Tells the domain that the ring has begun anew. */
  endReconnect() {
    this.page.connection = XENSTORE_CONNECTED;
  }
  /** Tells the domain, `XENSTORE_ERROR_…`, why it is not listened to. */
  tellError(error) {
    this.page.error = error;
  }
  /** Idempotent. */
  close() {
    this.stream?.close();
    this.pages.close();
  }
};

// src/xenstored/view.ts
function checkMemory(store, changes) {
  let added;
  const add = (path, node, sign) => {
    const owner = node === void 0 ? void 0 : store.owner(node);
    if (node === void 0 || owner === void 0 || owner.privileged) return;
    added ??= /* @__PURE__ */ new Map();
    added.set(owner, (added.get(owner) ?? 0) + sign * nodeCost(path, node));
  };
  for (const { path, node } of changes) {
    add(path, store.tree.get(path), -1);
    add(path, node, 1);
  }
  for (const [domain, bytes] of added ?? []) {
    if (domain.account.memoryExceededBy(bytes)) {
      throw domain.account.denied("ENOMEM", "memoryHard", "memory for a node");
    }
  }
}
var LiveView = class {
  store;
  charge;
  constructor(store, charge) {
    this.store = store;
    this.charge = charge;
  }
  get(path) {
    return this.store.tree.get(path);
  }
  apply(changes) {
    if (changes.every(({ node }) => node !== void 0)) checkMemory(this.store, changes);
    this.store.apply(changes);
  }
  changed(path, exact, subject) {
    this.store.fire(path, exact, subject, this.charge);
  }
  countedNow(count) {
    return count;
  }
  /** Nothing was written. */
  spoil() {
  }
};

// src/xenstored/introduction.ts
function openRing(hypervisor, domid, port) {
  const pages = hypervisor.grants.map(domId(domid), [grantRef(GNTTAB_RESERVED_XENSTORE)]);
  try {
    const channel = hypervisor.events.bindInterdomain(domId(domid), eventPort(port));
    return { pages, channel };
  } catch (error) {
    pages.close();
    throw error;
  }
}
function whereItStands(state, ring) {
  const { carrier, output } = state;
  if (carrier.kind !== "ring") return state;
  const { consumed, produced } = carrier;
  if (consumed === void 0 || produced === void 0) {
    return { ...state, carrier: { ...carrier, ...ring.position } };
  }
  const sent = ring.goOn(consumed, produced, outputLength(output));
  return { ...state, output: skipOutput(output, sent) };
}
var Introductions = class {
  parts;
  introduced = /* @__PURE__ */ new Map();
  virq;
  kernelState;
  constructor(parts) {
    this.parts = parts;
    this.listen();
  }
  isIntroduced(domid) {
    return this.parts.store.domains.find(domid)?.introduced === true;
  }
  /** The introduced domain. Throws ENOENT. */
  get(domid) {
    const domain = this.parts.store.domains.find(domid);
    if (domain?.introduced !== true) throw new XenError("ENOENT", `look for domain ${domid}`);
    return domain;
  }
  /** Our own ports of the rings, by domid. */
  get ports() {
    return new Map([...this.introduced].map(([{ domid }, { port }]) => [domid, port]));
  }
  /** What our own kernel's connection was, until its ring is attached. */
  get waiting() {
    return this.kernelState;
  }
  /** The transactions that the domain has open. */
  transactionsOf(domain) {
    return [...this.introduced.get(domain)?.connection?.transactions.values() ?? []];
  }
  /**
   * Serves the ring of a domain whose `port` waits for us. Once more for the same domain: the ring
   * starts anew, over that port, with no watches and no transactions.
   */
  introduce(domid, port) {
    const { hypervisor, store } = this.parts;
    const what = `introduce domain ${domid}`;
    if (hypervisor === void 0) {
      throw new XenError("ENOSYS", what, "this xenstored runs without Xen");
    }
    if (domid >= DOMID_FIRST_RESERVED || port <= 0 || port > EVENT_PORT_MAX) {
      throw new XenError("EINVAL", what, `no domain or no port: ${port}`);
    }
    const domain = store.domains.find(domid);
    const known = domain === void 0 ? void 0 : this.introduced.get(domain);
    if (domain !== void 0 && known !== void 0) {
      this.introduceAgain(hypervisor, domain, known, port);
      return;
    }
    const { pages, channel } = openRing(hypervisor, domid, port);
    const introduced = store.domains.findOrCreate(domid);
    introduced.shutdown = false;
    introduced.remotePort = port;
    this.serve(introduced, pages, channel, { reset: true });
    if (domid !== this.parts.options.masterDomid) store.fireSpecial(INTRODUCE_DOMAIN, [domid]);
  }
  /** Serves the ring of our own kernel, which nobody introduces. Both belong to us from here on. */
  attachKernelRing(pages, channel) {
    const domain = this.parts.store.domains.findOrCreate(this.parts.options.masterDomid);
    domain.shutdown = false;
    this.serve(domain, pages, channel, { state: this.kernelState });
    this.kernelState = void 0;
    this.parts.turnEnded();
    channel.notify();
  }
  /**
   * Goes on with the rings of an earlier xenstored. A domain whose ring cannot be had is gone, as
   * `lookForDead` finds out, or has to be introduced again.
   */
  takeUp(states, connections) {
    const { hypervisor, store, log } = this.parts;
    for (const { domid, ring } of states) {
      const domain = store.domains.find(domid);
      if (ring === void 0 || domain === void 0) continue;
      const state = connections.find(({ carrier }) => {
        return carrier.kind === "ring" && carrier.domid === domid;
      });
      if (ring.remotePort === void 0) {
        this.kernelState = state;
        continue;
      }
      domain.introduced = true;
      domain.remotePort = ring.remotePort;
      if (hypervisor === void 0) continue;
      try {
        const { pages, channel } = openRing(hypervisor, domid, ring.remotePort);
        this.serve(domain, pages, channel, { state });
        channel.notify();
      } catch (error) {
        log.warn(`the ring of domain ${domid} cannot be had again: ${errorMessage(error)}`, {
          domid
        });
      }
    }
  }
  /** Ends the domain's ring, and removes what it owns. */
  release(domain) {
    this.remove(domain);
  }
  /** Asks Xen about every domain, since the interrupt does not say which one it is about. */
  lookForDead() {
    const { store, domainControl } = this.parts;
    const newlyShutdown = [];
    for (const domain of store.domains) {
      if (domain.domid === 0 || domainControl === void 0) continue;
      const info = store.domains.info(domain.domid);
      if (info !== void 0 && domain.introduced && info.shutdown && !domain.shutdown) {
        domain.shutdown = true;
        newlyShutdown.push(domain.domid);
      }
      if (info === void 0 || domain.introduced && info.dying) this.remove(domain);
    }
    if (newlyShutdown.length > 0) store.settingsChanged();
    if (newlyShutdown.length > 0) store.fireSpecial(RELEASE_DOMAIN, newlyShutdown);
  }
  /**
   * Leaves all rings as a xenstored of Xen 4.17 that takes them over expects them: it offers no
   * feature, looks at what each page says, and binds the interrupt itself. Whoever waits for a
   * signal of ours gets it. The result takes that back.
   */
  leave() {
    this.virq?.close();
    for (const { ring } of this.introduced.values()) {
      ring.release();
      ring.offer(0);
      ring.notify();
    }
    return () => {
      for (const [domain, { ring }] of this.introduced) ring.offer(domain.features);
      this.listen();
      this.lookForDead();
    };
  }
  /** Ends all rings. The nodes stay. Idempotent. */
  close() {
    this.virq?.close();
    for (const { ring, connection } of this.introduced.values()) {
      connection?.close();
      ring.close();
    }
    this.introduced.clear();
  }
  /** Hears of it when a domain has died. */
  listen() {
    const { hypervisor, domainControl, turnEnded } = this.parts;
    if (hypervisor === void 0 || domainControl === void 0) return;
    this.virq = hypervisor.events.bindVirq(VIRQ_DOM_EXC);
    this.virq.onEvent(() => {
      this.lookForDead();
      turnEnded();
    });
  }
  introduceAgain(hypervisor, domain, known, port) {
    known.connection?.close();
    known.connection = void 0;
    const channel = hypervisor.events.bindInterdomain(domId(domain.domid), eventPort(port));
    domain.remotePort = port;
    this.open(domain, known, channel, { reset: true });
  }
  serve(domain, pages, channel, start) {
    const introduced = { ring: new DomainRing(pages), connection: void 0, port: 0 };
    this.introduced.set(domain, introduced);
    domain.introduced = true;
    this.parts.store.settingsChanged();
    this.open(domain, introduced, channel, start);
  }
  open(domain, introduced, channel, start) {
    const { ring } = introduced;
    const waits = ring.wantsReconnect;
    const state = waits ? void 0 : start.state;
    if (start.reset || waits) ring.reset();
    if (state === void 0) ring.tellError(XENSTORE_ERROR_NONE);
    const isOwn = domain.remotePort === void 0;
    ring.offer(domain.features & ~(isOwn ? XENSTORE_SERVER_FEATURE_RECONNECTION : 0));
    const stream = ring.connect(channel);
    introduced.port = channel.port;
    introduced.connection = this.parts.connect(
      `domain ${domain.domid}`,
      {
        stream,
        domain,
        failure: () => stream.error,
        ring,
        reconnect: () => this.reconnect(domain, introduced),
        refuse: (error) => ring.tellError(error)
      },
      state && whereItStands(state, ring)
    );
    if (!waits) return;
    this.parts.store.journal?.commit();
    ring.endReconnect();
    channel.notify();
  }
  /** Begins the ring anew if the domain asks for that; returns whether it did. */
  reconnect(domain, introduced) {
    const { hypervisor, log, turnEnded } = this.parts;
    const { remotePort } = domain;
    if (hypervisor === void 0 || remotePort === void 0) return false;
    if (!introduced.ring.wantsReconnect) return false;
    log.info(`domain ${domain.domid} begins its ring anew`, { domid: domain.domid });
    try {
      this.introduceAgain(hypervisor, domain, introduced, remotePort);
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      log.warn(`the ring of domain ${domain.domid} cannot be had again: ${error.message}`, {
        domid: domain.domid
      });
    }
    turnEnded();
    return true;
  }
  /** Ends all that the domain has here, so that a later one with its domid inherits nothing. */
  remove(domain) {
    const { store } = this.parts;
    const introduced = this.introduced.get(domain);
    introduced?.connection?.close();
    this.removeNodes(domain);
    store.domains.forget(domain);
    this.introduced.delete(domain);
    introduced?.ring.close();
    if (domain.introduced) store.fireSpecial(RELEASE_DOMAIN, [domain.domid]);
    domain.introduced = false;
    store.settingsChanged();
  }
  removeNodes(domain) {
    if (domain.account.nodes === 0) return;
    if (this.parts.options.keepOrphans) this.adoptOrphans(domain);
    else this.removeOrphans(domain);
  }
  removeOrphans(domain) {
    const { store, log } = this.parts;
    const tops = [];
    const walk = postOrder(store.tree, "/", ({ path, node }) => {
      if (store.owner(node) !== domain) return true;
      tops.push(path);
      return false;
    });
    for (const _ of walk) ;
    const view = new LiveView(store, void 0);
    for (const path of tops) {
      if (path === "/") this.adoptOrphans(domain);
      else removeSubtree(store, view, path);
    }
    log.debug(`removed what domain ${domain.domid} owned`, { subtrees: tops.length });
  }
  adoptOrphans(domain) {
    const { store, options } = this.parts;
    const heir = store.domains.findOrCreate(options.privDomid);
    for (const { path, node } of postOrder(store.tree, "/")) {
      if (store.owner(node) !== domain) continue;
      const permissions = ownedBy(node.permissions, heir);
      const generation = store.nextGeneration();
      store.apply([{ path, node: { ...node, permissions, generation } }]);
    }
  }
};

// src/xenstored/journal/byte-writer.ts
var CAPACITY_MIN = 4096;
var CAPACITY_KEPT = 1 << 20;
var ByteWriter = class {
  memory = new Uint8Array(CAPACITY_MIN);
  view = new DataView(this.memory.buffer);
  end = 0;
  lastPath = "";
  get length() {
    return this.end;
  }
  /** What was written; valid until more is. */
  get bytes() {
    return this.memory.subarray(0, this.end);
  }
  clear() {
    this.end = 0;
    this.lastPath = "";
    if (this.memory.length > CAPACITY_KEPT) this.use(new Uint8Array(CAPACITY_MIN));
  }
  /** Leaves out `size` bytes, which `putU32` fills later. */
  skip(size) {
    this.reserve(size);
    this.end += size;
  }
  /** Writes to where something was left out. */
  putU32(at, value) {
    this.view.setUint32(at, value, true);
  }
  u8(value) {
    this.reserve(1);
    this.memory[this.end++] = value;
  }
  u16(value) {
    this.reserve(2);
    this.view.setUint16(this.end, value, true);
    this.end += 2;
  }
  u32(value) {
    this.reserve(4);
    this.view.setUint32(this.end, value, true);
    this.end += 4;
  }
  /** A whole number up to 2^53. */
  u53(value) {
    this.reserve(8);
    this.view.setFloat64(this.end, value, true);
    this.end += 8;
  }
  /** Characters up to 255, fewer than 65,536 of them. */
  text(text) {
    this.u16(text.length);
    this.reserve(text.length);
    this.end = latin1Write(text, this.memory, this.end);
  }
  /**
   * As `text`, without what it has in common with the path before it, where one of the two stands
   * above the other: of a deep tree that is nearly all there is.
   */
  path(path) {
    const size = Math.min(path.length, this.lastPath.length);
    const shared = path.slice(0, size) === this.lastPath.slice(0, size) ? size : 0;
    this.lastPath = path;
    this.u16(shared);
    this.text(path.slice(shared));
  }
  /** A text or bytes, of which nobody knows later which it was. */
  data(data) {
    this.u32(data.length);
    this.reserve(data.length);
    if (typeof data === "string") {
      this.end = latin1Write(data, this.memory, this.end);
    } else {
      this.memory.set(data, this.end);
      this.end += data.length;
    }
  }
  reserve(size) {
    const needed = this.end + size;
    if (needed <= this.memory.length) return;
    let capacity = this.memory.length;
    while (capacity < needed) capacity *= 2;
    const larger = new Uint8Array(capacity);
    larger.set(this.bytes);
    this.use(larger);
  }
  use(memory) {
    this.memory = memory;
    this.view = new DataView(memory.buffer);
  }
};

// src/xenstored/journal/entries.ts
var ENTRY_COUNTERS = 1;
var ENTRY_SETTINGS = 2;
var ENTRY_DOMAIN = 3;
var ENTRY_DOMAIN_GONE = 4;
var ENTRY_NODE = 5;
var ENTRY_NODE_TOUCHED = 6;
var ENTRY_NODE_GONE = 7;
var ENTRY_RING = 8;
var ENTRY_RING_GONE = 9;
var ENTRY_RING_IGNORED = 10;
var ENTRY_RING_POSITION = 11;
var ENTRY_OUTPUT = 12;
var ENTRY_OUTPUT_DROPPED = 13;
var ENTRY_WATCH = 14;
var ENTRY_WATCH_GONE = 15;
var ENTRY_TRANSACTION = 16;
var ENTRY_TRANSACTION_GONE = 17;
var ENTRY_TRANSACTION_REQUEST = 18;
var ENTRY_TRANSACTION_LAST = 19;
function putCounters(out, generation, lastIncarnation) {
  out.u8(ENTRY_COUNTERS);
  out.u53(generation);
  out.u53(lastIncarnation);
}
function putSettings(out, settings) {
  out.u8(ENTRY_SETTINGS);
  out.data(JSON.stringify(settings));
}
function putDomain(out, domain) {
  out.u8(ENTRY_DOMAIN);
  out.data(JSON.stringify(domain));
}
function putDomainGone(out, domid) {
  out.u8(ENTRY_DOMAIN_GONE);
  out.u32(domid);
}
function putNode(out, path, node) {
  out.u8(ENTRY_NODE);
  out.path(path);
  out.u53(node.generation);
  out.u53(node.birth);
  const { permissions } = node;
  out.u16(permissions.length);
  for (let i = 0; i < permissions.length; i++) {
    const { domid, access, incarnation } = permissions[i];
    out.u32(domid);
    out.u8(access.charCodeAt(0));
    out.u53(incarnation);
  }
  out.data(node.value);
}
function putNodeTouched(out, path, generation) {
  out.u8(ENTRY_NODE_TOUCHED);
  out.path(path);
  out.u53(generation);
}
function putNodeGone(out, path) {
  out.u8(ENTRY_NODE_GONE);
  out.path(path);
}
function putRing(out, entry, domid) {
  out.u8(entry);
  out.u32(domid);
}
function putPosition(out, domid, position) {
  out.u8(ENTRY_RING_POSITION);
  out.u32(domid);
  out.u32(position.consumed);
  out.u32(position.produced);
  out.u32(position.pending);
  out.data(position.input);
}
function putPacket(out, { type, requestId, transactionId, payload }) {
  out.u32(type);
  out.u32(requestId);
  out.u32(transactionId);
  out.data(payload);
}
function putOutput(out, domid, output) {
  out.u8(ENTRY_OUTPUT);
  out.u32(domid);
  out.u16(output.sent);
  out.u53(output.charge?.id ?? 0);
  out.u32(output.charge?.domid ?? 0);
  putPacket(out, output.packet);
}
function putOutputDropped(out, domid, indexes) {
  out.u8(ENTRY_OUTPUT_DROPPED);
  out.u32(domid);
  out.u32(indexes.length);
  for (const index of indexes) out.u32(index);
}
function putWatch(out, domid, watch2) {
  out.u8(ENTRY_WATCH);
  out.u32(domid);
  out.u53(watch2.number);
  out.u8(watch2.relative ? 1 : 0);
  out.u32(watch2.depth ?? 4294967295);
  out.text(watch2.path);
  out.text(watch2.token);
}
function putWatchGone(out, domid, path, token) {
  out.u8(ENTRY_WATCH_GONE);
  out.u32(domid);
  out.text(path);
  out.text(token);
}
function putTransaction(out, entry, domid, id) {
  out.u8(entry);
  out.u32(domid);
  out.u32(id);
}
function putTransactionRequest(out, domid, id, packet) {
  out.u8(ENTRY_TRANSACTION_REQUEST);
  out.u32(domid);
  out.u32(id);
  putPacket(out, packet);
}
var CHANGING = /* @__PURE__ */ new Set([XS_WRITE, XS_MKDIR, XS_RM, XS_SET_PERMS]);
function changesNodes(packet, replyType) {
  return CHANGING.has(packet.type) && replyType !== XS_ERROR;
}
function putConnection(out, state) {
  const { carrier, input, output, watches, transactions, lastTransactionId } = state;
  if (carrier.kind !== "ring") return;
  const { domid, consumed, produced } = carrier;
  if (consumed === void 0 || produced === void 0) return;
  putRing(out, ENTRY_RING, domid);
  for (const item of output) putOutput(out, domid, item);
  putPosition(out, domid, { consumed, produced, pending: outputLength(output), input });
  for (const watch2 of watches) putWatch(out, domid, watch2);
  for (const transaction of transactions) putOpenTransaction(out, domid, transaction);
  putTransaction(out, ENTRY_TRANSACTION_LAST, domid, lastTransactionId);
  if (carrier.ignored) putRing(out, ENTRY_RING_IGNORED, domid);
}
function putOpenTransaction(out, domid, transaction) {
  putTransaction(out, ENTRY_TRANSACTION, domid, transaction.id);
  for (const { packet, reply } of transaction.requests ?? []) {
    if (changesNodes(packet, reply.type)) {
      putTransactionRequest(out, domid, transaction.id, packet);
    }
  }
}

// src/base/crc32.ts
var TABLE = new Int32Array(256).map((_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1 ? 3988292384 : 0);
  return crc;
});
function crc32(bytes, start = 0, end = bytes.length) {
  let crc = -1;
  for (let i = start; i < end; i++) {
    crc = crc >>> 8 ^ TABLE[(crc ^ bytes[i]) & 255];
  }
  return ~crc >>> 0;
}

// src/xenstored/journal/frames.ts
var MAGIC = "paravane xenstored journal\n";
var JOURNAL_VERSION = 2;
var Header = struct("struct journal_header", {
  magic: byteArray(32),
  version: u32,
  /** Of all that stands before it. */
  crc: u32,
  /** What the rings of domains are good for: they end with the boot of the host. */
  epoch: byteArray(64)
});
var JOURNAL_HEADER_SIZE = Header.size;
var Frame = struct("struct journal_frame", {
  /** Bytes that follow this. */
  length: u32,
  /** Of the words below and of what follows. */
  crc: u32,
  sequence: u32,
  kind: u32
});
var FRAME_HEADER_SIZE = Frame.size;
var CRC_START = Frame.offset.sequence;
var FRAME_STATE = 1;
var FRAME_CHANGES = 2;
function sealFrame(writer, sequence, kind) {
  writer.putU32(Frame.offset.length, writer.length - FRAME_HEADER_SIZE);
  writer.putU32(Frame.offset.sequence, sequence);
  writer.putU32(Frame.offset.kind, kind);
  const { bytes } = writer;
  writer.putU32(Frame.offset.crc, crc32(bytes, CRC_START));
  return bytes;
}
function journalHeader(epoch) {
  const bytes = new Uint8Array(JOURNAL_HEADER_SIZE);
  const header = Header.view(bytes);
  latin1Write(MAGIC, bytes, Header.offset.magic);
  header.version = JOURNAL_VERSION;
  header.crc = crc32(bytes, 0, Header.offset.crc);
  latin1Write(epoch, bytes, Header.offset.epoch);
  return bytes;
}
function readJournalHeader(bytes) {
  const what = "read the journal";
  const isOurs = bytes.length >= JOURNAL_HEADER_SIZE && latin1Decode(bytes, 0, MAGIC.length) === MAGIC;
  if (!isOurs) {
    throw new XenError("EINVAL", what, 'a journal begins with "paravane xenstored journal"');
  }
  const header = Header.view(bytes);
  if (header.crc !== crc32(bytes, 0, Header.offset.crc)) {
    throw new XenError("EINVAL", what, "the checksum of its header is wrong");
  }
  if (header.version !== JOURNAL_VERSION) {
    const rule = `this xenstored reads version ${JOURNAL_VERSION}, not ${header.version}`;
    throw new XenError("EINVAL", what, rule);
  }
  return latin1Decode(header.epoch).replace(/\0.*$/s, "");
}
var FrameScanner = class {
  bytes;
  frame;
  sequences = /* @__PURE__ */ new Map();
  /** Where the next frame is to begin. */
  position = JOURNAL_HEADER_SIZE;
  constructor(bytes) {
    this.bytes = bytes;
    this.frame = Frame.view(bytes);
  }
  next() {
    const { bytes, position, frame } = this;
    if (position + FRAME_HEADER_SIZE > bytes.length) return "end";
    frame.moveTo(position);
    const { length, crc, sequence, kind } = frame;
    if (length === 0 && crc === 0 && sequence === 0 && kind === 0) return "end";
    const start = position + FRAME_HEADER_SIZE;
    const end = start + length;
    if (end > bytes.length || crc32(bytes, position + CRC_START, end) !== crc) return "torn";
    const before = this.sequences.get(kind);
    if (before !== void 0 && sequence !== before + 1 >>> 0) return "torn";
    this.sequences.set(kind, sequence);
    this.position = end;
    return { kind, start, end };
  }
};

// src/xenstored/journal/ring-journal.ts
var RingJournal = class {
  domid;
  source;
  out;
  /** Those whose position the next commit tells. */
  moving;
  constructor(domid, source, out, moving) {
    this.domid = domid;
    this.source = source;
    this.out = out;
    this.moving = moving;
  }
  /** It begins, as a new one or as an earlier one was. */
  opened(state) {
    if (state === void 0) putRing(this.out, ENTRY_RING, this.domid);
    else putConnection(this.out, state);
    this.moved();
  }
  closed() {
    this.moving.delete(this);
    putRing(this.out, ENTRY_RING_GONE, this.domid);
  }
  ignored() {
    putRing(this.out, ENTRY_RING_IGNORED, this.domid);
  }
  /** Something was taken from the ring. */
  moved() {
    this.moving.add(this);
  }
  putPosition() {
    putPosition(this.out, this.domid, this.source.position());
  }
  queued(packet, charge) {
    putOutput(this.out, this.domid, { packet, sent: 0, charge });
  }
  /** Some of the output is about to be dropped: those at these indexes of what is not sent, in order. */
  dropping(indexes) {
    this.putPosition();
    putOutputDropped(this.out, this.domid, indexes);
  }
  watched(watch2) {
    putWatch(this.out, this.domid, watch2);
  }
  unwatched(path, token) {
    putWatchGone(this.out, this.domid, path, token);
  }
  transactionStarted(id) {
    putTransaction(this.out, ENTRY_TRANSACTION, this.domid, id);
  }
  transactionEnded(id) {
    putTransaction(this.out, ENTRY_TRANSACTION_GONE, this.domid, id);
  }
  /** A request has changed something within the transaction. */
  transactionChanged(id, request) {
    putTransactionRequest(this.out, this.domid, id, request);
  }
};

// src/xenstored/journal/settings-journal.ts
function settingsOf({
  quotas,
  specialPermissions
}) {
  return { quotas, specialPermissions: [...specialPermissions] };
}
var SettingsJournal = class {
  source;
  revision = -1;
  /** As last recorded. */
  text = "";
  domains = /* @__PURE__ */ new Map();
  constructor(source) {
    this.source = source;
  }
  /** Records what is another than when it was last recorded. */
  record(out) {
    if (this.revision === this.source.settingsRevision) return;
    this.revision = this.source.settingsRevision;
    const { domains, ...others } = this.source.settings();
    const settings = settingsOf(others);
    const text = JSON.stringify(settings);
    if (text !== this.text) putSettings(out, settings);
    this.text = text;
    this.recordDomains(out, domains);
  }
  recordDomains(out, domains) {
    const gone = new Set(this.domains.keys());
    for (const domain of domains) {
      gone.delete(domain.domid);
      const text = JSON.stringify(domain);
      if (this.domains.get(domain.domid) === text) continue;
      this.domains.set(domain.domid, text);
      putDomain(out, domain);
    }
    for (const domid of gone) {
      this.domains.delete(domid);
      putDomainGone(out, domid);
    }
  }
};
function putStateWithoutNodes(out, state) {
  putCounters(out, state.generation, state.lastIncarnation);
  putSettings(out, settingsOf(state));
  for (const domain of state.domains) putDomain(out, domain);
  for (const connection of state.connections) putConnection(out, connection);
}

// src/xenstored/journal/journal.ts
var STATE_FRAME_SIZE = 32 * 1024;
var GROWTH_DEFAULT = { size_min: 1 << 20, factor: 4 };
var RETRY_MS = 5e3;
var Journal = class {
  parts;
  source;
  out = new ByteWriter();
  stateOut = new ByteWriter();
  settings;
  sequence = 0;
  stateSequence = 0;
  /** Rings that stand elsewhere since the last commit. */
  moved = /* @__PURE__ */ new Set();
  rewriting;
  rewrittenSize = 0;
  /** The storage lacks something: nothing is worth adding before it was rewritten. */
  behind = true;
  /** Something has failed, and nothing was rewritten since. */
  inTrouble = false;
  timer;
  closed = false;
  /** Nothing is kept before `begin`. */
  constructor(parts, source) {
    this.parts = parts;
    this.source = source;
    this.settings = new SettingsJournal(source);
    this.beginFrame();
  }
  /** Puts the present state into the place of whatever the storage has, now or as soon as it can. */
  begin() {
    try {
      this.rewriteAtOnce();
    } catch (error) {
      this.behind = false;
      this.failed(error, true);
    }
  }
  /** Takes no more. What was committed stays. Idempotent. */
  close() {
    this.closed = true;
    this.timer?.cancel();
    this.rewriting?.rewrite.abandon();
    this.rewriting = void 0;
  }
  /** What became of a node. */
  node(path, old, node) {
    if (node === void 0) putNodeGone(this.out, path);
    else if (old !== void 0 && old.value === node.value && old.permissions === node.permissions && old.birth === node.birth) {
      putNodeTouched(this.out, path, node.generation);
    } else putNode(this.out, path, node);
  }
  /** The journal of a domain's connection. */
  ring(domid, source) {
    return new RingJournal(domid, source, this.out, this.moved);
  }
  /** Makes true what was recorded since the last commit. */
  commit() {
    const { out, moved } = this;
    this.settings.record(out);
    for (const ring of moved) ring.putPosition();
    moved.clear();
    if (out.length === FRAME_HEADER_SIZE) return;
    if (!this.behind && !this.closed) this.append();
    this.beginFrame();
  }
  append() {
    const { out, parts, source } = this;
    putCounters(out, source.generation, source.lastIncarnation);
    this.sequence = this.sequence + 1 >>> 0;
    try {
      parts.storage.append(sealFrame(out, this.sequence, FRAME_CHANGES));
    } catch (error) {
      this.failed(error, true);
    }
    if (this.isLarge) this.rewriteSoon(0);
  }
  get isLarge() {
    const { storage, growth = GROWTH_DEFAULT } = this.parts;
    const { length } = storage;
    return length > growth.size_min && length > growth.factor * this.rewrittenSize;
  }
  beginFrame() {
    this.out.clear();
    this.out.skip(FRAME_HEADER_SIZE);
  }
  /** There is no room: for what was to be added, which is `lost`, or only for a rewrite. */
  failed(error, lost) {
    if (!(error instanceof XenError)) throw error;
    if (lost ? !this.behind : !this.inTrouble) {
      const trouble = lost ? "the journal cannot be kept, and a restart would forget what happens until it can" : "the journal cannot be rewritten, and grows until it can";
      this.parts.log.error(`${trouble}: ${error.message}`, { retry_s: RETRY_MS / 1e3 });
    }
    this.inTrouble = true;
    this.behind ||= lost;
    this.rewriting?.rewrite.abandon();
    this.rewriting = void 0;
    this.timer?.cancel();
    this.timer = void 0;
    this.rewriteSoon(RETRY_MS);
  }
  rewriteSoon(delay_ms) {
    if (this.closed || this.timer !== void 0 || this.rewriting !== void 0) return;
    this.later(delay_ms, () => {
      if (this.behind) {
        this.rewriteAtOnce();
      } else {
        this.startRewrite();
        this.goOn();
      }
    });
  }
  later(delay_ms, action) {
    this.timer = this.parts.clock.after(delay_ms, () => {
      this.timer = void 0;
      try {
        action();
      } catch (error) {
        this.failed(error, this.behind);
      }
    });
  }
  /** Nothing can change meanwhile, which nobody would keep. */
  rewriteAtOnce() {
    this.beginFrame();
    this.startRewrite();
    while (this.rewriting !== void 0) this.writeSome(this.rewriting);
    this.behind = false;
  }
  /** Writes all but the nodes at once: they alone may be very many. */
  startRewrite() {
    const { storage, epoch } = this.parts;
    const from = storage.length;
    const { nodes, ...rest } = this.source.capture();
    const rewrite = storage.beginRewrite();
    this.rewriting = { rewrite, nodes: nodes[Symbol.iterator](), from };
    this.stateSequence = 0;
    rewrite.append(journalHeader(epoch));
    this.stateOut.clear();
    this.stateOut.skip(FRAME_HEADER_SIZE);
    putStateWithoutNodes(this.stateOut, rest);
    this.sealState(rewrite);
  }
  sealState(rewrite) {
    rewrite.append(sealFrame(this.stateOut, ++this.stateSequence, FRAME_STATE));
    this.stateOut.clear();
    this.stateOut.skip(FRAME_HEADER_SIZE);
  }
  /** One frame of nodes, and the end of the rewrite when there are no more. */
  writeSome({ nodes, rewrite, from }) {
    const { stateOut } = this;
    let next = nodes.next();
    for (; next.done !== true; next = nodes.next()) {
      putNode(stateOut, next.value.path, next.value);
      if (stateOut.length >= STATE_FRAME_SIZE) break;
    }
    this.sealState(rewrite);
    if (next.done !== true) return;
    rewrite.replace(from);
    this.rewriting = void 0;
    this.rewrittenSize = this.parts.storage.length;
    if (this.inTrouble) this.parts.log.info("the journal is kept again");
    this.inTrouble = false;
  }
  goOn() {
    if (this.rewriting === void 0 || this.closed) return;
    this.writeSome(this.rewriting);
    if (this.rewriting !== void 0) this.later(0, () => this.goOn());
  }
};

// src/xenstored/live-update.ts
var TRANSACTIONS_POLL_MS = 20;
var IMAGE_MAX = 4 << 20;
var WHAT = "live update";
var LiveUpdate = class {
  parts;
  session;
  waits = false;
  constructor(parts) {
    this.parts = parts;
  }
  /** Transactions are waited for, so that none may be started. */
  get holdsTransactions() {
    return this.waits;
  }
  /** Throws the reason why that file will not do. */
  choose(connection, file) {
    this.requireNone();
    this.successor(file, void 0);
    this.begin(connection, file, file, 0);
  }
  /** An image of that many bytes is about to come. Throws the reason why it will not do. */
  expectImage(connection, length) {
    this.requireNone();
    if (length < 1 || length > IMAGE_MAX) {
      throw new XenError(
        "EINVAL",
        WHAT,
        `an image has from 1 to ${IMAGE_MAX} bytes, not ${length}`
      );
    }
    this.begin(connection, "an image", new Uint8Array(length), length);
  }
  /** The next bytes of it. Throws where they are more than were to come. */
  addToImage(connection, bytes) {
    const session = this.sessionOf(connection);
    const { program, missing } = session;
    if (typeof program === "string" || bytes.length > missing) {
      throw new XenError("EINVAL", WHAT, `${missing} bytes of an image are to come`);
    }
    program.set(bytes, program.length - missing);
    session.missing -= bytes.length;
  }
  /** Throws where the connection has not chosen a file. */
  setCommandLine(connection, commandLine) {
    this.sessionOf(connection).commandLine = commandLine;
  }
  /**
   * Begins, and answers the request later. Throws where the connection has not chosen a file, EBUSY
   * when it has begun already.
   */
  start(connection, request, options) {
    const session = this.sessionOf(connection);
    if (session.started) throw new XenError("EBUSY", WHAT, "it has begun already");
    if (session.missing > 0) {
      throw new XenError("EINVAL", WHAT, `${session.missing} bytes of the image are missing`);
    }
    session.started = true;
    void this.run(session, request, options);
  }
  /** Throws where there is nothing to abort. */
  abort() {
    if (this.session === void 0) throw new XenError("ENOENT", WHAT, "there is none to abort");
    this.session = void 0;
  }
  /** Whoever asked for it is gone. */
  closed(connection) {
    if (this.session?.connection === connection) this.session = void 0;
  }
  requireNone() {
    if (this.session !== void 0) throw new XenError("EBUSY", WHAT, "there is one already");
  }
  begin(connection, file, program, missing) {
    this.session = { connection, file, program, missing, commandLine: void 0, started: false };
  }
  sessionOf(connection) {
    if (this.session?.connection === connection) return this.session;
    throw new XenError("EINVAL", WHAT, "the file comes first");
  }
  successor(program, commandLine) {
    const { succession } = this.parts;
    if (succession === void 0) throw new XenError("ENOTSUP", WHAT, "nothing can replace this");
    return succession.find(program, commandLine);
  }
  async run(session, request, options) {
    const { log, reply } = this.parts;
    const { connection, file } = session;
    log.info(`live update to ${file} begins`, { file });
    let reason = "";
    try {
      await this.replace(session, request, options);
    } catch (error) {
      reason = errorMessage(error);
    }
    log.error(`live update failed: ${reason}`, { file });
    this.waits = false;
    if (this.session === session) this.session = void 0;
    reply(connection, answerTo(request, encodeStrings(latin1Only(reason))));
  }
  async replace(session, request, options) {
    const { capture, ports, leaveRings } = this.parts;
    const { connection, program, commandLine } = session;
    const successor = this.successor(program, commandLine);
    const state = () => capture(connection, answerTo(request, OK_PAYLOAD));
    await successor.rehearse(state());
    this.checkWanted(session);
    if (successor.keepsAll) {
      successor.takeOver(state(), ports());
      return;
    }
    await this.waitForTransactions(session, options);
    const takeRingsBack = leaveRings();
    try {
      successor.takeOver(state(), ports());
    } catch (error) {
      takeRingsBack();
      throw error;
    }
  }
  async waitForTransactions(session, options) {
    const { clock, log, transactionHolders } = this.parts;
    const { timeout_ms, force } = options;
    const deadline_ms = clock.now_ms() + timeout_ms;
    this.waits = true;
    const first = transactionHolders();
    if (first.length > 0) log.info(`live update waits for the transactions of ${first.join(", ")}`);
    for (; ; ) {
      const holders = transactionHolders();
      if (holders.length === 0) return;
      if (clock.now_ms() >= deadline_ms) {
        if (force) return;
        const who = holders.join(", ");
        throw new XenError("EBUSY", WHAT, `transactions would be lost, of ${who}`);
      }
      await sleep(clock, TRANSACTIONS_POLL_MS);
      this.checkWanted(session);
    }
  }
  checkWanted(session) {
    if (this.session !== session) throw new XenError("EIO", WHAT, "it was aborted");
  }
};
function answerTo({ requestId, transactionId }, payload) {
  return { type: XS_CONTROL, requestId, transactionId, payload };
}
function latin1Only(text) {
  return text.replace(/[^ -\xff]/g, "?");
}

// src/xenstored/request.ts
var Request = class {
  connection;
  services;
  packet;
  /** The transaction that it belongs to, if to any. */
  transaction;
  charge;
  /** The nodes were looked at: a transaction keeps such a request. */
  aboutNodes = false;
  /** What is done after the reply was queued. */
  afterReply = () => {
  };
  constructor(connection, services, packet, transaction, charge) {
    this.connection = connection;
    this.services = services;
    this.packet = packet;
    this.transaction = transaction;
    this.charge = charge;
  }
  get payload() {
    return this.packet.payload;
  }
  get store() {
    return this.services.store;
  }
  /** The nodes, as the transaction has them if there is one. */
  nodes() {
    const { store, transaction, charge, connection } = this;
    this.aboutNodes = true;
    return new Nodes(store, transaction ?? new LiveView(store, charge), connection);
  }
  /** The payload as exactly one string with a NUL at its end. Throws EINVAL. */
  onlyString() {
    const { strings, end } = decodeStrings(this.payload, 1);
    const [only2] = strings;
    if (only2 === void 0 || end !== this.payload.length) {
      throw new XenError(
        "EINVAL",
        "read a request",
        "it is to be one string with a NUL at its end"
      );
    }
    return only2;
  }
  /** The strings of the payload that a NUL ends, at least `countMin`. Throws EINVAL. */
  strings(countMin) {
    const { strings } = decodeStrings(this.payload);
    if (strings.length < countMin) {
      throw new XenError("EINVAL", "read a request", `it is to have ${countMin} strings`);
    }
    return strings;
  }
};
function errorReply(error, connection, services) {
  if (error instanceof XenError) return { type: XS_ERROR, payload: encodeError(error.code) };
  services.log.error(`a request of ${connection.name} failed: ${errorMessage(error)}`);
  return { type: XS_ERROR, payload: encodeError("EIO") };
}
function leadingInteger(text) {
  return Number(/^[ \t\n\v\f\r]*([+-]?\d+)/.exec(text)?.[1] ?? 0) | 0;
}
function leadingDomid(text) {
  return leadingInteger(text) >>> 0;
}

// src/xenstored/node-operations.ts
function readableNode(request, path) {
  const nodes = request.nodes();
  return nodes.get(nodes.resolve(path), MAY_READ);
}
function directory(request) {
  const { children } = readableNode(request, request.onlyString());
  if (children.byteLength > PAYLOAD_MAX) {
    throw new XenError("E2BIG", "list a directory", `a reply has at most ${PAYLOAD_MAX} bytes`);
  }
  return children.bytesFrom(0, PAYLOAD_MAX);
}
function directoryPart(request) {
  const { strings } = decodeStrings(request.payload);
  const [path, offsetText] = strings;
  if (strings.length !== 2 || path === void 0 || offsetText === void 0) {
    throw new XenError("EINVAL", "list a part of a directory", "it takes a path and an offset");
  }
  const node = readableNode(request, path);
  const generation = encodeStrings(String(node.generation));
  const offset = leadingInteger(offsetText) >>> 0;
  const names2 = node.children.bytesFrom(offset, PAYLOAD_MAX - generation.length - 1);
  const last = offset + names2.length >= node.children.byteLength ? 1 : 0;
  const reply = new Uint8Array(generation.length + names2.length + last);
  reply.set(generation);
  reply.set(names2, generation.length);
  return reply;
}
function read(request) {
  return bytesOf(readableNode(request, request.onlyString()).value);
}
function write(request) {
  const { strings, end } = decodeStrings(request.payload, 1);
  const [path] = strings;
  if (path === void 0) throw new XenError("EINVAL", "write", "a path ends with NUL");
  const nodes = request.nodes();
  nodes.write(nodes.resolve(path), valueFrom(request.payload, end));
  return OK_PAYLOAD;
}
function mkdir(request) {
  const nodes = request.nodes();
  nodes.mkdir(nodes.resolve(request.onlyString()));
  return OK_PAYLOAD;
}
function remove(request) {
  const nodes = request.nodes();
  nodes.remove(nodes.resolve(request.onlyString()));
  return OK_PAYLOAD;
}
function getPermissions(request) {
  const { permissions } = readableNode(request, request.onlyString());
  return encodeStrings(...permissions.map(formatEntry));
}
function setPermissions(request) {
  const [path, ...entries] = request.strings(2);
  const { account } = request.connection.domain;
  if (entries.length > account.limit("permissions")) {
    throw account.denied("ENOSPC", "permissions", "so many permission entries");
  }
  account.peaks.note("permissions", entries.length);
  const parsed = entries.map(parseEntry);
  const permissions = parsed.map(({ access, domid }) => ({
    access,
    domid,
    incarnation: incarnationMeant(request, domid)
  }));
  const { incarnation } = ownerOf(permissions);
  if (incarnation === NO_INCARNATION || incarnation === EVERY_INCARNATION) {
    throw new XenError("ENOENT", `set permissions of ${path}`, "the owner is no domain");
  }
  if (isSpecialPath(path)) {
    setSpecialPermissions(request, path, permissions);
  } else {
    const nodes = request.nodes();
    nodes.setPermissions(nodes.resolve(path), permissions);
  }
  return OK_PAYLOAD;
}
function incarnationMeant({ connection, store }, domid) {
  const takesAny = (connection.features & XENSTORE_SERVER_FEATURE_DOMID_ANY) !== 0;
  if (domid === DOMID_ANY && takesAny) return EVERY_INCARNATION;
  return store.domains.known(domid)?.incarnation ?? NO_INCARNATION;
}
function setSpecialPermissions(request, path, permissions) {
  const { specialPermissions } = request.store;
  const current = specialPermissions.get(path);
  if (current === void 0) {
    throw new XenError("EINVAL", `set permissions of ${path}`, "there is nothing of that name");
  }
  const need = MAY_WRITE | MAY_OWN;
  if ((rightsOf(request.connection, current) & need) !== need) {
    throw new XenError("EACCES", `set permissions of ${path}`);
  }
  specialPermissions.set(path, permissions);
  request.store.settingsChanged();
}
var NODE_OPERATIONS = /* @__PURE__ */ new Map([
  [XS_DIRECTORY, directory],
  [XS_DIRECTORY_PART, directoryPart],
  [XS_READ, read],
  [XS_WRITE, write],
  [XS_MKDIR, mkdir],
  [XS_RM, remove],
  [XS_GET_PERMS, getPermissions],
  [XS_SET_PERMS, setPermissions]
]);

// src/xenstored/reply.ts
function sameReply(one, other) {
  if (one.type !== other.type) return false;
  return one.payload === other.payload || told(one) === told(other);
}
function told({ type, payload }) {
  return latin1Decode(payload, type === XS_DIRECTORY_PART ? payload.indexOf(0) : 0);
}

// src/xenstored/replay.ts
function commitTransaction(request, transaction) {
  const { activity } = request.connection.domain;
  if (transaction.doomed) {
    activity.conflicted++;
    throw changedMeanwhile("xenstored was started again");
  }
  transaction.checkFit();
  if (transaction.onlyRead || !transaction.hasConflict()) {
    if (!transaction.onlyRead) transaction.commit(request.charge);
    activity.committed++;
    return;
  }
  try {
    replay(request, transaction);
    activity.replayed++;
  } catch (error) {
    if (errorCode(error) === "EAGAIN") activity.conflicted++;
    throw error;
  }
}
function replay(request, transaction) {
  const { requests } = transaction;
  transaction.forgetNodes();
  if (requests === void 0) throw changedMeanwhile("it is too long to be run again");
  const again = new Transaction(transaction.id, request.store, request.connection);
  try {
    for (const recorded of requests) runAgain(request, again, recorded);
    again.checkFit();
    again.commit(request.charge);
  } finally {
    again.close();
  }
}
function repeatRequests(connection, services, transaction, packets) {
  for (const packet of packets) {
    const request = new Request(connection, services, packet, transaction, void 0);
    transaction.record(packet, replyOf(request, packet.type));
  }
}
var REPLY_DIFFERS = changedMeanwhile("a reply would be another one now");
function changedMeanwhile(detail) {
  return new XenError("EAGAIN", "end transaction", detail);
}
function runAgain(end, transaction, { packet, reply }) {
  const { connection, services } = end;
  const request = new Request(connection, services, packet, transaction, void 0);
  if (!sameReply(replyOf(request, packet.type), reply)) throw REPLY_DIFFERS;
}
function replyOf(request, type) {
  const { connection, services } = request;
  const run = NODE_OPERATIONS.get(type);
  if (run === void 0) throw new TypeError(`request ${type} is not about nodes`);
  try {
    return { type, payload: run(request) };
  } catch (error) {
    return errorReply(error, connection, services);
  }
}

// src/xenstored/connection-operations.ts
function refuse(rule) {
  throw new XenError("EINVAL", "read a watch", rule);
}
function watchAsked(request) {
  const [path = "", token = "", depthText, ...others] = request.strings(2);
  const takesDepth = (request.connection.features & XENSTORE_SERVER_FEATURE_WATCHDEPTH) !== 0;
  if (others.length > 0 || depthText !== void 0 && !takesDepth) {
    refuse(`it is a path and a token${takesDepth ? ", or these and a depth" : ""}`);
  }
  const depth = depthText === void 0 ? void 0 : leadingInteger(depthText);
  if (depth !== void 0 && depth < 0) refuse("a depth is not negative");
  return { path, token, depth };
}
function watchedPath(request, path) {
  if (!isSpecialPath(path)) return request.nodes().resolve(path);
  if (path.length > XENSTORE_REL_PATH_MAX) {
    throw new XenError("EINVAL", "watch", `a name has at most ${XENSTORE_REL_PATH_MAX} bytes`);
  }
  return path;
}
function watch(request) {
  const { connection } = request;
  const { path, token, depth } = watchAsked(request);
  const absolute = watchedPath(request, path);
  if (connection.findWatch(absolute, token) !== void 0) {
    throw new XenError("EEXIST", `watch ${path}`, "with the same token");
  }
  const { account, home } = connection.domain;
  if (account.watches > account.limit("watches")) {
    throw account.denied("E2BIG", "watches", "a watch");
  }
  if (account.memoryExceededBy(absolute.length + token.length)) {
    throw account.denied("ENOMEM", "memoryHard", "memory for a watch");
  }
  const relative = !isAbsolutePath(path) && !isSpecialPath(path);
  const added = { watcher: connection, path: absolute, token, depth, home: relative ? home : "" };
  connection.addWatch(added);
  request.afterReply = () => connection.deliver(pathSeenBy(added, absolute), token, void 0);
  return OK_PAYLOAD;
}
function unwatch(request) {
  const { connection } = request;
  const strings = request.strings(2);
  const [path, token] = strings;
  if (strings.length > 2) refuse("what is not watched any more is a path and a token");
  const relative = !isAbsolutePath(path) && !isSpecialPath(path);
  const absolute = relative ? `${connection.domain.home}/${path}` : path;
  const found = connection.findWatch(absolute, token);
  if (found === void 0) throw new XenError("ENOENT", `unwatch ${path}`);
  connection.removeWatch(found);
  return OK_PAYLOAD;
}
function resetWatches(request) {
  request.connection.reset();
  return OK_PAYLOAD;
}
function startTransaction(request) {
  const { connection, transaction } = request;
  if (transaction !== void 0) {
    throw new XenError("EBUSY", "start a transaction", "there are none within another");
  }
  const { account } = connection.domain;
  if (connection.transactions.size > account.limit("transactions")) {
    throw account.denied("ENOSPC", "transactions", "a transaction");
  }
  if (account.memoryExceededBy(TRANSACTION_COST)) {
    throw account.denied("ENOMEM", "memoryHard", "memory for a transaction");
  }
  const { id } = connection.startTransaction();
  account.peaks.note("transactions", connection.transactions.size);
  return encodeStrings(String(id));
}
function endTransaction(request) {
  const { connection, transaction } = request;
  const verdict = request.onlyString();
  if (verdict !== "T" && verdict !== "F") {
    throw new XenError("EINVAL", "end a transaction", 'it is "T" or "F"');
  }
  if (transaction === void 0) throw new XenError("ENOENT", "end a transaction", "none is meant");
  try {
    if (verdict === "T") commitTransaction(request, transaction);
  } finally {
    connection.endTransaction(transaction);
  }
  return OK_PAYLOAD;
}

// src/xenstored/control-arguments.ts
function refuseArguments(command, takes) {
  throw new XenError(
    "EINVAL",
    `control ${command}`,
    `it takes ${takes === "" ? "nothing" : takes}`
  );
}

// src/xenstored/control-inspection.ts
var REST_MAX = 32;
function activityLine(request, domain) {
  const { domid, account, activity } = domain;
  const requests = [...activity.requests].map(([type, count]) => [
    type === UNKNOWN_REQUEST ? "UNKNOWN" : operationName(type),
    count
  ]);
  const figures = [
    ["requests", requests.reduce((sum, [, count]) => sum + count, 0)],
    ["errors", activity.errors],
    ["refusals", account.refusals],
    ["events", activity.events],
    ["received", activity.received],
    ["sent", activity.sent],
    ["committed", activity.committed],
    ["replayed", activity.replayed],
    ["conflicted", activity.conflicted],
    ["nodes", account.nodes],
    ["watches", account.watches],
    ["transactions", request.services.introductions.transactionsOf(domain).length],
    ["outstanding", account.outstanding],
    ["memory", account.memory],
    ...requests
  ];
  return `domain ${domid}: ${figures.map(([name, value]) => `${name}=${value}`).join(" ")}
`;
}
function showActivity(request, from) {
  const domains = [...request.store.domains].filter(({ domid }) => domid >= from);
  domains.sort((one, other) => one.domid - other.domid);
  let text = "";
  for (const domain of domains) {
    const line = activityLine(request, domain);
    if (text.length + line.length > PAYLOAD_MAX - REST_MAX) {
      return encodeStrings(`${text}more from ${domain.domid}
`);
    }
    text += line;
  }
  return encodeStrings(text);
}
function listed(lines) {
  let text = "";
  for (const [index, line] of lines.entries()) {
    if (text.length + line.length + 2 > PAYLOAD_MAX - REST_MAX) {
      return encodeStrings(`${text}and ${lines.length - index} more
`);
    }
    text += `${line}
`;
  }
  return encodeStrings(text);
}
function showWatches(request) {
  const lines = [...request.store.watches].map(({ watcher, path, token, depth }) => {
    const domid = watcher.caller.identity?.domid;
    const owner = domid === void 0 ? "a socket" : `domain ${domid}`;
    return `${owner}: ${path} ${token}${depth === void 0 ? "" : ` depth ${depth}`}`;
  });
  return listed(lines);
}
function showTransactions(request, domid) {
  const domain = request.store.domains.find(leadingDomid(domid));
  if (domain === void 0)
    throw new XenError("ENOENT", `show the transactions of domain ${domid}`);
  const open = request.services.introductions.transactionsOf(domain);
  const lines = open.map(({ id, usage: { nodes, requests, bytes } }) => {
    return `transaction ${id}: ${nodes} nodes, ${requests} requests, ${bytes} bytes`;
  });
  return listed(lines);
}

// src/xenstored/control-live-update.ts
function refuse2(rule) {
  throw new XenError("EINVAL", "control live-update", rule);
}
function only(args, what) {
  const [argument] = args;
  if (argument === void 0 || args.length > 1) refuse2(`it takes ${what}`);
  return argument;
}
function startOptions(args) {
  let force = false;
  let timeout_s = 0;
  for (let at = 0; at < args.length; at++) {
    if (args[at] === "-F") {
      force = true;
    } else if (args[at] === "-t" && at + 1 < args.length) {
      timeout_s = Math.max(0, leadingInteger(args[++at]));
    } else {
      refuse2("-s takes -F and -t with a number of seconds");
    }
  }
  return { force, timeout_ms: timeout_s * 1e3 };
}
function lengthOf(text) {
  if (!/^\d{1,9}$/.test(text)) refuse2("a length is a decimal number");
  return Number(text);
}
function pieceOf({ packet }, [length = ""]) {
  const { payload } = packet;
  const start = ["live-update", "-d", length].reduce((at, word) => at + word.length + 1, 0);
  const end = start + lengthOf(length);
  if (end > payload.length) refuse2("-d takes a length and so many bytes");
  return payload.subarray(start, end);
}
function step(request, [option, ...args]) {
  const { connection, packet, services } = request;
  const update = services.liveUpdate;
  switch (option) {
    case "-f":
      update.choose(connection, only(args, "a file"));
      return "done";
    case "-b":
      update.expectImage(connection, lengthOf(only(args, "a length")));
      return "done";
    case "-d":
      update.addToImage(connection, pieceOf(request, args));
      return "done";
    case "-c":
      update.setCommandLine(connection, only(args, "a command line"));
      return "done";
    case "-s":
      update.start(connection, packet, startOptions(args));
      return "answered later";
    case "-a":
      if (args.length > 0) refuse2("-a takes nothing");
      update.abort();
      return "done";
    default:
      return refuse2("a step is one of -f -b -d -c -s -a");
  }
}
function liveUpdate(request, args) {
  try {
    return step(request, args) === "done" ? OK_PAYLOAD : void 0;
  } catch (error) {
    if (!(error instanceof XenError) || error.operation === "control live-update") throw error;
    if (errorCode(error) === "EBUSY" && args[0] === "-s") return encodeStrings("BUSY");
    return encodeStrings(errorMessage(error));
  }
}

// src/xenstored/control-quota.ts
var QUOTA_TAKES = "[set <name> <val>|<domid>|max [-r]]";
var QUOTA_SOFT_TAKES = "[set <name> <val>]";
var PEAK_NAMES = [
  ["nodes", "nodes"],
  ["watches", "watches"],
  ["transactions", "transactions"],
  ["outstanding", "outstanding"],
  ["memory", "memory"],
  ["transaction-nodes", "transactionNodes"],
  ["node-permissions", "permissions"],
  ["path-length", "pathLength"],
  ["node-size", "nodeSize"]
];
var number = (value) => String(value).padStart(8);
function showQuotas(request, quotas) {
  const lines = quotas.map(({ name, quota: quota2, description }) => {
    return `${name.padEnd(17)}: ${number(request.store.quotas[quota2])} ${description}
`;
  });
  return encodeStrings(`Quota settings:
${lines.join("")}`);
}
function setQuota(request, quotas, [name = "", text = ""]) {
  const named = quotas.find((quota2) => quota2.name === name);
  const value = leadingInteger(text);
  if (named === void 0 || value < 1) {
    refuseArguments("quota set", "the name of a quota and its value");
  }
  request.store.quotas[named.quota] = value;
  request.services.log.info(`quota ${name} is now ${value}`, { quota: name, limit: value });
  return OK_PAYLOAD;
}
function showUsage(request, domid) {
  const domain = request.store.domains.find(domid);
  if (domain === void 0) throw new XenError("ENOENT", `show the usage of domain ${domid}`);
  const { account } = domain;
  const usage = [
    ["nodes", account.nodes],
    ["watches", account.watches],
    ["transactions", request.services.introductions.transactionsOf(domain).length],
    ["outstanding", account.outstanding],
    ["memory", account.memory]
  ];
  const lines = usage.map(([name, value]) => {
    return `${name.padEnd(16)}: ${number(value)} (max: ${number(account.peaks.get(name))})
`;
  });
  return encodeStrings(`Domain ${domid}:
${lines.join("")}`);
}
function showPeaks(request, args) {
  const [flag] = args;
  if (args.length > 1 || flag !== void 0 && flag !== "-r") {
    refuseArguments("quota", QUOTA_TAKES);
  }
  const { domains } = request.store;
  if (flag === "-r") domains.resetPeaks();
  const peaks = domains.peaks();
  const lines = PEAK_NAMES.map(([name, what]) => {
    return `${name.padEnd(17)}: ${number(peaks.get(what))}
`;
  });
  return encodeStrings(`Max. values of any unprivileged domain:
${lines.join("")}`);
}
function quota(request, args) {
  const [first = "", ...rest] = args;
  if (args.length === 0) return showQuotas(request, HARD_QUOTAS);
  if (first === "max") return showPeaks(request, rest);
  if (first === "set") {
    if (rest.length !== 2) refuseArguments("quota", QUOTA_TAKES);
    return setQuota(request, HARD_QUOTAS, rest);
  }
  if (args.length !== 1) refuseArguments("quota", QUOTA_TAKES);
  return showUsage(request, leadingDomid(first));
}
function softQuota(request, args) {
  const [first, ...rest] = args;
  if (args.length === 0) return showQuotas(request, SOFT_QUOTAS);
  if (first !== "set" || rest.length !== 2) refuseArguments("quota-soft", QUOTA_SOFT_TAKES);
  return setQuota(request, SOFT_QUOTAS, rest);
}

// src/xenstored/trace-buffer.ts
var LINES_MAX = 8192;
var INTEREST_MS = 1e4;
var TraceBuffer = class {
  clock;
  /** Line number `n` stands at `n % LINES_MAX`. */
  lines = [];
  /** Numbers of the lines that are kept, as far as there is room: from here to before `end`. */
  start = 0;
  end = 0;
  wantedUntil_ms = Number.NEGATIVE_INFINITY;
  constructor(clock) {
    this.clock = clock;
  }
  /** Whether somebody wants lines. */
  get wanted() {
    if (this.wantedUntil_ms === Number.NEGATIVE_INFINITY) return false;
    if (this.clock.now_ms() <= this.wantedUntil_ms) return true;
    this.wantedUntil_ms = Number.NEGATIVE_INFINITY;
    this.lines = [];
    this.start = this.end;
    return false;
  }
  add(line) {
    this.lines[this.end % LINES_MAX] = line;
    this.end++;
  }
  /**
   * The lines from number `from` on, as many as `room` bytes hold with a newline each; none without
   * a number, which is how to begin. Whoever asks is taken to want more for a while.
   */
  read(from, room) {
    if (!this.wanted) this.start = this.end;
    this.wantedUntil_ms = this.clock.now_ms() + INTEREST_MS;
    const asked = Math.min(from ?? this.end, this.end);
    const first = Math.max(asked, this.start, this.end - LINES_MAX);
    const lines = [];
    let bytes = 0;
    for (let number2 = first; number2 < this.end; number2++) {
      const line = this.lines[number2 % LINES_MAX];
      bytes += line.length + 1;
      if (bytes > room) break;
      lines.push(line);
    }
    return { next: first + lines.length, lost: first - asked, lines };
  }
};

// src/xenstored/trace.ts
var TRACE_SWITCHES = ["obj", "io", "wrl"];
function isTraceSwitch(name) {
  return TRACE_SWITCHES.includes(name);
}
var SHOWN_MAX = 256;
function shown(text) {
  return text.slice(0, SHOWN_MAX).replace(/[^ -~]/g, " ");
}
function isAboutTrace(type, payload) {
  return type === XS_CONTROL && /^trace[\0 ]/.test(latin1Decode(payload, 0, Math.min(6, payload.length)));
}
var Trace = class {
  file;
  /** For whoever looks on: see `paravane trace`. */
  recent;
  clock;
  on = /* @__PURE__ */ new Set(["obj", "io"]);
  constructor(file, clock) {
    this.file = file;
    this.clock = clock;
    this.recent = new TraceBuffer(clock);
  }
  isOn(name) {
    return this.on.has(name);
  }
  turn(name, on) {
    if (on) this.on.add(name);
    else this.on.delete(name);
  }
  /** Whether a note about that would be kept. */
  notes(about) {
    return this.on.has(about) && (this.file?.isOpen === true || this.recent.wanted);
  }
  /** Something that befell the named connection, such as `create` with `watch /a token`. */
  note(about, name, what, detail) {
    if (!this.notes(about)) return;
    this.line(about.toUpperCase(), name, what, shown(detail), this.recent.wanted);
  }
  /** One request (`IN`), or reply or event (`OUT`), of the named connection. */
  packet(direction, name, type, payload) {
    if (!this.on.has("io")) return;
    const isForFile = this.file?.isOpen === true;
    const isForRecent = this.recent.wanted && !isAboutTrace(type, payload);
    if (!isForFile && !isForRecent) return;
    this.line(
      direction,
      name,
      operationName(type),
      shown(latin1Decode(payload.subarray(0, SHOWN_MAX))),
      isForRecent
    );
  }
  line(head, name, what, detail, isForRecent) {
    const when = new Date(this.clock.wallclock_ms()).toISOString();
    const line = `${head} ${name} ${when} ${what} (${detail})`;
    if (this.file?.isOpen === true) this.file.write(line);
    if (isForRecent) this.recent.add(line);
  }
};

// src/xenstored/control.ts
var ACTIVITY_TAKES = "[<first domid>]";
var LOG_TAKES = "[on|off|+<switch>|-<switch>]";
var TRACE_HEAD_MAX = 64;
function memoryReport(request) {
  const { store } = request;
  const domains = [...store.domains].map(({ domid, account }) => {
    return `domain ${domid}: ${account.memory} bytes, ${account.nodes} nodes
`;
  });
  return `${store.tree.size} nodes, ${store.watches.count} watches
${domains.join("")}`;
}
function writeMemoryReport(request, args) {
  if (args.length > 1) refuseArguments("memreport", COMMANDS.memreport?.takes ?? "");
  const { file } = request.services.trace;
  const [path] = args;
  const report = memoryReport(request);
  if (file !== void 0 && path !== void 0) file.append(path, report);
  else if (file?.isOpen) file.write(report);
  else throw new XenError("EBADF", "control memreport", "there is no file to write to");
  return OK_PAYLOAD;
}
function showTrace(request, args) {
  const [from] = args;
  if (args.length > 1 || from !== void 0 && !/^\d{1,15}$/.test(from)) {
    refuseArguments("trace", COMMANDS.trace?.takes ?? "");
  }
  const room = PAYLOAD_MAX - TRACE_HEAD_MAX;
  const { recent } = request.services.trace;
  const part2 = recent.read(from === void 0 ? void 0 : Number(from), room);
  const lines = part2.lines.map((line) => `${line}
`).join("");
  return encodeStrings(`trace ${part2.next} ${part2.lost}
${lines}`);
}
function logSwitches(request, args) {
  const { trace } = request.services;
  const [word] = args;
  if (word === void 0) {
    const lines = TRACE_SWITCHES.map(
      (name2) => `${name2.padEnd(8)}: ${trace.isOn(name2) ? "on" : "off"}
`
    );
    return encodeStrings(`Log switch settings:
${lines.join("")}`);
  }
  const name = word.slice(1);
  if (args.length > 1) refuseArguments("log", LOG_TAKES);
  else if (word === "on") trace.file?.open();
  else if (word === "off") trace.file?.close();
  else if (/^[+-]/.test(word) && isTraceSwitch(name)) trace.turn(name, word.startsWith("+"));
  else refuseArguments("log", LOG_TAKES);
  return OK_PAYLOAD;
}
var COMMANDS = {
  check: {
    takes: "",
    run: (request, args) => {
      if (args.length > 0) refuseArguments("check", "");
      const findings = request.store.check();
      request.services.log.info("checked the store", { findings });
      return OK_PAYLOAD;
    }
  },
  log: {
    takes: LOG_TAKES,
    run: logSwitches
  },
  "live-update": {
    takes: "[-c <cmdline>] [-F] [-t <timeout>] <file>",
    run: liveUpdate
  },
  logfile: {
    takes: "<file>",
    run: (request, args) => {
      const [path] = args;
      if (args.length !== 1 || path === void 0) refuseArguments("logfile", "<file>");
      request.services.trace.file?.close();
      request.services.trace.file?.open(path);
      return OK_PAYLOAD;
    }
  },
  memreport: { takes: "[<file>]", run: writeMemoryReport },
  print: {
    takes: "<string>",
    run: (request, args) => {
      if (args.length !== 1) refuseArguments("print", "<string>");
      request.services.log.info(`control: ${args[0]}`);
      return OK_PAYLOAD;
    }
  },
  quota: { takes: QUOTA_TAKES, run: quota },
  "quota-soft": { takes: QUOTA_SOFT_TAKES, run: softQuota },
  watches: {
    takes: "",
    run: (request, args) => {
      if (args.length > 0) refuseArguments("watches", "");
      return showWatches(request);
    }
  },
  txn: {
    takes: "<domid>",
    run: (request, args) => {
      const [domid] = args;
      if (args.length !== 1 || domid === void 0) refuseArguments("txn", "<domid>");
      return showTransactions(request, domid);
    }
  },
  activity: {
    takes: ACTIVITY_TAKES,
    run: (request, args) => {
      const [from = "0"] = args;
      if (args.length > 1 || !/^\d{1,5}$/.test(from)) refuseArguments("activity", ACTIVITY_TAKES);
      return showActivity(request, Number(from));
    }
  },
  trace: { takes: "[<number>]", run: showTrace },
  help: {
    takes: "",
    run: (_request, args) => {
      if (args.length > 0) refuseArguments("help", "");
      const lines = Object.entries(COMMANDS).map(([name, { takes }]) => `${name}	${takes}
`);
      return encodeStrings(lines.join(""));
    }
  }
};
function control(request) {
  const [name = "", ...args] = request.strings(1);
  const command = Object.entries(COMMANDS).find(([known]) => known === name)?.[1];
  if (command === void 0) throw new XenError("EINVAL", "control", "no command of that name");
  return command.run(request, args);
}

// src/xenstored/domain-operations.ts
function namedDomain(request) {
  const domid = leadingDomid(request.onlyString());
  if (domid === 0) throw new XenError("EINVAL", "look for a domain", "dom0 is not meant");
  return request.services.introductions.get(domid);
}
function introduce(request) {
  const [domid = "", , port = ""] = request.strings(3);
  request.services.introductions.introduce(leadingDomid(domid), leadingInteger(port));
  return OK_PAYLOAD;
}
function release(request) {
  request.services.introductions.release(namedDomain(request));
  return OK_PAYLOAD;
}
function resume(request) {
  namedDomain(request).shutdown = false;
  return OK_PAYLOAD;
}
function setTarget(request) {
  const [domid = "", target = ""] = request.strings(2);
  const { introductions } = request.services;
  const domain = introductions.get(leadingDomid(domid));
  domain.target = introductions.get(leadingDomid(target));
  return OK_PAYLOAD;
}
function getDomainPath(request) {
  return encodeStrings(`/local/domain/${leadingDomid(request.onlyString())}`);
}
function isDomainIntroduced(request) {
  const domid = leadingDomid(request.onlyString());
  const is = domid === DOMID_SELF || request.services.introductions.isIntroduced(domid);
  return encodeStrings(is ? "T" : "F");
}

// src/xenstored/feature-operations.ts
function refuse3(what, rule) {
  throw new XenError("EINVAL", what, rule);
}
function namedDomain2(request, text) {
  const domid = /^[0-9]{1,5}$/.test(text) ? Number(text) : 65536;
  if (domid > 65535) refuse3("look for a domain", "a domid is a number from 0 to 65535");
  const domain = request.store.domains.known(domid);
  if (domain === void 0) throw new XenError("ENOENT", `look for domain ${domid}`);
  return domain;
}
function namedQuota(name) {
  return QUOTAS_BY_NAME.get(name) ?? refuse3("look for a quota", "there is none of that name");
}
function getFeature(request) {
  const { connection } = request;
  const [domid, ...others] = request.strings(0);
  if (domid === void 0) return encodeStrings(String(connection.features));
  if (!connection.privileged) throw new XenError("EACCES", "get the features of a domain");
  if (others.length > 0) refuse3("get the features of a domain", "it takes one domid");
  return encodeStrings(String(namedDomain2(request, domid).features));
}
function setFeature(request) {
  const [domid = "", text = "", ...others] = request.strings(2);
  const what = `set the features of domain ${domid}`;
  if (others.length > 0) refuse3(what, "it takes a domid and a number");
  const domain = namedDomain2(request, domid);
  const features = leadingInteger(text);
  if (domain.introduced) throw new XenError("EBUSY", what, "it is introduced already");
  if ((features & ~SERVER_FEATURES) !== 0) refuse3(what, "a bit stands for nothing that we have");
  domain.features = features;
  return OK_PAYLOAD;
}
function getQuota(request) {
  const strings = request.strings(0);
  const [first = "", second] = strings;
  if (strings.length === 0) return encodeStrings([...QUOTAS_BY_NAME.keys()].join(" "));
  if (strings.length > 2) refuse3("get a quota", "it takes a domid and a name");
  const value = second === void 0 ? request.store.quotas[namedQuota(first)] : namedDomain2(request, first).account.quota(namedQuota(second));
  return encodeStrings(String(value));
}
function setQuota2(request) {
  const strings = request.strings(2);
  if (strings.length > 3) refuse3("set a quota", "it takes a domid, a name and a number");
  const [name, text] = strings.slice(-2);
  const domain = strings.length === 3 ? namedDomain2(request, strings[0]) : void 0;
  const quota2 = namedQuota(name);
  const value = leadingInteger(text);
  if (value < 0) refuse3("set a quota", "it is not negative");
  if (domain === void 0) request.store.quotas[quota2] = value;
  else domain.account.setQuota(quota2, value);
  request.services.log.info(`quota ${name} is now ${value}`, {
    quota: name,
    limit: value,
    ...domain === void 0 ? {} : { domid: domain.domid }
  });
  return OK_PAYLOAD;
}

// src/xenstored/operations.ts
var OPERATIONS = new Map([
  ...[...NODE_OPERATIONS].map(([type, run]) => [type, { run }]),
  [XS_CONTROL, { run: control, privileged: true, changesSettings: true }],
  [XS_WATCH, { run: watch, ignoresTransaction: true }],
  [XS_UNWATCH, { run: unwatch, ignoresTransaction: true }],
  [XS_TRANSACTION_START, { run: startTransaction }],
  [XS_TRANSACTION_END, { run: endTransaction }],
  [XS_INTRODUCE, { run: introduce, privileged: true, changesSettings: true }],
  [XS_RELEASE, { run: release, privileged: true, changesSettings: true }],
  [XS_GET_DOMAIN_PATH, { run: getDomainPath }],
  [XS_IS_DOMAIN_INTRODUCED, { run: isDomainIntroduced, privileged: true }],
  [XS_RESUME, { run: resume, privileged: true, changesSettings: true }],
  [XS_SET_TARGET, { run: setTarget, privileged: true, changesSettings: true }],
  [XS_RESET_WATCHES, { run: resetWatches }],
  [XS_GET_FEATURE, { run: getFeature }],
  [XS_SET_FEATURE, { run: setFeature, privileged: true, changesSettings: true }],
  [XS_GET_QUOTA, { run: getQuota, privileged: true }],
  [XS_SET_QUOTA, { run: setQuota2, privileged: true, changesSettings: true }]
]);
function transactionOf(connection, packet) {
  if (packet.transactionId === 0) return void 0;
  const transaction = connection.transactions.get(packet.transactionId);
  if (transaction === void 0) {
    throw new XenError("ENOENT", `use transaction ${packet.transactionId}`);
  }
  return transaction;
}
function prepare(connection, services, packet, charge) {
  const operation = OPERATIONS.get(packet.type);
  if (operation === void 0) throw new XenError("ENOSYS", operationName(packet.type));
  if (operation.privileged && !connection.privileged) {
    throw new XenError("EACCES", operationName(packet.type), "it is for privileged clients");
  }
  if (operation.changesSettings) services.store.settingsChanged();
  const ignores = operation.ignoresTransaction === true;
  const transaction = ignores ? void 0 : transactionOf(connection, packet);
  return { operation, request: new Request(connection, services, packet, transaction, charge) };
}
function answer(connection, services, packet, charge) {
  services.trace.packet("IN", connection.name, packet.type, packet.payload);
  const known = OPERATIONS.has(packet.type);
  connection.domain.activity.countRequest(known ? packet.type : UNKNOWN_REQUEST, packet);
  let request;
  let reply;
  try {
    const prepared = prepare(connection, services, packet, charge);
    request = prepared.request;
    const payload = prepared.operation.run(request);
    if (payload === void 0) return;
    reply = { type: packet.type, payload };
  } catch (error) {
    reply = errorReply(error, connection, services);
  }
  if (request?.aboutNodes) request.transaction?.record(packet, reply);
  if (request?.aboutNodes && request.transaction !== void 0 && changesNodes(packet, reply.type)) {
    connection.journal?.transactionChanged(request.transaction.id, packet);
  }
  connection.reply(packet, reply.type, reply.payload, charge);
  if (reply.type !== XS_ERROR) request?.afterReply();
}

// src/xenstored/time-limit.ts
var SHARE = 0.5;
var SAVED_MS_MAX = 10;
var TimeLimit = class {
  clock;
  credits = /* @__PURE__ */ new WeakMap();
  constructor(clock) {
    this.clock = clock;
  }
  /** Does `work` at the expense of the domain. */
  charge(domain, work) {
    if (domain.privileged) {
      work();
      return;
    }
    const start_ms = this.clock.now_ms();
    work();
    const credit = this.updated(domain);
    credit.amount_ms -= credit.updated_ms - start_ms;
  }
  /** How long the domain must wait until it is listened to again; 0 for not at all. */
  wait_ms(domain) {
    if (domain.privileged || !this.credits.has(domain)) return 0;
    const { amount_ms } = this.updated(domain);
    return amount_ms >= 0 ? 0 : -amount_ms / SHARE;
  }
  updated(domain) {
    const now_ms = this.clock.now_ms();
    let credit = this.credits.get(domain);
    if (credit === void 0) {
      credit = { amount_ms: SAVED_MS_MAX, updated_ms: now_ms };
      this.credits.set(domain, credit);
    }
    const earned_ms = (now_ms - credit.updated_ms) * SHARE;
    credit.amount_ms = Math.min(credit.amount_ms + earned_ms, SAVED_MS_MAX);
    credit.updated_ms = now_ms;
    return credit;
  }
};

// src/xenstored/write-limit.ts
var CREDITS_PER_SECOND = 200;
var DOMAIN_CREDIT_MAX = 10;
var RESERVE_MAX = 1e3;
var WriteLimit = class {
  clock;
  domains;
  credits = /* @__PURE__ */ new WeakMap();
  reserve = RESERVE_MAX;
  constructor(clock, domains) {
    this.clock = clock;
    this.domains = domains;
  }
  /** Takes a credit for a change that was in the way of somebody's transaction. */
  debit(domain) {
    if (domain.privileged) return;
    const credit = this.updated(domain);
    credit.amount -= 1;
    this.borrow(credit);
  }
  /** How long the domain must wait until it is listened to again; 0 for not at all. */
  wait_ms(domain) {
    if (domain.privileged || !this.credits.has(domain)) return 0;
    const credit = this.updated(domain);
    this.borrow(credit);
    return credit.amount >= 0 ? 0 : Math.ceil(-credit.amount / this.creditsPerMs);
  }
  get creditsPerMs() {
    return CREDITS_PER_SECOND / 1e3 / this.domains.count;
  }
  updated(domain) {
    const now_ms = this.clock.now_ms();
    let credit = this.credits.get(domain);
    if (credit === void 0) {
      credit = { amount: DOMAIN_CREDIT_MAX, updated_ms: now_ms };
      this.credits.set(domain, credit);
    }
    const earned = (now_ms - credit.updated_ms) * this.creditsPerMs;
    const amount = credit.amount + earned;
    credit.updated_ms = now_ms;
    credit.amount = Math.min(amount, DOMAIN_CREDIT_MAX);
    this.reserve = Math.min(this.reserve + amount - credit.amount, RESERVE_MAX);
    return credit;
  }
  borrow(credit) {
    const borrowed = Math.min(Math.max(0, -credit.amount), this.reserve);
    credit.amount += borrowed;
    this.reserve -= borrowed;
  }
};

// src/xenstored/server.ts
var Server = class {
  parts;
  options;
  store;
  services;
  writeLimit;
  timeLimit;
  connections = /* @__PURE__ */ new Set();
  /** Clients that have events queued which were not given to them yet. */
  unflushed = /* @__PURE__ */ new Set();
  /** Clients that have requests which may not be answered now. */
  held = /* @__PURE__ */ new Set();
  /** By id: those of the state that is taken up. */
  charges = /* @__PURE__ */ new Map();
  isClosed = false;
  constructor(parts) {
    const { clock, log, domainControl, hypervisor } = parts;
    this.parts = parts;
    this.options = { ...DEFAULT_OPTIONS, ...parts.options };
    const { options } = this;
    const { state } = parts;
    const quotas = { ...state?.quotas ?? options.quotas };
    const domains = new Domains({ domainControl, options, quotas, clock, log }, state);
    const store = new Store(domains, quotas, log, state);
    this.store = store;
    this.writeLimit = new WriteLimit(clock, domains);
    this.timeLimit = new TimeLimit(clock);
    const introductions = new Introductions({
      hypervisor,
      domainControl,
      store,
      options,
      log,
      connect: (name, carrier, connection) => this.connect(name, carrier, connection),
      turnEnded: () => this.turnEnded()
    });
    const trace = new Trace(parts.traceFile, clock);
    const liveUpdate2 = new LiveUpdate({
      succession: parts.succession,
      clock,
      log,
      transactionHolders: () => [...this.connections].filter(({ transactions }) => transactions.size > 0).map(({ name }) => name),
      capture: (connection, reply) => this.captureWith(connection, reply),
      ports: () => introductions.ports,
      leaveRings: () => this.leaveRings(),
      reply: (connection, packet) => this.replyLater(connection, packet)
    });
    this.services = { store, introductions, clock, log, trace, liveUpdate: liveUpdate2 };
    if (parts.journal !== void 0) {
      store.journal = new Journal({ ...parts.journal, clock, log }, this);
    }
    if (state !== void 0) this.takeUp(state);
    store.journal?.begin();
  }
  attachSocket(stream, name, handover) {
    this.connect(name, { stream, domain: void 0, handover });
  }
  attachKernelRing(page, channel) {
    this.services.introductions.attachKernelRing(page, channel);
  }
  capture() {
    return this.captureWith();
  }
  /** @param reply is not sent yet to that connection */
  captureWith(repliedTo, reply) {
    const { generation, nodes } = this.store.capture();
    const { waiting } = this.services.introductions;
    return {
      generation,
      nodes,
      lastIncarnation: this.lastIncarnation,
      ...this.settings(),
      connections: [...this.connections].map((connection) => connection.capture(connection === repliedTo ? reply : void 0)).concat(waiting).filter((connection) => connection !== void 0)
    };
  }
  settings() {
    const { quotas, specialPermissions, domains } = this.store;
    return {
      quotas: { ...quotas },
      specialPermissions: new Map(specialPermissions),
      domains: [...domains].map((domain) => domain.capture())
    };
  }
  get settingsRevision() {
    return this.store.settingsRevision + this.lastIncarnation;
  }
  get generation() {
    return this.store.lastGeneration;
  }
  get lastIncarnation() {
    return this.store.domains.incarnations;
  }
  status() {
    const { store } = this;
    return {
      nodes: store.tree.size,
      watches: store.watches.count,
      connections: this.connections.size,
      transactions: store.openTransactions,
      introduced: [...store.domains].filter(({ introduced }) => introduced).map(({ domid }) => domid).sort((a, b) => a - b)
    };
  }
  check() {
    return this.store.check();
  }
  close() {
    if (this.isClosed) return;
    this.isClosed = true;
    this.store.journal?.close();
    this.services.introductions.close();
    for (const connection of this.connections) connection.close();
  }
  /** Goes on with the clients of an earlier xenstored, and looks who is gone since. */
  takeUp({ domains, connections }) {
    const { introductions } = this.services;
    const { adoptSocket, clock } = this.parts;
    for (const connection of connections) {
      const { carrier } = connection;
      if (carrier.kind !== "socket" || adoptSocket === void 0) continue;
      const adopted = adoptSocket(carrier);
      if (adopted === void 0) continue;
      const { stream, handover } = adopted;
      this.connect(carrier.name, { stream, domain: void 0, handover }, connection);
    }
    introductions.takeUp(domains, connections);
    clock.after(0, () => {
      if (this.isClosed) return;
      this.charges.clear();
      introductions.lookForDead();
      this.turnEnded();
    });
  }
  /** None for a domain that is gone. */
  chargeOf({ id, domid }) {
    const account = this.store.domains.find(domid)?.account;
    const known = this.charges.get(id);
    if (known !== void 0 || account === void 0) return known;
    const charge = this.store.chargeAgain(account, id);
    this.charges.set(id, charge);
    return charge;
  }
  connect(name, carrier, state) {
    const { clock, log } = this.parts;
    const parts = {
      store: this.store,
      options: this.options,
      clock,
      log,
      trace: this.services.trace,
      chargeOf: (charge) => this.chargeOf(charge),
      commit: () => this.store.journal?.commit(),
      answer: (connection2, request, charge) => {
        const { disturbances } = this.store;
        const { domain } = connection2;
        this.timeLimit.charge(domain, () => answer(connection2, this.services, request, charge));
        if (this.store.disturbances !== disturbances) this.writeLimit.debit(domain);
      },
      wait_ms: (domain) => Math.max(this.writeLimit.wait_ms(domain), this.timeLimit.wait_ms(domain)),
      eventsQueued: (connection2) => this.unflushed.add(connection2),
      held: (connection2) => this.held.add(connection2),
      turnEnded: () => this.turnEnded(),
      mayStartTransaction: () => !this.services.liveUpdate.holdsTransactions,
      closed: (connection2) => {
        this.services.liveUpdate.closed(connection2);
        this.held.delete(connection2);
        this.connections.delete(connection2);
        this.unflushed.delete(connection2);
      }
    };
    const connection = new Connection(name, carrier, parts, state);
    this.connections.add(connection);
    for (const { id, again } of state?.transactions ?? []) {
      const transaction = connection.transactions.get(id);
      if (again === void 0 || transaction === void 0) continue;
      repeatRequests(connection, this.services, transaction, again);
    }
    return connection;
  }
  leaveRings() {
    const takeRingsBack = this.services.introductions.leave();
    return () => {
      takeRingsBack();
      this.store.journal?.begin();
      this.turnEnded();
    };
  }
  replyLater(connection, packet) {
    connection.reply(packet, packet.type, packet.payload, void 0);
    this.unflushed.add(connection);
    this.turnEnded();
  }
  turnEnded() {
    this.store.journal?.commit();
    if (this.unflushed.size > 0) {
      for (const connection of this.unflushed) connection.flush();
      this.unflushed.clear();
    }
    if (this.held.size === 0) return;
    for (const connection of this.held) {
      if (connection.resume()) this.held.delete(connection);
    }
  }
};
function startXenstored(parts) {
  return new Server(parts);
}

export {
  xenstoreRingStream,
  SERVER_FEATURES,
  outputLength,
  skipOutput,
  NO_INCARNATION,
  EVERY_INCARNATION,
  ownerOf,
  PermissionLists,
  NO_VALUE,
  valueFrom,
  bytesOf,
  INTRODUCE_DOMAIN,
  RELEASE_DOMAIN,
  TRANSACTION_COST,
  ENTRY_COUNTERS,
  ENTRY_SETTINGS,
  ENTRY_DOMAIN,
  ENTRY_DOMAIN_GONE,
  ENTRY_NODE,
  ENTRY_NODE_TOUCHED,
  ENTRY_NODE_GONE,
  ENTRY_RING,
  ENTRY_RING_GONE,
  ENTRY_RING_IGNORED,
  ENTRY_RING_POSITION,
  ENTRY_OUTPUT,
  ENTRY_OUTPUT_DROPPED,
  ENTRY_WATCH,
  ENTRY_WATCH_GONE,
  ENTRY_TRANSACTION,
  ENTRY_TRANSACTION_GONE,
  ENTRY_TRANSACTION_REQUEST,
  ENTRY_TRANSACTION_LAST,
  readJournalHeader,
  FrameScanner,
  startXenstored
};
//# sourceMappingURL=chunk-R55HPQGR.js.map
