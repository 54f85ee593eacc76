import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  BackBus,
  DeviceEnd,
  needPeerNumber,
  readPeerFlag,
  readPeerNumber
} from "./chunk-LRBUSU5K.js";
import {
  Holdings
} from "./chunk-7FWQTIXQ.js";
import {
  QUEUES_MAX,
  RING_PAGE_ORDER_MAX,
  SECTOR_SIZE,
  STATISTICS_KEY,
  byteLength,
  diskRequest,
  isCdrom,
  openRequestedDisk,
  statisticsText
} from "./chunk-LQUJFEZC.js";
import {
  PAGE_SIZE
} from "./chunk-LYWPVKHU.js";
import {
  sleep
} from "./chunk-HVXLNJDG.js";
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitWait,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateUnknown
} from "./chunk-IXIAWWMT.js";
import {
  childPath,
  domainHome
} from "./chunk-FWPDKSSG.js";
import {
  arrayOf,
  assert,
  byteArray,
  i16,
  nested,
  struct,
  u16,
  u32,
  u64,
  u64exact,
  u8,
  unreachable
} from "./chunk-WRZEEFDO.js";
import {
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

// src/abi/io/blkif.ts
var BLKIF_OP_READ = 0;
var BLKIF_OP_WRITE = 1;
var BLKIF_OP_WRITE_BARRIER = 2;
var BLKIF_OP_FLUSH_DISKCACHE = 3;
var BLKIF_OP_DISCARD = 5;
var BLKIF_OP_INDIRECT = 6;
var BLKIF_RSP_EOPNOTSUPP = -2;
var BLKIF_RSP_ERROR = -1;
var BLKIF_RSP_OKAY = 0;
var BLKIF_MAX_SEGMENTS_PER_REQUEST = 11;
var BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST = 8;
var BLKIF_DISCARD_SECURE = 1;
var VDISK_CDROM = 1;
var VDISK_REMOVABLE = 2;
var VDISK_READONLY = 4;
var BlkifRequestSegment = struct("struct blkif_request_segment", {
  gref: u32,
  first_sect: u8,
  last_sect: u8
});
var segments = arrayOf(nested(BlkifRequestSegment), BLKIF_MAX_SEGMENTS_PER_REQUEST);
var indirectGrefs = arrayOf(u32, BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST);
var request = {
  operation: u8,
  nr_segments: u8,
  handle: u16,
  /** The front end's own number, echoed bit by bit in the response. */
  id: u64exact,
  sector_number: u64,
  /** A `BlkifRequestSegment` view that moves over these costs less than loading them all. */
  seg: segments
};
var discard = {
  operation: u8,
  flag: u8,
  handle: u16,
  id: u64exact,
  sector_number: u64,
  nr_sectors: u64
};
var indirect = {
  operation: u8,
  /** `BLKIF_OP_READ` or `BLKIF_OP_WRITE`. */
  indirect_op: u8,
  nr_segments: u16,
  id: u64exact,
  sector_number: u64,
  handle: u16,
  /** Pages that hold `nr_segments` segments, one after the other. */
  indirect_grefs: indirectGrefs
};
var response = {
  id: u64exact,
  operation: u8,
  /** `BLKIF_RSP_…`. */
  status: i16
};
var x86_32 = { alignMax: 4 };
var BlkifRequest = struct("struct blkif_request", request);
var BlkifRequestDiscard = struct("struct blkif_request_discard", discard);
var BlkifRequestIndirect = struct("struct blkif_request_indirect", indirect);
var BlkifResponse = struct("struct blkif_response", response);
var BlkifRequestX86_32 = struct("struct blkif_request", request, x86_32);
var BlkifRequestDiscardX86_32 = struct("struct blkif_request_discard", discard, x86_32);
var BlkifRequestIndirectX86_32 = struct(
  "struct blkif_request_indirect",
  { ...indirect, pad: u64exact },
  x86_32
);
var BlkifResponseX86_32 = struct("struct blkif_response", response, x86_32);

// src/ring/begun-answer.ts
var RESPONSE_BYTES_MAX = 32;
var Note = struct("begun answer", {
  /** `MAGIC` once the rest is whole: a foreign front end may leave anything here. */
  magic: u32,
  /** The `rsp_prod` at which the response belongs. */
  index: u32,
  response: byteArray(RESPONSE_BYTES_MAX)
});
var MAGIC_WORD = Note.offset.magic / 4;
var INDEX_WORD = Note.offset.index / 4;
var MAGIC = 1348564545;
var BegunAnswer = class {
  words;
  response;
  /** @param memory unused bytes of the ring's header, aligned to 4 */
  constructor(memory, responseSize) {
    assert(responseSize <= RESPONSE_BYTES_MAX && Note.size <= memory.length, "a response fits");
    this.words = new Uint32Array(memory.buffer, memory.byteOffset, Note.offset.response / 4);
    this.response = memory.subarray(Note.offset.response, Note.offset.response + responseSize);
  }
  /** The response that will stand at `index` is this one. */
  note(index, response2) {
    Atomics.store(this.words, MAGIC_WORD, 0);
    this.response.set(response2);
    Atomics.store(this.words, INDEX_WORD, index);
    Atomics.store(this.words, MAGIC_WORD, MAGIC);
  }
  /** The response noted for `index`, if there is one. */
  read(index) {
    const isNoted = Atomics.load(this.words, MAGIC_WORD) === MAGIC && Atomics.load(this.words, INDEX_WORD) === index;
    return isNoted ? this.response.slice() : void 0;
  }
};

// src/abi/io/ring.ts
var Sring = struct("struct blkif_sring", {
  req_prod: u32,
  req_event: u32,
  rsp_prod: u32,
  rsp_event: u32,
  pvt: byteArray(4),
  __pad: byteArray(44),
  /** Where the slots begin; their number and size depend on the protocol. */
  ring: byteArray(0)
});

// src/ring/ring-pages.ts
var REQ_PROD = Sring.offset.req_prod / 4;
var REQ_EVENT = Sring.offset.req_event / 4;
var RSP_PROD = Sring.offset.rsp_prod / 4;
var RSP_EVENT = Sring.offset.rsp_event / 4;
function slotsIn(bytes, slotSize) {
  const fit = Math.floor((bytes - Sring.offset.ring) / slotSize);
  assert(fit >= 1, `a ring of ${bytes} bytes holds a slot of ${slotSize}`);
  return 2 ** Math.floor(Math.log2(fit));
}
function ringPages(memory, messages) {
  const slotSize = Math.max(messages.request.size, messages.response.size);
  const slotAt = (index, size) => {
    const start = Sring.offset.ring + index * slotSize;
    return memory.subarray(start, start + size);
  };
  const indices = Array.from({ length: slotsIn(memory.length, slotSize) }, (_, index) => index);
  return {
    indexes: new Uint32Array(memory.buffer, memory.byteOffset, Sring.offset.ring / 4),
    unused: memory.subarray(Sring.offset.__pad, Sring.offset.ring),
    requests: indices.map((index) => slotAt(index, messages.request.size)),
    responses: indices.map((index) => slotAt(index, messages.response.size))
  };
}

// src/ring/back-ring.ts
var BackRing = class {
  /** Slots in the ring, a power of two. */
  size;
  pages;
  answer;
  reqCons;
  /** How far `req_prod` was checked. */
  reqChecked;
  rspProd;
  /** Responses after `rspProd` that are not published. */
  staged = 0;
  /** `rsp_prod` when the front end was last notified, or did not want to be. */
  rspNotified;
  /**
   * Attaches to a ring that the front end has initialised, at the last response in it. On a fresh
   * ring that is the start; on one whose former back end died it is the first request without an
   * answer, given that the former back end answered in order. Then notify the front end once,
   * since the dead one may not have come to it.
   *
   * @param memory the ring's pages as one run of bytes
   */
  constructor(memory, messages) {
    this.pages = ringPages(memory, messages);
    this.size = this.pages.requests.length;
    this.answer = new BegunAnswer(this.pages.unused, messages.response.size);
    this.rspProd = Atomics.load(this.pages.indexes, RSP_PROD);
    this.rspNotified = this.rspProd;
    this.reqCons = this.rspProd;
    this.reqChecked = this.rspProd;
    this.finishBegunAnswer();
    this.unconsumedRequests();
  }
  /** Requests taken and not yet answered. */
  get unanswered() {
    return this.reqCons - this.rspProd >>> 0;
  }
  /**
   * How many requests can be taken now. Reads the front end's index once, so that a loop over the
   * answer is bounded. Throws `ProtocolViolation` when the index is not one that can be
   * (`RING_REQUEST_PROD_OVERFLOW`, and an index that went back).
   */
  unconsumedRequests() {
    const reqProd = Atomics.load(this.pages.indexes, REQ_PROD);
    const unconsumed = reqProd - this.reqCons >>> 0;
    if (unconsumed > this.size - this.unanswered || unconsumed < this.reqChecked - this.reqCons >>> 0) {
      throw new ProtocolViolation(
        "read the requests of a ring",
        "ring: req_prod grows, and never beyond rsp_prod plus the ring size",
        `req_prod ${reqProd}, req_cons ${this.reqCons}, rsp_prod ${this.rspProd}, size ${this.size}`
      );
    }
    this.reqChecked = reqProd;
    return unconsumed;
  }
  /** Copies the next request out of the ring, once; one that `unconsumedRequests` has counted. */
  takeRequest(target) {
    assert(this.reqCons !== this.reqChecked, "a request is taken only after it was counted");
    target.set(this.pages.requests[this.reqCons & this.size - 1]);
    this.reqCons = this.reqCons + 1 >>> 0;
  }
  /**
   * Publishes the response to the first request without one. The front end may see it at once, but
   * sleeps until it is notified: `wantsNotification` says whether it has to be.
   *
   * This process can be killed after any store. Until `rsp_prod` has moved, the next one takes the
   * slot for a request that is still to be done, and must not find half a response in it.
   */
  putResponse(response2) {
    assert(this.unanswered > 0, "there is one response to each request");
    this.answer.note(this.rspProd, response2);
    this.publish(response2);
  }
  /**
   * As `putResponse`, for a message of several responses that the front end must see whole: it sees
   * none of them before `publishResponses`.
   */
  stageResponse(response2) {
    assert(this.unanswered > this.staged, "there is one response to each request");
    this.pages.responses[this.rspProd + this.staged & this.size - 1].set(response2);
    this.staged++;
  }
  publishResponses() {
    this.rspProd = this.rspProd + this.staged >>> 0;
    this.staged = 0;
    Atomics.store(this.pages.indexes, RSP_PROD, this.rspProd);
  }
  /** Whether the front end asked to be notified of a response put since this was last called. */
  wantsNotification() {
    const published = this.rspProd - this.rspNotified >>> 0;
    this.rspNotified = this.rspProd;
    return this.rspProd - Atomics.load(this.pages.indexes, RSP_EVENT) >>> 0 < published;
  }
  /** Before going to sleep: asks to be notified of the next request; true when one came meanwhile. */
  finalCheckForRequests() {
    if (this.unconsumedRequests() > 0) return true;
    return this.checkForMoreThan(0);
  }
  /**
   * The same for who has nothing to do before there are more requests than the `count` that there
   * are: true when there are more now.
   */
  checkForMoreThan(count) {
    Atomics.store(this.pages.indexes, REQ_EVENT, this.reqCons + count + 1);
    return this.unconsumedRequests() > count;
  }
  publish(response2) {
    this.pages.responses[this.rspProd & this.size - 1].set(response2);
    this.rspProd = this.rspProd + 1 >>> 0;
    Atomics.store(this.pages.indexes, RSP_PROD, this.rspProd);
  }
  /** Does the rest of what the former back end was killed at. */
  finishBegunAnswer() {
    const response2 = this.answer.read(this.rspProd);
    if (response2 === void 0 || this.unconsumedRequests() === 0) return;
    this.publish(response2);
    this.reqCons = this.rspProd;
  }
};

// src/block/back-request.ts
var SECTORS_PER_PAGE = PAGE_SIZE / SECTOR_SIZE;
var INDIRECT_SEGMENTS_MAX = 256;
function emptyRequest() {
  return { id: 0n, operation: 0, position: 0, length: 0, segmentCount: 0, segments: [] };
}
var RequestParser = class {
  /** Where a request is copied to before `parse`. */
  slot;
  disk;
  /** The disk as it is while a request is parsed. */
  info;
  offers;
  readGuestPage;
  request;
  discard;
  indirect;
  segmentsOffset;
  slotSegment;
  indirectPage = new Uint8Array(INDIRECT_SEGMENTS_MAX * BlkifRequestSegment.size);
  indirectSegment = BlkifRequestSegment.view(this.indirectPage);
  constructor({ protocol, disk, offers, readGuestPage }) {
    this.disk = disk;
    this.info = disk.info;
    this.offers = offers;
    this.readGuestPage = readGuestPage;
    this.slot = new Uint8Array(protocol.request.size);
    this.request = protocol.request.view(this.slot);
    this.discard = protocol.discard.view(this.slot);
    this.indirect = protocol.indirect.view(this.slot);
    this.segmentsOffset = protocol.request.offset.seg;
    this.slotSegment = BlkifRequestSegment.view(this.slot, this.segmentsOffset);
  }
  /**
   * Reads `slot` into `into`; the id is right even when this throws. Throws `ProtocolViolation` for
   * a request that breaks a rule, ENOTSUP for an operation that is not known, EROFS for a change of
   * a read-only disk, EINVAL for a grant that cannot be read.
   */
  parse(into) {
    const { request: request2 } = this;
    this.info = this.disk.info;
    into.id = request2.id;
    into.operation = request2.operation;
    into.position = 0;
    into.length = 0;
    into.segmentCount = 0;
    switch (into.operation) {
      case BLKIF_OP_READ:
      case BLKIF_OP_WRITE:
        this.parseDirect(into);
        break;
      case BLKIF_OP_WRITE_BARRIER:
      case BLKIF_OP_FLUSH_DISKCACHE:
        this.needOffer(into.operation === BLKIF_OP_FLUSH_DISKCACHE ? "flush" : "barrier");
        if (request2.nr_segments > 0) this.parseDirect(into);
        break;
      case BLKIF_OP_INDIRECT:
        this.needOffer("indirect");
        this.parseIndirect(into);
        break;
      case BLKIF_OP_DISCARD:
        this.parseDiscard(into);
        break;
      default:
        throw new XenError("ENOTSUP", "block request", `operation ${into.operation}`);
    }
    const changesDisk = into.operation === BLKIF_OP_DISCARD || into.segmentCount > 0;
    if (this.info.readOnly && changesDisk && into.operation !== BLKIF_OP_READ) {
      throw new XenError("EROFS", "block request", "the disk is read-only");
    }
  }
  needOffer(offer) {
    if (!this.offers[offer])
      throw new XenError("ENOTSUP", "block request", `no ${offer} was offered`);
  }
  parseDirect(into) {
    const count = this.request.nr_segments;
    if (count < 1 || count > BLKIF_MAX_SEGMENTS_PER_REQUEST) {
      violated(`nr_segments is from 1 to ${BLKIF_MAX_SEGMENTS_PER_REQUEST}`, count);
    }
    for (let index = 0; index < count; index++) {
      this.slotSegment.moveTo(this.segmentsOffset + index * BlkifRequestSegment.size);
      this.addSegment(into, this.slotSegment);
    }
    this.setRange(into, this.request.sector_number, into.length / SECTOR_SIZE);
  }
  parseIndirect(into) {
    const { indirect: indirect2 } = this;
    into.operation = indirect2.indirect_op;
    if (into.operation !== BLKIF_OP_READ && into.operation !== BLKIF_OP_WRITE) {
      violated("indirect_op is BLKIF_OP_READ or BLKIF_OP_WRITE", into.operation);
    }
    const count = indirect2.nr_segments;
    if (count < 1 || count > INDIRECT_SEGMENTS_MAX) {
      violated(`nr_segments of an indirect request is from 1 to ${INDIRECT_SEGMENTS_MAX}`, count);
    }
    const ref = grantRef(indirect2.indirect_grefs[0]);
    this.readGuestPage(ref, this.indirectPage.subarray(0, count * BlkifRequestSegment.size));
    for (let index = 0; index < count; index++) {
      this.indirectSegment.moveTo(index * BlkifRequestSegment.size);
      this.addSegment(into, this.indirectSegment);
    }
    this.setRange(into, indirect2.sector_number, into.length / SECTOR_SIZE);
  }
  parseDiscard(into) {
    const { discard: discard2 } = this;
    this.needOffer("discard");
    if ((discard2.flag & BLKIF_DISCARD_SECURE) !== 0) {
      throw new XenError("ENOTSUP", "block request", `discard with flags ${discard2.flag}`);
    }
    this.setRange(into, discard2.sector_number, discard2.nr_sectors);
    into.length = discard2.nr_sectors * SECTOR_SIZE;
  }
  addSegment(into, from) {
    const first = from.first_sect;
    const last = from.last_sect;
    if (first > last || last >= SECTORS_PER_PAGE) {
      violated(`first_sect <= last_sect < ${SECTORS_PER_PAGE}`, `${first} to ${last}`);
    }
    const segment = segmentAt(into.segments, into.segmentCount);
    segment.ref = grantRef(from.gref);
    segment.offset = first * SECTOR_SIZE;
    segment.length = (last - first + 1) * SECTOR_SIZE;
    into.segmentCount++;
    into.length += segment.length;
  }
  /** Checks the range as a whole: of a larger sector, one segment may hold a part and the next the rest. */
  setRange(into, sector, sectors) {
    const { size, sectorSize } = this.info;
    if (sector + sectors > size / SECTOR_SIZE) {
      const found = `${sectors} from ${sector} of ${size / SECTOR_SIZE}`;
      violated("a request lies within the disk", found);
    }
    const position = sector * SECTOR_SIZE;
    if (position % sectorSize !== 0 || sectors * SECTOR_SIZE % sectorSize !== 0) {
      const found = `${sectors} units of ${SECTOR_SIZE} from ${sector}`;
      violated(`a request is of whole sectors of ${sectorSize} bytes`, found);
    }
    into.position = position;
  }
};
function segmentAt(segments2, index) {
  const known = segments2[index];
  if (known !== void 0) return known;
  const made = { ref: grantRef(0), offset: 0, length: 0 };
  segments2[index] = made;
  return made;
}
function violated(rule, found) {
  throw new ProtocolViolation("block request", `blkif: ${rule}`, `it is ${found}`);
}

// src/block/back-pages.ts
var PERSISTENT_PAGES_MAX = 1056;
var PERSISTENT_IDLE_MS = 6e4;
var RequestPages = class {
  /** One window a segment, for the disk. */
  windows = [];
  /** For each segment the mapped page or our own memory: exactly one is there. */
  mapped = [];
  copied = [];
};
var GuestPages = class {
  parts;
  persistent = /* @__PURE__ */ new Map();
  runs = /* @__PURE__ */ new Set();
  free = [];
  batch;
  idleTimer;
  constructor(parts) {
    this.parts = parts;
    this.batch = parts.grants.copyBatch(INDIRECT_SEGMENTS_MAX);
  }
  /** Pages mapped now. */
  get mappedCount() {
    return this.persistent.size;
  }
  /** Copies the beginning of a page of the front end's. Throws EINVAL when the grant is no good. */
  readPage(ref, target) {
    if (!this.persistent.has(ref)) this.mapRun([ref]);
    const mapped = this.persistent.get(ref);
    if (mapped !== void 0) {
      mapped.run.wasUsed = true;
      target.set(mapped.bytes.subarray(0, target.length));
      return;
    }
    this.batch.fromPeer(this.parts.peer, ref, 0, target);
    this.runBatch();
  }
  /** Windows onto the segments of a request; what the disk puts there reaches the guest by `storeRead`. */
  acquire(request2, into) {
    this.mapMissing(request2);
    for (let index = 0; index < request2.segmentCount; index++) {
      const segment = request2.segments[index];
      const mapped = this.persistent.get(segment.ref);
      const copied = mapped === void 0 ? this.freePage() : void 0;
      if (mapped !== void 0) mapped.run.users++;
      into.mapped[index] = mapped;
      into.copied[index] = copied;
      into.windows[index] = mapped === void 0 ? window(copied, 0, segment) : window(mapped.bytes, segment.offset, segment);
    }
  }
  /** Fetches the data of a write. Throws EINVAL when a grant is no good. */
  fetchWrite(request2, pages) {
    for (let index = 0; index < request2.segmentCount; index++) {
      if (pages.copied[index] === void 0) continue;
      const { ref, offset } = request2.segments[index];
      this.batch.fromPeer(this.parts.peer, ref, offset, pages.windows[index]);
    }
    this.runBatch();
  }
  /** Delivers the data of a read. Throws EINVAL when a grant is no good. */
  storeRead(request2, pages) {
    for (let index = 0; index < request2.segmentCount; index++) {
      if (pages.copied[index] === void 0) continue;
      const { ref, offset } = request2.segments[index];
      this.batch.toPeer(this.parts.peer, ref, offset, pages.windows[index]);
    }
    this.runBatch();
  }
  /** The disk is done with the windows, if there were any. */
  release(pages) {
    for (let index = 0; index < pages.windows.length; index++) {
      const mapped = pages.mapped[index];
      if (mapped === void 0) {
        this.free.push(pages.copied[index]);
      } else {
        mapped.run.users--;
        mapped.run.wasUsed = true;
      }
    }
    pages.windows.length = 0;
    pages.mapped.length = 0;
    pages.copied.length = 0;
  }
  /** Unmaps every page. All requests must have been released. */
  close() {
    this.idleTimer?.cancel();
    for (const run of this.runs) {
      assert(run.users === 0, "no page is unmapped under a request");
      this.unmapRun(run);
    }
    this.free.length = 0;
  }
  /** Maps what of the request's pages is not mapped; a page that stays without is to be copied. */
  mapMissing(request2) {
    if (!this.parts.persistent) return;
    let missing;
    for (let index = 0; index < request2.segmentCount; index++) {
      const { ref } = request2.segments[index];
      if (this.persistent.has(ref)) continue;
      missing ??= /* @__PURE__ */ new Set();
      missing.add(ref);
    }
    if (missing === void 0 || this.mapRun([...missing]) || missing.size === 1) return;
    for (const ref of missing) this.mapRun([ref]);
  }
  /** Maps all of `refs`, or none; whether it did. */
  mapRun(refs) {
    const { grants, peer, persistent, clock } = this.parts;
    if (!persistent || this.persistent.size + refs.length > PERSISTENT_PAGES_MAX) return false;
    let pages;
    try {
      pages = grants.map(peer, refs);
    } catch (error) {
      if (error instanceof XenError) return false;
      throw error;
    }
    const run = { refs, pages, users: 0, wasUsed: true };
    this.runs.add(run);
    refs.forEach((ref, index) => {
      this.persistent.set(ref, { run, bytes: pages.page(index) });
    });
    this.idleTimer ??= clock.after(PERSISTENT_IDLE_MS, () => this.dropIdle());
    return true;
  }
  unmapRun(run) {
    run.pages.close();
    for (const ref of run.refs) this.persistent.delete(ref);
    this.runs.delete(run);
  }
  dropIdle() {
    const { clock } = this.parts;
    for (const run of this.runs) {
      if (run.users === 0 && !run.wasUsed) this.unmapRun(run);
      run.wasUsed = false;
    }
    this.free.length = 0;
    this.idleTimer = this.runs.size > 0 ? clock.after(PERSISTENT_IDLE_MS, () => this.dropIdle()) : void 0;
  }
  freePage() {
    return this.free.pop() ?? new Uint8Array(PAGE_SIZE);
  }
  runBatch() {
    if (this.batch.length === 0) return;
    const refused = this.batch.run();
    if (refused === 0) return;
    throw new XenError(
      "EINVAL",
      `copy pages of domain ${this.parts.peer}`,
      `Xen refused ${refused} of them`
    );
  }
};
function window(page, offset, { length }) {
  return length === PAGE_SIZE ? page : page.subarray(offset, offset + length);
}

// src/ring/signal-allowance.ts
var EMPTY_SIGNALS_MAX = 16;
var PAUSE_MS = 1;
var SignalAllowance = class {
  channel;
  clock;
  empty = 0;
  constructor(channel, clock) {
    this.channel = channel;
    this.clock = clock;
  }
  /** Told of each signal, from its handler. @param isEmpty nothing had come with it */
  spend(isEmpty) {
    this.empty = isEmpty ? this.empty + 1 : 0;
    if (this.empty < EMPTY_SIGNALS_MAX) return;
    this.empty = 0;
    this.channel.pause();
    this.clock.after(PAUSE_MS, () => {
      if (!this.channel.closed) this.channel.resume();
    });
  }
};

// src/block/back-queue.ts
var REQUESTS_MAX = 64;
var PAGES_IN_FLIGHT_MAX = 2048;
var TURN_PAGES_MAX = 128;
var REFUSAL_DELAY_MS = 1;
var BackQueue = class {
  parts;
  parser;
  /** A circle: `count` places from `head` on are in use, in the ring's order. */
  places;
  head = 0;
  count = 0;
  /** Of these, how many from `head` on have begun: the next one follows them. */
  begun = 0;
  underWay = 0;
  /** A barrier is under way: nothing that follows it may begin. */
  barrier = false;
  pagesInFlight = 0;
  stopped = false;
  drained;
  /** Pages that requests may still have in this turn. */
  turnLeft = TURN_PAGES_MAX;
  /** Runs in the next turn, for what this one has no room for. */
  nextTurn;
  allowance;
  refusals = 0;
  /** Something is done that was not answered yet; in a moment all of that is. */
  answering = false;
  responseBytes;
  response;
  constructor(parts) {
    this.parts = parts;
    this.parser = new RequestParser({
      protocol: parts.protocol,
      disk: parts.disk,
      offers: parts.offers,
      readGuestPage: (ref, target) => parts.pages.readPage(ref, target)
    });
    this.allowance = new SignalAllowance(parts.channel, parts.clock);
    this.places = Array.from({ length: REQUESTS_MAX }, () => this.makePlace());
    this.responseBytes = new Uint8Array(parts.protocol.response.size);
    this.response = parts.protocol.response.view(this.responseBytes);
  }
  /** Begins to serve. The front end is notified once: a former back end may have died before it did. */
  start() {
    this.parts.channel.onEvent(() => this.signalled());
    this.parts.channel.notify();
  }
  /** Takes no further request; resolves when those under way are answered. */
  close() {
    this.stopped = true;
    this.nextTurn?.cancel();
    return new Promise((resolve) => {
      this.drained = resolve;
      this.checkDrained();
    });
  }
  makePlace() {
    const place = {
      request: emptyRequest(),
      pages: new RequestPages(),
      done: false,
      refusal: void 0,
      status: BLKIF_RSP_OKAY,
      succeed: () => this.finish(place, BLKIF_RSP_OKAY),
      fail: (error) => void this.refuse(place, error)
    };
    return place;
  }
  signalled() {
    const before = this.count;
    this.turnLeft = TURN_PAGES_MAX;
    this.takeRequests();
    if (!this.stopped) this.allowance.spend(this.count === before && this.hasRoom);
  }
  get hasRoom() {
    return this.count < REQUESTS_MAX && this.pagesInFlight < PAGES_IN_FLIGHT_MAX;
  }
  takeRequests() {
    if (this.stopped) return;
    const { ring } = this.parts;
    try {
      do {
        for (let requests = ring.unconsumedRequests(); requests > 0; requests--) {
          if (!this.hasRoom) return;
          if (this.turnLeft <= 0) {
            this.takeLater();
            return;
          }
          ring.takeRequest(this.parser.slot);
          this.turnLeft -= Math.max(1, this.accept());
        }
      } while (ring.finalCheckForRequests());
    } catch (error) {
      this.stopped = true;
      this.parts.onViolation(error);
    }
  }
  takeLater() {
    this.nextTurn ??= this.parts.clock.after(0, () => {
      this.nextTurn = void 0;
      this.turnLeft = TURN_PAGES_MAX;
      this.takeRequests();
    });
  }
  /** Takes the request in the parser's slot up; returns how many pages it has. */
  accept() {
    const place = this.placeAt(this.count);
    this.count++;
    place.done = false;
    place.refusal = void 0;
    try {
      this.parser.parse(place.request);
    } catch (error) {
      place.request.segmentCount = 0;
      place.refusal = error;
    }
    const pages = place.request.segmentCount;
    this.pagesInFlight += pages;
    this.beginNext();
    return pages;
  }
  /** Begins all that may: nothing passes a barrier, in either direction. */
  beginNext() {
    while (this.begun < this.count && !this.barrier) {
      const place = this.placeAt(this.begun);
      const isBarrier = place.request.operation === BLKIF_OP_WRITE_BARRIER;
      if (isBarrier && this.underWay > 0) return;
      this.barrier = isBarrier;
      this.begun++;
      this.underWay++;
      if (place.refusal === void 0) this.perform(place).then(place.succeed, place.fail);
      else place.fail(place.refusal);
    }
  }
  async refuse(place, error) {
    const level = this.refusals++ === 0 ? "warn" : "debug";
    this.parts.pages.release(place.pages);
    this.parts.log[level]("request refused", { error: errorMessage(error) });
    await sleep(this.parts.clock, REFUSAL_DELAY_MS);
    this.finish(place, errorCode(error) === "ENOTSUP" ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR);
  }
  perform(place) {
    const { disk } = this.parts;
    const { operation, position, length } = place.request;
    switch (operation) {
      case BLKIF_OP_READ:
        return this.read(place);
      case BLKIF_OP_WRITE:
        return this.write(place);
      case BLKIF_OP_DISCARD:
        return disk.discard(position, length);
      default:
        return this.flush(place);
    }
  }
  async read({ request: request2, pages }) {
    const { disk, pages: guest } = this.parts;
    guest.acquire(request2, pages);
    await disk.read(request2.position, pages.windows);
    guest.storeRead(request2, pages);
  }
  async write({ request: request2, pages }) {
    const { disk, pages: guest } = this.parts;
    guest.acquire(request2, pages);
    guest.fetchWrite(request2, pages);
    return disk.write(request2.position, pages.windows);
  }
  /** A flush, or a barrier: what it writes is on stable storage before it is answered. */
  async flush(place) {
    const { disk } = this.parts;
    await disk.flush();
    if (place.request.segmentCount === 0) return;
    await this.write(place);
    if (place.request.operation === BLKIF_OP_WRITE_BARRIER) await disk.flush();
  }
  finish(place, status) {
    this.parts.pages.release(place.pages);
    place.done = true;
    place.status = status;
    this.underWay--;
    if (place.request.operation === BLKIF_OP_WRITE_BARRIER) this.barrier = false;
    if (this.answering) return;
    this.answering = true;
    void Promise.resolve().then(this.goOn);
  }
  goOn = () => {
    this.answering = false;
    this.answer();
    this.beginNext();
    this.takeRequests();
    this.checkDrained();
  };
  /** Answers every request at the head of the circle that is done, with one notification. */
  answer() {
    const { ring, channel } = this.parts;
    const before = this.count;
    while (this.count > 0) {
      const place = this.places[this.head];
      if (!place.done) break;
      this.response.id = place.request.id;
      this.response.operation = place.request.operation;
      this.response.status = place.status;
      ring.putResponse(this.responseBytes);
      this.pagesInFlight -= place.request.segmentCount;
      this.head = (this.head + 1) % REQUESTS_MAX;
      this.count--;
      this.begun--;
    }
    if (this.count < before && ring.wantsNotification()) channel.notify();
  }
  placeAt(index) {
    return this.places[(this.head + index) % REQUESTS_MAX];
  }
  checkDrained() {
    if (this.count === 0) this.drained?.();
  }
};

// src/abi/io/protocols.ts
var XEN_IO_PROTO_ABI_X86_32 = "x86_32-abi";
var XEN_IO_PROTO_ABI_X86_64 = "x86_64-abi";

// src/block/protocol.ts
var x86_64 = {
  request: BlkifRequest,
  discard: BlkifRequestDiscard,
  indirect: BlkifRequestIndirect,
  response: BlkifResponse
};
var x86_322 = {
  request: BlkifRequestX86_32,
  discard: BlkifRequestDiscardX86_32,
  indirect: BlkifRequestIndirectX86_32,
  response: BlkifResponseX86_32
};
function blkifProtocol(key) {
  switch (key) {
    case void 0:
    case XEN_IO_PROTO_ABI_X86_64:
      return x86_64;
    case XEN_IO_PROTO_ABI_X86_32:
      return x86_322;
    default:
      throw new ProtocolViolation(
        "read protocol of the front end",
        `blkif: protocol is ${XEN_IO_PROTO_ABI_X86_64} or ${XEN_IO_PROTO_ABI_X86_32}`,
        JSON.stringify(key.slice(0, 32))
      );
  }
}

// src/block/back-connection.ts
var GRANT_REF_MAX = 4294967295;
var BlockConnection = class _BlockConnection {
  parts;
  /** Rings and event channels. */
  held = new Holdings();
  queues = [];
  pages;
  began_ms;
  /** The size that the front end was told. */
  size;
  ringSlots = 0;
  constructor(parts, persistent) {
    const { hypervisor, keys, clock, disk } = parts;
    this.parts = parts;
    this.pages = new GuestPages({ grants: hypervisor.grants, peer: keys.peer, persistent, clock });
    this.began_ms = clock.now_ms();
    this.size = disk.info.size;
    disk.onResize(() => keys.wake());
  }
  /** Connects to the rings that the front end has published. Rejects when one is not as it should be. */
  static async open(parts) {
    const { keys } = parts;
    const protocol = blkifProtocol(await keys.readPeer("protocol"));
    const frontPersists = await readPeerFlag(keys, "feature-persistent");
    const connection = new _BlockConnection(parts, frontPersists && parts.persistent);
    try {
      for (const directory of await queueDirectories(keys, parts.queuesMax)) {
        await connection.connectRing(directory, protocol);
      }
    } catch (error) {
      connection.letGo();
      throw error;
    }
    for (const queue of connection.queues) queue.start();
    return connection;
  }
  /** Tells the front end of a new size, and the operator how the device does, where that is asked. */
  async refresh() {
    const { keys, disk } = this.parts;
    await disk.refresh();
    const { size } = disk.info;
    if (size !== this.size) {
      this.size = size;
      keys.log.info("disk has a new size", { size });
      const state = String(XenbusStateConnected);
      await keys.write({ sectors: String(size / SECTOR_SIZE), state });
    }
    if (await keys.read(STATISTICS_KEY) === "") {
      await keys.write({ [STATISTICS_KEY]: this.statistics() });
    }
  }
  async close() {
    await Promise.all(this.queues.map((queue) => queue.close()));
    this.letGo();
    await this.parts.disk.close();
  }
  letGo() {
    this.pages.close();
    this.held.close();
  }
  /** @param directory what stands before the ring's keys */
  async connectRing(directory, protocol) {
    const { hypervisor, keys, clock, disk, offers } = this.parts;
    const refs = await ringRefs(keys, directory, this.parts.ringPageOrderMax);
    const port = eventPort(await needPeerNumber(keys, `${directory}event-channel`, EVENT_PORT_MAX));
    const ringPages2 = this.held.keep(hypervisor.grants.map(keys.peer, refs));
    const channel = this.held.keep(hypervisor.events.bindInterdomain(keys.peer, port));
    const ring = new BackRing(ringPages2.bytes, protocol);
    this.ringSlots = ring.size;
    this.queues.push(
      new BackQueue({
        ring,
        channel,
        protocol,
        disk,
        offers,
        pages: this.pages,
        clock,
        log: keys.log,
        onViolation: (error) => keys.fail(error)
      })
    );
  }
  statistics() {
    return statisticsText({
      counts: this.parts.disk.counts,
      connected_ms: this.parts.clock.now_ms() - this.began_ms,
      queues: this.queues.length,
      ringSlots: this.ringSlots,
      persistentPages: this.pages.mappedCount
    });
  }
};
async function queueDirectories(keys, queuesMax) {
  const count = await readPeerNumber(keys, "multi-queue-num-queues", queuesMax);
  if (count === 0) {
    throw new ProtocolViolation(
      `read the queues of domain ${keys.peer}`,
      "blkif: multi-queue-num-queues is 1 or more",
      "it is 0"
    );
  }
  if (count === void 0 || count === 1) return [""];
  return Array.from({ length: count }, (_, queue) => `queue-${queue}/`);
}
async function ringRefs(keys, directory, orderMax) {
  const order = await readPeerNumber(keys, "ring-page-order", orderMax);
  const single = order === void 0 || order === 0 && await keys.readPeer(`${directory}ring-ref`) !== void 0;
  const names = single ? ["ring-ref"] : Array.from({ length: 2 ** order }, (_, page) => `ring-ref${page}`);
  const refs = [];
  for (const name of names) {
    refs.push(grantRef(await needPeerNumber(keys, `${directory}${name}`, GRANT_REF_MAX)));
  }
  return refs;
}

// src/block/back.ts
var BlockBack = class {
  parts;
  constructor(parts) {
    this.parts = parts;
  }
  async announce(keys) {
    const { without } = this.parts;
    const flag = (feature) => without.has(feature) ? "0" : "1";
    await keys.write({
      "feature-flush-cache": flag("flush"),
      "feature-barrier": flag("barrier"),
      "feature-persistent": flag("persistent"),
      "feature-max-indirect-segments": without.has("indirect") ? "0" : `${INDIRECT_SEGMENTS_MAX}`,
      "max-ring-page-order": String(this.ringPageOrderMax),
      "multi-queue-max-queues": String(this.queuesMax)
    });
  }
  async connect(keys) {
    const { clock, openDisk, hypervisor, without } = this.parts;
    const request2 = await diskRequest(keys, this.parts.scripts);
    if (request2 === void 0) return void 0;
    const disk = await openRequestedDisk(request2, openDisk, clock);
    let connection;
    try {
      const discard2 = disk.info.discard && !without.has("discard") && await keys.read("discard-enable") !== "0";
      connection = await BlockConnection.open({
        hypervisor,
        clock,
        keys,
        disk,
        offers: {
          discard: discard2,
          barrier: !without.has("barrier"),
          flush: !without.has("flush"),
          indirect: !without.has("indirect")
        },
        persistent: !without.has("persistent"),
        ringPageOrderMax: this.ringPageOrderMax,
        queuesMax: this.queuesMax
      });
      await publish(keys, disk.info, discard2);
      return connection;
    } catch (error) {
      await connection?.close();
      await disk.close();
      throw error;
    }
  }
  get ringPageOrderMax() {
    return this.parts.without.has("multi-page") ? 0 : RING_PAGE_ORDER_MAX;
  }
  get queuesMax() {
    return this.parts.without.has("multi-queue") ? 1 : QUEUES_MAX;
  }
};
async function publish(keys, info, discard2) {
  const cdrom = await isCdrom(keys) ? VDISK_CDROM : 0;
  const removable = await keys.read("removable") === "1" ? VDISK_REMOVABLE : 0;
  const readOnly = info.readOnly ? VDISK_READONLY : 0;
  await keys.write({
    sectors: String(info.size / SECTOR_SIZE),
    "sector-size": String(info.sectorSize),
    "physical-sector-size": String(info.physicalSectorSize),
    info: String(cdrom | removable | readOnly),
    "feature-discard": discard2 ? "1" : "0",
    "discard-granularity": String(info.sectorSize),
    "discard-alignment": "0",
    "discard-secure": "0"
  });
}

// stubdoms/blkback/service.ts
async function startBlkback(parts) {
  const { hypervisor, xenstore, clock, log, options, openDisk } = parts;
  const without = new Set(options.without);
  const driverDomain = options.driverDomain === true;
  const bus = await BackBus.open({
    xenstore,
    log,
    domid: hypervisor.domid,
    type: options.type ?? "vbd",
    driverFor: () => new BlockBack({ hypervisor, clock, openDisk, without, scripts: !driverDomain }),
    removalClock: driverDomain ? clock : void 0
  });
  return {
    get devices() {
      return bus.paths;
    },
    close: () => bus.close()
  };
}

// src/ring/front-pages.ts
var RUN_PAGES = 32;
var FrontPages = class {
  grants;
  peer;
  /** How many there may be; less, once this domain has no more to share. */
  pagesMax;
  runs = [];
  free = [];
  total = 0;
  constructor(grants, peer, pagesMax) {
    this.grants = grants;
    this.peer = peer;
    this.pagesMax = pagesMax;
  }
  /** Shares what is missing to have `count` pages free. Returns how many are free then, `count` at most. */
  prepare(count) {
    while (this.free.length < count && this.total < this.pagesMax) this.shareRun();
    return Math.min(count, this.free.length);
  }
  /** Adds `count` pages to `into`, or none when so many are not free. */
  take(count, into) {
    if (this.prepare(count) < count) return false;
    for (let n = 0; n < count; n++) into.push(this.free.pop());
    return true;
  }
  /** Takes all of `pages` back, and empties it. */
  give(pages) {
    this.free.push(...pages.splice(0));
  }
  close() {
    for (const run of this.runs.splice(0)) run.close();
    this.free.length = 0;
    this.total = 0;
  }
  shareRun() {
    const count = Math.min(RUN_PAGES, this.pagesMax - this.total);
    let run;
    try {
      run = this.grants.share(this.peer, count, "read-write");
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      this.pagesMax = this.total;
      return;
    }
    this.runs.push(run);
    this.total += count;
    run.refs.forEach((ref, index) => {
      this.free.push({ ref, bytes: run.page(index) });
    });
  }
};
function copyBytes(sources, targets) {
  let index = 0;
  let at = 0;
  for (const source of sources) {
    for (let from = 0; from < source.length && index < targets.length; ) {
      const target = targets[index];
      const piece = source.subarray(from, from + target.length - at);
      target.set(piece, at);
      from += piece.length;
      at += piece.length;
      if (at === target.length) {
        index++;
        at = 0;
      }
    }
  }
}

// src/xenbus/front-device.ts
function nextFrontMove({ own, peer, closing }) {
  if (own === XenbusStateClosed) return "stay";
  const peerLeaves = peer === XenbusStateClosing || peer === XenbusStateClosed || peer === XenbusStateUnknown;
  if (own === XenbusStateClosing) return peerLeaves || !closing ? "closed" : "stay";
  if (closing) return "closing";
  if (peerLeaves) return own === XenbusStateInitialising ? "stay" : "closed";
  if (peer === XenbusStateInitWait && own === XenbusStateInitialising) return "offer";
  if (peer === XenbusStateConnected && own !== XenbusStateInitialising) return "connect";
  return "stay";
}
var FrontDevice = class _FrontDevice extends DeviceEnd {
  driver;
  /** Resolves when this end follows the device no more. */
  ended;
  begun = false;
  open = false;
  closing = false;
  error;
  settled;
  connected;
  constructor(parts, driver) {
    super(parts);
    this.driver = driver;
    let connected = () => {
    };
    let ended = () => {
    };
    this.connected = new Promise((resolve) => {
      connected = resolve;
    });
    this.ended = new Promise((resolve) => {
      ended = resolve;
    });
    this.settled = { connected, ended };
  }
  /**
   * Begins the handshake with the device's back end, which `untilOpen` waits for. Rejects with
   * ENOENT when the domain has no such device.
   */
  static async start(parts) {
    const { xenstore, log, domid, type, devid, driver } = parts;
    const path = `${domainHome(domid)}/device/${type}/${devid}`;
    const peerPath = await xenstore.read(childPath(path, "backend"));
    const peer = domId(Number(await xenstore.read(childPath(path, "backend-id"))));
    const device = new _FrontDevice({ xenstore, log, domid, path, peer, peerPath }, driver);
    await device.watchPeer();
    await device.watch(childPath(path, "state"));
    await device.watch(childPath(path, "backend"));
    device.wake();
    return device;
  }
  /** Resolves when both ends are `Connected`. Rejects with ENODEV when the handshake ends before. */
  async untilOpen() {
    await Promise.race([this.connected, this.ended]);
    if (this.open) return;
    throw new XenError("ENODEV", `connect ${this.path}`, "the back end closed", this.error);
  }
  /**
   * Stops following the device without a word in xenstore: its domain was resumed, and what stands
   * there now is the toolstack's. What was shared with the back end is let go.
   */
  async abandon() {
    await this.end();
    this.settled.ended();
  }
  fail(error) {
    this.error ??= error;
    super.fail(error);
  }
  /** Closes the device in order and waits until the back end has let go. */
  async close() {
    this.closing = true;
    this.wake();
    await this.ended;
  }
  async step() {
    const own = await this.ownState();
    if (own !== void 0 && await this.hasOtherPeer()) {
      await this.endFromStep();
      this.settled.ended();
      return;
    }
    const peer = await this.peerState();
    if (own !== void 0 && !this.begun) {
      if (own === XenbusStateClosed && peer === XenbusStateClosing && !this.closing) return;
      this.begun = true;
      await this.switchState(XenbusStateInitialising);
      this.wake();
      return;
    }
    const move = own === void 0 ? "closed" : nextFrontMove({ own, peer, closing: this.closing });
    switch (move) {
      case "stay":
        return;
      case "offer":
        await this.driver.offer(this);
        return this.switchState(this.driver.offeredState ?? XenbusStateInitialised);
      case "connect":
        await this.driver.connect(this);
        if (own !== XenbusStateConnected) await this.switchState(XenbusStateConnected);
        this.open = true;
        this.settled.connected();
        return;
      case "closing":
        return this.switchState(XenbusStateClosing);
      case "closed":
        if (own !== void 0) await this.switchState(XenbusStateClosed);
        await this.endFromStep();
        this.settled.ended();
        return;
      default:
        return unreachable(move);
    }
  }
  /** The toolstack has given the device to another back end. */
  async hasOtherPeer() {
    const backend = await this.read("backend");
    return backend !== void 0 && backend !== this.peerPath;
  }
  async detach() {
    this.open = false;
    await this.driver.close(this.error);
  }
};

// src/xenbus/lasting-front.ts
var RESTARTS_MAX = 10;
var CLOSE_MS_MAX = 5e3;
var LastingFront = class {
  parts;
  path;
  device;
  closing = false;
  resuming = false;
  restarts = 0;
  /** Why the device failed, when that was not the peer's orderly doing. */
  failure;
  followed = Promise.resolve();
  constructor(parts) {
    this.parts = parts;
    this.path = `${domainHome(parts.domid)}/device/${parts.type}/${parts.devid}`;
  }
  /** Connects. Rejects with ENOENT when there is no such device, ENODEV when its back end closed. */
  async open() {
    this.device = await this.startDevice();
    await this.device.untilOpen();
    this.followed = this.follow();
  }
  /** The device does what it is for: the handshakes before do not count any more. */
  progress() {
    this.restarts = 0;
  }
  /**
   * This domain was suspended and runs again, perhaps on another host: its back end knows nothing of
   * it. Resolves when what was shared with the old one is let go.
   */
  async resume() {
    this.resuming = true;
    await this.device?.abandon();
  }
  /**
   * Closes the device and waits for the back end to let go.
   * @param finish waits for what is under way; the device does not begin anew meanwhile
   */
  async close(finish) {
    this.closing = true;
    await finish?.();
    this.parts.onEnd(this.closed());
    const patience = this.parts.clock.after(CLOSE_MS_MAX, () => void this.device?.abandon());
    await this.device?.close();
    await this.followed;
    patience.cancel();
  }
  startDevice() {
    const { driver } = this.parts;
    return FrontDevice.start({
      ...this.parts,
      driver: {
        ...driver.offeredState === void 0 ? {} : { offeredState: driver.offeredState },
        offer: (keys) => driver.offer(keys),
        connect: (keys) => driver.connect(keys),
        close: (error) => {
          this.failure ??= error;
          return driver.close(error);
        }
      }
    });
  }
  /** Begins the handshake anew whenever it has ended and there is no reason to end with it. */
  async follow() {
    for (; ; ) {
      await this.device?.ended;
      try {
        const reason = await this.reasonToEnd();
        if (reason !== void 0) return this.parts.onEnd(reason);
        this.parts.log.info("front end begins anew", { path: this.path });
        this.device = await this.startDevice();
      } catch (error) {
        return this.parts.onEnd(this.failed(errorMessage(error), error));
      }
      if (this.closing) void this.device.close();
    }
  }
  async reasonToEnd() {
    if (this.closing) return this.closed();
    const { failure } = this;
    if (failure !== void 0) return this.failed(errorMessage(failure), failure);
    const backend = await this.parts.xenstore.readIfPresent(childPath(this.path, "backend"));
    if (backend === void 0) return this.failed("its device is gone");
    if (this.resuming) {
      this.resuming = false;
      return void 0;
    }
    const online = await this.device?.readPeer("online");
    if (online === "0") return this.failed("its device was detached");
    this.restarts++;
    if (this.restarts <= RESTARTS_MAX) return void 0;
    return this.failed(`its back end closed ${RESTARTS_MAX} times without an answer`);
  }
  closed() {
    return new XenError("ENOTCONN", this.parts.operation, "its device is closed");
  }
  failed(detail, reason) {
    return new XenError("EIO", this.parts.operation, detail, reason);
  }
};

// src/block/front-geometry.ts
var SECTORS_MAX = Math.floor(Number.MAX_SAFE_INTEGER / SECTOR_SIZE);
var PHYSICAL_SECTOR_SIZE_MAX = 1 << 20;
async function readGeometry(keys) {
  const sectors = await needPeerNumber(keys, "sectors", SECTORS_MAX);
  const sectorSize = await needPeerNumber(keys, "sector-size", PAGE_SIZE);
  const physical = await readPeerNumber(keys, "physical-sector-size", PHYSICAL_SECTOR_SIZE_MAX);
  const info = await needPeerNumber(keys, "info", 65535);
  const size = sectors * SECTOR_SIZE;
  if (sectorSize < SECTOR_SIZE || (sectorSize & sectorSize - 1) !== 0) {
    const rule = `sector-size is a power of two from ${SECTOR_SIZE} to ${PAGE_SIZE}`;
    violated2(keys, rule, sectorSize);
  }
  if (size % sectorSize !== 0) {
    violated2(keys, `sectors, in units of ${SECTOR_SIZE}, are whole ones of sector-size`, sectors);
  }
  return {
    size,
    sectorSize,
    physicalSectorSize: physical ?? sectorSize,
    readOnly: (info & VDISK_READONLY) !== 0,
    discard: await readPeerFlag(keys, "feature-discard")
  };
}
function violated2(keys, rule, found) {
  throw new ProtocolViolation(
    `read the geometry of domain ${keys.peer}'s disk`,
    `blkif: ${rule}`,
    `it is ${found}`
  );
}

// src/block/front-job.ts
function splitJob(job, length_max) {
  if (job.length <= length_max || job.buffers.length === 0) return [job];
  const parts = splitBuffers(job.buffers, length_max);
  let left = parts.length;
  let failure;
  const done = (error) => {
    if (error !== void 0) failure ??= { error };
    left--;
    if (left === 0) job.done(failure?.error);
  };
  let position = job.position;
  return parts.map(({ length, buffers }) => {
    const part = { ...job, position, length, buffers, done };
    position += length;
    return part;
  });
}
function splitBuffers(buffers, length_max) {
  const parts = [];
  let part = { length: 0, buffers: [] };
  for (const buffer of buffers) {
    for (let start = 0; start < buffer.length; ) {
      if (part.length === length_max) {
        parts.push(part);
        part = { length: 0, buffers: [] };
      }
      const piece = buffer.subarray(start, start + length_max - part.length);
      part.buffers.push(piece);
      part.length += piece.length;
      start += piece.length;
    }
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

// src/ring/front-ring.ts
var FrontRing = class {
  /** Slots in the ring, a power of two. */
  size;
  pages;
  reqProd;
  /** Up to where the back end was told of requests: it cannot have answered more. */
  reqPushed;
  rspCons;
  /** How far `rsp_prod` was checked. */
  rspChecked;
  /**
   * Initialises the ring (`SHARED_RING_INIT`): the front end owns the pages.
   * @param memory the ring's pages as one run of bytes
   * @param start where the indexes begin; every peer expects 0
   */
  constructor(memory, messages, start = 0) {
    this.pages = ringPages(memory, messages);
    this.size = this.pages.requests.length;
    this.reqProd = start;
    this.reqPushed = start;
    this.rspCons = start;
    this.rspChecked = start;
    memory.fill(0, 0, Sring.offset.ring);
    const { indexes } = this.pages;
    Atomics.store(indexes, REQ_PROD, start);
    Atomics.store(indexes, RSP_PROD, start);
    Atomics.store(indexes, REQ_EVENT, start + 1);
    Atomics.store(indexes, RSP_EVENT, start + 1);
  }
  /** Requests that still fit (`RING_FREE_REQUESTS`). */
  get free() {
    return this.size - (this.reqProd - this.rspCons >>> 0);
  }
  /** Copies a request into the next slot. The back end learns of it by `pushRequests`. */
  putRequest(request2) {
    assert(this.free > 0, "a request is put only where a slot is free");
    this.pages.requests[this.reqProd & this.size - 1].set(request2);
    this.reqProd = this.reqProd + 1 >>> 0;
  }
  /** Publishes what was put; true when the back end asked to be notified of it. */
  pushRequests() {
    const { indexes } = this.pages;
    const published = this.reqProd - this.reqPushed >>> 0;
    this.reqPushed = this.reqProd;
    Atomics.store(indexes, REQ_PROD, this.reqProd);
    return this.reqProd - Atomics.load(indexes, REQ_EVENT) >>> 0 < published;
  }
  /**
   * How many responses can be taken now. Reads the back end's index once, so that a loop over the
   * answer is bounded. Throws `ProtocolViolation` when the index is not one that can be.
   */
  unconsumedResponses() {
    const rspProd = Atomics.load(this.pages.indexes, RSP_PROD);
    const unconsumed = rspProd - this.rspCons >>> 0;
    const outstanding = this.reqPushed - this.rspCons >>> 0;
    if (unconsumed > outstanding || unconsumed < this.rspChecked - this.rspCons >>> 0) {
      throw new ProtocolViolation(
        "read the responses of a ring",
        "ring: rsp_prod grows, and never beyond req_prod",
        `rsp_prod ${rspProd}, rsp_cons ${this.rspCons}, req_prod ${this.reqPushed}`
      );
    }
    this.rspChecked = rspProd;
    return unconsumed;
  }
  /** Copies the next response out of the ring; one that `unconsumedResponses` has counted. */
  takeResponse(target) {
    assert(this.rspCons !== this.rspChecked, "a response is taken only after it was counted");
    target.set(this.pages.responses[this.rspCons & this.size - 1]);
    this.rspCons = this.rspCons + 1 >>> 0;
  }
  /** Before going to sleep: asks to be notified of the next response; true when one came meanwhile. */
  finalCheckForResponses() {
    if (this.unconsumedResponses() > 0) return true;
    Atomics.store(this.pages.indexes, RSP_EVENT, this.rspCons + 1);
    return this.unconsumedResponses() > 0;
  }
};

// src/block/front-queue.ts
var SECTORS_PER_PAGE2 = PAGE_SIZE / SECTOR_SIZE;
var SEGMENT_SIZE = BlkifRequestSegment.size;
var FrontQueue = class {
  parts;
  ringPages;
  channel;
  allowance;
  ring;
  slots;
  free;
  failed = false;
  requestBytes = new Uint8Array(x86_64.request.size);
  responseBytes = new Uint8Array(x86_64.response.size);
  request = x86_64.request.view(this.requestBytes);
  discard = x86_64.discard.view(this.requestBytes);
  indirect = x86_64.indirect.view(this.requestBytes);
  segment = BlkifRequestSegment.view(this.requestBytes);
  response = x86_64.response.view(this.responseBytes);
  /** Shares a ring with the back end. Throws ENOSPC when this domain cannot. */
  constructor(parts) {
    const { grants, events } = parts.hypervisor;
    this.parts = parts;
    this.ringPages = grants.share(parts.peer, 2 ** parts.ringPageOrder, "read-write");
    try {
      this.channel = events.allocateUnbound(parts.peer);
    } catch (error) {
      this.ringPages.close();
      throw error;
    }
    this.allowance = new SignalAllowance(this.channel, parts.clock);
    this.ring = new FrontRing(this.ringPages.bytes, x86_64);
    this.slots = Array.from({ length: this.ring.size }, (_, id) => ({
      id,
      job: void 0,
      pages: []
    }));
    this.free = [...this.slots];
    this.channel.onEvent(() => this.signalled());
  }
  /** Where the back end finds the ring; all keys begin with `prefix`. */
  keys(prefix) {
    const { refs } = this.ringPages;
    const keys = { [`${prefix}event-channel`]: String(this.channel.port) };
    refs.forEach((ref, page) => {
      keys[`${prefix}ring-ref${refs.length === 1 ? "" : page}`] = String(ref);
    });
    return keys;
  }
  /** Puts the job into the ring; false when there is no room. The back end hears of it by `push`. */
  put(job) {
    const slot = this.free[this.free.length - 1];
    if (this.failed || slot === void 0 || this.ring.free === 0) return false;
    if (!this.parts.pages.take(pagesFor(job), slot.pages)) return false;
    this.free.pop();
    slot.job = job;
    this.requestBytes.fill(0);
    this.request.operation = job.operation;
    if (job.operation === BLKIF_OP_DISCARD) {
      this.discard.nr_sectors = job.length / SECTOR_SIZE;
    } else if (job.length > 0) {
      if (job.operation === BLKIF_OP_WRITE) copyBytes(job.buffers, dataPages(slot, job));
      this.putSegments(slot, job);
    }
    this.request.id = BigInt(slot.id);
    this.request.sector_number = job.position / SECTOR_SIZE;
    this.ring.putRequest(this.requestBytes);
    return true;
  }
  /** Publishes what was put. */
  push() {
    if (!this.failed && this.ring.pushRequests()) this.channel.notify();
  }
  /** Lets go of the ring. Returns the jobs that were not answered. */
  close() {
    this.failed = true;
    this.channel.close();
    this.ringPages.close();
    const jobs = [];
    for (const slot of this.slots) {
      if (slot.job !== void 0) jobs.push(slot.job);
      slot.job = void 0;
      slot.pages.length = 0;
    }
    return jobs;
  }
  putSegments(slot, job) {
    const count = Math.ceil(job.length / PAGE_SIZE);
    if (count <= BLKIF_MAX_SEGMENTS_PER_REQUEST) {
      this.request.nr_segments = count;
      for (let index = 0; index < count; index++) {
        this.segment.moveTo(x86_64.request.offset.seg + index * SEGMENT_SIZE);
        fillSegment(this.segment, slot.pages[index], job, index);
      }
      return;
    }
    const list = slot.pages[count];
    const segment = BlkifRequestSegment.view(list.bytes);
    for (let index = 0; index < count; index++) {
      segment.moveTo(index * SEGMENT_SIZE);
      fillSegment(segment, slot.pages[index], job, index);
    }
    this.indirect.operation = BLKIF_OP_INDIRECT;
    this.indirect.indirect_op = job.operation;
    this.indirect.nr_segments = count;
    const grefs = new Array(this.indirect.indirect_grefs.length).fill(0);
    grefs[0] = list.ref;
    this.indirect.indirect_grefs = grefs;
  }
  signalled() {
    if (this.failed) return;
    let taken = 0;
    try {
      do {
        for (let count = this.ring.unconsumedResponses(); count > 0; count--, taken++) {
          this.takeResponse();
        }
      } while (this.ring.finalCheckForResponses());
    } catch (error) {
      this.failed = true;
      this.parts.onViolation(error);
      return;
    }
    this.allowance.spend(taken === 0);
    if (taken > 0) this.parts.onRoom();
  }
  takeResponse() {
    this.ring.takeResponse(this.responseBytes);
    const { id, status } = this.response;
    const slot = id < this.slots.length ? this.slots[Number(id)] : void 0;
    const job = slot?.job;
    if (slot === void 0 || job === void 0) {
      throw new ProtocolViolation(
        "read a block response",
        "blkif: a response has the id of a request under way",
        `id ${id}`
      );
    }
    if (status === BLKIF_RSP_OKAY && job.operation === BLKIF_OP_READ) {
      copyBytes(dataPages(slot, job), job.buffers);
    }
    slot.job = void 0;
    this.parts.pages.give(slot.pages);
    this.free.push(slot);
    job.done(status === BLKIF_RSP_OKAY ? void 0 : refusal(job, status));
  }
};
function pagesFor(job) {
  if (job.operation === BLKIF_OP_DISCARD) return 0;
  const data = Math.ceil(job.length / PAGE_SIZE);
  return data > BLKIF_MAX_SEGMENTS_PER_REQUEST ? data + 1 : data;
}
function dataPages(slot, job) {
  const count = Math.ceil(job.length / PAGE_SIZE);
  return slot.pages.slice(0, count).map(({ bytes }) => bytes);
}
function fillSegment(segment, page, job, index) {
  const sectors = job.length / SECTOR_SIZE - index * SECTORS_PER_PAGE2;
  segment.gref = page.ref;
  segment.first_sect = 0;
  segment.last_sect = Math.min(sectors, SECTORS_PER_PAGE2) - 1;
}
function refusal(job, status) {
  const code = status === BLKIF_RSP_EOPNOTSUPP ? "ENOTSUP" : "EIO";
  const operation = `block operation ${job.operation} at byte ${job.position}`;
  return new XenError(code, operation, `the back end answered ${status}`);
}

// src/block/front.ts
var INDIRECT_SEGMENTS = 32;
var PAGES_MAX_DEFAULT = 512;
var BlockFront = class _BlockFront {
  parts;
  without;
  device;
  geometry;
  flushOperation;
  pages;
  queues = [];
  /** The queue whose turn it is. */
  turn = 0;
  requestBytesMax = PAGE_SIZE;
  connected = false;
  /** Jobs without a request, in the order in which they are asked. */
  waiting = [];
  jobs = 0;
  nextOrder = 0;
  idle;
  resized = () => {
  };
  /** Why there is no disk any more. */
  ended;
  constructor(parts) {
    this.parts = parts;
    this.without = parts.options?.without ?? /* @__PURE__ */ new Set();
    const { hypervisor, xenstore, clock, log, devid } = parts;
    this.device = new LastingFront({
      xenstore,
      clock,
      log,
      domid: hypervisor.domid,
      type: "vbd",
      devid,
      operation: "use a disk",
      driver: {
        offer: (keys) => this.offer(keys),
        connect: (keys) => this.connectRings(keys),
        close: () => this.disconnect()
      },
      onEnd: (reason) => this.end(reason)
    });
  }
  /** Connects to the disk. Rejects with ENOENT when there is none, ENODEV when its back end closed. */
  static async connect(parts) {
    const front = new _BlockFront(parts);
    await front.device.open();
    return front;
  }
  get info() {
    if (this.geometry === void 0) throw new XenError("ENOTCONN", "ask a disk for its size");
    return this.geometry;
  }
  read(position, targets) {
    return this.submit(BLKIF_OP_READ, position, byteLength(targets), targets);
  }
  write(position, sources) {
    return this.submit(BLKIF_OP_WRITE, position, byteLength(sources), sources);
  }
  async flush() {
    if (this.flushOperation === void 0) return;
    try {
      await this.submit(this.flushOperation, 0, 0, []);
    } catch (error) {
      if (errorCode(error) !== "ENOTSUP") throw error;
      this.flushOperation = void 0;
    }
  }
  async discard(position, length) {
    if (!this.info.discard) throw new XenError("ENOTSUP", "discard", "the back end cannot");
    await this.submit(BLKIF_OP_DISCARD, position, length, []);
  }
  /** The back end tells of a new size by itself. */
  async refresh() {
  }
  onResize(handler) {
    this.resized = handler;
  }
  /**
   * This domain was suspended and runs again, perhaps on another host: its back end knows nothing of
   * it. Resolves when the old rings are let go; what was not answered is asked again.
   */
  resume() {
    return this.device.resume();
  }
  /** Waits for what is under way, and for the back end to let go. */
  close() {
    return this.device.close(async () => {
      if (!this.connected || this.jobs === 0) return;
      await new Promise((resolve) => {
        this.idle = resolve;
      });
    });
  }
  end(reason) {
    this.ended ??= reason;
    for (const job of this.waiting.splice(0)) job.done(this.ended);
  }
  submit(operation, position, length, buffers) {
    if (this.ended !== void 0) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      const done = (error) => {
        if (error === void 0) resolve();
        else reject(error);
        this.jobDone();
      };
      this.jobs++;
      const job = { operation, position, length, buffers, done, order: 0 };
      for (const part of splitJob(job, this.requestBytesMax)) {
        part.order = this.nextOrder++;
        this.waiting.push(part);
      }
      this.pushWaiting();
    });
  }
  jobDone() {
    this.device.progress();
    this.jobs--;
    if (this.jobs === 0) this.idle?.();
  }
  /** Puts what waits into the rings, in turn, as far as there is room. */
  pushWaiting() {
    if (!this.connected) return;
    let taken = 0;
    while (taken < this.waiting.length && this.put(this.waiting[taken])) taken++;
    this.waiting.splice(0, taken);
    for (const queue of this.queues) queue.push();
  }
  put(job) {
    for (let tries = 0; tries < this.queues.length; tries++) {
      this.turn = (this.turn + 1) % this.queues.length;
      if (this.queues[this.turn].put(job)) return true;
    }
    return false;
  }
  async offer(keys) {
    const { hypervisor, clock, options = {} } = this.parts;
    const { peer } = keys;
    const { count, ringPageOrder } = await this.chooseRings(keys);
    const pagesMax = options.pagesMax ?? PAGES_MAX_DEFAULT;
    const pages = new FrontPages(hypervisor.grants, peer, pagesMax);
    this.pages = pages;
    for (let queue = 0; queue < count; queue++) {
      this.queues.push(
        new FrontQueue({
          hypervisor,
          clock,
          peer,
          ringPageOrder,
          pages,
          onRoom: () => this.pushWaiting(),
          onViolation: (error) => keys.fail(error)
        })
      );
    }
    await keys.write({
      ...ringKeys(this.queues),
      ...ringPageOrder > 0 ? { "ring-page-order": String(ringPageOrder) } : {},
      ...count > 1 ? { "multi-queue-num-queues": String(count) } : {},
      protocol: XEN_IO_PROTO_ABI_X86_64,
      "feature-persistent": this.without.has("persistent") ? "0" : "1",
      // We count in units of 512 bytes, whatever the sectors measure.
      "feature-large-sector-size": "1"
    });
  }
  /** As many rings as both ends can do, and as large. */
  async chooseRings(keys) {
    const { queues = 1, ringPageOrder = 0 } = this.parts.options ?? {};
    const most = async (feature, key, max) => this.without.has(feature) ? 0 : await readPeerNumber(keys, key, max) ?? 0;
    const orderMax = await most("multi-page", "max-ring-page-order", 31);
    const queuesMax = await most("multi-queue", "multi-queue-max-queues", 65535);
    return {
      count: Math.max(1, Math.min(queues, queuesMax, QUEUES_MAX)),
      ringPageOrder: Math.min(ringPageOrder, orderMax, RING_PAGE_ORDER_MAX)
    };
  }
  /** Called again while connected, when the back end announces a change: the size is all that can. */
  async connectRings(keys) {
    const before = this.geometry;
    const geometry = await readGeometry(keys);
    this.geometry = { ...geometry, discard: geometry.discard && !this.without.has("discard") };
    if (!this.connected) await this.beginUse(keys);
    if (before !== void 0 && before.size !== geometry.size) this.resized();
  }
  async beginUse(keys) {
    const offers = async (feature, key) => !this.without.has(feature) && await readPeerFlag(keys, key);
    if (await offers("flush", "feature-flush-cache"))
      this.flushOperation = BLKIF_OP_FLUSH_DISKCACHE;
    else if (await offers("barrier", "feature-barrier"))
      this.flushOperation = BLKIF_OP_WRITE_BARRIER;
    else this.flushOperation = void 0;
    const most = await readPeerNumber(keys, "feature-max-indirect-segments", 65535);
    const indirect2 = this.without.has("indirect") ? 0 : Math.min(most ?? 0, INDIRECT_SEGMENTS);
    this.requestBytesMax = this.segmentsMax(indirect2) * PAGE_SIZE;
    this.waiting = this.waiting.flatMap((job) => splitJob(job, this.requestBytesMax));
    this.connected = true;
    this.pushWaiting();
  }
  /** Segments of the largest request that this domain has pages for. Throws ENOSPC when it has none. */
  segmentsMax(indirect2) {
    const pages = this.pages;
    if (indirect2 > BLKIF_MAX_SEGMENTS_PER_REQUEST && pages.prepare(indirect2 + 1) > indirect2) {
      return indirect2;
    }
    const direct = pages.prepare(BLKIF_MAX_SEGMENTS_PER_REQUEST);
    if (direct > 0) return direct;
    throw new XenError("ENOSPC", "share pages for a disk", "this domain can share no more");
  }
  /** Lets go of all that is shared; what was not answered waits to be asked again. */
  async disconnect() {
    this.connected = false;
    const unanswered = this.queues.flatMap((queue) => queue.close());
    this.queues = [];
    this.pages?.close();
    this.pages = void 0;
    unanswered.sort((a, b) => a.order - b.order);
    this.waiting = [...unanswered, ...this.waiting];
    if (this.ended !== void 0) this.end(this.ended);
  }
};
function ringKeys(queues) {
  if (queues.length === 1) return queues[0].keys("");
  return Object.assign({}, ...queues.map((queue, index) => queue.keys(`queue-${index}/`)));
}

export {
  BlockFront,
  startBlkback
};
//# sourceMappingURL=chunk-HJQJP4RJ.js.map
