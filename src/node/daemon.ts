/** What a service needs to live as a Unix daemon: a pid file, an orderly end, the background. */
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { errorCode, errorMessage, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** The live process that an existing pid file names; a file left over by a dead one names none. */
function holderOf(path: string): number | undefined {
  const pid = Number.parseInt(readFileSync(path, 'latin1'), 10);
  return Number.isInteger(pid) && pid > 0 && pid !== process.pid && isAlive(pid) ? pid : undefined;
}

/**
 * Writes our pid to `path`, and returns a function that removes the file again. Throws EBUSY when
 * the file names a process that still runs.
 */
export function writePidFile(path: string): () => void {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o644);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    const holder = holderOf(path);
    if (holder !== undefined) {
      throw new XenError('EBUSY', `write pid file ${path}`, `process ${holder} runs already`);
    }
    file = openSync(path, 'w', 0o644);
  }
  writeSync(file, `${process.pid}\n`);
  closeSync(file);
  let removed = false;
  return () => {
    if (removed) return;
    removed = true;
    unlinkSync(path);
  };
}

/**
 * Resolves with the name of the first SIGINT or SIGTERM. A second one ends the process at once, for
 * the operator who does not want to wait.
 */
export function endSignal(log: Log): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let seen = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (seen) process.exit(130);
      seen = true;
      log.info('ending', { signal });
      resolve(signal);
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

/** Set in a daemon's environment by the process that waits for it to be ready. */
const READY_CHANNEL = 'PARAVANE_READY_CHANNEL';

/** What was written to a file after its first `start` bytes. */
function writtenSince(path: string, start: number): string {
  return readFileSync(path).subarray(start).toString('utf8').trim();
}

/**
 * Starts this same program once more, detached, with `args` and its stderr appended to `logFile`.
 * Resolves with its pid once it has called `announceReady`. Rejects when it ends before that, with
 * what it wrote.
 */
export function startInBackground(args: readonly string[], logFile: string): Promise<number> {
  const script = process.argv[1];
  if (script === undefined) throw new Error('a program without a script has no background');
  // Its own file: whoever waits for our stderr to end must not wait for the daemon's end.
  const log = openLog(logFile);
  const logStart = fstatSync(log).size;
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    detached: true,
    stdio: ['ignore', 'ignore', log, 'ipc'],
    env: { ...process.env, [READY_CHANNEL]: '1' },
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => {
      const said = writtenSince(logFile, logStart).replace(/^paravane: /, '');
      reject(new XenError('EIO', 'start in the background', said));
    });
    child.once('message', () => {
      child.removeAllListeners('exit');
      child.disconnect();
      child.unref();
      resolve(child.pid as number);
    });
  });
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a', 0o644);
  } catch (error) {
    throw new XenError('EIO', `open the log ${path}`, errorMessage(error), error);
  }
}

/** Tells the process that started us in the background, if one did, that we serve. */
export function announceReady(): void {
  if (process.env[READY_CHANNEL] === undefined || process.send === undefined) return;
  delete process.env[READY_CHANNEL];
  process.send('ready', () => process.disconnect?.());
}
