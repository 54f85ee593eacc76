/** The thing that xenstored turns its host into: a tree of small values with watches. */
import type { DomId } from '../base/ids.ts';

/** What one entry of a permission list allows; the letters of the wire format. */
export type Access = 'n' | 'r' | 'w' | 'b';

/** One permission entry. The first of a list names the owner and what everybody else may do. */
export interface Permission {
  readonly domid: DomId;
  readonly access: Access;
}

/**
 * Operations on nodes. Paths are absolute, or relative to the caller's own home. Values are byte
 * strings: one character (0 to 255) a byte. A refusal rejects with `XenError` and xenstored's code.
 */
export interface XenstoreNodes {
  /** The node's value. Rejects with ENOENT when there is none. */
  read(path: string): Promise<string>;
  /** The node's value, or `undefined` when there is no such node. */
  readIfPresent(path: string): Promise<string | undefined>;
  /** Names of the node's children, however many there are. */
  list(path: string): Promise<string[]>;
  write(path: string, value: string): Promise<void>;
  /** Creates an empty node where there is none. */
  mkdir(path: string): Promise<void>;
  /** Removes the node and all below it. */
  remove(path: string): Promise<void>;
  getPermissions(path: string): Promise<Permission[]>;
  setPermissions(path: string, permissions: readonly Permission[]): Promise<void>;
}

/** A watch that is set. */
export interface XenstoreWatch {
  readonly path: string;
  /** Idempotent; after it resolves the handler is not called again. */
  close(): Promise<void>;
}

/** A connection to xenstored, whatever carries it. */
export interface Xenstore extends XenstoreNodes {
  /**
   * Runs `body` in a transaction and commits it, again from the start when xenstored answers EAGAIN.
   * When `body` throws, the transaction is aborted and the error passed on.
   */
  transaction<Result>(body: (nodes: XenstoreNodes) => Promise<Result>): Promise<Result>;
  /**
   * Calls `handler` with the path of every change at or below `path`, and once at once.
   * Paths come back relative when `path` was.
   */
  watch(path: string, handler: (changedPath: string) => void): Promise<XenstoreWatch>;
  /** The home of a domain: `/local/domain/<domid>`. */
  domainPath(domid: DomId): Promise<string>;
  isDomainIntroduced(domid: DomId): Promise<boolean>;
  /** Tells xenstored of a domain's ring. Privileged. */
  introduce(domid: DomId, gfn: number, port: number): Promise<void>;
  /** Ends a domain's ring. Privileged. */
  release(domid: DomId): Promise<void>;
  /** Lends `target`'s rights to `domid`. Privileged. */
  setTarget(domid: DomId, target: DomId): Promise<void>;
  /** A control command, `help` among them; resolves with what it printed. Privileged. */
  control(command: string, ...args: string[]): Promise<string>;
  /** Ends the connection; its watches and open transactions end with it. */
  close(): void;
}
