/**
 * The same requests to C's xenstored and to ours: every reply and every event must be the same, in
 * the same order, whoever asks: two sockets, two guests, and a stub domain that has one of the
 * guests for its target, and dom0's kernel.
 *
 * By default a few runs from one seed. `DIFFERENTIAL_RUNS` and `DIFFERENTIAL_SEED` look further,
 * `DIFFERENTIAL_SHRINK` makes a failing case small, `DIFFERENTIAL_CASE` plays one again, as JSON.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_DOMAIN_PATH,
  XS_GET_PERMS,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_RM,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { latin1Decode } from '../../src/base/bytes.ts';
import type { Packet } from '../../src/xenstore/packet.ts';
import { CDaemon } from './c-daemon/c-daemon.ts';
import { missingForCDaemon } from './c-daemon/stand-in.ts';
import { describePacket, RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

type DomainState = 'running' | 'shutdown' | 'gone';

/** One of the two daemons with all that surrounds it. */
interface Side {
  socket(): Promise<RawClient>;
  build(domid: number): Promise<void>;
  introduceRequest(domid: number): string;
  ring(domid: number): RawClient;
  setDomain(domid: number, state: DomainState): Promise<void>;
  /** Lets time pass until `done`. */
  until(done: () => boolean): Promise<void>;
  close(): Promise<void>;
}

async function cSide(): Promise<Side> {
  const daemon = await CDaemon.start();
  return {
    socket: async () => new RawClient(await daemon.connectSocket()),
    build: (domid) => {
      daemon.makeRing(domid);
      return daemon.setDomain(domid, 'running');
    },
    introduceRequest: (domid) => `${domid}|1|2|`,
    ring: (domid) => new RawClient(daemon.connectRing(domid)),
    setDomain: async (domid, state) => {
      if (state === 'gone') await daemon.setDomain(domid, 'dying');
      await daemon.setDomain(domid, state);
    },
    until: async (done) => {
      const limit_ms = performance.now() + 10_000;
      while (!done()) {
        if (performance.now() > limit_ms) throw new Error("C's xenstored does not answer");
        await new Promise(setImmediate);
      }
    },
    close: () => daemon.close(),
  };
}

function ourSide(): Side {
  const sim = new SimXenstored({ watchEventTimeout_ms: 0 });
  return {
    socket: async () => sim.socket(),
    build: async (domid) => {
      sim.build(domid);
    },
    introduceRequest: (domid) => sim.introduceRequest(domid),
    ring: (domid) => (domid === 0 ? sim.kernel : sim.connectRing(domid)),
    setDomain: async (domid, state) => {
      const domain = sim.guests.get(domid)?.domain;
      if (state === 'shutdown') domain?.shutdown(SHUTDOWN_poweroff);
      if (state === 'gone') domain?.kill();
      await sim.settle();
    },
    until: async (done) => {
      await sim.world.run({ until: done, for_ms: 10_000 });
      if (!done()) throw new Error('our xenstored does not answer');
    },
    close: async () => {
      expect(sim.xenstored.check(), 'findings of the store check').toBe(0);
      expect(await sim.finish()).toEqual([]);
    },
  };
}

/** One daemon and the clients that talk to it, by name: `s0`, `s1` are sockets, `kernel` is dom0's, `1` to `3` are guests. */
class Stage {
  readonly side: Side;
  readonly clients = new Map<string, RawClient>();
  readonly states = new Map<number, DomainState>();
  private readonly transactions = new Map<string, number[]>();

  constructor(side: Side) {
    this.side = side;
  }

  async setUp(): Promise<void> {
    for (const name of ['s0', 's1']) this.clients.set(name, await this.side.socket());
    this.clients.set('kernel', this.side.ring(0));
    for (const domid of GUESTS) {
      await this.build(domid);
      await this.introduce(domid);
      await this.ask('s0', XS_WRITE, `/local/domain/${domid}|`);
      await this.ask('s0', XS_SET_PERMS, `/local/domain/${domid}|n${domid}|`);
    }
    await this.ask('s0', XS_SET_TARGET, '3|1|');
    for (const [path, permissions] of PLACES) {
      await this.ask('s0', XS_MKDIR, `${path}|`);
      await this.ask('s0', XS_SET_PERMS, `${path}|${permissions}`);
    }
  }

