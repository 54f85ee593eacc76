import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileDisk } from '../../src/node/file-disk.ts';
import { native } from '../native/shim.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-file-disk-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function file(size: number): string {
  const path = join(directory, 'disk.img');
  writeFileSync(
    path,
    Uint8Array.from({ length: size }, (_, index) => index * 31),
  );
  return path;
}

function openDisk(options: { path: string; readOnly: boolean; user?: string; shared?: boolean }) {
  return FileDisk.open(native, { user: 'a test', ...options });
}

test('a file is a disk of its size in sectors of 512 bytes', async () => {
  const disk = await openDisk({ path: file(8192), readOnly: false });
  expect(disk.info).toEqual({
    size: 8192,
    sectorSize: 512,
    physicalSectorSize: 512,
    readOnly: false,
    discard: true,
  });
  await disk.close();
});

test('read and write move all buffers in order', async () => {
  const path = file(8192);
  const disk = await openDisk({ path, readOnly: false });
  const targets = [new Uint8Array(512), new Uint8Array(1024)];
  await disk.read(512, targets);
  const before = readFileSync(path);
  expect(Buffer.concat(targets)).toEqual(before.subarray(512, 2048));
  await disk.write(4096, [targets[1]!, targets[0]!]);
  await disk.flush();
  await disk.close();
  const after = readFileSync(path);
  expect(after.subarray(4096, 5632)).toEqual(Buffer.concat([targets[1]!, targets[0]!]));
  expect(after.subarray(0, 4096)).toEqual(before.subarray(0, 4096));
});

test('a transfer of more buffers than the kernel takes at once is whole', async () => {
  const path = file(3000 * 512);
  const disk = await openDisk({ path, readOnly: true });
  const targets = Array.from({ length: 3000 }, () => new Uint8Array(512));
  await disk.read(0, targets);
  await disk.close();
  expect(Buffer.concat(targets).equals(readFileSync(path))).toBe(true);
});

