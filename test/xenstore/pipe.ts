/** Two byte streams, joined: what one end writes the other reads. */
import type { ByteStream } from '../../src/base/byte-stream.ts';

/** One end. Its faults are on demand: short reads and writes, a peer that ends. */
export class PipeEnd implements ByteStream {
  peer: PipeEnd | undefined;
  incoming: number[] = [];
  closed = false;
  private readonly capacity: number;
  private readonly moveMax: number;
  private handler: () => void = () => {};

  constructor(capacity: number, moveMax: number) {
    this.capacity = capacity;
    this.moveMax = moveMax;
  }

  read(target: Uint8Array): number {
    const taken = this.incoming.splice(0, Math.min(target.length, this.moveMax));
    target.set(taken);
    if (taken.length > 0) this.peer?.wakeSoon();
    // A short read leaves bytes; this pipe then calls again, as a ring does when more arrives.
    if (this.incoming.length > 0) this.wakeSoon();
    return taken.length;
  }

  write(source: Uint8Array): number {
    const { peer } = this;
    if (this.closed || peer === undefined || peer.closed) return 0;
    const room = this.capacity - peer.incoming.length;
    const length = Math.min(room, source.length, this.moveMax);
    for (const byte of source.subarray(0, length)) peer.incoming.push(byte);
    if (length > 0) peer.wakeSoon();
    return length;
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    this.wakeSoon();
  }

  get ended(): boolean {
    return this.closed || (this.peer?.closed === true && this.incoming.length === 0);
  }

  close(): void {
    this.closed = true;
    this.peer?.wakeSoon();
  }

  private wakeSoon(): void {
    setImmediate(() => {
      if (!this.closed) this.handler();
    });
  }
}

/**
 * @param capacity bytes that one direction holds
 * @param moveMax bytes that one read or write moves at most
 */
export function pipe(capacity = 1 << 20, moveMax = 1 << 20): [PipeEnd, PipeEnd] {
  const left = new PipeEnd(capacity, moveMax);
  const right = new PipeEnd(capacity, moveMax);
  left.peer = right;
  right.peer = left;
  return [left, right];
}
