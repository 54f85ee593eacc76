/** Xenstore through the domain's own kernel, /dev/xen/xenbus: how any domain but xenstored's reaches it. */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import type { ByteStream } from '../base/byte-stream.ts';
import { errorCode, errorMessage, XenError } from '../base/errors.ts';
import { XenstoreClient } from '../xenstore/client.ts';
import { nodeClock } from './clock.ts';

/** Where Linux has it. */
export const XENSTORE_DEVICE = '/dev/xen/xenbus';

/** Readiness of a file descriptor, as the native shim's `Poller` tells it. */
interface Poller {
  start(events: number): void;
  stop(): void;
  close(): void;
}

/** The part of the native shim that the device needs. */
export interface NativePoll {
  readonly READABLE: number;
  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;
}

class DeviceStream implements ByteStream {
  private readonly fd: number;
  private readonly poller: Poller;
  private readonly readable: number;
  private handler: () => void = () => {};
  private failed = false;
  private closed = false;

  constructor(native: NativePoll, fd: number) {
    this.fd = fd;
    this.readable = native.READABLE;
    this.poller = new native.Poller(fd, (events) => {
      if (events < 0) this.failed = true;
      this.handler();
    });
  }

  read(target: Uint8Array): number {
    return this.attempt(() => readSync(this.fd, target));
  }

  /** The driver takes one packet a call, of any length, and drops what follows it. */
  write(source: Uint8Array): number {
    return this.attempt(() => writeSync(this.fd, source));
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    if (!this.ended) this.poller.start(this.readable);
  }

  get ended(): boolean {
    return this.failed || this.closed;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poller.close();
    closeSync(this.fd);
  }

  private attempt(transfer: () => number): number {
    if (this.ended) return 0;
    try {
      return transfer();
    } catch (error) {
      if (errorCode(error) === 'EAGAIN') return 0;
      this.failed = true;
      this.poller.stop();
      setImmediate(() => this.handler());
      return 0;
    }
  }
}

/**
 * Linux's driver queues a request without its payload, which stays where the next one is written to until
 * it has gone to xenstored. Its answer tells that it has.
 */
const REQUESTS_MAX = 1;

/** Opens the device `path` for packets. Throws `XenError` when it cannot be opened. */
export function openXenstoreDevice(native: NativePoll, path: string): ByteStream {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const code = errorCode(error) === 'EACCES' ? 'EACCES' : 'ENOENT';
    throw new XenError(code, `open ${path}`, errorMessage(error), error);
  }
  return new DeviceStream(native, fd);
}

/** A client of the xenstored behind the device `path`. Throws as `openXenstoreDevice` does. */
export function connectXenstoreDevice(native: NativePoll, path: string): XenstoreClient {
  return new XenstoreClient(openXenstoreDevice(native, path), nodeClock, REQUESTS_MAX);
}
