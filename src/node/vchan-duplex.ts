/**
 * A vchan as a `Duplex`, so that `pipeline()`, TLS and HTTP run over it.
 *
 * A vchan closes as a whole. `end()` therefore waits until the peer has read everything, and then
 * both directions are over; what the peer had sent by then can still be read here.
 */
import { Duplex } from 'node:stream';
import { XenError } from '../base/errors.ts';
import type { Vchan } from '../vchan/vchan.ts';

/** Bytes taken from the ring at a time. */
const PORTION = 65_536;
/** What is read before it has a buffer of its own size. */
const scratch = new Uint8Array(PORTION);

type Done = (error?: Error | null) => void;

class VchanDuplex extends Duplex {
  private readonly vchan: Vchan;
  /** The stream's consumer has asked for bytes that had not come yet. */
  private readWanted = false;
  private unwritten: { rest: Uint8Array; readonly done: Done } | undefined;
  private finishing: Done | undefined;

  constructor(vchan: Vchan) {
    super({ allowHalfOpen: false });
    this.vchan = vchan;
    vchan.onReady(() => this.advance());
  }

  override _read(): void {
    this.readWanted = true;
    this.readMore();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.unwritten = { rest: chunk, done };
    this.writeMore();
  }

  override _final(done: Done): void {
    this.finishing = done;
    this.finish();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.vchan.close();
    done(error);
  }

  private advance(): void {
    this.readMore();
    this.writeMore();
    this.finish();
  }

  private readMore(): void {
    while (this.readWanted && !this.readableEnded) {
      const length = this.vchan.read(scratch);
      if (length === 0) {
        if (this.vchan.ended) this.endOfBytes();
        return;
      }
      this.readWanted = this.push(Buffer.from(scratch.subarray(0, length)));
    }
  }

  private endOfBytes(): void {
    this.readWanted = false;
    const { error } = this.vchan;
    if (error === undefined) this.push(null);
    else this.destroy(error);
  }

  private writeMore(): void {
    const { unwritten, vchan } = this;
    if (unwritten === undefined) return;
    unwritten.rest = unwritten.rest.subarray(vchan.write(unwritten.rest));
    if (unwritten.rest.length > 0 && !vchan.peerGone) return;
    this.unwritten = undefined;
    unwritten.done(unwritten.rest.length > 0 ? this.peerIsGone() : null);
  }

  private peerIsGone(): XenError {
    const reason = this.vchan.error;
    return reason ?? new XenError('ECONNRESET', 'write to a vchan', 'its other end is gone');
  }

  /** Closes the vchan once the peer has all that was written. */
  private finish(): void {
    const done = this.finishing;
    if (done === undefined || this.vchan.unread > 0) return;
    this.finishing = undefined;
    // Whatever the consumer's pace: from here on nobody keeps the bytes for it.
    for (let length = this.vchan.read(scratch); length > 0; length = this.vchan.read(scratch)) {
      this.push(Buffer.from(scratch.subarray(0, length)));
    }
    this.vchan.close();
    if (!this.readableEnded) this.push(null);
    done();
  }
}

/** The vchan belongs to the stream from here on: closed with it. A breach of its rules destroys the stream. */
export function vchanDuplex(vchan: Vchan): Duplex {
  return new VchanDuplex(vchan);
}
