/** A console's socket with real clients. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { SocketTerminal } from '../../src/node/socket-terminal.ts';

let directory: string;
let path: string;
let terminal: SocketTerminal;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-terminal-'));
  path = join(directory, 'console');
  terminal = new SocketTerminal(loadNative(), path);
});

afterEach(() => {
  terminal.close();
  rmSync(directory, { recursive: true });
});

async function connect(): Promise<Socket> {
  const client = createConnection(path).setEncoding('latin1');
  await once(client, 'connect');
  return client;
}

/** Resolves when all of `words` were taken. */
function show(words: string): Promise<void> {
  let rest = latin1Encode(words);
  return new Promise((resolve) => {
    const proceed = () => {
      rest = rest.subarray(terminal.write(rest));
      if (rest.length === 0) resolve();
    };
    terminal.onReady(proceed);
    proceed();
  });
}

/** Resolves with what was typed once `length` bytes have come. */
function typed(length: number): Promise<string> {
  const target = new Uint8Array(length);
  let filled = 0;
  return new Promise((resolve) => {
    terminal.onReady(() => {
      filled += terminal.read(target.subarray(filled));
      if (filled === length) resolve(latin1Decode(target));
    });
  });
}

test('takes nothing without a client; one may come, leave, and another come', async () => {
  expect(terminal.write(latin1Encode('x'))).toBe(0);
  const first = show('hello');
  const client = await connect();
  await first;
  expect((await once(client, 'data'))[0]).toBe('hello');
  const keys = typed(2);
  client.write('ls');
  expect(await keys).toBe('ls');
  client.destroy();
  // Who writes while the first is still leaving may lose it, as with a telephone.
  const other = await new Promise<Socket>((resolve) => {
    const attempt = () => {
      const socket = createConnection(path).setEncoding('latin1');
      socket.once('data', () => resolve(socket));
      socket.once('end', attempt);
      terminal.write(latin1Encode('again'));
    };
    terminal.onReady(() => terminal.write(latin1Encode('again')));
    attempt();
  });
  other.destroy();
  expect(terminal.ended).toBe(false);
});

test('a second client is turned away while the first is there', async () => {
  const first = await connect();
  await show('for the first');
  await once(first, 'data');
  const second = await connect();
  expect(await text(second)).toBe('');
  await show('still');
  expect((await once(first, 'data'))[0]).toBe('still');
  first.destroy();
});

test('is for its owner alone, takes the place of one left over, and goes when closed', () => {
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const next = new SocketTerminal(loadNative(), path);
  expect(next.path).toBe(path);
  next.close();
  next.close();
  expect(existsSync(path)).toBe(false);
  // The one that was replaced has nothing to remove any more.
  expect(() => terminal.close()).not.toThrow();
  expect(terminal.read(new Uint8Array(1))).toBe(0);
});
