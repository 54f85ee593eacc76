/** The network back end on the engine that stub domains have, with both ends of its interfaces. */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { buildEngine } from '../../src/dom0/image/engine.ts';
import { buildBundle } from '../../src/dom0/image/image.ts';
import { runBundle, scratchDirectory } from './native-stubdom.ts';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

test('frames go from one interface through the switch to another', async () => {
  const bundle = join(scratch.path, 'netback');
  await buildBundle(await buildEngine(), 'test/unikernel/netback-bundle.ts', bundle);
  const { reason, console } = await runBundle(bundle);
  expect(console).not.toContain('FAILED');
  expect(console).toContain('ok: no frame has changed');
  expect(reason).toBe(SHUTDOWN_poweroff);
}, 240_000);
