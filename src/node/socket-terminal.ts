/** A Unix socket as a console's terminal: raw bytes, for one client at a time, who may leave and come back. */
import { lstatSync, rmSync, unlinkSync } from 'node:fs';
import type { ByteStream } from '../base/byte-stream.ts';
import { type NativeUnixSocket, servedTogether, UnixSocketListener } from './unix-socket.ts';

export class SocketTerminal implements ByteStream {
  readonly path: string;
  private readonly listener: UnixSocketListener;
  private client: ByteStream | undefined;
  private handler: () => void = () => {};
  private closed = false;

  /**
   * Listens at `path` with mode 0600, in the place of a socket that was left there. Throws an error
   * with a `code` when that can't be.
   */
  constructor(native: NativeUnixSocket, path: string) {
    this.path = path;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
    const umask = process.umask(0o177);
    try {
      const clients = servedTogether(native, (stream) => this.accept(stream));
      this.listener = UnixSocketListener.listen(native, path, clients);
    } finally {
      process.umask(umask);
    }
  }

  read(target: Uint8Array): number {
    return this.client?.read(target) ?? 0;
  }

  /** Takes nothing while there is no client: what is printed waits for one. */
  write(source: Uint8Array): number {
    return this.client?.write(source) ?? 0;
  }

  onReady(handler: () => void): void {
    this.handler = handler;
  }

  /** A client's leaving does not end it. */
  get ended(): boolean {
    return this.closed;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.client?.close();
    this.listener.close();
    rmSync(this.path, { force: true });
  }

  private accept(stream: ByteStream): void {
    if (this.client !== undefined) {
      stream.close();
      return;
    }
    this.client = stream;
    stream.onReady(() => {
      this.handler();
      if (!stream.ended) return;
      stream.close();
      if (this.client === stream) this.client = undefined;
    });
    this.handler();
  }
}
