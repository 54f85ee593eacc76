/** A state as the migration stream that C's xenstored of Xen 4.17 takes up: version 1. */
import { XsdSockmsg } from '../abi/io/xs_wire.ts';
import { DOMID_INVALID } from '../abi/xen.ts';
import {
  XS_STATE_CONN_TYPE_RING,
  XS_STATE_CONN_TYPE_SOCKET,
  XS_STATE_FLAGS,
  XS_STATE_IDENT,
  XS_STATE_NODE_PERM_IGNORE,
  XS_STATE_TYPE_CONN,
  XS_STATE_TYPE_END,
  XS_STATE_TYPE_GLOBAL,
  XS_STATE_TYPE_NODE,
  XS_STATE_TYPE_WATCH,
  XS_STATE_VERSION,
  XsStateConnectionRing,
  XsStateConnectionSocket,
  XsStateGlobal,
  XsStateNode,
  XsStateNodePerm,
  XsStatePreamble,
  XsStateRecordHeader,
  XsStateWatch,
} from '../abi/xenstore_state.ts';
import { latin1Encode } from '../base/bytes.ts';
import { XenError } from '../base/errors.ts';
import { domId } from '../base/ids.ts';
import { encodePacket, encodeStrings, HEADER_SIZE } from '../xenstore/packet.ts';
import { domainHome } from '../xenstore/path.ts';
import { paddedLength } from './migration-stream-records.ts';
import { EVERY_INCARNATION, ownerOf, type Permissions } from './permissions.ts';
import type { ConnectionState, DomainState, OutputState, ServerState } from './state.ts';
import { bytesOf, NO_VALUE, type Value } from './value.ts';

/** What is handed over beside the stream: what this process has open. */
export interface Handed {
  /** The socket that clients connect to. */
  readonly listener: number;
  /** The event-channel device to which the state's local ports belong; absent without Xen. */
  readonly events: number | undefined;
  /** Our ports of it for the rings of domains, by domid. */
  readonly ports: ReadonlyMap<number, number>;
}

const NO_BYTES = new Uint8Array(0);
/** What a domid of the stream can hold. */
const DOMID_MASK = 0xffff;

