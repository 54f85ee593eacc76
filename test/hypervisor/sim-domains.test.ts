import { describe, expect, test } from 'vitest';
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../../src/abi/grant_table.ts';
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { VIRQ_CON_RING, VIRQ_DOM_EXC } from '../../src/abi/xen.ts';
import { latin1Decode } from '../../src/base/bytes.ts';
import { domId } from '../../src/base/ids.ts';
import type { DomainControl } from '../../src/hypervisor/contract.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { countEvents, refusal } from './harness.ts';

/** Domain 0, which listens for what becomes of domains, and a guest beside it. */
function makePair() {
  const world = new SimWorld({ seed: 1 });
  const dom0 = world.createDomain();
  const guest = world.createDomain();
  const control = dom0.control as DomainControl;
  const excepted = countEvents(dom0.hypervisor.events.bindVirq(VIRQ_DOM_EXC));
  return { world, dom0, guest, control, excepted };
}

describe('domains', () => {
  test('are numbered from 0, and only the first is privileged', () => {
    const { dom0, guest } = makePair();
    expect([dom0.domid, guest.domid]).toEqual([0, 1]);
    expect(guest.control).toBeUndefined();
    expect(refusal(() => guest.hypervisor.events.bindVirq(VIRQ_DOM_EXC))).toBe('EPERM');
  });

  test('that are privileged bind virtual interrupts each for itself', async () => {
    const { world, guest, excepted } = makePair();
    const storeDomain = world.createDomain({ privileged: true });
    const also = countEvents(storeDomain.hypervisor.events.bindVirq(VIRQ_DOM_EXC));
    guest.kill();
    await world.run();
    expect([excepted.count, also.count]).toEqual([1, 1]);
  });

  test('cannot take a number that is in use', () => {
    const { world, guest } = makePair();
    expect(() => world.createDomain({ domid: guest.domid })).toThrow(TypeError);
  });

  test('tell whether they have hardware virtualisation', () => {
    const { world, guest, control } = makePair();
    const hvm = world.createDomain({ hvm: true });
    expect(control.info(guest.domid)?.hvm).toBe(false);
    expect(control.info(hvm.domid)?.hvm).toBe(true);
  });

  test('have a limit of grants and of ports', () => {
    const world = new SimWorld({ seed: 1 });
    const { grants, events, domid } = world.createDomain({
      grants_max: 10,
      ports_max: 1,
    }).hypervisor;
    expect(refusal(() => grants.share(domid, 3, 'read'))).toBe('ENOSPC');
    const shared = grants.share(domid, 2, 'read');
    expect(refusal(() => grants.share(domid, 1, 'read'))).toBe('ENOSPC');
    shared.close();
    grants.share(domid, 1, 'read');
    const port = events.allocateUnbound(domid);
    expect(refusal(() => events.allocateUnbound(domid))).toBe('ENOSPC');
    port.close();
    events.allocateUnbound(domid);
  });
});

