/** Asks the C compiler what the installed Xen headers say. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What the probe lacks on this machine, or `undefined` when it can run. */
export function missingForProbe(): string | undefined {
  if (!existsSync('/usr/include/xen/xen.h')) return 'no Xen headers (package libxen-dev)';
  if (spawnSync('cc', ['--version']).error !== undefined) return 'no C compiler (package gcc)';
  return undefined;
}

/** 32 asks for the layouts of a 32-bit x86 guest. */
export type WordSize = 32 | 64;

// For 64 bits the ioctl numbers of xen/sys need the system's headers; 32-bit ones of those may not
// be installed, and the layouts of a guest do not need them.
const systemHeaders: Record<WordSize, string> = {
  32: '#include <stdint.h>\n#include <stddef.h>\n',
  64: '#include <stdint.h>\n#include <stddef.h>\n#include <errno.h>\n#include <sys/ioctl.h>\n',
};
const compilerFlags: Record<WordSize, readonly string[]> = {
  32: ['-m32', '-ffreestanding'],
  64: ['-m64'],
};

/**
 * The values of constant C expressions, in order, with `headers` included.
 *
 * The compiler writes each value into its assembly output, as Linux's kbuild does for its
 * asm-offsets. Nothing is linked or run, so 32-bit layouts need no 32-bit libraries.
 * Throws with the compiler's messages when an expression does not compile.
 */
export function constantsInC(
  headers: readonly string[],
  expressions: readonly string[],
  wordSize: WordSize = 64,
): number[] {
  const lines = expressions.map(
    (expression, index) => `asm volatile("\\n#probe ${index} %c0" : : "i"((long)(${expression})));`,
  );
  const source = [
    systemHeaders[wordSize],
    '#define __XEN_TOOLS__ 1',
    ...headers.map((header) => `#include <${header}>`),
    'void probe(void) {',
    ...lines,
    '}\n',
  ].join('\n');
  const flags = [...compilerFlags[wordSize], '-O1', '-x', 'c', '-S', '-o', '-', '-'];
  const assembly = execFileSync('cc', flags, { input: source, encoding: 'utf8', stdio: 'pipe' });
  const values = new Map(
    [...assembly.matchAll(/^#probe (\d+) (-?\d+)$/gm)].map((match) => [
      Number(match[1]),
      Number(match[2]),
    ]),
  );
  return expressions.map((expression, index) => {
    const value = values.get(index);
    if (value === undefined) throw new Error(`the compiler gave no value for ${expression}`);
    return value;
  });
}
