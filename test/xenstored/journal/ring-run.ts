/** Domains on their rings, with random requests, and a xenstored that is killed at chosen moments. */
import fc from 'fast-check';
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_GET_PERMS,
  XS_MKDIR,
  XS_READ,
  XS_RESET_WATCHES,
  XS_RM,
  XS_SET_PERMS,
  XS_UNWATCH,
  XS_WATCH,
  XS_WRITE,
} from '../../../src/abi/io/xs_wire.ts';
import { latin1Decode } from '../../../src/base/bytes.ts';
import { formatEntry } from '../../../src/xenstored/permissions.ts';
import type { NodeState } from '../../../src/xenstored/state.ts';
import { bytesOf } from '../../../src/xenstored/value.ts';
import { describePacket, type RawClient } from '../raw-client.ts';
import { SimXenstored } from '../sim-xenstored.ts';
import { type KillPoint, MemoryJournal, type MortalJournal } from './memory-journal.ts';

const step = fc.record({
  client: fc.nat(2),
  type: fc.constantFrom(
    ...[XS_READ, XS_DIRECTORY, XS_GET_PERMS, XS_WRITE, XS_WRITE, XS_MKDIR, XS_RM],
    ...[XS_SET_PERMS, XS_WATCH, XS_WATCH, XS_UNWATCH, XS_RESET_WATCHES],
  ),
  path: fc.constantFrom('', '/a', '/a/b', '/a/b/c', '/d'),
  value: fc.constantFrom('1', '22', '', 'x'.repeat(1500)),
  /** The client stops reading, or begins to read again. */
  turnsDeaf: fc.integer({ min: 0, max: 9 }),
  /** Nobody waits for what comes of it before the client's next step. */
  hurries: fc.boolean(),
});

const CHANGES: ReadonlySet<number> = new Set([XS_WRITE, XS_MKDIR, XS_RM, XS_SET_PERMS]);

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

interface Kill {
  /** Before this step, or within it. */
  readonly step: number;
  readonly point: KillPoint | 'between';
  /** Within: so many times is the journal added to before. */
  readonly appends: number;
}

const kill: fc.Arbitrary<Kill> = fc.record({
  step: fc.nat(50),
  point: fc.constantFrom('before', 'within', 'after', 'between'),
  appends: fc.nat(3),
});

function payloadOf({ type, path, value }: Step): string {
  const whole = `/local/domain/1${path}`;
  if (type === XS_WRITE) return `${whole}|${value}`;
  if (type === XS_SET_PERMS) return `${whole}|n1|r2|`;
  if (type === XS_WATCH || type === XS_UNWATCH) return `${whole}|${value.slice(0, 2)}|`;
  return type === XS_RESET_WATCHES ? '|' : `${whole}|`;
}

/** What is done, and when xenstored is killed meanwhile. */
export const scenario = fc.record({
  steps: fc.array(step, { maxLength: 50, size: 'max' }),
  seed: fc.nat(),
  kills: fc.array(kill, { minLength: 1, maxLength: 6 }),
});

export type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

/** Does the steps; returns what each client was told, what is there at the end, and what is wrong with it. */
export async function run(
  { steps, seed, kills }: Scenario,
  journal: MortalJournal = new MemoryJournal(),
) {
  // Events that wait for a deaf client would wait longer: a restart lets them wait anew.
  const sim = new SimXenstored<MortalJournal>({ watchEventTimeout_ms: 0 }, seed, journal);
  const clients = [await sim.guestWithHome(1), await sim.guestWithHome(2), sim.kernel];
  for (const client of clients) client.take();
  for (const [index, each] of steps.entries()) {
    if (each.client !== steps[index - 1]?.client) await sim.settle();
    await strike(
      sim,
      kills.filter((one) => one.step === index),
    );
    const client = clients[each.client] as RawClient;
    if (each.turnsDeaf === 0) client.deaf = !client.deaf;
    if (each.turnsDeaf === 0 && !client.deaf) client.pump();
    client.send(each.type, payloadOf(each));
    // Of two changes that are made at one go a watcher may hear once, and twice after a kill between.
    if (!each.hurries || CHANGES.has(each.type)) await sim.settle();
  }
  for (const client of clients) {
    client.deaf = false;
    client.pump();
    await sim.settle();
  }
  sim.journal.killAfter = undefined;
  const packets = clients.map(({ received }) => received.map(describePacket));
  return { packets, ...(await finalState(sim)) };
}

async function strike(sim: SimXenstored<MortalJournal>, kills: readonly Kill[]): Promise<void> {
  for (const { point, appends } of kills) {
    if (point === 'between') {
      sim.kill();
      await sim.settle();
    } else {
      sim.journal.killAfter = { appends, point };
    }
  }
}

function describeNode({ path, value, permissions, generation, birth }: NodeState): string {
  const entries = permissions.map((entry) => `${formatEntry(entry)}.${entry.incarnation}`);
  return `${path} ${latin1Decode(bytesOf(value))} ${entries} ${generation} ${birth}`;
}

/** What is there at the end, and whether the journal has all of it. */
async function finalState(sim: SimXenstored<MortalJournal>) {
  const shown = await sim.reply(sim.socket(), XS_CONTROL, 'quota|1|');
  // The most that was ever used is each xenstored's own.
  const usage = shown?.replace(/ *\(max: *\d+\)/g, '');
  const { connections: _, nodes, ...settings } = sim.xenstored.capture();
  const { watches } = sim.xenstored.status();
  const before = [...nodes].map(describeNode);
  sim.kill();
  const problems: string[] = [];
  const recovered = [...sim.xenstored.capture().nodes].map(describeNode);
  if (recovered.join('\n') !== before.join('\n')) problems.push('the journal has other nodes');
  if (sim.xenstored.status().watches !== watches) problems.push('the journal lacks watches');
  if (sim.xenstored.check() !== 0) problems.push('the store does not fit together');
  problems.push(...(await sim.finish()));
  return { usage, settings, nodes: before, watches, problems };
}
