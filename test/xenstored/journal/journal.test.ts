/** Xenstored is killed at any moment, and its clients notice nothing. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_GET_PERMS,
  XS_MKDIR,
  XS_READ,
  XS_RESET_WATCHES,
  XS_RM,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WRITE,
} from '../../../src/abi/io/xs_wire.ts';
import { describePacket, type RawClient } from '../raw-client.ts';
import { SimXenstored } from '../sim-xenstored.ts';
import type { KillPoint } from './memory-journal.ts';

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

/** Does the steps and returns what each client was told, and what is there at the end. */
async function told(steps: readonly Step[], seed: number, kills: readonly Kill[]) {
  // Events that wait for a deaf client would wait longer: a restart lets them wait anew.
  const sim = new SimXenstored({ watchEventTimeout_ms: 0 }, seed);
  const clients = [await sim.guestWithHome(1), await sim.guestWithHome(2), sim.kernel];
  for (const client of clients) client.take();
  for (const [index, each] of steps.entries()) {
    if (each.client !== steps[index - 1]?.client) await sim.settle();
    for (const { step: at, point, appends } of kills) {
      if (at !== index) continue;
      if (point === 'between') {
        sim.kill();
        await sim.settle();
      } else sim.journal.killAfter = { appends, point };
    }
    const client = clients[each.client] as RawClient;
    if (each.turnsDeaf === 0) client.deaf = !client.deaf;
    if (each.turnsDeaf === 0 && !client.deaf) client.pump();
    client.send(each.type, payloadOf(each));
    if (!each.hurries) await sim.settle();
  }
  for (const client of clients) {
    client.deaf = false;
    client.pump();
    await sim.settle();
  }
  sim.journal.killAfter = undefined;
  const packets = clients.map(({ received }) => received.map(describePacket));
  // The most that was ever used is each xenstored's own.
  const usage = (await sim.reply(sim.socket(), XS_CONTROL, 'quota|1|'))?.replace(
    / *\(max: *\d+\)/g,
    '',
  );
  const { connections, nodes, ...rest } = sim.xenstored.capture();
  const status = sim.xenstored.status();
  sim.kill();
  const recovered = sim.xenstored.capture();
  expect([...recovered.nodes], 'what the journal holds').toEqual([...nodes]);
  expect(sim.xenstored.status().watches, 'what the journal holds').toBe(status.watches);
  expect(sim.xenstored.check()).toBe(0);
  expect(await sim.finish()).toEqual([]);
  return { packets, usage, rest, nodes: [...nodes], watches: status.watches };
}

test('a kill at any moment changes nothing of what any domain is told', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 50, size: 'max' }),
      fc.nat(),
      fc.array(kill, { minLength: 1, maxLength: 6 }),
      async (steps, seed, kills) => {
        const undisturbed = await told(steps, seed, []);
        expect(await told(steps, seed, kills)).toEqual(undisturbed);
      },
    ),
    { numRuns: 100 },
  );
});

