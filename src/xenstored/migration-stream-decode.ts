/** What a migration stream says, as the state that a xenstored takes up. */
import { XS_WATCH_EVENT, XsdSockmsg } from '../abi/io/xs_wire.ts';
import { DOMID_ANY } from '../abi/xen.ts';
import {
  XS_STATE_NODE_PERM_IGNORE,
  XS_STATE_TYPE_CONN,
  XS_STATE_TYPE_DOMAIN,
  XS_STATE_TYPE_END,
  XS_STATE_TYPE_GLB_QUOTA,
  XS_STATE_TYPE_GLOBAL,
  XS_STATE_TYPE_NODE,
  XS_STATE_TYPE_TA,
  XS_STATE_TYPE_WATCH,
  XS_STATE_TYPE_WATCH_EXT,
} from '../abi/xenstore_state.ts';
import { errorMessage } from '../base/errors.ts';
import { DOMID_FIRST_RESERVED, domId } from '../base/ids.ts';
import { HEADER_SIZE, PAYLOAD_MAX, type Packet } from '../xenstore/packet.ts';
import {
  absoluteOrSpecialPath,
  absolutePath,
  domainHome,
  isAbsolutePath,
  isSpecialPath,
  parentPath,
} from '../xenstore/path.ts';
import { SERVER_FEATURES } from './features.ts';
import * as records from './migration-stream-records.ts';
import { refuseStream, type StreamRecord } from './migration-stream-records.ts';
import {
  EVERY_INCARNATION,
  NO_INCARNATION,
  type PermissionEntry,
  PermissionLists,
} from './permissions.ts';
import type { Quotas } from './quota.ts';
import { QUOTAS_BY_NAME } from './quota-names.ts';
import type {
  ConnectionState,
  DomainState,
  NodeState,
  OutputState,
  ServerState,
  TransactionState,
  WatchState,
} from './state.ts';
import { INTRODUCE_DOMAIN, RELEASE_DOMAIN } from './store.ts';
import { TRANSACTION_COST } from './transaction.ts';
import { valueFrom } from './value.ts';

const NO_BYTES = new Uint8Array(0);

export interface DecodeOptions {
  /** Those that hold where the stream says nothing of quotas. */
  readonly quotas: Readonly<Quotas>;
  /** The domain whose ring is our own kernel's. */
  readonly masterDomid: number;
  /** The peer's port of one of the handed event channels; `undefined` where it is not connected. */
  readonly remotePort: (localPort: number) => number | undefined;
}

export interface DecodedStream {
  readonly state: ServerState;
  /** Descriptor of the socket that clients connect to, if there is one. */
  readonly listener: number | undefined;
  /** Descriptor of the event-channel device to which the local ports of the stream belong. */
  readonly events: number | undefined;
}

type Mutable<Value> = { -readonly [Name in keyof Value]: Value[Name] };

interface OpenConnection extends Mutable<ConnectionState> {
  readonly home: string;
  readonly watches: WatchState[];
  readonly transactions: TransactionState[];
}

/** The types of a client's packets end far below: of a packet that was sent in part it is not known. */
const TYPE_UNKNOWN = 0xffff;

/**
 * A packet of which `rest` is what was not sent. What was sent of its header is made up, and the
 * same bytes come out of it again. `undefined` when no packet ends so.
 */
function packetEndingIn(rest: Uint8Array): OutputState | undefined {
  const header = new Uint8Array(HEADER_SIZE);
  const view = XsdSockmsg.view(header);
  for (let unsent = 0; unsent < HEADER_SIZE && unsent <= rest.length; unsent++) {
    const payload = rest.subarray(unsent);
    if (payload.length > PAYLOAD_MAX) continue;
    view.type = TYPE_UNKNOWN;
    view.len = payload.length;
    const fromLength = Math.min(unsent, HEADER_SIZE - XsdSockmsg.offset.len);
    const told = rest.subarray(unsent - fromLength, unsent);
    if (told.some((byte, i) => byte !== header[HEADER_SIZE - fromLength + i])) continue;
    header.set(rest.subarray(0, unsent), HEADER_SIZE - unsent);
    const { type, req_id, tx_id } = view;
    const packet: Packet = { type, requestId: req_id, transactionId: tx_id, payload };
    return { packet, sent: HEADER_SIZE - unsent, charge: undefined };
  }
  return undefined;
}

