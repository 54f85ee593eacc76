/** Two byte streams joined in memory: what one end writes, the other reads. */
import type { ByteStream } from './byte-stream.ts';
import type { Clock } from './clock.ts';

/** Bytes on their way in one direction, at most `capacity` of them. */
class Queue {
  private readonly bytes: Uint8Array;
  private start = 0;
  length = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  put(source: Uint8Array): number {
    const count = Math.min(source.length, this.bytes.length - this.length);
    const at = (this.start + this.length) % this.bytes.length;
    const first = Math.min(count, this.bytes.length - at);
    this.bytes.set(source.subarray(0, first), at);
    this.bytes.set(source.subarray(first, count), 0);
    this.length += count;
    return count;
  }

  take(target: Uint8Array): number {
    const count = Math.min(target.length, this.length);
    const first = Math.min(count, this.bytes.length - this.start);
    target.set(this.bytes.subarray(this.start, this.start + first));
    target.set(this.bytes.subarray(0, count - first), first);
    this.start = (this.start + count) % this.bytes.length;
    this.length -= count;
    return count;
  }
}

class PipeEnd implements ByteStream {
  private readonly clock: Clock;
  private readonly incoming: Queue;
  private readonly outgoing: Queue;
  private handler: (() => void) | undefined;
  private wakeDue = false;
  peer: PipeEnd | undefined;
  closed = false;

  constructor(clock: Clock, incoming: Queue, outgoing: Queue) {
    this.clock = clock;
    this.incoming = incoming;
    this.outgoing = outgoing;
  }

  read(target: Uint8Array): number {
    if (this.closed) return 0;
    const count = this.incoming.take(target);
    if (count > 0) this.peer?.wake();
    return count;
  }

  write(source: Uint8Array): number {
    if (this.closed || this.peer?.closed === true) return 0;
    const count = this.outgoing.put(source);
    if (count > 0) this.peer?.wake();
    return count;
  }

  onReady(handler: () => void): void {
    this.handler = handler;
    this.wake();
  }

  get ended(): boolean {
    return this.closed || (this.peer?.closed === true && this.incoming.length === 0);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.peer?.wake();
  }

  /** Calls the handler from the event loop, once for all that happened until then. */
  wake(): void {
    if (this.wakeDue || this.closed) return;
    this.wakeDue = true;
    this.clock.after(0, () => {
      this.wakeDue = false;
      if (!this.closed) this.handler?.();
    });
  }
}

/** @param capacity bytes that each direction holds before `write` takes no more */
export function bytePipe(clock: Clock, capacity = 65536): [ByteStream, ByteStream] {
  const there = new Queue(capacity);
  const back = new Queue(capacity);
  const left = new PipeEnd(clock, back, there);
  const right = new PipeEnd(clock, there, back);
  left.peer = right;
  right.peer = left;
  return [left, right];
}
