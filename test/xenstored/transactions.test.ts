/** Transactions beside each other: which of them commit, what they read meanwhile, who is held up. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_PERMS,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_SET_PERMS,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { SNAPSHOT_BYTES_MAX } from '../../src/xenstored/snapshots.ts';
import type { RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

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

type Step = readonly [type: number, payload: string];

async function start(client: RawClient): Promise<number> {
  return Number.parseInt((await sim.reply(client, XS_TRANSACTION_START, '|')) ?? '', 10);
}

const commit = (client: RawClient, transaction: number) =>
  sim.reply(client, XS_TRANSACTION_END, 'T|', transaction);

/** All clients take each step before any takes the next; returns how each commit was answered. */
async function commitTogether(
  work: readonly { client: RawClient; steps: readonly Step[] }[],
): Promise<(string | undefined)[]> {
  const open: number[] = [];
  for (const { client } of work) open.push(await start(client));
  const longest = Math.max(...work.map(({ steps }) => steps.length));
  for (let step = 0; step < longest; step++) {
    for (const [index, { client, steps }] of work.entries()) {
      const [type, payload] = steps[step] ?? [XS_READ, '/tool|'];
      const reply = await sim.reply(client, type, payload, open[index]);
      expect(reply, `${type} ${payload}`).not.toMatch(/^!(?!ENOENT)/);
    }
  }
  const replies: (string | undefined)[] = [];
  for (const [index, { client }] of work.entries()) {
    replies.push(await commit(client, open[index] as number));
  }
  return replies;
}

const uuid = (domid: number) => `00000000-0000-4000-8000-${String(domid).padStart(12, '0')}`;

/** What libxl does for a domain that is being created, in its first transaction. */
function homeSteps(domid: number): Step[] {
  const home = `/local/domain/${domid}`;
  const own = `n0|r${domid}|`;
  return [
    [XS_RM, `${home}|`],
    [XS_MKDIR, `${home}|`],
    [XS_SET_PERMS, `${home}|${own}`],
    [XS_RM, `/vm/${uuid(domid)}|`],
    [XS_MKDIR, `/vm/${uuid(domid)}|`],
    [XS_SET_PERMS, `/vm/${uuid(domid)}|${own}`],
    [XS_RM, `/libxl/${domid}|`],
    [XS_MKDIR, `/libxl/${domid}|`],
    [XS_SET_PERMS, `/libxl/${domid}|n0|`],
    [XS_WRITE, `${home}/vm|/vm/${uuid(domid)}`],
    [XS_WRITE, `${home}/name|guest${domid}`],
    ...['cpu', 'memory', 'device', 'control', 'hvmloader'].flatMap((name): Step[] => [
      [XS_MKDIR, `${home}/${name}|`],
      [XS_SET_PERMS, `${home}/${name}|${own}`],
    ]),
    ...['control/shutdown', 'data', 'drivers', 'feature', 'attr', 'error'].flatMap(
      (name): Step[] => [
        [XS_MKDIR, `${home}/${name}|`],
        [XS_SET_PERMS, `${home}/${name}|n${domid}|`],
      ],
    ),
    [XS_WRITE, `/vm/${uuid(domid)}/uuid|${uuid(domid)}`],
    [XS_WRITE, `/vm/${uuid(domid)}/image/ostype|linux`],
    [XS_WRITE, `${home}/domid|${domid}`],
  ];
}

/** What libxl does for a device, in a transaction of its own. */
function deviceSteps(domid: number, kind: 'vbd' | 'vif', id: number): Step[] {
  const front = `/local/domain/${domid}/device/${kind}/${id}`;
  const back = `/local/domain/0/backend/${kind}/${domid}/${id}`;
  const kept = `/libxl/${domid}/device/${kind}/${id}`;
  return [
    [XS_READ, `${kept}|`],
    [XS_RM, `/libxl/${domid}/device|`],
    [XS_MKDIR, `${kept}|`],
    [XS_WRITE, `${kept}/frontend|${front}`],
    [XS_WRITE, `${kept}/backend|${back}`],
    [XS_MKDIR, `${front}|`],
    [XS_SET_PERMS, `${front}|n${domid}|r0|`],
    [XS_WRITE, `${front}/backend|${back}`],
    [XS_WRITE, `${front}/backend-id|0`],
    [XS_WRITE, `${front}/state|1`],
    [XS_MKDIR, `${back}|`],
    [XS_SET_PERMS, `${back}|n0|r${domid}|`],
    [XS_WRITE, `${back}/frontend|${front}`],
    [XS_WRITE, `${back}/frontend-id|${domid}`],
    [XS_WRITE, `${back}/online|1`],
    [XS_WRITE, `${back}/state|1`],
  ];
}

