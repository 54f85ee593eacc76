import { expect, test } from 'vitest';
import { VIRQ_DOM_EXC } from '../../src/abi/xen.ts';
import { domId } from '../../src/base/ids.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { hypervisorConformance } from './conformance.ts';
import type { Harness } from './harness.ts';

/** Two ends in the simulator: two domains, or two processes of domain 0. */
function simHarness(loopback: boolean): Harness {
  const world = new SimWorld({ seed: 1 });
  const a = world.createDomain();
  const b = loopback ? a.startProcess() : world.createDomain();
  return {
    a: a.hypervisor,
    b: b.hypervisor,
    control: a.control,
    other: domId(77),
    settle: () => world.run(),
    leftovers: () => world.leftovers(),
    close: () => {},
  };
}

hypervisorConformance('sim, in two domains,', () => simHarness(false));
hypervisorConformance('sim, in one domain,', () => simHarness(true));

test('two domains exchange bytes and signals, and leave nothing', async () => {
  const world = new SimWorld({ seed: 1 });
  const a = world.createDomain();
  const b = world.createDomain();
  const shared = a.hypervisor.grants.share(b.domid, 2, 'read-write');
  const offered = a.hypervisor.events.allocateUnbound(b.domid);
  const mapped = b.hypervisor.grants.map(a.domid, shared.refs);
  const bound = b.hypervisor.events.bindInterdomain(a.domid, offered.port);
  let events = 0;
  bound.onEvent(() => {
    events++;
    mapped.bytes[4096] = 7;
  });
  await world.run();
  offered.notify();
  offered.notify();
  await world.run();
  expect(events).toBe(2);
  expect(shared.page(1)[0]).toBe(7);
  expect(world.leftovers()).not.toEqual([]);
  a.hypervisor.close();
  b.hypervisor.close();
  expect(world.leftovers()).toEqual([]);
});

test("a guest's death is announced and it stays as dying while its page is mapped", async () => {
  const world = new SimWorld({ seed: 1 });
  const dom0 = world.createDomain();
  const guest = world.buildGuest();
  const virq = dom0.hypervisor.events.bindVirq(VIRQ_DOM_EXC);
  let events = 0;
  virq.onEvent(() => events++);
  const page = dom0.hypervisor.grants.map(guest.domain.domid, [guest.xenstore.ref]);
  guest.domain.kill();
  await world.run();
  expect(events).toBe(1);
  expect(dom0.control?.info(guest.domain.domid)?.dying).toBe(true);
  page.close();
  await world.run();
  expect(events).toBe(2);
  expect(dom0.control?.info(guest.domain.domid)).toBeUndefined();
  dom0.hypervisor.close();
  expect(world.leftovers()).toEqual([]);
});

test('finish names what is waited for', async () => {
  const world = new SimWorld({ seed: 1 });
  const dom0 = world.createDomain();
  const channel = dom0.hypervisor.events.allocateUnbound(dom0.domid);
  channel.onEvent(() => {});
  await expect(world.finish(new Promise(() => {}))).rejects.toThrow(/port 1 of domain 0/);
  channel.close();
});
