/**
 * Random clients against a model so plain that it is right at a glance: one map of all nodes. Of a
 * transaction it knows what was asked and answered. All the answers must be true together of one
 * state since the start, and the transaction commits exactly if all its requests would be answered
 * the same now, or if it only read.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  XS_DIRECTORY,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import type { RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

type Nodes = Map<string, string>;

const parentOf = (path: string) => path.slice(0, path.lastIndexOf('/')) || '/';

/** Does to the map what the request asks for, and returns the reply. */
function model(nodes: Nodes, type: number, path: string, value: string): string {
  const isThere = nodes.has(path);
  switch (type) {
    case XS_READ:
      return nodes.get(path) ?? '!ENOENT';
    case XS_DIRECTORY: {
      const names = [...nodes.keys()].filter((other) => other !== '/' && parentOf(other) === path);
      return isThere
        ? names.map((name) => `${name.slice(path.length).replace('/', '')}|`).join('')
        : '!ENOENT';
    }
    case XS_RM:
      if (!isThere) return nodes.has(parentOf(path)) ? 'OK|' : '!ENOENT';
      if (path === '/') return '!EINVAL';
      for (const other of [...nodes.keys()]) {
        if (other === path || other.startsWith(`${path}/`)) nodes.delete(other);
      }
      return 'OK|';
    default:
      for (let at = parentOf(path); !nodes.has(at); at = parentOf(at)) nodes.set(at, '');
      if (type === XS_WRITE) nodes.set(path, value);
      else if (!isThere) nodes.set(path, '');
      return 'OK|';
  }
}

interface Asked {
  readonly type: number;
  readonly path: string;
  readonly value: string;
  readonly reply: string | undefined;
}

interface Open {
  readonly number: number;
  readonly asked: Asked[];
  /** Of every state since the start of which all answers are true: what the transaction makes of it. */
  possible: Nodes[];
}

/** The nodes after the requests, if each is answered as it was in the transaction. */
function after(nodes: Nodes, asked: readonly Asked[]): Nodes | undefined {
  const copy = new Map(nodes);
  const same = asked.every(
    ({ type, path, value, reply }) => model(copy, type, path, value) === reply,
  );
  return same ? copy : undefined;
}

const isRead = (type: number) => type === XS_READ || type === XS_DIRECTORY;

const step = fc.record({
  client: fc.nat(2),
  type: fc.constantFrom(XS_READ, XS_DIRECTORY, XS_WRITE, XS_MKDIR, XS_RM, XS_WRITE),
  path: fc.constantFrom('/', '/a', '/a/b', '/a/b/c', '/a/d', '/e', '/e/f'),
  value: fc.constantFrom('1', '2', ''),
  action: fc.constantFrom('request', 'request', 'request', 'start', 'commit', 'abort'),
});

test('random clients are answered as a map of all nodes answers', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 120, size: 'max' }),
      fc.nat(),
      async (steps, seed) => {
        const sim = new SimXenstored({}, seed);
        const clients = [sim.socket(), sim.socket(), sim.kernel];
        const open = new Map<RawClient, Open>();
        let nodes: Nodes = new Map([['/', '']]);
        const changeTo = (changed: Nodes) => {
          nodes = changed;
          for (const { asked, possible } of open.values()) {
            const another = after(nodes, asked);
            if (another !== undefined) possible.push(another);
          }
        };
        await sim.ask(sim.kernel, XS_RM, '/tool|');
        for (const { client: index, type, path, value, action } of steps) {
          const client = clients[index] as RawClient;
          const transaction = open.get(client);
          const ask = (kind: number, payload: string) =>
            sim.reply(client, kind, payload, transaction?.number ?? 0);
          if (action === 'start' && transaction === undefined) {
            const number = Number.parseInt((await ask(XS_TRANSACTION_START, '|')) ?? '', 10);
            open.set(client, { number, asked: [], possible: [new Map(nodes)] });
          } else if (action === 'abort' && transaction !== undefined) {
            open.delete(client);
            expect(await ask(XS_TRANSACTION_END, 'F|')).toBe('OK|');
          } else if (action === 'commit' && transaction !== undefined) {
            open.delete(client);
            const { asked } = transaction;
            const wrote = asked.some((one) => !isRead(one.type) && one.reply === 'OK|');
            const now = after(nodes, asked);
            const may = now !== undefined || !wrote;
            expect(await ask(XS_TRANSACTION_END, 'T|')).toBe(may ? 'OK|' : '!EAGAIN');
            if (now !== undefined) changeTo(now);
          } else {
            const reply = await ask(type, type === XS_WRITE ? `${path}|${value}` : `${path}|`);
            if (transaction === undefined) {
              const changed = new Map(nodes);
              expect(reply).toBe(model(changed, type, path, value));
              if (!isRead(type)) changeTo(changed);
            } else {
              transaction.asked.push({ type, path, value, reply });
              transaction.possible = transaction.possible.filter(
                (state) => model(state, type, path, value) === reply,
              );
              expect(transaction.possible.length, 'states that it may have read').toBeGreaterThan(
                0,
              );
            }
          }
        }
        expect(await everything(sim)).toEqual(nodes);
        expect(sim.xenstored.check()).toBe(0);
        expect(await sim.finish()).toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
});

/** All nodes, by asking for them. */
async function everything(sim: SimXenstored): Promise<Nodes> {
  const client = sim.socket();
  const nodes: Nodes = new Map();
  const paths = ['/'];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    nodes.set(path, (await sim.reply(client, XS_READ, `${path}|`)) ?? '');
    const names = (await sim.reply(client, XS_DIRECTORY, `${path}|`)) ?? '';
    for (const name of names.split('|').slice(0, -1))
      paths.push(`${path === '/' ? '' : path}/${name}`);
  }
  client.stream.close();
  return nodes;
}

test('increments in concurrent transactions are never lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2), { minLength: 30, maxLength: 90 }), async (turns) => {
      const sim = new SimXenstored();
      const clients = [sim.socket(), sim.socket(), sim.kernel] as const;
      const work = clients.map((client) => ({ client, number: 0, seen: 0, phase: 0 }));
      let committed = 0;
      await sim.ask(sim.kernel, XS_WRITE, '/counter|0');
      for (const turn of turns) {
        const one = work[turn] as (typeof work)[number];
        const ask = (type: number, payload: string) =>
          sim.reply(one.client, type, payload, one.number);
        if (one.phase === 0)
          one.number = Number.parseInt((await ask(XS_TRANSACTION_START, '|')) ?? '', 10);
        else if (one.phase === 1) one.seen = Number(await ask(XS_READ, '/counter|'));
        else if (one.phase === 2) await ask(XS_WRITE, `/counter|${one.seen + 1}`);
        else {
          const reply = await ask(XS_TRANSACTION_END, 'T|');
          if (reply === 'OK|') committed++;
          else expect(reply).toBe('!EAGAIN');
          one.number = 0;
        }
        one.phase = (one.phase + 1) % 4;
      }
      expect(await sim.reply(sim.socket(), XS_READ, '/counter|')).toBe(String(committed));
      await sim.finish();
    }),
    { numRuns: 40 },
  );
});
