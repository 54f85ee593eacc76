/** What `paravane new` makes, on the engine that stub domains have. */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { buildEngine } from '../../src/dom0/image/engine.ts';
import { buildBundle } from '../../src/dom0/image/image.ts';
import { runBundle, scratchDirectory } from './native-stubdom.ts';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

test('the service answers over a vchan, and the guest reads its disk', async () => {
  const bundle = join(scratch.path, 'templates');
  await buildBundle(await buildEngine(), 'test/unikernel/templates-bundle.ts', bundle);
  const { reason, console } = await runBundle(bundle);
  expect(console).toBe('ok: the service answers\nok: the guest reads its disk\n');
  expect(reason).toBe(SHUTDOWN_poweroff);
}, 240_000);
