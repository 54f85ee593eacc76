/**
 * The daemon's end of its Unix sockets, without the layers of Node's own: however many are ready, one
 * call receives what came for all of them and one tells of it. So a request and its reply cost one
 * recv(2) and one send(2) and a share of a wake-up, and nothing is allocated for them here.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { ByteStream } from '../base/byte-stream.ts';
import { copyBytes, joinBytes } from '../base/bytes.ts';

/** Readiness of a file descriptor, as the native shim's `Poller` tells it. */
interface Poller {
  start(events: number): void;
  stop(): void;
  close(): void;
}

/** Sockets that are served together, native/socket_set.cc; each has an id in the set. */
export interface NativeSocketSet {
  /** `ARRIVAL_WORDS` for each socket that the callback is called for. */
  readonly arrivals: Int32Array;
  /** What they sent, until the callback returns. */
  readonly input: Uint8Array;
  /** `DEPARTURE_WORDS` for each run of bytes that `send` is to send. */
  readonly departures: Int32Array;
  /** Where those bytes are. */
  readonly output: Uint8Array;
  /** Receives from the socket from now on. The descriptor belongs to the set. */
  add(fd: number): number;
  /** Waits for these events in place of those before. */
  await(id: number, events: number): void;
  /** Sends what so many of `departures` tell of, and puts there how much of it was taken. */
  send(count: number): void;
  /** Closes the socket; its id may be another's from then on. */
  remove(id: number): void;
  /** Closes all sockets. Idempotent. */
  close(): void;
}

/** Words that tell of one socket, in this order. */
const ARRIVAL_ID = 0;
const ARRIVAL_START = 1;
const ARRIVAL_RECEIVED = 2;
const ARRIVAL_WRITABLE = 3;
const ARRIVAL_WORDS = 4;

/** Words that tell of bytes for one socket, in this order; what was taken may be a negative errno. */
const DEPARTURE_ID = 0;
const DEPARTURE_START = 1;
const DEPARTURE_LENGTH = 2;
const DEPARTURE_TAKEN = 3;
const DEPARTURE_WORDS = 4;

/** The part of the native shim that sockets need. Those that return a number tell an errno as a negative one. */
export interface NativeUnixSocket {
  readonly READABLE: number;
  readonly WRITABLE: number;
  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;
  /** `callback` is told of how many sockets `arrivals` tells. */
  readonly SocketSet: new (
    callback: (count: number) => void,
  ) => NativeSocketSet;
  /** The descriptor of a socket that listens there. The caller closes it and removes the path. */
  listenUnix(path: string, backlog: number): number;
  /** The descriptor of a socket that is connected to whoever listens there. The caller closes it. */
  connectUnix(path: string): number;
  /** Makes a socket that another program has left open like one of ours; with a backlog it must be one that listens. */
  adoptUnix(fd: number, backlog: number): void;
  /** The descriptor of the next client. The caller closes it. */
  acceptUnix(fd: number): number;
}

/** Clients that may wait to be accepted. */
const BACKLOG = 128;
/** How long nobody is accepted after the system has refused us a descriptor for somebody. */
const ACCEPT_PAUSE_MS = 100;

const NOTHING_NOW = -constants.errno.EAGAIN;
const NOTHING = new Uint8Array(0);

/** One client's socket, which another program can go on with. */
export interface UnixSocket extends ByteStream {
  readonly fd: number;
  /** A copy of the bytes that were taken from the kernel and not read. */
  unread(): Uint8Array;
  /** A copy of the bytes that were accepted and that the kernel did not take yet. */
  unsent(): Uint8Array;
}

class UnixSocketStream implements UnixSocket {
  readonly fd: number;
  private readonly sockets: UnixSockets;
  private readonly set: NativeSocketSet;
  private readonly id: number;
  private handler: () => void = () => {};
  /** Where what came and was not read yet is: in the memory of all sockets, or in memory of its own. */
  private input: Uint8Array = NOTHING;
  private inputStart = 0;
  private inputEnd = 0;
  /** Bytes that were accepted and that the kernel did not take yet. */
  private refusedBytes: Uint8Array = NOTHING;
  /** What is waited for. */
  private awaited: number;
  /** Nothing more will come, and nothing can be sent. */
  private over = false;
  private closed = false;

  constructor(sockets: UnixSockets, fd: number, id: number) {
    this.sockets = sockets;
    this.fd = fd;
    this.set = sockets.set;
    this.id = id;
    this.awaited = sockets.native.READABLE;
  }

