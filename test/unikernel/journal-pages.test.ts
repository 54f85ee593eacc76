/** xenstored as a stub domain whose journal is in another domain's pages, killed again and again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { buildEngine } from '../../src/dom0/image/engine.ts';
import { buildBundle } from '../../src/dom0/image/image.ts';
import { runBundle, scratchDirectory } from './native-stubdom.ts';

const PAGES = 33;
const LIVES = 8;
/** How much a life says at most before it is ended. */
const TOLD_MAX = 400;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** What the domain prints until it has said more than `characters`, when it is killed. */
async function live(host: string, args: readonly string[], characters: number): Promise<string> {
  const child: ChildProcess = spawn(host, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let console = '';
  child.stdout?.setEncoding('latin1').on('data', (text: string) => {
    console += text;
    if (console.length > characters) child.kill('SIGKILL');
  });
  const [, signal] = await once(child, 'close');
  expect(signal, console).toBe('SIGKILL');
  return console;
}

test('whatever moment it is killed at, the next finds all that was acknowledged', async () => {
  const seed = Date.now() & 0x7fffffff;
  const prng = new Prng(seed);
  const [bundle, memory] = [join(scratch.path, 'bundle'), join(scratch.path, 'memory')];
  const engine = await buildEngine();
  await buildBundle(engine, 'test/unikernel/journal-pages-bundle.ts', bundle);
  writeFileSync(memory, new Uint8Array(PAGES * 4096));
  const args = [`--peer=${memory}`, bundle, `pages=${PAGES}`];
  let told = 0;
  for (let life = 0; life < LIVES; life++) {
    const console = await live(engine.host, args, 10 * (1 + prng.below(TOLD_MAX)));
    const found = Number(/^found (\d+)$/m.exec(console)?.[1]);
    // One more may have been written than was said.
    expect(found - told, `seed ${seed}, life ${life}`).toBeGreaterThanOrEqual(0);
    expect(found - told, `seed ${seed}, life ${life}`).toBeLessThanOrEqual(1);
    const numbers = [...console.matchAll(/^told (\d+)\n/gm)].map(([, count]) => Number(count));
    told = Math.max(found, ...numbers);
  }
  expect(told).toBeGreaterThan(LIVES);
});

test('pages that are not granted are refused, and the domain says so', async () => {
  const bundle = join(scratch.path, 'alone');
  await buildBundle(await buildEngine(), 'test/unikernel/journal-pages-bundle.ts', bundle);
  const { console } = await runBundle(bundle, [`pages=${PAGES}`]);
  expect(console).toMatch(/XenError: map grants .* of domain 9.*EINVAL/);
});
