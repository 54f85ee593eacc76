/**
 * What a domain may ask of Xen. Three bindings implement it: `linux` over /dev/xen, `sim` in pure
 * TypeScript, and later `unikernel`. test/hypervisor/conformance.ts is its executable form.
 *
 * Rules that hold for every call:
 * - A refusal throws `XenError` with the operation and an errno code; nothing is left half done.
 * - A wrong argument (a number out of range, a closed handle) throws `TypeError` or `RangeError`.
 * - Every handle has an idempotent `close()`. What is not closed by hand ends with the domain.
 * - Handlers run from the event loop, one at a time, never from within a call of this contract.
 */
import type { DomId, EventPort, GrantRef } from '../base/ids.ts';

/** Bytes in a page of memory and in a grant. */
export const PAGE_SIZE = 4096;

/** Whole pages that more than one domain can see. */
export interface Pages {
  /** How many. */
  readonly count: number;
  /**
   * All pages as one run of bytes. After `close()` this throws, and views taken before are detached
   * where the binding can do that (`supports.detach`).
   */
  readonly bytes: Uint8Array;
  /** Page `index` as `PAGE_SIZE` bytes. Works also where the simulator can't give the pages as one run. */
  page(index: number): Uint8Array;
  /** The caller must have finished all I/O into the pages; an operating-system call still under way would fail with EFAULT or worse. */
  close(): void;
  readonly closed: boolean;
}

/** Our own pages, granted to a peer. */
export interface SharedPages extends Pages {
  /** One grant reference a page, in order. */
  readonly refs: readonly GrantRef[];
  /**
   * Revokes the grants. Where the peer still maps a page, that page's grant ends when the peer lets
   * go, and the page is not used for anything else before (XSA-396).
   */
  close(): void;
}

/** What the peer sees when a handle of ours ends, by `close()` or because we died. */
export interface EndNotice {
  /** This byte of the pages is set to zero. */
  readonly byteOffset?: number;
  /** This event channel of ours is signalled. */
  readonly channel?: EventChannel;
}

/**
 * Adds a copy of `length` bytes, of `local` from byte `at` on: all of it unless given. Returns the copy's
 * index in the batch. Parts of one array, one after the other, cost the least.
 */
export type AddCopy = (
  peer: DomId,
  ref: GrantRef,
  offset: number,
  local: Uint8Array,
  at?: number,
  length?: number,
) => number;

/** Adds a copy of `length` bytes from one peer's page to another's to a batch; returns its index there. */
export type AddCopyBetween = (
  source: DomId,
  sourceRef: GrantRef,
  sourceOffset: number,
  target: DomId,
  targetRef: GrantRef,
  targetOffset: number,
  length: number,
) => number;

/**
 * One batch of `GNTTABOP_copy`. Made once, filled and run again and again; nothing is allocated per
 * copy. A peer's side of a copy lies within one page of the peer's; our side may be any bytes.
 */
export interface CopyBatch {
  /** How many copies are in the batch now. */
  readonly length: number;
  /** How many fit. Adding one more throws RangeError. */
  readonly capacity: number;
  /** Adds: those bytes of `local` filled from the peer's page at `offset`. */
  readonly fromPeer: AddCopy;
  /** Adds: the peer's page at `offset` filled from those bytes of `local`. */
  readonly toPeer: AddCopy;
  /** Adds: the target peer's page filled from the source peer's, of which we see nothing. */
  readonly between: AddCopyBetween;
  /** Does the copies in order and empties the batch. Copies that Xen refuses do not stop the others. Returns how many were refused. */
  run(): number;
  /** Of the batch last run: 0, or the negative GNTST_ code of copy `index`. */
  status(index: number): number;
}

