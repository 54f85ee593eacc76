/** Whether V8 keeps what it has compiled when the first memory is taken away from it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const binding = new URL('../../src/hypervisor/linux/native.ts', import.meta.url);

/** What V8 throws away of code that reads an array when a buffer is detached, after `before`. */
function thrownAway(before: string): string[] {
  const program = `
    ${before}
    function sumOf(array) {
      let sum = 0;
      for (let index = 0; index < array.length; index++) sum += array[index];
      return sum;
    }
    const array = new Uint8Array(1000);
    for (let calls = 0; calls < 20_000; calls++) sumOf(array);
    const buffer = new ArrayBuffer(8);
    structuredClone(buffer, { transfer: [buffer] });
  `;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--trace-deopt', '--import', 'tsx', '--input-type=module', '-e', program],
    { encoding: 'utf8', cwd: fileURLToPath(new URL('../..', import.meta.url)) },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('[marking dependent code') && line.includes('sumOf'));
}

test('it does once the shim is loaded, and would not without', () => {
  const load = `import { loadNative } from ${JSON.stringify(binding.href)}; loadNative();`;
  expect(thrownAway('')).not.toEqual([]);
  expect(thrownAway(load)).toEqual([]);
});
