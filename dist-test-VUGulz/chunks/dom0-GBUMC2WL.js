import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  BlockFront,
  startBlkback
} from "./chunk-HJQJP4RJ.js";
import "./chunk-LRBUSU5K.js";
import "./chunk-DMYIZMIZ.js";
import {
  openLinuxHypervisor
} from "./chunk-RMLGY3KQ.js";
import {
  Holdings
} from "./chunk-7FWQTIXQ.js";
import "./chunk-YFVYMXZQ.js";
import {
  DiskLayer,
  SECTOR_SIZE,
  byteLength
} from "./chunk-LQUJFEZC.js";
import "./chunk-CIIRNFUU.js";
import {
  followXenstore
} from "./chunk-UXLTWUUS.js";
import "./chunk-LYWPVKHU.js";
import "./chunk-KZAJKWCF.js";
import {
  nodeClock
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
  ProtocolViolation,
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// src/node/file-disk.ts
import {
  close,
  constants as constants2,
  existsSync,
  fdatasync,
  fstat,
  open,
  readFileSync as readFileSync2,
  stat
} from "node:fs";
import { constants as osConstants } from "node:os";
import { getSystemErrorName } from "node:util";

// src/node/disk-lock.ts
import { readFileSync } from "node:fs";
var users = /* @__PURE__ */ new Map();
var keyOf = ({ dev, ino }) => `${dev}:${ino}`;
function lockDisk(native, fd, stats, { exclusive, user, operation }) {
  if (!native.tryLock(fd, exclusive)) {
    throw new XenError("EBUSY", operation, `it is in use by ${lockHolder(stats)}`);
  }
  const key = keyOf(stats);
  const names = users.get(key) ?? /* @__PURE__ */ new Set();
  users.set(key, names.add(user));
  return () => {
    names.delete(user);
    if (names.size === 0) users.delete(key);
  };
}
function lockHolder(stats) {
  const here = users.get(keyOf(stats));
  if (here !== void 0) return [...here].join(", ");
  return flockHolders(stats.ino).map(processName).join(", ") || "somebody";
}
function flockHolders(inode) {
  const lines = readFileSync("/proc/locks", "latin1").split("\n");
  return lines.flatMap((line) => {
    const found = /FLOCK +\S+ +\S+ +(\d+) +[0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line);
    return found !== null && Number(found[2]) === inode ? [Number(found[1])] : [];
  });
}
function processName(pid) {
  try {
    return `process ${pid} (${readFileSync(`/proc/${pid}/comm`, "utf8").trim()})`;
  } catch {
    return `process ${pid}`;
  }
}
function deviceHolder(device) {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const points = mounts.map((line) => line.split(" ")).filter((fields) => fields[2] === device);
  const point = points[0]?.[4];
  return point === void 0 ? "another user in this domain" : `the file system at ${point}`;
}

// src/node/file-transfers.ts
import { constants } from "node:os";
var UNDER_WAY = -constants.errno.EINPROGRESS;
var FileTransfers = class {
  queue;
  /** By id. */
  underWay = [];
  freeIds = [];
  idle;
  /** @param fd open until `close` has resolved */
  constructor(native, fd) {
    this.queue = new native.FileQueue(fd, (count) => this.ended(count));
  }
  /**
   * Moves the bytes of `buffers`, one after the other: gives how many, fewer than asked for at the end
   * of the file only, or a negative errno. A promise unless that was done at once.
   */
  move(isWrite, position, buffers) {
    const id = this.freeIds.pop() ?? this.underWay.length;
    const result = this.queue.begin(id, isWrite, position, buffers);
    if (result !== UNDER_WAY) {
      this.release(id);
      return result;
    }
    return new Promise((done) => {
      this.underWay[id] = { buffers, done };
    });
  }
  /** Waits for what is under way. To be called once, and `move` not after it. */
  async close() {
    if (this.freeIds.length < this.underWay.length) {
      await new Promise((resolve) => {
        this.idle = resolve;
      });
    }
    this.queue.close();
  }
  ended(count) {
    const { told } = this.queue;
    for (let index = 0; index < count; index++) {
      const id = told[2 * index];
      const { done } = this.underWay[id];
      this.release(id);
      done(told[2 * index + 1]);
    }
    if (this.freeIds.length === this.underWay.length) this.idle?.();
  }
  release(id) {
    this.underWay[id] = void 0;
    this.freeIds.push(id);
  }
};

// src/node/file-disk.ts
var errnos = osConstants.errno;
var EXPLANATIONS = {
  EACCES: "permission denied",
  EBUSY: "it is in use",
  EIO: "the storage reports an error",
  ENODEV: "there is no such device",
  ENOENT: "there is no such file",
  ENOSPC: "no space is left where the file lies",
  EPERM: "not permitted",
  ENOTSUP: "the storage cannot do that",
  EROFS: "it can only be opened read-only"
};
var STORAGE_CODES = /* @__PURE__ */ new Map([
  [errnos.ENOSPC, "ENOSPC"],
  [errnos.EDQUOT, "ENOSPC"],
  [errnos.EOPNOTSUPP, "ENOTSUP"]
]);
function diskError(operation, error) {
  const code = errorCode(error);
  const words = EXPLANATIONS[code];
  return words === void 0 ? new XenError("EIO", operation, errorMessage(error), error) : new XenError(code, operation, words, error);
}
function storageError(operation, errno) {
  const code = STORAGE_CODES.get(-errno) ?? "EIO";
  return new XenError(code, operation, `${EXPLANATIONS[code]}: ${getSystemErrorName(errno)}`);
}
var MOVED = Promise.resolve();
function complete(operation, call) {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error === null) resolve(result);
      else reject(diskError(operation, error));
    });
  });
}
var FileDisk = class _FileDisk {
  native;
  path;
  fd;
  unlock;
  current;
  transfers;
  /** Flushes and discards. */
  underWay = /* @__PURE__ */ new Set();
  closed;
  constructor(native, path, opened) {
    this.native = native;
    this.path = path;
    this.fd = opened.fd;
    this.current = opened.info;
    this.unlock = opened.unlock;
    this.transfers = new FileTransfers(native, opened.fd);
  }
  /**
   * Opens a regular file or a block device, and locks it against other writers unless it is shared.
   * Rejects with `XenError`: ENOENT, EACCES, EROFS; EBUSY with the name of who has it; EINVAL for
   * anything that is neither, and for a size that is not one or more whole sectors.
   */
  static async open(native, options) {
    const { path, readOnly } = options;
    const operation = `open disk ${path}`;
    const found = await complete(operation, (done) => stat(path, done));
    needFileOrDevice(operation, found);
    const fd = await openFile(operation, found, options);
    try {
      const stats = await complete(operation, (done) => fstat(fd, done));
      const info = diskInfo(operation, stats, readOnly);
      const { shared = false, user } = options;
      const lock = { exclusive: !readOnly, user, operation };
      const unlock = shared ? () => {
      } : lockDisk(native, fd, stats, lock);
      return new _FileDisk(native, path, { fd, info, unlock });
    } catch (error) {
      await closeFile(operation, fd);
      throw error;
    }
  }
  get info() {
    return this.current;
  }
  read(position, targets) {
    return this.transfer(false, position, targets);
  }
  write(position, sources) {
    if (this.info.readOnly) {
      return Promise.reject(new XenError("EROFS", `write disk ${this.path}`, EXPLANATIONS.EROFS));
    }
    return this.transfer(true, position, sources);
  }
  flush() {
    const operation = `flush disk ${this.path}`;
    return this.track(
      complete(
        operation,
        (done) => fdatasync(this.fd, (error) => done(error, void 0))
      )
    );
  }
  discard(position, length) {
    const operation = `discard on disk ${this.path}`;
    if (this.info.readOnly) {
      return Promise.reject(new XenError("EROFS", operation, EXPLANATIONS.EROFS));
    }
    return this.track(
      new Promise((resolve, reject) => {
        this.native.discard(this.fd, position, length, (result) => {
          if (result === 0) resolve();
          else reject(storageError(operation, result));
        });
      })
    );
  }
  /** A size that is no disk's is not taken over: what lies beyond the end answers EIO. */
  async refresh() {
    const operation = `look at disk ${this.path}`;
    const stats = await complete(operation, (done) => fstat(this.fd, done));
    const { size } = storageInfo(stats);
    const whole = size - size % this.current.sectorSize;
    if (whole > 0 && whole !== this.current.size) this.current = { ...this.current, size: whole };
  }
  /** A file does not tell when it grows. */
  onResize() {
  }
  close() {
    this.closed ??= this.closeWhenIdle();
    return this.closed;
  }
  async closeWhenIdle() {
    await Promise.allSettled(this.underWay);
    await this.transfers.close();
    await closeFile(`close disk ${this.path}`, this.fd);
    this.unlock();
  }
  track(work) {
    this.underWay.add(work);
    const forget = () => {
      this.underWay.delete(work);
    };
    work.then(forget, forget);
    return work;
  }
  transfer(isWrite, position, buffers) {
    const length = byteLength(buffers);
    const moved = this.transfers.move(isWrite, position, buffers);
    if (moved === length) return MOVED;
    const check = (result) => {
      if (result !== length) throw this.transferError(isWrite, position, result);
    };
    return typeof moved === "number" ? Promise.reject(this.transferError(isWrite, position, moved)) : moved.then(check);
  }
  /** @param result bytes moved up to the end of the file, or a negative errno */
  transferError(isWrite, position, result) {
    const operation = `${isWrite ? "write" : "read"} disk ${this.path}`;
    if (result < 0) return storageError(operation, result);
    const end = position + result;
    return new XenError("EIO", operation, `it ends at byte ${end}, short of its first size`);
  }
};
async function openFile(operation, stats, { path, readOnly, shared = false }) {
  const { O_EXCL, O_RDONLY, O_RDWR } = constants2;
  const alone = stats.isBlockDevice() && !readOnly && !shared;
  const flags = (readOnly ? O_RDONLY : O_RDWR) | (alone ? O_EXCL : 0);
  try {
    return await complete(operation, (done) => open(path, flags, done));
  } catch (error) {
    if (!alone || errorCode(error) !== "EBUSY") throw error;
    const holder = deviceHolder(deviceNumbers(stats.rdev));
    throw new XenError("EBUSY", operation, `it is in use by ${holder}`, error);
  }
}
function closeFile(operation, fd) {
  return complete(
    operation,
    (done) => close(fd, (error) => done(error ?? null, void 0))
  );
}
function needFileOrDevice(operation, stats) {
  if (stats.isFile() || stats.isBlockDevice()) return;
  throw new XenError("EINVAL", operation, "a disk is a regular file or a block device");
}
function diskInfo(operation, stats, readOnly) {
  const info = storageInfo(stats);
  const { size, sectorSize } = info;
  if (size === 0 || size % sectorSize !== 0) {
    const rule = `a disk has one or more whole sectors of ${sectorSize} bytes`;
    throw new XenError("EINVAL", operation, `${rule}; this one has ${size} bytes`);
  }
  if (info.readOnly && !readOnly) throw new XenError("EROFS", operation, EXPLANATIONS.EROFS);
  return { ...info, readOnly };
}
function storageInfo(stats) {
  return stats.isBlockDevice() ? deviceInfo(stats.rdev) : fileInfo(stats.size);
}
function fileInfo(size) {
  return {
    size,
    sectorSize: SECTOR_SIZE,
    physicalSectorSize: SECTOR_SIZE,
    readOnly: false,
    discard: true
  };
}
function deviceNumbers(rdev) {
  const major = rdev >>> 8 & 4095;
  const minor = rdev & 255 | rdev >>> 12 & 1048320;
  return `${major}:${minor}`;
}
function deviceInfo(rdev) {
  const directory = `/sys/dev/block/${deviceNumbers(rdev)}`;
  const queue = existsSync(`${directory}/queue`) ? `${directory}/queue` : `${directory}/../queue`;
  const number = (path) => Number(readFileSync2(path, "latin1"));
  return {
    size: number(`${directory}/size`) * SECTOR_SIZE,
    sectorSize: number(`${queue}/logical_block_size`),
    physicalSectorSize: number(`${queue}/physical_block_size`),
    readOnly: number(`${directory}/ro`) === 1,
    discard: number(`${queue}/discard_max_bytes`) > 0
  };
}