  async build(domid: number): Promise<void> {
    await this.side.build(domid);
    this.states.set(domid, 'running');
  }

  async introduce(domid: number): Promise<string[]> {
    this.dropClient(domid);
    const heard = await this.ask('s0', XS_INTRODUCE, this.side.introduceRequest(domid));
    this.clients.set(`${domid}`, this.side.ring(domid));
    return heard;
  }

  async release(domid: number): Promise<string[]> {
    this.dropClient(domid);
    return this.ask('s0', XS_RELEASE, `${domid}|`);
  }

  async setDomain(domid: number, state: DomainState): Promise<string[]> {
    // One that has shut down says nothing more either.
    this.dropClient(domid);
    this.states.set(domid, state);
    await this.side.setDomain(domid, state);
    return this.hear();
  }

  async ask(name: string, type: number, payload: string, transactionId = 0): Promise<string[]> {
    const client = this.clients.get(name);
    if (client !== undefined) await this.answered([[client, type, payload, transactionId]]);
    return this.hear();
  }

  /** What each client heard since the last time. */
  async hear(): Promise<string[]> {
    const clients = [...this.clients.values()];
    // What was to be told was told before this is answered.
    await this.answered(clients.map((client) => [client, XS_GET_DOMAIN_PATH, '7|', 0]));
    return [...this.clients].flatMap(([name, client]) =>
      client.received.splice(0).flatMap((packet) => {
        if (packet.type === XS_TRANSACTION_START) {
          this.transactionsOf(name).push(Number.parseInt(latin1Decode(packet.payload), 10));
        }
        const barrier = describePacket(packet) === 'GET_DOMAIN_PATH 0 /local/domain/7|';
        return barrier ? [] : [`${name}: ${comparable(packet)}`];
      }),
    );
  }

  /** Numbers of the transactions that the client has open. */
  transactionsOf(name: string): number[] {
    const open = this.transactions.get(name) ?? [];
    this.transactions.set(name, open);
    return open;
  }

  private async answered(requests: readonly [RawClient, number, string, number][]) {
    const waiting = requests.map(([client, type, payload, transaction]) => {
      return { client, requestId: client.send(type, payload, transaction) };
    });
    await this.side.until(() =>
      waiting.every(({ client, requestId }) => {
        client.pump();
        return client.received.some((packet) => packet.requestId === requestId);
      }),
    );
  }

  private dropClient(domid: number): void {
    this.transactions.delete(`${domid}`);
    this.clients.get(`${domid}`)?.stream.close();
    this.clients.delete(`${domid}`);
  }
}

/** Numbers that a daemon may choose differ, and memory is counted differently. */
function comparable(packet: Packet): string {
  const text = describePacket({ ...packet, transactionId: Math.min(packet.transactionId, 1) });
  if (packet.type === XS_TRANSACTION_START) return text.replace(/\d+\|/, 'NUMBER|');
  if (packet.type === XS_DIRECTORY_PART) return text.replace(/(\d) \d+\|/, '$1 GENERATION|');
  if (packet.type === XS_CONTROL) return text.replace(/(outstanding|memory) *: *\d+/g, '$1');
  return text;
}

const GUESTS = [1, 2, 3];
/** Guest 1 is a target: in C's xenstored such a domain outlives its own death until whoever has it for a target is gone. */
const MORTAL_GUESTS = [2, 3];
const PLACES: readonly (readonly [string, string])[] = [
  ['/open', 'b0|'],
  ['/listed', 'r0|'],
  ['/hidden', 'n0|'],
  ['/hidden/shown', 'n0|r1|b2|'],
  ['/local/domain/2/for1', 'n2|b1|'],
];