test('transfers that are asked for together are each done, neighbours and others', async () => {
  const SIZE = 1 << 16;
  const transfer = fc.record({
    isWrite: fc.boolean(),
    /** Where it begins: after the one before, or somewhere. */
    position: fc.option(fc.nat(SIZE / 512 - 1), { freq: 2 }),
    sectors: fc.integer({ min: 1, max: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(transfer, { maxLength: 30 }), async (transfers) => {
      const path = file(SIZE);
      const expected = readFileSync(path);
      const disk = await openDisk({ path, readOnly: false });
      const taken = new Set<number>();
      const read: { at: number; target: Uint8Array }[] = [];
      const underWay: Promise<void>[] = [];
      let next = 0;
      for (const [number, { isWrite, position, sectors }] of transfers.entries()) {
        const first = position ?? next;
        next = first + sectors;
        const range = Array.from({ length: sectors }, (_, index) => first + index);
        // What overlaps may happen in any order.
        if (next > SIZE / 512 || range.some((sector) => taken.has(sector))) continue;
        for (const sector of range) taken.add(sector);
        const bytes = new Uint8Array(512 * sectors).fill(isWrite ? number + 1 : 0);
        if (isWrite) expected.set(bytes, 512 * first);
        else read.push({ at: 512 * first, target: bytes });
        const halves = [bytes.subarray(0, 256), bytes.subarray(256)];
        underWay.push(isWrite ? disk.write(512 * first, halves) : disk.read(512 * first, halves));
      }
      await Promise.all(underWay);
      for (const { at, target } of read) {
        expect(Buffer.compare(target, expected.subarray(at, at + target.length))).toBe(0);
      }
      await disk.close();
      expect(Buffer.compare(readFileSync(path), expected)).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('of neighbours that are written together those fail that the storage refuses', async () => {
  const path = file(16 * 1024);
  const disk = await openDisk({ path, readOnly: false });
  const limit = (bytes: string) =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]);
  limit(String(6 * 1024));
  try {
    const results = await Promise.allSettled(
      [0, 1, 2, 3].map((index) => disk.write(4096 * index, [new Uint8Array(4096).fill(255)])),
    );
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
    ]);
    expect(results[3]).toMatchObject({ reason: { code: 'EIO' } });
  } finally {
    limit('unlimited');
  }
  await disk.write(12 * 1024, [new Uint8Array(4096).fill(254)]);
  await disk.close();
  expect([...new Set(readFileSync(path).subarray(12 * 1024))]).toEqual([254]);
});

test('a missing file is refused with ENOENT', async () => {
  await expect(openDisk({ path: join(directory, 'none'), readOnly: true })).rejects.toMatchObject({
    code: 'ENOENT',
    message: expect.stringContaining('none'),
  });
});

test.each([0, 1, 511, 513])('a file of %i bytes is refused with the rule', async (size) => {
  await expect(openDisk({ path: file(size), readOnly: true })).rejects.toMatchObject({
    code: 'EINVAL',
    message: expect.stringContaining(`whole sectors of 512 bytes; this one has ${size} bytes`),
  });
});

test('a directory and a character device are refused as no disk', async () => {
  const path = join(directory, 'sub');
  mkdirSync(path);
  for (const wrong of [path, '/dev/null']) {
    await expect(openDisk({ path: wrong, readOnly: true })).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringContaining('a regular file or a block device'),
    });
  }
});

test('a read-only disk refuses to be written', async () => {
  const path = file(1024);
  const disk = await openDisk({ path, readOnly: true });
  expect(disk.info.readOnly).toBe(true);
  await expect(disk.write(0, [new Uint8Array(512)])).rejects.toMatchObject({ code: 'EROFS' });
  await disk.close();
});

test.runIf(process.getuid?.() !== 0)('a file without permission is refused', async () => {
  const path = file(1024);
  chmodSync(path, 0o444);
  await expect(openDisk({ path, readOnly: false })).rejects.toMatchObject({ code: 'EACCES' });
});

test('a file that was cut short answers EIO, and the disk goes on', async () => {
  const path = file(4096);
  const disk = await openDisk({ path, readOnly: true });
  truncateSync(path, 1024);
  await expect(disk.read(512, [new Uint8Array(1024)])).rejects.toMatchObject({
    code: 'EIO',
    message: expect.stringContaining('ends at byte 1024'),
  });
  await disk.read(0, [new Uint8Array(1024)]);
  await disk.close();
});

test('close waits for what is under way and can be called again', async () => {
  const disk = await openDisk({ path: file(1 << 20), readOnly: true });
  const target = new Uint8Array(1 << 20);
  const reading = disk.read(0, [target]);
  await Promise.all([disk.close(), disk.close()]);
  await reading;
  expect(target[1]).toBe(31);
});

test('what is discarded reads as zeros and takes no storage, and the size stays', async () => {
  const path = file(1 << 20);
  const disk = await openDisk({ path, readOnly: false });
  const before = statSync(path);
  await disk.discard(65_536, 524_288);
  const after = statSync(path);
  expect(after.size).toBe(before.size);
  expect(after.blocks).toBeLessThanOrEqual(before.blocks - 1024);
  const target = new Uint8Array(524_288 + 2);
  await disk.read(65_535, [target]);
  expect(target[0]).toBe((65_535 * 31) & 0xff);
  expect(target.subarray(1, -1).every((byte) => byte === 0)).toBe(true);
  expect(target.at(-1)).toBe(((65_536 + 524_288) * 31) & 0xff);
  await disk.close();
});

test('a read-only disk refuses a discard', async () => {
  const disk = await openDisk({ path: file(8192), readOnly: true });
  await expect(disk.discard(0, 512)).rejects.toMatchObject({ code: 'EROFS' });
  await disk.close();
});

test('a file that grew or shrank has its new size after a refresh, in whole sectors', async () => {
  const path = file(4096);
  const disk = await openDisk({ path, readOnly: false });
  for (const [size, seen] of [
    [8192, 8192],
    [2048, 2048],
    [3000, 2560],
    [100, 2560],
  ] as const) {
    truncateSync(path, size);
    await disk.refresh();
    expect(disk.info.size).toBe(seen);
  }
  await disk.close();
});

test('a second writer is refused with the name of the first, and a reader too', async () => {
  const path = file(4096);
  const first = await openDisk({ path, readOnly: false, user: 'domain 3, device 51712' });
  for (const readOnly of [false, true]) {
    await expect(openDisk({ path, readOnly })).rejects.toMatchObject({
      code: 'EBUSY',
      message: expect.stringContaining('in use by domain 3, device 51712'),
    });
  }
  const both = await openDisk({ path, readOnly: false, shared: true });
  await both.close();
  await first.close();
  const readers = [
    await openDisk({ path, readOnly: true, user: 'a' }),
    await openDisk({ path, readOnly: true, user: 'b' }),
  ];
  await expect(openDisk({ path, readOnly: false })).rejects.toMatchObject({
    message: expect.stringContaining('in use by a, b'),
  });
  for (const reader of readers) await reader.close();
  await (await openDisk({ path, readOnly: false })).close();
});

test('a lock of another process is refused with its number and name', async () => {
  const path = file(4096);
  const holder = spawn('flock', ['-x', path, 'sh', '-c', 'echo locked; read end'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  await expect(openDisk({ path, readOnly: false })).rejects.toMatchObject({
    code: 'EBUSY',
    message: expect.stringMatching(/in use by process \d+ \((flock|sh)\)/),
  });
  holder.stdin.end();
  await once(holder, 'exit');
  await (await openDisk({ path, readOnly: false })).close();
});
