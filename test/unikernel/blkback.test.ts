/** The block back end on the engine that stub domains have, with both ends of its disks. */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { buildEngine } from '../../src/dom0/image/engine.ts';
import { buildBundle } from '../../src/dom0/image/image.ts';
import { runBundle, scratchDirectory } from './native-stubdom.ts';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

test('a disk that the back end has itself is served to a guest', async () => {
  const bundle = join(scratch.path, 'blkback');
  await buildBundle(await buildEngine(), 'test/unikernel/blkback-bundle.ts', bundle);
  const { reason, console } = await runBundle(bundle);
  expect(console).not.toContain('FAILED');
  expect(console).toContain('ok: what was written is read');
  expect(reason).toBe(SHUTDOWN_poweroff);
}, 240_000);
