/**
 * The native shim, native/*.cc. Its calls throw `TypeError` or `RangeError` on wrong arguments and
 * an `Error` with `code`, `errno` and `syscall` when the operating system refuses.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XenError } from '../../base/errors.ts';
import type { CopyGrants } from '../grant-copy.ts';

/** /dev/xen/evtchn, native/evtchn.cc. */
export interface NativeEvtchn {
  readonly fd: number;
  bindUnboundPort(remoteDomid: number): number;
  bindInterdomain(remoteDomid: number, remotePort: number): number;
  bindVirq(virq: number): number;
  unbind(port: number): void;
  notify(port: number): void;
  /** Fills `ports` with those that were signalled and are masked now; returns how many. */
  read(ports: Uint32Array): number;
  unmask(ports: Uint32Array, count: number): void;
  reset(): void;
  close(): void;
}

/** /dev/xen/gntdev, native/gntdev.cc. */
export interface NativeGntdev {
  map(domid: number, refs: Uint32Array, clearByte?: number, notifyPort?: number): ArrayBuffer;
  copy: CopyGrants;
  close(): void;
}

/** /dev/xen/gntalloc, native/gntalloc.cc. */
export interface NativeGntalloc {
  share(
    domid: number,
    count: number,
    writable: boolean,
    clearByte?: number,
    notifyPort?: number,
  ): { buffer: ArrayBuffer; refs: Uint32Array };
  close(): void;
}

/** /dev/xen/privcmd, native/privcmd.cc. */
export interface NativePrivcmd {
  mapForeign(domid: number, gfns: BigUint64Array): ArrayBuffer;
  mapResource(
    domid: number,
    type: number,
    id: number,
    firstFrame: number,
    count: number,
  ): ArrayBuffer;
  sysctl(
    name: 'getdomaininfolist' | 'readconsole',
    operation: Uint8Array,
    buffer: Uint8Array,
  ): void;
  eventChannelStatus(operation: Uint8Array): void;
  close(): void;
}

/** Readiness of a file descriptor, native/poller.cc. */
export interface NativePoller {
  start(events: number): void;
  stop(): void;
  ref(): void;
  unref(): void;
  close(): void;
}

/** Unix sockets that are served together, native/socket_set.cc. */
export interface NativeSocketSet {
  /** Four words for each socket that the callback is called for: id, start, count or errno, writable. */
  readonly arrivals: Int32Array;
  readonly input: Uint8Array;
  /** Four words for each run of bytes to be sent: id, start, length, and then count or errno. */
  readonly departures: Int32Array;
  readonly output: Uint8Array;
  add(fd: number): number;
  await(id: number, events: number): void;
  send(count: number): void;
  remove(id: number): void;
  close(): void;
}

/** Reads and writes of one open file, native/file_queue.cc. */
export interface NativeFileQueue {
  /** Two words for each transfer that the callback is told of: its id, and bytes moved or a negative errno. */
  readonly told: Int32Array;
  /**
   * Moves the buffers' bytes, one after the other. Returns how many, or a negative errno, when that
   * was done at once; -EINPROGRESS when the callback will tell. Until then the caller keeps the
   * buffers as they are, and the descriptor open.
   */
  begin(id: number, isWrite: boolean, position: number, buffers: readonly Uint8Array[]): number;
  close(): void;
}

/** A TAP device, native/tap.cc: frames with virtio-net headers. */
export interface NativeTap {
  readonly fd: number;
  /** Whether the device stays when nobody has it open any more. */
  persist(on: boolean): void;
  setCarrier(on: boolean): void;
  setMtu(mtu: number): void;
  bringUp(): void;
  readAddress(address: Uint8Array): void;
  setAddress(address: Uint8Array): void;
  joinBridge(bridge: string): void;
  /**
   * Reads what frames there are and have room, each at a page of `memory` and after its header. Two
   * words for each go into `places`: where its header begins, and its bytes with that. Returns how
   * many, or a negative errno.
   */
  read(memory: Uint8Array, places: Uint32Array): number;
  /** Writes one frame, `header` a virtio-net header and the checksum to begin with; 0 or a negative errno. */
  write(header: Uint8Array, frame: Uint8Array): number;
  close(): void;
}