describe('transactions of different homes', () => {
  const DOMIDS = Array.from({ length: 30 }, (_, index) => index + 1);

  test('of thirty guests that start at once commit without a single retry', async () => {
    const work = (steps: (domid: number) => Step[]) =>
      DOMIDS.map((domid) => ({ client: toolOf(domid), steps: steps(domid) }));
    const clients = new Map<number, RawClient>();
    const toolOf = (domid: number) => {
      const client = clients.get(domid) ?? sim.socket();
      clients.set(domid, client);
      return client;
    };
    for (const domid of DOMIDS) sim.build(domid);
    // What the host's own start and its first guest left: without /vm it is an error to remove /vm/x.
    for (const path of ['/local/domain/0', '/vm', '/libxl'])
      await sim.ask(tools, XS_MKDIR, `${path}|`);
    const all = DOMIDS.map(() => 'OK|');
    expect(await commitTogether(work(homeSteps))).toEqual(all);
    expect(await commitTogether(work((domid) => deviceSteps(domid, 'vbd', 51712)))).toEqual(all);
    expect(await commitTogether(work((domid) => deviceSteps(domid, 'vif', 0)))).toEqual(all);
    expect((await sim.reply(tools, XS_DIRECTORY, '/local/domain|'))?.split('|')).toHaveLength(32);
    const back = '/local/domain/0/backend/vbd|';
    expect(await sim.reply(tools, XS_DIRECTORY, back)).toBe(`${DOMIDS.join('|')}|`);
  });

  test('of thirty guests that connect their devices at once commit, and no limit is hit', async () => {
    const guests = new Map<number, RawClient>();
    for (const domid of DOMIDS) guests.set(domid, await sim.guestWithHome(domid));
    const work = DOMIDS.map((domid) => ({
      client: guests.get(domid) as RawClient,
      steps: [
        ...['ring-ref', 'event-channel', 'protocol', 'feature-persistent'].map(
          (name): Step => [XS_WRITE, `device/vbd/51712/${name}|${domid}`],
        ),
        [XS_WRITE, 'device/vbd/51712/state|3'] as const,
      ],
    }));
    for (let round = 0; round < 20; round++) {
      expect(await commitTogether(work)).toEqual(DOMIDS.map(() => 'OK|'));
    }
    expect(sim.log.filter((line) => line.startsWith('warn'))).toEqual([]);
  });

  test('of one client may be open 100 at a time', async () => {
    const guest = await sim.guestWithHome(1);
    const open: number[] = [];
    for (let i = 0; i < 100; i++) open.push(await start(guest));
    for (const number of open) await sim.ask(guest, XS_WRITE, `${number}/key|value`, number);
    for (const number of open) expect(await commit(guest, number)).toBe('OK|');
    expect((await sim.reply(guest, XS_DIRECTORY, '/local/domain/1|'))?.split('|')).toHaveLength(
      101,
    );
  });

  test('are bounded by the memory that they take, and the operator reads which limit it was', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(tools, XS_CONTROL, 'quota|set|memory|100000|');
    let last: string | undefined;
    for (let i = 0; i < 200 && !last?.startsWith('!'); i++) {
      last = await sim.reply(guest, XS_TRANSACTION_START, '|');
    }
    expect(last).toBe('!ENOMEM');
    expect(sim.log).toContain('warn: domain 1 was denied: memory for a transaction');
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'F|', 1)).toBe('OK|');
    expect(await sim.reply(guest, XS_TRANSACTION_START, '|')).toMatch(/^\d+\|$/);
  });
});

