/** Reads a journal back: the state as it was after the last whole frame. */
import type { Log } from '../../base/log.ts';
import type { Packet } from '../../xenstore/packet.ts';
import { parentPath } from '../../xenstore/path.ts';
import type { Access } from '../../xenstore/xenstore.ts';
import { outputLength, skipOutput } from '../output-state.ts';
import { type PermissionEntry, PermissionLists, type Permissions } from '../permissions.ts';
import type { Quotas } from '../quota.ts';
import type {
  ConnectionState,
  DomainState,
  NodeState,
  OutputState,
  ServerState,
  TransactionState,
  WatchState,
} from '../state.ts';
import { valueFrom } from '../value.ts';
import { ByteReader } from './byte-reader.ts';
import * as entry from './entries.ts';
import { FrameScanner, readJournalHeader } from './frames.ts';

/** The ring of one domain, while the journal is read. */
class RingRecord {
  consumed = 0;
  produced = 0;
  ignored = false;
  input: Uint8Array = new Uint8Array(0);
  output: OutputState[] = [];
  readonly watches = new Map<string, WatchState>();
  readonly transactions = new Map<number, Packet[]>();
  lastTransactionId = 0;

  stand(position: entry.RingPosition): void {
    const sent = outputLength(this.output) - position.pending;
    this.output = skipOutput(this.output, Math.max(0, sent));
    this.consumed = position.consumed;
    this.produced = position.produced;
    this.input = position.input;
  }

  ignore(): void {
    this.ignored = true;
    this.output = [];
    this.watches.clear();
    this.transactions.clear();
  }

  state(domid: number): ConnectionState {
    const { consumed, produced, ignored, input, output, lastTransactionId } = this;
    return {
      carrier: { kind: 'ring', domid, consumed, produced, ignored },
      input,
      output,
      watches: [...this.watches.values()],
      lastTransactionId,
      transactions: [...this.transactions].map(([id, again]) => doomed(id, again)),
    };
  }
}

/** A transaction of which nobody knows any more what it was told. */
function doomed(id: number, again: readonly Packet[]): TransactionState {
  return {
    id,
    snapshot: undefined,
    accesses: [],
    growth: [],
    requests: [],
    outdated: true,
    torn: true,
    createdNodes: false,
    wrote: false,
    failed: false,
    memory: 0,
    doomed: true,
    again,
  };
}

class Recovered {
  generation = 0;
  lastIncarnation = 0;
  settings: entry.Settings | undefined;
  readonly domains = new Map<number, DomainState>();
  readonly nodes = new Map<string, NodeState>();
  readonly rings = new Map<number, RingRecord>();
  private readonly lists = new PermissionLists();

  apply(reader: ByteReader): void {
    while (!reader.isAtEnd) this.applyEntry(reader.u8(), reader);
  }

  private applyEntry(kind: number, reader: ByteReader): void {
    switch (kind) {
      case entry.ENTRY_COUNTERS:
        this.generation = reader.u53();
        this.lastIncarnation = reader.u53();
        return;
      case entry.ENTRY_SETTINGS:
        this.settings = JSON.parse(readJson(reader)) as entry.Settings;
        return;
      case entry.ENTRY_DOMAIN: {
        const domain = JSON.parse(readJson(reader)) as DomainState;
        this.domains.set(domain.domid, domain);
        return;
      }
      case entry.ENTRY_DOMAIN_GONE:
        this.domains.delete(reader.u32());
        return;
      case entry.ENTRY_NODE:
        this.applyNode(reader);
        return;
      case entry.ENTRY_NODE_TOUCHED: {
        const path = reader.path();
        const generation = reader.u53();
        const node = this.nodes.get(path);
        if (node !== undefined) this.nodes.set(path, { ...node, generation });
        return;
      }
      case entry.ENTRY_NODE_GONE:
        this.nodes.delete(reader.path());
        return;
      case entry.ENTRY_RING:
        this.rings.set(reader.u32(), new RingRecord());
        return;
      case entry.ENTRY_RING_GONE:
        this.rings.delete(reader.u32());
        return;
      default:
        this.applyToRing(kind, reader);
    }
  }

  private applyNode(reader: ByteReader): void {
    const path = reader.path();
    const generation = reader.u53();
    const birth = reader.u53();
    const permissions = this.readPermissions(reader);
    const value = valueFrom(reader.data(), 0);
    this.nodes.set(path, { path, value, permissions, generation, birth });
  }

  private readPermissions(reader: ByteReader): Permissions {
    const entries: PermissionEntry[] = [];
    for (let count = reader.u16(); count > 0; count--) {
      const domid = reader.u32();
      const access = String.fromCharCode(reader.u8()) as Access;
      entries.push({ domid, access, incarnation: reader.u53() });
    }
    return this.lists.shared(entries);
  }

