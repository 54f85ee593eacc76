/** Ptys with real viewers: other processes that open the slave by its path. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { Pty } from '../../src/node/pty.ts';

const open: Pty[] = [];

function newPty(): Pty {
  const pty = new Pty(loadNative());
  open.push(pty);
  return pty;
}

afterEach(() => {
  for (const pty of open.splice(0)) pty.close();
});

/** Resolves with what was typed once `length` bytes have come. */
function typed(pty: Pty, length: number): Promise<string> {
  const target = new Uint8Array(length);
  let filled = 0;
  return new Promise((resolve) => {
    pty.onReady(() => {
      for (let got = 1; got > 0 && filled < length; filled += got) {
        got = pty.read(target.subarray(filled));
      }
      if (filled === length) resolve(latin1Decode(target));
    });
  });
}

/** Resolves when all of `bytes` were taken. */
function show(pty: Pty, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  return new Promise((resolve) => {
    const proceed = () => {
      for (let taken = 1; taken > 0 && rest.length > 0; rest = rest.subarray(taken)) {
        taken = pty.write(rest);
      }
      if (rest.length === 0) resolve();
    };
    pty.onReady(proceed);
    proceed();
  });
}

/** Opens the slave as a viewer does and types. */
function type(pty: Pty, keys: string): void {
  const slave = openSync(pty.path, 'r+');
  writeSync(slave, latin1Encode(keys));
  closeSync(slave);
}

/** A viewer that reads `length` bytes and leaves. */
function viewer(pty: Pty, length: number): Promise<string> {
  const child = spawn('head', ['-c', String(length), pty.path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return text(child.stdout.setEncoding('latin1'));
}

/** What our own descriptors of ptys lead to. */
function openTerminals(): string[] {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The descriptor that readdir itself has used.
      return '';
    }
  });
  return targets.filter((target) => /^\/dev\/(ptmx|pts)/.test(target)).sort();
}

const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);

test('every byte arrives as it is in both directions, control characters among them', async () => {
  const pty = newPty();
  const bytes = latin1Decode(everyByte);
  const arrived = typed(pty, 256);
  type(pty, bytes);
  expect(await arrived).toBe(bytes);
  const seen = viewer(pty, 256);
  await show(pty, everyByte);
  expect(await seen).toBe(bytes);
});

test('with nobody there, output is taken until the system has enough and then refused', () => {
  const pty = newPty();
  const chunk = new Uint8Array(4096);
  let taken = 0;
  for (let more = 1; more > 0; taken += more) more = pty.write(chunk);
  expect(taken).toBeGreaterThanOrEqual(4096);
  expect(taken).toBeLessThan(1 << 20);
  expect(pty.ended).toBe(false);
});

test('a viewer that reads makes room, and more than fits arrives in order', async () => {
  const pty = newPty();
  const bytes = Uint8Array.from({ length: 200_000 }, (_, n) => (n * 7) % 251);
  const seen = viewer(pty, bytes.length);
  await show(pty, bytes);
  expect(await seen).toBe(latin1Decode(bytes));
});

test('a viewer may leave and another come', async () => {
  const pty = newPty();
  await show(pty, latin1Encode('first'));
  expect(await viewer(pty, 5)).toBe('first');
  expect(pty.ended).toBe(false);
  await show(pty, latin1Encode('second'));
  expect(await viewer(pty, 6)).toBe('second');
  const arrived = typed(pty, 2);
  type(pty, 'ls');
  expect(await arrived).toBe('ls');
});

test('is not awake while nothing happens, even with input that nobody takes', async () => {
  const pty = newPty();
  let wakes = 0;
  pty.onReady(() => {
    wakes++;
  });
  type(pty, 'waiting');
  while (wakes === 0) await new Promise((resolve) => setImmediate(resolve));
  // A second pty's round trip is time enough for the first to be told again, if it ever were.
  const other = newPty();
  const arrived = typed(other, 1);
  type(other, 'x');
  await arrived;
  expect(wakes).toBe(1);
});

test('the viewers end with it, and no descriptor stays', async () => {
  const before = openTerminals();
  const pty = newPty();
  const child = spawn('cat', [pty.path], { stdio: ['ignore', 'pipe', 'ignore'] });
  await show(pty, latin1Encode('up'));
  await once(child.stdout, 'data');
  pty.close();
  pty.close();
  await once(child, 'exit');
  expect(pty.ended).toBe(true);
  expect(pty.read(new Uint8Array(1))).toBe(0);
  expect(pty.write(new Uint8Array(1))).toBe(0);
  expect(openTerminals()).toEqual(before);
});
