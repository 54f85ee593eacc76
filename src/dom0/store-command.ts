/** What all commands on xenstore have in common: their options, their connection, their end. */
import { type Command, InvalidArgumentError } from 'commander';
import { errorMessage } from '../base/errors.ts';
import { logTo } from '../base/log.ts';
import { loadNative } from '../hypervisor/linux/native.ts';
import { connectXenstore, followXenstore } from '../node/xenstore-access.ts';
import { absoluteOrSpecialPath } from '../xenstore/path.ts';
import type { Xenstore, XenstoreNodes } from '../xenstore/xenstore.ts';
import { EXIT_OK } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';
import { typedBytes } from './value-text.ts';

/** What a command does once it is connected; resolves with its exit code, or nothing for success. */
type Body = (store: Xenstore) => Promise<number | void>;

interface ConnectionOptions {
  readonly socket?: string;
}

const accessOf = ({ socket }: ConnectionOptions) => ({ native: loadNative, path: socket });

export class StoreCommands {
  readonly terminal: Terminal;
  private readonly program: Command;
  private readonly setExitCode: (code: number) => void;

  constructor(program: Command, terminal: Terminal, setExitCode: (code: number) => void) {
    this.program = program;
    this.terminal = terminal;
    this.setExitCode = setExitCode;
  }

  /** Adds a command to the program; its arguments, options and action are up to the caller. */
  add(name: string, summary: string, examples: readonly string[]): Command {
    return this.program
      .command(name)
      .summary(summary)
      .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
      .option('--socket <file>', "xenstored's socket or device, instead of the usual one")
      .addHelpText('after', `\nExamples:\n${examples.map((text) => `  ${text}\n`).join('')}`);
  }

  /** Connects, runs `body` and disconnects. */
  async run(options: ConnectionOptions, body: Body): Promise<void> {
    await this.runOn(await connectXenstore(accessOf(options)), body);
  }

  /** As `run`, for a body that looks on for long: it goes on with the next xenstored. */
  async follow(options: ConnectionOptions, body: Body): Promise<void> {
    const log = logTo((level, message) => {
      if (level !== 'debug') this.terminal.error(`paravane: ${message}\n`);
    });
    await this.runOn(await followXenstore(accessOf(options), log), body);
  }

  private async runOn(store: Xenstore, body: Body): Promise<void> {
    try {
      this.setExitCode((await body(store)) ?? EXIT_OK);
    } finally {
      store.close();
    }
  }

  /** Prints rows of cells, in columns. */
  table(rows: readonly (readonly string[])[]): void {
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
    for (const row of rows) {
      const cells = row.map((cell, column) => cell.padEnd(widths[column]!));
      this.line(cells.join('  ').trimEnd());
    }
  }

  /** Prints a line of ASCII. */
  line(text: string): void {
    this.terminal.out(`${text}\n`);
  }
}

/** What the help says of a path. */
export const PATH_HELP = 'absolute, or relative to the home of the domain';

/** The argument, which must be a path. Throws commander's `InvalidArgumentError` with the rule. */
export function parsePath(argument: string): string {
  try {
    // Any home would do: only xenstored knows which one a relative path will stand under.
    absoluteOrSpecialPath(typedBytes(argument), '/local/domain/0');
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
  return argument;
}

/** For an argument that may be given many times: commander hands over what came before. */
export function collect<Value>(parse: (argument: string) => Value) {
  return (argument: string, previous: Value[] | undefined): Value[] => [
    ...(previous ?? []),
    parse(argument),
  ];
}

/** One operation needs no transaction; several happen together or not at all. */
export function together<Result>(
  store: Xenstore,
  many: boolean,
  body: (nodes: XenstoreNodes) => Promise<Result>,
): Promise<Result> {
  return many ? store.transaction(body) : body(store);
}
