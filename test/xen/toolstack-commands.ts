/** What an operator does with xl to a guest that runs, and what the guest sees of it. */
import { expect } from 'vitest';
import type { Guest } from '../../scripts/lab/guest.ts';
import type { Lab } from '../../scripts/lab/lab.ts';

/** Emulated, xl takes its time; with a store domain that is emulated, too, more. */
const LIMIT_MS = 200_000;

const xl = (lab: Lab, ...words: string[]) => lab.run(['xl', ...words], { timeout_ms: LIMIT_MS });

/** Gives a guest another name, which xl and xenstore then know. */
export async function rename(lab: Lab, from: string, to: string): Promise<void> {
  await xl(lab, 'rename', from, to);
  expect(await xl(lab, 'list')).toMatch(new RegExp(`^${to} `, 'm'));
  expect(await lab.run(`xenstore-read /local/domain/$(xl domid ${to})/name`)).toBe(`${to}\n`);
}

/**
 * Attaches a disk with a file `given` and its sum as xvdb, has the guest check it, and detaches it.
 *
 * @param name the guest's
 * @param line for xl, with `vdev=xvdb`
 */
export async function attachAndDetach(
  lab: Lab,
  name: string,
  guest: Guest,
  line: string,
): Promise<void> {
  await xl(lab, 'block-attach', name, line);
  await guest.type(
    'until mount -r /dev/xvdb /mnt; do sleep 1; done; cd /mnt; sha256sum -c given.sha256; cd /',
    /given: OK/,
  );
  expect(await xl(lab, 'block-list', name)).toMatch(/^51728 /m);
  await guest.type('umount /mnt && echo unmounted $((1 + 1))', /unmounted 2/);
  await xl(lab, 'block-detach', name, 'xvdb');
  await guest.type('while [ -b /dev/xvdb ]; do sleep 1; done; echo gone $((1 + 1))', /gone 2/);
}

/** Holds a guest, which answers when it may go on, and not before. */
export async function pauseAndUnpause(lab: Lab, name: string, guest: Guest): Promise<void> {
  await xl(lab, 'pause', name);
  expect(await xl(lab, 'list', name)).toMatch(/ --p--- /);
  const console = guest.console();
  const from = console.output.length;
  const answer = guest.type('echo $((6 * 7)) is the answer', /42 is the answer/);
  await xl(lab, 'list', name);
  expect(console.output.slice(from)).not.toContain('42 is');
  await xl(lab, 'unpause', name);
  await answer;
}
