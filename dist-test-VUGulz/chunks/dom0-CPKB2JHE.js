import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  startXenconsoled
} from "./chunk-VA2YK6AB.js";
import "./chunk-2WEKOQT4.js";
import "./chunk-6MNRIXTP.js";
import "./chunk-CENJH6II.js";
import "./chunk-LRBUSU5K.js";
import "./chunk-DMYIZMIZ.js";
import {
  openDomainControl,
  openLinuxHypervisor
} from "./chunk-RMLGY3KQ.js";
import {
  Holdings
} from "./chunk-7FWQTIXQ.js";
import "./chunk-YFVYMXZQ.js";
import "./chunk-CIIRNFUU.js";
import {
  followXenstore
} from "./chunk-UXLTWUUS.js";
import "./chunk-LYWPVKHU.js";
import "./chunk-KZAJKWCF.js";
import {
  UnixSocketListener,
  listenUnixSocket,
  nodeClock,
  servedTogether
} from "./chunk-A4XA7GZ3.js";
import "./chunk-SG3WZJOQ.js";
import "./chunk-HVXLNJDG.js";
import {
  loadNative
} from "./chunk-MHMOFGF5.js";
import "./chunk-IXIAWWMT.js";
import "./chunk-FWPDKSSG.js";
import "./chunk-FM26WRJC.js";
import "./chunk-WRZEEFDO.js";
import "./chunk-GNCMNX2R.js";
import {
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// stubdoms/xenconsoled/dom0.ts
import { mkdirSync as mkdirSync3 } from "node:fs";
import { dirname as dirname2 } from "node:path";

// src/node/log-file.ts
import { close, fstatSync, ftruncateSync, mkdirSync, openSync, write } from "node:fs";
import { dirname } from "node:path";

// src/node/log-rotation.ts
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
var NO_ROTATION = { size_bytes: 0, age_ms: 0, keep: 1, compress: false };
var withSuffix = (path, suffix) => Buffer.concat([path, Buffer.from(suffix)]);
var LogRotation = class {
  path;
  rules;
  log;
  compressing;
  constructor(path, rules, log) {
    this.path = path;
    this.rules = rules;
    this.log = log;
    if (this.rotates) this.setRight();
  }
  /** Whether a log of so many bytes, begun at `begun_ms` since 1970, is to be put aside now. */
  isDue(size, begun_ms) {
    const { size_bytes, age_ms } = this.rules;
    if (size === 0 || this.compressing !== void 0) return false;
    if (size_bytes > 0 && size >= size_bytes) return true;
    return age_ms > 0 && Date.now() - begun_ms >= age_ms;
  }
  /** Moves the log aside. Throws an error with a `code` when the file system refuses. */
  rotate() {
    const { keep, compress } = this.rules;
    this.remove(keep);
    for (let n = keep - 1; n >= 1; n--) {
      for (const ending of ["", ".gz"]) {
        const old = this.numbered(n, ending);
        if (existsSync(old)) renameSync(old, this.numbered(n + 1, ending));
      }
    }
    renameSync(this.path, this.numbered(1));
    if (compress) this.compressNewest();
  }
  /** Resolves when nothing is being compressed any more. */
  async settled() {
    await this.compressing;
  }
  get rotates() {
    return this.rules.size_bytes > 0 || this.rules.age_ms > 0;
  }
  numbered(n, ending = "") {
    return withSuffix(this.path, `.${n}${ending}`);
  }
  remove(n) {
    for (const ending of ["", ".gz"]) rmSync(this.numbered(n, ending), { force: true });
  }
  /** A compressed log that is whole stands beside its original only if nobody had time to remove that. */
  setRight() {
    rmSync(this.numbered(1, ".gz.part"), { force: true });
    if (!existsSync(this.numbered(1))) return;
    if (existsSync(this.numbered(1, ".gz"))) rmSync(this.numbered(1));
    else if (this.rules.compress) this.compressNewest();
  }
  compressNewest() {
    this.compressing = this.compress().then(
      () => {
        this.compressing = void 0;
      },
      (error) => {
        this.compressing = void 0;
        rmSync(this.numbered(1, ".gz.part"), { force: true });
        this.log.warn("cannot compress an old log", { error: errorMessage(error) });
      }
    );
  }
  async compress() {
    const part = this.numbered(1, ".gz.part");
    await pipeline(
      createReadStream(this.numbered(1)),
      createGzip(),
      createWriteStream(part, { mode: 420 })
    );
    renameSync(part, this.numbered(1, ".gz"));
    rmSync(this.numbered(1));
  }
};

// src/node/log-file.ts
var WAITING_BYTES_MAX = 1 << 20;
var WRITE_BYTES_MAX = 1 << 16;
var PATIENCE_MS = 5e3;
function openForAppending(path) {
  let fd;
  try {
    fd = openSync(path, "a", 420);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    mkdirSync(dirname(path.toString("latin1")), { recursive: true });
    fd = openSync(path, "a", 420);
  }
  const { ino, size, birthtimeMs } = fstatSync(fd);
  return { fd, inode: ino, size, begun_ms: size === 0 ? Date.now() : birthtimeMs };
}
var AppendedFile = class {
  path;
  log;
  rotation;
  patience_ms;
  file;
  waiting = [];
  waitingBytes = 0;
  writing = [];
  /** The disk has not answered for so long that nobody waits for it any more. */
  stuck = false;
  /** Bytes lost since it was last said how many. */
  lost = 0;
  rotationFailed = false;
  ending;
  finish = () => {
  };
  /**
   * Opens the file, and creates it with mode 0644 where there is none. Throws an error with a
   * `code` when that fails.
   */
  constructor(path, log, rules = NO_ROTATION, patience_ms = PATIENCE_MS) {
    this.path = path;
    this.log = log;
    this.patience_ms = patience_ms;
    this.file = openForAppending(path);
    this.rotation = new LogRotation(path, rules, log);
  }
  /** Begins a new file when that is due. Returns where the next byte will stand, unless others still wait. */
  begin() {
    if (this.writing.length > 0 || this.waiting.length > 0) return void 0;
    const { size, begun_ms } = this.file;
    if (this.rotation.isDue(size, begun_ms)) this.beginNewFile();
    return `${this.file.inode}:${this.file.size}`;
  }
  /**
   * Takes a copy of `bytes` and never blocks. What can't be stored is dropped, counted and
   * reported. `stored` is called later in each case, and also when the disk takes too long.
   */
  write(bytes, stored = () => {
  }) {
    if (this.ending !== void 0 || bytes.length === 0) {
      setImmediate(stored);
      return;
    }
    if (this.waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      this.drop(bytes.length, "the disk is too slow");
      setImmediate(stored);
      return;
    }
    if (this.stuck) setImmediate(stored);
    this.waiting.push({ bytes: bytes.slice(), stored: this.stuck ? () => {
    } : stored });
    this.waitingBytes += bytes.length;
    this.writeNext();
  }
  cutBack(place) {
    const [inode, size] = place.split(":", 2).map(Number);
    const { file } = this;
    if (inode !== file.inode || size === void 0 || !(size >= 0 && size < file.size)) return;
    ftruncateSync(file.fd, size);
    file.size = size;
  }
  /** Resolves when all that was taken is stored or dropped, and the file closed. Idempotent. */
  close() {
    this.ending ??= new Promise((resolve) => {
      this.finish = () => {
        this.reportLoss("the log ended with output lost");
        close(this.file.fd, () => void this.rotation.settled().then(resolve));
      };
      if (this.writing.length === 0) this.finish();
    });
    return this.ending;
  }
  beginNewFile() {
    const old = this.file;
    try {
      this.rotation.rotate();
      this.file = openForAppending(this.path);
      this.rotationFailed = false;
      close(old.fd);
    } catch (error) {
      if (!this.rotationFailed) {
        this.log.error("cannot rotate the log", { error: errorMessage(error) });
      }
      this.rotationFailed = true;
    }
  }
  writeNext() {
    if (this.writing.length > 0) return;
    this.writing = this.takeNext();
    if (this.writing.length === 0) {
      if (this.ending !== void 0) this.finish();
      return;
    }
    const impatience = setTimeout(() => this.becomeStuck(), this.patience_ms);
    this.append(Buffer.concat(this.writing.map(({ bytes }) => bytes)), () => {
      clearTimeout(impatience);
      const written = this.writing;
      const wasStuck = this.stuck;
      this.writing = [];
      this.stuck = false;
      if (!wasStuck) for (const { stored } of written) stored();
      this.writeNext();
    });
  }
  /** Everybody who waits goes on without this disk, which gets what it can hold later. */
  becomeStuck() {
    this.stuck = true;
    this.log.warn("the disk under a log does not answer", { file: String(this.path) });
    const forgotten = [...this.writing, ...this.waiting];
    this.waiting = this.waiting.map(({ bytes }) => ({ bytes, stored: () => {
    } }));
    for (const { stored } of forgotten) stored();
  }
  /** The oldest that wait, many small writes as one. */
  takeNext() {
    let count = 0;
    let length = 0;
    for (const { bytes } of this.waiting) {
      if (count > 0 && length + bytes.length > WRITE_BYTES_MAX) break;
      count++;
      length += bytes.length;
    }
    return this.waiting.splice(0, count);
  }
  append(chunk, done) {
    const { file } = this;
    write(file.fd, chunk, (error, written) => {
      this.waitingBytes -= error === null ? written : chunk.length;
      if (error === null) file.size += written;
      if (error !== null) this.drop(chunk.length, errorMessage(error));
      else if (written < chunk.length) return this.append(chunk.subarray(written), done);
      else this.reportLoss("the log is written again");
      done();
    });
  }
  drop(length, reason) {
    if (this.lost === 0) {
      this.log.error("the log loses output", { file: String(this.path), reason });
    }
    this.lost += length;
  }
  reportLoss(message) {
    if (this.lost === 0) return;
    this.log.warn(message, { file: String(this.path), lost_bytes: this.lost });
    this.lost = 0;
  }
};
function logDirectory(directory, log, rules = NO_ROTATION) {
  return (name) => {
    if (name === "." || name === ".." || /[/\0]/.test(name)) {
      throw new RangeError(`${JSON.stringify(name)} is no name of a log file`);
    }
    const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, "latin1")]);
    return new AppendedFile(path, log, rules);
  };
}

