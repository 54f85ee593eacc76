/** Xenstored is killed again and again on real Xen while guests work, and nobody notices. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Guest } from '../../scripts/lab/guest.ts';
import { Prng } from '../../src/base/prng.ts';
import { sharedHost } from './shared-lab.ts';
import { goesOn, hasMetNoError, workingGuest } from './working-guest.ts';

const KILLS = 20;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 1500;
/** Two guests boot, and xenstored starts twenty times, on an emulated machine that may be loaded. */
const TEST_LIMIT_MS = 1_800_000;

/** The connection of the tools that lasts: over dom0's own ring, as a guest's. */
const OVER_RING = { XENSTORED_PATH: '/dev/xen/xenbus' };

test(
  `two guests at work notice nothing of ${KILLS} kills of xenstored`,
  async () => {
    const seed = Number(process.env.PARAVANE_SEED ?? Date.now() % 1_000_000);
    console.error(`the kills come by seed ${seed} (PARAVANE_SEED)`);
    const prng = new Prng(seed);
    const host = await sharedHost();
    const before = await host.traces();
    const guests = await Promise.all(
      ['working-1', 'working-2'].map((name) => workingGuest(host, name, OVER_RING)),
    );

    for (let kill = 0; kill < KILLS; kill++) {
      // However slow the machine is: a daemon that nobody has asked anything is no test.
      await goesOn(guests[kill % guests.length] as Guest);
      await sleep(PAUSE_MIN_MS + prng.below(PAUSE_MAX_MS - PAUSE_MIN_MS));
      await host.restart('xenstored', 'SIGKILL');
    }

    for (const guest of guests) await hasMetNoError(guest);
    const list = await host.lab.run('xl list');
    for (const { name } of guests) expect(list).toContain(`${name} `);
    expect(await host.lab.run('xenstore-read /local/domain/$(xl domid working-1)/name')).toBe(
      'working-1\n',
    );
    for (const guest of guests) await guest.shutdown();
    expect(await host.leftovers(before)).toEqual([]);
  },
  TEST_LIMIT_MS,
);
