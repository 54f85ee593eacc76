/** The requests about nodes. Each takes a request and returns the payload of its reply. */
import {
  XENSTORE_SERVER_FEATURE_DOMID_ANY,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_PERMS,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_SET_PERMS,
  XS_WRITE,
} from '../abi/io/xs_wire.ts';
import { DOMID_ANY } from '../abi/xen.ts';
import { XenError } from '../base/errors.ts';
import { decodeStrings, encodeStrings, OK_PAYLOAD, PAYLOAD_MAX } from '../xenstore/packet.ts';
import { isSpecialPath } from '../xenstore/path.ts';
import {
  EVERY_INCARNATION,
  formatEntry,
  MAY_OWN,
  MAY_READ,
  MAY_WRITE,
  NO_INCARNATION,
  ownerOf,
  type Permissions,
  parseEntry,
  rightsOf,
} from './permissions.ts';
import { leadingInteger, type Request } from './request.ts';
import type { Node } from './tree.ts';
import { bytesOf, valueFrom } from './value.ts';

function readableNode(request: Request, path: string): Node {
  const nodes = request.nodes();
  return nodes.get(nodes.resolve(path), MAY_READ);
}

function directory(request: Request): Uint8Array {
  const { children } = readableNode(request, request.onlyString());
  if (children.byteLength > PAYLOAD_MAX) {
    throw new XenError('E2BIG', 'list a directory', `a reply has at most ${PAYLOAD_MAX} bytes`);
  }
  return children.bytesFrom(0, PAYLOAD_MAX);
}

/** The part of a long list of children that begins at a byte offset. */
function directoryPart(request: Request): Uint8Array {
  const { strings } = decodeStrings(request.payload);
  const [path, offsetText] = strings;
  if (strings.length !== 2 || path === undefined || offsetText === undefined) {
    throw new XenError('EINVAL', 'list a part of a directory', 'it takes a path and an offset');
  }
  const node = readableNode(request, path);
  const generation = encodeStrings(String(node.generation));
  const offset = leadingInteger(offsetText) >>> 0;
  // Whole names, and room for the empty string that ends the last part.
  const names = node.children.bytesFrom(offset, PAYLOAD_MAX - generation.length - 1);
  const last = offset + names.length >= node.children.byteLength ? 1 : 0;
  const reply = new Uint8Array(generation.length + names.length + last);
  reply.set(generation);
  reply.set(names, generation.length);
  return reply;
}

function read(request: Request): Uint8Array {
  return bytesOf(readableNode(request, request.onlyString()).value);
}

function write(request: Request): Uint8Array {
  const { strings, end } = decodeStrings(request.payload, 1);
  const [path] = strings;
  if (path === undefined) throw new XenError('EINVAL', 'write', 'a path ends with NUL');
  const nodes = request.nodes();
  nodes.write(nodes.resolve(path), valueFrom(request.payload, end));
  return OK_PAYLOAD;
}

function mkdir(request: Request): Uint8Array {
  const nodes = request.nodes();
  nodes.mkdir(nodes.resolve(request.onlyString()));
  return OK_PAYLOAD;
}

function remove(request: Request): Uint8Array {
  const nodes = request.nodes();
  nodes.remove(nodes.resolve(request.onlyString()));
  return OK_PAYLOAD;
}

function getPermissions(request: Request): Uint8Array {
  const { permissions } = readableNode(request, request.onlyString());
  return encodeStrings(...permissions.map(formatEntry));
}

function setPermissions(request: Request): Uint8Array {
  const [path, ...entries] = request.strings(2) as [string, ...string[]];
  const { account } = request.connection.domain;
  if (entries.length > account.limit('permissions')) {
    throw account.denied('ENOSPC', 'permissions', 'so many permission entries');
  }
  account.peaks.note('permissions', entries.length);
  const parsed = entries.map(parseEntry);
  const permissions: Permissions = parsed.map(({ access, domid }) => ({
    access,
    domid,
    incarnation: incarnationMeant(request, domid),
  }));
  const { incarnation } = ownerOf(permissions);
  if (incarnation === NO_INCARNATION || incarnation === EVERY_INCARNATION) {
    throw new XenError('ENOENT', `set permissions of ${path}`, 'the owner is no domain');
  }
  if (isSpecialPath(path)) {
    setSpecialPermissions(request, path, permissions);
  } else {
    const nodes = request.nodes();
    nodes.setPermissions(nodes.resolve(path), permissions);
  }
  return OK_PAYLOAD;
}

/** Of an entry for a domain that is not there none: it stays without effect, whoever gets the domid later. */
function incarnationMeant({ connection, store }: Request, domid: number): number {
  const takesAny = (connection.features & XENSTORE_SERVER_FEATURE_DOMID_ANY) !== 0;
  if (domid === DOMID_ANY && takesAny) return EVERY_INCARNATION;
  return store.domains.known(domid)?.incarnation ?? NO_INCARNATION;
}

/** Says who may watch `@introduceDomain` or `@releaseDomain`. */
function setSpecialPermissions(request: Request, path: string, permissions: Permissions): void {
  const { specialPermissions } = request.store;
  const current = specialPermissions.get(path);
  if (current === undefined) {
    throw new XenError('EINVAL', `set permissions of ${path}`, 'there is nothing of that name');
  }
  const need = MAY_WRITE | MAY_OWN;
  if ((rightsOf(request.connection, current) & need) !== need) {
    throw new XenError('EACCES', `set permissions of ${path}`);
  }
  specialPermissions.set(path, permissions);
  request.store.settingsChanged();
}

/** By type of request. Throw `XenError` with the code to be answered. */
export const NODE_OPERATIONS: ReadonlyMap<number, (request: Request) => Uint8Array> = new Map([
  [XS_DIRECTORY, directory],
  [XS_DIRECTORY_PART, directoryPart],
  [XS_READ, read],
  [XS_WRITE, write],
  [XS_MKDIR, mkdir],
  [XS_RM, remove],
  [XS_GET_PERMS, getPermissions],
  [XS_SET_PERMS, setPermissions],
]);
