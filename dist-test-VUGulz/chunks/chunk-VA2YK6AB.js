import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  GNTTAB_RESERVED_CONSOLE,
  RingStream
} from "./chunk-2WEKOQT4.js";
import {
  FRAME_PAYLOAD_MAX,
  FrameReader,
  VIEWER_ATTACH,
  VIEWER_ATTACHED,
  VIEWER_ENDED,
  VIEWER_INPUT,
  VIEWER_OUTPUT,
  VIEWER_REFUSED,
  VIEWER_WINDOW,
  asciiJson,
  frame,
  jsonFrame,
  parseAttach,
  parseWindow
} from "./chunk-6MNRIXTP.js";
import {
  BackBus,
  needPeerNumber,
  readPeerNumber
} from "./chunk-LRBUSU5K.js";
import {
  Stepper
} from "./chunk-DMYIZMIZ.js";
import {
  VIRQ_CON_RING
} from "./chunk-YFVYMXZQ.js";
import {
  joinBytes,
  latin1Decode,
  latin1Encode
} from "./chunk-HVXLNJDG.js";
import {
  childPath,
  domainHome
} from "./chunk-FWPDKSSG.js";
import {
  byteArray,
  struct,
  u32
} from "./chunk-WRZEEFDO.js";
import {
  DOM0,
  EVENT_PORT_MAX,
  eventPort,
  grantRef
} from "./chunk-GNCMNX2R.js";
import {
  XenError,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// src/abi/io/console.ts
var XenconsInterface = struct("struct xencons_interface", {
  in: byteArray(1024),
  out: byteArray(2048),
  in_cons: u32,
  in_prod: u32,
  out_cons: u32,
  out_prod: u32
});

// src/console/console-stream.ts
var CONSOLE_OUTPUT_SIZE = XenconsInterface.fields.out.size;
function area(page, name) {
  const start = XenconsInterface.offset[name];
  return page.subarray(start, start + XenconsInterface.fields[name].size);
}
function typedRing(page) {
  const { in_cons: cons, in_prod: prod } = XenconsInterface.offset;
  return { name: "console input", data: area(page, "in"), page, cons, prod };
}
function printedRing(page) {
  const { out_cons: cons, out_prod: prod } = XenconsInterface.offset;
  return { name: "console output", data: area(page, "out"), page, cons, prod };
}
function backConsole(parts) {
  const { page } = parts;
  return new RingStream({ ...parts, incoming: printedRing(page), outgoing: typedRing(page) });
}
function frontConsole(parts) {
  const { page } = parts;
  return new RingStream({ ...parts, incoming: typedRing(page), outgoing: printedRing(page) });
}
function printedIndex(page) {
  const words = new Uint32Array(page.buffer, page.byteOffset, page.length >> 2);
  return Atomics.load(words, XenconsInterface.offset.out_cons / 4);
}

// src/xenconsoled/event-allowance.ts
var EVENTS_PER_PERIOD_MAX = 30;
var PERIOD_MS = 200;
var EventAllowance = class {
  channel;
  clock;
  renewed;
  periodEnd_ms;
  spent = 0;
  timer;
  held = false;
  closed = false;
  /** @param renewed called when a period is over in which all was spent: something may be waiting */
  constructor(channel, clock, renewed) {
    this.channel = channel;
    this.clock = clock;
    this.renewed = renewed;
    this.periodEnd_ms = clock.now_ms() + PERIOD_MS;
  }
  /** Nothing is left of it until the period is over. */
  get exhausted() {
    return this.timer !== void 0;
  }
  /** Counts one event, or one batch without an event. The last one pauses the channel until the period is over. */
  spend() {
    if (this.closed || this.exhausted) return;
    const now_ms = this.clock.now_ms();
    if (now_ms >= this.periodEnd_ms) this.beginPeriod();
    this.spent++;
    if (this.spent < EVENTS_PER_PERIOD_MAX) return;
    this.channel.pause();
    this.timer = this.clock.after(this.periodEnd_ms - now_ms, () => {
      this.timer = void 0;
      this.beginPeriod();
      if (!this.held) this.channel.resume();
      this.renewed();
    });
  }
  /** Events merge into one, at no cost, until `letGo`: what they tell will be looked at then in any case. */
  hold() {
    if (this.held || this.closed) return;
    this.held = true;
    if (!this.exhausted) this.channel.pause();
  }
  letGo() {
    if (!this.held || this.closed) return;
    this.held = false;
    if (!this.exhausted) this.channel.resume();
  }
  /** Must be called before the channel is closed. Idempotent. */
  close() {
    this.closed = true;
    this.timer?.cancel();
    this.timer = void 0;
  }
  beginPeriod() {
    this.spent = 0;
    this.periodEnd_ms = this.clock.now_ms() + PERIOD_MS;
  }
};

// src/xenconsoled/connected-ring.ts
function connect(access, domid, port, mapPage) {
  const channel = access.hypervisor.events.bindInterdomain(domid, port);
  let pages;
  try {
    pages = mapPage();
  } catch (error) {
    channel.close();
    throw error;
  }
  const page = pages.page(0);
  const release = () => pages.close();
  const stream = backConsole({ page, channel, release, keepsInput: true });
  let handler = () => {
  };
  const hear = () => {
    allowance.spend();
    handler();
  };
  const allowance = new EventAllowance(channel, access.clock, hear);
  return {
    stream,
    allowance,
    get index() {
      return printedIndex(page);
    },
    onEvent(called) {
      handler = called;
      stream.onReady(hear);
    },
    close: () => {
      allowance.close();
      stream.close();
    }
  };
}
function connectFirstRing(access, domid, keys) {
  return connect(access, domid, keys.port, () => {
    try {
      return access.hypervisor.grants.map(domid, [grantRef(GNTTAB_RESERVED_CONSOLE)]);
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      return access.domainControl.mapForeign(domid, [keys.ringGfn]);
    }
  });
}
function connectGrantedRing(access, domid, ref, port) {
  return connect(access, domid, port, () => access.hypervisor.grants.map(domid, [ref]));
}

// src/xenconsoled/console-keys.ts
var OUTPUT_LIMIT_DEFAULT = 1 << 20;
var OUTPUT_LIMIT_MAX = 1 << 24;
function outputLimit(limit) {
  if (limit === 0) return OUTPUT_LIMIT_MAX;
  return Math.min(Math.max(limit, CONSOLE_OUTPUT_SIZE), OUTPUT_LIMIT_MAX);
}
var OWN_TYPE = "xenconsoled";
function parseNumber(path, value, max) {
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  throw new XenError("EINVAL", `read ${path}`, `must be an integer from 0 to ${max}`);
}
async function readConsoleKeys(xenstore, consolePath) {
  const read = (name) => xenstore.readIfPresent(childPath(consolePath, name));
  const [ringRef, port, type, limit] = await Promise.all(
    ["ring-ref", "port", "type", "limit"].map(read)
  );
  if (ringRef === void 0 || port === void 0) return void 0;
  if (type !== void 0 && type !== OWN_TYPE) return void 0;
  const parse = (name, value, max) => parseNumber(childPath(consolePath, name), value, max);
  return {
    ringGfn: parse("ring-ref", ringRef, Number.MAX_SAFE_INTEGER),
    port: eventPort(parse("port", port, EVENT_PORT_MAX)),
    limit: outputLimit(
      limit === void 0 ? OUTPUT_LIMIT_DEFAULT : parse("limit", limit, Number.MAX_SAFE_INTEGER)
    )
  };
}

// src/console/window-size.ts
var WINDOW_SIZE_KEY = "window-size";
function windowSizeText({ columns, rows }) {
  return `${columns}x${rows}`;
}

// src/xenconsoled/guest-log.ts
var GuestLog = class {
  file;
  scribe;
  note;
  log;
  noted = false;
  constructor(parts) {
    this.file = parts.file;
    this.scribe = parts.scribe;
    this.note = parts.note;
    this.log = parts.log;
  }
  /** Before anything else is written: takes back the batch that an earlier daemon left undone at `index`. */
  resume(index) {
    const [noted, place] = this.note.read().split(" ", 2);
    if (place !== void 0 && noted === String(index)) this.file.cutBack(place);
    this.writeNote("");
    this.file.write(this.scribe.opening());
  }
  /**
   * Stores what stands in the ring from `index` on. Nothing else may be stored before `stored` is
   * called; what the ring says must have followed by the time of the next call to this or `rest`.
   */
  take(index, bytes, stored) {
    const place = this.file.begin();
    if (place !== void 0) this.writeNote(`${index} ${place}`);
    else if (this.noted) this.writeNote("");
    this.file.write(this.scribe.written(bytes), stored);
  }
  /** No batch is under way any more. */
  rest() {
    if (this.noted) this.writeNote("");
  }
  /** Stores the last words of a ring that nobody will take up again. */
  takeLast(bytes) {
    this.file.write(this.scribe.written(bytes));
  }
  /** Goes on in another file. Resolves when the old one is closed. */
  continueIn(file, scribe) {
    const old = this.file;
    this.file = file;
    this.scribe = scribe;
    this.file.write(scribe.opening());
    return old.close();
  }
  /** @param isOver the guest is gone, and its ring with it */
  async close(isOver) {
    await this.file.close();
    if (isOver) this.note.discard();
    else this.note.close();
  }
  writeNote(text) {
    this.noted = text !== "";
    try {
      this.note.write(text);
    } catch (error) {
      this.log.warn("cannot note how far the log is", { error: errorMessage(error) });
    }
  }
};

// src/xenconsoled/history.ts
var FIRST_SIZE = 4096;
var HistoryReader = class {
  history;
  position;
  /** @param position counted from the first byte that the console ever printed */
  constructor(history, position) {
    this.history = history;
    this.position = position;
  }
  /** Bytes that are there and were not read yet. */
  get length() {
    return this.history.end - this.place();
  }
  /** The oldest unread bytes that lie in one run, a window that lasts until the next `append`; empty when there are none. */
  peek() {
    return this.history.run(this.place());
  }
  /** Goes on after the next `length` bytes. */
  consume(length) {
    this.position = Math.min(this.place() + length, this.history.end);
  }
  place() {
    this.position = Math.max(this.position, this.history.start);
    return this.position;
  }
};
var History = class {
  limit;
  /** A circle of bytes that grows with its content, so that a quiet console is cheap. */
  circle = new Uint8Array(0);
  /** Where in the circle the oldest byte is. */
  first = 0;
  used = 0;
  /** Bytes that were ever appended. */
  end = 0;
  /** @param limit bytes to keep; what is older goes */
  constructor(limit) {
    this.limit = limit;
  }
  /** How many bytes came before the oldest that is still there. */
  get start() {
    return this.end - this.used;
  }
  append(bytes) {
    this.end += bytes.length;
    const newest = bytes.subarray(Math.max(0, bytes.length - this.limit));
    this.forget(this.used + newest.length - this.limit);
    this.makeRoom(this.used + newest.length);
    const at = (this.first + this.used) % this.circle.length;
    const upTo = Math.min(newest.length, this.circle.length - at);
    this.circle.set(newest.subarray(0, upTo), at);
    this.circle.set(newest.subarray(upTo), 0);
    this.used += newest.length;
  }
  /** @param back how many of the bytes that are there already it gives, at most */
  reader(back) {
    return new HistoryReader(this, Math.max(this.start, this.end - back));
  }
  /** The bytes from `position` on that lie in one run. */
  run(position) {
    const skipped = position - this.start;
    if (skipped >= this.used) return this.circle.subarray(0, 0);
    const at = (this.first + skipped) % this.circle.length;
    return this.circle.subarray(at, Math.min(at + this.used - skipped, this.circle.length));
  }
  forget(length) {
    if (length <= 0) return;
    this.used -= length;
    this.first = (this.first + length) % this.circle.length;
  }
  makeRoom(needed) {
    if (needed <= this.circle.length) return;
    let size = Math.max(this.circle.length, FIRST_SIZE);
    while (size < needed) size *= 2;
    const grown = new Uint8Array(Math.min(size, Math.max(this.limit, needed)));
    const oldest = this.run(this.start);
    grown.set(oldest);
    grown.set(this.circle.subarray(0, this.used - oldest.length), oldest.length);
    this.circle = grown;
    this.first = 0;
  }
};

// src/xenconsoled/log-file.ts
var NAME_LENGTH_MAX = 200;
function isUnsafe(character) {
  return character === "/" || character < " " || character === "\x7F";
}
function guestLogName(domainName, index = 0) {
  const safe = Array.from(
    domainName.slice(0, NAME_LENGTH_MAX),
    (character) => isUnsafe(character) ? "_" : character
  );
  return `guest-${safe.join("")}${index === 0 ? "" : `-console${index}`}.log`;
}
var HYPERVISOR_LOG_NAME = "hypervisor.log";

// src/xenconsoled/log-style.ts
var LF = 10;
var CR = 13;
var ESC = 27;
var DOT = 46;
var twoDigits = (value) => String(value).padStart(2, "0");
function timestamp(wallclock_ms) {
  const now = new Date(wallclock_ms);
  const date = [now.getFullYear(), twoDigits(now.getMonth() + 1), twoDigits(now.getDate())];
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(twoDigits);
  return latin1Encode(`[${date.join("-")} ${time.join(":")}] `);
}
function textFields(bytes) {
  const text = latin1Decode(bytes);
  if (bytes.every((byte) => byte < 128)) return { text };
  try {
    return { text: decodeURIComponent(escapeBytes(text)) };
  } catch {
    return { text, encoding: "latin1" };
  }
}
function escapeBytes(text) {
  return text.replace(
    /[^0-9A-Za-z]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, "0")}`
  );
}
function* lines(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(LF, at);
    const end = newline < 0 ? bytes.length : newline + 1;
    yield bytes.subarray(at, end);
    at = end;
  }
}
var LogScribe = class {
  style;
  clock;
  subject;
  atLineStart = true;
  constructor(style, clock, subject) {
    this.style = style;
    this.clock = clock;
    this.subject = subject;
  }
  /** What a log says when it is opened. */
  opening() {
    const { format, timestamps } = this.style;
    if (format === "json") return this.record({ event: "opened" });
    return timestamps ? this.stamped(latin1Encode("Logfile Opened\n")) : new Uint8Array(0);
  }
  /** `bytes` as they stand in the log. May be a window onto `bytes` themselves. */
  written(bytes) {
    const { format, timestamps, replaceEscape } = this.style;
    const shown = replaceEscape ? bytes.map((byte) => byte === ESC ? DOT : byte) : bytes;
    if (format === "json") return this.records(shown);
    return timestamps ? this.stamped(shown) : shown;
  }
  stamped(bytes) {
    const stamp = timestamp(this.clock.wallclock_ms());
    const pieces = [];
    for (const line of lines(bytes)) {
      let start = 0;
      if (this.atLineStart) {
        while (line[start] === CR) start++;
        if (start === line.length) continue;
        pieces.push(stamp);
      }
      pieces.push(line.subarray(start));
      this.atLineStart = line[line.length - 1] === LF;
    }
    return joined(pieces);
  }
  /** One record a line; the start of a line that is still being printed has a record of its own. */
  records(bytes) {
    return joined(Array.from(lines(bytes), (line) => this.record(textFields(line))));
  }
  record(fields) {
    const time = new Date(this.clock.wallclock_ms()).toISOString();
    return latin1Encode(`${asciiJson({ time, ...this.subject, ...fields })}
`);
  }
};
function joined(pieces) {
  if (pieces.length <= 2) return joinBytes(pieces[0] ?? new Uint8Array(0), pieces[1]);
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

// src/xenconsoled/served-console.ts
var TYPED_SIZE = 1024;
var TYPED_TURNS_MAX = 16;
var TERMINAL_RENEWAL_MS = 1e3;
var ServedConsole = class {
  place;
  history;
  services;
  log;
  onViolation;
  ring;
  terminal;
  unshown;
  viewers = /* @__PURE__ */ new Set();
  renewal;
  guestLog;
  storing;
  printed = new Uint8Array(CONSOLE_OUTPUT_SIZE);
  typed = new Uint8Array(TYPED_SIZE);
  /** The part of `typed` that the guest's ring had no room for yet. */
  waiting = this.typed.subarray(0, 0);
  windowSize;
  windowSizeWriter = new Stepper(() => this.writeWindowSize());
  closing;
  /** @param onViolation told once the guest has broken a rule of the ring, which is disconnected then */
  constructor(place, services, onViolation) {
    this.place = place;
    this.services = services;
    this.onViolation = onViolation;
    this.log = services.log.child({ domid: place.domid, console: place.index });
    const reserve = services.overflow === "keep" ? CONSOLE_OUTPUT_SIZE : 0;
    this.history = new History(place.limit + reserve);
    this.unshown = this.history.reader(0);
  }
  /** Whether a ring is connected. */
  get connected() {
    return this.ring !== void 0;
  }
  /** Serves `ring` from here on, instead of the one before, of which what is left is taken. */
  async connect(ring) {
    this.disconnect();
    this.ring = ring;
    try {
      await this.openLog();
    } finally {
      if (this.ring === ring) ring.onEvent(() => this.ringReady());
    }
    if (this.terminal === void 0) await this.openTerminal();
  }
  get viewerCount() {
    return this.viewers.size;
  }
  /** Opens the log again, under the name that the guest has now. */
  async reopenLog() {
    const { guestLog } = this;
    if (guestLog === void 0) return this.openLog();
    const opened = await this.openFile();
    if (opened === void 0) return;
    if (this.closing !== void 0) await opened.file.close();
    else await guestLog.continueIn(opened.file, opened.scribe);
  }
  /** Adds a viewer; `back` is how many bytes of earlier output it sees, at most. */
  addViewer(viewer, back) {
    this.viewers.add(viewer);
    return this.history.reader(back);
  }
  removeViewer(viewer) {
    this.viewers.delete(viewer);
  }
  /** Something was typed at a viewer. */
  typedReady() {
    this.passTyped();
  }
  /** Tells the guest how large its viewer's window is: in the node `window-size`, for guests that look at it. */
  setWindowSize(size) {
    this.windowSize = windowSizeText(size);
    this.windowSizeWriter.wake();
  }
  /**
   * Lets go of everything; of a console that is over it takes first what was printed last.
   * Idempotent.
   *
   * @param isOver the guest is gone, or the console with it: nobody will take it up again
   */
  close(isOver) {
    this.closing ??= this.end(isOver);
    return this.closing;
  }
  async end(isOver) {
    await this.storing;
    const { ring } = this;
    if (ring !== void 0 && isOver) {
      this.takeBatch(ring);
      await this.storing;
    }
    this.disconnect();
    this.renewal?.cancel();
    this.terminal?.close();
    for (const viewer of this.viewers) viewer.consoleEnded(isOver);
    this.viewers.clear();
    await Promise.allSettled([this.guestLog?.close(isOver), this.windowSizeWriter.stop()]);
  }
  /** Lets go of the ring. What it still holds is logged without regard to a kill: it is over. */
  disconnect() {
    const { ring } = this;
    if (ring === void 0) return;
    this.ring = void 0;
    if (this.closing === void 0) {
      const bytes = this.printed.subarray(0, ring.stream.read(this.printed));
      if (bytes.length > 0) {
        this.guestLog?.takeLast(bytes);
        this.show(bytes);
      }
      ring.stream.release();
    }
    ring.close();
    this.waiting = this.typed.subarray(0, 0);
  }
  async openLog() {
    if (this.guestLog !== void 0) return;
    const opened = await this.openFile();
    if (opened === void 0) return;
    if (this.ring === void 0 || this.closing !== void 0) return opened.file.close();
    const { domid, index } = this.place;
    const note = this.services.openNote(`console-${domid}-${index}`);
    this.guestLog = new GuestLog({ ...opened, note, log: this.log });
    this.guestLog.resume(this.ring.index);
  }
  async openFile() {
    const { xenstore, openLog, clock, logStyle } = this.services;
    if (openLog === void 0) return void 0;
    const { domid, index } = this.place;
    const name = await xenstore.readIfPresent(childPath(domainHome(domid), "name"));
    if (name === void 0 || name === "") return void 0;
    try {
      const file = openLog(guestLogName(name, index));
      const scribe = new LogScribe(logStyle, clock, { domid, domain: name, console: index });
      return { file, scribe };
    } catch (error) {
      this.log.error("cannot open the log of the console", { error: errorMessage(error) });
      return void 0;
    }
  }
  ringReady() {
    const { ring } = this;
    if (ring === void 0) return;
    this.takePrinted(1);
    this.passTyped();
    const { error } = ring.stream;
    if (error === void 0 || this.ring !== ring) return;
    this.log.error("console ended", { error: error.message });
    this.disconnect();
    this.onViolation(error);
  }
  /**
   * Takes what the guest has printed and keeps printing, as long as its allowance permits.
   *
   * @param batchesPaid how many batches were counted already, with the event that told of them
   */
  takePrinted(batchesPaid) {
    for (let batches = 0; ; batches++) {
      const { ring } = this;
      if (ring === void 0 || this.closing !== void 0) return;
      if (this.storing !== void 0 || this.isFull()) return;
      if (batches >= batchesPaid && ring.allowance.exhausted) return;
      if (!this.takeBatch(ring)) return;
      if (batches >= batchesPaid) ring.allowance.spend();
    }
  }
  /** One read empties the ring. Returns whether there was something. */
  takeBatch(ring) {
    const { index } = ring;
    const bytes = this.printed.subarray(0, ring.stream.read(this.printed));
    if (bytes.length === 0) {
      this.guestLog?.rest();
      return false;
    }
    if (this.guestLog === void 0) {
      ring.stream.release();
    } else {
      const { guestLog } = this;
      ring.allowance.hold();
      this.storing = new Promise((resolve) => {
        guestLog.take(index, bytes, () => {
          this.storing = void 0;
          this.stored(ring);
          resolve();
        });
      });
    }
    this.show(bytes);
    return true;
  }
  stored(ring) {
    if (this.ring === ring) ring.stream.release();
    this.takePrinted(0);
    if (this.storing === void 0) this.ring?.allowance.letGo();
  }
  /** With `keep`, the guest waits for somebody to read. */
  isFull() {
    return this.services.overflow === "keep" && this.unshown.length >= this.place.limit;
  }
  show(bytes) {
    this.history.append(bytes);
    this.showOnTerminal();
    for (const viewer of this.viewers) viewer.outputReady();
  }
  showOnTerminal() {
    const { unshown, terminal } = this;
    if (terminal === void 0) return;
    while (unshown.length > 0) {
      const shown = terminal.write(unshown.peek());
      if (shown === 0) return;
      unshown.consume(shown);
    }
  }
  /** Ends when there is nothing to pass, or no room. A guest that makes room signals it. */
  passTyped() {
    for (let turn = 0; turn < TYPED_TURNS_MAX; turn++) {
      if (this.ring === void 0 || this.closing !== void 0) return;
      if (this.waiting.length === 0) this.waiting = this.typed.subarray(0, this.readTyped());
      const passed = this.ring.stream.write(this.waiting);
      if (passed === 0) return;
      this.waiting = this.waiting.subarray(passed);
    }
  }
  /** From whoever has typed something; who typed last comes last the next time. */
  readTyped() {
    const fromTerminal = this.terminal?.read(this.typed) ?? 0;
    if (fromTerminal > 0) return fromTerminal;
    for (const viewer of this.viewers) {
      const length = viewer.readTyped(this.typed);
      if (length === 0) continue;
      if (this.viewers.delete(viewer)) this.viewers.add(viewer);
      return length;
    }
    return 0;
  }
  async openTerminal() {
    if (this.closing !== void 0) return;
    let terminal;
    try {
      terminal = this.services.openTerminal(this.place.terminal);
    } catch (error) {
      this.log.error("cannot open a terminal", { error: errorMessage(error) });
      this.openTerminalLater();
      return;
    }
    this.terminal = terminal;
    terminal.onReady(() => this.terminalReady(terminal));
    this.showOnTerminal();
    await this.publish("tty", terminal.path);
  }
  /** Writes a key of the console, unless its domain was removed meanwhile: nodes must not come back. */
  publish(key, value) {
    const { path, domid, index } = this.place;
    const node = childPath(path, key);
    const { xenstore, hypervisor } = this.services;
    return xenstore.transaction(async (nodes) => {
      if (await nodes.readIfPresent(childPath(path, "port")) === void 0) return;
      await nodes.write(node, value);
      if (index === 0) return;
      await nodes.setPermissions(node, [
        { domid: hypervisor.domid, access: "n" },
        { domid, access: "r" }
      ]);
    });
  }
  async writeWindowSize() {
    try {
      await this.publish(WINDOW_SIZE_KEY, this.windowSize ?? "");
    } catch (error) {
      this.log.warn("cannot tell the size of the window", { error: errorMessage(error) });
    }
  }
  terminalReady(terminal) {
    if (terminal !== this.terminal) return;
    const guestWaited = this.isFull();
    this.showOnTerminal();
    if (guestWaited) this.takePrinted(0);
    this.passTyped();
    if (terminal.ended) this.replaceTerminal(terminal);
  }
  replaceTerminal(broken) {
    this.log.warn("the terminal broke", { tty: broken.path });
    broken.close();
    this.terminal = void 0;
    this.openTerminalLater();
  }
  openTerminalLater() {
    this.renewal = this.services.clock.after(TERMINAL_RENEWAL_MS, () => {
      this.openTerminal().catch((error) => {
        this.log.warn("cannot tell the terminal", { error: errorMessage(error) });
      });
    });
  }
};

// src/xenconsoled/device-consoles.ts
var SOCKET_OUTPUT = /^unix:([^,]+)/;
async function terminalPlan(keys) {
  const [connection, path, output] = await Promise.all(
    ["connection", "path", "output"].map((key) => keys.read(key))
  );
  if (connection === "socket") {
    if (path !== void 0 && path !== "") return { path };
    throw new XenError("EINVAL", "read path", "a console connected to a socket has one");
  }
  if (connection !== void 0 && connection !== "pty") {
    throw new XenError("EINVAL", "read connection", "must be pty or socket");
  }
  if (connection === "pty" || output === void 0 || output === "pty") return "pty";
  const socket = SOCKET_OUTPUT.exec(output)?.[1];
  if (socket !== void 0) return { path: socket };
  throw new XenError("EINVAL", "read output", "must be pty or unix:PATH");
}
var DeviceConsole = class {
  device;
  services;
  register;
  constructor(device, services, register) {
    this.device = device;
    this.services = services;
    this.register = register;
  }
  async announce() {
  }
  async connect(keys) {
    const { peer, devid, frontend } = this.device;
    const ref = grantRef(await needPeerNumber(keys, "ring-ref", 4294967295));
    const port = eventPort(await needPeerNumber(keys, "port", EVENT_PORT_MAX));
    const limit = await readPeerNumber(keys, "limit", Number.MAX_SAFE_INTEGER);
    const place = {
      domid: peer,
      index: Number(devid),
      path: frontend,
      terminal: await terminalPlan(keys),
      limit: outputLimit(limit ?? OUTPUT_LIMIT_DEFAULT)
    };
    const console = new ServedConsole(place, this.services, (error) => keys.fail(error));
    const ring = connectGrantedRing(this.services, peer, ref, port);
    this.register.add(console);
    const connection = {
      close: async () => {
        await console.close(!this.register.ending);
        this.register.remove(console);
      }
    };
    try {
      await console.connect(ring);
    } catch (error) {
      await connection.close();
      throw error;
    }
    return connection;
  }
};
var FURTHER_CONSOLE = /^[1-9][0-9]{0,3}$/;
function openDeviceConsoles(services, register) {
  const { xenstore, log, hypervisor } = services;
  return BackBus.open({
    xenstore,
    log,
    domid: hypervisor.domid,
    type: "console",
    driverFor: (device) => new DeviceConsole(device, services, register),
    serves: async ({ devid, frontend }) => FURTHER_CONSOLE.test(devid) && await xenstore.readIfPresent(childPath(frontend, "type")) === OWN_TYPE
  });
}

// src/xenconsoled/guest-console.ts
var GuestConsole = class {
  domid;
  path;
  services;
  log;
  /** From the moment on at which its keys are known. */
  served;
  keys;
  /** Of a ring whose guest broke a rule: it is not connected again until they change. */
  condemned;
  watch;
  stepper = new Stepper(() => this.update());
  closed = false;
  constructor(domid, services) {
    this.domid = domid;
    this.path = childPath(domainHome(domid), "console");
    this.services = services;
    this.log = services.log.child({ domid });
  }
  /** Follows the console's keys from here on. */
  start() {
    this.watch = this.services.xenstore.watch(this.path, () => this.stepper.wake());
    this.watch.catch((error) => {
      this.log.warn("cannot watch the console keys", { error: errorMessage(error) });
    });
  }
  /**
   * Lets go of everything; of a guest that is gone it takes first what was printed last. Idempotent.
   *
   * @param isOver the guest is gone
   */
  async close(isOver) {
    if (this.closed) return;
    this.closed = true;
    const watchEnds = this.watch?.then((watch) => watch.close());
    await this.stepper.stop();
    await Promise.allSettled([watchEnds, this.served?.close(isOver)]);
  }
  async update() {
    try {
      await this.followKeys();
    } catch (error) {
      this.log.warn("cannot serve the console", { error: errorMessage(error) });
    }
  }
  async followKeys() {
    const keys = await readConsoleKeys(this.services.xenstore, this.path);
    if (keys === void 0 || this.closed) return;
    const { domid, path } = this;
    this.served ??= new ServedConsole(
      { domid, index: 0, path, terminal: "pty", limit: keys.limit },
      this.services,
      () => {
        this.condemned = this.keys;
      }
    );
    await this.connect(keys, this.served);
  }
  /**
   * Connects the ring that the keys name. When they are those of the ring that is connected, the
   * port is tried all the same: it can be bound only if the guest has opened it anew, as after a
   * soft reset.
   */
  async connect(keys, served) {
    const same = (other) => other?.port === keys.port && other.ringGfn === keys.ringGfn;
    if (same(this.condemned)) return;
    const wasServed = served.connected && same(this.keys);
    if (!wasServed) served.disconnect();
    let ring;
    try {
      ring = connectFirstRing(this.services, this.domid, keys);
    } catch (error) {
      if (wasServed && error instanceof XenError) return;
      throw error;
    }
    this.keys = keys;
    await served.connect(ring);
    this.log.info("console connected", { port: keys.port });
  }
};

// src/xenconsoled/hypervisor-log.ts
var READS_PER_TURN_MAX = 16;
var HypervisorLog = class {
  services;
  channel;
  file;
  scribe;
  further;
  /**
   * Begins with what the hypervisor has printed so far. Throws when the log can't be opened, or
   * `XenError` EEXIST when another console daemon has the virtual interrupt.
   */
  constructor(services) {
    this.services = services;
    this.scribe = new LogScribe(services.logStyle, services.clock, { source: "hypervisor" });
    this.channel = services.hypervisor.events.bindVirq(VIRQ_CON_RING);
    try {
      this.file = this.openFile();
    } catch (error) {
      this.channel.close();
      throw error;
    }
    this.channel.onEvent(() => this.take());
    this.take();
  }
  reopen() {
    const { file, services } = this;
    try {
      this.file = this.openFile();
      void file.close();
    } catch (error) {
      services.log.error("cannot open the hypervisor log again", { error: errorMessage(error) });
    }
  }
  /** Idempotent. */
  async close() {
    this.further?.cancel();
    this.channel.close();
    await this.file.close();
  }
  openFile() {
    const file = this.services.openLog(HYPERVISOR_LOG_NAME);
    file.write(this.scribe.opening());
    return file;
  }
  take() {
    const { domainControl, clock, log } = this.services;
    this.further?.cancel();
    try {
      for (let reads = 0; reads < READS_PER_TURN_MAX; reads++) {
        const text = domainControl.readConsole();
        if (text === void 0) return;
        this.file.begin();
        this.file.write(this.scribe.written(text));
      }
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      log.error("cannot read the hypervisor console", { error: error.message });
      return;
    }
    this.further = clock.after(0, () => this.take());
  }
};

// src/xenconsoled/viewer-session.ts
var FRAMES_PER_TURN_MAX = 16;
var NOTHING = new Uint8Array(0);
var ViewerSession = class {
  parts;
  stream;
  frames;
  console;
  reader;
  readOnly = true;
  /** What was typed and the guest has not taken yet. */
  typed = NOTHING;
  /** What is on its way to the viewer: the rest of a frame. */
  outgoing = NOTHING;
  ended = false;
  constructor(parts) {
    this.parts = parts;
    this.stream = parts.stream;
    this.frames = new FrameReader(parts.stream);
    parts.stream.onReady(() => this.ready());
  }
  /** Idempotent. */
  close() {
    if (this.ended) return;
    this.ended = true;
    this.console?.removeViewer(this);
    this.stream.close();
    this.parts.onEnd();
  }
  outputReady() {
    const { reader, stream } = this;
    while (!this.ended && reader !== void 0) {
      if (this.outgoing.length === 0) {
        const bytes = reader.peek().subarray(0, FRAME_PAYLOAD_MAX);
        if (bytes.length === 0) return;
        this.outgoing = frame(VIEWER_OUTPUT, bytes);
        reader.consume(bytes.length);
      }
      const sent = stream.write(this.outgoing);
      if (sent === 0) return;
      this.outgoing = this.outgoing.subarray(sent);
    }
  }
  readTyped(target) {
    if (this.typed.length === 0) this.guarded(() => this.readFrames());
    const length = Math.min(this.typed.length, target.length);
    target.set(this.typed.subarray(0, length));
    this.typed = this.typed.subarray(length);
    return length;
  }
  consoleEnded(isOver) {
    if (isOver) this.farewell(VIEWER_ENDED, "the console is over");
    else this.close();
  }
  ready() {
    if (this.ended) return;
    if (this.console === void 0) this.guarded(() => this.attach());
    this.outputReady();
    if (this.readOnly) this.guarded(() => this.readFrames());
    else this.console?.typedReady();
    if (this.stream.ended) this.close();
  }
  attach() {
    const first = this.frames.next();
    if (first === void 0) return;
    if (first.type !== VIEWER_ATTACH) {
      this.farewell(VIEWER_REFUSED, `the first frame is ATTACH, not type ${first.type}`);
      return;
    }
    const request = parseAttach(first.payload);
    const console = this.parts.find(request);
    if (console === void 0) {
      const { domid, console: index } = request;
      this.farewell(VIEWER_REFUSED, `domain ${domid} has no console ${index} that is served here`);
      return;
    }
    const otherViewers = console.viewerCount;
    this.readOnly = request.readOnly;
    this.reader = console.addViewer(this, request.scrollback);
    this.console = console;
    this.outgoing = jsonFrame(VIEWER_ATTACHED, { otherViewers });
  }
  /** Up to the next input; what a read-only viewer types is nobody's. */
  readFrames() {
    for (let count = 0; count < FRAMES_PER_TURN_MAX && !this.ended; count++) {
      const next = this.frames.next();
      if (next === void 0) return;
      if (next.type === VIEWER_WINDOW) this.resize(next.payload);
      else if (next.type !== VIEWER_INPUT) {
        throw new XenError("EPROTO", "read a viewer frame", `type ${next.type} is unknown here`);
      } else if (!this.readOnly && next.payload.length > 0) {
        this.typed = next.payload;
        return;
      }
    }
  }
  resize(payload) {
    const size = parseWindow(payload);
    if (!this.readOnly) this.console?.setWindowSize(size);
  }
  /** Ends the session, and no other, when the viewer breaks a rule. */
  guarded(body) {
    try {
      body();
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      this.parts.log.warn("a viewer is refused", { error: error.message });
      this.farewell(VIEWER_REFUSED, error.message);
    }
  }
  /** The last frame. A viewer that has left no room for it sees the end of the stream only. */
  farewell(type, reason) {
    if (this.ended) return;
    if (type === VIEWER_ENDED) this.outputReady();
    if (this.outgoing.length === 0) this.stream.write(jsonFrame(type, { reason }));
    this.close();
  }
};

// src/xenconsoled/xenconsoled.ts
var XENCONSOLED_DEFAULTS = {
  log: { guest: false, hv: false },
  timestamp: { guest: false, hv: false },
  logFormat: "text",
  replaceEscape: false,
  overflow: "discard"
};
var VIEWERS_MAX = 256;
var ConsoleDaemon = class {
  services;
  consoleServices;
  guests = /* @__PURE__ */ new Map();
  deviceConsoles = /* @__PURE__ */ new Set();
  viewers = /* @__PURE__ */ new Set();
  hypervisorLog;
  deviceBus;
  endWatches = async () => {
  };
  ending = false;
  constructor(services, options) {
    const { openLog, ...others } = services;
    const { logFormat: format, replaceEscape, timestamp: timestamp2, overflow } = options;
    this.services = services;
    this.consoleServices = {
      ...others,
      ...options.log.guest ? { openLog } : {},
      logStyle: { format, replaceEscape, timestamps: timestamp2.guest },
      overflow
    };
    this.hypervisorLog = options.log.hv ? new HypervisorLog({
      ...services,
      logStyle: { format, replaceEscape, timestamps: timestamp2.hv }
    }) : void 0;
  }
  /** Each watch fires once at once, which finds the domains that are there already. */
  async start() {
    const { xenstore } = this.services;
    const watches = await Promise.all(
      ["@introduceDomain", "@releaseDomain"].map(
        (happening) => xenstore.watch(happening, () => this.lookAtDomains())
      )
    );
    this.endWatches = () => Promise.allSettled(watches.map((watch) => watch.close()));
    this.deviceBus = await openDeviceConsoles(this.consoleServices, this);
  }
  reopenLogs() {
    this.hypervisorLog?.reopen();
    for (const console of this.consoles()) {
      console.reopenLog().catch((error) => {
        const { domid, index } = console.place;
        const fields = { domid, console: index, error: errorMessage(error) };
        this.services.log.error("cannot reopen a log", fields);
      });
    }
  }
  attachViewer(stream) {
    if (this.ending || this.viewers.size >= VIEWERS_MAX) {
      this.services.log.warn("a viewer is refused", { error: `limit viewers: ${VIEWERS_MAX}` });
      stream.close();
      return;
    }
    const session = new ViewerSession({
      stream,
      log: this.services.log,
      find: (request) => this.find(request),
      onEnd: () => this.viewers.delete(session)
    });
    this.viewers.add(session);
  }
  async close() {
    if (this.ending) return;
    this.ending = true;
    const guests = [...this.guests.values()];
    this.guests.clear();
    await Promise.all([
      this.endWatches(),
      this.hypervisorLog?.close(),
      this.deviceBus?.close(),
      ...guests.map((guest) => guest.close(false))
    ]);
    for (const viewer of this.viewers) viewer.close();
  }
  add(console) {
    this.deviceConsoles.add(console);
  }
  remove(console) {
    this.deviceConsoles.delete(console);
  }
  /** Every console that is served now. */
  consoles() {
    const first = [...this.guests.values()].flatMap(({ served }) => served ?? []);
    return [...first, ...this.deviceConsoles];
  }
  find(request) {
    return this.consoles().find(
      ({ place }) => place.domid === request.domid && place.index === request.console
    );
  }
  lookAtDomains() {
    if (this.ending) return;
    const alive = this.aliveDomains();
    if (alive === void 0) return;
    for (const [domid, guest] of this.guests) {
      if (alive.has(domid)) continue;
      this.guests.delete(domid);
      void guest.close(true);
    }
    for (const domid of alive) {
      if (this.guests.has(domid)) continue;
      const guest = new GuestConsole(domid, this.consoleServices);
      this.guests.set(domid, guest);
      guest.start();
    }
  }
  /** Domains that may have a console of ours; domain 0's and our own are nobody's to serve. */
  aliveDomains() {
    const { domainControl, hypervisor, log } = this.services;
    try {
      const served = domainControl.list().filter(({ domid, dying }) => !dying && domid !== DOM0 && domid !== hypervisor.domid);
      return new Set(served.map(({ domid }) => domid));
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      log.error("cannot list the domains", { error: error.message });
      return void 0;
    }
  }
};
async function startXenconsoled(services, options) {
  const daemon = new ConsoleDaemon(services, options);
  try {
    await daemon.start();
  } catch (error) {
    await daemon.close();
    throw error;
  }
  return daemon;
}

export {
  frontConsole,
  XENCONSOLED_DEFAULTS,
  startXenconsoled
};
//# sourceMappingURL=chunk-VA2YK6AB.js.map
