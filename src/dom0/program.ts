/** The command line of `paravane`. */
import { Command, CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { errorMessage } from '../base/errors.ts';
import { addBlockCommand } from './block-command.ts';
import { addBuildCommand } from './build-command.ts';
import { addConsoleCommands } from './console-command.ts';
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from './exit-codes.ts';
import { addNetCommand } from './net-command.ts';
import { addNewCommand } from './new-command.ts';
import { addRunCommand, type Service } from './run-command.ts';
import { addSimCommand } from './sim-command.ts';
import { StoreCommands } from './store-command.ts';
import { addReadingCommands } from './store-reading.ts';
import { addWritingCommands } from './store-writing.ts';
import type { Terminal } from './terminal.ts';
import { addTopCommand } from './top-command.ts';
import { addTraceCommand } from './trace-command.ts';
import { addVchanCommand } from './vchan-command.ts';

const HELP_AFTER = `
Values are shown and typed as by the xenstore-* commands: printable ASCII as it
stands, other bytes as \\t \\n \\r \\\\ \\ooo \\xhh.

Exit codes:
  ${EXIT_OK}  all went well
  ${EXIT_FAILED}  the operation failed, and stderr says why; for exists: a node is missing
  ${EXIT_USAGE}  the command line makes no sense

Environment:
  XENSTORED_PATH    xenstored's socket
  XENSTORED_RUNDIR  the directory of the socket, /run/xenstored if not set

Examples:
  paravane ls -f /local/domain/1
  paravane write /tool/greeting hello
  paravane watch -n 2 @releaseDomain
  paravane block attach guest /srv/data.img
  paravane net capture guest -w guest.pcap
  paravane read --help
`;

/**
 * Runs one command line and resolves with its exit code.
 *
 * @param args what follows the name of the program
 */
export async function runProgram(
  args: readonly string[],
  services: readonly Service[],
  terminal: Terminal,
): Promise<number> {
  let exitCode = EXIT_OK;
  const program = new Command('paravane')
    .description("Xen's paravirtual userland: look into xenstore, and run the host's services.")
    .version(packageJson.version, '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', HELP_AFTER)
    // The options of a service are its own, whatever the program's are called.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.error(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'paravane: ')),
    });
  const setExitCode = (code: number) => {
    exitCode = code;
  };
  const commands = new StoreCommands(program, terminal, setExitCode);
  addReadingCommands(commands);
  addWritingCommands(commands);
  addTraceCommand(commands);
  addTopCommand(commands);
  addVchanCommand(program);
  addBlockCommand(program, terminal, setExitCode);
  addNetCommand(program, terminal, setExitCode);
  addConsoleCommands(commands);
  addRunCommand(program, services);
  addBuildCommand(program, terminal);
  addNewCommand(program, terminal);
  addSimCommand(program, terminal, setExitCode);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has said what was wrong with the command line, or has shown the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    terminal.error(`paravane: ${errorMessage(error)}\n`);
    return EXIT_FAILED;
  }
}
