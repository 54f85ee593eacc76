import { describe, expect, test } from 'vitest';
import { sleep } from '../../src/base/clock.ts';
import { logTo } from '../../src/base/log.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';

/** Three pairs that bounce signals back and forth, and what happened in which order. */
async function bouncingRun(seed: number): Promise<string[]> {
  const lines: string[] = [];
  const world = new SimWorld({
    seed,
    faults: { delayEvent: 0.2, spuriousEvent: 0.1 },
    log: logTo((_level, message, fields) => lines.push(`${fields.at_ms} ${message}`)),
  });
  const dom0 = world.createDomain();
  for (let pair = 0; pair < 3; pair++) {
    const peer = world.createDomain();
    const offered = dom0.hypervisor.events.allocateUnbound(peer.domid);
    const bound = peer.hypervisor.events.bindInterdomain(dom0.domid, offered.port);
    let left = 5;
    bound.onEvent(() => bound.notify());
    offered.onEvent(() => {
      if (left-- > 0) offered.notify();
    });
  }
  await world.run();
  return lines;
}

describe('the seed', () => {
  test('replays exactly the same run', async () => {
    const first = await bouncingRun(42);
    expect(first.length).toBeGreaterThan(50);
    expect(await bouncingRun(42)).toEqual(first);
  });

  test('of another run gives another order', async () => {
    expect(await bouncingRun(43)).not.toEqual(await bouncingRun(42));
  });

  test('lets events of different ports come in any order', async () => {
    const firsts = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const world = new SimWorld({ seed });
      const dom0 = world.createDomain();
      const order: string[] = [];
      for (const name of ['one', 'two', 'three']) {
        const offered = dom0.hypervisor.events.allocateUnbound(dom0.domid);
        const bound = dom0.hypervisor.events.bindInterdomain(dom0.domid, offered.port);
        bound.onEvent(() => order.push(name));
      }
      await world.run();
      firsts.add(order[0] as string);
    }
    expect(firsts.size).toBe(3);
  });
});

