import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XenError
} from "./chunk-4IU4G7QT.js";

// src/xenstored/peaks.ts
var NOTHING = {
  nodes: 0,
  watches: 0,
  transactions: 0,
  outstanding: 0,
  memory: 0,
  transactionNodes: 0,
  permissions: 0,
  pathLength: 0,
  nodeSize: 0
};
var Peaks = class {
  values = { ...NOTHING };
  get(what) {
    return this.values[what];
  }
  note(what, value) {
    if (value > this.values[what]) this.values[what] = value;
  }
  /** Takes over what was higher elsewhere. */
  include(other) {
    for (const what of Object.keys(NOTHING)) this.note(what, other.get(what));
  }
  reset() {
    Object.assign(this.values, NOTHING);
  }
};

// src/xenstored/quota.ts
var DEFAULT_QUOTAS = {
  nodes: 1e3,
  watches: 128,
  transactions: 1e3,
  outstanding: 20,
  transactionNodes: 1024,
  memoryHard: 2.5 * 1024 * 1024,
  memorySoft: 2 * 1024 * 1024,
  nodeSize: 2048,
  pathLength: 2048,
  permissions: 5
};
var DENIAL_LOG_INTERVAL_MS = 1e4;
var Account = class {
  domid;
  /** Limits do not hold for a privileged domain; what it uses is counted all the same. */
  privileged;
  /** The most of each thing that the domain has used. */
  peaks = new Peaks();
  /** How often a limit has refused it something. */
  refusals = 0;
  nodesOwned = 0;
  watchesSet = 0;
  requestsOutstanding = 0;
  memoryUsed = 0;
  aboveSoft = false;
  aboveHard = false;
  denials = /* @__PURE__ */ new Map();
  /** The limits of all domains. */
  quotas;
  /** The limits that somebody has set for this domain alone. */
  ownQuotas;
  clock;
  log;
  constructor(domid, privileged, quotas, clock, log, ownQuotas = {}) {
    this.ownQuotas = { ...ownQuotas };
    this.domid = domid;
    this.privileged = privileged;
    this.quotas = quotas;
    this.clock = clock;
    this.log = log;
  }
  get nodes() {
    return this.nodesOwned;
  }
  set nodes(count) {
    this.nodesOwned = count;
    this.peaks.note("nodes", count);
  }
  get watches() {
    return this.watchesSet;
  }
  set watches(count) {
    this.watchesSet = count;
    this.peaks.note("watches", count);
  }
  get outstanding() {
    return this.requestsOutstanding;
  }
  set outstanding(count) {
    this.requestsOutstanding = count;
    this.peaks.note("outstanding", count);
  }
  /** Bytes that nodes, watches, transactions, replies and events of the domain take. */
  get memory() {
    return this.memoryUsed;
  }
  /** The limit as it was set, for this domain or for all; 0 for none. */
  quota(quota) {
    return this.ownQuotas[quota] ?? this.quotas[quota];
  }
  /** The limits that were set for this domain alone. */
  get own() {
    return { ...this.ownQuotas };
  }
  /** Sets a limit for this domain alone, 0 for none. It stays when that of all domains changes. */
  setQuota(quota, value) {
    this.ownQuotas[quota] = value;
  }
  /** The limit that holds: infinite where there is none and for a privileged domain. */
  limit(quota) {
    if (this.privileged) return Number.POSITIVE_INFINITY;
    const value = this.quota(quota);
    return value === 0 ? Number.POSITIVE_INFINITY : value;
  }
  /** Counts `bytes` more, or fewer when negative, without a limit. */
  addMemory(bytes) {
    this.memoryUsed += bytes;
    this.peaks.note("memory", this.memoryUsed);
    this.noticeMemory();
  }
  /** Whether `bytes` more would be too many. */
  memoryExceededBy(bytes) {
    return this.memoryUsed + bytes >= this.limit("memoryHard");
  }
  /** Whether the domain uses so much that it is no longer listened to. */
  get stalled() {
    return this.outstanding >= this.limit("outstanding") || this.memoryExceededBy(0);
  }
  /** The refusal of a limit, which the caller throws. Logged with the domain and the limit. */
  denied(code, quota, what) {
    const limit = this.quota(quota);
    this.logDenial(quota, what);
    return new XenError(code, what, `quota ${quota} of domain ${this.domid} is ${limit}`);
  }
  /** Logs that a limit was hit, often enough to be seen and too seldom to fill a disk. */
  logDenial(quota, what) {
    if (quota !== "memorySoft") this.refusals++;
    const now_ms = this.clock.now_ms();
    const earlier = this.denials.get(quota);
    if (earlier !== void 0 && now_ms - earlier.logged_ms < DENIAL_LOG_INTERVAL_MS) {
      earlier.unlogged++;
      return;
    }
    this.denials.set(quota, { logged_ms: now_ms, unlogged: 0 });
    this.log.warn(`domain ${this.domid} was denied: ${what}`, {
      domid: this.domid,
      quota,
      limit: this.quota(quota),
      ...earlier === void 0 ? {} : { denialsNotLogged: earlier.unlogged }
    });
  }
  /** Begins to look for peaks anew, from what is used now. */
  resetPeaks() {
    this.peaks.reset();
    this.peaks.note("nodes", this.nodesOwned);
    this.peaks.note("watches", this.watchesSet);
    this.peaks.note("outstanding", this.requestsOutstanding);
    this.peaks.note("memory", this.memoryUsed);
  }
  noticeMemory() {
    if (this.privileged) return;
    const aboveHard = this.memoryExceededBy(0);
    if (aboveHard && !this.aboveHard) {
      this.logDenial("memoryHard", "memory is used up, its requests wait");
    }
    this.aboveHard = aboveHard;
    const aboveSoft = this.memoryUsed >= this.limit("memorySoft");
    if (aboveSoft && !this.aboveSoft) this.logDenial("memorySoft", "uses much memory");
    this.aboveSoft = aboveSoft;
  }
};