// src/node/note-file.ts
import {
  closeSync,
  constants,
  mkdirSync as mkdirSync2,
  openSync as openSync2,
  readFileSync,
  rmSync as rmSync2,
  writeSync
} from "node:fs";
import { join } from "node:path";
var NOTE_SIZE = 128;
var NoteFile = class {
  path;
  bytes = Buffer.alloc(NOTE_SIZE, " ");
  fd;
  /** The file is created with the first note. */
  constructor(path) {
    this.path = path;
  }
  read() {
    try {
      return readFileSync(this.path, "latin1").trimEnd();
    } catch {
      return "";
    }
  }
  write(text) {
    if (text.length > NOTE_SIZE) throw new RangeError(`a note has at most ${NOTE_SIZE} characters`);
    this.fd ??= openSync2(this.path, constants.O_WRONLY | constants.O_CREAT, 384);
    this.bytes.fill(" ");
    this.bytes.write(text, "latin1");
    writeSync(this.fd, this.bytes, 0, NOTE_SIZE, 0);
  }
  discard() {
    this.close();
    rmSync2(this.path, { force: true });
  }
  close() {
    if (this.fd !== void 0) closeSync(this.fd);
    this.fd = void 0;
  }
};
function noteDirectory(directory) {
  mkdirSync2(directory, { recursive: true, mode: 448 });
  return (name) => new NoteFile(join(directory, name));
}

