/** What one xenstored was, another goes on with. */
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
} from '../../src/abi/io/xs_wire.ts';
import { latin1Encode } from '../../src/base/bytes.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { describePacket, type RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

const step = fc.record({
  client: fc.nat(3),
  type: fc.constantFrom(
    ...[XS_READ, XS_DIRECTORY, XS_GET_PERMS, XS_WRITE, XS_WRITE, XS_MKDIR, XS_RM],
    ...[XS_SET_PERMS, XS_WATCH, XS_WATCH, XS_UNWATCH, XS_RESET_WATCHES],
    ...[XS_TRANSACTION_START, XS_TRANSACTION_START, XS_TRANSACTION_END, XS_TRANSACTION_END],
  ),
  path: fc.constantFrom('', '/a', '/a/b', '/a/b/c', '/d'),
  value: fc.constantFrom('1', '22', ''),
  inTransaction: fc.boolean(),
  /** The client stops reading, or begins to read again. */
  turnsDeaf: fc.integer({ min: 0, max: 9 }),
  /** Nobody waits for what comes of it before the client's next step. */
  hurries: fc.boolean(),
});

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

function payloadOf({ type, path, value }: Step, home: string): string {
  const whole = `${home}${path}`;
  if (type === XS_WRITE) return `${whole}|${value}`;
  if (type === XS_SET_PERMS) return `${whole}|n1|r2|`;
  if (type === XS_WATCH || type === XS_UNWATCH) return `${whole}|${value}|`;
  if (type === XS_TRANSACTION_START || type === XS_RESET_WATCHES) return '|';
  if (type === XS_TRANSACTION_END) return value === '' ? 'F|' : 'T|';
  return `${whole}|`;
}

/** Does the steps and returns what each client was told. */
async function told(steps: readonly Step[], seed: number, takeOverAt: number): Promise<string[][]> {
  const sim = new SimXenstored({}, seed);
  const guests = [await sim.guestWithHome(1), await sim.guestWithHome(2)];
  const clients = [...guests, sim.socket(), sim.kernel];
  for (const client of clients) client.take();
  for (const [index, each] of steps.entries()) {
    if (each.client !== steps[index - 1]?.client) await sim.settle();
    if (index === takeOverAt) sim.takeOver(sim.xenstored.capture());
    const client = clients[each.client] as RawClient;
    if (each.turnsDeaf === 0) client.deaf = !client.deaf;
    if (each.turnsDeaf === 0 && !client.deaf) client.pump();
    const home = each.client < 2 ? '/local/domain/1' : '/local/domain/1/x';
    client.send(each.type, payloadOf(each, home), each.inTransaction ? 1 : 0);
    if (!each.hurries) await sim.settle();
  }
  if (takeOverAt >= steps.length) sim.takeOver(sim.xenstored.capture());
  for (const client of clients) {
    client.deaf = false;
    client.pump();
    await sim.settle();
  }
  expect(sim.xenstored.check()).toBe(0);
  const all = clients.map(({ received }) => received.map(describePacket));
  all.push([JSON.stringify(sim.xenstored.status())]);
  const usage = await sim.reply(sim.socket(), XS_CONTROL, 'quota|1|');
  // The most that was ever used is each xenstored's own.
  all.push([usage?.replace(/ *\(max: *\d+\)/g, '') ?? '']);
  expect(await sim.finish()).toEqual([]);
  return all;
}

test('nobody can tell that another xenstored took over, at any moment', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.nat(),
      fc.nat(60),
      async (steps, seed, takeOverAt) => {
        const without = await told(steps, seed, Number.POSITIVE_INFINITY);
        expect(await told(steps, seed, takeOverAt)).toEqual(without);
      },
    ),
    { numRuns: 100 },
  );
});

/** The same for the same state, in whatever order its connections are. */
function comparable({ nodes, connections, ...rest }: ServerState) {
  const byCarrier = connections.map((connection) => [
    JSON.stringify(connection.carrier),
    connection,
  ]);
  return { ...rest, nodes: [...nodes], connections: Object.fromEntries(byCarrier) };
}