describe('the clock', () => {
  test('stands still until the world runs', async () => {
    const world = new SimWorld({ seed: 1 });
    let rang = false;
    world.clock.after(0, () => {
      rang = true;
    });
    await Promise.resolve();
    expect(rang).toBe(false);
    await world.run();
    expect(rang).toBe(true);
    expect(world.clock.now_ms()).toBe(0);
  });

  test('jumps to the next timer', async () => {
    const world = new SimWorld({ seed: 1 });
    const started = world.clock.wallclock_ms();
    const order: string[] = [];
    world.clock.after(2000, () => order.push(`late at ${world.clock.now_ms()}`));
    world.clock.after(1000, () => order.push(`early at ${world.clock.now_ms()}`));
    await world.run();
    expect(order).toEqual(['early at 1000', 'late at 2000']);
    expect(world.clock.wallclock_ms() - started).toBe(2000);
  });

  test('rings timers of one moment in the order they were set', async () => {
    const world = new SimWorld({ seed: 1 });
    const order: number[] = [];
    for (let index = 0; index < 10; index++) world.clock.after(5, () => order.push(index));
    await world.run();
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('does not ring a cancelled timer', async () => {
    const world = new SimWorld({ seed: 1 });
    let rang = false;
    const timer = world.clock.after(5, () => {
      rang = true;
    });
    timer.cancel();
    timer.cancel();
    await world.run();
    expect(rang).toBe(false);
    expect(world.clock.now_ms()).toBe(0);
  });
});

describe('run', () => {
  test('for some time rings what is due and leaves the rest', async () => {
    const world = new SimWorld({ seed: 1 });
    let ticks = 0;
    const tick = () => {
      ticks += 1;
      world.clock.after(10, tick);
    };
    tick();
    await world.run({ for_ms: 35 });
    expect(ticks).toBe(4);
    expect(world.clock.now_ms()).toBe(35);
  });

  test('stops where until holds', async () => {
    const world = new SimWorld({ seed: 1 });
    let ticks = 0;
    const tick = () => {
      ticks += 1;
      world.clock.after(10, tick);
    };
    tick();
    await world.run({ until: () => ticks === 3 });
    expect(world.clock.now_ms()).toBe(20);
  });

  test('throws what a handler throws', async () => {
    const world = new SimWorld({ seed: 1 });
    const { events } = world.createDomain().hypervisor;
    const offered = events.allocateUnbound(world.createDomain().domid);
    world.clock.after(1, () => {
      throw new Error('a bug in a handler');
    });
    await expect(world.run()).rejects.toThrow('a bug in a handler');
    offered.close();
  });

  test('lets chained promises settle between two events', async () => {
    const world = new SimWorld({ seed: 1 });
    const order: string[] = [];
    world.clock.after(1, async () => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      order.push('first');
    });
    world.clock.after(2, () => order.push('second'));
    await world.run();
    expect(order).toEqual(['first', 'second']);
  });

  test('awaits the settle that was given after each event', async () => {
    const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
    const world = new SimWorld({ seed: 1, settle });
    const order: string[] = [];
    world.clock.after(1, () => process.nextTick(() => queueMicrotask(() => order.push('first'))));
    world.clock.after(2, () => order.push('second'));
    await world.run();
    expect(order).toEqual(['first', 'second']);
  });
});

describe('finish', () => {
  test('gives what the promise gives', async () => {
    const world = new SimWorld({ seed: 1 });
    expect(await world.finish(sleep(world.clock, 5000).then(() => 'done'))).toBe('done');
    expect(world.clock.now_ms()).toBe(5000);
  });

  test('rejects with what the promise rejects with', async () => {
    const world = new SimWorld({ seed: 1 });
    const failing = sleep(world.clock, 1).then(() => Promise.reject(new Error('refused')));
    await expect(world.finish(failing)).rejects.toThrow('refused');
  });

  test('names who waits for what when nothing more can happen', async () => {
    const world = new SimWorld({ seed: 7 });
    const dom0 = world.createDomain({ name: 'dom0' });
    const guest = world.createDomain({ name: 'guest' });
    const offered = dom0.hypervisor.events.allocateUnbound(guest.domid);
    const bound = guest.hypervisor.events.bindInterdomain(dom0.domid, offered.port);
    offered.onEvent(() => {});
    bound.onEvent(() => {});
    bound.pause();
    await expect(world.finish(new Promise(() => {}))).rejects.toThrow(
      /seed 7.*\n.*port 1 of dom0 \(bound to port 1 of guest\) waits.*\n.*port 1 of guest .*is paused/,
    );
  });

  test('gives up a promise that periodic timers do not settle', async () => {
    const world = new SimWorld({ seed: 1 });
    const tick = () => void world.clock.after(60_000, tick);
    tick();
    await expect(world.finish(new Promise(() => {}))).rejects.toThrow(/a timer rings at/);
  });

  test('stands still while work outside of the world is under way', async () => {
    const world = new SimWorld({ seed: 1 });
    let timedOut = false;
    world.clock.after(1000, () => {
      timedOut = true;
    });
    const work = new Promise<string>((resolve) => setTimeout(resolve, 5, 'read'));
    expect(await world.finish(world.outside(work))).toBe('read');
    expect(timedOut).toBe(false);
  });
});

test('the log has every step as a line with its time', async () => {
  const lines: string[] = [];
  const log = logTo((level, message, fields) => lines.push(`${level} ${fields.at_ms} ${message}`));
  const world = new SimWorld({ seed: 1, log });
  const a = world.createDomain({ name: 'dom0' });
  const b = world.createDomain({ name: 'guest' });
  const shared = a.hypervisor.grants.share(b.domid, 2, 'read-write');
  const mapped = b.hypervisor.grants.map(a.domid, shared.refs);
  const offered = a.hypervisor.events.allocateUnbound(b.domid);
  b.hypervisor.events.bindInterdomain(a.domid, offered.port).onEvent(() => {});
  const batch = b.hypervisor.grants.copyBatch(1);
  batch.fromPeer(a.domid, shared.refs[0] as (typeof shared.refs)[number], 0, new Uint8Array(4));
  batch.run();
  await world.run({ for_ms: 20 });
  offered.notify();
  shared.close();
  mapped.close();
  expect(lines).toEqual([
    'debug 0 dom0: is created with domid 0',
    'debug 0 guest: is created with domid 1',
    'debug 0 dom0: grants 8, 9 to domain 1 to read and write',
    'debug 0 guest: maps 8, 9 of domain 0',
    'debug 0 dom0: port 1 is open for domain 1',
    'debug 0 guest: port 1 is bound to port 1 of domain 0',
    'debug 0 guest: copies 1 times, 0 refused',
    'debug 0 guest: has an event on port 1',
    'debug 20 dom0: signals port 1',
    'debug 20 dom0: grant 8 ends when domain 1 unmaps it',
    'debug 20 dom0: grant 9 ends when domain 1 unmaps it',
    'debug 20 guest: unmaps 8, 9 of domain 0',
    'debug 20 dom0: grant 8 has ended',
    'debug 20 dom0: grant 9 has ended',
  ]);
});