  read(target: Uint8Array): number {
    const { inputStart, inputEnd } = this;
    if (inputStart === inputEnd) return 0;
    const length = Math.min(inputEnd - inputStart, target.length);
    copyBytes(this.input, inputStart, length, target, 0);
    this.inputStart += length;
    if (this.inputStart === inputEnd && !this.over) {
      this.await(this.awaited | this.sockets.native.READABLE);
    }
    return length;
  }

  write(source: Uint8Array): number {
    if (this.over || source.length === 0) return 0;
    this.sockets.makeRoom(source.length);
    return this.refusedBytes.length > 0 ? 0 : this.sockets.send(this.id, source);
  }

  onReady(handler: () => void): void {
    this.handler = handler;
  }

  get ended(): boolean {
    return this.over && this.inputStart === this.inputEnd;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.over = true;
    this.inputStart = this.inputEnd;
    // The kernel delivers what it has taken, and takes now what it will ever take.
    this.sockets.flush();
    this.sockets.remove(this.id);
  }

  unread(): Uint8Array {
    return this.input.slice(this.inputStart, this.inputEnd);
  }

  unsent(): Uint8Array {
    this.sockets.flush();
    return this.refusedBytes.slice();
  }

  /** Tells of bytes in the memory of all sockets, of the end or an error, or of room for more. */
  arrived(start: number, received: number, writable: boolean): void {
    if (writable) this.sendRest();
    if (received > 0) {
      this.input = this.set.input;
      this.inputStart = start;
      this.inputEnd = start + received;
    } else if (received !== NOTHING_NOW) {
      this.over = true;
      this.await(0);
    }
    this.handler();
    if (this.input === this.set.input) this.keepRest();
  }

  /** Tells of bytes that the kernel did not take, after others that it did. */
  refused(bytes: Uint8Array): void {
    if (this.over) return;
    this.refusedBytes = joinBytes(this.refusedBytes, bytes);
    this.await(this.awaited | this.sockets.native.WRITABLE);
  }

  private sendRest(): void {
    const { refusedBytes, sockets } = this;
    this.await(this.awaited & ~sockets.native.WRITABLE);
    sockets.makeRoom(refusedBytes.length);
    this.refusedBytes = NOTHING;
    sockets.send(this.id, refusedBytes);
  }

  /** Takes what the reader has left into memory of its own; the kernel holds the peer back meanwhile. */
  private keepRest(): void {
    const { input, inputStart, inputEnd } = this;
    this.input = inputStart === inputEnd ? NOTHING : input.slice(inputStart, inputEnd);
    this.inputStart = 0;
    this.inputEnd = this.input.length;
    if (this.inputEnd > 0 && !this.over) this.await(this.awaited & ~this.sockets.native.READABLE);
  }

  private await(events: number): void {
    if (events === this.awaited || this.closed) return;
    this.awaited = events;
    this.set.await(this.id, events);
  }
}

/**
 * The clients of one listener, or those of another program. While those that are ready are served, what is sent to them is
 * gathered, so that whoever waits on another processor is woken once and not for each reply.
 */
export class UnixSockets {
  readonly native: NativeUnixSocket;
  readonly set: NativeSocketSet;
  /** By id in the set. */
  private readonly streams = new Map<number, UnixSocketStream>();
  private isFinal = false;
  /** Those that are ready are being served. */
  private isServing = false;
  /** Runs of bytes that wait in the output to be sent, and where the last of them ends. */
  private departureCount = 0;
  private outputEnd = 0;

  constructor(native: NativeUnixSocket) {
    this.native = native;
    this.set = new native.SocketSet((count) => this.arrived(count));
  }

  /**
   * Goes on with the socket of a client whom another program has served. Throws an error with a
   * `code` where it is none.
   *
   * @param unsent bytes that the kernel had not taken there
   */
  adopt(fd: number, unsent: Uint8Array): UnixSocket {
    this.native.adoptUnix(fd, 0);
    const stream = this.add(fd);
    if (unsent.length > 0) stream.refused(unsent);
    return stream;
  }

  add(fd: number): UnixSocketStream {
    const id = this.set.add(fd);
    const stream = new UnixSocketStream(this, fd, id);
    this.streams.set(id, stream);
    return stream;
  }

  remove(id: number): void {
    this.streams.delete(id);
    this.set.remove(id);
    this.closeIfLast();
  }

  /** Sends what was gathered unless there is room besides it for `length` bytes. */
  makeRoom(length: number): void {
    const { departures, output } = this.set;
    const isFull = (this.departureCount + 1) * DEPARTURE_WORDS > departures.length;
    if (isFull || length > output.length - this.outputEnd) this.flush();
  }

