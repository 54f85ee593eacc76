/**
 * The migration stream as records, each checked by itself: lengths, padding and the text in them.
 * What a record means beside the others is for `migration-stream-decode`.
 */
import {
  WATCH_DEPTH_UNLIMITED,
  XS_STATE_CONN_FIELDS_UNIQ_ID,
  XS_STATE_CONN_TYPE_RING,
  XS_STATE_CONN_TYPE_SOCKET,
  XS_STATE_IDENT,
  XS_STATE_TYPE_END,
  XsStateConnectionRing,
  XsStateConnectionSocket,
  XsStateDomain,
  XsStateGlbQuota,
  XsStateGlobal,
  XsStateNode,
  XsStateNodePerm,
  XsStatePreamble,
  XsStateRecordHeader,
  XsStateTransaction,
  XsStateWatch,
  XsStateWatchExt,
} from '../abi/xenstore_state.ts';
import { latin1Decode } from '../base/bytes.ts';
import { ProtocolViolation } from '../base/errors.ts';
import type { FieldType, Struct, View } from '../base/layout.ts';
import type { Access } from '../xenstore/xenstore.ts';

/** Records begin at multiples of this many bytes. */
export const RECORD_ALIGN = 8;
const VERSION_MAX = 2;

export const paddedLength = (length: number) => Math.ceil(length / RECORD_ALIGN) * RECORD_ALIGN;

/** Throws `ProtocolViolation`: a rule of the stream is broken at this byte of it. */
export function refuseStream(rule: string, at: number, detail: string): never {
  throw new ProtocolViolation('read a migration stream', rule, `${detail} at byte ${at}`);
}

export interface StreamRecord {
  /** `XS_STATE_TYPE_…`. */
  readonly type: number;
  readonly body: Uint8Array;
  /** Where in the stream the body begins. */
  readonly at: number;
}

/** The version of the stream, and its records up to the end. Throws `ProtocolViolation`. */
export function openStream(bytes: Uint8Array): {
  readonly version: number;
  readonly records: Iterable<StreamRecord>;
} {
  if (bytes.length < XsStatePreamble.size) {
    refuseStream('the stream has a header', 0, `it has ${bytes.length} bytes`);
  }
  const { ident, version, flags } = XsStatePreamble.view(bytes);
  if (latin1Decode(ident) !== XS_STATE_IDENT) {
    refuseStream(`ident is "${XS_STATE_IDENT}"`, XsStatePreamble.offset.ident, 'it is another');
  }
  if (version < 1 || version > VERSION_MAX) {
    const at = XsStatePreamble.offset.version;
    refuseStream(`version is from 1 to ${VERSION_MAX}`, at, `it is ${version}`);
  }
  if (flags !== 0) {
    refuseStream('flags are 0: little-endian', XsStatePreamble.offset.flags, `they are ${flags}`);
  }
  return { version, records: { [Symbol.iterator]: () => readRecords(bytes) } };
}

function* readRecords(bytes: Uint8Array): Generator<StreamRecord> {
  for (let at: number = XsStatePreamble.size; ; ) {
    if (at + XsStateRecordHeader.size > bytes.length) {
      refuseStream('the last record is END', at, `the stream ends after ${bytes.length} bytes`);
    }
    const { type, length } = XsStateRecordHeader.view(bytes, at);
    const start = at + XsStateRecordHeader.size;
    const end = start + paddedLength(length);
    if (end > bytes.length) {
      refuseStream('a record ends within the stream', at, `${length} bytes are said to follow`);
    }
    yield { type, body: bytes.subarray(start, start + length), at: start };
    if (type === XS_STATE_TYPE_END) {
      if (length !== 0) refuseStream('END is empty', at, `${length} bytes are said to follow`);
      if (end !== bytes.length) refuseStream('nothing follows END', end, 'there is more');
      return;
    }
    at = end;
  }
}

type Fields = Readonly<Record<string, FieldType<unknown>>>;

/** One record's body, read from front to back. */
class BodyReader {
  private readonly record: StreamRecord;
  private readonly name: string;
  private next = 0;

  constructor(record: StreamRecord, name: string) {
    this.record = record;
    this.name = name;
  }

  /** Where in the stream reading goes on. */
  get at(): number {
    return this.record.at + this.next;
  }

  structure<F extends Fields>(layout: Struct<F>): View<F> {
    const from = this.advance(layout.size, layout.cName);
    return layout.view(this.record.body, from);
  }