describe('a killed domain', () => {
  test('is announced and gone when nobody maps its pages', async () => {
    const { world, guest, control, excepted } = makePair();
    guest.kill();
    guest.kill();
    await world.run();
    expect(excepted.count).toBe(1);
    expect(guest.exists).toBe(false);
    expect(control.list().map((info) => info.domid)).toEqual([0]);
  });

  test('stays in the list as dying while somebody maps its pages, and its end is announced', async () => {
    const { world, dom0, guest, control, excepted } = makePair();
    const shared = guest.hypervisor.grants.share(dom0.domid, 2, 'read-write');
    const mapped = dom0.hypervisor.grants.map(guest.domid, shared.refs);
    mapped.bytes[0] = 5;
    guest.kill();
    await world.run();
    expect(excepted.count).toBe(1);
    expect(control.list().map((info) => [info.domid, info.dying])).toEqual([
      [0, false],
      [1, true],
    ]);
    expect(mapped.bytes[0]).toBe(5);
    mapped.close();
    await world.run();
    expect(excepted.count).toBe(2);
    expect(control.info(guest.domid)).toBeUndefined();
  });

  test('that is dying has pages nobody can newly map or copy', () => {
    const { dom0, guest, control } = makePair();
    const shared = guest.hypervisor.grants.share(dom0.domid, 1, 'read-write');
    dom0.hypervisor.grants.map(guest.domid, shared.refs);
    guest.kill();
    expect(refusal(() => dom0.hypervisor.grants.map(guest.domid, shared.refs))).toBe('EINVAL');
    expect(refusal(() => control.mapForeign(guest.domid, [0x1000]))).toBe('EINVAL');
    const batch = dom0.hypervisor.grants.copyBatch(1);
    batch.fromPeer(
      guest.domid,
      shared.refs[0] as (typeof shared.refs)[number],
      0,
      new Uint8Array(1),
    );
    expect(batch.run()).toBe(1);
  });

  test('unmaps what it had mapped', () => {
    const { world, dom0, guest } = makePair();
    const shared = dom0.hypervisor.grants.share(guest.domid, 1, 'read-write');
    guest.hypervisor.grants.map(dom0.domid, shared.refs);
    shared.close();
    expect(world.leftovers().join()).toContain('revoked but still mapped');
    guest.kill();
    dom0.hypervisor.close();
    expect(world.leftovers()).toEqual([]);
  });

  test('gives no end notice, as nobody is left to give it', async () => {
    const { world, dom0, guest } = makePair();
    const offered = guest.hypervisor.events.allocateUnbound(dom0.domid);
    const bound = dom0.hypervisor.events.bindInterdomain(guest.domid, offered.port);
    const events = countEvents(bound);
    await world.run();
    const notice = { byteOffset: 0, channel: offered };
    const shared = guest.hypervisor.grants.share(dom0.domid, 1, 'read-write', notice);
    const mapped = dom0.hypervisor.grants.map(guest.domid, shared.refs);
    shared.page(0)[0] = 1;
    guest.kill();
    await world.run();
    expect(mapped.page(0)[0]).toBe(1);
    expect(events.count).toBe(1);
  });

  test('leaves the other end of its channels unbound and harmless', async () => {
    const { world, dom0, guest } = makePair();
    const offered = dom0.hypervisor.events.allocateUnbound(guest.domid);
    guest.hypervisor.events.bindInterdomain(dom0.domid, offered.port);
    guest.kill();
    offered.notify();
    await world.run();
    // Xen knows domains by number only, so a later domain of that number could bind the port.
    const next = world.createDomain({ domid: guest.domid });
    next.hypervisor.events.bindInterdomain(dom0.domid, offered.port);
  });

  test('runs no timer and no handler any more', async () => {
    const { world, guest } = makePair();
    let calls = 0;
    const offered = guest.hypervisor.events.allocateUnbound(guest.domid);
    guest.hypervisor.events.bindInterdomain(guest.domid, offered.port).onEvent(() => calls++);
    guest.clock.after(10, () => calls++);
    guest.kill();
    guest.clock.after(10, () => calls++);
    await world.run();
    expect(calls).toBe(0);
    expect(world.clock.now_ms()).toBe(0);
  });

  test('leaves nothing to a later domain of its number', () => {
    const { world, dom0, guest } = makePair();
    const shared = guest.hypervisor.grants.share(dom0.domid, 1, 'read-write');
    guest.kill();
    world.createDomain({ domid: guest.domid });
    expect(refusal(() => dom0.hypervisor.grants.map(guest.domid, shared.refs))).toBe('EINVAL');
  });
});

test('a frame mapped by number keeps its bytes after its grant has ended', () => {
  const { world, dom0, guest, control } = makePair();
  const shared = guest.hypervisor.grants.share(dom0.domid, 1, 'read');
  const gfn = 0x1000;
  shared.page(0)[0] = 8;
  const mapped = control.mapForeign(guest.domid, [gfn]);
  shared.close();
  expect(mapped.page(0)[0]).toBe(8);
  expect(refusal(() => control.mapForeign(guest.domid, [gfn]))).toBe('EINVAL');
  expect(world.leftovers().join()).toContain('is mapped 1 times');
});

