/**
 * A host whose dom0 runs nothing that guests depend on: xenstored, consoles, disks and network are each a
 * domain of its own. Each of the four is destroyed while two guests work, and then two of them at once.
 *
 * The disks come from a fifth domain, which has them in its memory. dom0 has the keepers, which make anew
 * what has ended, and the relay, which has the terminals and the logs.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import type { Guest, GuestType } from '../../scripts/lab/guest.ts';
import { Host } from '../../scripts/lab/host.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import { Prng } from '../../src/base/prng.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { buildLinuxImage } from '../../src/dom0/image/linux-image.ts';
import {
  entryOf,
  type StubDomain,
  stubDomains,
  unikernelConfig,
} from '../../src/dom0/stub-domains.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { DriverDomain, linuxWithDisks, servedDisk, withFiles } from './driver-domain.ts';
import { KEPT_IMAGE, KeptStore } from './kept-store.ts';
import { inOwnLab } from './shared-lab.ts';
import {
  bothGoOn,
  bothHaveMetNoError,
  connectWorkingGuests,
  makeWorkingGuest,
} from './working-guest.ts';

const TEST_LIMIT_MS = 1_800_000;
/** Emulated, a domain that is made again takes a minute. */
const REMAKE_LIMIT_MS = 300_000;
const PAUSE_MAX_MS = 3000;
const STORAGE_MIB = 512;
const RANGE = '10.81.0.0/24';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** Something that guests depend on, in a domain. */
interface Service {
  readonly name: string;
  /** Destroys the domain, and resolves once another one serves in its place. */
  destroy(): Promise<void>;
}

/** Builds the unikernel of `paravane build NAME`. Resolves with xl's configuration for it. */
async function build(name: string): Promise<string> {
  const stubDomain = stubDomains.find((known) => known.name === name) as StubDomain;
  const image = join(scratch.path, `${name}.elf`);
  await buildImage(entryOf(stubDomain), image);
  const printed = unikernelConfig(stubDomain, image);
  // The printed lines leave the devices to the operator.
  return printed.replace(/^(disk|vif) = .*\n/gm, '');
}

/** A domain of Linux with a disk for each guest in its memory. */
async function startStorage(host: Host): Promise<DriverDomain> {
  const initramfs = join(scratch.path, 'storage.initramfs');
  await buildLinuxImage(['blkback', '--driver-domain'], initramfs);
  const directory = '/run/disks';
  await host.lab.run(['mkdir', directory]);
  const make = 'for n in 0 1; do truncate -s 32M $n.img && mkfs.ext4 -q $n.img; done';
  await host.lab.run(make, { cwd: directory });
  const form = linuxWithDisks(await withFiles(host.lab, initramfs, directory), STORAGE_MIB);
  return DriverDomain.start(host, 'storage', form);
}

const served = / ready domid=/;

/** Starts the three that come after xenstored, and resolves once they serve. */
async function startDriverDomains(host: Host): Promise<Record<string, DriverDomain>> {
  const disks = ['xvda', 'xvdb'].map((vdev, n) => `'${servedDisk('storage', `/${n}.img`, vdev)}'`);
  const blkback = `${await build('blkback')}disk = [ ${disks.join(', ')} ]\n`;
  const netback = `${await build('netback')}extra = "dhcp=${RANGE}"\n`;
  const xenconsoled = await DriverDomain.keep(
    host,
    'xenconsoled',
    await build('xenconsoled'),
    served,
  );
  await host.daemon('console-relay').waitFor(/connected to the domain/, REMAKE_LIMIT_MS);
  return {
    xenconsoled,
    blkback: await DriverDomain.keep(host, 'blkback', blkback, served),
    netback: await DriverDomain.keep(host, 'netback', netback, served),
  };
}

/** All four, as what may be destroyed. */
function servicesOf(host: Host, domains: Readonly<Record<string, DriverDomain>>): Service[] {
  const store = new KeptStore(host);
  const relay = host.daemon('console-relay');
  const others = Object.values(domains).map((domain) => ({
    name: domain.name,
    async destroy() {
      const from = relay.output.length;
      await domain.destroy();
      if (domain.name !== 'xenconsoled') return;
      await relay.waitFor(/connected to the domain/, REMAKE_LIMIT_MS, from);
    },
  }));
  return [{ name: 'xenstored', destroy: () => store.destroy() }, ...others];
}

