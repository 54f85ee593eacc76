/** Two ends of an event channel without a hypervisor: signals arrive when the test delivers them. */
import { type EventPort, eventPort } from '../../src/base/ids.ts';
import type { EventChannel } from '../../src/hypervisor/contract.ts';

export class FakeChannel implements EventChannel {
  readonly port: EventPort = eventPort(1);
  peer: FakeChannel | undefined;
  /** How often this end has signalled its peer. */
  notified = 0;
  /** What `notify` throws, if it is to fail. */
  refusal: Error | undefined;
  closed = false;
  private pending = false;
  private handler: (() => void) | undefined;

  notify(): void {
    if (this.closed) throw new TypeError('the channel is closed');
    if (this.refusal !== undefined) throw this.refusal;
    this.notified++;
    if (this.peer !== undefined) this.peer.pending = true;
  }

  onEvent(handler: () => void): void {
    this.handler = handler;
  }

  /** Runs the handler if a signal is pending; says whether it did. */
  deliver(): boolean {
    if (!this.pending || this.handler === undefined || this.closed) return false;
    this.pending = false;
    this.handler();
    return true;
  }

  pause(): void {
    throw new Error('a ring stream does not pause its channel');
  }

  resume(): void {
    throw new Error('a ring stream does not resume its channel');
  }

  close(): void {
    this.closed = true;
  }
}

export function channelPair(): [FakeChannel, FakeChannel] {
  const left = new FakeChannel();
  const right = new FakeChannel();
  left.peer = right;
  right.peer = left;
  return [left, right];
}

/** Lets everything run that the current turn of the event loop has put off to its end. */
export async function turnEnds(): Promise<void> {
  for (let n = 0; n < 4; n++) await Promise.resolve();
}