// src/xenstored/options.ts
var DEFAULT_OPTIONS = {
  quotas: DEFAULT_QUOTAS,
  masterDomid: 0,
  privDomid: 0,
  watchEventTimeout_ms: 2e4,
  keepOrphans: false,
  privilegedQueueMax: 16 * 1024 * 1024
};

// src/xenstored/quota-names.ts
var HARD_QUOTAS = [
  { name: "nodes", quota: "nodes", description: "Nodes per domain" },
  { name: "watches", quota: "watches", description: "Watches per domain" },
  { name: "transactions", quota: "transactions", description: "Transactions per domain" },
  {
    name: "outstanding",
    quota: "outstanding",
    description: "Outstanding requests per domain"
  },
  {
    name: "transaction-nodes",
    quota: "transactionNodes",
    description: "Max. number of accessed nodes per transaction"
  },
  {
    name: "memory",
    quota: "memoryHard",
    description: "Total Xenstore memory per domain (error level)"
  },
  { name: "node-size", quota: "nodeSize", description: "Max. size of a node" },
  { name: "path-max", quota: "pathLength", description: "Max. length of a node path" },
  {
    name: "permissions",
    quota: "permissions",
    description: "Max. number of permissions per node"
  }
];
var SOFT_QUOTAS = [
  {
    name: "memory",
    quota: "memorySoft",
    description: "Total Xenstore memory per domain (warning level)"
  }
];
var SOFT_PREFIX = "soft-";
var QUOTAS_BY_NAME = new Map([
  ...HARD_QUOTAS.map(({ name, quota }) => [name, quota]),
  ...SOFT_QUOTAS.map(({ name, quota }) => [`${SOFT_PREFIX}${name}`, quota])
]);

export {
  Peaks,
  DEFAULT_QUOTAS,
  Account,
  HARD_QUOTAS,
  SOFT_QUOTAS,
  QUOTAS_BY_NAME,
  DEFAULT_OPTIONS
};
//# sourceMappingURL=chunk-XBUZ4ILQ.js.map