function wholePackets(bytes: Uint8Array, start: number): OutputState[] {
  const output: OutputState[] = [];
  for (let at = 0; at < bytes.length; ) {
    const rule = 'CONNECTION_DATA: out-data is whole packets after the partial response';
    if (at + HEADER_SIZE > bytes.length) refuseStream(rule, start + at, 'a header is cut off');
    const { type, req_id, tx_id, len } = XsdSockmsg.view(bytes, at);
    const from = at + HEADER_SIZE;
    if (len > PAYLOAD_MAX || from + len > bytes.length) {
      refuseStream(rule, start + at, `a payload of ${len} bytes is not there`);
    }
    const payload = bytes.subarray(from, from + len);
    checkEvent(type, payload, start + at);
    const packet = { type, requestId: req_id, transactionId: tx_id, payload };
    output.push({ packet, sent: 0, charge: undefined });
    at = from + len;
  }
  return output;
}

/** An event is taken apart when it is queued, so it must be one. */
function checkEvent(type: number, payload: Uint8Array, at: number): void {
  if (type !== XS_WATCH_EVENT) return;
  const nul = payload.indexOf(0);
  if (nul < 0 || payload.indexOf(0, nul + 1) < 0) {
    refuseStream('CONNECTION_DATA: an event is a path and a token', at, 'it is something else');
  }
}

/** One that was open: nobody knows what it was told, so that it can only end with EAGAIN. */
function doomedTransaction(id: number): TransactionState {
  return {
    id,
    snapshot: undefined,
    accesses: [],
    growth: [],
    requests: undefined,
    outdated: true,
    torn: true,
    createdNodes: false,
    wrote: true,
    failed: false,
    memory: TRANSACTION_COST,
    doomed: true,
  };
}

class Decoder {
  private readonly options: DecodeOptions;
  private readonly version: number;
  private readonly quotas: Quotas;
  private readonly domains = new Map<number, Mutable<DomainState>>();
  private readonly connections = new Map<number, OpenConnection>();
  private readonly nodes = new Map<string, NodeState>();
  private readonly specialPermissions = new Map<string, readonly PermissionEntry[]>();
  private readonly lists = new PermissionLists();
  private readonly watches = new Set<string>();
  private global: records.GlobalRecord | undefined;

  constructor(options: DecodeOptions, version: number) {
    this.options = options;
    this.version = version;
    this.quotas = { ...options.quotas };
    const { incarnation } = this.domain(0);
    for (const name of [INTRODUCE_DOMAIN, RELEASE_DOMAIN]) {
      this.specialPermissions.set(name, [{ domid: 0, access: 'n', incarnation }]);
    }
  }

  take(record: StreamRecord): void {
    switch (record.type) {
      case XS_STATE_TYPE_END:
        return;
      case XS_STATE_TYPE_GLOBAL:
        this.takeGlobal(record);
        return;
      case XS_STATE_TYPE_CONN:
        this.takeConnection(record);
        return;
      case XS_STATE_TYPE_WATCH:
        this.takeWatch(record, records.readWatch(record));
        return;
      case XS_STATE_TYPE_WATCH_EXT:
        this.requireVersion2(record, 'WATCH_DATA_EXTENDED');
        this.takeWatch(record, records.readExtendedWatch(record));
        return;
      case XS_STATE_TYPE_TA:
        this.takeTransaction(record);
        return;
      case XS_STATE_TYPE_NODE:
        this.takeNode(record);
        return;
      case XS_STATE_TYPE_GLB_QUOTA:
        this.setQuotas(this.quotas, records.readGlobalQuotas(record));
        return;
      case XS_STATE_TYPE_DOMAIN:
        this.takeDomain(record);
        return;
      default:
        refuseStream('type is that of a record', record.at, `it is ${record.type}`);
    }
  }

