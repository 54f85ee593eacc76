import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  Stepper
} from "./chunk-DMYIZMIZ.js";
import {
  parseXenbusState,
  xenbusStateName
} from "./chunk-CIIRNFUU.js";
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitWait,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateReconfigured,
  XenbusStateReconfiguring,
  XenbusStateUnknown
} from "./chunk-IXIAWWMT.js";
import {
  childPath,
  domainHome,
  isAtOrBelow,
  parentPath,
  pathName
} from "./chunk-FWPDKSSG.js";
import {
  unreachable
} from "./chunk-WRZEEFDO.js";
import {
  domId
} from "./chunk-GNCMNX2R.js";
import {
  ProtocolViolation,
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// src/xenbus/device-end.ts
var ERROR_TEXT_MAX = 1e3;
var DeviceEnd = class {
  peer;
  path;
  log;
  xenstore;
  domid;
  peerPath;
  stepper;
  watches = [];
  failure;
  constructor(parts) {
    this.xenstore = parts.xenstore;
    this.domid = parts.domid;
    this.path = parts.path;
    this.peer = parts.peer;
    this.peerPath = parts.peerPath;
    this.log = parts.log.child({ device: parts.path });
    this.stepper = new Stepper(() => this.guardedStep());
  }
  /** Something of this device may have changed. */
  wake() {
    this.stepper.wake();
  }
  fail(error) {
    if (this.failed) return;
    this.failure = { error, handled: false };
    this.wake();
  }
  /** Whether the device has failed and not begun anew. */
  get failed() {
    return this.failure !== void 0;
  }
  clearFailure() {
    this.failure = void 0;
  }
  read(key) {
    return this.xenstore.readIfPresent(childPath(this.path, key));
  }
  async readPeer(key) {
    try {
      return await this.xenstore.readIfPresent(childPath(this.peerPath, key));
    } catch (error) {
      if (errorCode(error) === "EACCES") return void 0;
      throw error;
    }
  }
  async write(keys) {
    await this.xenstore.transaction(async (nodes) => {
      if (await nodes.readIfPresent(childPath(this.path, "state")) === void 0) {
        throw new XenError("ENOENT", `write ${this.path}`, "the device is gone");
      }
      for (const [key, value] of Object.entries(keys)) {
        await nodes.write(childPath(this.path, key), value);
      }
    });
  }
  async watch(path) {
    this.watches.push(await this.xenstore.watch(path, () => this.wake()));
  }
  /** Wakes this end whenever the peer's state changes. */
  watchPeer() {
    return this.watch(childPath(this.peerPath, "state"));
  }
  /** This end's state, `undefined` when its directory is gone. */
  async ownState() {
    const value = await this.read("state");
    return value === void 0 ? void 0 : parseXenbusState(value);
  }
  /** The peer's state; `XenbusStateUnknown` covers a peer without a directory and rubbish alike. */
  async peerState() {
    return parseXenbusState(await this.readPeer("state"));
  }
  async switchState(state) {
    await this.write({ state: String(state) });
    this.log.debug("state", { state: xenbusStateName(state) });
  }
  /** Stops following the device. What is shared with the peer is let go first. */
  async end() {
    await this.stepper.stop();
    await this.detach();
    await this.closeWatches();
  }
  /** As `end`, from within a step: this step is the last. */
  async endFromStep() {
    void this.stepper.stop();
    await this.detach();
    await this.closeWatches();
    await this.removeErrorNode();
  }
  async closeWatches() {
    for (const watch of this.watches.splice(0)) await closeWatch(watch, this.log);
  }
  async guardedStep() {
    try {
      await this.handleFailure();
      await this.step();
    } catch (error) {
      if (await this.stillThere()) this.fail(error);
      else this.wake();
    }
  }
  async stillThere() {
    try {
      return await this.ownState() !== void 0;
    } catch {
      return true;
    }
  }
  /** What Linux's `xenbus_dev_fatal` does, after everything shared with the peer was let go. */
  async handleFailure() {
    const failure = this.failure;
    if (failure === void 0 || failure.handled) return;
    failure.handled = true;
    this.log.error("device failed", { error: errorMessage(failure.error) });
    await this.detach();
    if (await this.ownState() === void 0) return;
    await this.writeErrorNode(failure.error);
    await this.switchState(XenbusStateClosing);
  }
  async writeErrorNode(error) {
    const text = `${errorCode(error) ?? "EIO"} ${errorMessage(error)}`;
    await this.xenstore.write(`${this.errorPath()}/error`, toNodeText(text));
  }
  /** Where an end reports its errors: `error/` and its own path, both below its domain's home. */
  errorPath() {
    const home = domainHome(this.domid);
    return `${home}/error${this.path.slice(home.length)}`;
  }
  async removeErrorNode() {
    const home = domainHome(this.domid);
    await this.xenstore.transaction(async (nodes) => {
      if (await nodes.readIfPresent(`${this.errorPath()}/error`) === void 0) return;
      await nodes.remove(`${this.errorPath()}/error`);
      for (let path = this.errorPath(); path !== home; path = parentPath(path)) {
        if ((await nodes.list(path)).length > 0) return;
        await nodes.remove(path);
      }
    });
  }
};
async function closeWatch(watch, log) {
  try {
    await watch?.close();
  } catch (error) {
    log.debug("watch not closed", { error: errorMessage(error) });
  }
}
function toNodeText(text) {
  return text.slice(0, ERROR_TEXT_MAX).replace(/[^ -~]/g, "?");
}

// src/xenbus/back-device.ts
function nextBackMove(view) {
  switch (view.peer) {
    case XenbusStateUnknown:
    case XenbusStateClosed:
      return settle(view, "closed");
    case XenbusStateInitialising:
    case XenbusStateInitWait:
      if (!view.online) return settle(view, "closed");
      if (view.failed) return "stay";
      return view.own === XenbusStateInitWait && !view.connected ? "stay" : "announce";
    case XenbusStateInitialised:
    case XenbusStateConnected:
      if (!view.online) return settle(view, view.connected ? "closing" : "closed");
      return view.connected || view.failed ? "stay" : connectFrom(view.own);
    case XenbusStateClosing:
      return settle(view, view.connected ? "closing" : "closed");
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
      if (!view.online) return settle(view, view.connected ? "closing" : "closed");
      return view.connected || view.failed || !wasConnected(view.own) ? "stay" : "connect";
    default:
      return unreachable(view.peer);
  }
}
function settle(view, move) {
  if (move === "closing") return view.own === XenbusStateClosing ? "stay" : "closing";
  return view.own === XenbusStateClosed && !view.connected ? "stay" : "closed";
}
function wasConnected(own) {
  return own === XenbusStateConnected || own === XenbusStateReconfigured;
}
function connectFrom(own) {
  switch (own) {
    case XenbusStateInitWait:
    case XenbusStateConnected:
    case XenbusStateReconfigured:
      return "connect";
    case XenbusStateClosing:
    case XenbusStateClosed:
      return "stay";
    default:
      return "announce";
  }
}
var REMOVAL_DELAY_MS = 1e3;
var BackDevice = class extends DeviceEnd {
  driver;
  onGone;
  removalClock;
  removal;
  connection;
  constructor(parts) {
    super(parts);
    this.driver = parts.driver;
    this.onGone = parts.onGone;
    this.removalClock = parts.removalClock;
  }
  /** Begins to follow the front end. Changes of our own directory come through `wake`. */
  async start() {
    await this.watchPeer();
    this.wake();
  }
  /**
   * Stops serving without a word in xenstore: the front end waits, and the next process of this
   * back end carries on.
   */
  close() {
    return this.end();
  }
  async step() {
    const own = await this.ownState();
    if (own === void 0) {
      await this.endFromStep();
      this.log.info("device removed");
      this.onGone();
      return;
    }
    const view = {
      own,
      peer: await this.peerState(),
      online: await this.read("online") === "1",
      connected: this.connection !== void 0,
      failed: this.failed
    };
    await this.perform(nextBackMove(view), view);
  }
  async perform(move, view) {
    switch (move) {
      case "stay":
        if (view.own === XenbusStateClosed && !view.online) this.removeSoon();
        return this.connection?.refresh?.();
      case "announce":
        await this.detach();
        await this.driver.announce(this);
        return this.moveTo(XenbusStateInitWait);
      case "connect": {
        this.connection = await this.driver.connect(this);
        if (this.connection === void 0) return;
        this.log.info(wasConnected(view.own) ? "device resumed" : "device connected");
        return this.moveTo(XenbusStateConnected);
      }
      case "closing":
        return this.moveTo(XenbusStateClosing);
      case "closed": {
        const wasConnected2 = this.connection !== void 0;
        await this.detach();
        this.clearFailure();
        if (wasConnected2) this.log.info("device disconnected");
        return this.moveTo(XenbusStateClosed);
      }
      default:
        return unreachable(move);
    }
  }
  removeSoon() {
    this.removal ??= this.removalClock?.after(REMOVAL_DELAY_MS, () => {
      this.xenstore.remove(this.path).catch((error) => {
        this.log.debug("directory not removed", { error: errorMessage(error) });
      });
    });
  }
  /** The next step follows from the state just written: nobody else need wake it. */
  async moveTo(state) {
    await this.switchState(state);
    this.wake();
  }
  async detach() {
    this.removal?.cancel();
    this.removal = void 0;
    const connection = this.connection;
    this.connection = void 0;
    await connection?.close();
  }
};

// src/xenbus/back-bus.ts
var BackBus = class _BackBus {
  parts;
  root;
  devices = /* @__PURE__ */ new Map();
  scanner;
  /** Directories that were found unfit, so that each is complained of once. */
  refused = /* @__PURE__ */ new Set();
  watch;
  constructor(parts) {
    this.parts = parts;
    this.root = `${domainHome(parts.domid)}/backend/${parts.type}`;
    this.scanner = new Stepper(() => this.scan());
  }
  /** Serves every device of the type, those that are there and those to come. */
  static async open(parts) {
    const bus = new _BackBus(parts);
    bus.watch = await parts.xenstore.watch(bus.root, (path) => bus.changed(path));
    return bus;
  }
  /** Devices that are served now, by their paths. */
  get paths() {
    return [...this.devices.keys()];
  }
  /** Lets go of every device; their front ends wait for the next process of this back end. */
  async close() {
    await closeWatch(this.watch, this.parts.log);
    await this.scanner.stop();
    await Promise.all([...this.devices.values()].map((device) => device.close()));
    this.devices.clear();
  }
  changed(path) {
    const device = this.devices.get(this.devicePathOf(path));
    if (device !== void 0) {
      device.wake();
      return;
    }
    for (const [devicePath, below] of this.devices) {
      if (isAtOrBelow(devicePath, path)) below.wake();
    }
    this.scanner.wake();
  }
  /** The directory of the device that a path stands in: the root and two names more. */
  devicePathOf(path) {
    const [domain, device] = path.slice(this.root.length + 1).split("/");
    return `${this.root}/${domain}/${device}`;
  }
  async scan() {
    try {
      for (const path of await this.deviceDirectories()) {
        if (!this.devices.has(path)) await this.adopt(path);
      }
    } catch (error) {
      this.parts.log.error("scan for devices failed", { error: errorMessage(error) });
    }
  }
  async deviceDirectories() {
    const found = [];
    for (const domain of await this.children(this.root)) {
      const domainPath = childPath(this.root, domain);
      for (const device of await this.children(domainPath)) {
        found.push(childPath(domainPath, device));
      }
    }
    return found;
  }
  async children(path) {
    try {
      return await this.parts.xenstore.list(path);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return [];
      throw error;
    }
  }
  /** Begins to serve the device in a new directory, if it names a front end. */
  async adopt(path) {
    const { xenstore, log, domid } = this.parts;
    const frontend = await xenstore.readIfPresent(childPath(path, "frontend"));
    const frontendId = await xenstore.readIfPresent(childPath(path, "frontend-id"));
    if (frontend === void 0 || frontendId === void 0) return;
    const peer = this.peerOf(path, frontendId);
    if (peer === void 0) {
      if (!this.refused.has(path)) log.warn("not a device", { path, "frontend-id": frontendId });
      this.refused.add(path);
      return;
    }
    const found = { peer, devid: pathName(path), frontend };
    if (await this.parts.serves?.(found) === false) return;
    const device = new BackDevice({
      xenstore,
      log,
      domid,
      path,
      peer,
      peerPath: frontend,
      driver: this.parts.driverFor(found),
      removalClock: this.parts.removalClock,
      onGone: () => this.gone(path)
    });
    this.devices.set(path, device);
    try {
      await device.start();
    } catch (error) {
      this.devices.delete(path);
      throw error;
    }
  }
  /** The front end's domain, when the key and the path name the same one. */
  peerOf(path, frontendId) {
    const inPath = path.slice(this.root.length + 1).split("/")[0];
    if (inPath !== frontendId || !/^\d{1,5}$/.test(frontendId)) return void 0;
    try {
      return domId(Number(frontendId));
    } catch {
      return void 0;
    }
  }
  gone(path) {
    this.devices.delete(path);
    this.scanner.wake();
  }
};

// src/xenbus/key-number.ts
async function readPeerNumber(keys, key, max) {
  const value = await keys.readPeer(key);
  if (value === void 0) return void 0;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  throw new ProtocolViolation(
    `read ${key} of domain ${keys.peer}`,
    `xenbus: ${key} is a decimal number from 0 to ${max}`,
    JSON.stringify(value.slice(0, 32))
  );
}
async function needPeerNumber(keys, key, max) {
  const number = await readPeerNumber(keys, key, max);
  if (number !== void 0) return number;
  throw new ProtocolViolation(
    `read ${key} of domain ${keys.peer}`,
    `xenbus: ${key} is written before the state that promises it`,
    "there is none"
  );
}
async function readPeerFlag(keys, key) {
  return await readPeerNumber(keys, key, 1) === 1;
}

export {
  readPeerNumber,
  needPeerNumber,
  readPeerFlag,
  DeviceEnd,
  BackBus
};
//# sourceMappingURL=chunk-LRBUSU5K.js.map
