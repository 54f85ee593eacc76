/** Domains come and go, in any state. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XENSTORE_CONNECTED,
  XENSTORE_RECONNECT,
  XENSTORE_SERVER_FEATURE_RECONNECTION,
  XenstoreDomainInterface,
  XS_DIRECTORY,
  XS_GET_PERMS,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESUME,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { SHUTDOWN_crash, SHUTDOWN_suspend } from '../../src/abi/sched.ts';
import type { SimGuest } from '../../src/hypervisor/sim/world.ts';
import type { XenstoredOptions } from '../../src/xenstored/options.ts';
import type { RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

let sim: SimXenstored;
let tools: RawClient;

function start(options: Partial<XenstoredOptions> = {}): void {
  sim = new SimXenstored(options);
  tools = sim.socket();
}

async function finish(): Promise<void> {
  expect(sim.xenstored.check()).toBe(0);
  expect(await sim.finish()).toEqual([]);
}

const pageOf = (domid: number) =>
  XenstoreDomainInterface.view(
    sim.guests.get(domid)?.xenstore.page.page(0) ?? new Uint8Array(4096),
  );

describe('a domain', () => {
  beforeEach(() => start());
  afterEach(finish);

  test('is announced when it is introduced, once', async () => {
    await sim.ask(tools, XS_WATCH, '@introduceDomain|t|');
    await sim.guest(1);
    expect(tools.take().events).toEqual(['@introduceDomain|t|']);
    await sim.ask(tools, XS_INTRODUCE, sim.introduceRequest(1));
    expect(tools.take().events).toEqual([]);
    expect(sim.xenstored.status().introduced).toEqual([0, 1]);
  });

  test('that is introduced again begins anew: no watches, no transactions, an empty ring', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(guest, XS_WATCH, 'x|t|');
    await sim.ask(guest, XS_TRANSACTION_START, '|');
    guest.stream.write(new Uint8Array(7));
    await sim.settle();
    guest.stream.close();
    pageOf(1).connection = XENSTORE_RECONNECT;
    expect(await sim.reply(tools, XS_INTRODUCE, sim.introduceRequest(1))).toBe('OK|');
    expect(pageOf(1).connection).toBe(XENSTORE_CONNECTED);
    expect([pageOf(1).req_prod, pageOf(1).rsp_prod]).toEqual([0, 0]);
    expect(sim.xenstored.status()).toMatchObject({ watches: 0, transactions: 0 });
    const again = sim.connectRing(1);
    await sim.settle();
    expect(await sim.reply(again, XS_READ, 'x|')).toBe('!ENOENT');
    expect(await sim.reply(again, XS_WRITE, 'x|', 1)).toBe('!ENOENT');
  });

  test('that broke a rule is served again once it is introduced again', async () => {
    const guest = await sim.guest(1);
    pageOf(1).req_prod = 5000;
    sim.guests.get(1)?.xenstore.channel.notify();
    await sim.settle();
    expect(pageOf(1).error).not.toBe(0);
    guest.stream.close();
    await sim.ask(tools, XS_INTRODUCE, sim.introduceRequest(1));
    const again = sim.connectRing(1);
    await sim.settle();
    expect(await sim.reply(again, XS_READ, '/|')).toBe('!EACCES');
    expect(pageOf(1).error).toBe(0);
  });

  test('that asks for it begins its ring anew: no watches, no transactions, empty rings', async () => {
    const guest = await sim.guestWithHome(1);
    expect(pageOf(1).server_features & XENSTORE_SERVER_FEATURE_RECONNECTION).not.toBe(0);
    await sim.ask(guest, XS_WATCH, 'x|t|');
    await sim.ask(guest, XS_TRANSACTION_START, '|');
    guest.deaf = true;
    guest.stream.write(new Uint8Array(7));
    await sim.ask(tools, XS_WRITE, '/local/domain/1/x|1');
    guest.stream.close();
    pageOf(1).connection = XENSTORE_RECONNECT;
    sim.guests.get(1)?.xenstore.channel.notify();
    await sim.settle();
    expect(pageOf(1).connection).toBe(XENSTORE_CONNECTED);
    const { req_cons, req_prod, rsp_cons, rsp_prod } = pageOf(1);
    expect([req_cons, req_prod, rsp_cons, rsp_prod]).toEqual([0, 0, 0, 0]);
    expect(sim.xenstored.status()).toMatchObject({ watches: 0, transactions: 0 });
    const again = sim.connectRing(1);
    await sim.settle();
    expect(await sim.ask(again, XS_READ, 'x|')).toEqual({ reply: '1', events: [] });
  });

  test('that broke a rule can begin its ring anew, also when xenstored was killed in between', async () => {
    const guest = await sim.guestWithHome(1);
    guest.stream.write(new Uint8Array(16).fill(0xff));
    await sim.settle();
    expect(pageOf(1).error).not.toBe(0);
    guest.stream.close();
    pageOf(1).connection = XENSTORE_RECONNECT;
    sim.kill();
    await sim.settle();
    expect(pageOf(1).connection).toBe(XENSTORE_CONNECTED);
    expect(pageOf(1).error).toBe(0);
    tools = sim.socket();
    const again = sim.connectRing(1);
    await sim.settle();
    expect(await sim.reply(again, XS_WRITE, 'x|1')).toBe('OK|');
  });

  test('that asks for its ring and has closed its port harms only itself', async () => {
    const guest = await sim.guestWithHome(1);
    guest.stream.close();
    pageOf(1).connection = XENSTORE_RECONNECT;
    const { channel } = (sim.guests.get(1) as SimGuest).xenstore;
    channel.notify();
    channel.close();
    await sim.settle();
    expect(sim.log).toContainEqual(
      expect.stringContaining('the ring of domain 1 cannot be had again'),
    );
    expect(await sim.reply(tools, XS_READ, '/local/domain/1|')).toBe('');
  });

  test('that cannot be introduced leaves nothing behind', async () => {
    sim.build(1);
    for (const port of ['77', '-1', '4000000000', 'x']) {
      expect(await sim.reply(tools, XS_INTRODUCE, `1|1|${port}|`)).toBe('!EINVAL');
    }
    expect(await sim.reply(tools, XS_INTRODUCE, '5|1|1|')).toBe('!EINVAL');
    expect(sim.xenstored.status().introduced).toEqual([0]);
    expect(await sim.reply(tools, XS_INTRODUCE, sim.introduceRequest(1))).toBe('OK|');
  });

  test('that shuts down is reported once, and again after XS_RESUME', async () => {
    await sim.guest(1);
    await sim.guest(2);
    await sim.ask(tools, XS_WATCH, '@releaseDomain|t|');
    sim.guests.get(1)?.domain.shutdown(SHUTDOWN_suspend);
    await sim.settle();
    expect(tools.take().events).toEqual(['@releaseDomain|t|']);
    sim.guests.get(2)?.domain.shutdown(SHUTDOWN_crash);
    await sim.settle();
    expect(tools.take().events).toEqual(['@releaseDomain|t|']);
    expect(await sim.reply(tools, XS_RESUME, '1|')).toBe('OK|');
    // The interrupt for another domain makes xenstored look at this one too.
    await sim.guest(3);
    sim.guests.get(3)?.domain.kill();
    await sim.settle();
    expect(tools.take().events).toContain('@releaseDomain|t|');
    expect(await sim.reply(tools, XS_IS_DOMAIN_INTRODUCED, '1|')).toBe('T|');
  });

  test('takes its nodes with it, and watchers hear of that before they hear of its end', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(guest, XS_WRITE, 'a/b|v');
    await sim.ask(tools, XS_WRITE, '/local/domain/1/a/ours|v');
    await sim.ask(tools, XS_SET_PERMS, '/local/domain/1/a/ours|n0|');
    for (const path of ['/local/domain/1', '/local/domain/1/a/b', '@releaseDomain']) {
      await sim.ask(tools, XS_WATCH, `${path}|t|`);
    }
    const heard = await sim.ask(tools, XS_RELEASE, '1|');
    expect(heard.events).toEqual([
      '/local/domain/1/a/b|t|',
      '/local/domain/1|t|',
      '@releaseDomain|t|',
    ]);
    expect(await sim.reply(tools, XS_DIRECTORY, '/local/domain|')).toBe('');
    expect(sim.xenstored.status().introduced).toEqual([0]);
  });

  test('that is gone lends its rights to nobody', async () => {
    await sim.guestWithHome(1);
    const model = await sim.guest(2);
    await sim.ask(tools, XS_SET_TARGET, '2|1|');
    expect(await sim.reply(model, XS_READ, '/local/domain/1|')).toBe('');
    sim.guests.get(1)?.domain.kill();
    await sim.settle();
    await sim.guestWithHome(1);
    expect(await sim.reply(model, XS_READ, '/local/domain/1|')).toBe('!EACCES');
  });

  test('that exists may own nodes before it is introduced, and loses them when it dies before', async () => {
    sim.build(1);
    await sim.ask(tools, XS_WRITE, '/early|');
    expect(await sim.reply(tools, XS_SET_PERMS, '/early|n1|')).toBe('OK|');
    await sim.ask(tools, XS_WATCH, '@releaseDomain|t|');
    sim.guests.get(1)?.domain.kill();
    await sim.settle();
    expect(tools.take().events).toEqual([]);
    expect(await sim.reply(tools, XS_READ, '/early|')).toBe('!ENOENT');
  });

  test('may die at any moment of any work and leaves nothing', async () => {
    const work = fc.constantFrom(
      [XS_WRITE, 'a/b/c|v'],
      [XS_WATCH, 'a|t|'],
      [XS_TRANSACTION_START, '|'],
      [XS_MKDIR, 'd|'],
      [XS_READ, 'a|'],
    ) as fc.Arbitrary<[number, string]>;
    const life = fc.record({
      work: fc.array(work, { maxLength: 20 }),
      steps: fc.nat(60),
      deaf: fc.boolean(),
      crash: fc.boolean(),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(life, async ({ work, steps, deaf, crash, seed }) => {
        const world = new SimXenstored({}, seed);
        const guest = await world.guestWithHome(1);
        const { nodes } = world.xenstored.status();
        guest.deaf = deaf;
        for (const [type, payload] of work) guest.send(type, payload);
        let step = 0;
        await world.world.run({ until: () => ++step > steps });
        const domain = world.guests.get(1)?.domain;
        if (crash) domain?.shutdown(SHUTDOWN_crash);
        domain?.kill();
        await world.settle();
        expect(world.xenstored.status()).toEqual({
          nodes: nodes - 1,
          watches: 0,
          connections: 1,
          transactions: 0,
          introduced: [0],
        });
        expect(world.xenstored.check()).toBe(0);
        expect(await world.finish()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

test('with --keep-orphans the nodes of a dead domain become dom0s', async () => {
  start({ keepOrphans: true });
  const guest = await sim.guestWithHome(1);
  await sim.ask(guest, XS_WRITE, 'a|v');
  sim.guests.get(1)?.domain.kill();
  await sim.settle();
  expect(await sim.reply(tools, XS_READ, '/local/domain/1/a|')).toBe('v');
  expect(await sim.reply(tools, XS_GET_PERMS, '/local/domain/1/a|')).toBe('n0|');
  const young = await sim.guest(1);
  expect(await sim.reply(young, XS_READ, 'a|')).toBe('!EACCES');
  await finish();
});

test('with --priv-domid one more domain may do everything', async () => {
  start({ privDomid: 1 });
  const helper = await sim.guest(1);
  sim.build(2);
  expect(await sim.reply(helper, XS_INTRODUCE, sim.introduceRequest(2))).toBe('OK|');
  expect(await sim.reply(helper, XS_WRITE, '/anything|')).toBe('OK|');
  expect(await sim.reply(helper, XS_RELEASE, '1|')).toBeUndefined();
  expect(sim.xenstored.status().introduced).toEqual([0, 2]);
  await finish();
});
