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
  /** A new pty in raw mode, native/pty.cc; the master does not block. The caller closes both descriptors. */
  openPty(): { readonly master: number; readonly slave: number; readonly path: string };
  /** Unix sockets, native/unix_socket.cc. Those that return a number tell an errno as a negative one. */
  listenUnix(path: string, backlog: number): number;
  acceptUnix(fd: number): number;
  receive(fd: number, bytes: Uint8Array): number;
  send(fd: number, bytes: Uint8Array): number;
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
  loaded ??= createRequire(import.meta.url)(nativePath()) as Native;
  return loaded;
}