describe('a domain that shuts down', () => {
  test('stays with its reason until it is killed', async () => {
    const { world, guest, control, excepted } = makePair();
    guest.shutdown(SHUTDOWN_poweroff);
    await world.run();
    expect(excepted.count).toBe(1);
    expect(control.info(guest.domid)).toMatchObject({ shutdown: true, shutdownReason: 0 });
    guest.kill();
    await world.run();
    expect(excepted.count).toBe(2);
    expect(control.info(guest.domid)).toBeUndefined();
  });

  test('in order closes what its processes held', () => {
    const { world, dom0, guest } = makePair();
    const shared = guest.hypervisor.grants.share(dom0.domid, 1, 'read-write');
    guest.shutdown(SHUTDOWN_poweroff);
    expect(shared.closed).toBe(true);
    dom0.hypervisor.close();
    expect(world.leftovers()).toEqual([]);
  });

  test('by a crash leaves its grants and runs nothing any more', async () => {
    const { world, dom0, guest } = makePair();
    const shared = guest.hypervisor.grants.share(dom0.domid, 1, 'read-write');
    const offered = guest.hypervisor.events.allocateUnbound(dom0.domid);
    const events = countEvents(offered);
    const bound = dom0.hypervisor.events.bindInterdomain(guest.domid, offered.port);
    guest.clock.after(1, () => {
      events.count += 1;
    });
    guest.shutdown(SHUTDOWN_crash);
    bound.notify();
    await world.run();
    expect(events.count).toBe(0);
    dom0.hypervisor.grants.map(guest.domid, shared.refs).close();
    expect(() => guest.restartProcess()).toThrow(TypeError);
  });
});

describe('a killed process', () => {
  test('loses its handles, timers and handlers, and another starts', async () => {
    const { world, dom0, guest } = makePair();
    const { hypervisor, clock } = guest;
    const shared = hypervisor.grants.share(dom0.domid, 1, 'read-write');
    const offered = hypervisor.events.allocateUnbound(dom0.domid);
    let rang = false;
    clock.after(1, () => {
      rang = true;
    });
    const next = guest.restartProcess();
    await world.run();
    expect([shared.closed, offered.closed, rang]).toEqual([true, true, false]);
    expect(() => hypervisor.grants.share(dom0.domid, 1, 'read')).toThrow(TypeError);
    expect(guest.hypervisor).toBe(next);
    next.grants.share(dom0.domid, 1, 'read').close();
  });

  test('leaves the other processes of its domain alone', () => {
    const { dom0, guest } = makePair();
    const other = dom0.startProcess();
    const shared = dom0.hypervisor.grants.share(guest.domid, 1, 'read-write');
    other.hypervisor.grants.share(guest.domid, 1, 'read-write');
    other.kill();
    other.kill();
    expect(shared.closed).toBe(false);
  });

  test('frees its ports, so that the next binds them again and finds them pending', async () => {
    const { world, dom0, guest } = makePair();
    const offered = guest.hypervisor.events.allocateUnbound(dom0.domid);
    dom0.hypervisor.events.bindInterdomain(guest.domid, offered.port);
    dom0.restartProcess();
    offered.notify();
    const again = dom0.hypervisor.events.bindInterdomain(guest.domid, offered.port);
    const events = countEvents(again);
    await world.run();
    expect(events.count).toBe(1);
  });
});