// `l*3` stands for `lll`, so that a failing case can be read.
const PATHS = [
  '/',
  '/a',
  '/a/b',
  '/a/b/c',
  '/open',
  '/open/x',
  '/open/x/y',
  '/open/x/y/z',
  '/listed/x',
  '/hidden',
  '/hidden/shown',
  '/hidden/shown/x',
  '/local/domain',
  '/local/domain/1',
  '/local/domain/1/data',
  '/local/domain/1/data/x',
  '/local/domain/2/for1',
  '/local/domain/2/for1/x',
  '/local/domain/2',
  'data',
  'data/x',
  'x',
  '',
  '/a/',
  '//',
  '/a//b',
  '/a b',
  '@releaseDomain',
  '@introduceDomain',
  '@other',
  'no@sign',
  '/tool',
  '/local/domain/',
  '/l*2046',
  '/l*2047',
  '/l*2048',
  'l*2047',
  'l*2048',
  'l*2049',
  '/local/domain/1/l*2048',
  '/local/domain/1/l*2049',
  '/open/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d',
];
const PERMISSIONS = [
  'n0|',
  'n1|',
  'b1|',
  'r2|',
  'n0|r1|',
  'n0|b1|w2|',
  'n1|r2|',
  'b2|n1|',
  'n3|',
  'n1|b3|',
  'n0|r1|r2|r3|r1|r2|',
  'n0|r1|r2|r3|r1|',
  'x0|',
  'n|',
  'n0x1|r02|',
  'n9|',
  'n0|r9|',
  'n-1|',
  '',
];
const VALUES = ['', 'v', 'two|parts', '|', 'w*1800', 'w*2010', 'w*2020', '\u00ff\u0001'];

interface Action {
  readonly client: 's0' | 's1' | 'kernel' | '1' | '2' | '3';
  readonly kind: keyof typeof KINDS | 'introduce' | 'release' | 'shutdown' | 'kill' | 'rebuild';
  readonly path: string;
  readonly value: string;
  readonly permissions: string;
  /** Which of the client's open transactions, if it has as many. */
  readonly transaction: number;
  readonly domid: number;
}

type Shape = (action: Action) => [type: number, payload: string];

const KINDS = {
  read: ({ path }) => [XS_READ, `${path}|`],
  write: ({ path, value }) => [XS_WRITE, `${path}|${value}`],
  mkdir: ({ path }) => [XS_MKDIR, `${path}|`],
  rm: ({ path }) => [XS_RM, `${path}|`],
  directory: ({ path }) => [XS_DIRECTORY, `${path}|`],
  directoryPart: ({ path, value }) => [XS_DIRECTORY_PART, `${path}|${value.length % 9}|`],
  getPermissions: ({ path }) => [XS_GET_PERMS, `${path}|`],
  setPermissions: ({ path, permissions, client }) => {
    // A refusal about an `@` path C's answers, too, with whatever errno was last.
    const refused = path === '@other' || (path.startsWith('@') && /^\d/.test(client));
    // And it removes the root when the root's owner dies.
    const risky = path === '/' && !/^.0/.test(permissions);
    return [XS_SET_PERMS, `${refused || risky ? '/a' : path}|${permissions}`];
  },
  watch: ({ path, domid }) => [XS_WATCH, `${path}|token${domid}|`],
  unwatch: ({ path, domid }) => [XS_UNWATCH, `${path}|token${domid}|`],
  resetWatches: () => [XS_RESET_WATCHES, '|'],
  start: () => [XS_TRANSACTION_START, '|'],
  commit: () => [XS_TRANSACTION_END, 'T|'],
  abort: () => [XS_TRANSACTION_END, 'F|'],
  domainPath: ({ domid }) => [XS_GET_DOMAIN_PATH, `${domid}|`],
  isIntroduced: ({ domid }) => [XS_IS_DOMAIN_INTRODUCED, `${domid}|`],
  resume: ({ domid }) => [XS_RESUME, `${domid}|`],
  setTarget: ({ domid, transaction }) => [XS_SET_TARGET, `${domid}|${transaction === 0 ? 7 : 1}|`],
  quota: ({ domid }) => [XS_CONTROL, `quota|${domid}|`],
  // Those that take one path are left out: without one, C's answers with whatever errno was last.
  malformed: ({ domid, value }) => [[4, 5, 7, 8, 10, 11][domid] ?? 14, value],
  unknown: ({ domid, value }) => [[15, 16, 20, 23, 24, 4711][domid] ?? 0xffffffff, value],
} satisfies Record<string, Shape>;

