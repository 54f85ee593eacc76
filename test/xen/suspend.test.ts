/** A stub domain that is saved and restored by xl, with the disk that it has. */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { diskLine } from '../../scripts/lab/host.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { sharedHost } from './shared-lab.ts';
import { StubDomain } from './stub-domain.ts';

const DISK = '/run/suspended.img';
const SAVED = '/run/suspended.save';
const LIMIT_MS = 240_000;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

test('a stub domain goes on after a snapshot, and in another domain after it was saved', async () => {
  const host = await sharedHost();
  const { lab } = host;
  const before = await host.traces();
  const image = join(scratch.path, 'suspended.elf');
  await buildImage('test/unikernel/suspended-bundle.ts', image);
  await lab.run(`truncate -s 1M ${DISK} && printf 'contents' | dd of=${DISK} conv=notrunc`);
  const name = 'suspended';
  const disks = [diskLine(DISK)];
  const domain = await StubDomain.create(lab, { name, image, disks });
  await domain.shows(/ ready /);

  /** Types something, and expects the guest to know how often somebody has. */
  const turn = async (count: number) => {
    const domid = await domain.domid();
    await lab.run(`printf x >"$(xenstore-read /local/domain/${domid}/console/tty)"`);
    await domain.shows(new RegExp(`turn turn=${count} domid=${domid} word=contents`));
    return domid;
  };
  const first = await turn(1);
  await lab.run(['xl', 'save', '-c', name, SAVED], { timeout_ms: LIMIT_MS });
  await domain.shows(/ goes on /);
  expect(await turn(2)).toBe(first);
  await lab.run(['xl', 'save', name, SAVED], { timeout_ms: LIMIT_MS });
  expect((await lab.attempt(['xl', 'domid', name])).code).not.toBe(0);
  await lab.run(['xl', 'restore', SAVED], { timeout_ms: LIMIT_MS });
  await domain.shows(/ runs again /);
  expect(await turn(3)).not.toBe(first);
  await lab.run(['xl', 'shutdown', name]);
  expect((await domain.end()).crashed).toBe(false);
  await domain.destroy();
  expect(await host.leftovers(before)).toEqual([]);
});
