import { expect, test } from 'vitest';
import type { GrantRef } from '../../src/base/ids.ts';
import type { FaultPlan } from '../../src/hypervisor/sim/world.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { countEvents, refusal } from './harness.ts';

function makePair(faults: Partial<FaultPlan> = {}) {
  const world = new SimWorld({ seed: 1, faults });
  const a = world.createDomain().hypervisor;
  const b = world.createDomain().hypervisor;
  return { world, a, b };
}

test('refuseShare finds the grant table full', () => {
  const { world, a, b } = makePair({ refuseShare: 1 });
  expect(refusal(() => a.grants.share(b.domid, 1, 'read'))).toBe('ENOSPC');
  expect(world.leftovers()).toEqual([]);
});

test('refuseMap refuses the map and keeps nothing', () => {
  const { world, a, b } = makePair();
  const shared = a.grants.share(b.domid, 8, 'read-write');
  const before = world.leftovers();
  // Half of the pages: some come before the one that fails.
  world.faults.refuseMap = 0.5;
  expect(refusal(() => b.grants.map(a.domid, shared.refs))).toBe('EINVAL');
  expect(world.leftovers()).toEqual(before);
});

test('refuseCopy refuses some copies and does the others', () => {
  const { a, b } = makePair({ refuseCopy: 0.5 });
  const shared = a.grants.share(b.domid, 1, 'read-write');
  const batch = b.grants.copyBatch(100);
  for (let at = 0; at < 100; at++) {
    batch.toPeer(a.domid, shared.refs[0] as GrantRef, at, new Uint8Array([1]));
  }
  const refused = batch.run();
  expect(refused).toBeGreaterThan(10);
  expect(refused).toBeLessThan(90);
  for (let at = 0; at < 100; at++) {
    expect(shared.page(0)[at]).toBe(batch.status(at) === 0 ? 1 : 0);
  }
});

test('refusePort finds no free port', () => {
  const { world, a, b } = makePair();
  const offered = a.events.allocateUnbound(b.domid);
  world.faults.refusePort = 1;
  expect(refusal(() => a.events.allocateUnbound(b.domid))).toBe('ENOSPC');
  expect(refusal(() => b.events.bindInterdomain(a.domid, offered.port))).toBe('ENOSPC');
  world.faults.refusePort = 0;
  b.events.bindInterdomain(a.domid, offered.port);
});

test('refusePort spares the ports that the toolstack makes', () => {
  const world = new SimWorld({ seed: 1, faults: { refusePort: 1 } });
  world.createDomain();
  world.buildGuest();
});

test('delayEvent brings every event late, once for all signals meanwhile', async () => {
  const { world, a, b } = makePair();
  const offered = a.events.allocateUnbound(b.domid);
  const bound = b.events.bindInterdomain(a.domid, offered.port);
  const times: number[] = [];
  bound.onEvent(() => times.push(world.clock.now_ms()));
  await world.run();
  world.faults.delayEvent = 1;
  world.faults.delayEvent_ms_max = 1000;
  for (let round = 0; round < 20; round++) {
    offered.notify();
    offered.notify();
    await world.run();
  }
  expect(times).toHaveLength(21);
  expect(new Set(times).size).toBeGreaterThan(15);
});

test('delayEvent lets a later signal overtake an earlier one', async () => {
  const orders = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const world = new SimWorld({ seed, faults: { delayEvent: 0.5 } });
    const { events, domid } = world.createDomain().hypervisor;
    const order: string[] = [];
    for (const name of ['one', 'two']) {
      const offered = events.allocateUnbound(domid);
      const bound = events.bindInterdomain(domid, offered.port);
      bound.onEvent(() => order.push(name));
    }
    await world.run();
    orders.add(order.join());
  }
  expect(orders).toEqual(new Set(['one,two', 'two,one']));
});

test('spuriousEvent calls a handler without cause, and not for ever', async () => {
  const { world, a, b } = makePair({ spuriousEvent: 0.5 });
  const offered = a.events.allocateUnbound(b.domid);
  const events = countEvents(b.events.bindInterdomain(a.domid, offered.port));
  for (let round = 0; round < 20; round++) {
    offered.notify();
    await world.run();
  }
  expect(events.count).toBeGreaterThan(25);
});
