/** Programs of the tool chain, with errors that show what they said. */
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { errorCode, XenError } from '../../base/errors.ts';

const run = promisify(execFile);

const advice = 'scripts/setup installs it';

const OUTPUT_MAX = 1 << 24;

function failure(program: string, error: unknown): XenError {
  if (errorCode(error) === 'ENOENT') {
    return new XenError('ENOENT', `run ${program}`, `it is not there; ${advice}`, error);
  }
  const { stderr = '' } = error as { stderr?: string };
  return new XenError('EIO', `run ${program}`, stderr.trim() || String(error), error);
}

/** Runs a program to its end; its standard output. Throws `XenError` with what it wrote if it fails. */
export async function runTool(program: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(program, args, { maxBuffer: OUTPUT_MAX })).stdout;
  } catch (error) {
    throw failure(program, error);
  }
}

/** As `runTool`, with nothing else going on meanwhile. */
export function runToolNow(program: string, args: readonly string[]): string {
  try {
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    return execFileSync(program, args, { encoding: 'utf8', maxBuffer: OUTPUT_MAX, stdio });
  } catch (error) {
    throw failure(program, error);
  }
}

/** Runs all jobs, no more than `width` at a time. Rejects with the first failure. */
export async function runAll(jobs: readonly (() => Promise<unknown>)[], width: number) {
  const waiting = [...jobs];
  const worker = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await job();
  };
  await Promise.all(Array.from({ length: width }, worker));
}