  finish(): DecodedStream {
    if (!this.nodes.has('/')) refuseStream('the root is among the nodes', 0, 'it is not');
    const { global, nodes, domains, quotas, specialPermissions } = this;
    return {
      state: {
        generation: nodes.size,
        lastIncarnation: domains.size,
        quotas,
        specialPermissions,
        domains: [...domains.values()],
        nodes: [...nodes.values()],
        connections: [...this.connections.values()].map(({ home: _, ...connection }) => connection),
      },
      listener: global?.listener,
      events: global?.events,
    };
  }

  private requireVersion2(record: StreamRecord, name: string): void {
    if (this.version >= 2) return;
    refuseStream(`${name} is of version 2`, record.at, `the stream is of ${this.version}`);
  }

  private takeGlobal(record: StreamRecord): void {
    if (this.global !== undefined) {
      refuseStream('GLOBAL_DATA is there once', record.at, 'it is there again');
    }
    this.global = records.readGlobal(record);
  }

  private takeConnection(record: StreamRecord): void {
    const read = records.readConnection(record);
    const { id, carrier, input, partial, output, at } = read;
    if (this.connections.has(id)) {
      refuseStream('CONNECTION_DATA: conn-id is of one connection', record.at, `${id} is of two`);
    }
    const begun = partial.length === 0 ? [] : [packetEndingIn(partial)];
    if (begun.includes(undefined)) {
      const rule = 'CONNECTION_DATA: the partial response is the end of a packet';
      refuseStream(rule, at.partial, 'no packet ends so');
    }
    const domid = carrier.kind === 'ring' ? carrier.domid : 0;
    this.connections.set(id, {
      carrier:
        carrier.kind === 'ring'
          ? this.takeRing(record, carrier)
          : { kind: 'socket', fd: carrier.fd, name: `socket ${id}`, unsent: NO_BYTES },
      input,
      output: [...(begun as OutputState[]), ...wholePackets(output, at.output)],
      watches: [],
      lastTransactionId: 0,
      transactions: [],
      home: domainHome(domId(domid)),
    });
  }

  private takeRing(
    record: StreamRecord,
    { domid, target, port }: { domid: number; target: number; port: number },
  ): ConnectionState['carrier'] {
    if (domid >= DOMID_FIRST_RESERVED) {
      refuseStream('CONNECTION_DATA: domid is that of a domain', record.at, `it is ${domid}`);
    }
    const domain = this.domain(domid);
    if (domain.ring !== undefined) {
      refuseStream('CONNECTION_DATA: a domain has one ring', record.at, `domain ${domid} has two`);
    }
    const { masterDomid, remotePort } = this.options;
    domain.ring = {
      remotePort: domid === masterDomid ? undefined : (port && remotePort(port)) || 0,
    };
    // A guest has been told by its page what it may use, and 4.17 offers nothing.
    domain.features = 0;
    if (target < DOMID_FIRST_RESERVED) domain.target = this.domain(target).domid;
    const ignored = port === 0;
    return { kind: 'ring', domid, ignored, consumed: undefined, produced: undefined };
  }

  private connection(record: StreamRecord, id: number): OpenConnection {
    const connection = this.connections.get(id);
    if (connection !== undefined) return connection;
    return refuseStream('conn-id is that of a connection before', record.at, `${id} is of none`);
  }

  private takeWatch(record: StreamRecord, read: records.WatchRecord): void {
    const { token, depth } = read;
    const connection = this.connection(record, read.connection);
    const special = isSpecialPath(read.path);
    const relative = !special && !isAbsolutePath(read.path);
    const path = this.checked(record, () => {
      return special ? read.path : absolutePath(read.path, connection.home);
    });
    const key = `${read.connection} ${path}\0${token}`;
    if (this.watches.has(key)) {
      refuseStream('a watch is there once', record.at, `${path} is watched twice`);
    }
    this.watches.add(key);
    connection.watches.push({ path, token, depth, relative, number: this.watches.size });
  }

  private takeTransaction(record: StreamRecord): void {
    const { connection: id, id: transaction } = records.readTransaction(record);
    const connection = this.connection(record, id);
    if (connection.transactions.some((known) => known.id === transaction)) {
      const rule = 'TRANSACTION_DATA: tx-id is of one transaction';
      refuseStream(rule, record.at, `${transaction} is of two`);
    }
    connection.transactions.push(doomedTransaction(transaction));
    connection.lastTransactionId = Math.max(connection.lastTransactionId, transaction);
  }