describe('a transaction', () => {
  /** What comes of a transaction that does `steps` when others do `meanwhile` before it ends. */
  async function outcome(steps: readonly Step[], meanwhile: readonly Step[]) {
    const transaction = await start(tools);
    for (const [type, payload] of steps) await sim.ask(tools, type, payload, transaction);
    for (const [type, payload] of meanwhile) await sim.ask(sim.kernel, type, payload);
    return commit(tools, transaction);
  }

  beforeEach(async () => {
    await sim.ask(tools, XS_WRITE, '/d/a|1');
    await sim.ask(tools, XS_WRITE, '/d/b|1');
  });

  const write: Step = [XS_WRITE, '/mine|1'];

  test.each<[string, Step[], Step[]]>([
    ['adds to a directory that others add to', [[XS_MKDIR, '/d/x|']], [[XS_MKDIR, '/d/y|']]],
    ['writes what others write', [[XS_WRITE, '/d/a|2']], [[XS_WRITE, '/d/a|3']]],
    ['writes what others remove', [[XS_WRITE, '/d/a|2']], [[XS_RM, '/d/a|']]],
    ['writes below what others create', [[XS_WRITE, '/n/x|2']], [[XS_WRITE, '/n/y|3']]],
    ['creates what others create', [[XS_MKDIR, '/n|']], [[XS_MKDIR, '/n|']]],
    ['removes what others remove', [[XS_RM, '/d/a|']], [[XS_RM, '/d/a|']]],
    ['removes a directory that others add to', [[XS_RM, '/d|']], [[XS_MKDIR, '/d/y|']]],
    ['reads a node whose children change', [[XS_READ, '/d|'], write], [[XS_MKDIR, '/d/y|']]],
    ['lists a directory whose value changes', [[XS_DIRECTORY, '/d|'], write], [[XS_WRITE, '/d|2']]],
    [
      'lists parts of a directory whose value changes',
      [[XS_DIRECTORY_PART, '/d|0|'], write],
      [[XS_WRITE, '/d|2']],
    ],
    ['reads permissions of what changes', [[XS_GET_PERMS, '/d/a|'], write], [[XS_WRITE, '/d/a|2']]],
    ['reads what others write anew', [[XS_READ, '/d/a|'], write], [[XS_WRITE, '/d/a|1']]],
    ['sets permissions of what others write', [[XS_SET_PERMS, '/d/a|r0|']], [[XS_WRITE, '/d/a|2']]],
  ])('that %s commits', async (_name, steps, meanwhile) => {
    expect(await outcome(steps, meanwhile)).toBe('OK|');
  });

  test.each<[string, Step[], Step[]]>([
    ['reads what others write', [[XS_READ, '/d/a|'], write], [[XS_WRITE, '/d/a|2']]],
    ['misses what others create', [[XS_READ, '/n|'], write], [[XS_WRITE, '/n|2']]],
    ['reads what others remove', [[XS_READ, '/d/a|'], write], [[XS_RM, '/d/a|']]],
    ['lists what others add to', [[XS_DIRECTORY, '/d|'], write], [[XS_MKDIR, '/d/y|']]],
    [
      'sees permissions that others set',
      [[XS_GET_PERMS, '/d|'], write],
      [[XS_SET_PERMS, '/d|r0|']],
    ],
    ['removes what others leave no parent of', [[XS_RM, '/d/x|'], write], [[XS_RM, '/d|']]],
    ['sets permissions of what others remove', [[XS_SET_PERMS, '/d/a|r0|']], [[XS_RM, '/d/a|']]],
  ])('that %s gets EAGAIN and changes nothing', async (_name, steps, meanwhile) => {
    expect(await outcome(steps, meanwhile)).toBe('!EAGAIN');
    expect(await sim.reply(tools, XS_READ, '/mine|')).toBe('!ENOENT');
  });

  test('that only reads commits whatever others do, and reads one state', async () => {
    const transaction = await start(tools);
    const read = (path: string) => sim.reply(tools, XS_READ, path, transaction);
    expect(await read('/d/a|')).toBe('1');
    for (const path of ['/d/a', '/d/b']) await sim.ask(sim.kernel, XS_WRITE, `${path}|2`);
    expect(await read('/d/b|')).toBe('1');
    expect(await commit(tools, transaction)).toBe('OK|');
  });

  test('reads what is new while nothing that it has read is old', async () => {
    const transaction = await start(tools);
    expect(await sim.reply(tools, XS_READ, '/d/a|', transaction)).toBe('1');
    await sim.ask(sim.kernel, XS_WRITE, '/d/b|2');
    expect(await sim.reply(tools, XS_READ, '/d/b|', transaction)).toBe('2');
    await sim.ask(tools, XS_WRITE, '/mine|1', transaction);
    expect(await commit(tools, transaction)).toBe('OK|');
  });

  test('that is run again fires its watches once, for what it does to the tree of then', async () => {
    await sim.ask(sim.kernel, XS_WATCH, '/n|t|');
    sim.kernel.take();
    const transaction = await start(tools);
    await sim.ask(tools, XS_WRITE, '/n/x|1', transaction);
    await sim.ask(sim.kernel, XS_WRITE, '/n/y|2');
    sim.kernel.take();
    expect(await commit(tools, transaction)).toBe('OK|');
    expect(sim.kernel.take().events).toEqual(['/n/x|t|']);
  });

  test('that is run again leaves the nodes to who asked for them, and no memory behind', async () => {
    await sim.ask(tools, XS_SET_PERMS, '/d|b0|');
    const guest = await sim.guestWithHome(1);
    const usage = async () =>
      (await sim.reply(tools, XS_CONTROL, 'quota|1|'))?.replace(/ *\(max: *\d+\)/g, '');
    const before = await usage();
    const transaction = await start(guest);
    await sim.ask(guest, XS_WRITE, '/d/of-guest|1', transaction);
    await sim.ask(sim.kernel, XS_MKDIR, '/d/other|');
    expect(await commit(guest, transaction)).toBe('OK|');
    expect(await sim.reply(tools, XS_GET_PERMS, '/d/of-guest|')).toBe('b1|');
    expect(await sim.reply(tools, XS_RM, '/d/of-guest|')).toBe('OK|');
    expect(await usage()).toBe(before);
  });

  test('that is run again is refused what the quota no longer allows', async () => {
    const guest = await sim.guestWithHome(1);
    const transaction = await start(guest);
    await sim.ask(guest, XS_WRITE, 'x|1', transaction);
    await sim.ask(sim.kernel, XS_MKDIR, '/local/domain/1/y|');
    await sim.ask(tools, XS_CONTROL, 'quota|set|nodes|2|');
    expect(await commit(guest, transaction)).toMatch(/^!(EAGAIN|ENOSPC)$/);
    expect(await sim.reply(guest, XS_READ, 'x|')).toBe('!ENOENT');
  });

  test('whose requests are too many to keep commits as long as nothing has changed', async () => {
    for (const [disturbed, reply] of [
      [false, 'OK|'],
      [true, '!EAGAIN'],
    ] as const) {
      const transaction = await start(tools);
      for (let i = 0; i < 1100; i++) tools.write('/d/x', String(i), transaction);
      await sim.settle();
      if (disturbed) await sim.ask(sim.kernel, XS_MKDIR, '/d/y|');
      await sim.ask(sim.kernel, XS_MKDIR, '/elsewhere|');
      await sim.settle();
      expect(await commit(tools, transaction)).toBe(reply);
      await sim.ask(tools, XS_RM, '/d/x|');
    }
  });

  test('that keeps too much of an old tree alive loses it, and cannot read two states for one', async () => {
    const transaction = await start(tools);
    const read = (path: string) => sim.reply(tools, XS_READ, path, transaction);
    expect(await read('/d/a|')).toBe('1');
    for (const path of ['/d/a', '/d/b']) await sim.ask(sim.kernel, XS_WRITE, `${path}|2`);
    const value = 'v'.repeat(4000);
    for (let bytes = 0; bytes < SNAPSHOT_BYTES_MAX; bytes += value.length) {
      sim.kernel.write('/big', value);
      if (bytes % 400_000 === 0) await sim.settle();
    }
    await sim.settle();
    expect(await read('/d/b|')).toBe('2');
    expect(await commit(tools, transaction)).toBe('!EAGAIN');
  });
});