describe('after a kill', () => {
  let sim: SimXenstored;
  let tools: RawClient;

  beforeEach(() => {
    sim = new SimXenstored();
    tools = sim.socket();
  });

  afterEach(async () => {
    expect(sim.xenstored.check()).toBe(0);
    expect(await sim.finish()).toEqual([]);
  });

  test('an open transaction sees its own changes and ends with EAGAIN, twice over', async () => {
    const guest = await sim.guestWithHome(1);
    expect(await sim.reply(guest, XS_TRANSACTION_START, '|')).toBe('1|');
    expect(await sim.reply(guest, XS_WRITE, 'a/b|new', 1)).toBe('OK|');
    sim.kill();
    expect(await sim.reply(guest, XS_READ, 'a/b|', 1)).toBe('new');
    expect(await sim.reply(guest, XS_WRITE, 'a/c|more', 1)).toBe('OK|');
    sim.kill();
    expect(await sim.reply(guest, XS_DIRECTORY, 'a|', 1)).toBe('b|c|');
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', 1)).toBe('!EAGAIN');
    expect(await sim.reply(guest, XS_READ, 'a/b|')).toBe('!ENOENT');
    expect(await sim.reply(guest, XS_TRANSACTION_START, '|')).toBe('2|');
  });

  test('a transaction that only read ends with EAGAIN too, and one that is given up with OK', async () => {
    const guest = await sim.guestWithHome(1);
    for (const _ of [1, 2]) await sim.ask(guest, XS_TRANSACTION_START, '|');
    await sim.ask(guest, XS_READ, 'x|', 1);
    sim.kill();
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', 1)).toBe('!EAGAIN');
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'F|', 2)).toBe('OK|');
    expect(sim.xenstored.status().transactions).toBe(0);
  });

  test('quotas, targets, the permissions of happenings and incarnations are as they were', async () => {
    await sim.guestWithHome(1);
    const model = await sim.guest(2);
    await sim.ask(tools, XS_SET_TARGET, '2|1|');
    await sim.ask(tools, XS_CONTROL, 'quota|set|nodes|7|');
    await sim.ask(tools, XS_SET_PERMS, '@releaseDomain|n0|r2|');
    await sim.ask(tools, XS_WRITE, '/x|');
    await sim.ask(tools, XS_SET_PERMS, '/x|n0|b1|');
    const { nodes, connections, ...before } = sim.xenstored.capture();
    sim.kill();
    expect(sim.xenstored.capture()).toMatchObject(before);
    expect(await sim.reply(model, XS_READ, '/local/domain/1|')).toBe('');
    sim.guests.get(1)?.domain.kill();
    sim.kill();
    await sim.settle();
    const later = await sim.guestWithHome(1);
    expect(await sim.reply(later, XS_READ, '/x|')).toBe('!EACCES');
  });

  test('who broke a rule is still not listened to', async () => {
    const guest = await sim.guestWithHome(1);
    guest.stream.write(new Uint8Array(16).fill(0xff));
    await sim.settle();
    sim.kill();
    guest.send(XS_READ, 'x|');
    await sim.settle();
    expect(guest.received).toEqual([]);
    expect(sim.log.filter((line) => line.includes('not listened to any more'))).toHaveLength(1);
  });

  test('domains that died meanwhile are gone, and watchers in other domains hear of it', async () => {
    await sim.guestWithHome(1);
    await sim.ask(sim.kernel, XS_WATCH, '@releaseDomain|k|');
    sim.kernel.take();
    sim.guests.get(1)?.domain.kill();
    sim.kill();
    await sim.settle();
    expect(sim.kernel.take().events).toEqual(['@releaseDomain|k|']);
    expect(await sim.reply(sim.kernel, XS_READ, '/local/domain/1|')).toBe('!ENOENT');
  });

  test('a request longer than the ring goes on where it was', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(sim.socket(), XS_CONTROL, 'quota|set|node-size|4096|');
    const value = 'v'.repeat(3000);
    guest.write('long', value);
    sim.journal.killAfter = { appends: 1, point: 'after' };
    await sim.settle();
    expect(guest.take().reply).toBe('OK|');
    expect(await sim.reply(guest, XS_READ, 'long|')).toBe(value);
  });

  test('events that were dropped stay dropped, and what is left comes whole', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(guest, XS_WATCH, 'x|t|');
    guest.deaf = true;
    for (let i = 0; i < 100; i++) tools.write(`/local/domain/1/x/${'n'.repeat(100)}${i}`, '');
    await sim.world.run({ for_ms: 60_000 });
    sim.kill();
    await sim.settle();
    guest.deaf = false;
    guest.pump();
    await sim.settle();
    const { events } = guest.take();
    expect(events.length).toBeGreaterThan(5);
    expect(events.length).toBeLessThan(20);
    expect(new Set(events).size).toBe(events.length);
    expect(await sim.reply(guest, XS_READ, 'x|')).toBe('');
  });

  test('a frame that is not whole is left out, and the log says where', async () => {
    await sim.ask(tools, XS_WRITE, '/kept|1');
    const whole = sim.journal.length;
    await sim.ask(tools, XS_WRITE, '/lost|1');
    sim.journal.length--;
    sim.kill();
    expect(sim.log).toContain(
      `warn: the journal is torn at byte ${whole}: what follows is left out`,
    );
    const later = sim.socket();
    expect(await sim.reply(later, XS_READ, '/kept|')).toBe('1');
    expect(await sim.reply(later, XS_READ, '/lost|')).toBe('!ENOENT');
  });

  test('what was written while there was no room is kept as soon as there is', async () => {
    sim.journal.capacity = sim.journal.length + 100;
    for (const name of ['a', 'b', 'c']) await sim.ask(tools, XS_WRITE, `/${name}|1`);
    expect(
      sim.log.filter((line) => line.startsWith('error: the journal cannot be kept')),
    ).toHaveLength(1);
    sim.journal.capacity = Number.POSITIVE_INFINITY;
    await sim.world.run({ for_ms: 10_000 });
    expect(sim.log).toContain('info: the journal is kept again');
    sim.kill();
    expect(await sim.reply(sim.socket(), XS_READ, '/c|')).toBe('1');
  });

  test('a journal that has grown was rewritten, with what happened meanwhile', async () => {
    const nodes = 3000;
    for (let i = 0; i < nodes; i++) tools.write(`/many/${i}`, 'v'.repeat(200));
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 200; i++) tools.write(`/many/${i}`, `${round}`.repeat(300));
      await sim.settle();
      expect(tools.take().reply).toBe('OK|');
    }
    expect(sim.journal.rewrites).toBeGreaterThan(1);
    expect(sim.journal.length).toBeLessThan(5 << 20);
    sim.kill();
    const later = sim.socket();
    expect(await sim.reply(later, XS_READ, '/many/0|')).toBe('39'.repeat(300));
    expect(sim.xenstored.status().nodes).toBe(nodes + 4);
  });
});
