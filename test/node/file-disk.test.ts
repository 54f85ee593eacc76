import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileDisk } from '../../src/node/file-disk.ts';

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

test('a file is a disk of its size in sectors of 512 bytes', async () => {
  const disk = await FileDisk.open({ path: file(8192), readOnly: false });
  expect(disk.info).toEqual({
    size: 8192,
    sectorSize: 512,
    physicalSectorSize: 512,
    readOnly: false,
    discard: false,
  });
  await disk.close();
});

test('read and write move all buffers in order', async () => {
  const path = file(8192);
  const disk = await FileDisk.open({ path, readOnly: false });
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
  const disk = await FileDisk.open({ path, readOnly: true });
  const targets = Array.from({ length: 3000 }, () => new Uint8Array(512));
  await disk.read(0, targets);
  await disk.close();
  expect(Buffer.concat(targets).equals(readFileSync(path))).toBe(true);
});

test('a missing file is refused with ENOENT', async () => {
  await expect(
    FileDisk.open({ path: join(directory, 'none'), readOnly: true }),
  ).rejects.toMatchObject({ code: 'ENOENT', message: expect.stringContaining('none') });
});

test.each([0, 1, 511, 513])('a file of %i bytes is refused with the rule', async (size) => {
  await expect(FileDisk.open({ path: file(size), readOnly: true })).rejects.toMatchObject({
    code: 'EINVAL',
    message: expect.stringContaining(`whole sectors of 512 bytes; this one has ${size} bytes`),
  });
});

test('a directory and a character device are refused as no disk', async () => {
  const path = join(directory, 'sub');
  mkdirSync(path);
  for (const wrong of [path, '/dev/null']) {
    await expect(FileDisk.open({ path: wrong, readOnly: true })).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringContaining('a regular file or a block device'),
    });
  }
});

test('a read-only disk refuses to be written', async () => {
  const path = file(1024);
  const disk = await FileDisk.open({ path, readOnly: true });
  expect(disk.info.readOnly).toBe(true);
  await expect(disk.write(0, [new Uint8Array(512)])).rejects.toMatchObject({ code: 'EROFS' });
  await disk.close();
});

test.runIf(process.getuid?.() !== 0)('a file without permission is refused', async () => {
  const path = file(1024);
  chmodSync(path, 0o444);
  await expect(FileDisk.open({ path, readOnly: false })).rejects.toMatchObject({ code: 'EACCES' });
});

test('a file that was cut short answers EIO, and the disk goes on', async () => {
  const path = file(4096);
  const disk = await FileDisk.open({ path, readOnly: true });
  truncateSync(path, 1024);
  await expect(disk.read(512, [new Uint8Array(1024)])).rejects.toMatchObject({
    code: 'EIO',
    message: expect.stringContaining('ends at byte 1024'),
  });
  await disk.read(0, [new Uint8Array(1024)]);
  await disk.close();
});

test('close waits for what is under way and can be called again', async () => {
  const disk = await FileDisk.open({ path: file(1 << 20), readOnly: true });
  const target = new Uint8Array(1 << 20);
  const reading = disk.read(0, [target]);
  await Promise.all([disk.close(), disk.close()]);
  await reading;
  expect(target[1]).toBe(31);
});
