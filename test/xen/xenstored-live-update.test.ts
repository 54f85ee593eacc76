/** C's xenstored becomes ours under guests at work, ours a newer version of itself, and C's again. */
import { expect, test } from 'vitest';
import { Host } from '../../scripts/lab/host.ts';
import { ownLab } from './shared-lab.ts';
import { goesOn, hasMetNoError, workingGuest } from './working-guest.ts';

/** Which program it becomes, one after the other; C's is the first. */
const COURSE = ['ours', 'ours', 'ours', 'c', 'ours', 'c'] as const;
/** Two guests boot, and xenstored starts seven times, on an emulated machine that may be loaded. */
const TEST_LIMIT_MS = 1_800_000;

test(
  `two guests at work notice nothing while xenstored becomes ${COURSE.join(', ')}`,
  async () => {
    const lab = await ownLab();
    try {
      const host = await Host.start(lab, 'c');
      expect(await host.foreignParts()).toEqual(['xenstored']);
      const before = await host.traces();
      const guests = await Promise.all(
        ['working-1', 'working-2'].map((name) => workingGuest(host, name)),
      );

      for (const [index, program] of COURSE.entries()) {
        await host.liveUpdate(program);
        expect(await host.foreignParts()).toEqual(program === 'c' ? ['xenstored'] : []);
        await Promise.all(guests.map(goesOn));
        // Xl reads and writes, and the guests' own part of xenstore is as it was.
        await lab.run(['xl', 'rename', 'working-1', `renamed-${index}`]);
        expect(await lab.run('xl list')).toMatch(new RegExp(`renamed-${index} [^]*working-2 `));
        await lab.run(['xl', 'rename', `renamed-${index}`, 'working-1']);
        expect((await lab.attempt('test -e /run/xenstored/state_dump')).code).toBe(1);
      }

      for (const guest of guests) await hasMetNoError(guest);
      for (const guest of guests) await guest.shutdown();
      expect(await host.leftovers(before)).toEqual([]);
    } finally {
      await lab.close();
    }
  },
  TEST_LIMIT_MS,
);
