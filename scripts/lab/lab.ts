/** The lab: real Xen in an emulated machine, and commands in its dom0. */
import {
  type FromDom0,
  lineReader,
  type OutputStream,
  type TerminalSize,
  type ToDom0,
} from './agent-protocol.ts';
import { type Machine, type MachineOptions, startMachine } from './machine.ts';
import { DomZeroProcess, type Exit, LabTimeout } from './process.ts';

export interface StartOptions {
  /** Default: the directory we are in, which dom0 has too. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly terminal?: TerminalSize;
}

export interface RunOptions extends StartOptions {
  /** Default: 60 s. */
  readonly timeout_ms?: number;
  /** Its standard input; without, that is empty. */
  readonly input?: string;
}

/** Hears of every command and of what it writes, as it happens. */
export interface LabListener {
  command(id: number, command: string): void;
  output(id: number, stream: OutputStream, data: Buffer): void;
  exit(id: number, code: number): void;
}

/** A machine that boots says something on its console all the time. */
const SILENCE_LIMIT_MS = 90_000;
const FELL_SILENT = `its console was silent for ${SILENCE_LIMIT_MS / 1000} s`;
const BOOT_ATTEMPTS = 3;

const PAUSE_BETWEEN_LOOKS_MS = 250;

const pause = (delay_ms: number) => new Promise((resolve) => setTimeout(resolve, delay_ms));

export class Lab {
  readonly #machine: Machine;
  readonly #listener: LabListener | undefined;
  readonly #processes = new Map<number, DomZeroProcess>();
  #nextId = 1;
  /** Why there is no machine any more. */
  #gone: string | undefined;
  #ready!: () => void;

  /** The processors that PVH guests may run on, as xl has it; all of them when absent. */
  get pvhCpus(): string | undefined {
    return this.#machine.pvhCpus;
  }

  private constructor(machine: Machine, listener: LabListener | undefined) {
    this.#machine = machine;
    this.#listener = listener;
    const read = lineReader<FromDom0>((message) => this.#hear(message));
    machine.channel.on('data', read);
    // The end of the machine is told by `ended`.
    machine.channel.on('error', () => {});
    void machine.ended.then((reason) => {
      this.#gone = `the lab is gone: ${reason}`;
      for (const process of this.#processes.values()) process.failed(this.#gone);
      this.#processes.clear();
    });
  }

  /** Boots Xen and resolves when dom0 takes commands. */
  static async boot(options: MachineOptions, listener?: LabListener): Promise<Lab> {
    for (let attempt = 1; ; attempt++) {
      const lab = new Lab(startMachine(options), listener);
      const failure = await lab.#untilReady();
      if (failure === undefined) return lab;
      const text = `the lab did not boot: ${failure}\n${lab.lastSeen()}`;
      await lab.close();
      // QEMU's emulation of two CPUs hangs once in some dozens of boots, before dom0's kernel speaks.
      if (failure !== FELL_SILENT || attempt === BOOT_ATTEMPTS) throw new LabTimeout(text);
      console.error(`${text}\nlab: boots once more`);
    }
  }

  /** Resolves when dom0 takes commands, or with the reason why it never will. */
  async #untilReady(): Promise<string | undefined> {
    const ready = new Promise<undefined>((resolve) => {
      this.#ready = () => resolve(undefined);
    });
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<string>((resolve) => {
      const look = () => {
        if (this.#machine.silent_ms() > SILENCE_LIMIT_MS) resolve(FELL_SILENT);
      };
      timer = setInterval(look, 1000);
    });
    return Promise.race([ready, silence, this.ended]).finally(() => clearInterval(timer));
  }

  /** Resolves when the machine has ended, with the reason in words. */
  get ended(): Promise<string> {
    return this.#machine.ended;
  }

  /** The end of the console of Xen and of dom0's kernel, for an error message. */
  lastSeen(): string {
    return `--- the console of Xen and dom0 ---\n${this.#machine.consoleTail(30)}`;
  }

  /** Starts a program in dom0, or with one string a shell command, and does not wait for it. */
  start(command: string | readonly string[], options: StartOptions = {}): DomZeroProcess {
    const argv = typeof command === 'string' ? ['bash', '-c', command] : command;
    const text = typeof command === 'string' ? command : command.join(' ');
    const id = this.#nextId++;
    const process = new DomZeroProcess(text, id, (message) => this.#tell(message));
    if (this.#gone !== undefined) {
      process.failed(this.#gone);
      return process;
    }
    this.#processes.set(id, process);
    this.#listener?.command(id, text);
    const { cwd = globalThis.process.cwd(), env = {}, terminal } = options;
    this.#tell({ type: 'run', id, argv, cwd, env, ...(terminal && { terminal }) });
    return process;
  }

  /** Runs a command to its end, whatever its exit status is. */
  async attempt(command: string | readonly string[], options: RunOptions = {}): Promise<Exit> {
    const { timeout_ms = 60_000, input } = options;
    const process = this.start(command, options);
    if (input !== undefined) process.write(input);
    process.endInput();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        process.signal('SIGKILL');
        const what = `${process.command} did not end within ${timeout_ms / 1000} s`;
        reject(new LabTimeout(`${what}\n${process.lastSeen()}\n${this.lastSeen()}`));
      }, timeout_ms);
    });
    return Promise.race([process.exit, late]).finally(() => clearTimeout(timer));
  }

  /** Runs a command and resolves with its standard output. Rejects unless its exit status is 0. */
  async run(command: string | readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(command, options);
    if (code === 0) return stdout;
    throw new Error(
      `${[command].flat().join(' ')}: exit status ${code}\n${stdout}${stderr}`.trimEnd(),
    );
  }

  /** Looks again and again until `look` finds something. `what` names it for the error message. */
  async waitFor<T>(
    what: string,
    look: () => Promise<T | undefined>,
    timeout_ms = 60_000,
  ): Promise<T> {
    const end_ms = performance.now() + timeout_ms;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (performance.now() > end_ms) {
        throw new LabTimeout(`no ${what} within ${timeout_ms / 1000} s\n${this.lastSeen()}`);
      }
      await pause(PAUSE_BETWEEN_LOOKS_MS);
    }
  }

  /** Ends the machine, as by pulling its plug: nothing in it is worth keeping, and /lab is here. */
  async close(): Promise<void> {
    this.#machine.kill();
    await this.#machine.ended;
  }

  #tell(message: ToDom0): void {
    this.#machine.channel.write(`${JSON.stringify(message)}\n`);
  }

  #hear(message: FromDom0): void {
    if (message.type === 'ready') this.#ready();
    else {
      const process = this.#processes.get(message.id);
      if (process !== undefined) this.#hearOf(process, message);
    }
  }

  #hearOf(process: DomZeroProcess, message: Exclude<FromDom0, { type: 'ready' }>): void {
    if (message.type === 'started') process.started(message.pid);
    else if (message.type === 'output') {
      const data = Buffer.from(message.data, 'base64');
      this.#listener?.output(message.id, message.stream, data);
      process.wrote(message.stream, data);
    } else {
      this.#processes.delete(message.id);
      if (message.type === 'failed') process.failed(message.reason);
      else {
        this.#listener?.exit(message.id, message.code);
        process.exited(message.code);
      }
    }
  }
}
