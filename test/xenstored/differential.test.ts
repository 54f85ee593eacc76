/**
 * The same requests to C's xenstored and to ours: every reply and every event must be the same, in
 * the same order, whoever asks: two sockets, two guests, and a stub domain that has one of the
 * guests for its target, and dom0's kernel.
 *
 * Transactions are where ours may do more. What C's commits, ours must commit with the same replies.
 * Where C's answers EAGAIN and ours does not, C's is given the same requests once more, in a
 * transaction that nobody disturbs: the same replies must come, and the same events.
 *
 * By default a few runs from one seed. `DIFFERENTIAL_RUNS` and `DIFFERENTIAL_SEED` look further,
 * `DIFFERENTIAL_SHRINK` makes a failing case small, `DIFFERENTIAL_CASE` plays one again, as JSON.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_DIRECTORY_PART,
  XS_GET_DOMAIN_PATH,
  XS_INTRODUCE,
  XS_MKDIR,
  XS_RELEASE,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { latin1Decode } from '../../src/base/bytes.ts';
import type { Packet } from '../../src/xenstore/packet.ts';
import { DEFAULT_QUOTAS } from '../../src/xenstored/quota.ts';
import { CDaemon } from './c-daemon/c-daemon.ts';
import { missingForCDaemon } from './c-daemon/stand-in.ts';
import { type Action, action, type RequestKind, requestOf } from './random-requests.ts';
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
  const quotas = { ...DEFAULT_QUOTAS, transactions: 10 };
  const sim = new SimXenstored({ watchEventTimeout_ms: 0, quotas });
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
  if (packet.type === XS_CONTROL) {
    // The most that was used is not told by 4.17's.
    return text.replace(/ \(max: *\d+\)/g, '').replace(/(outstanding|memory) *: *\d+/g, '$1');
  }
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
      const [type, payload] = requestOf({ ...action, kind });
      const open = stage.transactionsOf(client);
      const transaction = kind === 'start' ? undefined : open[action.transaction];
      const heard = await stage.ask(client, type, payload, transaction);
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

const NODE_KINDS = new Set<Action['kind']>([
  ...(['read', 'directory', 'directoryPart', 'getPermissions'] as const),
  ...(['write', 'mkdir', 'rm', 'setPermissions'] as const),
]);
const WRITING_KINDS = new Set<Action['kind']>(['write', 'mkdir', 'rm', 'setPermissions']);

/** What went on in a transaction that both daemons have open. */
interface Open {
  /** Requests about nodes, and what ours answered. */
  readonly asked: { readonly request: [number, string]; readonly heard: readonly string[] }[];
  /** C's has answered something else: it reads what is new, ours what belongs together. */
  parted: boolean;
  /** A request that writes was answered with OK. */
  wrote: boolean;
}

class Comparison {
  private readonly c: Stage;
  private readonly ours: Stage;
  private readonly open = new Map<string, Open>();

  constructor(c: Stage, ours: Stage) {
    this.c = c;
    this.ours = ours;
  }

  /** Returns false where the two have gone different ways that are both right. */
  async perform(action: Action): Promise<boolean> {
    const key = this.transactionOf(action);
    const expected = await perform(this.c, action);
    const heard = await perform(this.ours, action);
    if (isLostWalk(action, expected)) {
      await this.abort(action);
      return true;
    }
    if (key === undefined) expect(heard).toEqual(expected);
    else if (action.kind === 'commit') return this.commit(action.client, key, expected, heard);
    else if (action.kind === 'abort') expect(heard).toEqual(expected);
    else this.within(action, key, expected, heard);
    return true;
  }

  /** A key for the transaction that the action belongs to, if it belongs to one. */
  private transactionOf({ client, kind, transaction }: Action): string | undefined {
    if (!NODE_KINDS.has(kind) && kind !== 'commit' && kind !== 'abort') return undefined;
    const number = this.ours.transactionsOf(client)[transaction];
    return number === undefined ? undefined : `${client} ${number}`;
  }

  private within(action: Action, key: string, expected: string[], heard: string[]): void {
    const open = this.open.get(key) ?? { asked: [], parted: false, wrote: false };
    this.open.set(key, open);
    const kind = action.kind as RequestKind;
    const special = kind === 'setPermissions' && action.path.startsWith('@');
    if (special) {
      expect(heard).toEqual(expected);
      return;
    }
    open.asked.push({ request: requestOf({ ...action, kind }), heard });
    open.parted ||= heard.join() !== expected.join();
    open.wrote ||= WRITING_KINDS.has(kind) && heard.some((line) => / 1 OK\|$/.test(line));
  }

  private async commit(client: string, key: string, expected: string[], heard: string[]) {
    const { asked, parted, wrote } = this.open.get(key) ?? {
      asked: [],
      parted: false,
      wrote: false,
    };
    this.open.delete(key);
    const committed = (lines: readonly string[]) =>
      lines.some((line) => line.startsWith(`${client}: TRANSACTION_END 1 `));
    if (committed(expected)) {
      // A node that changed and changed back is no conflict to C's; ours went on with the old tree.
      if (parted && !committed(heard)) return false;
      expect(heard).toEqual(expected);
      expect(parted && wrote, 'other replies than those of a commit').toBe(false);
    } else if (!committed(heard)) {
      if (!parted) expect(heard).toEqual(expected);
      // What ours refuses must be what would come out differently now.
      const again = await this.inUndisturbedTransaction(client, asked, 'F|');
      const isRefusal = heard.includes(`${client}: ERROR 1 EAGAIN|`);
      expect(isRefusal && again.same, 'EAGAIN where nothing would differ').toBe(false);
    } else if (!wrote) {
      expect(heard).toEqual([`${client}: TRANSACTION_END 1 OK|`]);
    } else {
      const again = await this.inUndisturbedTransaction(client, asked, 'T|');
      expect(again.same, 'OK where a reply would differ').toBe(true);
      expect(heard).toEqual(again.end);
    }
    return true;
  }

  /** What C's answers to the requests when nobody comes between. */
  private async inUndisturbedTransaction(client: string, asked: Open['asked'], verdict: string) {
    await this.c.ask(client, XS_TRANSACTION_START, '|');
    const number = this.c.transactionsOf(client).pop();
    let same = true;
    for (const { request, heard } of asked) {
      const expected = await this.c.ask(client, ...request, number);
      same &&= expected.join() === heard.join();
    }
    return { same, end: await this.c.ask(client, XS_TRANSACTION_END, verdict, number) };
  }

  private async abort({ client, transaction }: Action): Promise<void> {
    for (const stage of [this.c, this.ours]) {
      const [number] = stage.transactionsOf(client).splice(transaction, 1);
      await stage.ask(client, XS_TRANSACTION_END, 'F|', number);
    }
  }
}

async function compare(actions: readonly Action[]): Promise<void> {
  const c = new Stage(await cSide());
  const ours = new Stage(ourSide());
  const comparison = new Comparison(c, ours);
  try {
    await c.setUp();
    await ours.setUp();
    let alike = true;
    for (const [index, action] of actions.entries()) {
      try {
        alike = await comparison.perform(action);
      } catch (error) {
        throw new Error(`action ${index}: ${JSON.stringify(action)}`, { cause: error });
      }
      if (!alike) break;
    }
    for (const domid of alike ? [0, ...GUESTS] : []) {
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
