import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants as osConstants, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { NativeFileQueue } from '../../src/hypervisor/linux/native.ts';
import { runScript } from './run-script.ts';
import { native } from './shim.ts';

const SIZE = 1 << 16;
const { EBADF, EINPROGRESS } = osConstants.errno;

let directory: string;
let path: string;
let fd: number;
let queue: NativeFileQueue;
/** Results of those that were told of, by id, and how often the callback ran. */
let told: Map<number, number>;
let calls: number;
let onTold: () => void;

function makeQueue(of: number): NativeFileQueue {
  told = new Map();
  calls = 0;
  onTold = () => {};
  const made = new native.FileQueue(of, (count) => {
    calls++;
    for (let i = 0; i < count; i++) told.set(made.told[2 * i]!, made.told[2 * i + 1]!);
    onTold();
  });
  return made;
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-file-queue-'));
  path = join(directory, 'file');
  writeFileSync(
    path,
    Uint8Array.from({ length: SIZE }, (_, index) => index * 31),
  );
  fd = openSync(path, 'r+');
  queue = makeQueue(fd);
});

afterEach(() => {
  queue.close();
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

/** Resolves once `count` transfers were told of. */
const untilTold = (count: number) =>
  new Promise<void>((resolve) => {
    onTold = () => {
      if (told.size === count) resolve();
    };
    onTold();
  });

/** What comes of a transfer, whether at once or later. */
async function move(isWrite: boolean, position: number, buffers: Uint8Array[]): Promise<number> {
  const result = queue.begin(0, isWrite, position, buffers);
  if (result !== -EINPROGRESS) return result;
  await untilTold(1);
  const late = told.get(0)!;
  told.clear();
  return late;
}

const lengths = fc.array(fc.nat({ max: 5000 }), { maxLength: 8 });

test('what was written to any place in any pieces is there, and read in any others', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: SIZE / 2 }),
      lengths,
      lengths,
      async (position, first, other) => {
        const before = readFileSync(path);
        const sources = first.map((length) =>
          Uint8Array.from({ length }, (_, index) => position + length + index),
        );
        const expected = Buffer.from(before);
        Buffer.concat(sources).copy(expected, position);
        expect(await move(true, position, sources)).toBe(Buffer.concat(sources).length);
        expect(readFileSync(path).equals(expected.subarray(0, SIZE))).toBe(true);
        const targets = other.map((length) => new Uint8Array(length));
        const total = Buffer.concat(targets).length;
        expect(await move(false, position, targets)).toBe(total);
        expect(Buffer.concat(targets).equals(expected.subarray(position, position + total))).toBe(
          true,
        );
      },
    ),
    { numRuns: 50 },
  );
});

test('writes and reads of one turn, at places in any order, each move their own bytes', async () => {
  const block = 512;
  const places = fc.shuffledSubarray(Array.from({ length: SIZE / block }, (_, index) => index));
  await fc.assert(
    fc.asyncProperty(places, fc.array(fc.boolean()), async (blocks, writes) => {
      const expected = readFileSync(path);
      const memories = blocks.map((_, id) => new Uint8Array(block).fill(id + 1));
      told.clear();
      for (const [id, place] of blocks.entries()) {
        const isWrite = writes[id % 8] ?? true;
        if (isWrite) expected.set(memories[id]!, place * block);
        const result = queue.begin(id, isWrite, place * block, [memories[id]!]);
        if (result !== -EINPROGRESS) told.set(id, result);
      }
      await untilTold(blocks.length);
      expect([...told.values()].every((moved) => moved === block)).toBe(true);
      const after = readFileSync(path);
      expect(after.equals(expected)).toBe(true);
      for (const [id, place] of blocks.entries()) {
        expect(after.subarray(place * block, (place + 1) * block).equals(memories[id]!)).toBe(true);
      }
    }),
    { numRuns: 50 },
  );
});

test('a read beyond the end of the file moves what there is', async () => {
  expect(await move(false, SIZE - 100, [new Uint8Array(60), new Uint8Array(60)])).toBe(100);
  expect(await move(false, 2 * SIZE, [new Uint8Array(60)])).toBe(0);
});

test('what the kernel refuses is told with its errno', async () => {
  const readOnly = openSync(path, constants.O_RDONLY);
  queue.close();
  queue = makeQueue(readOnly);
  expect(await move(true, 0, [new Uint8Array(1)])).toBe(-EBADF);
  closeSync(readOnly);
});

test('more transfers than one call tells of are each told once', async () => {
  const count = 300;
  const targets = Array.from({ length: count }, () => new Uint8Array(1));
  for (let id = 0; id < count; id++) {
    const result = queue.begin(id, false, id, [targets[id]!]);
    if (result !== -EINPROGRESS) told.set(id, result);
  }
  await untilTold(count);
  expect([...told.values()].every((moved) => moved === 1)).toBe(true);
  expect(targets.map(([byte]) => byte)).toEqual([...readFileSync(path).subarray(0, count)]);
});

test('a queue that is closed with a transfer under way tells nothing of it', async () => {
  const source = new Uint8Array(1 << 20);
  for (let id = 0; id < 4; id++) queue.begin(id, true, SIZE + id * source.length, [source]);
  queue.close();
  queue.close();
  await vi.waitUntil(() => statSync(path).size === SIZE + 4 * source.length, { timeout: 30_000 });
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(calls).toBe(0);
  expect(() => queue.begin(0, false, 0, [])).toThrow('the queue is closed');
});

test('a wrong argument is refused by its name', () => {
  const begin = queue.begin.bind(queue) as (...args: unknown[]) => number;
  const one = [new Uint8Array(1)];
  expect(() => begin(-1, false, 0, one)).toThrow('id must be an integer');
  expect(() => begin(0, 1, 0, one)).toThrow('isWrite must be a boolean');
  for (const position of [-1, 0.5, 2 ** 53, Number.NaN]) {
    expect(() => begin(0, false, position, one)).toThrow('position must be an integer');
  }
  expect(() => begin(0, false, 0, one[0])).toThrow('buffers must be an array');
  for (const wrong of [new Uint16Array(1), 'text', undefined]) {
    expect(() => begin(0, false, 0, [wrong])).toThrow('a buffer must be a Uint8Array');
  }
  const Queue = native.FileQueue as unknown as new (...args: unknown[]) => NativeFileQueue;
  expect(() => new Queue(-1, () => {})).toThrow('fd must be an integer');
  expect(() => new Queue(fd)).toThrow('callback must be a function');
});

test('a process ends while transfers are under way and nobody knows of the queue', () => {
  const { said, status } = runScript(
    path,
    `
      const fd = fs.openSync(path, 'r+');
      for (let n = 0; n < 20; n++) {
        const queue = new native.FileQueue(fd, () => {});
        queue.begin(0, true, 0, [new Uint8Array(8192)]);
      }
      await collect(() => false);
      const last = new native.FileQueue(fd, () => {});
      last.begin(0, true, 0, [new Uint8Array(8192)]);
      say('here');
      process.exit(0);
    `,
  );
  expect({ said, status }).toEqual({ said: ['here'], status: 'ok' });
});
