/**
 * A model of xenstored so plain that it is right at a glance: one map of all nodes. Of a transaction it
 * knows what was asked and answered. All the answers must be true together of one state since the
 * start, and the transaction commits exactly if all its requests would be answered the same now, or if
 * it only read.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import {
  XS_DIRECTORY,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';

export type Nodes = Map<string, string>;

/** Asks the daemon, and resolves with its reply: text with NUL as `|`, an error with `!` before it. */
export type Ask = (
  type: number,
  payload: string,
  transaction?: number,
) => Promise<string | undefined>;

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

/** What one of three clients does next, below `root` (`''` or absolute), which no step removes itself. */
export const stepsBelow = (root: string) =>
  fc.array(
    fc.record({
      client: fc.nat(2),
      type: fc.constantFrom(XS_READ, XS_DIRECTORY, XS_WRITE, XS_MKDIR, XS_RM, XS_WRITE),
      path: fc.constantFrom(
        ...(root === '' ? ['/'] : []),
        ...['/a', '/a/b', '/a/b/c', '/a/d', '/e', '/e/f'].map((path) => `${root}${path}`),
      ),
      value: fc.constantFrom('1', '2', ''),
      action: fc.constantFrom('request', 'request', 'request', 'start', 'commit', 'abort'),
    }),
    { maxLength: 120, size: 'max' },
  );

type Steps = ReturnType<typeof stepsBelow> extends fc.Arbitrary<infer Value> ? Value : never;

/** The state of the daemon as the model has it, and the transactions that are open. */
class Followed {
  nodes: Nodes;
  private readonly open = new Map<Ask, Open>();

  constructor(root: string) {
    this.nodes = new Map([[root === '' ? '/' : root, '']]);
  }

  async step(ask: Ask, { type, path, value, action }: Steps[number]): Promise<void> {
    const transaction = this.open.get(ask);
    if (action === 'start' && transaction === undefined) {
      const number = Number.parseInt((await ask(XS_TRANSACTION_START, '|')) ?? '', 10);
      this.open.set(ask, { number, asked: [], possible: [new Map(this.nodes)] });
    } else if (action === 'abort' && transaction !== undefined) {
      this.open.delete(ask);
      expect(await ask(XS_TRANSACTION_END, 'F|', transaction.number)).toBe('OK|');
    } else if (action === 'commit' && transaction !== undefined) {
      this.open.delete(ask);
      await this.commit(ask, transaction);
    } else {
      const payload = type === XS_WRITE ? `${path}|${value}` : `${path}|`;
      const reply = await ask(type, payload, transaction?.number ?? 0);
      this.answered(transaction, { type, path, value, reply });
    }
  }

  private async commit(ask: Ask, { asked, number }: Open): Promise<void> {
    const wrote = asked.some((one) => !isRead(one.type) && one.reply === 'OK|');
    const now = after(this.nodes, asked);
    const may = now !== undefined || !wrote;
    expect(await ask(XS_TRANSACTION_END, 'T|', number)).toBe(may ? 'OK|' : '!EAGAIN');
    if (now !== undefined) this.changeTo(now);
  }

  private answered(transaction: Open | undefined, one: Asked): void {
    const { type, path, value, reply } = one;
    if (transaction === undefined) {
      const changed = new Map(this.nodes);
      expect(reply).toBe(model(changed, type, path, value));
      if (!isRead(type)) this.changeTo(changed);
      return;
    }
    transaction.asked.push(one);
    transaction.possible = transaction.possible.filter(
      (state) => model(state, type, path, value) === reply,
    );
    expect(transaction.possible.length, 'states that it may have read').toBeGreaterThan(0);
  }

  private changeTo(changed: Nodes): void {
    this.nodes = changed;
    for (const { asked, possible } of this.open.values()) {
      const another = after(this.nodes, asked);
      if (another !== undefined) possible.push(another);
    }
  }

  async abortAll(): Promise<void> {
    for (const [ask, { number }] of this.open) await ask(XS_TRANSACTION_END, 'F|', number);
    this.open.clear();
  }
}

/** All nodes from `root` on, by asking for them. */
async function everything(ask: Ask, root: string): Promise<Nodes> {
  const nodes: Nodes = new Map();
  const paths = [root === '' ? '/' : root];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    nodes.set(path, (await ask(XS_READ, `${path}|`)) ?? '');
    const names = (await ask(XS_DIRECTORY, `${path}|`)) ?? '';
    for (const name of names.split('|').slice(0, -1)) {
      paths.push(`${path === '/' ? '' : path}/${name}`);
    }
  }
  return nodes;
}

/**
 * Has three clients do the steps, and expects each answer to be the model's, and all nodes in the end.
 * Below `root`, which is there and empty, is nothing.
 */
export async function followModel(
  clients: readonly Ask[],
  steps: Steps,
  root: string,
): Promise<void> {
  const followed = new Followed(root);
  for (const step of steps) await followed.step(clients[step.client]!, step);
  await followed.abortAll();
  expect(await everything(clients[0]!, root)).toEqual(followed.nodes);
}

/**
 * Has clients count up a node, each in a transaction of four turns, and expects it to count what was
 * committed.
 *
 * @param turns whose turn it is, by their places among `clients`
 */
export async function countTogether(
  clients: readonly Ask[],
  turns: readonly number[],
  counter: string,
): Promise<void> {
  const work = clients.map((ask) => ({ ask, number: 0, seen: 0, phase: 0 }));
  let committed = 0;
  await clients[0]!(XS_WRITE, `${counter}|0`);
  for (const turn of turns) {
    const one = work[turn]!;
    const ask = (type: number, payload: string) => one.ask(type, payload, one.number);
    if (one.phase === 0)
      one.number = Number.parseInt((await ask(XS_TRANSACTION_START, '|')) ?? '', 10);
    else if (one.phase === 1) one.seen = Number(await ask(XS_READ, `${counter}|`));
    else if (one.phase === 2) await ask(XS_WRITE, `${counter}|${one.seen + 1}`);
    else {
      const reply = await ask(XS_TRANSACTION_END, 'T|');
      if (reply === 'OK|') committed++;
      else expect(reply).toBe('!EAGAIN');
      one.number = 0;
    }
    one.phase = (one.phase + 1) % 4;
  }
  for (const { ask, number } of work) {
    if (number !== 0) await ask(XS_TRANSACTION_END, 'F|', number);
  }
  expect(await clients[0]!(XS_READ, `${counter}|`)).toBe(String(committed));
}