  /** Accepts what it can of the bytes, for which room was made, and returns how many. */
  send(id: number, source: Uint8Array): number {
    const { departures, output } = this.set;
    const length = Math.min(source.length, output.length);
    copyBytes(source, 0, length, output, this.outputEnd);
    const last = (this.departureCount - 1) * DEPARTURE_WORDS;
    if (last >= 0 && departures[last + DEPARTURE_ID] === id) {
      departures[last + DEPARTURE_LENGTH] =
        (departures[last + DEPARTURE_LENGTH] as number) + length;
    } else {
      const next = last + DEPARTURE_WORDS;
      departures[next + DEPARTURE_ID] = id;
      departures[next + DEPARTURE_START] = this.outputEnd;
      departures[next + DEPARTURE_LENGTH] = length;
      this.departureCount++;
    }
    this.outputEnd += length;
    if (!this.isServing) this.flush();
    return length;
  }

  /** Sends what was gathered. */
  flush(): void {
    const count = this.departureCount;
    if (count === 0) return;
    const { departures, output } = this.set;
    this.departureCount = 0;
    this.outputEnd = 0;
    this.set.send(count);
    for (let at = 0; at < count * DEPARTURE_WORDS; at += DEPARTURE_WORDS) {
      const length = departures[at + DEPARTURE_LENGTH] as number;
      const taken = departures[at + DEPARTURE_TAKEN] as number;
      // An error is that of a peer who is gone, which reading tells, too.
      if (taken === length || (taken < 0 && taken !== NOTHING_NOW)) continue;
      const start = departures[at + DEPARTURE_START] as number;
      const rest = output.subarray(start + Math.max(0, taken), start + length);
      this.streams.get(departures[at + DEPARTURE_ID] as number)?.refused(rest);
    }
  }

  /** No more will be added. */
  finish(): void {
    this.isFinal = true;
    this.closeIfLast();
  }

  private closeIfLast(): void {
    if (this.isFinal && this.streams.size === 0) this.set.close();
  }

  private arrived(count: number): void {
    const { arrivals } = this.set;
    this.isServing = true;
    try {
      for (let at = 0; at < count * ARRIVAL_WORDS; at += ARRIVAL_WORDS) {
        // A socket that was closed meanwhile is told of with an id that none has.
        this.streams
          .get(arrivals[at + ARRIVAL_ID] as number)
          ?.arrived(
            arrivals[at + ARRIVAL_START] as number,
            arrivals[at + ARRIVAL_RECEIVED] as number,
            arrivals[at + ARRIVAL_WRITABLE] === 1,
          );
      }
    } finally {
      this.isServing = false;
      this.flush();
    }
  }
}

/** What a listener does with its clients. */
export interface Clients {
  /** The descriptor of one belongs to it from here on. */
  add(fd: number): void;
  /** There will be no more of them. */
  finish(): void;
}

/** Clients that are served together. */
export function servedTogether(
  native: NativeUnixSocket,
  onConnection: (socket: UnixSocket) => void,
): Clients {
  const sockets = new UnixSockets(native);
  return { add: (fd) => onConnection(sockets.add(fd)), finish: () => sockets.finish() };
}

/** A socket that clients connect to. */
export class UnixSocketListener {
  readonly fd: number;
  private readonly native: NativeUnixSocket;
  private readonly poller: Poller;
  private readonly clients: Clients;
  private pause: NodeJS.Timeout | undefined;
  private closed = false;

  private constructor(native: NativeUnixSocket, fd: number, clients: Clients) {
    this.native = native;
    this.clients = clients;
    this.fd = fd;
    this.poller = new native.Poller(this.fd, () => this.accept());
    this.poller.start(native.READABLE);
  }

  /** Binds to `path`, which nobody may have. Throws an error with a `code`. */
  static listen(native: NativeUnixSocket, path: string, clients: Clients): UnixSocketListener {
    return new UnixSocketListener(native, native.listenUnix(path, BACKLOG), clients);
  }

  /** Goes on with a socket that another program has listened at. Throws an error with a `code`. */
  static adopt(native: NativeUnixSocket, fd: number, clients: Clients): UnixSocketListener {
    native.adoptUnix(fd, BACKLOG);
    return new UnixSocketListener(native, fd, clients);
  }

  /** Takes no more connections; those there are go on. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.pause);
    this.poller.close();
    closeSync(this.fd);
    this.clients.finish();
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
      this.clients.add(fd);
    }
  }
}
