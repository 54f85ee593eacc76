/**
 * The object `xen` that the stub-domain kernel gives to its script, native/unikernel/engine. It throws
 * `TypeError` or `RangeError` on wrong arguments; what Xen refuses is a negative errno of errno.ts.
 */
import { XenError } from '../../base/errors.ts';

export interface MemoryUsage {
  /** Bytes in the pages of the domain. */
  readonly total: number;
  /** Bytes in those of them that are free. */
  readonly unused: number;
  /** Bytes that the script uses. */
  readonly heap: number;
  /** Pages that were shared once and that a peer still maps. */
  readonly lingering: number;
}

export interface XenObject {
  /** Our own domid, until the next pause. */
  readonly domid: number;
  /** The port of our console; 0 without one. Another one after a pause. */
  readonly consolePort: number;
  readonly commandLine: string;

  /** Since Xen started; a pause takes no time. */
  now_ms(): number;
  /** Since 1970. */
  wallclock_ms(): number;
  /**
   * Takes the two functions that the kernel calls, one at a time: `event` with a port that was
   * signalled and is masked now, `timer` once after `wakeAt`.
   */
  listen(event: (port: number) => void, timer: () => void): void;
  /**
   * Takes the function that is told, once, of an error that nobody has caught, or of what a promise
   * was rejected with in vain. The domain ends with `SHUTDOWN_crash` 3 s later at the latest.
   */
  onFailure(failure: (error: unknown) => void): void;
  /** When `timer` is to be called, by `now_ms`; `Infinity` is never. The last call counts. */
  wakeAt(deadline_ms: number): void;

  /** These four return a new port, not masked. While one is open the domain stays alive. */
  allocateUnbound(peer: number): number;
  bindInterdomain(peer: number, remotePort: number): number;
  bindVirq(virq: number): number;
  adoptPort(port: number): number;
  closePort(port: number): void;
  notify(port: number): void;
  mask(port: number): void;
  unmask(port: number): void;

  share(
    peer: number,
    count: number,
    writable: boolean,
    clearByte?: number,
    notifyPort?: number,
  ): { readonly buffer: ArrayBuffer; readonly refs: readonly number[] } | number;
  map(
    peer: number,
    refs: Uint32Array,
    clearByte?: number,
    notifyPort?: number,
  ): ArrayBuffer | number;
  mapForeign(peer: number, frames: BigUint64Array): ArrayBuffer | number;
  /** Frames of our own that the toolstack made, such as that of the xenstore ring. */
  ownFrames(frame: number, count: number): ArrayBuffer;
  /** Detaches the buffer and ends what is behind it. */
  unmap(buffer: ArrayBuffer): void;
  /** See `CopyGrants`; 0 or a negative errno. */
  copy(
    operations: Uint32Array,
    locals: readonly Uint8Array[],
    statuses: Int16Array,
    count: number,
  ): number;
  /** Hands a `struct xen_domctl` to Xen, which fills it. */
  domctl(operation: Uint8Array): number;
  /** Puts the address of `buffer` into `operation`, at `handleOffset`, and hands it to Xen. */
  sysctl(operation: Uint8Array, handleOffset: number, buffer: Uint8Array): number;

  /** A parameter of the domain, `HVM_PARAM_…` of hvm/params.h; 0 where it is not set. */
  parameter(index: number): number;
  print(text: string): void;
  /** What was typed since. */
  readConsole(): ArrayBuffer;
  /** Whether typing alone keeps the domain alive. */
  holdConsole(hold: boolean): void;
  fillRandom(bytes: Uint8Array): void;
  memory(): MemoryUsage;
  /**
   * Bytes that outlive this script: where there are any and it fails, 5 s after its beginning at the
   * earliest, its pages and ports end and it is run anew. This is a copy of them.
   */
  kept(): ArrayBuffer;
  /** Adds bytes to them, or to what is to take their place; 0 or a negative errno. */
  keep(bytes: Uint8Array, next: boolean): number;
  /** Puts the next ones in their place, and behind those what they have from `from` on; 0 or a negative errno. */
  keepNext(from: number): number;
  /** Lets go of the next ones. */
  forgetNext(): void;
  /** Keeps the bundle that is in an image, to run it in place of this one; 0 or a negative errno. */
  prepareNext(image: Uint8Array): number;
  /**
   * Ends this script with its turn and runs the bundle that was prepared; false where there is none. One
   * that fails at once is followed by this one again.
   */
  runNext(): boolean;
  /**
   * Suspends the domain until the toolstack lets it run again. 1: it runs on as it was, after a snapshot.
   * 0: it runs in another domain, with all memory; its ports are gone, nobody can use what it shares,
   * `domid` and `consolePort` are new ones. -EBUSY, and nothing happens: it has mapped a page of another
   * domain.
   */
  suspend(): number;
  /** Ends the domain with a `SHUTDOWN_…` of sched.h. */
  shutDown(reason: number): never;
}

/** The kernel's object. Throws ENODEV outside of a stub domain. */
export function xenObject(): XenObject {
  const { xen } = globalThis as { readonly xen?: XenObject };
  if (xen === undefined) {
    throw new XenError('ENODEV', 'find the stub-domain kernel', 'this is no stub domain');
  }
  return xen;
}