describe('a xenstored that takes over', () => {
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

  const takeOver = () => sim.takeOver(sim.xenstored.capture());

  test('goes on in the middle of a request', async () => {
    const guest = await sim.guestWithHome(1);
    const packet = new Uint8Array(16 + 3);
    new DataView(packet.buffer).setUint32(0, XS_READ, true);
    new DataView(packet.buffer).setUint32(12, 3, true);
    packet.set(latin1Encode('x/\0'), 16);
    guest.stream.write(packet.subarray(0, 17));
    await sim.settle();
    takeOver();
    await sim.settle();
    guest.stream.write(packet.subarray(17));
    await sim.settle();
    expect(guest.take().reply).toBe('!EINVAL');
  });

  test('knows what was in the way of an open transaction before', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(guest, XS_WRITE, 'read|old');
    const transaction = Number.parseInt(
      (await sim.reply(guest, XS_TRANSACTION_START, '|')) ?? '',
      10,
    );
    expect(await sim.reply(guest, XS_READ, 'read|', transaction)).toBe('old');
    await sim.ask(guest, XS_WRITE, 'written|old', transaction);
    await sim.ask(tools, XS_WRITE, '/local/domain/1/read|new');
    takeOver();
    await sim.settle();
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', transaction)).toBe('!EAGAIN');
    expect(await sim.reply(guest, XS_READ, 'written|')).toBe('!ENOENT');
  });

  test('removes whoever died in between, and tells of it', async () => {
    await sim.guestWithHome(1);
    await sim.ask(tools, XS_WATCH, '@releaseDomain|t|');
    await sim.ask(sim.kernel, XS_WATCH, '@releaseDomain|k|');
    sim.kernel.take();
    const state = sim.xenstored.capture();
    sim.guests.get(1)?.domain.kill();
    sim.takeOver(state);
    await sim.settle();
    expect(tools.take().events).toEqual(['@releaseDomain|t|']);
    expect(sim.kernel.take().events).toEqual(['@releaseDomain|k|']);
    expect(await sim.reply(tools, XS_READ, '/local/domain/1|')).toBe('!ENOENT');
    expect(sim.xenstored.status().introduced).toEqual([0]);
  });

  test('keeps quotas, targets, the permissions of happenings, and who broke a rule', async () => {
    const guest = await sim.guestWithHome(1);
    const model = await sim.guest(2);
    await sim.ask(tools, XS_SET_TARGET, '2|1|');
    await sim.ask(tools, XS_CONTROL, 'quota|set|nodes|7|');
    await sim.ask(tools, XS_SET_PERMS, '@releaseDomain|n0|r2|');
    guest.sendBytes(XS_READ, new Uint8Array(0));
    const page = sim.guests.get(1)?.xenstore.page.page(0) as Uint8Array;
    await sim.settle();
    new DataView(page.buffer, page.byteOffset).setUint32(2052, 0x7000_0000, true);
    sim.guests.get(1)?.xenstore.channel.notify();
    await sim.settle();
    const before = sim.xenstored.capture();
    sim.takeOver(before);
    await sim.settle();
    const after = sim.xenstored.capture();
    expect(comparable(after)).toEqual(comparable(before));
    expect(
      after.connections.some(({ carrier }) => carrier.kind === 'ring' && carrier.ignored),
    ).toBe(true);
    expect(await sim.reply(model, XS_READ, '/local/domain/1|')).toBe('');
    expect(await sim.reply(tools, XS_CONTROL, 'quota|')).toMatch(/nodes +: +7 /);
  });

  test('gives no rights to a later domain with the same domid', async () => {
    await sim.guestWithHome(1);
    await sim.ask(tools, XS_WRITE, '/x|');
    await sim.ask(tools, XS_SET_PERMS, '/x|n0|b1|');
    sim.guests.get(1)?.domain.kill();
    await sim.settle();
    takeOver();
    const guest = await sim.guestWithHome(1);
    expect(await sim.reply(guest, XS_READ, '/x|')).toBe('!EACCES');
  });
});
