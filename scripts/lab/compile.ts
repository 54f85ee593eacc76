/** C programs for guests, compiled when they are first wanted and kept in the cache. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cached, digest } from './initramfs.ts';

const WARNINGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror'];

/**
 * Path of the program `name`. Throws with the compiler's messages when it does not compile.
 *
 * @param sources paths of the files to be compiled, in order
 * @param flags for the compiler
 * @param others paths of files that the sources or the flags name
 */
export function compiled(
  name: string,
  sources: readonly string[],
  flags: readonly string[],
  others: readonly string[] = [],
): string {
  const contents = [...sources, ...others].map((path) => readFileSync(path, 'utf8'));
  const key = digest(...WARNINGS, ...flags, ...contents);
  return cached(`${key}-${name}`, (path) => {
    execFileSync('cc', [...WARNINGS, ...flags, '-o', path, ...sources], { stdio: 'pipe' });
  });
}
