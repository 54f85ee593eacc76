/**
 * Attacks on xenstored by a guest of ours, on real Xen, and what another guest has of xenstore
 * meanwhile. Each attack has a domain of its own; its number is that of the Xen security advisory.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Host, Traces } from '../../scripts/lab/host.ts';
import { ATTACKS, HARMLESS, type Scene, titleOf } from './attack-scenes.ts';
import { Attacker, cleanStore, prepareStore } from './attacker.ts';
import { latencyTable } from './latency-table.ts';
import { sharedHost } from './shared-lab.ts';
import { type Experience, Victim } from './victim.ts';

/** What the daemon may need besides what it has from the start; all that a guest may own is less. */
const GROWTH_KIB_MAX = 96 * 1024;
const REBOOTS = 3;

let host: Host;
let victim: Victim;
let before: Traces;
let withVictim: Traces;
let start_KiB: number;
const table = new Map<string, Experience>();

beforeAll(async () => {
  host = await sharedHost();
  before = await host.traces();
  await prepareStore(host.lab);
  victim = await Victim.create(host.lab);
  table.set('nobody else', await victim.live(2000));
  start_KiB = await daemonMemory_KiB();
  withVictim = await host.traces();
});

afterAll(async () => {
  console.log(latencyTable(table));
  await victim?.guest.destroy();
  await cleanStore(host.lab);
  expect(await host.leftovers(before)).toEqual([]);
});

const titled = (scenes: readonly Scene[]) =>
  scenes.map((scene) => [titleOf(scene), scene] as const);

async function daemonMemory_KiB(): Promise<number> {
  const pid = await host.daemon('xenstored').pid;
  return Number(
    await host.lab.run(`sed -n 's/^VmRSS:\\s*\\([0-9]*\\) kB/\\1/p' /proc/${pid}/status`),
  );
}

/** What the daemon finds wrong with its store. */
async function storeFindings(): Promise<number> {
  const daemon = host.daemon('xenstored');
  const from = daemon.output.length;
  await host.lab.run(['xenstore-control', 'check']);
  const [, findings] = await daemon.waitFor(/checked the store \{"findings":(\d+)\}/, 30_000, from);
  return Number(findings);
}

/** How long it took is for the table: an emulated machine under load may be slow at any time. */
function expectWellServed(experience: Experience): void {
  expect(experience).toMatchObject({ wrong: 0, failed: 0 });
  expect(experience.committed).toBeGreaterThan(0);
}

async function play(scene: Scene): Promise<string> {
  const { attacker, experience } = await Attacker.attack(host.lab, scene, victim);
  let console: string;
  try {
    table.set(titleOf(scene), experience);
    expectWellServed(experience);
    if (scene.ends === undefined) await expectUsage(attacker, scene);
    else if (scene.ends === 'destroyed') await attacker.end();
    else await followReboots(attacker, scene);
    console = await attacker.console();
  } finally {
    await attacker.discard();
  }
  expect(console).toMatch(scene.says ?? /has begun/);
  expect(await host.leftovers(withVictim)).toEqual([]);
  expect(await storeFindings()).toBe(0);
  expect(await daemonMemory_KiB()).toBeLessThan(start_KiB + GROWTH_KIB_MAX);
  return console;
}

async function expectUsage(attacker: Attacker, { usesAtMost = {} }: Scene): Promise<void> {
  if (Object.keys(usesAtMost).length === 0) return;
  const usage = await attacker.usage();
  for (const [name, limit] of Object.entries(usesAtMost)) {
    expect(usage.get(name), name).toBeLessThanOrEqual(limit);
  }
}

/** Lets it come back a few times; each time it is charged for nothing that it had before. */
async function followReboots(attacker: Attacker, scene: Scene): Promise<void> {
  let latest = await attacker.successor();
  for (let reboot = 1; reboot < REBOOTS; reboot++) {
    await expectUsage(latest, scene);
    await latest.beside(victim);
    latest = await latest.successor();
  }
}

describe('beside a guest that means no ill', () => {
  test.each(titled(HARMLESS))('%s: the other has its reads answered', async (_title, scene) => {
    await play(scene);
  });
});

describe('a guest that', () => {
  test.each(titled(ATTACKS))('XSA %s: hurts only itself', async (_title, scene) => {
    const console = await play(scene);
    // Of others' nodes it hears nothing: all that it may read is its own and what libxl gave it.
    expect(console).not.toMatch(new RegExp(`heard /local/domain/${victim.domid}/`));
  });
});
