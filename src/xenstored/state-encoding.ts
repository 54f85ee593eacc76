/**
 * The state of a xenstored as bytes, for another version of this program: open transactions, charges
 * and all. It is lines of JSON, a character for each byte, so that a later version may add to it:
 * what this is, then all but the nodes, then one line for each node, then how many there were.
 *
 * It is not for the disk: it names descriptors, and lives as long as it takes one process to become
 * another.
 */
import { latin1Decode, latin1Encode, latin1Write } from '../base/bytes.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import { PermissionLists, type Permissions } from './permissions.ts';
import type { NodeState, ServerState } from './state.ts';
import type { Value } from './value.ts';

const FORMAT = 'paravane xenstored state';
/** Another number whenever something means something else than before. */
const VERSION = 1;
/** What the bytes begin with. */
const BEGINNING = `{"format":"${FORMAT}",`;

/** What is handed over beside the state. */
export interface EncodedState {
  readonly state: ServerState;
  /** Descriptor of the socket that clients connect to. */
  readonly listener: number;
}

interface Head {
  readonly format: string;
  readonly version: number;
  readonly listener: number;
}

type NodeLine = readonly [
  path: string,
  value: Value,
  permissions: Permissions,
  generation: number,
  birth: number,
];

// What JSON has no word for stands as an object with one field of these names.
const BYTES = '$bytes';
const MAP = '$map';

/** Called with the object that has the value, since some arrays of bytes become something else on the way here. */
function toJson(this: Record<string, unknown>, key: string, changed: unknown): unknown {
  const value = this[key];
  if (value instanceof Uint8Array) return { [BYTES]: latin1Decode(value) };
  if (value instanceof Map) return { [MAP]: [...value] };
  return changed;
}

function fromJson(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (BYTES in value) return latin1Encode(value[BYTES] as string);
  if (MAP in value) return new Map(value[MAP] as [unknown, unknown][]);
  return value;
}

function refuse(detail: string): never {
  throw new XenError('EINVAL', 'read the state of a xenstored', detail);
}

/** Whether bytes begin as those of `encodeState` do. */
export function isEncodedState(bytes: Uint8Array): boolean {
  return latin1Decode(bytes, 0, Math.min(bytes.length, BEGINNING.length)) === BEGINNING;
}

export function encodeState({ state, listener }: EncodedState): Uint8Array {
  const { nodes, ...rest } = state;
  const head: Head = { format: FORMAT, version: VERSION, listener };
  const lines = [JSON.stringify(head), JSON.stringify(rest, toJson)];
  let count = 0;
  for (const { path, value, permissions, generation, birth } of nodes) {
    const line: NodeLine = [path, value, permissions, generation, birth];
    lines.push(JSON.stringify(line, toJson));
    count++;
  }
  lines.push(JSON.stringify({ nodes: count }), '');
  return joinLines(lines);
}

/** Each line with an end of line after it, but the last: a single string could become too long. */
function joinLines(lines: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(lines.reduce((sum, line) => sum + line.length + 1, -1));
  let at = 0;
  lines.forEach((line, index) => {
    at = latin1Write(line, bytes, at);
    if (index < lines.length - 1) bytes[at++] = LINE_END;
  });
  return bytes;
}

const LINE_END = '\n'.charCodeAt(0);

function* linesOf(bytes: Uint8Array): Generator<string> {
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(LINE_END, at);
    if (end < 0) refuse('it ends within a line');
    yield latin1Decode(bytes, at, end);
    at = end + 1;
  }
}

/** Throws `XenError` EINVAL when the bytes are of another version, not whole or not what they should be. */
export function decodeState(bytes: Uint8Array): EncodedState {
  if (!isEncodedState(bytes)) refuse(`it does not begin with ${BEGINNING}`);
  let number = 0;
  const parsed: unknown[] = [];
  for (const line of linesOf(bytes)) {
    number++;
    try {
      parsed.push(JSON.parse(line, fromJson));
    } catch (error) {
      refuse(`line ${number} is no JSON: ${errorMessage(error)}`);
    }
    if (number === 1) checkVersion(parsed[0] as Head);
  }
  const [head, rest, ...others] = parsed as [Head, Omit<ServerState, 'nodes'>, ...unknown[]];
  const end = others.pop() as { readonly nodes?: number } | undefined;
  if (end?.nodes !== others.length) refuse('it does not end with the number of its nodes');
  const lists = new PermissionLists();
  const nodes = (others as NodeLine[]).map(
    ([path, value, permissions, generation, birth]): NodeState => {
      return { path, value, permissions: lists.shared(permissions), generation, birth };
    },
  );
  return { listener: head.listener, state: { ...rest, nodes } };
}

function checkVersion({ version }: Head): void {
  if (version !== VERSION) refuse(`this program reads version ${VERSION}, not ${version}`);
}
