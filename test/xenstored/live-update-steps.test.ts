/** The steps of a live update, and rings that pass through a migration stream, in the simulator. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_READ,
  XS_RM,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
} from '../../src/abi/io/xs_wire.ts';
import type { Successor } from '../../src/xenstored/live-update.ts';
import { decodeMigrationStream } from '../../src/xenstored/migration-stream-decode.ts';
import { encodeMigrationStream } from '../../src/xenstored/migration-stream-encode.ts';
import { DEFAULT_QUOTAS } from '../../src/xenstored/quota.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { describePacket, type RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

let sim: SimXenstored;
let tools: RawClient;
/** What the successor was given, and our ports at that time. */
let taken: { state: ServerState; ports: ReadonlyMap<number, number> } | undefined;

/** Notes what it is given; in the simulator nothing can really take the place of a process. */
function successor(changes: Partial<Successor> = {}): Successor {
  return {
    keepsAll: true,
    rehearse: async () => {},
    takeOver: (state, ports) => {
      taken = { state: { ...state, nodes: [...state.nodes] }, ports };
      throw new Error('it is only noted');
    },
    ...changes,
  };
}

beforeEach(() => {
  sim = new SimXenstored();
  tools = sim.socket();
  taken = undefined;
  sim.successors.set('/new', successor());
  sim.successors.set('/c', successor({ keepsAll: false }));
});
afterEach(async () => {
  tools.stream.close();
  await sim.settle();
  expect(await sim.finish()).toEqual([]);
});

const control = (payload: string, client = tools) => sim.reply(client, XS_CONTROL, payload);

describe('a step is answered', () => {
  test.each([
    ['-f with a file that will do', ['-f|/new|'], 'OK|'],
    ['-f with another file', ['-f|/nope|'], 'find /nope: ENOENT|'],
    ['-f a second time', ['-f|/new|', '-f|/new|'], 'live update: there is one already (EBUSY)|'],
    ['-c after -f', ['-f|/new|', '-c|run xenstored|'], 'OK|'],
    ['-c alone', ['-c|run xenstored|'], 'live update: the file comes first (EINVAL)|'],
    ['-s alone', ['-s|'], 'live update: the file comes first (EINVAL)|'],
    ['-s that fails', ['-f|/new|', '-s|-t|60|'], 'it is only noted|'],
    ['-a after -f', ['-f|/new|', '-a|'], 'OK|'],
    ['-a alone', ['-a|'], 'live update: there is none to abort (ENOENT)|'],
    ['-f without a file', ['-f|'], '!EINVAL'],
    ['-s with what it does not take', ['-f|/new|', '-s|-t|'], '!EINVAL'],
    ['-a with more', ['-a|now|'], '!EINVAL'],
    ['-s after a whole image', ['-b|4|', '-d|3|/ne|', '-d|1|w|', '-s|'], 'it is only noted|'],
    [
      '-s before all of it has come',
      ['-b|4|', '-d|3|/ne|', '-s|'],
      'live update: 1 bytes of the image are missing (EINVAL)|',
    ],
    [
      '-d with more than is to come',
      ['-b|1|', '-d|2|ab|'],
      'live update: 1 bytes of an image are to come (EINVAL)|',
    ],
    [
      '-d after -f',
      ['-f|/new|', '-d|1|a|'],
      'live update: 0 bytes of an image are to come (EINVAL)|',
    ],
    [
      '-b of more than there is room for',
      ['-b|4194305|'],
      'live update: an image has from 1 to 4194304 bytes, not 4194305 (EINVAL)|',
    ],
    ['-d alone', ['-d|1|a|'], 'live update: the file comes first (EINVAL)|'],
    ['-d with less than it says', ['-b|9|', '-d|9|ab|'], '!EINVAL'],
    ['-b without a number', ['-b|x|'], '!EINVAL'],
    ['anything else', ['-x|5|'], '!EINVAL'],
    ['nothing', [''], '!EINVAL'],
  ])('%s', async (_, steps, answer) => {
    let heard: string | undefined;
    for (const step of steps) heard = await control(`live-update|${step}`);
    expect(heard).toBe(answer);
  });

  test('only to whoever began it, until it is over or he is gone', async () => {
    const other = sim.socket();
    await control('live-update|-f|/new|', other);
    expect(await control('live-update|-s|')).toMatch(/the file comes first/);
    other.stream.close();
    await sim.settle();
    expect(await control('live-update|-f|/new|')).toBe('OK|');
  });

  test('never to a guest', async () => {
    const guest = await sim.guestWithHome(1);
    expect(await control('live-update|-f|/new|', guest)).toBe('!EACCES');
  });
});