  /** A copy: the stream's memory may go. */
  bytes(length: number, what: string): Uint8Array {
    const from = this.advance(length, what);
    return this.record.body.slice(from, from + length);
  }

  /** A string of which the length counts the NUL at its end. */
  text(length: number, what: string): string {
    const { at } = this;
    const bytes = this.bytes(length, what);
    if (length === 0 || bytes.indexOf(0) !== length - 1) {
      refuseStream(`${this.name}: ${what} has a NUL at its end only`, at, 'it has not');
    }
    return latin1Decode(bytes, 0, length - 1);
  }

  /** A string up to its NUL. */
  untilNul(what: string): string {
    const { body } = this.record;
    const nul = body.indexOf(0, this.next);
    return this.text(nul < 0 ? body.length - this.next + 1 : nul + 1 - this.next, what);
  }

  align(): void {
    this.next = paddedLength(this.next);
  }

  /** Nothing but padding may be left. */
  finish(): void {
    const { body } = this.record;
    if (body.length !== this.next && body.length !== paddedLength(this.next)) {
      const rule = `${this.name}: length is that of what it holds`;
      refuseStream(rule, this.at, `${body.length} is not ${this.next}`);
    }
  }

  private advance(length: number, what: string): number {
    const from = this.next;
    if (from + length > this.record.body.length) {
      const rule = `${this.name}: ${what} ends within the record`;
      refuseStream(rule, this.at, `it has ${length} bytes`);
    }
    this.next = from + length;
    return from;
  }
}

/** Descriptors, `undefined` for none. */
export interface GlobalRecord {
  readonly listener: number | undefined;
  readonly events: number | undefined;
}

export function readGlobal(record: StreamRecord): GlobalRecord {
  const reader = new BodyReader(record, 'GLOBAL_DATA');
  const { socket_fd, evtchn_fd } = reader.structure(XsStateGlobal);
  reader.finish();
  const descriptor = (fd: number) => (fd < 0 ? undefined : fd);
  return { listener: descriptor(socket_fd), events: descriptor(evtchn_fd) };
}

export interface ConnectionRecord {
  readonly id: number;
  readonly carrier:
    | {
        readonly kind: 'ring';
        readonly domid: number;
        readonly target: number;
        readonly port: number;
      }
    | { readonly kind: 'socket'; readonly fd: number };
  readonly input: Uint8Array;
  /** What is left of a packet that is sent in part. */
  readonly partial: Uint8Array;
  /** Whole packets. */
  readonly output: Uint8Array;
  /** Where in the stream each of the three begins. */
  readonly at: { readonly input: number; readonly partial: number; readonly output: number };
}

export function readConnection(record: StreamRecord): ConnectionRecord {
  const name = 'CONNECTION_DATA';
  const reader = new BodyReader(record, name);
  const ring = reader.structure(XsStateConnectionRing);
  const { conn_id, conn_type, fields, data_in_len, data_resp_len, data_out_len } = ring;
  if (conn_id === 0) refuseStream(`${name}: conn-id is not 0`, record.at, 'it is');
  if (conn_type !== XS_STATE_CONN_TYPE_RING && conn_type !== XS_STATE_CONN_TYPE_SOCKET) {
    refuseStream(`${name}: conn-type is 0 or 1`, record.at, `it is ${conn_type}`);
  }
  if (data_resp_len > data_out_len) {
    const detail = `${data_resp_len} are more than ${data_out_len}`;
    refuseStream(`${name}: out-resp-len <= out-data-len`, record.at, detail);
  }
  const { at: inputAt } = reader;
  const input = reader.bytes(data_in_len, 'in-data');
  const partialAt = reader.at;
  const partial = reader.bytes(data_resp_len, 'the partial response');
  const outputAt = reader.at;
  const output = reader.bytes(data_out_len - data_resp_len, 'out-data');
  if ((fields & XS_STATE_CONN_FIELDS_UNIQ_ID) !== 0) {
    // Whether the domain is still the same one is found out when its ring is mapped.
    reader.align();
    reader.bytes(8, 'unique-id');
  }
  reader.finish();
  const { domid, tdomid, evtchn } = ring;
  return {
    id: conn_id,
    carrier:
      conn_type === XS_STATE_CONN_TYPE_RING
        ? { kind: 'ring', domid, target: tdomid, port: evtchn }
        : { kind: 'socket', fd: XsStateConnectionSocket.view(record.body).socket_fd },
    input,
    partial,
    output,
    at: { input: inputAt, partial: partialAt, output: outputAt },
  };
}

