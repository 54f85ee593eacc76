/**
 * The daemon's end of a Unix socket, without the layers of Node's own: a request and its reply cost
 * one wake-up, one recv(2) and one send(2), and nothing is allocated for them here.
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

/** The part of the native shim that sockets need. Those that return a number tell an errno as a negative one. */
export interface NativeUnixSocket {
  readonly READABLE: number;
  readonly WRITABLE: number;
  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;
  /** The descriptor of a socket that listens there. The caller closes it and removes the path. */
  listenUnix(path: string, backlog: number): number;
  /** Makes a socket that another program has left open like one of ours; with a backlog it must be one that listens. */
  adoptUnix(fd: number, backlog: number): void;
  /** The descriptor of the next client. The caller closes it. */
  acceptUnix(fd: number): number;
  /** How many bytes came, 0 once there will be none. */
  receive(fd: number, bytes: Uint8Array): number;
  /** How many bytes were taken. */
  send(fd: number, bytes: Uint8Array): number;
}

/** Bytes taken from the kernel ahead of the reader; the largest packet of xenstore is 4,112. */
const INPUT_SIZE = 4112;
/** Up to here a loop copies faster than `set` makes a window for. */
const COPIED_SINGLY_MAX = 64;
/** Clients that may wait to be accepted. */
const BACKLOG = 128;
/** How long nobody is accepted after the system has refused us a descriptor for somebody. */
const ACCEPT_PAUSE_MS = 100;

const NOTHING_NOW = -constants.errno.EAGAIN;

/** One client's socket, which another program can go on with. */
export interface UnixSocket extends ByteStream {
  readonly fd: number;
  /** A copy of the bytes that were taken from the kernel and not read. */
  unread(): Uint8Array;
}

/** The socket of a client whom another program has served. Throws an error with a `code` where it is none. */
export function adoptUnixSocket(native: NativeUnixSocket, fd: number): UnixSocket {
  native.adoptUnix(fd, 0);
  return new UnixSocketStream(native, fd);
}

class UnixSocketStream implements UnixSocket {
  readonly fd: number;
  private readonly native: NativeUnixSocket;
  private readonly poller: Poller;
  private handler: () => void = () => {};
  private readonly input = new Uint8Array(INPUT_SIZE);
  private inputStart = 0;
  private inputEnd = 0;
  /** The kernel may have more than we took; otherwise the poller tells when it has. */
  private mayHaveMore = true;
  /** What is polled for. */
  private awaited = 0;
  /** Nothing more will come, and nothing can be sent. */
  private over = false;
  private closed = false;

  constructor(native: NativeUnixSocket, fd: number) {
    this.native = native;
    this.fd = fd;
    this.poller = new native.Poller(fd, (events) => this.polled(events));
  }

  read(target: Uint8Array): number {
    if (this.inputStart === this.inputEnd && this.mayHaveMore) this.fill();
    const { input, inputStart } = this;
    const length = Math.min(this.inputEnd - inputStart, target.length);
    if (length <= COPIED_SINGLY_MAX) {
      for (let i = 0; i < length; i++) target[i] = input[inputStart + i] as number;
    } else {
      target.set(input.subarray(inputStart, inputStart + length));
    }
    this.inputStart += length;
    return length;
  }

  write(source: Uint8Array): number {
    if (this.over || source.length === 0) return 0;
    const taken = this.native.send(this.fd, source);
    if (taken >= 0) return taken;
    // Any other error is that of a peer who is gone, which reading tells, too.
    if (taken === NOTHING_NOW) this.await(this.awaited | this.native.WRITABLE);
    return 0;
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    if (!this.over) this.await(this.awaited | this.native.READABLE);
  }

  get ended(): boolean {
    return this.over && this.inputStart === this.inputEnd;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.over = true;
    this.mayHaveMore = false;
    this.inputStart = this.inputEnd;
    this.poller.close();
    // The kernel still delivers what it has taken.
    closeSync(this.fd);
  }

  unread(): Uint8Array {
    return this.input.slice(this.inputStart, this.inputEnd);
  }

  private polled(events: number): void {
    const { READABLE, WRITABLE } = this.native;
    if (events < 0) {
      this.end();
    } else {
      if (events & WRITABLE) this.await(this.awaited & ~WRITABLE);
      if (events & READABLE) this.readable();
    }
    this.handler();
  }

  private readable(): void {
    if (this.inputStart === this.inputEnd) {
      this.fill();
    } else {
      // Not to be told again and again while the reader holds its peer back.
      this.mayHaveMore = true;
      this.await(this.awaited & ~this.native.READABLE);
    }
  }

  private fill(): void {
    const length = this.native.receive(this.fd, this.input);
    this.inputStart = 0;
    this.inputEnd = Math.max(0, length);
    this.mayHaveMore = length === INPUT_SIZE;
    if (length === 0 || (length < 0 && length !== NOTHING_NOW)) this.end();
    else this.await(this.awaited | this.native.READABLE);
  }

  private end(): void {
    this.over = true;
    this.mayHaveMore = false;
    this.await(0);
  }

  private await(events: number): void {
    if (events === this.awaited) return;
    this.awaited = events;
    if (events === 0) this.poller.stop();
    else this.poller.start(events);
  }
}

/** A socket that clients connect to. */
export class UnixSocketListener {
  readonly fd: number;
  private readonly native: NativeUnixSocket;
  private readonly poller: Poller;
  private readonly onConnection: (socket: UnixSocket) => void;
  private pause: NodeJS.Timeout | undefined;
  private closed = false;

  private constructor(
    native: NativeUnixSocket,
    fd: number,
    onConnection: (socket: UnixSocket) => void,
  ) {
    this.native = native;
    this.onConnection = onConnection;
    this.fd = fd;
    this.poller = new native.Poller(this.fd, () => this.accept());
    this.poller.start(native.READABLE);
  }

  /** Binds to `path`, which nobody may have. Throws an error with a `code`. */
  static listen(
    native: NativeUnixSocket,
    path: string,
    onConnection: (socket: UnixSocket) => void,
  ): UnixSocketListener {
    return new UnixSocketListener(native, native.listenUnix(path, BACKLOG), onConnection);
  }

  /** Goes on with a socket that another program has listened at. Throws an error with a `code`. */
  static adopt(
    native: NativeUnixSocket,
    fd: number,
    onConnection: (socket: UnixSocket) => void,
  ): UnixSocketListener {
    native.adoptUnix(fd, BACKLOG);
    return new UnixSocketListener(native, fd, onConnection);
  }

  /** Takes no more connections; those there are go on. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.pause);
    this.poller.close();
    closeSync(this.fd);
  }

  private accept(): void {
    const { native } = this;
    for (let accepted = 0; accepted < BACKLOG && !this.closed; accepted++) {
      const fd = native.acceptUnix(this.fd);
      if (fd === NOTHING_NOW) return;
      if (fd < 0) {
        this.poller.stop();
        this.pause = setTimeout(() => this.poller.start(native.READABLE), ACCEPT_PAUSE_MS);
        return;
      }
      this.onConnection(new UnixSocketStream(native, fd));
    }
  }
}
