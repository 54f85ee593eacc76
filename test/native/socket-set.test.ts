import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NativeSocketSet } from '../../src/hypervisor/linux/native.ts';
import { runScript } from './run-script.ts';
import { native } from './shim.ts';

let directory: string;
let path: string;
let listening: number;
let set: NativeSocketSet | undefined;
let clients: Socket[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-set-'));
  path = join(directory, 'socket');
  listening = native.listenUnix(path, 16);
  clients = [];
});

afterEach(async () => {
  set?.close();
  for (const client of clients) client.destroy();
  // The listening socket is closed like any other.
  const last = new native.SocketSet(() => {});
  last.remove(last.add(listening));
  last.close();
  rmSync(directory, { recursive: true });
});

/** A client, and the id of our end in the set. */
async function accept(to: NativeSocketSet): Promise<{ client: Socket; id: number }> {
  const client = connect(path);
  // One that we close with bytes of its unread is told of a reset.
  client.on('error', () => {});
  clients.push(client);
  await new Promise<void>((resolve) => client.once('connect', resolve));
  return { client, id: to.add(native.acceptUnix(listening)) };
}

interface Arrival {
  readonly id: number;
  readonly bytes: string;
  readonly received: number;
  readonly writable: boolean;
}

/** A set that keeps what arrives by turn, and a way to wait for `count` arrivals. */
function collecting() {
  const arrived: Arrival[] = [];
  let told = () => {};
  const made = new native.SocketSet((count) => {
    for (let i = 0; i < count; i++) {
      const [id = 0, start = 0, received = 0, writable = 0] = made.arrivals.subarray(4 * i);
      const bytes = Buffer.from(made.input.subarray(start, start + Math.max(0, received)));
      arrived.push({ id, bytes: bytes.toString('latin1'), received, writable: writable === 1 });
    }
    told();
  });
  set = made;
  const until = async (count: number) => {
    while (arrived.length < count) {
      await new Promise<void>((resolve) => {
        told = resolve;
      });
    }
  };
  return { made, arrived, until };
}

/** Sends the texts, each to the socket beside it; returns what was taken of each. */
function send(to: NativeSocketSet, ...runs: readonly (readonly [id: number, text: string])[]) {
  let end = 0;
  runs.forEach(([id, text], index) => {
    to.output.set(Buffer.from(text, 'latin1'), end);
    to.departures.set([id, end, text.length, 0], 4 * index);
    end += text.length;
  });
  to.send(runs.length);
  return runs.map((_, index) => to.departures[4 * index + 3]);
}

describe('a set of sockets', () => {
  test('tells of what came for each', async () => {
    const { made, arrived, until } = collecting();
    const [one, other] = [await accept(made), await accept(made)];
    one.client.write('from one');
    other.client.write('from the other');
    await until(2);
    expect(arrived.find(({ id }) => id === one.id)?.bytes).toBe('from one');
    expect(arrived.find(({ id }) => id === other.id)?.bytes).toBe('from the other');
  });

  test('tells of more sockets than one call has room for', async () => {
    const { made, arrived, until } = collecting();
    const all = [];
    for (let i = 0; i < 40; i++) all.push(await accept(made));
    for (const { client, id } of all) client.write(`to ${id}`);
    await until(40);
    expect(arrived.map(({ id, bytes }) => bytes === `to ${id}`)).toEqual(Array(40).fill(true));
    expect(new Set(arrived.map(({ id }) => id)).size).toBe(40);
  });

  test('tells of the end as of no bytes', async () => {
    const { made, arrived, until } = collecting();
    const { client, id } = await accept(made);
    client.end();
    await until(1);
    expect(arrived[0]).toEqual({ id, bytes: '', received: 0, writable: false });
  });

  test('sends to each what is for it', async () => {
    const { made } = collecting();
    const [one, other] = [await accept(made), await accept(made)];
    const heard = ({ client }: { client: Socket }) =>
      new Promise((resolve) => client.once('data', (bytes) => resolve(`${bytes}`)));
    const both = [heard(one), heard(other)];
    expect(send(made, [one.id, 'to one'], [other.id, 'to the other'])).toEqual([6, 12]);
    expect(await Promise.all(both)).toEqual(['to one', 'to the other']);
  });

  test('sends nothing more to a socket that did not take all, and says when it will again', async () => {
    const { made, arrived, until } = collecting();
    const { client, id } = await accept(made);
    const much = 'x'.repeat(60_000);
    let taken: (number | undefined)[];
    do taken = send(made, [id, much], [id, 'y']);
    while (taken[0] === much.length);
    expect(taken[1]).toBeLessThan(0);
    made.await(id, native.WRITABLE);
    client.resume();
    await until(1);
    expect(arrived[0]).toMatchObject({ id, writable: true });
  });

  test('forgets a socket that was removed, though bytes of its have come', async () => {
    const { made, arrived, until } = collecting();
    const [gone, stays] = [await accept(made), await accept(made)];
    gone.client.write('never read');
    made.remove(gone.id);
    stays.client.write('read');
    await until(1);
    expect(arrived).toEqual([{ id: stays.id, bytes: 'read', received: 4, writable: false }]);
    expect(() => made.await(gone.id, 0)).toThrow(RangeError);
    expect(() => send(made, [gone.id, 'x'])).toThrow(RangeError);
  });

  test('closes all its sockets at its end, twice without harm', async () => {
    const { made } = collecting();
    const { client } = await accept(made);
    const ended = new Promise((resolve) => client.once('close', resolve));
    client.resume();
    made.close();
    made.close();
    await ended;
    expect(() => made.add(0)).toThrow(TypeError);
  });

  test('rejects what it cannot work with', async () => {
    const { made } = collecting();
    const { id } = await accept(made);
    const Wrong = native.SocketSet as unknown as new (callback: unknown) => NativeSocketSet;
    expect(() => new Wrong(undefined)).toThrow(TypeError);
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => made.add(wrong)).toThrow(RangeError);
      expect(() => made.await(wrong, 0)).toThrow(RangeError);
      expect(() => made.await(id, wrong)).toThrow(RangeError);
      expect(() => made.send(wrong)).toThrow(RangeError);
      expect(() => made.remove(wrong)).toThrow(RangeError);
    }
    expect(() => made.send(65)).toThrow(RangeError);
    for (const [start, length] of [
      [-1, 1],
      [0, -1],
      [made.output.length, 1],
      [1, made.output.length],
    ]) {
      made.departures.set([id, start as number, length as number, 0]);
      expect(() => made.send(1)).toThrow(RangeError);
    }
    expect(() => made.add(0x7fffffff)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  test('that nobody knows any more is collected, and its memory outlives it', () => {
    const { said, status } = runScript(
      path,
      `
      let set = new native.SocketSet(() => {});
      const { input } = set;
      const ref = new WeakRef(set);
      set = undefined;
      await collect(() => ref.deref() === undefined);
      input.fill(1);
      say([ref.deref() === undefined, input[input.length - 1]]);
    `,
    );
    expect(status).toBe('ok');
    expect(said).toEqual([[true, 1]]);
  });

  test('does not keep a process alive that ends with it open', () => {
    const { status } = runScript(path, 'globalThis.set = new native.SocketSet(() => {});');
    expect(status).toBe('ok');
  });
});
