/**
 * The network back end as a domain of its own: a switch for guests, whose way out is the interface that
 * the domain has itself, as a front end of our back end in dom0.
 */
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { type Host, vifLine } from '../../scripts/lab/host.ts';
import { debianKernel } from '../../src/dom0/image/debian-kernel.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { buildLinuxImage } from '../../src/dom0/image/linux-image.ts';
import {
  entryOf,
  linuxConfig,
  type StubDomain,
  stubDomains,
  unikernelConfig,
} from '../../src/dom0/stub-domains.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { DriverDomain } from './driver-domain.ts';
import {
  addressOf,
  BRIDGE,
  BusyConnection,
  checkContent,
  checkPing,
  DOM0,
  DOM0_V6,
  MACS,
  makeBridge,
  netGuest,
  runNetback,
  setAddresses,
} from './net-guest.ts';
import { sharedHost } from './shared-lab.ts';

/** Emulated, a domain that is made again takes a minute, and TCP as long to notice. */
const TEST_LIMIT_MS = 1_500_000;
const DESTRUCTIONS = 2;

const NETBACK = stubDomains.find(({ name }) => name === 'netback') as StubDomain;
const { name: NAME } = NETBACK;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** One of the two forms that the driver domain has. */
interface Form {
  readonly config: string;
  /** What it says once it serves. */
  readonly ready: RegExp;
}

async function unikernel(): Promise<Form> {
  const image = join(scratch.path, 'netback.elf');
  await buildImage(entryOf(NETBACK), image);
  return { config: unikernelConfig(NETBACK, image), ready: / ready domid=/ };
}

async function linux(): Promise<Form> {
  const image = join(scratch.path, 'netback.initramfs');
  const form = NETBACK.linux!;
  await buildLinuxImage(form.words, image);
  const config = linuxConfig(NETBACK, form, debianKernel().image, image);
  return { config, ready: /netback is ready/ };
}

/** What `paravane build` prints, with our hotplug script for the domain's own interface. */
const configOf = ({ config }: Form) =>
  config.replace(`'bridge=${BRIDGE}'`, `'${vifLine(`bridge=${BRIDGE}`)}'`);

/** Starts the domain, and what keeps it there. It is gone when the test ends. */
async function keep(host: Host, form: Form): Promise<DriverDomain> {
  onTestFinished(async () => void (await host.lab.attempt(['xl', 'destroy', NAME])));
  const driver = await DriverDomain.keep(host, NAME, configOf(form), form.ready);
  onTestFinished(() => driver.forsake());
  return driver;
}

/** Destroys the domain while a connection through it is busy; that goes on as soon as it is there again. */
async function destroyUnder(busy: BusyConnection, driver: DriverDomain): Promise<void> {
  const domid = await driver.domid();
  for (let destruction = 0; destruction < DESTRUCTIONS; destruction++) {
    await driver.destroy();
    await busy.goesOn();
  }
  expect(await driver.domid()).toBe(domid);
}

/** What two guests of the domain can do. They are gone in the end. */
async function use(host: Host, driver: DriverDomain): Promise<void> {
  const served = (mac: string) => [`mac=${mac},backend=${NAME}`];
  const a = await netGuest(host, 'alder', 'pv', served(MACS[0]));
  const b = await netGuest(host, 'birch', 'pvh', served(MACS[1]));
  const [ofA, ofB] = [addressOf(2), addressOf(3)];
  await setAddresses(a);
  await setAddresses(b, 'eth0', 3);
  await checkPing(a);
  await checkPing(a, ofB.v4, ofB.v6);
  await checkContent(host, a, DOM0, ofA.v4);
  await checkContent(host, b, DOM0_V6, ofB.v6);

  const busy = await BusyConnection.begin(host, a);
  await destroyUnder(busy, driver);
  await busy.end();
  await checkPing(a, ofB.v4, ofB.v6);
  await a.destroy();
  await b.destroy();
}

test.each([
  { form: 'on our kernel', build: unikernel },
  { form: 'on Linux', build: linux },
])(
  'guests of a driver domain $form reach each other and dom0, and a connection outlives it',
  async ({ build }) => {
    const host = await sharedHost();
    const form = await build();
    await makeBridge(host);
    await runNetback(host);
    const before = await host.traces();
    const driver = await keep(host, form);
    await driver.explain(use(host, driver));
    await driver.shutdown();
    expect(await host.leftovers(before)).toEqual([]);
  },
  TEST_LIMIT_MS,
);
