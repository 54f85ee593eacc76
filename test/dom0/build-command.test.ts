/** `paravane build`. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { paravane } from './command-line.ts';

/** The engine takes its time to compile when nobody has done it before. */
const BUILD_LIMIT_MS = 240_000;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

test(
  'build makes an image below a megabyte and prints how xl starts it',
  async () => {
    const image = join(scratch.path, 'xenstored.elf');
    const { code, out, error } = await paravane('build', 'xenstored', '-o', image);
    expect(code).toBe(0);
    expect(out).toContain(`kernel = "${image}"`);
    expect(out).toContain('type = "pvh"');
    const bytes = readFileSync(image).length;
    expect(error).toBe(`paravane: ${image}: ${bytes} bytes, runs in 8 MiB; for xl:\n`);
    expect(bytes).toBeLessThan(1 << 20);
  },
  BUILD_LIMIT_MS,
);

test(
  'build gives the same bytes again, and none that name a file of this machine',
  async () => {
    const images = ['first.elf', 'second.elf'].map((name) => join(scratch.path, name));
    for (const image of images) await paravane('build', 'echo', '-o', image);
    const [first, second] = images.map((image) => readFileSync(image));
    expect(first?.equals(second!)).toBe(true);
    expect(first?.includes(process.cwd())).toBe(false);
    expect(first?.includes(scratch.path)).toBe(false);
  },
  BUILD_LIMIT_MS,
);

/** What `scripts/setup --no-xen` leaves out. */
const hasKernel = existsSync('/boot') && readdirSync('/boot').join().includes('vmlinuz-');

test.skipIf(!hasKernel)(
  "build for Linux, where Debian's kernel is installed, makes the same initramfs again",
  async () => {
    const images = ['first', 'second'].map((name) => join(scratch.path, `${name}.initramfs`));
    for (const image of images) {
      const args = ['build', 'blkback', '--runtime', 'linux', '-o', image];
      const { code, out } = await paravane(...args);
      expect(code).toBe(0);
      expect(out).toContain(`ramdisk = "${image}"`);
      expect(out).toMatch(/kernel = "\/boot\/vmlinuz-/);
    }
    const [first, second] = images.map((image) => readFileSync(image));
    expect(first?.equals(second!)).toBe(true);
    const list = execFileSync('bash', ['-c', `zcat ${images[0]} | cpio --list --quiet`]).toString();
    expect(list).toContain('usr/bin/node\n');
    expect(list).toContain('paravane/dist/paravane.js\n');
    expect(list).toMatch(/modules\/\d+-xen-gntdev\.ko/);
  },
  BUILD_LIMIT_MS,
);

test('build of a service that Linux is not offered for is refused', async () => {
  const { code, error } = await paravane('build', 'echo', '--runtime', 'linux');
  expect(code).toBe(2);
  expect(error).toContain('Allowed choices are unikernel');
});

test('build without a service shows which there are', async () => {
  const { error } = await paravane('build');
  expect(error).toContain('xenstored');
  expect(error).toContain('echo');
});