describe('a built guest', () => {
  test('shares its xenstore and console pages by reserved grants and by frame', () => {
    const world = new SimWorld({ seed: 1 });
    const dom0 = world.createDomain();
    const guest = world.buildGuest({ name: 'guest' });
    const { grants } = dom0.hypervisor;
    expect([guest.console.ref, guest.xenstore.ref]).toEqual([
      GNTTAB_RESERVED_CONSOLE,
      GNTTAB_RESERVED_XENSTORE,
    ]);
    for (const boot of [guest.console, guest.xenstore]) {
      boot.page.page(0)[1] = boot.gfn & 0xff;
      const granted = grants.map(guest.domain.domid, [boot.ref]);
      const foreign = dom0.control?.mapForeign(guest.domain.domid, [boot.gfn]);
      expect(granted.page(0)[1]).toBe(boot.gfn & 0xff);
      expect(foreign?.page(0)[1]).toBe(boot.gfn & 0xff);
    }
    dom0.hypervisor.close();
    expect(world.leftovers()).toEqual([]);
  });

  test('is signalled through the ports that the toolstack made', async () => {
    const world = new SimWorld({ seed: 1 });
    const dom0 = world.createDomain();
    const { domain, xenstore } = world.buildGuest();
    const bound = dom0.hypervisor.events.bindInterdomain(domain.domid, xenstore.channel.port);
    const events = countEvents(xenstore.channel);
    bound.notify();
    await world.run();
    expect(events.count).toBe(1);
  });

  test('keeps its boot pages when its process is killed', () => {
    const world = new SimWorld({ seed: 1 });
    world.createDomain();
    const { domain, xenstore } = world.buildGuest();
    domain.restartProcess();
    expect(xenstore.page.closed || xenstore.channel.closed).toBe(false);
    domain.kill();
    expect(xenstore.page.closed && xenstore.channel.closed).toBe(true);
  });

  test('grants its pages to the domains of the daemons', () => {
    const world = new SimWorld({ seed: 1 });
    const dom0 = world.createDomain();
    const storeDomain = world.createDomain({ privileged: true });
    const { domain, xenstore } = world.buildGuest({ xenstoreDomid: storeDomain.domid });
    expect(refusal(() => dom0.hypervisor.grants.map(domain.domid, [xenstore.ref]))).toBe('EINVAL');
    storeDomain.hypervisor.grants.map(domain.domid, [xenstore.ref]);
    const { events } = storeDomain.hypervisor;
    events.bindInterdomain(domain.domid, xenstore.channel.port);
  });

  test('stays as dying while its frames are mapped by number', () => {
    const world = new SimWorld({ seed: 1 });
    const dom0 = world.createDomain();
    const { domain, console } = world.buildGuest();
    const mapped = dom0.control?.mapForeign(domain.domid, [console.gfn]);
    domain.kill();
    expect(dom0.control?.info(domain.domid)?.dying).toBe(true);
    mapped?.close();
    expect(domain.exists).toBe(false);
  });

  test('has frames that mapForeign maps all or none', () => {
    const world = new SimWorld({ seed: 1 });
    const dom0 = world.createDomain();
    const { domain, xenstore, console } = world.buildGuest();
    const control = dom0.control as DomainControl;
    const bad = [xenstore.gfn, 0x7fffffff, console.gfn];
    expect(refusal(() => control.mapForeign(domain.domid, bad))).toBe('EINVAL');
    expect(world.leftovers()).toEqual([]);
    expect(refusal(() => control.mapForeign(domId(9), [0]))).toBe('ESRCH');
    const mapped = control.mapForeign(domain.domid, [console.gfn, xenstore.gfn]);
    mapped.page(1)[0] = 3;
    expect(xenstore.page.page(0)[0]).toBe(3);
    expect(world.leftovers()).toHaveLength(2);
  });
});

describe("the hypervisor's console", () => {
  const read = (control: DomainControl) => {
    const bytes = control.readConsole();
    return bytes && latin1Decode(bytes);
  };

  test('is announced and read once by each process', async () => {
    const { world, dom0, control } = makePair();
    const other = dom0.startProcess().control as DomainControl;
    const events = countEvents(dom0.hypervisor.events.bindVirq(VIRQ_CON_RING));
    world.printHypervisorConsole('(XEN) one\n');
    world.printHypervisorConsole('(XEN) two\n');
    await world.run();
    expect(events.count).toBe(1);
    expect(read(control)).toBe('(XEN) one\n(XEN) two\n');
    world.printHypervisorConsole('(XEN) three\n');
    expect(read(control)).toBe('(XEN) three\n');
    expect(read(control)).toBeUndefined();
    expect(read(other)).toBe('(XEN) one\n(XEN) two\n(XEN) three\n');
  });

  test('keeps the newest 16 KiB', () => {
    const { world, control } = makePair();
    world.printHypervisorConsole('a'.repeat(20_000));
    world.printHypervisorConsole('b');
    expect(read(control)).toBe(`${'a'.repeat(16_383)}b`);
  });
});
