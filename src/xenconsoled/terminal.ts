/** What a console is shown on and typed at: in Node a pty, or a Unix socket. */
import type { ByteStream } from '../base/byte-stream.ts';

export interface Terminal extends ByteStream {
  /** What a viewer opens: the value of the console's `tty` node. */
  readonly path: string;
}

/** Which terminal a console wants: a pty, or a socket that listens at `path`. */
export type TerminalPlan = 'pty' | { readonly path: string };

/** Throws an error with a `code` when there can be none. */
export type OpenTerminal = (plan: TerminalPlan) => Terminal;