/** What of dom0 could do the work of one of the four. */
async function servicesInDom0(host: Host): Promise<string[]> {
  const lines = await host.lab.run(
    "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$file; echo; done",
  );
  const work = /run (xenstored|xenconsoled|blkback|netback)|qemu/;
  const processes = lines.split('\n').filter((line) => work.test(line));
  return [...(await host.foreignParts()), ...processes];
}

async function makeGuests(lab: Lab): Promise<[Guest, Guest]> {
  const make = (n: number, name: string, type: GuestType) =>
    makeWorkingGuest(lab, {
      ...{ name, type },
      disk: servedDisk('blkback', `vbd:${51712 + 16 * n}`),
      vif: `mac=00:16:3e:00:81:0${n},backend=netback`,
    });
  // This one first: with another at work, it would take the emulator minutes to boot it.
  const maple = await make(1, 'maple', 'pvh');
  const guests = [await make(0, 'willow', 'pv'), maple] as const;
  await connectWorkingGuests(...guests);
  return [...guests];
}

/** Destroys the services one after the other, then in pairs, while the guests work. */
async function outlive(services: readonly Service[], lab: Lab, prng: Prng): Promise<void> {
  const guests = await makeGuests(lab);
  const [a, b, c, d] = shuffled(services, prng) as [Service, Service, Service, Service];
  for (const together of [[a], [b], [c], [d], [a, c], [b, d]]) {
    await bothGoOn(guests);
    await sleep(prng.below(PAUSE_MAX_MS));
    console.error(`is destroyed: ${together.map(({ name }) => name).join(' and ')}`);
    await Promise.all(together.map((service) => service.destroy()));
  }
  await bothHaveMetNoError(guests);
  for (const guest of guests) {
    expect(await gapInLog(lab, guest)).toBe('none');
    await guest.destroy();
  }
}

/** Where the log lacks something that the guest has printed of its disk. */
async function gapInLog(lab: Lab, guest: Guest): Promise<string> {
  const log = await lab.run(['cat', `/var/log/xen/console/guest-${guest.name}.log`]);
  const rounds = [...log.matchAll(/DISK (\d+)\r?\n/g)].map(([, round]) => Number(round));
  const gap = rounds.findIndex((round, at) => round !== at + 1);
  return gap < 0 ? 'none' : `after round ${rounds[gap - 1]} comes ${rounds[gap]}`;
}

function shuffled<Item>(items: readonly Item[], prng: Prng): Item[] {
  const left = [...items];
  return items.map(() => left.splice(prng.below(left.length), 1)[0] as Item);
}

test(
  'guests work on four domains, each of which is destroyed, and two at once',
  async () => {
    const seed = Number(process.env.PARAVANE_SEED ?? Date.now() % 1_000_000);
    console.error(`the four domains are destroyed by seed ${seed} (PARAVANE_SEED)`);
    const image = join(scratch.path, 'xenstored.elf');
    await buildImage('stubdoms/xenstored/unikernel.ts', image);
    await inOwnLab(async (lab) => {
      await lab.run(['cp', image, KEPT_IMAGE]);
      const host = await Host.startKeptStore(lab, KEPT_IMAGE);
      const before = await host.traces();
      // First, since libxl makes no domain whose console has no terminal.
      await host.start('console-relay', '--log', 'all');
      const storage = await startStorage(host);
      const domains = await startDriverDomains(host);
      expect(await servicesInDom0(host)).toEqual([]);

      const services = servicesOf(host, domains);
      let explained = outlive(services, lab, new Prng(seed));
      for (const domain of [...Object.values(domains), storage])
        explained = domain.explain(explained);
      await explained;

      expect(await servicesInDom0(host)).toEqual([]);
      for (const domain of Object.values(domains).reverse()) await domain.shutdown();
      await storage.shutdown();
      await host.end('console-relay');
      expect(await host.leftovers(before)).toEqual([]);
      expect(await host.stop()).toEqual([0]);
    });
  },
  TEST_LIMIT_MS,
);
