/**
 * Bytes in order, both ways, without blocking: what a console ring, a vchan, a xenstore ring, a
 * Unix socket and a pty have in common. The shape follows a byte ring: take what is there, put what
 * fits, be told when to try again. So back pressure needs no buffer between the two sides.
 */
export interface ByteStream {
  /** Copies what has arrived into `target`; returns how many bytes, 0 when none are there now. */
  read(target: Uint8Array): number;
  /**
   * Takes what fits now from `source`; returns how many bytes, 0 when the stream is full. Only after a
   * 0 is it sure to be told when it no longer is: who had less taken than he has goes on until then.
   */
  write(source: Uint8Array): number;
  /**
   * The one function to call when `read`, `write` or `ended` may answer differently than before.
   * Called from the event loop, never from within `read`, `write` or `onReady` itself. May be
   * called without cause. A handler that returns with bytes unread is called again once more
   * arrive; it must not count on being called for those that it left.
   */
  onReady(handler: () => void): void;
  /** True once the peer is gone and every byte it sent has been read. */
  readonly ended: boolean;
  /** Lets go of the stream. Idempotent. Bytes already accepted by `write` are still delivered if the peer lives. */
  close(): void;
}
