/** Xenstored is killed at any moment, and its clients notice nothing. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WRITE,
} from '../../../src/abi/io/xs_wire.ts';
import type { RawClient } from '../raw-client.ts';
import { SimXenstored } from '../sim-xenstored.ts';
import { run, scenario } from './ring-run.ts';

test('a kill at any moment changes nothing of what any domain is told', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (one) => {
      const undisturbed = await run({ ...one, kills: [] });
      const disturbed = await run(one);
      expect(disturbed).toEqual(undisturbed);
      expect(disturbed.problems).toEqual([]);
    }),
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

  test('a deep tree is as it was, and took as much of the journal as its names', async () => {
    const guest = await sim.guestWithHome(1);
    const [deep, levels] = ['deep', 700];
    const before = sim.journal.length;
    expect(await sim.reply(guest, XS_MKDIR, `${deep}${'/d'.repeat(levels)}|`)).toBe('OK|');
    expect(sim.journal.length - before).toBeLessThan(levels * 100);
    const undisturbed = [...sim.xenstored.capture().nodes];
    sim.kill();
    expect([...sim.xenstored.capture().nodes]).toEqual(undisturbed);
    expect(await sim.reply(guest, XS_RM, `${deep}|`)).toBe('OK|');
    sim.kill();
    expect(await sim.reply(guest, XS_READ, `${deep}|`)).toBe('!ENOENT');
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
    sim.journal.room = 100;
    for (const name of ['a', 'b', 'c']) await sim.ask(tools, XS_WRITE, `/${name}|1`);
    expect(
      sim.log.filter((line) => line.startsWith('error: the journal cannot be kept')),
    ).toHaveLength(1);
    sim.journal.room = Number.POSITIVE_INFINITY;
    await sim.world.run({ for_ms: 10_000 });
    expect(sim.log).toContain('info: the journal is kept again');
    sim.kill();
    expect(await sim.reply(sim.socket(), XS_READ, '/c|')).toBe('1');
  });

  test('where there is no room any more what is outdated goes, and nothing is lost', async () => {
    await sim.ask(tools, XS_WRITE, '/a|1');
    sim.journal.room = sim.journal.length + 100;
    const { rewrites } = sim.journal;
    for (let i = 0; i < 20; i++) await sim.ask(tools, XS_WRITE, `/a|${i}`);
    expect(sim.log.filter((line) => line.startsWith('error: '))).toEqual([]);
    expect(sim.journal.rewrites).toBeGreaterThan(rewrites);
    sim.kill();
    expect(await sim.reply(sim.socket(), XS_READ, '/a|')).toBe('19');
  });

  test('it serves while there is no room for a journal from the start', async () => {
    sim.journal.room = 100;
    sim.kill();
    const later = sim.socket();
    expect(await sim.reply(later, XS_WRITE, '/a|1')).toBe('OK|');
    sim.journal.room = Number.POSITIVE_INFINITY;
    await sim.world.run({ for_ms: 10_000 });
    expect(sim.log.filter((line) => line.startsWith('error: '))).toEqual([
      expect.stringContaining('the journal cannot be kept'),
    ]);
    sim.kill();
    expect(await sim.reply(sim.socket(), XS_READ, '/a|')).toBe('1');
  });

  test('without room for a rewrite the journal goes on growing, and nothing is lost', async () => {
    for (let i = 0; i < 100; i++) tools.write(`/many/${i}`, 'v'.repeat(300));
    await sim.settle();
    sim.journal.rewriteRoom = 1000;
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 100; i++) tools.write(`/many/${i}`, `${round}`.repeat(200));
      await sim.settle();
    }
    expect(sim.journal.length).toBeGreaterThan(1 << 20);
    expect(sim.log.filter((line) => line.startsWith('error: '))).toEqual([
      expect.stringContaining('the journal cannot be rewritten'),
    ]);
    sim.journal.rewriteRoom = Number.POSITIVE_INFINITY;
    await sim.world.run({ for_ms: 10_000 });
    expect(sim.log).toContain('info: the journal is kept again');
    sim.kill();
    expect(await sim.reply(sim.socket(), XS_READ, '/many/7|')).toBe('49'.repeat(200));
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
