/** `paravane console`: a domain's console, for one or several people at once. */
import { InvalidArgumentError } from 'commander';
import { VIEWER_SOCKET } from './console-socket.ts';
import { byteCount, wholeNumber } from './option-values.ts';
import type { StoreCommands } from './store-command.ts';

/** As much of the past as fills some screens. */
const SCROLLBACK_DEFAULT = 16 * 1024;

/** A key as `xenconsole --escape` takes it: `^X` with Ctrl, or a character. */
function parseKey(argument: string): number {
  const [, control] = /^\^([@-_a-z])$/.exec(argument) ?? [];
  if (control !== undefined) return control.charCodeAt(0) & 0x1f;
  if (/^[!-~]$/.test(argument)) return argument.charCodeAt(0);
  throw new InvalidArgumentError('it is one character, or ^ and one for Ctrl: ^A.');
}

/** How long a guest may take to let go of a console. */
const DETACH_PATIENCE_MS = 10_000;

/** Adds the commands to the program. */
export function addConsoleCommands(commands: StoreCommands): void {
  addConsoleCommand(commands);
  addAttachCommand(commands);
  addDetachCommand(commands);
}

function addAttachCommand(commands: StoreCommands): void {
  commands
    .add('console-attach', 'give a running domain a further console', [
      'paravane console-attach web',
      'paravane console-attach web --number 2 --connect-to /run/web-agent.socket',
    ])
    .argument('<domain>', 'its name or its domid')
    .option('-n, --number <number>', 'the number of the console', wholeNumber(1))
    .option('--connect-to <socket>', 'a Unix socket to listen at, instead of a pty')
    .action(async (domain: string, { number, connectTo: socket, ...options }) => {
      const { findDomain } = await import('../xenstore/domain-name.ts');
      const { attachConsole } = await import('./console-device.ts');
      await commands.run(options, async (store) => {
        const domid = await findDomain(store, domain);
        commands.line(String(await attachConsole(store, domid, { number, socket })));
      });
    });
}

function addDetachCommand(commands: StoreCommands): void {
  commands
    .add('console-detach', 'take a further console away from a domain', [
      'paravane console-detach web 1',
    ])
    .argument('<domain>', 'its name or its domid')
    .argument('<number>', 'the number of the console', wholeNumber(1))
    .action(async (domain: string, number: number, options) => {
      const { findDomain } = await import('../xenstore/domain-name.ts');
      const { detachConsole } = await import('./console-device.ts');
      await commands.run(options, async (store) => {
        const domid = await findDomain(store, domain);
        await detachConsole(store, domid, number, DETACH_PATIENCE_MS);
      });
    });
}

function addConsoleCommand(commands: StoreCommands): void {
  commands
    .add('console', 'look at the console of a domain and type at it', [
      'paravane console web',
      'paravane console web --read-only --scrollback 1M',
      'paravane console 3 --number 1 --detach-key ^A --log session.txt',
    ])
    .argument('<domain>', 'its name or its domid')
    .option('-n, --number <number>', 'which of its consoles', wholeNumber(0), 0)
    .option('-r, --read-only', 'look only: what is typed goes nowhere')
    .option('--log <file>', 'append all that is shown to this file')
    .option('--detach-key <key>', 'the key that detaches (default: ^])', parseKey, 0x1d)
    .option('--scrollback <bytes>', 'how much of the past to show', byteCount, SCROLLBACK_DEFAULT)
    .option('--viewer-socket <file>', "the console daemon's socket", VIEWER_SOCKET)
    .action(async (domain: string, options) => {
      const { findDomain } = await import('../xenstore/domain-name.ts');
      const { ConsoleSession } = await import('./console-session.ts');
      await commands.run(options, async (store) => {
        const domid = await findDomain(store, domain);
        store.close();
        const session = new ConsoleSession({
          socket: options.viewerSocket,
          request: {
            domid,
            console: options.number,
            readOnly: options.readOnly === true,
            scrollback: options.scrollback,
          },
          detachKey: options.detachKey,
          logFile: options.log,
          input: process.stdin,
          output: process.stdout,
          // A terminal in raw mode wants both.
          say: (text) => commands.terminal.error(`\r\nparavane: ${text}\r\n`),
        });
        await session.run();
      });
    });
}
