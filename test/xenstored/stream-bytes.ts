/** Migration streams put together byte by byte, as another program might write them. */
import { DOMID_INVALID } from '../../src/abi/xen.ts';
import {
  XS_STATE_CONN_TYPE_RING,
  XS_STATE_TYPE_CONN,
  XS_STATE_TYPE_END,
  XS_STATE_TYPE_NODE,
  XS_STATE_TYPE_WATCH,
} from '../../src/abi/xenstore_state.ts';
import { latin1Encode } from '../../src/base/bytes.ts';
import { encodePacket } from '../../src/xenstore/packet.ts';
import {
  type DecodeOptions,
  decodeMigrationStream,
} from '../../src/xenstored/migration-stream-decode.ts';
import { DEFAULT_QUOTAS } from '../../src/xenstored/quota.ts';
import type { OutputState, ServerState } from '../../src/xenstored/state.ts';
import { bytesOf } from '../../src/xenstored/value.ts';

const options: DecodeOptions = {
  quotas: DEFAULT_QUOTAS,
  masterDomid: 0,
  remotePort: (port) => port + 1000,
};
/** The port of each domain is its domid. */
const ports = new Map([0, 1, 2, 3, 4, 5].map((domid) => [domid, domid || 99]));
export const handed = { listener: 5, events: 6, ports };

export const word = (value: number) => [value & 0xff, value >> 8];
export const long = (value: number) => [...word(value & 0xffff), ...word(value >>> 16)];
export const text = (value: string) => [...latin1Encode(`${value}\0`)];
const HEADER = [...latin1Encode('xenstore'), 0, 0, 0, 1, 0, 0, 0, 0];
export const END = [...long(XS_STATE_TYPE_END), ...long(0)];

/** A record as another program might write it. */
export function record(type: number, ...body: readonly number[][]): number[] {
  const bytes = body.flat();
  const padding = new Array<number>(-bytes.length & 7).fill(0);
  return [...long(type), ...long(bytes.length), ...bytes, ...padding];
}

export const stream = (...parts: readonly number[][]) =>
  Uint8Array.from([...HEADER, ...parts.flat()]);
export const streamV2 = (...parts: readonly number[][]) => {
  const bytes = stream(...parts);
  bytes[11] = 2;
  return bytes;
};

export const nodeBody = (
  path: string,
  value = '',
  permissions = [...latin1Encode('n'), 0, 0, 0],
) => [
  ...long(0),
  ...long(0),
  ...word(path.length + 1),
  ...word(value.length),
  ...word(0),
  ...word(permissions.length / 4),
  ...permissions,
  ...text(path),
  ...latin1Encode(value),
];
export const node = (...about: Parameters<typeof nodeBody>) =>
  record(XS_STATE_TYPE_NODE, nodeBody(...about));
export const ROOT = node('/');

interface RingHead {
  readonly domid?: number;
  readonly target?: number;
  readonly port?: number;
  readonly fields?: number;
  readonly input?: readonly number[];
  readonly partial?: readonly number[];
  readonly output?: readonly number[];
}

export function ringBody(id: number, head: RingHead = {}): number[] {
  const { domid = id, target = DOMID_INVALID, port = 7, fields = 0 } = head;
  const { input = [], partial = [], output = [] } = head;
  return [
    ...long(id),
    ...word(XS_STATE_CONN_TYPE_RING),
    ...word(fields),
    ...word(domid),
    ...word(target),
    ...long(port),
    ...word(input.length),
    ...word(partial.length),
    ...long(partial.length + output.length),
    ...input,
    ...partial,
    ...output,
  ];
}
export const ring = (id: number, head?: RingHead) => record(XS_STATE_TYPE_CONN, ringBody(id, head));

export const watch = (id: number, path: string, token: string) =>
  record(XS_STATE_TYPE_WATCH, [
    ...long(id),
    ...word(path.length + 1),
    ...word(token.length + 1),
    ...text(path),
    ...text(token),
  ]);

export const decode = (bytes: Uint8Array) => decodeMigrationStream(bytes, options);

/** With a length that counts the padding, as C's xenstored and ours write it. */
export function padded(bytes: number[]): number[] {
  return [...bytes.slice(0, 4), ...long(bytes.length - 8), ...bytes.slice(8)];
}

/** The state as values that can be compared whatever the encoding of a node's value. */
export function comparable(state: ServerState) {
  return {
    ...state,
    specialPermissions: [...state.specialPermissions],
    nodes: [...state.nodes].map((each) => ({ ...each, value: bytesOf(each.value) })),
    connections: state.connections.map((each) => ({ ...each, output: sentBytes(each.output) })),
  };
}

/** What a client will be sent: the header of a packet that it has in part is nobody's business. */
export const sentBytes = (output: readonly OutputState[]) =>
  output.map(({ packet, sent }) => encodePacket(packet).subarray(sent));
