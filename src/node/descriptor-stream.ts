/**
 * A connected socket by its descriptor as a `ByteStream`, for much data on few connections: bytes go
 * between the kernel and the caller's memory without a stop, and what is not read stays in the kernel.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { ByteStream } from '../base/byte-stream.ts';
import { Patience } from '../base/patience.ts';

/** Readiness of a file descriptor, as the native shim's `Poller` tells it. */
interface Poller {
  start(events: number): void;
  stop(): void;
  close(): void;
}

/** The part of the native shim that such sockets need. */
export interface NativeDescriptor {
  readonly READABLE: number;
  readonly WRITABLE: number;
  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;
  /** How many bytes came, 0 when there will be none any more, or a negative errno. */
  readNow(fd: number, target: Uint8Array): number;
  /** How many bytes were taken, or a negative errno. */
  writeNow(fd: number, source: Uint8Array): number;
}

/** Looks for an answer, each of which asks the kernel. */
const LOOKS_MAX = 100;
/** Answers that are taken without a turn of the event loop before others get theirs. */
const ANSWERS_MAX = 64;

const NOTHING_NOW = -constants.errno.EAGAIN;

export class DescriptorStream implements ByteStream {
  private readonly native: NativeDescriptor;
  private readonly fd: number;
  private readonly poller: Poller;
  private handler: () => void = () => {};
  /** The kernel had no more when it was last asked. Until it says otherwise, there is no need to ask. */
  private dry = false;
  /** The kernel took no more. */
  private full = false;
  /** What is polled for. */
  private awaited = 0;
  private readonly answers = new Patience(LOOKS_MAX, () => performance.now());
  /** Since the event loop's last turn. */
  private answered = 0;
  private lookDue = false;
  /** Reads that gave bytes. */
  private received = 0;
  private over = false;
  private closed = false;

  /** @param fd of a socket that does not block; it belongs to the stream from here on */
  constructor(native: NativeDescriptor, fd: number) {
    this.native = native;
    this.fd = fd;
    this.poller = new native.Poller(fd, (events) => this.polled(events));
  }

  read(target: Uint8Array): number {
    if (this.ended || this.dry || target.length === 0) return 0;
    const length = this.native.readNow(this.fd, target);
    if (length > 0) {
      this.received++;
      // Less than was asked for is all there was. Polling tells of what has come since.
      if (length < target.length) this.awaitBytes();
      return length;
    }
    if (length === NOTHING_NOW) this.awaitBytes();
    else this.end();
    return 0;
  }

  write(source: Uint8Array): number {
    if (this.ended || this.full || source.length === 0) return 0;
    const length = this.native.writeNow(this.fd, source);
    if (length === source.length) {
      this.lookLater();
      return length;
    }
    // Of a peer who is gone, reading tells, too: after what that has sent before.
    this.full = true;
    if (length >= 0 || length === NOTHING_NOW) this.await(this.awaited | this.native.WRITABLE);
    return Math.max(0, length);
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    // What happened before there was a handler must not be lost.
    setImmediate(() => this.wake());
  }

  get ended(): boolean {
    return this.over || this.closed;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poller.close();
    // The kernel delivers what it has taken.
    closeSync(this.fd);
  }

  private awaitBytes(): void {
    this.dry = true;
    this.await(this.awaited | this.native.READABLE);
  }

  /** Once whoever writes has returned: the other end may be about to answer. */
  private lookLater(): void {
    if (!this.dry || this.lookDue) return;
    this.lookDue = true;
    void Promise.resolve().then(() => {
      this.lookDue = false;
      if (this.closed || this.answered >= ANSWERS_MAX) return;
      if (this.answers.pays(this.answer)) this.answered++;
    });
  }

  private readonly answer = () => {
    if (this.ended || !this.dry) return true;
    const before = this.received;
    this.dry = false;
    this.handler();
    return this.received !== before;
  };

  private await(events: number): void {
    if (events === this.awaited) return;
    this.awaited = events;
    if (events === 0) this.poller.stop();
    else this.poller.start(events);
  }

  private polled(events: number): void {
    this.answered = 0;
    const { READABLE, WRITABLE } = this.native;
    if (events < 0) {
      // Polling has stopped; asking the kernel once more tells why.
      this.awaited = 0;
      this.dry = false;
    } else {
      if ((events & READABLE) !== 0) this.dry = false;
      if ((events & WRITABLE) !== 0) {
        this.full = false;
        this.await(this.awaited & ~WRITABLE);
      }
    }
    this.handler();
    // Bytes that the handler has left would wake us again and again. The read that finds none asks anew.
    if (!this.dry && !this.closed) this.await(this.awaited & ~READABLE);
  }

  private end(): void {
    this.over = true;
    this.await(0);
    setImmediate(() => this.wake());
  }

  private wake(): void {
    if (!this.closed) this.handler();
  }
}
