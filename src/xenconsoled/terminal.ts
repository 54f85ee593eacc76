/** What a console is shown on and typed at: in Node a pty. */
import type { ByteStream } from '../base/byte-stream.ts';

export interface Terminal extends ByteStream {
  /** What a viewer opens: the value of the console's `tty` node. */
  readonly path: string;
}
