/** The entries of a frame: what became of something, told so that the last word counts. */
import { XS_ERROR, XS_MKDIR, XS_RM, XS_SET_PERMS, XS_WRITE } from '../../abi/io/xs_wire.ts';
import type { Packet } from '../../xenstore/packet.ts';
import { outputLength } from '../output-state.ts';
import type { Permissions } from '../permissions.ts';
import type { Quotas } from '../quota.ts';
import type {
  ConnectionState,
  DomainState,
  NodeState,
  OutputState,
  TransactionState,
  WatchState,
} from '../state.ts';
import type { ByteWriter } from './byte-writer.ts';

export const ENTRY_COUNTERS = 1;
export const ENTRY_SETTINGS = 2;
export const ENTRY_DOMAIN = 3;
export const ENTRY_DOMAIN_GONE = 4;
export const ENTRY_NODE = 5;
/** Only the node's generation is another: its list of children has changed. */
export const ENTRY_NODE_TOUCHED = 6;
export const ENTRY_NODE_GONE = 7;
export const ENTRY_RING = 8;
export const ENTRY_RING_GONE = 9;
export const ENTRY_RING_IGNORED = 10;
/** Where the ring stands, and what was taken from it in part: all before was taken or sent. */
export const ENTRY_RING_POSITION = 11;
export const ENTRY_OUTPUT = 12;
export const ENTRY_OUTPUT_DROPPED = 13;
export const ENTRY_WATCH = 14;
export const ENTRY_WATCH_GONE = 15;
export const ENTRY_TRANSACTION = 16;
export const ENTRY_TRANSACTION_GONE = 17;
export const ENTRY_TRANSACTION_REQUEST = 18;
/** The number that the next transaction comes after. */
export const ENTRY_TRANSACTION_LAST = 19;

/** What operators set; rarely written. */
export interface Settings {
  readonly quotas: Readonly<Quotas>;
  readonly specialPermissions: readonly (readonly [name: string, permissions: Permissions])[];
}

export function putCounters(out: ByteWriter, generation: number, lastIncarnation: number): void {
  out.u8(ENTRY_COUNTERS);
  out.u53(generation);
  out.u53(lastIncarnation);
}

export function putSettings(out: ByteWriter, settings: Settings): void {
  out.u8(ENTRY_SETTINGS);
  out.data(JSON.stringify(settings));
}

export function putDomain(out: ByteWriter, domain: DomainState): void {
  out.u8(ENTRY_DOMAIN);
  out.data(JSON.stringify(domain));
}

export function putDomainGone(out: ByteWriter, domid: number): void {
  out.u8(ENTRY_DOMAIN_GONE);
  out.u32(domid);
}

export function putNode(out: ByteWriter, path: string, node: Omit<NodeState, 'path'>): void {
  out.u8(ENTRY_NODE);
  out.path(path);
  out.u53(node.generation);
  out.u53(node.birth);
  const { permissions } = node;
  out.u16(permissions.length);
  for (let i = 0; i < permissions.length; i++) {
    const { domid, access, incarnation } = permissions[i] as Permissions[number];
    out.u32(domid);
    out.u8(access.charCodeAt(0));
    out.u53(incarnation);
  }
  out.data(node.value);
}

export function putNodeTouched(out: ByteWriter, path: string, generation: number): void {
  out.u8(ENTRY_NODE_TOUCHED);
  out.path(path);
  out.u53(generation);
}

export function putNodeGone(out: ByteWriter, path: string): void {
  out.u8(ENTRY_NODE_GONE);
  out.path(path);
}

/** An entry of these that is about the ring of a domain alone. */
export function putRing(
  out: ByteWriter,
  entry: typeof ENTRY_RING | typeof ENTRY_RING_GONE | typeof ENTRY_RING_IGNORED,
  domid: number,
): void {
  out.u8(entry);
  out.u32(domid);
}

/** Where a ring stands. */
export interface RingPosition {
  /** What `req_cons` is once all that was taken from the ring is given free. */
  readonly consumed: number;
  /** `rsp_prod`. */
  readonly produced: number;
  /** Bytes of output that are not in the ring. */
  readonly pending: number;
  /** Bytes of a request that has come in part. */
  readonly input: Uint8Array;
}

