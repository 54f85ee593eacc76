/**
 * All that a xenstored must not forget, as plain values: what its journal recovers, what a live
 * update hands over, and what a migration stream holds. `Xenstored.capture` makes it, and
 * `startXenstored` takes it up.
 */
import type { Packet } from '../xenstore/packet.ts';
import type { PermissionEntry, Permissions } from './permissions.ts';
import type { Quotas } from './quota.ts';
import type { RecordedRequest } from './reply.ts';
import type { Value } from './value.ts';

export interface ServerState {
  /** The largest generation that a node has ever had. */
  readonly generation: number;
  /** The largest incarnation that a domain has ever had. */
  readonly lastIncarnation: number;
  readonly quotas: Readonly<Quotas>;
  /** By name: `@introduceDomain`, `@releaseDomain`. */
  readonly specialPermissions: ReadonlyMap<string, Permissions>;
  readonly domains: readonly DomainState[];
  /** The root first, and every other node after its parent. */
  readonly nodes: Iterable<NodeState>;
  readonly connections: readonly ConnectionState[];
}

export interface DomainState {
  readonly domid: number;
  readonly incarnation: number;
  /** `XENSTORE_SERVER_FEATURE_…`. */
  readonly features: number;
  /** The limits that were set for this domain alone. */
  readonly ownQuotas: Readonly<Partial<Quotas>>;
  /** It was told that this domain has shut down. */
  readonly shutdown: boolean;
  /** The domid of the domain whose rights it has besides its own. */
  readonly target: number | undefined;
  /** Present once it is introduced. */
  readonly ring: RingState | undefined;
}

export interface RingState {
  /** The domain's port; absent for our own kernel's ring, which the composition attaches. */
  readonly remotePort: number | undefined;
}

/** A node in its place in the tree; its children are those that come with their own states. */
export interface NodeState {
  readonly path: string;
  readonly value: Value;
  readonly permissions: Permissions;
  readonly generation: number;
  /** The generation that it was created with, which orders siblings. */
  readonly birth: number;
}

/** The name of a node below another, and its birth. */
export interface ChildState {
  readonly name: string;
  readonly birth: number;
}

/** A node by itself, as only a transaction sees it. */
export interface WholeNodeState extends Omit<NodeState, 'path'> {
  /** Oldest first. */
  readonly children: readonly ChildState[];
}

export interface RingCarrierState {
  readonly kind: 'ring';
  readonly domid: number;
  /**
   * The ring's `req_cons` when all up to there had been taken, whatever the page says since; absent
   * where the page itself tells.
   */
  readonly consumed: number | undefined;
  /**
   * The ring's `rsp_prod` when so much had been sent as the output says, since the page may be
   * ahead; absent where it is not.
   */
  readonly produced: number | undefined;
  /** It broke a rule and is not listened to any more. */
  readonly ignored: boolean;
}

export interface SocketCarrierState {
  readonly kind: 'socket';
  readonly fd: number;
  readonly name: string;
  /** Bytes that the client has been sent and its kernel has not taken; they come before the output. */
  readonly unsent: Uint8Array;
}

export interface ConnectionState {
  readonly carrier: RingCarrierState | SocketCarrierState;
  /** Bytes that were taken from the carrier and not answered. */
  readonly input: Uint8Array;
  /** What the client has not been given, in order. */
  readonly output: readonly OutputState[];
  readonly watches: readonly WatchState[];
  readonly lastTransactionId: number;
  readonly transactions: readonly TransactionState[];
}

/** A reply, or where its type is `XS_WATCH_EVENT`, an event. */
export interface OutputState {
  readonly packet: Packet;
  /** Bytes of it that the carrier has; not 0 only for the first. */
  readonly sent: number;
  /** The request that is outstanding until this has been taken. */
  readonly charge: ChargeState | undefined;
}

export interface ChargeState {
  /** The same for all that belongs to one request. */
  readonly id: number;
  /** Of the domain that sent the request. */
  readonly domid: number;
}

export interface WatchState {
  /** Absolute, or one that begins with `@`. */
  readonly path: string;
  readonly token: string;
  readonly depth: number | undefined;
  /** Its events tell paths from the home of its domain on. */
  readonly relative: boolean;
  /** Of all connections' watches the one with the smaller number was set earlier. */
  readonly number: number;
}

/** Whom to tell of a change when its transaction ends; see `Store.fire`. */
export type EventKind = 'exact' | 'covering';

export interface TransactionState {
  readonly id: number;
  /**
   * The tree that it reads, where that differs from the present one: a node, or none. Absent before
   * it has read, and when the tree had to be let go of.
   */
  readonly snapshot: readonly NodeDifference[] | undefined;
  /** In order of the first touch. */
  readonly accesses: readonly AccessState[];
  /** How many nodes more or fewer somebody owns because of it. */
  readonly growth: readonly { readonly owner: PermissionEntry; readonly nodes: number }[];
  /** Absent when they were too many to keep. */
  readonly requests: readonly RecordedRequest[] | undefined;
  /** A node that it has touched was changed by somebody else. */
  readonly outdated: boolean;
  /** What it was told was not all true together: it can only end with EAGAIN or be run again. */
  readonly torn: boolean;
  readonly createdNodes: boolean;
  readonly wrote: boolean;
  readonly failed: boolean;
  /** Bytes that it costs its domain. */
  readonly memory: number;
  /**
   * Nobody knows any more what it was told: it ends with EAGAIN, whatever is asked until then.
   */
  readonly doomed: boolean;
  /** Requests that have changed something, to be run again so that a doomed one sees its own changes. */
  readonly again?: readonly Packet[];
}

export interface NodeDifference {
  readonly path: string;
  readonly node: WholeNodeState | undefined;
}

export interface AccessState {
  readonly path: string;
  readonly changed: boolean;
  /** As it is within the transaction, where that has changed it; otherwise as its snapshot has it. */
  readonly node: WholeNodeState | undefined;
  readonly event: EventKind | undefined;
}
