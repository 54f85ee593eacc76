/** Parts of the stub-domain kernel that the native build of the engine does without, in kernel-parts.c. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runToolNow } from '../../src/dom0/image/compiler.ts';
import { scratchDirectory } from './native-stubdom.ts';

const KERNEL = 'native/unikernel/kernel';
const PARTS = ['boot_info.c', 'console_printf.c', 'pages.c', 'system_calls.c'];

const scratch = scratchDirectory();
const program = join(scratch.path, 'kernel-parts');
const run = (...words: string[]) => execFileSync(program, words, { encoding: 'utf8' });

beforeAll(() => {
  const sources = ['test/unikernel/kernel-parts.c', ...PARTS.map((name) => join(KERNEL, name))];
  runToolNow('gcc', [
    ...['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Wno-sign-compare', '-D_GNU_SOURCE'],
    ...['-include', 'stdint.h', '-D__XEN_INTERFACE_VERSION__=0x00040e00'],
    // Below the first GiB lies what the kernel takes for its memory.
    ...['-no-pie', '-fno-pie', '-Wl,-Ttext-segment=0x50000000'],
    ...[`-I${KERNEL}`, '-o', program, ...sources],
  ]);
});
afterAll(() => scratch.remove());

test.each([1, 2, 3, 4])(
  'after a long life no page is lost, none has two owners, and runs are found, seed %i',
  (seed) => {
    expect(run('pages', String(seed))).toBe('refused 0\n');
  },
);

test('memory is what the loader says, or else what Xen says', () => {
  expect(run('map', 'start')).toBe('pages 8, end 100000000\n');
  // Foreign pages go behind everything that the map has, reserved or not.
  expect(run('map', 'xen')).toBe('pages 16, end 180000000\n');
});

test('without any map of memory the domain says so and crashes', () => {
  expect(run('map', 'none')).toMatch(
    /^unikernel: neither the loader nor Xen .* our memory\ncrash\n$/,
  );
});

test('a C library that gives up crashes the domain, which ends in no other way', () => {
  expect(run('abort')).toBe('unikernel: the C library has aborted\ncrash\n');
});
