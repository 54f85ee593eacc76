import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { DescriptorStream } from '../../src/node/descriptor-stream.ts';

const native = loadNative();
let directory: string;
let server: Server;
let peer: Socket;
let stream: DescriptorStream;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-descriptor-'));
  const path = join(directory, 'socket');
  server = createServer({ allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  const connected = once(server, 'connection');
  stream = new DescriptorStream(native, native.connectUnix(path));
  [peer] = await connected;
});

afterEach(() => {
  stream.close();
  peer.destroy();
  server.close();
  rmSync(directory, { recursive: true });
});

const pattern = (length: number) => Buffer.from(Array.from({ length }, (_, i) => i % 251));

/** Reads in pieces of `step` bytes until the stream has ended. */
function readToEnd(step: number): Promise<Buffer> {
  const got: Buffer[] = [];
  const target = new Uint8Array(step);
  return new Promise((resolve) => {
    stream.onReady(() => {
      for (let length = stream.read(target); length > 0; length = stream.read(target)) {
        got.push(Buffer.from(target.subarray(0, length)));
      }
      if (stream.ended) resolve(Buffer.concat(got));
    });
  });
}

/** Writes all of it in pieces of `step` bytes, as the kernel takes them. */
function writeAll(bytes: Uint8Array, step: number): Promise<void> {
  let sent = 0;
  return new Promise((resolve) => {
    stream.onReady(() => {
      for (let taken = 1; taken > 0 && sent < bytes.length; ) {
        taken = stream.write(bytes.subarray(sent, sent + step));
        sent += taken;
      }
      if (sent === bytes.length) resolve();
    });
  });
}

test.each([1000, 65_536])(
  'reads all that came, in pieces of %i bytes, and then ends',
  async (step) => {
    const sent = pattern(500_000);
    peer.end(sent);
    expect((await readToEnd(step)).equals(sent)).toBe(true);
  },
);

test.each([777, 1 << 20])(
  'writes more than the kernel takes at once, in pieces of %i bytes',
  async (step) => {
    const received = buffer(peer);
    const bytes = pattern(1_000_000);
    await writeAll(bytes, step);
    stream.close();
    expect((await received).equals(bytes)).toBe(true);
  },
);

test('takes a bounded amount while the peer does not read', () => {
  const bytes = new Uint8Array(65_536);
  let sent = 0;
  for (let taken = 1; taken > 0; sent += taken) taken = stream.write(bytes);
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThan(4 << 20);
  expect(stream.ended).toBe(false);
});

test('a handler that leaves bytes is not called again and again for them, and finds them later', async () => {
  let calls = 0;
  stream.onReady(() => calls++);
  peer.write('left');
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Once for what there may have been before, and at most once for these.
  expect(calls).toBeLessThanOrEqual(2);
  const target = new Uint8Array(10);
  expect(Buffer.from(target.subarray(0, stream.read(target))).toString()).toBe('left');
});

test('what the peer sent before it went is read after a write that it cannot get', async () => {
  peer.end('last words');
  await new Promise((resolve) => setTimeout(resolve, 20));
  peer.destroy();
  await once(peer, 'close');
  expect(stream.write(pattern(10))).toBe(0);
  expect(`${await readToEnd(4)}`).toBe('last words');
});

test('does nothing after it was closed, however often', () => {
  stream.close();
  stream.close();
  expect([stream.ended, stream.read(new Uint8Array(1)), stream.write(new Uint8Array(1))]).toEqual([
    true,
    0,
    0,
  ]);
});

test('nobody to connect to is an error with its code', () => {
  expect(() => native.connectUnix(join(directory, 'nobody'))).toThrow(
    expect.objectContaining({ code: 'ENOENT', syscall: 'connect' }),
  );
});

test('an answer that comes at once is read before the event loop turns, though not without end', async () => {
  const target = new Uint8Array(16);
  let answers = 0;
  const ask = () => {
    stream.write(Uint8Array.of(1));
    peer.write('answer');
  };
  stream.onReady(() => {
    if (stream.read(target) === 0) return;
    answers++;
    ask();
  });
  await turn();
  ask();
  await Promise.resolve();
  expect(answers).toBe(1);
  await turn();
  expect(answers).toBeGreaterThan(10);
  expect(answers).toBeLessThan(1000);
});
