import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectXenstoreSocket } from '../../src/node/xenstore-socket.ts';

const PARAVANE = ['--import', 'tsx', join(import.meta.dirname, '../../src/dom0/paravane.ts')];

let directory: string;
let socket: string;
let pidFile: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-run-'));
  socket = join(directory, 'socket');
  pidFile = join(directory, 'pid');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

/** Runs `paravane` and resolves when it has ended. */
async function paravane(...args: string[]): Promise<Ended> {
  try {
    const { stderr } = await promisify(execFile)(process.execPath, [...PARAVANE, ...args]);
    return { code: 0, stderr };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { code, stderr };
  }
}

/** Starts `paravane run xenstored` in the foreground and resolves when it is ready. */
async function startXenstored(...options: string[]) {
  const args = [...PARAVANE, 'run', 'xenstored', '-D', '--socket', socket, ...options];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  const ended = new Promise<Ended>((resolve) => {
    child.on('exit', (code) => resolve({ code, stderr }));
  });
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (data) => {
      stderr += data;
      if (stderr.includes('is ready')) resolve();
    });
    void ended.then(() => reject(new Error(stderr)));
  });
  return { child, ended, said: () => stderr };
}

async function endOf(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM');
  while (existsSync(pidFile)) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('paravane run', () => {
  test('serves until SIGTERM, then ends with 0 and takes socket and pid file away', async () => {
    const daemon = await startXenstored('--pid-file', pidFile);
    expect(Number(readFileSync(pidFile, 'utf8'))).toBe(daemon.child.pid);
    const store = await connectXenstoreSocket(socket);
    await store.write('/tool/greeting', 'hello');
    expect(await store.read('/tool/greeting')).toBe('hello');
    store.close();
    daemon.child.kill('SIGTERM');
    expect((await daemon.ended).code).toBe(0);
    expect(existsSync(socket)).toBe(false);
    expect(existsSync(pidFile)).toBe(false);
  });

  test('goes to the background once it serves, when asked to', async () => {
    const log = join(directory, 'log');
    const options = ['--socket', socket, '--daemon', '--pid-file', pidFile, '--log-file', log];
    const { code, stderr } = await paravane('run', 'xenstored', '-D', ...options);
    expect(code).toBe(0);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(stderr).toContain(`in the background as process ${pid}`);
    expect(readFileSync(log, 'utf8')).toContain('xenstored is ready');

    const again = await paravane('run', 'xenstored', '-D', ...options);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain(`process ${pid}`);
    const noLog = [...options.slice(0, -1), '/nonexistent/log'];
    expect(await paravane('run', 'xenstored', '-D', ...noLog)).toMatchObject({ code: 1 });
    const store = await connectXenstoreSocket(socket);
    expect(await store.list('/tool')).toEqual(['xenstored']);
    store.close();
    await endOf(pid);
  });

  test('refuses a socket and a pid file that another process holds, and names it', async () => {
    const daemon = await startXenstored('--pid-file', pidFile);
    const second = await paravane('run', 'xenstored', '-D', '--socket', socket);
    expect(second).toMatchObject({ code: 1 });
    expect(second.stderr).toContain(`process ${daemon.child.pid}`);
    const third = await paravane(
      ...['run', 'xenstored', '-D', '--socket', `${socket}2`, '--pid-file', pidFile],
    );
    expect(third).toMatchObject({ code: 1 });
    expect(third.stderr).toContain(`process ${daemon.child.pid} runs already`);
    expect(Number(readFileSync(pidFile, 'utf8'))).toBe(daemon.child.pid);
    daemon.child.kill('SIGTERM');
    await daemon.ended;
  });

  test('goes on from the journal of one that was killed', async () => {
    const options = ['--journal', join(directory, 'journal')];
    const killed = await startXenstored(...options);
    const store = await connectXenstoreSocket(socket);
    await store.write('/kept', 'value');
    killed.child.kill('SIGKILL');
    await killed.ended;
    store.close();
    const next = await startXenstored(...options);
    const again = await connectXenstoreSocket(socket);
    expect(await again.read('/kept')).toBe('value');
    again.close();
    next.child.kill('SIGTERM');
    await next.ended;
  });

  test('refuses a file that is no journal, and leaves it as it is', async () => {
    const file = join(directory, 'journal');
    writeFileSync(file, 'a letter');
    const args = ['run', 'xenstored', '-D', '--socket', socket, '--journal', file];
    const { code, stderr } = await paravane(...args);
    expect(code).toBe(1);
    expect(stderr).toContain('a journal begins with "paravane xenstored journal"');
    expect(readFileSync(file, 'utf8')).toBe('a letter');
  });

  test('takes over the pid file of a process that is gone', async () => {
    writeFileSync(pidFile, '4194999\n');
    const daemon = await startXenstored('--pid-file', pidFile);
    expect(Number(readFileSync(pidFile, 'utf8'))).toBe(daemon.child.pid);
    daemon.child.kill('SIGTERM');
    await daemon.ended;
  });

  test('sets quotas by the flags of the C daemon', async () => {
    const daemon = await startXenstored('-E', '7', '-Q', 'outstanding=3', '-q', 'memory=9000');
    const store = await connectXenstoreSocket(socket);
    const quotas = await store.control('quota');
    expect(quotas).toMatch(/^nodes +: +7 /m);
    expect(quotas).toMatch(/^outstanding +: +3 /m);
    expect(await store.control('quota-soft')).toMatch(/^memory +: +9000 /m);
    store.close();
    daemon.child.kill('SIGTERM');
    await daemon.ended;
  });

  test('writes requests, replies and events to the trace file', async () => {
    const trace = join(directory, 'trace');
    const daemon = await startXenstored('--trace-file', trace);
    const store = await connectXenstoreSocket(socket);
    const seen = new Promise<void>((resolve) => {
      void store.watch('/tool/traced', () => resolve());
    });
    await seen;
    await store.write('/tool/traced', '1');
    store.close();
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    const text = readFileSync(trace, 'utf8');
    expect(text).toMatch(/^IN socket 1 .* WRITE \(\/tool\/traced 1\)$/m);
    expect(text).toMatch(/^OUT socket 1 .* WRITE \(OK \)$/m);
    expect(text).toMatch(/^OUT socket 1 .* WATCH_EVENT \(\/tool\/traced /m);
  });

  test.each([
    [['run', 'nothing'], 2, "unknown command 'nothing'"],
    [['run', 'xenstored', '-E', 'many'], 2, 'whole number'],
    [['run', 'xenstored', '-Q', 'unheard-of=3'], 2, '<what> one of nodes'],
    [['run', 'xenstored', '-D', '--socket', '/nonexistent/socket'], 1, 'no such directory'],
    [['run', 'xenconsoled', '--log', 'some'], 2, 'Allowed choices'],
  ] as const)('%j ends with %i and one line that says why', async (args, code, rule) => {
    const ended = await paravane(...args);
    expect(ended.code).toBe(code);
    expect(ended.stderr).toContain(rule);
    expect(ended.stderr.trim().split('\n')).toHaveLength(1);
  });

  test.skipIf(existsSync('/proc/xen/capabilities')).each(['xenstored', 'xenconsoled', 'blkback'])(
    'run %s says what is missing where there is no Xen',
    async (service) => {
      const options = service === 'xenconsoled' ? ['--log-dir', directory] : [];
      const { code, stderr } = await paravane('run', service, '--socket', socket, ...options);
      expect(code).toBe(1);
      expect(stderr).toMatch(/not running on Xen|there is no such socket/);
    },
  );
});