// src/node/pty.ts
import { closeSync as closeSync2 } from "node:fs";
import { constants as constants2 } from "node:os";
var NOTHING_NOW = -constants2.errno.EAGAIN;
var Pty = class {
  /** The slave's path, such as `/dev/pts/3`. */
  path;
  native;
  master;
  /**
   * Our own descriptor of the slave. It keeps output that nobody has read yet and the terminal's
   * settings while there is no viewer; without it, reading the master would fail from the last
   * viewer's leaving on.
   */
  slave;
  poller;
  handler = () => {
  };
  /** What to poll for: only what a read or write has found missing, so that nothing wakes us in vain. */
  awaited;
  broken = false;
  closed = false;
  /** Throws an error with a `code` when the system has no more ptys. */
  constructor(native) {
    this.native = native;
    const { master, slave, path } = native.openPty();
    this.master = master;
    this.slave = slave;
    this.path = path;
    this.poller = new native.Poller(master, (events) => this.polled(events));
    this.awaited = 0;
  }
  read(target) {
    if (this.ended || target.length === 0) return 0;
    const { native } = this;
    return this.moved(native.readNow(this.master, target), native.READABLE);
  }
  write(source) {
    if (this.ended || source.length === 0) return 0;
    const { native } = this;
    return this.moved(native.writeNow(this.master, source), native.WRITABLE);
  }
  onReady(handler) {
    this.handler = handler;
    this.await(this.native.READABLE);
  }
  /** True when the pty broke, which a viewer's leaving does not do, and after `close`. */
  get ended() {
    return this.broken || this.closed;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.poller.close();
    closeSync2(this.master);
    closeSync2(this.slave);
  }
  /** What a read or write of the master has moved. Where it can't go on, polls for `needed`. */
  moved(result, needed) {
    if (result >= 0) return result;
    if (result === NOTHING_NOW) this.await(needed);
    else this.fail();
    return 0;
  }
  await(events) {
    if (this.ended || (this.awaited & events) === events) return;
    this.awaited |= events;
    this.poller.start(this.awaited);
  }
  polled(events) {
    if (events < 0) this.broken = true;
    this.awaited &= ~events;
    if (this.broken || this.awaited === 0) this.poller.stop();
    else this.poller.start(this.awaited);
    this.handler();
  }
  fail() {
    this.broken = true;
    this.poller.stop();
    setImmediate(() => {
      if (!this.closed) this.handler();
    });
  }
};

