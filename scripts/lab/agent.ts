/**
 * Runs in the lab's dom0 and starts there what the outside asks for: agent-protocol.ts, over stdin
 * and stdout. It ends, and dom0 with it, when the outside is gone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { type IPty, spawn as spawnInTerminal } from 'node-pty';
import {
  type FromDom0,
  lineReader,
  type OutputStream,
  type Run,
  type ToDom0,
} from './agent-protocol.ts';

/** A process with pipes or with a terminal, seen alike. */
interface Running {
  readonly pid: number;
  write(data: Buffer): void;
  endInput(): void;
  resize(columns: number, rows: number): void;
}

const running = new Map<number, Running>();

function say(message: FromDom0): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const sayOutput = (id: number, stream: OutputStream, data: Buffer) =>
  say({ type: 'output', id, stream, data: data.toString('base64') });

function sayExit(id: number, code: number | null, signal: number): void {
  running.delete(id);
  say({ type: 'exit', id, code: signal === 0 ? (code ?? 255) : 128 + signal });
}

function withPipes(child: ChildProcess): Running {
  // The process may close its input or end while we still write; that is its own affair.
  child.stdin?.on('error', () => {});
  return {
    pid: child.pid as number,
    write: (data) => child.stdin?.write(data),
    endInput: () => child.stdin?.end(),
    resize: () => {},
  };
}

function startWithPipes({ id, argv, cwd, env }: Run): void {
  const child = spawn(argv[0] as string, argv.slice(1), {
    cwd,
    env: { ...process.env, ...env },
    // A process group of its own, so that a signal reaches all that it starts.
    detached: true,
  });
  child.on('error', (error) => {
    if (!running.delete(id)) say({ type: 'failed', id, reason: error.message });
  });
  if (child.pid === undefined) return;
  running.set(id, withPipes(child));
  say({ type: 'started', id, pid: child.pid });
  child.stdout.on('data', (data) => sayOutput(id, 'stdout', data));
  child.stderr.on('data', (data) => sayOutput(id, 'stderr', data));
  // 'exit' and not 'close': a daemon left in the background may hold the pipes for ever. What the
  // process itself wrote is in the pipes by then, and one turn of the event loop reads it.
  child.on('exit', (code, signal) =>
    setTimeout(() => sayExit(id, code, signal === null ? 0 : constants.signals[signal]), 20),
  );
}

function withTerminal(pty: IPty): Running {
  return {
    pid: pty.pid,
    write: (data) => pty.write(data.toString('utf8')),
    // Ctrl-D, which is what ends input at a terminal.
    endInput: () => pty.write('\u0004'),
    resize: (columns, rows) => pty.resize(columns, rows),
  };
}

function startInTerminal({ id, argv, cwd, env }: Run, columns: number, rows: number): void {
  const pty = spawnInTerminal(argv[0] as string, argv.slice(1), {
    cwd,
    env: { ...process.env, ...env },
    cols: columns,
    rows,
    // Bytes as they come; a character may be split between two chunks.
    encoding: null,
  });
  running.set(id, withTerminal(pty));
  say({ type: 'started', id, pid: pty.pid });
  pty.onData((data) => sayOutput(id, 'stdout', Buffer.from(data)));
  pty.onExit(({ exitCode, signal }) => sayExit(id, exitCode, signal ?? 0));
}

function start(run: Run): void {
  try {
    if (run.terminal === undefined) startWithPipes(run);
    else startInTerminal(run, run.terminal.columns, run.terminal.rows);
  } catch (error) {
    say({ type: 'failed', id: run.id, reason: String(error) });
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended in the meantime.
  }
}

function obey(message: ToDom0): void {
  if (message.type === 'run') start(message);
  else {
    const target = running.get(message.id);
    if (target !== undefined) tell(target, message);
  }
}

function tell(target: Running, message: Exclude<ToDom0, { type: 'run' }>): void {
  if (message.type === 'input') target.write(Buffer.from(message.data, 'base64'));
  else if (message.type === 'end-of-input') target.endInput();
  else if (message.type === 'resize')
    target.resize(message.terminal.columns, message.terminal.rows);
  else signalGroup(target.pid, message.signal);
}

process.stdin.on('data', lineReader<ToDom0>(obey)).on('end', () => process.exit(0));
say({ type: 'ready' });
