import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  SHUTDOWN_poweroff
} from "./chunk-GPJKCV6N.js";
import {
  Stepper
} from "./chunk-DMYIZMIZ.js";
import {
  openDomainControl
} from "./chunk-RMLGY3KQ.js";
import {
  Holdings
} from "./chunk-7FWQTIXQ.js";
import "./chunk-YFVYMXZQ.js";
import {
  followXenstore
} from "./chunk-UXLTWUUS.js";
import "./chunk-LYWPVKHU.js";
import "./chunk-KZAJKWCF.js";
import {
  nodeClock
} from "./chunk-A4XA7GZ3.js";
import "./chunk-SG3WZJOQ.js";
import {
  sleep
} from "./chunk-HVXLNJDG.js";
import {
  loadNative,
  nativePath
} from "./chunk-MHMOFGF5.js";
import {
  findDomain
} from "./chunk-SE4VSWZF.js";
import {
  XenbusStateClosed,
  XenbusStateConnected,
  XenbusStateInitialising
} from "./chunk-IXIAWWMT.js";
import {
  childPath,
  domainHome
} from "./chunk-FWPDKSSG.js";
import "./chunk-FM26WRJC.js";
import "./chunk-WRZEEFDO.js";
import {
  domId
} from "./chunk-GNCMNX2R.js";
import {
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// src/xenbus/crash-report.ts
var CRASH_KEY = "data/crash";

// src/dom0/driver-domain/devices.ts
var RECORDS = "/libxl";
async function children(nodes, path) {
  try {
    return await nodes.list(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}
async function recordAt(nodes, path, guest) {
  const backend = await nodes.readIfPresent(childPath(path, "backend"));
  const frontend = await nodes.readIfPresent(childPath(path, "frontend"));
  return backend === void 0 || frontend === void 0 ? void 0 : { path, guest, frontend, backend };
}
async function recordsOf(nodes, domid) {
  const found = [];
  for (const guest of await children(nodes, RECORDS)) {
    if (!/^\d{1,5}$/.test(guest)) continue;
    const devices = `${RECORDS}/${guest}/device`;
    for (const type of await children(nodes, devices)) {
      for (const devid of await children(nodes, childPath(devices, type))) {
        const path = `${devices}/${type}/${devid}`;
        const record = await recordAt(nodes, path, domId(Number(guest)));
        if (record?.backend.startsWith(`${domainHome(domid)}/backend/`)) found.push(record);
      }
    }
  }
  return found;
}
async function permitReading(nodes, path, domid) {
  const permissions = await nodes.getPermissions(path);
  const others = permissions.filter(
    (permission, index) => index === 0 || permission.domid !== domid
  );
  await nodes.setPermissions(path, [...others, { domid, access: "r" }]);
  for (const child of await nodes.list(path)) {
    await permitReading(nodes, childPath(path, child), domid);
  }
}
function backState(front) {
  const state = front === String(XenbusStateConnected) ? XenbusStateConnected : XenbusStateInitialising;
  return String(state);
}
async function restore(nodes, record, domid) {
  const { path, guest, frontend, backend } = record;
  const front = await nodes.readIfPresent(childPath(frontend, "state"));
  if (front === void 0 || front === String(XenbusStateClosed)) return false;
  await nodes.mkdir(backend);
  await nodes.setPermissions(backend, [
    { domid, access: "n" },
    { domid: guest, access: "r" }
  ]);
  for (const key of await nodes.list(path)) {
    if (key === "backend" || key === "state") continue;
    await nodes.write(childPath(backend, key), await nodes.read(childPath(path, key)));
  }
  await nodes.write(childPath(backend, "state"), backState(front));
  await permitReading(nodes, frontend, domid);
  return true;
}
async function restoreDevices(xenstore, domid) {
  const restored = [];
  for (const record of await recordsOf(xenstore, domid)) {
    const done = await xenstore.transaction((nodes) => restore(nodes, record, domid));
    if (done) restored.push(record.backend);
  }
  return restored;
}

// src/dom0/driver-domain/keeper.ts
var LOOK_MS = 100;
var PAUSE_MIN_MS = 1100;
var PAUSE_MAX_MS = 2e4;
var SETTLED_MS = 6e4;
var recordPath = (name) => `/tool/paravane/driver-domain/${name}`;
var DriverDomainKeeper = class _DriverDomainKeeper {
  parts;
  name;
  stepper;
  domid;
  watch;
  started_ms = 0;
  /** How often in a row it was tried to make the domain, none of which has settled. */
  attempts = 0;
  /** The operator has shut the domain down. */
  over = false;
  closed = false;
  constructor(parts, name) {
    this.parts = parts;
    this.name = name;
    this.stepper = new Stepper(() => this.guardedLook());
  }
  /**
   * Resolves when the domain runs, or is about to be made again where a former keeper left it gone.
   * Rejects with `XenError` when it cannot be made the first time.
   */
  static async open(parts) {
    const name = await parts.toolstack.name();
    const keeper = new _DriverDomainKeeper(parts, name);
    keeper.domid = await keeper.running() ?? await keeper.former();
    if (keeper.domid === void 0) await keeper.make();
    keeper.watch = await parts.xenstore.watch("@releaseDomain", () => keeper.stepper.wake());
    return keeper;
  }
  /** The domain's number; while it is being made again, the one it will have. */
  get current() {
    return this.domid;
  }
  /** Keeps the domain no longer. It runs on. */
  async close() {
    this.closed = true;
    await this.watch?.close().catch(() => {
    });
    await this.stepper.stop();
  }
  async running() {
    try {
      return await findDomain(this.parts.xenstore, this.name);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return void 0;
      throw error;
    }
  }
  async former() {
    const record = await this.parts.xenstore.readIfPresent(recordPath(this.name));
    return record === void 0 ? void 0 : domId(Number(record));
  }
  async guardedLook() {
    try {
      await this.look();
    } catch (error) {
      this.parts.log.error(`domain ${this.name}: ${errorMessage(error)}`);
      this.lookAgain();
    }
  }
  /** Looks how the domain is, and does the next thing that follows. */
  async look() {
    const { domainControl, toolstack, xenstore, log } = this.parts;
    const { domid } = this;
    if (domid === void 0 || this.over || this.closed) return;
    const info = domainControl.info(domid);
    if (info === void 0) return this.makeAgain();
    if (info.dying) return this.lookAgain();
    if (!info.shutdown) return;
    this.over = info.shutdownReason === SHUTDOWN_poweroff;
    const crash = await this.parts.xenstore.readIfPresent(`${domainHome(domid)}/${CRASH_KEY}`);
    log.warn(`domain ${this.name} has ended`, { domid, reason: info.shutdownReason, crash });
    await toolstack.destroy(domid);
    if (this.over) await xenstore.remove(recordPath(this.name));
    else this.lookAgain();
  }
  async makeAgain() {
    const { clock } = this.parts;
    if (clock.now_ms() - this.started_ms > SETTLED_MS) this.attempts = 0;
    const pause_ms = Math.min(PAUSE_MIN_MS * 2 ** this.attempts, PAUSE_MAX_MS);
    this.attempts++;
    await sleep(clock, pause_ms);
    if (!this.closed) await this.make();
  }
  /** Makes the domain, gives it what it served, and lets it run. */
  async make() {
    const { xenstore, toolstack, clock, log } = this.parts;
    const domid = await toolstack.create(this.domid);
    this.domid = domid;
    try {
      await xenstore.write(recordPath(this.name), String(domid));
      const devices = await restoreDevices(xenstore, domid);
      await toolstack.unpause(domid);
      log.info(`domain ${this.name} runs`, { domid, devices: devices.length });
    } catch (error) {
      await toolstack.destroy(domid);
      throw error;
    }
    this.started_ms = clock.now_ms();
  }
  lookAgain() {
    this.parts.clock.after(LOOK_MS, () => this.stepper.wake());
  }
};

// src/dom0/driver-domain/toolstack.ts
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
var NO_REST = { LIBXL_DOMID_REUSE_TIMEOUT: "0" };
async function run(program, args, input = "") {
  const operation = `run ${[program, ...args].join(" ")}`;
  const child = spawn(program, args, { env: { ...process.env, ...NO_REST } });
  const ended = new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new XenError("ENOENT", operation, error.message, error)));
    child.once("close", resolve);
  });
  child.stdin.on("error", () => {
  });
  child.stdin.end(input);
  const [code, out, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code === 0) return out;
  throw new XenError("EIO", operation, errors.trim() || `exit status ${code}`);
}
function creator() {
  const path = join(dirname(nativePath()), "create-domain");
  if (existsSync(path)) return path;
  throw new XenError("ENOENT", "make a domain", `${path} is not built; run scripts/setup`);
}
function hostToolstack(path) {
  const config = async () => JSON.parse(await run("xl", ["create", "--dryrun", "--quiet", path]));
  return {
    name: async () => (await config()).c_info.name,
    async create(domid) {
      const wanted = await config();
      const c_info = { ...wanted.c_info, ...domid === void 0 ? {} : { domid } };
      return domId(Number(await run(creator(), [], JSON.stringify({ ...wanted, c_info }))));
    },
    unpause: async (domid) => void await run("xl", ["unpause", String(domid)]),
    destroy: async (domid) => void await run("xl", ["destroy", String(domid)])
  };
}

// src/dom0/driver-domain/open.ts
async function openDriverDomain(settings, log) {
  const held = new Holdings();
  try {
    const domainControl = held.keep(openDomainControl());
    const xenstore = held.keep(
      await followXenstore({ native: loadNative, path: settings.xenstore }, log)
    );
    const toolstack = hostToolstack(settings.config);
    const parts = { xenstore, domainControl, toolstack, clock: nodeClock, log };
    const keeper = await DriverDomainKeeper.open(parts);
    const close = async () => {
      await keeper.close();
      held.close();
    };
    return { close };
  } catch (error) {
    held.close();
    throw error;
  }
}
export {
  openDriverDomain
};
//# sourceMappingURL=open-T3VFIUTT.js.map
