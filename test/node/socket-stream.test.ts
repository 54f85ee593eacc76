import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { socketStream } from '../../src/node/socket-stream.ts';

let directory: string;
let left: Socket;
let right: Socket;
let stop: () => void;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-'));
  const path = join(directory, 'socket');
  const accepted = new Promise<Socket>((resolve) => {
    const server = createServer(resolve).listen(path);
    stop = () => server.close();
    server.once('listening', () => {
      left = createConnection(path);
    });
  });
  right = await accepted;
});

afterEach(() => {
  left.destroy();
  right.destroy();
  stop();
  rmSync(directory, { recursive: true });
});

/** Resolves when `done` holds, asked each time the stream is ready. */
function until(stream: ByteStream, done: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    stream.onReady(() => {
      if (done()) resolve();
    });
  });
}

function readAll(stream: ByteStream, into: number[], step = 1000): void {
  const target = new Uint8Array(step);
  for (let length = stream.read(target); length > 0; length = stream.read(target)) {
    into.push(...target.subarray(0, length));
  }
}

describe('socket stream', () => {
  test('takes all that the kernel takes at once, whatever the size of its own buffer', () => {
    const stream = socketStream(right);
    expect(stream.write(new Uint8Array(right.writableHighWaterMark * 2 + 1))).toBe(
      right.writableHighWaterMark * 2 + 1,
    );
  });

  test('reads in pieces of any size what the peer wrote', async () => {
    const stream = socketStream(right);
    const sent = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
    left.write(sent);
    const got: number[] = [];
    await until(stream, () => {
      readAll(stream, got, 777);
      return got.length === sent.length;
    });
    expect(Buffer.from(got).equals(Buffer.from(sent))).toBe(true);
    stream.close();
  });

  test('what came before there was a handler is told', async () => {
    const stream = socketStream(right);
    left.write('early');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const got: number[] = [];
    await until(stream, () => {
      readAll(stream, got);
      return got.length === 5;
    });
    stream.close();
  });

  test('takes a bounded amount while the peer does not read, and the rest later, unharmed', async () => {
    const stream = socketStream(right);
    const source = new Uint8Array(10_000);
    let sent = 0;
    const fill = () => {
      for (;;) {
        source.forEach((_, i) => {
          source[i] = (sent + i) % 253;
        });
        const taken = stream.write(source);
        sent += taken;
        if (taken === 0) return;
      }
    };
    left.pause();
    fill();
    // The kernel's buffer and the socket's own, and no more than that.
    expect(sent).toBeLessThan(1 << 20);
    expect(stream.write(source)).toBe(0);
    const before = sent;
    stream.onReady(() => {
      if (sent < 2_000_000) fill();
    });
    let received = 0;
    let wrong = 0;
    await new Promise<void>((resolve) => {
      left.on('data', (chunk) => {
        for (const byte of chunk as Buffer) if (byte !== received++ % 253) wrong++;
        if (received >= 2_000_000 && received === sent) resolve();
      });
      left.resume();
    });
    expect(sent).toBeGreaterThan(before);
    expect(wrong).toBe(0);
    stream.close();
  });

  test('has not ended before the last byte was read', async () => {
    const stream = socketStream(right);
    left.end('last words');
    const seen: [number, boolean][] = [];
    const target = new Uint8Array(4);
    await until(stream, () => {
      for (let length = stream.read(target); length > 0; length = stream.read(target)) {
        seen.push([length, stream.ended]);
      }
      return stream.ended;
    });
    expect(seen).toEqual([
      [4, false],
      [4, false],
      [2, false],
    ]);
    expect(stream.write(target)).toBe(0);
    stream.close();
  });

  test('close delivers what was written', async () => {
    const stream = socketStream(right);
    stream.write(Buffer.from('goodbye'));
    stream.close();
    stream.close();
    expect(stream.ended).toBe(true);
    expect(stream.read(new Uint8Array(1))).toBe(0);
    const chunks: Buffer[] = [];
    for await (const chunk of left) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('goodbye');
  });

  test('a peer that resets the connection ends it', async () => {
    const stream = socketStream(right);
    left.write('unread by us');
    const ended = until(stream, () => {
      readAll(stream, []);
      return stream.ended;
    });
    left.destroy();
    await ended;
    stream.close();
  });
});
