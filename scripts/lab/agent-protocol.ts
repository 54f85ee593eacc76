/**
 * What the machine outside and the agent in dom0 say to each other over a virtio-serial port: one
 * JSON value a line. Bytes travel as base64. `id` is chosen by the outside, one for each process.
 */

export interface Run {
  readonly type: 'run';
  readonly id: number;
  /** Program and arguments; no shell. */
  readonly argv: readonly string[];
  readonly cwd: string;
  /** Added to the agent's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** A terminal of this size for the process, whose output is then all stdout. */
  readonly terminal?: TerminalSize;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export type ToDom0 =
  | Run
  | { readonly type: 'input'; readonly id: number; readonly data: string }
  | { readonly type: 'end-of-input'; readonly id: number }
  | { readonly type: 'resize'; readonly id: number; readonly terminal: TerminalSize }
  /** Goes to the whole process group. */
  | { readonly type: 'signal'; readonly id: number; readonly signal: NodeJS.Signals };

export type OutputStream = 'stdout' | 'stderr';

export type FromDom0 =
  | { readonly type: 'ready' }
  | { readonly type: 'started'; readonly id: number; readonly pid: number }
  | {
      readonly type: 'output';
      readonly id: number;
      readonly stream: OutputStream;
      readonly data: string;
    }
  /** `code` is as a shell has it: 128 plus the signal's number for a process that was killed. */
  | { readonly type: 'exit'; readonly id: number; readonly code: number }
  | { readonly type: 'failed'; readonly id: number; readonly reason: string };

/** Collects chunks of bytes and hands out each whole line, decoded. */
export function lineReader<Message>(
  onMessage: (message: Message) => void,
): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder();
  let rest = '';
  return (chunk) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onMessage(JSON.parse(line) as Message);
  };
}