  private takeNode(record: StreamRecord): void {
    const read = records.readNode(record);
    if (read.connection !== 0) {
      const { transactions } = this.connection(record, read.connection);
      if (transactions.some(({ id }) => id === read.transaction)) return;
      const rule = 'NODE_DATA: tx-id is that of a transaction before';
      refuseStream(rule, record.at, `${read.transaction} is of none`);
    }
    if (read.permissions.length === 0) {
      refuseStream('NODE_DATA: a node has an owner', record.at, 'it has no permissions');
    }
    const path = this.checked(record, () => absoluteOrSpecialPath(read.path, undefined));
    const permissions = this.lists.shared(
      read.permissions.map((entry, index) => this.permission(entry, index)),
    );
    if (isSpecialPath(path)) {
      if (!this.specialPermissions.has(path)) {
        refuseStream('NODE_DATA: there is something of that name', record.at, `${path} is none`);
      }
      this.specialPermissions.set(path, permissions);
      return;
    }
    if (this.nodes.has(path)) {
      refuseStream('NODE_DATA: a node is there once', record.at, `${path} is there twice`);
    }
    if (path !== '/' && !this.nodes.has(parentPath(path))) {
      refuseStream('NODE_DATA: a node comes after its parent', record.at, `${path} does not`);
    }
    const generation = this.nodes.size + 1;
    const value = valueFrom(read.value, 0);
    this.nodes.set(path, { path, value, permissions, generation, birth: generation });
  }

  private takeDomain(record: StreamRecord): void {
    const { domid, features, quotas } = records.readDomain(record);
    if (domid >= DOMID_FIRST_RESERVED) {
      refuseStream('DOMAIN_DATA: domain-id is that of a domain', record.at, `it is ${domid}`);
    }
    const domain = this.domain(domid);
    if (this.version >= 2) domain.features = features & SERVER_FEATURES;
    const ownQuotas = { ...domain.ownQuotas };
    this.setQuotas(ownQuotas, quotas);
    domain.ownQuotas = ownQuotas;
  }

  /** Of those that we do not have nothing is kept, as the document says. */
  private setQuotas(target: Partial<Quotas>, quotas: readonly records.QuotaRecord[]): void {
    for (const { name, value } of quotas) {
      const quota = QUOTAS_BY_NAME.get(name);
      if (quota !== undefined) target[quota] = value;
    }
  }

  private permission(entry: records.PermissionRecord, index: number): PermissionEntry {
    const { access, flags, domid } = entry;
    const stale = (flags & XS_STATE_NODE_PERM_IGNORE) !== 0;
    const named = !stale && domid < DOMID_FIRST_RESERVED;
    if (named) return { access, domid, incarnation: this.domain(domid).incarnation };
    // A node whose owner is gone is dom0's.
    if (index === 0) return { access, domid: 0, incarnation: this.domain(0).incarnation };
    const incarnation = !stale && domid === DOMID_ANY ? EVERY_INCARNATION : NO_INCARNATION;
    return { access, domid, incarnation };
  }

  /** What the stream names is known; whether it still is there shows when the state is taken up. */
  private domain(domid: number): Mutable<DomainState> {
    const known = this.domains.get(domid);
    if (known !== undefined) return known;
    const created: Mutable<DomainState> = {
      domid,
      incarnation: this.domains.size + 1,
      features: SERVER_FEATURES,
      ownQuotas: {},
      shutdown: false,
      target: undefined,
      ring: undefined,
    };
    this.domains.set(domid, created);
    return created;
  }

  private checked(record: StreamRecord, path: () => string): string {
    try {
      return path();
    } catch (error) {
      return refuseStream('a path is one of xenstore', record.at, errorMessage(error));
    }
  }
}

/** Throws `ProtocolViolation` with the rule that the stream breaks and the byte where. */
export function decodeMigrationStream(bytes: Uint8Array, options: DecodeOptions): DecodedStream {
  const { version, records: all } = records.openStream(bytes);
  const decoder = new Decoder(options, version);
  for (const record of all) decoder.take(record);
  return decoder.finish();
}
