/** The console daemon as a domain of its own, with a relay in dom0, either of which is killed under load. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Guest, type GuestType } from '../../scripts/lab/guest.ts';
import { Host, PARAVANE } from '../../scripts/lab/host.ts';
import { guestInitramfs } from '../../scripts/lab/initramfs.ts';
import type { DomZeroProcess } from '../../scripts/lab/process.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import {
  entryOf,
  type StubDomain,
  stubDomains,
  unikernelConfig,
} from '../../src/dom0/stub-domains.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { flood, floodEnd, floodIsWhole } from './console-flood.ts';
import { ownLab } from './shared-lab.ts';

/** To show what a viewer has missed takes an emulated machine longer than to answer. */
const LIMIT_MS = 300_000;
/** Emulated, a domain that is made again takes its time. */
const REMAKE_LIMIT_MS = 300_000;
const FLOOD_LIMIT_MS = 600_000;
const FLOOD_LINES = 30_000;

const CONSOLE_DOMAIN = stubDomains.find(({ name }) => name === 'xenconsoled') as StubDomain;
const { name: NAME } = CONSOLE_DOMAIN;
const CONFIG = `/run/${NAME}.cfg`;

const GUEST_SCRIPT = `
PS1='guest# '
export PS1
while true; do setsid cttyhack sh; done
`;

const scratch = scratchDirectory();
let host: Host;

beforeAll(async () => {
  const image = join(scratch.path, `${NAME}.elf`);
  await buildImage(entryOf(CONSOLE_DOMAIN), image);
  const lab = await ownLab();
  const config = unikernelConfig(CONSOLE_DOMAIN, image);
  await lab.run(`cat >${CONFIG}`, { input: config });
  host = await Host.startOnConsoleDomain(lab, CONFIG);
});

afterAll(async () => {
  await host?.lab.close();
  scratch.remove();
});

const logOf = (guest: string) => `/var/log/xen/console/guest-${guest}.log`;

function view(...command: string[]): DomZeroProcess {
  return host.lab.start(command, { terminal: { columns: 80, rows: 24 } });
}

/** Types a line and resolves once `answer` has come after it. */
async function say(viewer: DomZeroProcess, line: string, answer: RegExp) {
  const from = viewer.output.length;
  viewer.write(`${line}\r`);
  return viewer.waitFor(answer, LIMIT_MS, from);
}

function makeGuest(type: GuestType, name: string): Promise<Guest> {
  const ramdisk = guestInitramfs(GUEST_SCRIPT);
  return Guest.create(host.lab, { name, type, ramdisk, memory_mib: 128 });
}

const sizeOf = async (log: string) => Number(await host.lab.run(`stat -c %s ${log}`));

/** Resolves once the log has grown. */
async function grows(log: string): Promise<void> {
  const then = await sizeOf(log);
  const look = async () => ((await sizeOf(log)) > then ? true : undefined);
  await host.lab.waitFor('more output', look, REMAKE_LIMIT_MS);
}

/** Destroys the console domain, and resolves once it is there again and its relay connected. */
async function destroyDomain(): Promise<void> {
  const keeper = host.daemon('driver-domain');
  const relay = host.daemon('console-relay');
  const from = relay.output.length;
  const kept = keeper.output.length;
  await host.lab.run(['xl', 'destroy', NAME], { timeout_ms: REMAKE_LIMIT_MS });
  await keeper.waitFor(/domain xenconsoled runs/, REMAKE_LIMIT_MS, kept);
  await relay.waitFor(/connected to the domain/, REMAKE_LIMIT_MS, from);
}

const killRelay = () => host.restart('console-relay', 'SIGKILL', '--log', 'all');

/** All that a guest's console is asked for. The guest is gone in the end. */
async function talk(type: GuestType, name: string): Promise<void> {
  const log = logOf(name);
  const domid = await host.lab.run(['xl', 'domid', NAME]);
  expect(await host.foreignParts()).toEqual([]);
  const guest = await makeGuest(type, name);
  await guest.shows(/guest# /);
  expect(
    await host.lab.run(`xenstore-read /local/domain/$(xl domid ${name})/console/backend-id`),
  ).toBe(domid);
  await guest.type('echo seen $((40 + 2)) times', /seen 42 times/);
  guest.console().write('\x1d');
  await guest.console().exit;

  const viewer = view('node', PARAVANE, 'console', name);
  await viewer.waitFor(/attached/, LIMIT_MS);
  await say(viewer, 'echo $((6 * 7)) is the answer', /42 is the answer/);

  viewer.write(`${flood(FLOOD_LINES)}\r`);
  await viewer.waitFor(/FLOOD-BEGIN/, LIMIT_MS);
  // To show all of it would take the emulated machine longer than to log it.
  viewer.write('\x1d');
  await viewer.exit;
  await grows(log);
  await destroyDomain();
  await grows(log);
  await killRelay();
  await grows(log);
  await destroyDomain();
  await floodEnd(host.lab, log, FLOOD_LIMIT_MS);
  expect(await floodIsWhole(host.lab, log, FLOOD_LINES)).toBe('whole');
  expect(await host.lab.run(['xl', 'domid', NAME])).toBe(domid);

  const next = view('node', PARAVANE, 'console', name);
  await next.waitFor(/FLOOD-END/, LIMIT_MS);
  await say(next, 'echo $((6 * 8)) is another', /48 is another/);
  const late = view('xl', 'console', name);
  await say(late, 'echo $((6 * 9)) is a third', /54 is a third/);
  late.write('\x1d');
  await late.exit;
  await guest.destroy();
  await next.waitFor(/the console is over/, LIMIT_MS);
  expect((await next.exit).code).toBe(0);
}

test.each<GuestType>(['pv', 'pvh'])(
  'a %s guest has its console in the domain: xl console, paravane console, and a log that is whole whatever is killed',
  (type) => talk(type, `talker-${type}`),
  2_400_000,
);

test('nothing of the guests is left', async () => {
  const isGone = async () => {
    const { stdout } = await host.lab.attempt(
      'xenstore-ls -fp | grep /backend/console/; ls /run/paravane/console-relay',
    );
    // Made anew, the domain has a console of its own, which nobody serves.
    const domid = (await host.lab.run(['xl', 'domid', NAME])).trim();
    const left = stdout.split('\n').filter((line) => !line.includes(`/backend/console/${domid}`));
    return left.every((line) => line === '') || undefined;
  };
  await host.lab.waitFor('end of the consoles', isGone);
});
