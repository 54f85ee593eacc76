/** How a stream over a ring ends, and how its owner hears of that and of all else. */
import { XenError } from '../base/errors.ts';

export class StreamEnd {
  private readonly onWake: () => void;
  private failure: XenError | undefined;
  private isClosed = false;

  /** @param onWake lets the stream's owner look again; not called after `close` */
  constructor(onWake: () => void) {
    this.onWake = onWake;
  }

  /** True after the peer broke a rule, when `error` says which, and after `close`. */
  get over(): boolean {
    return this.isClosed || this.failure !== undefined;
  }

  get closed(): boolean {
    return this.isClosed;
  }

  /** Why the stream ended by itself: a `ProtocolViolation`, or the binding's refusal to notify. */
  get error(): XenError | undefined {
    return this.failure;
  }

  /** Closes the stream, and returns whether that was still to be done. */
  close(): boolean {
    const { isClosed } = this;
    this.isClosed = true;
    return !isClosed;
  }

  /** Ends the stream for an operating error, and tells its owner. A bug of ours goes on up. */
  fail(error: unknown): 0 {
    if (!(error instanceof XenError)) throw error;
    this.failure ??= error;
    this.wakeSoon();
    return 0;
  }

  /** For the event loop to call. */
  wake(): void {
    if (!this.isClosed) this.onWake();
  }

  wakeSoon(): void {
    void Promise.resolve().then(() => this.wake());
  }
}
