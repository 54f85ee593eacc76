/** Reads from a socket as many bytes as are wanted, straight into the memory where they belong. */
import type { Socket } from 'node:net';
import { errorMessage, XenError } from '../base/errors.ts';

export class SocketReader {
  private readonly socket: Socket;
  private readonly chunks: Uint8Array[] = [];
  private wanted:
    | { target: Uint8Array; filled: number; done: () => void; fail: (e: XenError) => void }
    | undefined;
  private failure: XenError | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.take(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? 'ENOENT' : 'EIO';
      this.end(new XenError(code, 'read from a server', errorMessage(error), error));
    });
    socket.on('close', () => {
      this.end(new XenError('ECONNRESET', 'read from a server', 'it has closed the connection'));
    });
  }

  /** Fills `target`; one call at a time. Rejects when the connection ends first. */
  fill(target: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.wanted = { target, filled: 0, done: resolve, fail: reject };
      this.deliver();
    });
  }

  private take(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    // What nobody has asked for yet waits in the kernel.
    if (this.wanted === undefined) this.socket.pause();
    this.deliver();
  }

  private deliver(): void {
    const { wanted } = this;
    if (wanted === undefined) return;
    while (wanted.filled < wanted.target.length && this.chunks.length > 0) {
      const chunk = this.chunks[0]!;
      const room = wanted.target.length - wanted.filled;
      wanted.target.set(chunk.subarray(0, room), wanted.filled);
      wanted.filled += Math.min(room, chunk.length);
      if (room < chunk.length) this.chunks[0] = chunk.subarray(room);
      else this.chunks.shift();
    }
    if (wanted.filled === wanted.target.length) {
      this.wanted = undefined;
      wanted.done();
    } else if (this.failure !== undefined) {
      this.wanted = undefined;
      wanted.fail(this.failure);
    } else if (this.socket.isPaused()) {
      this.socket.resume();
    }
  }

  private end(error: XenError): void {
    this.failure ??= error;
    this.deliver();
  }
}
