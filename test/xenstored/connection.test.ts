/** What a connection owes its client, and what it does not let it take. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_GET_DOMAIN_PATH,
  XS_MKDIR,
  XS_READ,
  XS_SET_PERMS,
  XS_WATCH,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import { logTo, silentLog } from '../../src/base/log.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { startXenstored } from '../../src/xenstored/server.ts';
import { RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

let sim: SimXenstored;
let tools: RawClient;

beforeEach(() => {
  sim = new SimXenstored({ privilegedQueueMax: 100_000, watchEventTimeout_ms: 20_000 });
  tools = sim.socket();
});

afterEach(async () => {
  expect(sim.xenstored.check()).toBe(0);
  expect(await sim.finish()).toEqual([]);
});

describe('events', () => {
  test('that wait and are the same are one, except happenings', async () => {
    await sim.ask(tools, XS_WATCH, '/x|t|');
    await sim.ask(tools, XS_WATCH, '@introduceDomain|t|');
    const filler = Array.from({ length: 60 }, (_, i) => `/x/${'f'.repeat(180)}${i}`);
    tools.deaf = true;
    for (const path of filler) sim.kernel.write(path, '');
    for (let i = 0; i < 5; i++) sim.kernel.write('/x', String(i));
    await sim.settle();
    for (const domid of [1, 2]) await sim.guest(domid);
    tools.deaf = false;
    tools.pump();
    await sim.settle();
    const { events } = tools.take();
    expect(events.filter((event) => event === '/x|t|')).toHaveLength(1);
    expect(events.filter((event) => event.startsWith('@'))).toHaveLength(2);
    expect(events).toHaveLength(filler.length + 3);
  });

  test('are dropped when a guest has not taken them for 20 seconds, but never in the middle', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(guest, XS_WATCH, 'x|t|');
    guest.deaf = true;
    for (let i = 0; i < 100; i++) tools.write(`/local/domain/1/x/${'n'.repeat(100)}${i}`, '');
    await sim.world.run({ for_ms: 60_000 });
    guest.deaf = false;
    guest.pump();
    await sim.settle();
    const { events } = guest.take();
    expect(events.length).toBeGreaterThan(5);
    expect(events.length).toBeLessThan(20);
    expect(await sim.reply(guest, XS_READ, 'x|')).toBe('');
    expect(await sim.reply(tools, XS_CONTROL, 'quota|1|')).toMatch(/outstanding *: *0 /);
  });

  test('of a guest that others do not take hold the guest back, not the memory', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(tools, XS_WATCH, '/local/domain/1|t|');
    tools.deaf = true;
    for (let i = 0; i < 500; i++) guest.write(`x${i % 50}/${'n'.repeat(500)}`, String(i));
    await sim.world.run({ for_ms: 5000 });
    expect(guest.take().reply).toBe('OK|');
    const watcher = sim.socket();
    expect(await sim.reply(watcher, XS_CONTROL, 'quota|1|')).toMatch(/outstanding *: *20 /);
    tools.deaf = false;
    tools.pump();
    await sim.world.run({ for_ms: 5000 });
    expect(await sim.reply(watcher, XS_CONTROL, 'quota|1|')).toMatch(/outstanding *: *0 /);
  });
});

describe('a client of the tools', () => {
  test('that reads nothing is cut off, and the log says by which limit', async () => {
    await sim.ask(tools, XS_WATCH, '/x|t|');
    tools.deaf = true;
    for (let i = 0; i < 400; i++) sim.kernel.write(`/x/${'n'.repeat(400)}${i}`, '');
    await sim.settle();
    expect(sim.log).toContain('error: socket 1 is cut off: it does not read what it is sent');
    expect(sim.xenstored.status()).toMatchObject({ connections: 1, watches: 0 });
  });

  test('that sends without reading is made to wait', async () => {
    tools.deaf = true;
    sim.kernel.write('/big', 'x'.repeat(4000));
    await sim.settle();
    for (let i = 0; i < 200; i++) tools.send(XS_READ, '/big|');
    await sim.settle();
    tools.deaf = false;
    tools.pump();
    await sim.settle();
    expect(tools.received).toHaveLength(200);
  });

  test('that goes takes its watches and transactions with it', async () => {
    await sim.ask(tools, XS_WATCH, '/x|t|');
    tools.stream.close();
    await sim.settle();
    expect(sim.xenstored.status()).toMatchObject({ connections: 1, watches: 0 });
  });

  test('gets all the replies to requests that it sent in one go, in order', async () => {
    for (let i = 0; i < 300; i++) tools.send(XS_GET_DOMAIN_PATH, `${i}|`);
    await sim.settle();
    expect(tools.received.map(({ requestId }) => requestId)).toEqual(
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
  });
});

test('a request in single bytes is answered like any other', async () => {
  const [ours, theirs] = bytePipe(sim.world.clock, 1);
  sim.xenstored.attachSocket(theirs, 'slow');
  const slow = new RawClient(ours);
  expect(await sim.reply(slow, XS_WRITE, '/slow|value')).toBe('OK|');
  expect(await sim.reply(slow, XS_READ, '/slow|')).toBe('value');
});

test('a denied quota is logged, and not again for ten seconds', async () => {
  const guest = await sim.guestWithHome(1);
  await sim.ask(tools, XS_CONTROL, 'quota|set|nodes|1|');
  const denials = () => sim.log.filter((line) => line.includes('was denied')).length;
  for (let i = 0; i < 50; i++) guest.send(XS_MKDIR, `${i}|`);
  await sim.settle();
  expect(denials()).toBe(1);
  await sim.world.run({ for_ms: 11_000 });
  await sim.ask(guest, XS_MKDIR, 'x|');
  expect(denials()).toBe(2);
});

test('a guest whose memory is used up is not listened to until it has some', async () => {
  const guest = await sim.guestWithHome(1);
  await sim.ask(tools, XS_CONTROL, 'quota|set|memory|9000|');
  for (let i = 0; i < 6; i++) guest.write(`${i}`, 'v'.repeat(1900));
  await sim.settle();
  const replies = guest.received.length;
  expect(replies).toBeGreaterThan(2);
  expect(sim.log).toContain('warn: domain 1 was denied: memory for a node');
  // The tools cannot make it use more either.
  const more = await sim.reply(tools, XS_WRITE, `/local/domain/1/5|${'v'.repeat(4000)}`);
  expect(more).toBe('!ENOMEM');
  await sim.ask(tools, XS_CONTROL, 'quota|set|memory|900000|');
  await sim.settle();
  expect(await sim.reply(guest, XS_READ, '0|')).toBe('v'.repeat(1900));
});

test('without Xen there are sockets, and any domid may own a node', async () => {
  const world = new SimWorld({ seed: 1 });
  const lines: string[] = [];
  const xenstored = startXenstored({
    clock: world.clock,
    log: silentLog,
    traceFile: {
      isOpen: true,
      open() {},
      close() {},
      write: (line) => lines.push(line),
      append() {},
    },
  });
  const [ours, theirs] = bytePipe(world.clock);
  xenstored.attachSocket(theirs, 'socket');
  const client = new RawClient(ours);
  client.write('/a', 'b');
  client.send(XS_SET_PERMS, '/a|n77|');
  await world.run();
  expect(client.take().reply).toBe('OK|');
  expect(lines.map((line) => line.replace(/\S+Z/, 'WHEN'))).toEqual([
    'OBJ socket WHEN create (connection)',
    'IN socket WHEN WRITE (/a b)',
    'OUT socket WHEN WRITE (OK )',
    'IN socket WHEN SET_PERMS (/a n77 )',
    'OUT socket WHEN SET_PERMS (OK )',
  ]);
  xenstored.close();
  await world.run();
  expect(ours.ended).toBe(true);
});

test('a mistake of ours is told to the operator and ends nothing', async () => {
  const world = new SimWorld({ seed: 1 });
  const errors: string[] = [];
  const log = logTo((level, message) => level === 'error' && errors.push(message));
  const traceFile = {
    isOpen: false,
    open() {},
    close() {},
    write() {},
    append() {
      throw new Error('no such disk');
    },
  };
  const xenstored = startXenstored({ clock: world.clock, log, traceFile });
  const [ours, theirs] = bytePipe(world.clock);
  xenstored.attachSocket(theirs, 'socket 1');
  const client = new RawClient(ours);
  client.send(XS_CONTROL, 'memreport|/x|');
  await world.run();
  expect(client.take().reply).toBe('!EIO');
  expect(errors).toEqual(['a request of socket 1 failed: no such disk']);
  client.send(XS_READ, '/|');
  await world.run();
  expect(client.take().reply).toBe('');
  xenstored.close();
});
