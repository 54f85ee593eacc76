/** A process in the lab's dom0, seen from outside. */
import type { OutputStream, TerminalSize, ToDom0 } from './agent-protocol.ts';

export interface Exit {
  /** As a shell has it: 128 plus the signal's number for a process that was killed. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Something took longer than it was given. The message says what was last seen. */
export class LabTimeout extends Error {
  override readonly name = 'LabTimeout';
}

/** The last `count` lines of `text`. */
function tail(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

export class DomZeroProcess {
  /** Resolves when the process has ended; rejects if it never started or the lab ended first. */
  readonly exit: Promise<Exit>;
  /** Resolves with the process id in dom0. */
  readonly pid: Promise<number>;
  /** Everything it wrote so far, in the order in which it came. */
  output = '';
  /** Called with what it writes, as it comes. */
  onOutput: (stream: OutputStream, data: Buffer) => void = () => {};

  /** What runs, for messages. */
  readonly command: string;
  readonly #id: number;
  readonly #tell: (message: ToDom0) => void;
  readonly #chunks: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
  readonly #waiting = new Set<() => void>();
  /** How it ended, in words, once it has. */
  #ending: string | undefined;
  #onPid!: (pid: number) => void;
  #onExit!: (exit: Exit) => void;
  #onFailure!: (error: Error) => void;

  /**
   * @param command what runs, for messages
   * @param id the agent's name for it
   * @param tell sends to the agent
   */
  constructor(command: string, id: number, tell: (message: ToDom0) => void) {
    this.command = command;
    this.#id = id;
    this.#tell = tell;
    this.pid = new Promise((resolve) => {
      this.#onPid = resolve;
    });
    this.exit = new Promise((resolve, reject) => {
      this.#onExit = resolve;
      this.#onFailure = reject;
    });
    // Who started a background process need not wait for its end.
    this.exit.catch(() => {});
  }

  write(text: string | Buffer): void {
    const data = Buffer.from(text as string).toString('base64');
    this.#tell({ type: 'input', id: this.#id, data });
  }

  endInput(): void {
    this.#tell({ type: 'end-of-input', id: this.#id });
  }

  resize(terminal: TerminalSize): void {
    this.#tell({ type: 'resize', id: this.#id, terminal });
  }

  /** Sends a signal to the process and to all that it started. */
  signal(signal: NodeJS.Signals): void {
    if (this.#ending === undefined) this.#tell({ type: 'signal', id: this.#id, signal });
  }

  /** SIGTERM, and SIGKILL if that has not ended it in time. Resolves when it has ended. */
  async stop(grace_ms = 20_000): Promise<Exit> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), grace_ms);
    return this.exit.finally(() => clearTimeout(timer));
  }

  /**
   * Resolves with the match once what the process wrote matches `pattern`. Output before `from`
   * (an earlier `output.length`) does not count. Rejects when the process ends first.
   */
  waitFor(pattern: RegExp, timeout_ms: number, from = 0): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        act();
      };
      const look = () => {
        const match = pattern.exec(this.output.slice(from));
        if (match !== null) settle(() => resolve(match));
        else if (this.#ending !== undefined)
          settle(() => reject(new Error(`${this.command} ended first\n${this.lastSeen()}`)));
      };
      const timer = setTimeout(() => {
        const what = `${this.command} did not say ${pattern} within ${timeout_ms / 1000} s`;
        settle(() => reject(new LabTimeout(`${what}\n${this.lastSeen()}`)));
      }, timeout_ms);
      this.#waiting.add(look);
      look();
    });
  }

  /** How it is and the end of what it wrote, for an error message. */
  lastSeen(): string {
    const state = this.#ending ?? 'runs';
    return `--- ${this.command}: ${state}; its last output: ---\n${tail(this.output, 30)}`;
  }

  /** From the agent. */
  started(pid: number): void {
    this.#onPid(pid);
  }

  /** From the agent. */
  wrote(stream: OutputStream, data: Buffer): void {
    this.#chunks[stream].push(data);
    this.output += data.toString('utf8');
    this.onOutput(stream, data);
    for (const look of [...this.#waiting]) look();
  }

  /** From the agent. */
  exited(code: number): void {
    const text = (stream: OutputStream) => Buffer.concat(this.#chunks[stream]).toString('utf8');
    const exit = { code, stdout: text('stdout'), stderr: text('stderr') };
    this.#end(`exit status ${code}`, () => this.#onExit(exit));
  }

  /** It could not be started, or dom0 is gone. */
  failed(reason: string): void {
    this.#end(reason, () => this.#onFailure(new Error(`${this.command}: ${reason}`)));
  }

  #end(ending: string, settle: () => void): void {
    this.#ending = ending;
    settle();
    for (const look of [...this.#waiting]) look();
  }
}