// src/node/socket-terminal.ts
import { lstatSync, rmSync as rmSync3, unlinkSync } from "node:fs";
var SocketTerminal = class {
  path;
  listener;
  client;
  handler = () => {
  };
  closed = false;
  /**
   * Listens at `path` with mode 0600, in the place of a socket that was left there. Throws an error
   * with a `code` when that can't be.
   */
  constructor(native, path) {
    this.path = path;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
    const umask = process.umask(127);
    try {
      const clients = servedTogether(native, (stream) => this.accept(stream));
      this.listener = UnixSocketListener.listen(native, path, clients);
    } finally {
      process.umask(umask);
    }
  }
  read(target) {
    return this.client?.read(target) ?? 0;
  }
  /** Takes nothing while there is no client: what is printed waits for one. */
  write(source) {
    return this.client?.write(source) ?? 0;
  }
  onReady(handler) {
    this.handler = handler;
  }
  /** A client's leaving does not end it. */
  get ended() {
    return this.closed;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.client?.close();
    this.listener.close();
    rmSync3(this.path, { force: true });
  }
  accept(stream) {
    if (this.client !== void 0) {
      stream.close();
      return;
    }
    this.client = stream;
    stream.onReady(() => {
      this.handler();
      if (!stream.ended) return;
      stream.close();
      if (this.client === stream) this.client = void 0;
    });
    this.handler();
  }
};

// stubdoms/xenconsoled/dom0.ts
function choice(name) {
  return { guest: name === "guest" || name === "all", hv: name === "hv" || name === "all" };
}
async function openXenconsoled(settings, log) {
  if (settings.log !== "none") mkdirSync3(settings.logDirectory, { recursive: true });
  const held = new Holdings();
  try {
    const native = loadNative();
    const domainControl = held.keep(openDomainControl());
    const hypervisor = held.keep(openLinuxHypervisor());
    const xenstore = held.keep(
      await followXenstore({ native: loadNative, path: settings.xenstoreSocket }, log)
    );
    const daemon = await startXenconsoled(
      {
        hypervisor,
        domainControl,
        xenstore,
        clock: nodeClock,
        log,
        openTerminal: (plan) => plan === "pty" ? new Pty(native) : new SocketTerminal(native, plan.path),
        openLog: logDirectory(settings.logDirectory, log, settings.rotation),
        openNote: noteDirectory(settings.stateDirectory)
      },
      { ...settings, log: choice(settings.log), timestamp: choice(settings.timestamp) }
    );
    mkdirSync3(dirname2(settings.viewerSocket), { recursive: true });
    const viewers = servedTogether(native, (stream) => daemon.attachViewer(stream));
    held.keep(await listenUnixSocket(native, settings.viewerSocket, "viewers", viewers));
    const close2 = async () => {
      await daemon.close();
      held.close();
    };
    return { reopenLogs: () => daemon.reopenLogs(), close: close2 };
  } catch (error) {
    held.close();
    throw error;
  }
}
export {
  openXenconsoled
};
//# sourceMappingURL=dom0-CPKB2JHE.js.map