export interface Native {
  readonly READABLE: number;
  readonly WRITABLE: number;
  readonly Evtchn: new () => NativeEvtchn;
  readonly Gntdev: new () => NativeGntdev;
  readonly Gntalloc: new () => NativeGntalloc;
  readonly Privcmd: new () => NativePrivcmd;
  /** `callback` gets the events, or a negative errno once polling has stopped by itself. */
  readonly Poller: new (
    fd: number,
    callback: (events: number) => void,
  ) => NativePoller;
  /** `callback` gets how many sockets `arrivals` tells of. */
  readonly SocketSet: new (
    callback: (count: number) => void,
  ) => NativeSocketSet;
  /** `callback` gets how many transfers `told` tells of. */
  readonly FileQueue: new (
    fd: number,
    callback: (count: number) => void,
  ) => NativeFileQueue;
  /** Opens the TAP device of that name, or makes it. */
  readonly Tap: new (
    name: string,
  ) => NativeTap;
  /** A new pty in raw mode, native/pty.cc; the master does not block. The caller closes both descriptors. */
  openPty(): { readonly master: number; readonly slave: number; readonly path: string };
  /** Unix sockets, native/unix_socket.cc. Those that return a number tell an errno as a negative one. */
  listenUnix(path: string, backlog: number): number;
  connectUnix(path: string): number;
  adoptUnix(fd: number, backlog: number): void;
  acceptUnix(fd: number): number;
  /** Another program in the place of this one, native/process.cc. It keeps those descriptors and the standard ones. */
  execute(
    path: string,
    args: readonly string[],
    environment: readonly string[],
    descriptors: Int32Array,
  ): void;
  /** Bytes from a descriptor that does not block, native/file.cc; 0 at its end, or a negative errno. */
  readNow(fd: number, target: Uint8Array): number;
  /** Bytes that a descriptor that does not block has taken, or a negative errno. */
  writeNow(fd: number, source: Uint8Array): number;
  /** Sets aside space for so many pages of an open file, native/file.cc; 0 or a negative errno. */
  setAside(fd: number, pages: number): number;
  /**
   * Gives the storage of a range of a file or block device back, native/file.cc. The callback gets 0
   * or a negative errno; until then the descriptor must stay open.
   */
  discard(fd: number, position: number, length: number, callback: (result: number) => void): void;
  /** Locks a file by flock(2) without waiting; false when somebody else has the lock. */
  tryLock(fd: number, exclusive: boolean): boolean;
  /** Zeroed pages of our own, which begin where a page does; they go with the last view of them. */
  allocatePages(count: number): ArrayBuffer;
  /** Maps pages of an open file, shared and writable. */
  mapFile(fd: number, firstPage: number, count: number): ArrayBuffer;
  /** Detaches mapped memory and unmaps it. Does nothing to a buffer that is detached already. */
  unmap(buffer: ArrayBuffer): void;
}

const builtShim = 'native/build/Release/paravane_native.node';

/** The built shim's path: above this file, whether that is a source file or a bundle in dist/. */
export function nativePath(from = fileURLToPath(import.meta.url)): string {
  for (let directory = dirname(from); ; directory = dirname(directory)) {
    const candidate = join(directory, builtShim);
    if (existsSync(candidate)) return candidate;
    if (directory === dirname(directory)) {
      throw new XenError(
        'ENOENT',
        'load the native shim',
        `${builtShim} is not built; run scripts/setup`,
      );
    }
  }
}

let loaded: Native | undefined;

export function loadNative(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  const native = createRequire(import.meta.url)(nativePath()) as Native;
  detachFirstBuffer();
  return native;
}

/**
 * V8 compiles what reads arrays as if no memory were ever taken away, and when that happens for the
 * first time, it throws all of that code away at once: at the first unmapping, while a back end serves
 * its other guests. So it happens here, before there is any.
 */
function detachFirstBuffer(): void {
  const buffer = new ArrayBuffer(1);
  structuredClone(buffer, { transfer: [buffer] });
}
