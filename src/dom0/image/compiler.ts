/** Programs of the tool chain, with errors that show what they said. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorCode, XenError } from '../../base/errors.ts';

const run = promisify(execFile);

const advice = 'scripts/setup installs it';

/** Runs a program to its end; its standard output. Throws `XenError` with what it wrote if it fails. */
export async function runTool(program: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(program, args, { maxBuffer: 1 << 24 })).stdout;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') {
      throw new XenError('ENOENT', `run ${program}`, `it is not there; ${advice}`, error);
    }
    const { stderr = '' } = error as { stderr?: string };
    throw new XenError('EIO', `run ${program}`, stderr.trim() || String(error), error);
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
