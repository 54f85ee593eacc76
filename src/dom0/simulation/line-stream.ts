/** A byte stream as a program wants it that waits: whole writes, and reads up to a newline or a prompt. */
import type { ByteStream } from '../../base/byte-stream.ts';
import { latin1Decode, latin1Encode } from '../../base/bytes.ts';
import { XenError } from '../../base/errors.ts';

const READ_BYTES = 4096;

interface Reader {
  readonly until: string;
  readonly resolve: (text: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

export class LineStream {
  private readonly stream: ByteStream;
  private readonly chunk = new Uint8Array(READ_BYTES);
  /** What has arrived and nobody has read, one character a byte. */
  private text = '';
  private reader: Reader | undefined;
  private unsent: Uint8Array = new Uint8Array(0);
  private sent: (() => void)[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.onReady(() => this.move());
  }

  /** Resolves when the stream has taken all of `bytes`. One write at a time. */
  async write(bytes: Uint8Array): Promise<void> {
    this.unsent = bytes;
    await this.drained();
  }

  /** Resolves when nothing waits to be written. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.sent.push(resolve);
      this.move();
    });
  }

  /** The next line, without its end. One read at a time. */
  readLine(): Promise<Uint8Array> {
    return this.readUntil('\n');
  }

  /** All up to and without `until`, which is taken too. Rejects with ECONNRESET when the stream ends before. */
  readUntil(until: string): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.reader = { until, resolve, reject };
      this.move();
    });
  }

  private move(): void {
    for (let n = this.stream.read(this.chunk); n > 0; n = this.stream.read(this.chunk)) {
      this.text += latin1Decode(this.chunk, 0, n);
    }
    const { reader } = this;
    if (reader !== undefined) this.serve(reader);
    while (this.unsent.length > 0) {
      const taken = this.stream.write(this.unsent);
      if (taken === 0) return;
      this.unsent = this.unsent.subarray(taken);
    }
    for (const resolve of this.sent.splice(0)) resolve();
  }

  private serve(reader: Reader): void {
    const at = this.text.indexOf(reader.until);
    if (at >= 0) {
      this.reader = undefined;
      const found = this.text.slice(0, at);
      this.text = this.text.slice(at + reader.until.length);
      reader.resolve(latin1Encode(found));
    } else if (this.stream.ended) {
      this.reader = undefined;
      reader.reject(new XenError('ECONNRESET', 'read a line', 'the stream has ended'));
    }
  }
}