const action: fc.Arbitrary<Action> = fc.record({
  client: fc.constantFrom('s0', 's1', 'kernel', '1', '2', '3', '1', '2'),
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom('write', 'read', 'rm', 'mkdir', 'setPermissions') },
    { weight: 8, arbitrary: fc.constantFrom('start', 'commit', 'watch') },
    { weight: 8, arbitrary: fc.constantFrom(...(Object.keys(KINDS) as (keyof typeof KINDS)[])) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('introduce', 'release', 'shutdown', 'kill', 'rebuild'),
    },
  ),
  path: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...PATHS.slice(0, 22)) },
    { weight: 1, arbitrary: fc.constantFrom(...PATHS) },
  ),
  value: fc.constantFrom(...VALUES),
  permissions: fc.constantFrom(...PERMISSIONS),
  transaction: fc.nat(3),
  domid: fc.nat(5),
});

async function perform(stage: Stage, action: Action): Promise<string[]> {
  const { kind, domid, client } = action;
  const guest = MORTAL_GUESTS[domid % MORTAL_GUESTS.length] as number;
  const alive = stage.states.get(guest) === 'running';
  switch (kind) {
    case 'introduce':
      return alive ? stage.introduce(guest) : [];
    case 'release':
      return stage.release(guest);
    case 'shutdown':
      return alive ? stage.setDomain(guest, 'shutdown') : [];
    case 'kill':
      return stage.states.get(guest) === 'gone' ? [] : stage.setDomain(guest, 'gone');
    case 'rebuild':
      if (stage.states.get(guest) !== 'gone') return [];
      await stage.build(guest);
      return stage.introduce(guest);
    default: {
      const [type, payload] = KINDS[kind](action);
      const expanded = payload.replace(/(.)\*(\d+)/g, (_, letter: string, count: string) =>
        letter.repeat(Number(count)),
      );
      const open = stage.transactionsOf(client);
      const transaction = kind === 'start' ? undefined : open[action.transaction];
      const heard = await stage.ask(client, type, expanded, transaction);
      const ends = kind === 'commit' || kind === 'abort';
      if (ends && transaction !== undefined) open.splice(action.transaction, 1);
      if (kind === 'resetWatches') open.splice(0);
      return heard;
    }
  }
}

/**
 * In a transaction that cannot commit any more, C's xenstored answers a removal with EIO when it
 * comes upon a child that the transaction has found missing before and that is there now.
 */
function isLostWalk({ kind, client }: Action, expected: readonly string[]): boolean {
  return kind === 'rm' && expected.includes(`${client}: ERROR 1 EIO|`);
}

async function compare(actions: readonly Action[]): Promise<void> {
  const c = new Stage(await cSide());
  const ours = new Stage(ourSide());
  try {
    await c.setUp();
    await ours.setUp();
    for (const [index, action] of actions.entries()) {
      const expected = await perform(c, action);
      const heard = await perform(ours, action);
      if (isLostWalk(action, expected)) {
        // What C's makes of that transaction from here on is of no use to anybody.
        for (const stage of [c, ours]) {
          const [number] = stage.transactionsOf(action.client).splice(action.transaction, 1);
          await stage.ask(action.client, XS_TRANSACTION_END, 'F|', number);
        }
        continue;
      }
      expect(heard, `action ${index}: ${JSON.stringify(action)}`).toEqual(expected);
    }
    for (const domid of [0, ...GUESTS]) {
      const usage = [XS_CONTROL, `quota|${domid}|`] as const;
      expect(await ours.ask('s0', ...usage)).toEqual(await c.ask('s0', ...usage));
    }
  } finally {
    await c.side.close();
  }
  await ours.side.close();
}

const missing = missingForCDaemon();

describe.skipIf(missing !== undefined)(`beside C's xenstored ${missing ?? ''}`, () => {
  test('any requests are answered alike', { timeout: 300_000 }, async () => {
    const numRuns = Number(process.env.DIFFERENTIAL_RUNS ?? 12);
    if (process.env.DIFFERENTIAL_CASE !== undefined) {
      return compare(JSON.parse(process.env.DIFFERENTIAL_CASE));
    }
    await fc.assert(fc.asyncProperty(fc.array(action, { maxLength: 80, size: 'max' }), compare), {
      numRuns,
      seed: Number(process.env.DIFFERENTIAL_SEED ?? 1),
      endOnFailure: process.env.DIFFERENTIAL_SHRINK === undefined,
    });
  });
});