function refuse(rule: string): never {
  throw new XenError('ENOTSUP', 'hand over to a xenstored of Xen 4.17', rule);
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** One record, padded. */
function recordOf(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concatenated(parts);
  const length = paddedLength(body.length);
  const bytes = new Uint8Array(XsStateRecordHeader.size + length);
  const header = XsStateRecordHeader.view(bytes);
  header.type = type;
  header.length = length;
  bytes.set(body, XsStateRecordHeader.size);
  return bytes;
}

function preamble(): Uint8Array {
  const bytes = new Uint8Array(XsStatePreamble.size);
  const view = XsStatePreamble.view(bytes);
  view.ident = latin1Encode(XS_STATE_IDENT);
  view.version = XS_STATE_VERSION;
  view.flags = XS_STATE_FLAGS;
  return bytes;
}

function globalRecord({ listener, events }: Handed): Uint8Array {
  const bytes = new Uint8Array(XsStateGlobal.size);
  const view = XsStateGlobal.view(bytes);
  view.socket_fd = listener;
  view.evtchn_fd = events ?? -1;
  return recordOf(XS_STATE_TYPE_GLOBAL, bytes);
}

/** A connection that has sent and been sent nothing: that of a ring which could not be had. */
function silentRing({ domid }: DomainState): ConnectionState {
  return {
    carrier: { kind: 'ring', domid, ignored: true, consumed: undefined, produced: undefined },
    input: NO_BYTES,
    output: [],
    watches: [],
    lastTransactionId: 0,
    transactions: [],
  };
}

/** All connections: dom0's first, with which C's xenstored makes the store that the nodes go into. */
function connectionsOf(state: ServerState): ConnectionState[] {
  const rings = new Map<number, ConnectionState>();
  for (const connection of state.connections) {
    const { carrier } = connection;
    if (carrier.kind === 'ring') rings.set(carrier.domid, connection);
  }
  const introduced = state.domains.filter(({ domid, ring }) => domid === 0 || ring !== undefined);
  return [
    ...introduced
      .map((domain) => rings.get(domain.domid) ?? silentRing(domain))
      .sort((a, b) => domidOf(a) - domidOf(b)),
    ...state.connections.filter(({ carrier }) => carrier.kind === 'socket'),
  ];
}

function domidOf({ carrier }: ConnectionState): number {
  return carrier.kind === 'ring' ? carrier.domid : 0;
}

/**
 * C's xenstored answers several whole requests that it takes up in the wrong order, so it gets one
 * packet at most, whole or in part.
 */
function checkInput(input: Uint8Array, name: string): void {
  if (input.length <= HEADER_SIZE) return;
  if (input.length > HEADER_SIZE + XsdSockmsg.view(input).len) {
    refuse(`${name} has sent several requests that are not answered yet`);
  }
}

const unsent = ({ packet, sent }: OutputState) => encodePacket(packet).subarray(sent);

function connectionRecord(
  id: number,
  connection: ConnectionState,
  domains: ReadonlyMap<number, DomainState>,
  ports: ReadonlyMap<number, number>,
): Uint8Array {
  const { carrier, input, output } = connection;
  const [first] = output;
  const isRing = carrier.kind === 'ring';
  if (!isRing && carrier.unsent.length > 0) refuse(`${carrier.name} does not read what it is sent`);
  checkInput(input, isRing ? `domain ${carrier.domid}` : carrier.name);
  const data = concatenated(output.map(unsent));
  const head = new Uint8Array(XsStateConnectionRing.size);
  const view = XsStateConnectionRing.view(head);
  view.conn_id = id;
  view.conn_type = isRing ? XS_STATE_CONN_TYPE_RING : XS_STATE_CONN_TYPE_SOCKET;
  if (isRing) {
    view.domid = carrier.domid;
    view.tdomid = domains.get(carrier.domid)?.target ?? DOMID_INVALID;
    // Without a port it goes on being ignored.
    view.evtchn = carrier.ignored ? 0 : (ports.get(carrier.domid) ?? 0);
  } else {
    XsStateConnectionSocket.view(head).socket_fd = carrier.fd;
  }
  view.data_in_len = input.length;
  view.data_resp_len = first !== undefined && first.sent > 0 ? unsent(first).length : 0;
  view.data_out_len = data.length;
  return recordOf(XS_STATE_TYPE_CONN, head, input, data);
}

function* watchRecords(id: number, connection: ConnectionState): Generator<Uint8Array> {
  const home = domainHome(domId(domidOf(connection)));
  for (const { path, token, depth, relative } of connection.watches) {
    if (depth !== undefined) refuse(`it knows no depth of a watch, as that for ${path} has`);
    const asked = relative ? path.slice(home.length + 1) : path;
    const head = new Uint8Array(XsStateWatch.size);
    const view = XsStateWatch.view(head);
    view.conn_id = id;
    view.path_length = asked.length + 1;
    view.token_length = token.length + 1;
    yield recordOf(XS_STATE_TYPE_WATCH, head, encodeStrings(asked, token));
  }
}

class NodeRecords {
  private readonly domains: ReadonlyMap<number, DomainState>;

  constructor(domains: ReadonlyMap<number, DomainState>) {
    this.domains = domains;
  }

  record(path: string, value: Value, permissions: Permissions): Uint8Array {
    const owner = ownerOf(permissions);
    if (!this.isCurrent(owner)) refuse(`the owner of ${path}, domain ${owner.domid}, is gone`);
    const head = new Uint8Array(XsStateNode.size);
    const view = XsStateNode.view(head);
    view.path_len = path.length + 1;
    view.data_len = value.length;
    view.perm_n = permissions.length;
    const parts = [this.permissionList(path, permissions), encodeStrings(path), bytesOf(value)];
    return recordOf(XS_STATE_TYPE_NODE, head, ...parts);
  }

  private permissionList(path: string, permissions: Permissions): Uint8Array {
    const bytes = new Uint8Array(permissions.length * XsStateNodePerm.size);
    permissions.forEach((entry, index) => {
      if (entry.incarnation === EVERY_INCARNATION) {
        refuse(`it knows no permission for every domain, as ${path} has`);
      }
      const view = XsStateNodePerm.view(bytes, index * XsStateNodePerm.size);
      view.access = entry.access.charCodeAt(0);
      view.flags = this.isCurrent(entry) ? 0 : XS_STATE_NODE_PERM_IGNORE;
      // A client may have named any number; those that do not fit here are no domain's.
      view.domid = entry.domid & DOMID_MASK;
    });
    return bytes;
  }

  private isCurrent({ domid, incarnation }: Permissions[number]): boolean {
    return this.domains.get(domid)?.incarnation === incarnation;
  }
}

/**
 * The state as a stream. What version 1 has no place for is left out: open transactions, quotas,
 * and features, none of which Xen 4.17 takes up. Throws `XenError` ENOTSUP when something would
 * behave differently there.
 */
export function encodeMigrationStream(state: ServerState, handed: Handed): Uint8Array {
  const domains = new Map(state.domains.map((domain) => [domain.domid, domain]));
  const parts = [preamble(), globalRecord(handed)];
  connectionsOf(state).forEach((connection, index) => {
    const id = index + 1;
    parts.push(
      connectionRecord(id, connection, domains, handed.ports),
      ...watchRecords(id, connection),
    );
  });
  const nodes = new NodeRecords(domains);
  for (const [name, permissions] of state.specialPermissions) {
    parts.push(nodes.record(name, NO_VALUE, permissions));
  }
  for (const { path, value, permissions } of state.nodes) {
    parts.push(nodes.record(path, value, permissions));
  }
  parts.push(recordOf(XS_STATE_TYPE_END));
  return concatenated(parts);
}
