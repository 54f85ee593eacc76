/**
 * A pseudoterminal as a `ByteStream`. We hold its master; a viewer opens its slave by path, and may
 * leave and come back.
 */
import { closeSync, readSync, writeSync } from 'node:fs';
import type { ByteStream } from '../base/byte-stream.ts';
import { errorCode } from '../base/errors.ts';

/** Readiness of a file descriptor, as the native shim's `Poller` tells it. */
interface Poller {
  start(events: number): void;
  stop(): void;
  close(): void;
}

/** The part of the native shim that a pty needs. */
export interface NativePty {
  readonly READABLE: number;
  readonly WRITABLE: number;
  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;
  /** A new pty in raw mode; the master does not block. The caller closes both descriptors. */
  openPty(): { readonly master: number; readonly slave: number; readonly path: string };
}

/** What read(2) says of a master whose slave is gone. */
const BROKEN = 'EIO';

export class Pty implements ByteStream {
  /** The slave's path, such as `/dev/pts/3`. */
  readonly path: string;
  private readonly native: NativePty;
  private readonly master: number;
  /**
   * Our own descriptor of the slave. It keeps output that nobody has read yet and the terminal's
   * settings while there is no viewer; without it, reading the master would fail from the last
   * viewer's leaving on.
   */
  private readonly slave: number;
  private readonly poller: Poller;
  private handler: () => void = () => {};
  /** What to poll for: only what a read or write has found missing, so that nothing wakes us in vain. */
  private awaited: number;
  private broken = false;
  private closed = false;

  /** Throws an error with a `code` when the system has no more ptys. */
  constructor(native: NativePty) {
    this.native = native;
    const { master, slave, path } = native.openPty();
    this.master = master;
    this.slave = slave;
    this.path = path;
    this.poller = new native.Poller(master, (events) => this.polled(events));
    this.awaited = 0;
  }

  read(target: Uint8Array): number {
    return this.attempt(this.native.READABLE, () => readSync(this.master, target));
  }

  write(source: Uint8Array): number {
    if (source.length === 0) return 0;
    return this.attempt(this.native.WRITABLE, () => writeSync(this.master, source));
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    this.await(this.native.READABLE);
  }

  /** True when the pty broke, which a viewer's leaving does not do, and after `close`. */
  get ended(): boolean {
    return this.broken || this.closed;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poller.close();
    closeSync(this.master);
    closeSync(this.slave);
  }

  /** Runs a read or write of the master. When it can't go on, polls for `needed`. */
  private attempt(needed: number, transfer: () => number): number {
    if (this.ended) return 0;
    try {
      return transfer();
    } catch (error) {
      const code = errorCode(error);
      if (code === BROKEN) this.fail();
      else if (code === 'EAGAIN') this.await(needed);
      else throw error;
      return 0;
    }
  }

  private await(events: number): void {
    if (this.ended || (this.awaited & events) === events) return;
    this.awaited |= events;
    this.poller.start(this.awaited);
  }

  private polled(events: number): void {
    if (events < 0) this.broken = true;
    this.awaited &= ~events;
    if (this.broken || this.awaited === 0) this.poller.stop();
    else this.poller.start(this.awaited);
    this.handler();
  }

  private fail(): void {
    this.broken = true;
    this.poller.stop();
    setImmediate(() => {
      if (!this.closed) this.handler();
    });
  }
}
