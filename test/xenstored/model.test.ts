/**
 * Random clients against a model so plain that it is right at a glance: one map of all nodes, and
 * for a transaction a copy of it. Outcomes of transactions are told to the model, which checks that
 * what they read was true and that a commit changes all or nothing.
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
        ? names
            .map((name) => `${name.slice(path.length).replace('/', '')}|`)
            .sort()
            .join('')
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

const sorted = (list: string) =>
  list
    .split('|')
    .slice(0, -1)
    .sort()
    .map((name) => `${name}|`)
    .join('');

interface Open {
  readonly client: RawClient;
  readonly number: number;
  /** The nodes as this transaction sees them, as long as nobody else changes any. */
  readonly nodes: Nodes;
  /** Somebody else has changed something since: what it is told now need not be what the copy says. */
  disturbed: boolean;
}

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
        await sim.ask(sim.kernel, XS_RM, '/tool|');
        for (const { client: index, type, path, value, action } of steps) {
          const client = clients[index] as RawClient;
          const transaction = open.get(client);
          if (action === 'start' && transaction === undefined) {
            const number = Number.parseInt(
              (await sim.reply(client, XS_TRANSACTION_START, '|')) ?? '',
              10,
            );
            open.set(client, { client, number, nodes: new Map(nodes), disturbed: false });
          } else if ((action === 'commit' || action === 'abort') && transaction !== undefined) {
            open.delete(client);
            const verdict = action === 'commit' ? 'T|' : 'F|';
            const reply = await sim.reply(client, XS_TRANSACTION_END, verdict, transaction.number);
            if (action === 'abort') expect(reply).toBe('OK|');
            else if (!transaction.disturbed) expect(reply).toBe('OK|');
            if (action === 'commit' && reply === 'OK|') {
              if (!transaction.disturbed) nodes = transaction.nodes;
              else nodes = await everything(sim);
              for (const other of open.values()) other.disturbed = true;
            }
          } else {
            const reply = await sim.reply(
              client,
              type,
              type === XS_WRITE ? `${path}|${value}` : `${path}|`,
              transaction?.number ?? 0,
            );
            const expected = model(transaction?.nodes ?? nodes, type, path, value);
            if (transaction?.disturbed !== true) {
              expect(
                type === XS_DIRECTORY && !reply?.startsWith('!') ? sorted(reply ?? '') : reply,
              ).toBe(expected);
            }
            const changes = type !== XS_READ && type !== XS_DIRECTORY;
            if (transaction === undefined && changes) {
              for (const other of open.values()) other.disturbed = true;
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
