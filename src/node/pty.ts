/**
 * A pseudoterminal as a `ByteStream`. We hold its master; a viewer opens its slave by path, and may
 * leave and come back.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { ByteStream } from '../base/byte-stream.ts';

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
  /** How many bytes came, or a negative errno. */
  readNow(fd: number, target: Uint8Array): number;
  /** How many bytes were taken, or a negative errno. */
  writeNow(fd: number, source: Uint8Array): number;
}

const NOTHING_NOW = -constants.errno.EAGAIN;

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
    if (this.ended || target.length === 0) return 0;
    const { native } = this;
    return this.moved(native.readNow(this.master, target), native.READABLE);
  }

  write(source: Uint8Array): number {
    if (this.ended || source.length === 0) return 0;
    const { native } = this;
    return this.moved(native.writeNow(this.master, source), native.WRITABLE);
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

  /** What a read or write of the master has moved. Where it can't go on, polls for `needed`. */
  private moved(result: number, needed: number): number {
    if (result >= 0) return result;
    if (result === NOTHING_NOW) this.await(needed);
    // The slave is gone, which makes it EIO, or whatever else took the terminal from us.
    else this.fail();
    return 0;
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