  private applyToRing(kind: number, reader: ByteReader): void {
    const ring = this.rings.get(reader.u32()) ?? new RingRecord();
    switch (kind) {
      case entry.ENTRY_RING_IGNORED:
        ring.ignore();
        return;
      case entry.ENTRY_RING_POSITION:
        ring.stand({
          consumed: reader.u32(),
          produced: reader.u32(),
          pending: reader.u32(),
          input: reader.data(),
        });
        return;
      case entry.ENTRY_OUTPUT: {
        const sent = reader.u16();
        const charge = { id: reader.u53(), domid: reader.u32() };
        const packet = readPacket(reader);
        ring.output.push({ packet, sent, charge: charge.id === 0 ? undefined : charge });
        return;
      }
      case entry.ENTRY_OUTPUT_DROPPED: {
        const dropped = new Set<number>();
        for (let count = reader.u32(); count > 0; count--) dropped.add(reader.u32());
        ring.output = ring.output.filter((_, index) => !dropped.has(index));
        return;
      }
      case entry.ENTRY_WATCH: {
        const number = reader.u53();
        const relative = reader.u8() === 1;
        const depth = reader.u32();
        const path = reader.text();
        const token = reader.text();
        const deep = depth === 0xffffffff ? undefined : depth;
        ring.watches.set(`${path}\0${token}`, { path, token, depth: deep, relative, number });
        return;
      }
      case entry.ENTRY_WATCH_GONE:
        ring.watches.delete(`${reader.text()}\0${reader.text()}`);
        return;
      case entry.ENTRY_TRANSACTION:
        ring.lastTransactionId = reader.u32();
        ring.transactions.set(ring.lastTransactionId, []);
        return;
      case entry.ENTRY_TRANSACTION_LAST:
        ring.lastTransactionId = reader.u32();
        return;
      case entry.ENTRY_TRANSACTION_GONE:
        ring.transactions.delete(reader.u32());
        return;
      case entry.ENTRY_TRANSACTION_REQUEST: {
        const id = reader.u32();
        ring.transactions.get(id)?.push(readPacket(reader));
        return;
      }
      default:
        throw new RangeError(`there is no entry ${kind}`);
    }
  }
}

function readJson(reader: ByteReader): string {
  return String.fromCharCode(...reader.data());
}

function readPacket(reader: ByteReader): Packet {
  const type = reader.u32();
  const requestId = reader.u32();
  const transactionId = reader.u32();
  return { type, requestId, transactionId, payload: reader.data() };
}

/** The nodes that hang together; a journal that is torn in its first frames may lack some. */
function connected(nodes: ReadonlyMap<string, NodeState>, log: Log): NodeState[] {
  const isThere = new Map<string, boolean>([['/', true]]);
  const reaches = (path: string): boolean => {
    const known = isThere.get(path);
    if (known !== undefined) return known;
    const does = nodes.has(path) && reaches(parentPath(path));
    isThere.set(path, does);
    return does;
  };
  const kept = [...nodes.values()].filter(({ path }) => reaches(path));
  if (kept.length < nodes.size) {
    log.error(`the journal lacks the parents of ${nodes.size - kept.length} nodes: they are lost`);
  }
  return kept;
}

/**
 * The state that a journal tells of, or `undefined` when it tells of none. What follows the last
 * whole frame is logged with its position and left out. Throws EINVAL when it is no journal, or one
 * of another version.
 *
 * @param defaults the limits for which the journal has none
 * @param epoch names this boot of the host: the rings of another boot are gone
 */
export function recover(
  bytes: Uint8Array,
  defaults: Readonly<Quotas>,
  epoch: string,
  log: Log,
): ServerState | undefined {
  const sameEpoch = readJournalHeader(bytes) === epoch;
  const recovered = new Recovered();
  const frames = new FrameScanner(bytes);
  let found = frames.next();
  for (; typeof found !== 'string'; found = frames.next()) {
    recovered.apply(new ByteReader(bytes, found.start, found.end));
  }
  if (found === 'torn') {
    const position = frames.position;
    log.warn(`the journal is torn at byte ${position}: what follows is left out`, { position });
  }
  const { settings, generation, lastIncarnation, nodes, domains, rings } = recovered;
  if (settings === undefined || !nodes.has('/')) {
    log.error('the journal holds no whole store: xenstored begins anew');
    return undefined;
  }
  return {
    generation,
    lastIncarnation,
    quotas: { ...defaults, ...settings.quotas },
    specialPermissions: new Map(settings.specialPermissions),
    domains: [...domains.values()],
    nodes: connected(nodes, log),
    connections: sameEpoch ? [...rings].map(([domid, ring]) => ring.state(domid)) : [],
  };
}