export function putPosition(out: ByteWriter, domid: number, position: RingPosition): void {
  out.u8(ENTRY_RING_POSITION);
  out.u32(domid);
  out.u32(position.consumed);
  out.u32(position.produced);
  out.u32(position.pending);
  out.data(position.input);
}

function putPacket(out: ByteWriter, { type, requestId, transactionId, payload }: Packet): void {
  out.u32(type);
  out.u32(requestId);
  out.u32(transactionId);
  out.data(payload);
}

export function putOutput(out: ByteWriter, domid: number, output: OutputState): void {
  out.u8(ENTRY_OUTPUT);
  out.u32(domid);
  out.u16(output.sent);
  out.u53(output.charge?.id ?? 0);
  out.u32(output.charge?.domid ?? 0);
  putPacket(out, output.packet);
}

/** @param indexes of what was dropped, in what waits to be sent, in order */
export function putOutputDropped(out: ByteWriter, domid: number, indexes: readonly number[]): void {
  out.u8(ENTRY_OUTPUT_DROPPED);
  out.u32(domid);
  out.u32(indexes.length);
  for (const index of indexes) out.u32(index);
}

export function putWatch(out: ByteWriter, domid: number, watch: WatchState): void {
  out.u8(ENTRY_WATCH);
  out.u32(domid);
  out.u53(watch.number);
  out.u8(watch.relative ? 1 : 0);
  // No depth that a client can name is so large.
  out.u32(watch.depth ?? 0xffffffff);
  out.text(watch.path);
  out.text(watch.token);
}

export function putWatchGone(out: ByteWriter, domid: number, path: string, token: string): void {
  out.u8(ENTRY_WATCH_GONE);
  out.u32(domid);
  out.text(path);
  out.text(token);
}

export function putTransaction(
  out: ByteWriter,
  entry: typeof ENTRY_TRANSACTION | typeof ENTRY_TRANSACTION_GONE | typeof ENTRY_TRANSACTION_LAST,
  domid: number,
  id: number,
): void {
  out.u8(entry);
  out.u32(domid);
  out.u32(id);
}

/** A request that has changed something within a transaction. */
export function putTransactionRequest(
  out: ByteWriter,
  domid: number,
  id: number,
  packet: Packet,
): void {
  out.u8(ENTRY_TRANSACTION_REQUEST);
  out.u32(domid);
  out.u32(id);
  putPacket(out, packet);
}

const CHANGING: ReadonlySet<number> = new Set([XS_WRITE, XS_MKDIR, XS_RM, XS_SET_PERMS]);

/** Whether a request with this reply has changed something within its transaction. */
export function changesNodes(packet: Packet, replyType: number): boolean {
  return CHANGING.has(packet.type) && replyType !== XS_ERROR;
}

/** All of a connection; that of a socket ends with this process, so it is left out. */
export function putConnection(out: ByteWriter, state: ConnectionState): void {
  const { carrier, input, output, watches, transactions, lastTransactionId } = state;
  if (carrier.kind !== 'ring') return;
  const { domid, consumed, produced } = carrier;
  // A ring that another program has served, and that we have not looked at yet.
  if (consumed === undefined || produced === undefined) return;
  putRing(out, ENTRY_RING, domid);
  for (const item of output) putOutput(out, domid, item);
  putPosition(out, domid, { consumed, produced, pending: outputLength(output), input });
  for (const watch of watches) putWatch(out, domid, watch);
  for (const transaction of transactions) putOpenTransaction(out, domid, transaction);
  putTransaction(out, ENTRY_TRANSACTION_LAST, domid, lastTransactionId);
  if (carrier.ignored) putRing(out, ENTRY_RING_IGNORED, domid);
}

function putOpenTransaction(out: ByteWriter, domid: number, transaction: TransactionState): void {
  putTransaction(out, ENTRY_TRANSACTION, domid, transaction.id);
  for (const { packet, reply } of transaction.requests ?? []) {
    if (changesNodes(packet, reply.type)) {
      putTransactionRequest(out, domid, transaction.id, packet);
    }
  }
}
