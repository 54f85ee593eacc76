/** A xenstored behind a socket of its own, and the commands that talk to it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { runProgram } from '../../src/dom0/program.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { listenXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import { startXenstored } from '../../src/xenstored/server.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

export interface Host {
  readonly socket: string;
  /** Runs `paravane` in this process. Each line of output goes to `onLine` at once, too. */
  paravane(args: readonly string[], onLine?: (line: string) => void): Promise<Outcome>;
  /** Runs a program of Debian's, such as `xenstore-ls`. */
  debian(program: string, args: readonly string[]): Promise<Outcome>;
  /** Ends xenstored and all its connections. */
  stop(): void;
  /** Ends xenstored, and starts another that knows nothing of it. */
  restart(): Promise<void>;
}

/** A subcommand on xenstore gets the socket as an option; others have none. */
function withSocket(args: readonly string[], socket: string): string[] {
  const words = args[0] === 'block' || args[0] === 'net' ? 2 : 1;
  return [...args.slice(0, words), '--socket', socket, ...args.slice(words)];
}

/** Resolves with what ends it. */
async function startDaemon(socket: string): Promise<() => void> {
  const xenstored = startXenstored({ clock: nodeClock, log: silentLog });
  let clients = 0;
  const listener = await listenXenstoreSocket(loadNative(), socket, (stream) => {
    clients++;
    xenstored.attachSocket(stream, `client ${clients}`);
  });
  return () => {
    listener.close();
    xenstored.close();
  };
}

export async function startHost(): Promise<Host> {
  const directory = mkdtempSync(join(tmpdir(), 'paravane-'));
  const socket = join(directory, 'socket');
  let end = await startDaemon(socket);
  return {
    socket,
    async paravane(args, onLine = () => {}) {
      let out = '';
      let error = '';
      const terminal = {
        width: 80,
        out: (text: string) => {
          out += text;
          onLine(text);
        },
        error: (text: string) => {
          error += text;
        },
      };
      const code = await runProgram(withSocket(args, socket), [], terminal);
      return { code, out, error };
    },
    debian: (program, args) =>
      new Promise((resolve) => {
        const environment = { ...process.env, XENSTORED_PATH: socket };
        const options = { env: environment, encoding: 'latin1' as const };
        const child = execFile(program, args, options, (_, out, error) => {
          resolve({ code: child.exitCode ?? -1, out, error });
        });
      }),
    async restart() {
      end();
      end = await startDaemon(socket);
    },
    stop() {
      end();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