// src/node/nbd-disk.ts
import { connect } from "node:net";

// src/node/nbd-wire.ts
var NBDMAGIC = 0x4e42444d41474943n;
var IHAVEOPT = 0x49484156454f5054n;
var NBD_OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
var NBD_REQUEST_MAGIC = 627086611;
var NBD_SIMPLE_REPLY_MAGIC = 1732535960;
var NBD_FLAG_FIXED_NEWSTYLE = 1 << 0;
var NBD_FLAG_NO_ZEROES = 1 << 1;
var NBD_OPT_GO = 7;
var NBD_REP_ACK = 1;
var NBD_REP_INFO = 3;
var NBD_REP_FLAG_ERROR = 2 ** 31;
var NBD_REP_ERR_UNKNOWN = NBD_REP_FLAG_ERROR + 6;
var NBD_INFO_EXPORT = 0;
var NBD_INFO_BLOCK_SIZE = 3;
var NBD_FLAG_READ_ONLY = 1 << 1;
var NBD_FLAG_SEND_FLUSH = 1 << 2;
var NBD_FLAG_SEND_TRIM = 1 << 5;
var NBD_CMD_READ = 0;
var NBD_CMD_WRITE = 1;
var NBD_CMD_DISC = 2;
var NBD_CMD_FLUSH = 3;
var NBD_CMD_TRIM = 4;
var GREETING_BYTES = 18;
var OPTION_REPLY_BYTES = 20;
var SIMPLE_REPLY_BYTES = 16;
var REQUEST_BYTES = 28;
var STRING_BYTES_MAX = 4096;
var NBD_PORT = 10809;
function parseNbdUri(text) {
  const operation = `open disk ${text}`;
  if (!URL.canParse(text)) throw new XenError("EINVAL", operation, "it is no URI");
  const { protocol, hostname, port, pathname, searchParams } = new URL(text);
  const exportName = decodeURIComponent(pathname.replace(/^\//, ""));
  const socketPath = searchParams.get("socket");
  if (protocol === "nbd+unix:") {
    if (socketPath !== null) return { socketPath, exportName };
    throw new XenError("EINVAL", operation, "it names no socket: nbd+unix:///export?socket=PATH");
  }
  if (protocol === "nbd:" && hostname !== "") {
    return { host: hostname, port: port === "" ? NBD_PORT : Number(port), exportName };
  }
  throw new XenError("EINVAL", operation, "it is neither nbd://host/export nor nbd+unix:///export");
}
function goOption(exportName) {
  const name = Buffer.from(exportName, "utf8");
  const bytes = Buffer.alloc(16 + 4 + name.length + 4);
  bytes.writeBigUInt64BE(IHAVEOPT, 0);
  bytes.writeUInt32BE(NBD_OPT_GO, 8);
  bytes.writeUInt32BE(bytes.length - 16, 12);
  bytes.writeUInt32BE(name.length, 16);
  name.copy(bytes, 20);
  bytes.writeUInt16BE(1, 20 + name.length);
  bytes.writeUInt16BE(NBD_INFO_BLOCK_SIZE, 22 + name.length);
  return bytes;
}
function requestHeader(command, handle, position, length) {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32BE(NBD_REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(BigInt(handle), 8);
  bytes.writeBigUInt64BE(BigInt(position), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}
function needMagic(found, wanted, what) {
  if (found === wanted) return;
  throw new ProtocolViolation(
    "talk to an NBD server",
    `nbd: ${what} begins with its magic number`,
    `0x${found.toString(16)}`
  );
}

// src/node/nbd-negotiation.ts
var TALK = "talk to an NBD server";
var REPLIES_MAX = 64;
async function negotiate(socket, reader, exportName) {
  const greeting = Buffer.alloc(GREETING_BYTES);
  await reader.fill(greeting);
  needMagic(greeting.readBigUInt64BE(0), NBDMAGIC, "a greeting");
  needMagic(greeting.readBigUInt64BE(8), IHAVEOPT, "a newstyle greeting");
  const offered = greeting.readUInt16BE(16);
  if ((offered & NBD_FLAG_FIXED_NEWSTYLE) === 0) {
    throw new ProtocolViolation(TALK, "nbd: negotiation is of the fixed newstyle", `${offered}`);
  }
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(offered & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES));
  socket.write(flags);
  socket.write(goOption(exportName));
  const found = { size: 0, flags: 0, blockSize: 1, preferredBlockSize: 1 };
  for (let replies = 0; replies < REPLIES_MAX; replies++) {
    if (await takeReply(reader, found, exportName)) return found;
  }
  throw new ProtocolViolation(TALK, "nbd: an option is answered", `not in ${REPLIES_MAX} replies`);
}
async function takeReply(reader, found, exportName) {
  const header = Buffer.alloc(OPTION_REPLY_BYTES);
  await reader.fill(header);
  needMagic(header.readBigUInt64BE(0), NBD_OPTION_REPLY_MAGIC, "a reply to an option");
  const type = header.readUInt32BE(12);
  const length = header.readUInt32BE(16);
  if (length > STRING_BYTES_MAX) {
    const rule = `nbd: a reply to an option has at most ${STRING_BYTES_MAX} bytes`;
    throw new ProtocolViolation(TALK, rule, `${length}`);
  }
  const data = Buffer.alloc(length);
  if (length > 0) await reader.fill(data);
  if (type >= NBD_REP_FLAG_ERROR) {
    const code = type === NBD_REP_ERR_UNKNOWN ? "ENOENT" : "EIO";
    const words = data.toString("utf8") || `error ${type - NBD_REP_FLAG_ERROR}`;
    throw new XenError(code, `ask for the export "${exportName}"`, words);
  }
  if (type === NBD_REP_INFO) takeInfo(data, found);
  return type === NBD_REP_ACK;
}
function takeInfo(data, found) {
  const kind = data.length >= 2 ? data.readUInt16BE(0) : void 0;
  if (kind === NBD_INFO_EXPORT && data.length === 12) {
    found.size = Number(data.readBigUInt64BE(2));
    found.flags = data.readUInt16BE(10);
  } else if (kind === NBD_INFO_BLOCK_SIZE && data.length === 14) {
    found.blockSize = data.readUInt32BE(2);
    found.preferredBlockSize = data.readUInt32BE(6);
  }
}

// src/node/socket-reader.ts
var SocketReader = class {
  socket;
  chunks = [];
  wanted;
  failure;
  constructor(socket) {
    this.socket = socket;
    socket.on("data", (chunk) => this.take(chunk));
    socket.on("error", (error) => {
      const code = error.code === "ENOENT" || error.code === "ECONNREFUSED" ? "ENOENT" : "EIO";
      this.end(new XenError(code, "read from a server", errorMessage(error), error));
    });
    socket.on("close", () => {
      this.end(new XenError("ECONNRESET", "read from a server", "it has closed the connection"));
    });
  }
  /** Fills `target`; one call at a time. Rejects when the connection ends first. */
  fill(target) {
    return new Promise((resolve, reject) => {
      this.wanted = { target, filled: 0, done: resolve, fail: reject };
      this.deliver();
    });
  }
  take(chunk) {
    this.chunks.push(chunk);
    if (this.wanted === void 0) this.socket.pause();
    this.deliver();
  }
  deliver() {
    const { wanted } = this;
    if (wanted === void 0) return;
    while (wanted.filled < wanted.target.length && this.chunks.length > 0) {
      const chunk = this.chunks[0];
      const room = wanted.target.length - wanted.filled;
      wanted.target.set(chunk.subarray(0, room), wanted.filled);
      wanted.filled += Math.min(room, chunk.length);
      if (room < chunk.length) this.chunks[0] = chunk.subarray(room);
      else this.chunks.shift();
    }
    if (wanted.filled === wanted.target.length) {
      this.wanted = void 0;
      wanted.done();
    } else if (this.failure !== void 0) {
      this.wanted = void 0;
      wanted.fail(this.failure);
    } else if (this.socket.isPaused()) {
      this.socket.resume();
    }
  }
  end(error) {
    this.failure ??= error;
    this.deliver();
  }
};

// src/node/nbd-disk.ts
var CODES = /* @__PURE__ */ new Map([
  [1, "EPERM"],
  [12, "ENOMEM"],
  [22, "EINVAL"],
  [28, "ENOSPC"],
  [95, "ENOTSUP"]
]);
var NbdDisk = class _NbdDisk {
  info;
  uri;
  socket;
  hasFlush;
  requests = /* @__PURE__ */ new Map();
  nextHandle = 0;
  lost;
  idle;
  closed;
  constructor(uri, socket, found, readOnly) {
    this.uri = uri;
    this.socket = socket;
    this.hasFlush = (found.flags & NBD_FLAG_SEND_FLUSH) !== 0;
    const discard = !readOnly && (found.flags & NBD_FLAG_SEND_TRIM) !== 0;
    const sectorSize = Math.max(SECTOR_SIZE, found.blockSize);
    const size = found.size - found.size % sectorSize;
    const physicalSectorSize = Math.max(sectorSize, found.preferredBlockSize);
    this.info = { size, sectorSize, physicalSectorSize, readOnly, discard };
  }
  /**
   * Connects to the export. Rejects with `XenError`: EINVAL for a URI that is none or an export that
   * is no disk, ENOENT for an export or a server that is not there, EROFS.
   */
  static async open({ uri, readOnly }) {
    const operation = `open disk ${uri}`;
    const { socketPath, host, port, exportName } = parseNbdUri(uri);
    const socket = socketPath === void 0 ? connect(port ?? 0, host) : connect(socketPath);
    socket.setNoDelay(true);
    const reader = new SocketReader(socket);
    try {
      const found = await negotiate(socket, reader, exportName);
      if ((found.flags & NBD_FLAG_READ_ONLY) !== 0 && !readOnly) {
        throw new XenError("EROFS", operation, "the server has it read-only");
      }
      if (found.size < Math.max(SECTOR_SIZE, found.blockSize) || found.blockSize > 4096) {
        const seen = `${found.size} bytes in blocks of ${found.blockSize}`;
        throw new XenError(
          "EINVAL",
          operation,
          `a disk has sectors of 512 or 4096 bytes, not ${seen}`
        );
      }
      const disk = new _NbdDisk(uri, socket, found, readOnly);
      void disk.readReplies(reader);
      return disk;
    } catch (error) {
      socket.destroy();
      if (error instanceof ProtocolViolation || !(error instanceof XenError)) throw error;
      throw new XenError(error.code, operation, error.message, error);
    }
  }
  read(position, targets) {
    return this.ask(NBD_CMD_READ, position, byteLength(targets), { targets });
  }
  write(position, sources) {
    return this.ask(NBD_CMD_WRITE, position, byteLength(sources), { sources });
  }
  async flush() {
    if (this.hasFlush) await this.ask(NBD_CMD_FLUSH, 0, 0, {});
  }
  discard(position, length) {
    return this.ask(NBD_CMD_TRIM, position, length, {});
  }
  /** An export keeps the size that it had when it was opened. */
  async refresh() {
  }
  onResize() {
  }
  close() {
    this.closed ??= this.disconnect();
    return this.closed;
  }
  async disconnect() {
    if (this.requests.size > 0) {
      await new Promise((resolve) => {
        this.idle = resolve;
      });
    }
    const ended = new Promise((resolve) => this.socket.once("close", resolve));
    if (this.socket.destroyed) return;
    this.socket.end(requestHeader(NBD_CMD_DISC, 0, 0, 0));
    await ended;
  }
  ask(command, position, length, data) {
    if (this.lost !== void 0) return Promise.reject(this.lost);
    return new Promise((resolve, reject) => {
      const handle = this.nextHandle++;
      const operation = `command ${command} to disk ${this.uri}`;
      this.requests.set(handle, { targets: data.targets ?? [], operation, resolve, reject });
      this.socket.cork();
      this.socket.write(requestHeader(command, handle, position, length));
      for (const source of data.sources ?? []) this.socket.write(source);
      this.socket.uncork();
    });
  }
  /** Ends with the connection. */
  async readReplies(reader) {
    const header = Buffer.alloc(SIMPLE_REPLY_BYTES);
    try {
      for (; ; ) {
        await reader.fill(header);
        await this.takeReply(header, reader);
      }
    } catch (error) {
      this.socket.destroy();
      const detail = "the connection to its server has ended";
      this.lost = new XenError("EIO", `use disk ${this.uri}`, detail, error);
      for (const request of this.requests.values()) request.reject(this.lost);
      this.requests.clear();
      this.idle?.();
    }
  }
  async takeReply(header, reader) {
    needMagic(header.readUInt32BE(0), NBD_SIMPLE_REPLY_MAGIC, "a reply");
    const error = header.readUInt32BE(4);
    const handle = Number(header.readBigUInt64BE(8));
    const request = this.requests.get(handle);
    if (request === void 0) {
      const rule = "nbd: a reply has the handle of a request under way";
      throw new ProtocolViolation("talk to an NBD server", rule, `handle ${handle}`);
    }
    if (error === 0) for (const target of request.targets) await reader.fill(target);
    this.requests.delete(handle);
    if (error === 0) request.resolve();
    else {
      const code = CODES.get(error) ?? "EIO";
      request.reject(new XenError(code, request.operation, `the server answered error ${error}`));
    }
    if (this.requests.size === 0) this.idle?.();
  }
};

// stubdoms/blkback/front-disks.ts
var HeldDisk = class extends DiskLayer {
  release;
  constructor(below, release) {
    super(below);
    this.release = release;
  }
  async close() {
    await super.close();
    this.release();
  }
};
var FrontDisks = class {
  parts;
  /** Who has which disk: a front end speaks for one user, and a second one would end it. */
  users = /* @__PURE__ */ new Map();
  constructor(parts) {
    this.parts = parts;
  }
  /** The number of the disk that the path names, `undefined` when it names one of another kind. */
  static devidOf(path) {
    const [, devid] = /^vbd:(\d{1,9})$/.exec(path) ?? [];
    return devid === void 0 ? void 0 : Number(devid);
  }
  /** Rejects with EBUSY while the disk has another user, EROFS when it can't be had for writing. */
  async open(devid, { path, readOnly, user }) {
    const operation = `open disk ${path}`;
    const other = this.users.get(devid);
    if (other !== void 0) throw new XenError("EBUSY", operation, `${other} has it`);
    this.users.set(devid, user);
    try {
      const disk = await BlockFront.connect({ ...this.parts, devid });
      if (disk.info.readOnly && !readOnly) {
        await disk.close();
        throw new XenError("EROFS", operation, "its own back end has it read-only");
      }
      return new HeldDisk(disk, () => this.users.delete(devid));
    } catch (error) {
      this.users.delete(devid);
      throw error;
    }
  }
};

// stubdoms/blkback/dom0.ts
var FRONT_OPTIONS = { queues: 2, ringPageOrder: 1 };
async function openBlkback(settings, log) {
  const held = new Holdings();
  try {
    const hypervisor = held.keep(openLinuxHypervisor());
    const xenstore = held.keep(
      await followXenstore({ native: loadNative, path: settings.xenstoreSocket }, log)
    );
    const parts = { hypervisor, xenstore, clock: nodeClock, log };
    const options = { ...FRONT_OPTIONS, without: new Set(settings.without) };
    const fronts = new FrontDisks({ ...parts, options });
    const blkback = await startBlkback({
      ...parts,
      options: settings,
      openDisk: (request) => openDisk(request, fronts)
    });
    const close2 = async () => {
      await blkback.close();
      held.close();
    };
    return { close: close2 };
  } catch (error) {
    held.close();
    throw error;
  }
}
async function openDisk(request, fronts) {
  const { path, readOnly } = request;
  if (path.startsWith("nbd:") || path.startsWith("nbd+unix:")) {
    return NbdDisk.open({ uri: path, readOnly });
  }
  const devid = FrontDisks.devidOf(path);
  return devid === void 0 ? FileDisk.open(loadNative(), request) : fronts.open(devid, request);
}
export {
  openBlkback
};
//# sourceMappingURL=dom0-GBUMC2WL.js.map
