/** Xenstored is killed again and again on real Xen while guests work, and nobody notices. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Guest, makeDisk } from '../../scripts/lab/guest.ts';
import { diskLine, type Host } from '../../scripts/lab/host.ts';
import { guestInitramfs, guestProgram } from '../../scripts/lab/initramfs.ts';
import { Prng } from '../../src/base/prng.ts';
import { sharedHost } from './shared-lab.ts';

const KILLS = 20;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 1500;
/** Of one CPU, for each guest: xenstored has to start in what is left. */
const CPU_PERCENT = 40;
/** How long a guest has to go on after the last kill. */
const PROGRESS_LIMIT_MS = 180_000;
/** Two guests boot, and xenstored starts twenty times, on an emulated machine that may be loaded. */
const TEST_LIMIT_MS = 1_800_000;

const PROGRAMS = join(CHECKOUT, 'test/xen/guest-programs');

/** The connection of the tools that lasts: over dom0's own ring, as a guest's. */
const OVER_RING = { XENSTORED_PATH: '/dev/xen/xenbus' };

async function workingGuest({ lab }: Host, name: string): Promise<Guest> {
  const image = `/tmp/${name}.img`;
  await makeDisk(lab, image);
  const script = readFileSync(join(PROGRAMS, 'traffic.sh'), 'utf8');
  const ramdisk = guestInitramfs(script, [guestProgram(join(PROGRAMS, 'xenstore-traffic.c'))]);
  const guest = await Guest.create(lab, {
    name,
    type: 'pv',
    ramdisk,
    disks: [diskLine(image)],
    memory_mib: 128,
    cpu_percent: CPU_PERCENT,
    env: OVER_RING,
  });
  await guest.shows(/TRAFFIC \d+/);
  await guest.shows(/DISK \d+/);
  return guest;
}

/** Whatever a guest has complained of, and what its kernel has. */
function complaints(guest: Guest): string[] {
  const lines = guest.console().output.split('\n');
  return lines.filter((line) => /-ERROR|I\/O error|BUG|Oops|xenbus.*(fail|error)/i.test(line));
}

test(
  `two guests at work notice nothing of ${KILLS} kills of xenstored`,
  async () => {
    const seed = Number(process.env.PARAVANE_SEED ?? Date.now() % 1_000_000);
    console.error(`the kills come by seed ${seed} (PARAVANE_SEED)`);
    const prng = new Prng(seed);
    const host = await sharedHost();
    const before = await host.traces();
    const guests = await Promise.all(
      ['working-1', 'working-2'].map((name) => workingGuest(host, name)),
    );

    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(PAUSE_MIN_MS + prng.below(PAUSE_MAX_MS - PAUSE_MIN_MS));
      await host.killXenstored();
    }

    for (const guest of guests) {
      const console = guest.console();
      const from = console.output.length;
      await console.waitFor(/TRAFFIC \d+/, PROGRESS_LIMIT_MS, from);
      await console.waitFor(/DISK \d+/, PROGRESS_LIMIT_MS, from);
      const [, errors] = await guest.type('touch /tmp/stop', /TRAFFIC-DONE .*, (\d+) errors/);
      await guest.shows(/DISK-DONE/);
      expect(complaints(guest)).toEqual([]);
      expect(errors).toBe('0');
    }
    expect(await host.lab.run('xl list')).toMatch(/working-1 [\s\S]*working-2 /);
    expect(await host.lab.run('xenstore-read /local/domain/$(xl domid working-1)/name')).toBe(
      'working-1\n',
    );
    for (const guest of guests) await guest.shutdown();
    expect(await host.leftovers(before)).toEqual([]);
  },
  TEST_LIMIT_MS,
);
