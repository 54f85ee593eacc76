/** A socket of Node's as a `ByteStream`. */
import type { Socket } from 'node:net';
import type { ByteStream } from '../base/byte-stream.ts';

/** How long a closed stream waits for a peer that does not read what was still on its way to it. */
const LINGER_MS = 5_000;

class SocketStream implements ByteStream {
  private readonly socket: Socket;
  /** What the socket gave and nobody has read yet; the rest waits in the socket and in the kernel. */
  private chunk = new Uint8Array(0);
  private handler: () => void = () => {};
  private closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    const wake = () => this.wake();
    // An error is always followed by `close`, which is where the stream ends.
    socket.on('error', () => {});
    for (const event of ['readable', 'drain', 'end', 'close']) socket.on(event, wake);
  }

  read(target: Uint8Array): number {
    if (this.closed || target.length === 0) return 0;
    if (this.chunk.length === 0) {
      // With nothing there, this call makes the socket say when there is, or that it has ended.
      this.chunk = this.socket.read() ?? this.chunk;
    }
    const length = Math.min(this.chunk.length, target.length);
    target.set(this.chunk.subarray(0, length));
    this.chunk = this.chunk.subarray(length);
    return length;
  }

  write(source: Uint8Array): number {
    const { socket } = this;
    let taken = 0;
    // What the kernel takes at once is no longer in the socket's buffer, and then there is no `drain`.
    while (taken < source.length && this.takesMore()) {
      const room = Math.max(1, socket.writableHighWaterMark - socket.writableLength);
      // The socket keeps what it is given until the kernel takes it; the caller may reuse its own.
      const portion = source.slice(taken, taken + room);
      socket.write(portion);
      taken += portion.length;
    }
    return taken;
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    // What happened before there was a handler must not be lost.
    setImmediate(() => {
      if (this.handler === handler) this.wake();
    });
  }

  get ended(): boolean {
    const { socket } = this;
    if (this.closed) return true;
    if (this.chunk.length > 0 || socket.readableLength > 0) return false;
    return socket.readableEnded || socket.destroyed;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.setTimeout(LINGER_MS, () => this.socket.destroy());
    this.socket.destroySoon();
  }

  private takesMore(): boolean {
    return !this.closed && this.socket.writable && !this.socket.writableNeedDrain;
  }

  private wake(): void {
    if (!this.closed) this.handler();
  }
}

/** A connected socket as a stream. The socket belongs to the stream from here on: closed with it. */
export function socketStream(socket: Socket): ByteStream {
  return new SocketStream(socket);
}