export interface GrantTable {
  /**
   * Allocates `count` zeroed pages of ours and grants them to `peer`. Throws ENOSPC when the grant
   * table or the binding's limit is full.
   */
  share(peer: DomId, count: number, access: 'read' | 'read-write', notice?: EndNotice): SharedPages;
  /**
   * Maps pages that `peer` granted to us, for reading and writing: all of them or none. Throws
   * EINVAL or EPERM when one cannot be mapped, and then keeps none.
   *
   * There is no read-only map: a mistaken store into one would end the process, with no exception
   * to catch. Pages granted for reading only are read by `copy`.
   */
  map(peer: DomId, refs: readonly GrantRef[], notice?: EndNotice): Pages;
  /** A batch for `capacity` copies. */
  copyBatch(capacity: number): CopyBatch;
  /**
   * Zeroed memory for our side of copies, which is let go when nobody uses it any more. Where Xen
   * copies page by page it begins at a page: whoever fits its copies into pages of it has each done
   * at once instead of in two parts.
   */
  copyMemory(bytes: number): Uint8Array;
}

/** One end of an event channel, or a virtual interrupt. */
export interface EventChannel {
  readonly port: EventPort;
  /** Signals the other end. Signals merge: the peer sees at least one event after the last of them. Harmless when the peer is gone. */
  notify(): void;
  /**
   * The one function to call when the channel was signalled. Signals that came before it was set
   * are not lost. While it runs the channel is masked; further signals make it run again after.
   */
  onEvent(handler: () => void): void;
  /** Leaves the channel masked until `resume()`: how a peer that storms is made to wait. One signal is remembered. */
  pause(): void;
  resume(): void;
  close(): void;
  readonly closed: boolean;
}

export interface EventChannels {
  /** A new port that `peer` may bind. */
  allocateUnbound(peer: DomId): EventChannel;
  /**
   * Binds `remotePort` of `peer`, which must be unbound and meant for us, or whose other end was
   * ours and has closed. Throws EINVAL otherwise. The port starts pending, as in Xen, so a signal
   * sent before the bind is not lost.
   */
  bindInterdomain(peer: DomId, remotePort: EventPort): EventChannel;
  /** A virtual interrupt, `VIRQ_…` of xen.h. Throws EEXIST when this domain has it bound already, EPERM without privilege. */
  bindVirq(virq: number): EventChannel;
}

/** Why a domain stopped, `SHUTDOWN_…` of sched.h. */
export interface DomainInfo {
  readonly domid: DomId;
  /** Being torn down; its memory may still be mapped by somebody. */
  readonly dying: boolean;
  /** Has shut down or crashed. */
  readonly shutdown: boolean;
  /** `SHUTDOWN_poweroff` 0, reboot 1, suspend 2, crash 3; meaningful when `shutdown`. */
  readonly shutdownReason: number;
  /** Has hardware virtualisation: an HVM or PVH guest, not a PV one. */
  readonly hvm: boolean;
}

/** The privileged calls. Only compositions that need it receive it. */
export interface DomainControl {
  /** The domain, or `undefined` when there is none with that number. */
  info(domid: DomId): DomainInfo | undefined;
  /** Every domain that exists now, in order of domid. */
  list(): DomainInfo[];
  /** Maps frames of a domain by their guest frame numbers, granted or not: all or none. */
  mapForeign(domid: DomId, gfns: readonly number[]): Pages;
  /** Takes new text from the hypervisor's own console ring (`XEN_SYSCTL_readconsole`); `undefined` when there is none. */
  readConsole(): Uint8Array | undefined;
}

/** What a binding can do beyond the least; the conformance suite skips by it, with the reason. */
export interface Supports {
  /** Views of pages are detached when the pages are closed. */
  readonly detach: boolean;
  /** `Pages.bytes` works whatever order the pages were granted in. */
  readonly contiguousMaps: boolean;
  /** Mapping and binding to oneself is possible. */
  readonly loopback: boolean;
}

/** One domain's view of the hypervisor. */
export interface Hypervisor {
  /** Our own domid. */
  readonly domid: DomId;
  readonly grants: GrantTable;
  readonly events: EventChannels;
  readonly supports: Supports;
  /** Lets go of everything that is still open. Idempotent. */
  close(): void;
}