test('one that is under way is busy, can be aborted, and is answered then', async () => {
  let finish = () => {};
  const rehearse = () => new Promise<void>((resolve) => (finish = resolve));
  sim.successors.set('/slow', successor({ rehearse }));
  await control('live-update|-f|/slow|');
  tools.send(XS_CONTROL, 'live-update|-s|');
  await sim.settle();
  expect(tools.take().reply).toBeUndefined();
  expect(await control('live-update|-s|')).toBe('BUSY|');
  expect(await control('live-update|-a|')).toBe('OK|');
  finish();
  await sim.settle();
  expect(tools.take().reply).toBe('live update: it was aborted (EIO)|');
  expect(taken).toBeUndefined();
});

test('the successor gives the answer to whoever asked, after all else', async () => {
  await control('live-update|-f|/new|');
  await control('live-update|-s|');
  const { output } = taken?.state.connections.find(({ output }) => output.length > 0) ?? {};
  expect(output?.map(({ packet }) => describePacket(packet))).toEqual(['CONTROL 0 OK|']);
});

test('transactions are waited for; others that would begin wait for the end of it', async () => {
  const guest = await sim.guestWithHome(1);
  const other = await sim.guestWithHome(2);
  expect(await sim.reply(guest, XS_TRANSACTION_START, '|')).toBe('1|');
  await control('live-update|-f|/c|');
  tools.send(XS_CONTROL, 'live-update|-s|-t|60|');
  await sim.settle();
  // Who has one goes on, also with another; who has none waits, and nobody else does.
  expect(await sim.reply(guest, XS_TRANSACTION_START, '|')).toBe('2|');
  expect(await sim.reply(tools, XS_READ, '/|')).toBe('');
  expect(await sim.reply(other, XS_TRANSACTION_START, '|')).toBeUndefined();
  expect(taken).toBeUndefined();
  await sim.reply(guest, XS_TRANSACTION_END, 'T|', 1);
  await sim.reply(guest, XS_TRANSACTION_END, 'F|', 2);
  await sim.settle();
  expect(taken?.state.connections.map(({ transactions }) => transactions.length)).not.toContain(1);
  expect(other.take().reply).toBe('1|');
  expect(tools.take().reply).toBe('it is only noted|');
});

test('transactions that last longer than that end it, or are lost by force', async () => {
  const guest = await sim.guestWithHome(1);
  await sim.reply(guest, XS_TRANSACTION_START, '|');
  const update = async (...options: string[]) => {
    await control('live-update|-f|/c|');
    tools.send(XS_CONTROL, `live-update|-s|-t|2|${options.join('')}`);
    for (let second = 0; second < 4; second++) await sim.settle();
    return tools.take().reply;
  };
  expect(await update()).toBe('live update: transactions would be lost, of domain 1 (EBUSY)|');
  expect(await update('-F|')).toBe('it is only noted|');
});

test('guests go on through a migration stream, as if nothing had happened', async () => {
  const guests = [await sim.guestWithHome(1), await sim.guestWithHome(2)];
  const [first, second] = guests as [RawClient, RawClient];
  for (const guest of guests) await sim.ask(guest, XS_WATCH, 'data|token|');
  await sim.ask(sim.kernel, XS_WATCH, '/local|kernel|');
  first.deaf = true;
  for (let i = 0; i < 3; i++) first.write('data/x', 'y'.repeat(900));
  for (let i = 0; i < 3; i++) first.send(XS_READ, 'data/x|');
  await sim.settle();

  for (let time = 0; time < 3; time++) {
    await control('live-update|-f|/c|');
    await control('live-update|-s|');
    const { state, ports } = taken as NonNullable<typeof taken>;
    const remote = new Map(
      state.domains.map(({ domid, ring }) => [ports.get(domid), ring?.remotePort]),
    );
    const bytes = encodeMigrationStream(state, { listener: 1, events: 2, ports });
    const decoded = decodeMigrationStream(bytes, {
      quotas: DEFAULT_QUOTAS,
      masterDomid: 0,
      remotePort: (port) => remote.get(port),
    });
    sim.takeOver(decoded.state);
    await sim.settle();
    expect(sim.xenstored.check()).toBe(0);
    second.take();
    sim.kernel.take();
    const { reply, events } = await sim.ask(second, XS_READ, 'data|');
    expect({ reply, events }).toEqual({ reply: '!ENOENT', events: [] });
    second.write('data', String(time));
    await sim.settle();
    expect(second.take()).toEqual({ reply: 'OK|', events: ['data|token|'] });
    expect(sim.kernel.take().events).toEqual(['/local/domain/2/data|kernel|']);
    await sim.ask(tools, XS_RM, '/local/domain/2/data|');
  }
  first.deaf = false;
  first.pump();
  await sim.settle();
  const told = first.received.map(describePacket);
  expect(told.filter((each) => each.startsWith('WRITE'))).toHaveLength(3);
  expect(told.filter((each) => each.startsWith(`READ 0 ${'y'.repeat(900)}`))).toHaveLength(3);
  expect(told.filter((each) => each.startsWith('WATCH_EVENT'))).toContain(
    'WATCH_EVENT 0 data/x|token|',
  );
});
