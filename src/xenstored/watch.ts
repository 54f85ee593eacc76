/** Watches, found by the path that they are for. */
import { parentPath } from '../xenstore/path.ts';
import type { Charge } from './charge.ts';
import type { Caller } from './permissions.ts';

/** Who set a watch. */
export interface Watcher {
  readonly caller: Caller;
  /** Queues an event; `charge` is that of the request which caused it. */
  deliver(path: string, token: string, charge: Charge | undefined): void;
}

export interface Watch {
  readonly watcher: Watcher;
  /** Absolute, or one that begins with `@`. */
  readonly path: string;
  readonly token: string;
  /** How many levels below the path still count; absent for all. */
  readonly depth: number | undefined;
  /** The home that was put before a relative path, to be taken off again; empty for an absolute one. */
  readonly home: string;
}

/** The path as the watch's owner knows it: relative when the watch is. */
export function pathSeenBy(watch: Watch, path: string): string {
  return watch.home === '' ? path : path.slice(watch.home.length + 1);
}

export class WatchIndex {
  /** The number of each watch tells which is the older, since a client hears of one change in that order. */
  private readonly byPath = new Map<string, Map<Watch, number>>();
  private lastNumber = 0;
  private watchCount = 0;

  /** How many watches. */
  get count(): number {
    return this.watchCount;
  }

  *[Symbol.iterator](): Iterator<Watch> {
    for (const watches of this.byPath.values()) yield* watches.keys();
  }

  add(watch: Watch): void {
    this.watchCount++;
    this.watchesFor(watch.path).set(watch, ++this.lastNumber);
  }

  /** Adds a watch that was set before others that may be here already. */
  addAgain(watch: Watch, number: number): void {
    this.watchCount++;
    this.lastNumber = Math.max(this.lastNumber, number);
    const watches = this.watchesFor(watch.path).set(watch, number);
    this.byPath.set(watch.path, new Map([...watches].sort(([, a], [, b]) => a - b)));
  }

  /** Of two watches the one with the smaller number is the older. */
  numberOf(watch: Watch): number {
    return this.byPath.get(watch.path)?.get(watch) ?? 0;
  }

  remove(watch: Watch): void {
    const watches = this.byPath.get(watch.path);
    if (watches?.delete(watch)) this.watchCount--;
    if (watches?.size === 0) this.byPath.delete(watch.path);
  }

  /** The watches for exactly this path, oldest first. */
  at(path: string): Watch[] {
    return [...(this.byPath.get(path)?.keys() ?? [])];
  }

  /** The watches for this path and for those above it that reach so deep, oldest first. */
  covering(path: string): Watch[] {
    if (this.byPath.size === 0) return [];
    const found: [Watch, number][] = [];
    for (let at = path, levels = 0; ; at = parentPath(at), levels++) {
      for (const entry of this.byPath.get(at) ?? []) {
        const [{ depth }] = entry;
        if (depth === undefined || levels <= depth) found.push(entry);
      }
      if (at === '/') break;
    }
    return found.sort(([, a], [, b]) => a - b).map(([watch]) => watch);
  }

  private watchesFor(path: string): Map<Watch, number> {
    let watches = this.byPath.get(path);
    if (watches === undefined) {
      watches = new Map();
      this.byPath.set(path, watches);
    }
    return watches;
  }
}
