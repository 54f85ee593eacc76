/** A tree of xenstore as text, line for line as xenstore-ls prints it. */
import { errorCode } from '../base/errors.ts';
import { childPath } from '../xenstore/path.ts';
import { formatPermission } from '../xenstore/permissions.ts';
import type { Permission, Xenstore } from '../xenstore/xenstore.ts';
import { escapeValue } from './value-text.ts';

export interface ListingOptions {
  /** Each line has the node's whole path instead of an indented name, and is never cut. */
  readonly fullPaths: boolean;
  readonly permissions: boolean;
  /** Columns of a line; longer values are cut. */
  readonly width: number;
}

/** What stands around a value: ` = "..."`. */
const FRAME = 8;
/** The column where permissions begin, if the value leaves room. */
const PERMISSIONS_COLUMN = 60;
/** Nodes that are asked for at a time. */
const NODES_AT_ONCE = 256;

interface NodeFacts {
  readonly name: string;
  readonly path: string;
  /** Absent where it may not be read. */
  readonly value: string | undefined;
  readonly permissions: readonly Permission[] | undefined;
  readonly children: readonly string[];
}

/** The node, or `undefined` when it went away since its name was listed. */
async function nodeFacts(
  store: Xenstore,
  path: string,
  name: string,
  withPermissions: boolean,
): Promise<NodeFacts | undefined> {
  const orHidden = <Value, Hidden>(value: Promise<Value>, hidden: Hidden) =>
    value.catch((error: unknown) => {
      if (errorCode(error) === 'EACCES') return hidden;
      throw error;
    });
  try {
    const [value, permissions, children] = await Promise.all([
      orHidden(store.read(path), undefined),
      withPermissions ? orHidden(store.getPermissions(path), undefined) : undefined,
      orHidden(store.list(path), []),
    ]);
    return { name, path, value, permissions, children };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function line(node: NodeFacts, depth: number, options: ListingOptions): string {
  const label = options.fullPaths
    ? node.path
    : ' '.repeat(depth) + node.name.slice(0, Math.max(0, options.width - FRAME - depth));
  const permissions =
    node.permissions === undefined ? '' : `  (${node.permissions.map(formatPermission).join(',')})`;
  if (node.value === undefined) return `${label}:${permissions}`;
  const escaped = escapeValue(node.value);
  if (options.fullPaths) {
    return `${label} = "${escaped}"${permissions === '' ? '' : ` ${permissions}`}`;
  }
  if (options.width < label.length + node.value.length + FRAME) {
    const cut = escaped.slice(0, Math.max(0, options.width - FRAME - label.length));
    return `${label} = "${cut}\\..."${permissions}`;
  }
  const text = `${label} = "${escaped}"`;
  return permissions === '' ? text : dotted(text, options.width) + permissions;
}

/** Leads the eye from the value to the permissions. */
function dotted(text: string, width: number): string {
  let led = `${text} `;
  while (led.length < Math.min(PERMISSIONS_COLUMN, width)) led += led.length % 2 === 1 ? '.' : ' ';
  return led;
}

async function writeChildren(
  store: Xenstore,
  parent: string,
  names: readonly string[],
  depth: number,
  options: ListingOptions,
  write: (line: string) => void,
): Promise<void> {
  for (let start = 0; start < names.length; start += NODES_AT_ONCE) {
    const some = names.slice(start, start + NODES_AT_ONCE);
    const nodes = await Promise.all(
      some.map((name) => nodeFacts(store, childPath(parent, name), name, options.permissions)),
    );
    for (const node of nodes) {
      if (node === undefined) continue;
      write(line(node, depth, options));
      await writeChildren(store, node.path, node.children, depth + 1, options, write);
    }
  }
}

/** Writes a line for every node below `path`. Rejects with ENOENT when there is no such node. */
export async function writeListing(
  store: Xenstore,
  path: string,
  options: ListingOptions,
  write: (line: string) => void,
): Promise<void> {
  await writeChildren(store, path, await store.list(path), 0, options, write);
}
