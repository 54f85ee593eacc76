/** `paravane new`, and `paravane build` of what it makes. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { paravane } from './command-line.ts';

/** The engine takes its time to compile when nobody has done it before. */
const BUILD_LIMIT_MS = 240_000;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

test.each(['service', 'guest'])(
  'a new %s is without type errors and becomes an image',
  async (template) => {
    const directory = join(scratch.path, `my-${template}`);
    const made = await paravane('new', directory, '--template', template);
    expect(made.error).toContain(`paravane build ${directory}/ >my-${template}.cfg`);
    expect(made.code).toBe(0);
    execFileSync('node_modules/.bin/tsc', ['-p', directory], { stdio: 'inherit' });

    const image = join(scratch.path, `${template}.elf`);
    const { code, out } = await paravane('build', `${directory}/`, '-o', image);
    expect(code).toBe(0);
    expect(out).toContain(`name = "my-${template}"`);
    expect(out).toContain(`kernel = "${image}"`);
    expect(readFileSync(image).length).toBeLessThan(1 << 20);
  },
  BUILD_LIMIT_MS,
);

test('new leaves a directory alone that has something in it', async () => {
  const directory = join(scratch.path, 'full');
  mkdirSync(directory);
  writeFileSync(join(directory, 'main.ts'), 'mine');
  const { code, error } = await paravane('new', directory);
  expect(code).toBe(1);
  expect(error).toContain('the directory is not empty (EEXIST)');
  expect(readFileSync(join(directory, 'main.ts'), 'latin1')).toBe('mine');
});

test('new names the rule that the name of a domain must keep', async () => {
  const { code, error } = await paravane('new', join(scratch.path, 'my service'));
  expect(code).toBe(1);
  expect(error).toContain('a name has at most 64 letters, digits');
});

test('build of what is neither a service nor a directory of new says so', async () => {
  const { code, error } = await paravane('build', 'nonesuch');
  expect(code).toBe(1);
  expect(error).toContain('nonesuch: there is no main.ts');
});

test('build of a directory without a program says how one is made', async () => {
  const { code, error } = await paravane('build', scratch.path);
  expect(code).toBe(1);
  expect(error).toContain('there is no main.ts; `paravane new` makes a directory with one');
});