describe('a domain that floods writes', () => {
  test('cannot keep others from committing what they read of the same node', async () => {
    await sim.ask(tools, XS_WRITE, '/shared|0');
    await sim.ask(tools, XS_SET_PERMS, '/shared|b0|');
    const attacker = await sim.guestWithHome(1);
    const victim = await sim.guestWithHome(2);
    let attempts = 0;
    for (let done = 0; done < 5; ) {
      for (let i = 0; i < 200; i++) attacker.write('/shared', String(i));
      attempts++;
      // The victim takes its time: 2 ms for each request.
      victim.send(XS_TRANSACTION_START, '|');
      await sim.world.run({ for_ms: 2 });
      const transaction = Number.parseInt(victim.take().reply ?? '', 10);
      victim.send(XS_READ, '/shared|', transaction);
      await sim.world.run({ for_ms: 2 });
      victim.write('mine', 'x', transaction);
      await sim.world.run({ for_ms: 2 });
      victim.take();
      if ((await commit(victim, transaction)) === 'OK|') done++;
      expect(attempts).toBeLessThan(50);
    }
  });

  test('is not held up where nobody looks', async () => {
    const guest = await sim.guestWithHome(1);
    const transaction = await start(tools);
    await sim.ask(tools, XS_READ, '/tool|', transaction);
    for (let i = 0; i < 5000; i++) guest.write('x', String(i));
    await sim.world.run({ for_ms: 100 });
    expect(await sim.reply(tools, XS_READ, '/local/domain/1/x|')).toBe('4999');
    expect(await commit(tools, transaction)).toBe('OK|');
  });
});
