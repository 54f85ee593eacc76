import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  sleep
} from "./chunk-HVXLNJDG.js";
import {
  ProtocolViolation,
  XenError
} from "./chunk-4IU4G7QT.js";

// src/block/block-device.ts
var SECTOR_SIZE = 512;

// src/block/disk-layer.ts
var DiskLayer = class {
  below;
  constructor(below) {
    this.below = below;
  }
  get info() {
    return this.below.info;
  }
  read(position, targets) {
    return this.below.read(position, targets);
  }
  write(position, sources) {
    return this.below.write(position, sources);
  }
  flush() {
    return this.below.flush();
  }
  discard(position, length) {
    return this.below.discard(position, length);
  }
  refresh() {
    return this.below.refresh();
  }
  onResize(handler) {
    this.below.onResize(handler);
  }
  close() {
    return this.below.close();
  }
};
function byteLength(buffers) {
  let length = 0;
  for (const buffer of buffers) length += buffer.length;
  return length;
}

// src/xenbus/hotplug.ts
async function isHotplugDone(keys) {
  if (await keys.read("script") === void 0) return true;
  return await keys.read("hotplug-status") === "connected";
}

// src/block/counted-disk.ts
var nothing = () => ({ operations: 0, failed: 0, bytes: 0, time_ms: 0 });
var CountedDisk = class extends DiskLayer {
  /** From the moment that the layer was made. */
  counts = {
    read: nothing(),
    write: nothing(),
    flush: nothing(),
    discard: nothing()
  };
  clock;
  constructor(below, clock) {
    super(below);
    this.clock = clock;
  }
  read(position, targets) {
    const work = this.below.read(position, targets);
    return this.count(this.counts.read, byteLength(targets), work);
  }
  write(position, sources) {
    const work = this.below.write(position, sources);
    return this.count(this.counts.write, byteLength(sources), work);
  }
  flush() {
    return this.count(this.counts.flush, 0, this.below.flush());
  }
  discard(position, length) {
    return this.count(this.counts.discard, length, this.below.discard(position, length));
  }
  count(into, bytes, work) {
    const begin_ms = this.clock.now_ms();
    const ended = () => {
      into.operations++;
      into.time_ms += this.clock.now_ms() - begin_ms;
    };
    return work.then(
      () => {
        into.bytes += bytes;
        ended();
      },
      (error) => {
        into.failed++;
        ended();
        throw error;
      }
    );
  }
};

// src/block/rate-limited-disk.ts
var BURST_MS = 100;
var RateLimitedDisk = class extends DiskLayer {
  clock;
  bytesPerMs;
  /** Until then the allowance is spent. */
  spentUntil_ms;
  /** @param bytesPerSecond of reading and writing together, at least 1 */
  constructor(below, clock, bytesPerSecond) {
    super(below);
    if (!(bytesPerSecond >= 1)) {
      throw new RangeError(`a rate is 1 byte a second or more, not ${bytesPerSecond}`);
    }
    this.clock = clock;
    this.bytesPerMs = bytesPerSecond / 1e3;
    this.spentUntil_ms = clock.now_ms() - BURST_MS;
  }
  async read(position, targets) {
    await this.wait(byteLength(targets));
    await this.below.read(position, targets);
  }
  async write(position, sources) {
    await this.wait(byteLength(sources));
    await this.below.write(position, sources);
  }
  /** Spends `bytes` of the allowance, once all that was asked before is spent. */
  async wait(bytes) {
    const now_ms = this.clock.now_ms();
    const begin_ms = Math.max(this.spentUntil_ms, now_ms - BURST_MS);
    this.spentUntil_ms = begin_ms + bytes / this.bytesPerMs;
    const delay_ms = this.spentUntil_ms - now_ms;
    if (delay_ms > 0) await sleep(this.clock, delay_ms);
  }
};

// src/block/read-only-disk.ts
var ReadOnlyDisk = class extends DiskLayer {
  get info() {
    return { ...this.below.info, readOnly: true, discard: false };
  }
  async write() {
    throw new XenError("EROFS", "write to a read-only disk");
  }
  async discard() {
    throw new XenError("EROFS", "discard on a read-only disk");
  }
};

// src/block/back-disk.ts
var RATE_LIMIT_KEY = "rate-limit";
async function diskRequest(keys, scripts) {
  if (scripts && !await isHotplugDone(keys)) return void 0;
  const path = await keys.read("physical-device-path") ?? await keys.read("params");
  if (path === void 0 || path === "") return void 0;
  const mode = await keys.read("mode") ?? "r";
  const bytesPerSecond = rateLimit(await keys.read(RATE_LIMIT_KEY));
  return {
    path,
    readOnly: !mode.startsWith("w") || await isCdrom(keys),
    shared: mode.endsWith("!"),
    user: `domain ${keys.peer}, device ${keys.path.slice(keys.path.lastIndexOf("/") + 1)}`,
    ...bytesPerSecond === void 0 ? {} : { bytesPerSecond }
  };
}
async function isCdrom(keys) {
  return await keys.read("device-type") === "cdrom";
}
async function openRequestedDisk(request, openDisk, clock) {
  let disk = await openDisk(request);
  if (request.readOnly && !disk.info.readOnly) disk = new ReadOnlyDisk(disk);
  if (request.bytesPerSecond !== void 0) {
    disk = new RateLimitedDisk(disk, clock, request.bytesPerSecond);
  }
  return new CountedDisk(disk, clock);
}
function rateLimit(value) {
  if (value === void 0) return void 0;
  if (/^[1-9]\d{0,14}$/.test(value)) return Number(value);
  throw new ProtocolViolation(
    `read ${RATE_LIMIT_KEY}`,
    `${RATE_LIMIT_KEY} is a whole number of bytes a second from 1 on`,
    JSON.stringify(value.slice(0, 32))
  );
}

// src/block/features.ts
var BLOCK_FEATURES = [
  "persistent",
  "indirect",
  "flush",
  "barrier",
  "discard",
  "multi-page",
  "multi-queue"
];
var RING_PAGE_ORDER_MAX = 4;
var QUEUES_MAX = 4;

// src/block/statistics.ts
var STATISTICS_KEY = "statistics";
function statisticsText(statistics) {
  return JSON.stringify(statistics);
}
function parseStatistics(text) {
  try {
    const found = JSON.parse(text);
    if (typeof found.counts.read.operations === "number") return found;
  } catch (error) {
    throw new XenError("EINVAL", "read the statistics of a disk", "they make no sense", error);
  }
  throw new XenError("EINVAL", "read the statistics of a disk", "there are no counts");
}

export {
  SECTOR_SIZE,
  DiskLayer,
  byteLength,
  RATE_LIMIT_KEY,
  diskRequest,
  isCdrom,
  openRequestedDisk,
  STATISTICS_KEY,
  statisticsText,
  parseStatistics,
  BLOCK_FEATURES,
  RING_PAGE_ORDER_MAX,
  QUEUES_MAX
};
//# sourceMappingURL=chunk-LQUJFEZC.js.map
