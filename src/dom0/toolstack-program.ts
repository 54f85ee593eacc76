/** Programs of Xen's toolstack and our own, run to their end. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { XenError } from '../base/errors.ts';
import { nativePath } from '../hypervisor/linux/native.ts';

/**
 * libxl has a domid rest for so many seconds after its domain was destroyed, so that nobody takes the
 * one for the other. Where a domain is made again, that is just what is wanted.
 */
const NO_REST = { LIBXL_DOMID_REUSE_TIMEOUT: '0' };

/** Runs a program to its end; its standard output. Throws `XenError` with what it wrote if it fails. */
export async function runProgram(
  program: string,
  args: readonly string[],
  input = '',
): Promise<string> {
  const operation = `run ${[program, ...args].join(' ')}`;
  const child = spawn(program, args, { env: { ...process.env, ...NO_REST } });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(new XenError('ENOENT', operation, error.message, error)));
    child.once('close', resolve);
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code, out, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code === 0) return out;
  throw new XenError('EIO', operation, errors.trim() || `exit status ${code}`);
}

/** The path of a program of native/toolstack. Throws ENOENT when it is not built. */
export function builtProgram(name: string): string {
  const path = join(dirname(nativePath()), name);
  if (existsSync(path)) return path;
  throw new XenError('ENOENT', 'make a domain', `${path} is not built; run scripts/setup`);
}
