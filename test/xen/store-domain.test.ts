/**
 * A host whose xenstored is a domain that `paravane run store-domain` keeps. The domain is destroyed again
 * and again under load, its keeper is killed, and its image is exchanged; dom0 and a guest go on.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { Host, PARAVANE, startOurs } from '../../scripts/lab/host.ts';
import { MACHINE_DEFAULTS } from '../../scripts/lab/machine.ts';
import { Prng } from '../../src/base/prng.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { KEPT_IMAGE, KeptStore, STORE_PROGRAM } from './kept-store.ts';
import { inOwnLab, ownLab } from './shared-lab.ts';
import { StubDomain } from './stub-domain.ts';
import { goesOn, hasMetNoError, workingGuest } from './working-guest.ts';

const DESTRUCTIONS = 4;
const PAUSE_MAX_MS = 2000;
/** Emulated, a domain takes its time to start, and on a loaded machine more. */
const LIMIT_MS = 200_000;
const TEST_LIMIT_MS = 1_500_000;

const LANES = 3;
/** 8 MiB, as the keeper has it unless told otherwise. */
const JOURNAL_PAGES = 2048;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** Writes keys without end and reads each back, and in the end all of them. */
const load = (lane: number) => `
  top=/tool/load/${lane} n=0
  while [ ! -e /run/load-ends ]; do
    n=$((n + 1)); key=$top/$((n % 20))
    xenstore-write $key $n || { echo "LOAD-ERROR $key was not written"; exit 1; }
    value=$(xenstore-read $key)
    [ "$value" = $n ] || { echo "LOAD-ERROR $key is $value, not $n"; exit 1; }
  done
  for m in $(seq $((n > 19 ? n - 19 : 1)) $n); do
    value=$(xenstore-read $top/$((m % 20)))
    [ "$value" = $m ] || { echo "LOAD-ERROR in the end $((m % 20)) is $value, not $m"; exit 1; }
  done
  echo "LOAD-DONE $n"`;

test(
  'a store domain that is destroyed under load, and exchanged, is missed by nobody',
  async () => {
    const seed = Number(process.env.PARAVANE_SEED ?? Date.now() % 1_000_000);
    console.error(`the store domain is destroyed by seed ${seed} (PARAVANE_SEED)`);
    const prng = new Prng(seed);
    const file = (name: string) => join(scratch.path, `${name}.elf`);
    const [image, other] = [file('xenstored'), file('other')] as const;
    await buildImage('stubdoms/xenstored/unikernel.ts', image);
    await buildImage('test/unikernel/other-xenstored-bundle.ts', other);
    await buildImage('stubdoms/echo/unikernel.ts', file('echo'));
    await inOwnLab(async (lab) => {
      await lab.run(['cp', image, KEPT_IMAGE]);
      const host = await Host.startOnKeptStore(lab, KEPT_IMAGE);
      expect(await host.foreignParts()).toEqual([]);
      const store = new KeptStore(host);
      const domid = await store.domid();
      expect(await lab.run('xenstore-read /tool/xenstored/domid')).toBe(`${domid}\n`);
      const before = await host.traces();

      const guest = await workingGuest(host, 'working');
      const lanes = Array.from({ length: LANES }, (_, lane) => lab.start(load(lane)));
      for (let count = 0; count < DESTRUCTIONS; count++) {
        await goesOn(guest);
        await sleep(prng.below(PAUSE_MAX_MS));
        await store.destroy();
      }

      // What the keeper knows it has from Xen.
      await store.replaceKeeper(async () => {});
      await store.destroy();
      await store.replaceKeeper(() => store.destroyOnly());
      await goesOn(guest);

      // The script of the other image fails, too, and is run anew within the domain.
      await store.exchange(other, /this is another image.*begins anew.*xenstored is ready/s);
      await goesOn(guest);
      await store.exchange(image, /took up what was kept.*xenstored is ready/s);
      await lab.run('touch /run/load-ends');
      for (const lane of lanes) await lane.waitFor(/LOAD-DONE/, LIMIT_MS);
      await lab.run('xenstore-rm /tool/load');

      const late = await StubDomain.create(lab, { name: 'late', image: file('echo') });
      await late.destroy();
      expect(await store.domid()).toBe(domid);
      await hasMetNoError(guest);
      await guest.shutdown();
      expect(await host.leftovers(before)).toEqual([]);

      // What a live update leaves is found by another domain, too.
      await lab.run(['xenstore-control', 'live-update', other], { timeout_ms: LIMIT_MS });
      await store.destroy();
      expect(await lab.run('xenstore-read /tool/xenstored/domid')).toBe(`${domid}\n`);
      expect(await host.stop()).toEqual([0, 0, 0]);
    });
  },
  TEST_LIMIT_MS,
);

test(
  'whoever makes the store domain may be killed at it, and the next one makes it whole',
  async () => {
    const image = join(scratch.path, 'late.elf');
    await buildImage('stubdoms/xenstored/unikernel.ts', image);
    await inOwnLab(async (lab) => {
      await lab.run(['cp', image, KEPT_IMAGE]);
      const start = `${STORE_PROGRAM} start ${KEPT_IMAGE} 32 ${JOURNAL_PAGES}`;
      // It takes the better part of a second. Every time it comes a little further.
      const { stdout } = await lab.attempt(
        `for hundredths in $(seq -w 5 5 95); do
           timeout -s KILL 0.$hundredths ${start} >/dev/null 2>&1
           [ $? = 137 ] && echo killed
         done`,
        { timeout_ms: LIMIT_MS },
      );
      expect(stdout).toContain('killed');
      const host = await Host.startKeptStore(lab, KEPT_IMAGE);
      const domains = await lab.run("xl list | awk 'NR > 1 { print $1, $3 }'");
      expect(domains.trim().split('\n').sort()).toEqual([
        'Domain-0 2048',
        'Xenstore 32',
        'Xenstore-journal 8',
      ]);
      await new KeptStore(host).destroy();
      expect(await host.stop()).toEqual([0]);
    });
  },
  TEST_LIMIT_MS,
);

test(
  'a host without PVH is told so, and its dom0 may still have a xenstored of its own',
  async () => {
    const image = join(scratch.path, 'unused.elf');
    await buildImage('stubdoms/xenstored/unikernel.ts', image);
    const lab = await ownLab({ ...MACHINE_DEFAULTS, hardwareVirtualisation: false });
    try {
      await lab.run('mkdir -p /var/lib/xen /run/xen');
      const { code, stderr } = await lab.attempt(
        ['node', PARAVANE, 'run', 'store-domain', '--image', image],
        { timeout_ms: LIMIT_MS },
      );
      expect(stderr).toMatch(/needs hardware virtualisation with nested paging.*Xen has none/);
      expect(code).toBe(1);
      const xenstored = await startOurs(lab, 'xenstored');
      await lab.run('xen-init-dom0');
      expect(await lab.run("xl list | awk 'NR > 1 { print $1 }'")).toBe('Domain-0\n');
      expect((await xenstored.stop()).code).toBe(0);
    } finally {
      await lab.close();
    }
  },
  TEST_LIMIT_MS,
);
