/** The nodes below one top as a plain map, and what a request makes of it. */
import type { Prng } from '../../../src/base/prng.ts';
import type { XenstoreNodes } from '../../../src/xenstore/xenstore.ts';

/** By path; a node's parents are there, too. */
export type Nodes = ReadonlyMap<string, string>;

export type Change =
  | { readonly kind: 'write'; readonly path: string; readonly value: string }
  | { readonly kind: 'mkdir' | 'remove'; readonly path: string };

const parentOf = (path: string) => path.slice(0, path.lastIndexOf('/'));

/** A change somewhere below `top`, at most three levels deep. */
export function randomChange(prng: Prng, top: string): Change {
  let path = top;
  for (let depth = 1 + prng.below(3); depth > 0; depth--) path += `/${'abc'[prng.below(3)]}`;
  const kind = prng.below(10);
  if (kind < 2) return { kind: 'remove', path };
  if (kind < 4) return { kind: 'mkdir', path };
  return { kind: 'write', path, value: 'v'.repeat(prng.below(300)) + prng.uint32() };
}

export function changed(nodes: Nodes, change: Change, top: string): Nodes {
  const { path } = change;
  const next = new Map(nodes);
  if (change.kind === 'remove') {
    for (const other of nodes.keys()) {
      if (other === path || other.startsWith(`${path}/`)) next.delete(other);
    }
    return next;
  }
  for (let at = parentOf(path); at.length >= top.length && !next.has(at); at = parentOf(at)) {
    next.set(at, '');
  }
  if (change.kind === 'write') next.set(path, change.value);
  else if (!next.has(path)) next.set(path, '');
  return next;
}

/** Asks for the change; a removal of what is not there is no error here. */
export async function perform(store: XenstoreNodes, change: Change): Promise<void> {
  if (change.kind === 'write') await store.write(change.path, change.value);
  else if (change.kind === 'mkdir') await store.mkdir(change.path);
  else if ((await store.readIfPresent(change.path)) !== undefined) await store.remove(change.path);
}

/** All that is at and below `top`. */
export async function nodesBelow(store: XenstoreNodes, top: string): Promise<Nodes> {
  const nodes = new Map<string, string>();
  const paths = [top];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const value = await store.readIfPresent(path);
    if (value === undefined) continue;
    nodes.set(path, value);
    for (const name of await store.list(path)) paths.push(`${path}/${name}`);
  }
  return nodes;
}

/** What `found` has and `expected` has not, `+`, and the other way round, `-`; nothing when they are equal. */
export function differences(expected: Nodes, found: Nodes): string[] {
  const line = (path: string, value: string) => `${path} = ${JSON.stringify(value.slice(-40))}`;
  const lines: string[] = [];
  for (const [path, value] of expected) {
    if (found.get(path) !== value) lines.push(`- ${line(path, value)}`);
  }
  for (const [path, value] of found) {
    if (expected.get(path) !== value) lines.push(`+ ${line(path, value)}`);
  }
  return lines;
}