export interface WatchRecord {
  readonly connection: number;
  /** As the client gave it: relative, absolute or one that begins with `@`. */
  readonly path: string;
  readonly token: string;
  readonly depth: number | undefined;
}

export function readWatch(record: StreamRecord): WatchRecord {
  const reader = new BodyReader(record, 'WATCH_DATA');
  const { conn_id, path_length, token_length } = reader.structure(XsStateWatch);
  const path = reader.text(path_length, 'wpath');
  const token = reader.text(token_length, 'token');
  reader.finish();
  return { connection: conn_id, path, token, depth: undefined };
}

export function readExtendedWatch(record: StreamRecord): WatchRecord {
  const reader = new BodyReader(record, 'WATCH_DATA_EXTENDED');
  const { conn_id, path_length, token_length, depth } = reader.structure(XsStateWatchExt);
  const path = reader.text(path_length, 'wpath');
  const token = reader.text(token_length, 'token');
  reader.finish();
  return {
    connection: conn_id,
    path,
    token,
    depth: depth === WATCH_DEPTH_UNLIMITED ? undefined : depth,
  };
}

export interface TransactionRecord {
  readonly connection: number;
  readonly id: number;
}

export function readTransaction(record: StreamRecord): TransactionRecord {
  const reader = new BodyReader(record, 'TRANSACTION_DATA');
  const { conn_id, ta_id } = reader.structure(XsStateTransaction);
  reader.finish();
  if (ta_id === 0) refuseStream('TRANSACTION_DATA: tx-id is not 0', record.at, 'it is');
  return { connection: conn_id, id: ta_id };
}

export interface PermissionRecord {
  readonly access: Access;
  /** `XS_STATE_NODE_PERM_…`. */
  readonly flags: number;
  readonly domid: number;
}

export interface NodeRecord {
  /** 0 for a node of the store's; otherwise it is one that a transaction has touched. */
  readonly connection: number;
  readonly transaction: number;
  readonly path: string;
  readonly value: Uint8Array;
  readonly permissions: readonly PermissionRecord[];
}

function readPermission(reader: BodyReader): PermissionRecord {
  const { at } = reader;
  const { access, flags, domid } = reader.structure(XsStateNodePerm);
  const letter = String.fromCharCode(access);
  if (!/^[nrwb]$/.test(letter)) {
    refuseStream('NODE_DATA: perm is one of n r w b', at, `it is ${access}`);
  }
  return { access: letter as Access, flags, domid };
}

export function readNode(record: StreamRecord): NodeRecord {
  const reader = new BodyReader(record, 'NODE_DATA');
  const { conn_id, ta_id, path_len, data_len, perm_n } = reader.structure(XsStateNode);
  const permissions: PermissionRecord[] = [];
  for (let i = 0; i < perm_n; i++) permissions.push(readPermission(reader));
  const path = reader.text(path_len, 'path');
  const value = reader.bytes(data_len, 'value');
  reader.finish();
  return { connection: conn_id, transaction: ta_id, path, value, permissions };
}

export interface QuotaRecord {
  readonly name: string;
  /** 0 for no limit. */
  readonly value: number;
}

function readQuotas(reader: BodyReader, count: number): QuotaRecord[] {
  const bytes = reader.bytes(count * 4, 'quota-val');
  const view = new DataView(bytes.buffer);
  return Array.from({ length: count }, (_, index) => ({
    name: reader.untilNul('quota-names'),
    value: view.getUint32(index * 4, true),
  }));
}

export function readGlobalQuotas(record: StreamRecord): QuotaRecord[] {
  const reader = new BodyReader(record, 'GLOBAL_QUOTA_DATA');
  const { n_dom_quota, n_glob_quota } = reader.structure(XsStateGlbQuota);
  const quotas = readQuotas(reader, n_dom_quota + n_glob_quota);
  reader.finish();
  return quotas;
}

export interface DomainRecord {
  readonly domid: number;
  readonly features: number;
  readonly quotas: readonly QuotaRecord[];
}

export function readDomain(record: StreamRecord): DomainRecord {
  const reader = new BodyReader(record, 'DOMAIN_DATA');
  const { domain_id, n_quota, features } = reader.structure(XsStateDomain);
  const quotas = readQuotas(reader, n_quota);
  reader.finish();
  return { domid: domain_id, features, quotas };
}
