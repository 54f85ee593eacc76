/** Disks of an NBD server: qemu-nbd, and one that says whatever a test likes. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NbdDisk } from '../../src/node/nbd-disk.ts';
import { parseNbdUri } from '../../src/node/nbd-wire.ts';
import { expectSame, pattern } from '../block/content.ts';

let directory = '';
let socketPath = '';
let uri = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-nbd-'));
  socketPath = join(directory, 'socket');
  uri = `nbd+unix:///?socket=${socketPath}`;
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('a URI', () => {
  test('names a server and an export', () => {
    expect(parseNbdUri('nbd://host/disk')).toEqual({
      host: 'host',
      port: 10_809,
      exportName: 'disk',
    });
    expect(parseNbdUri('nbd://host:99')).toEqual({ host: 'host', port: 99, exportName: '' });
    expect(parseNbdUri('nbd+unix:///a%20b?socket=/run/s')).toEqual({
      socketPath: '/run/s',
      exportName: 'a b',
    });
  });

  test.each(['nbd:', 'nbd+unix:///x', 'http://host/', '/path', ''])('%s is refused', (text) => {
    expect(() => parseNbdUri(text)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });
});

describe('qemu-nbd', () => {
  let server: ChildProcess | undefined;

  async function serve(image: string, ...options: string[]): Promise<void> {
    const args = ['--socket', socketPath, '--persistent', ...options, image];
    server = spawn('qemu-nbd', args, { stdio: 'ignore' });
    while (!isListening()) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** The socket's file is there a little before anybody listens; its flags tell (`__SO_ACCEPTCON`). */
  const isListening = () =>
    readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .some((line) => line.endsWith(` ${socketPath}`) && line.split(' ')[3] === '00010000');

  afterEach(async () => {
    const running = server;
    server = undefined;
    if (running === undefined || running.signalCode !== null) return;
    running.kill();
    await once(running, 'exit');
  });

  function qcow2(name: string, ...options: string[]): string {
    const path = join(directory, name);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...options, path, '8M']);
    return path;
  }

  test('a qcow2 file is read, written, flushed and discarded', async () => {
    await serve(qcow2('disk'), '-f', 'qcow2', '--discard=unmap');
    const disk = await NbdDisk.open({ uri, readOnly: false });
    expect(disk.info).toMatchObject({
      size: 8 << 20,
      sectorSize: 512,
      readOnly: false,
      discard: true,
    });
    const data = pattern(1_000_448, 1);
    await Promise.all([
      disk.write(4096, [data.subarray(0, 1000), data.subarray(1000)]),
      disk.write(4 << 20, [data]),
    ]);
    await disk.flush();
    const found = [new Uint8Array(300_000), new Uint8Array(700_448)];
    await disk.read(4096, found);
    expectSame(Buffer.concat(found), data);
    await disk.discard(4 << 20, 1 << 20);
    await disk.read(4 << 20, found);
    expect(Buffer.concat(found).every((byte) => byte === 0)).toBe(true);
    await disk.close();
    await expect(disk.read(0, found)).rejects.toMatchObject({ code: 'EIO' });
  });

  test('a guest writes to its overlay and the base stays as it was', async () => {
    const base = qcow2('base');
    execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 0 64k', base]);
    const before = readFileSync(base);
    const overlay = join(directory, 'overlay');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', overlay]);
    await serve(overlay, '-f', 'qcow2');
    const disk = await NbdDisk.open({ uri, readOnly: false });
    const target = new Uint8Array(1024);
    await disk.write(512, [new Uint8Array(512).fill(9)]);
    await disk.read(0, [target]);
    expect([target[511], target[512]]).toEqual([7, 9]);
    await disk.close();
    expectSame(readFileSync(base), before);
  });

  test('an export that is not there, and one that is read-only, are refused', async () => {
    await serve(qcow2('disk'), '-f', 'qcow2', '--read-only', '--export-name=real');
    const wrong = `nbd+unix:///wrong?socket=${socketPath}`;
    await expect(NbdDisk.open({ uri: wrong, readOnly: true })).rejects.toMatchObject({
      code: 'ENOENT',
    });
    const right = `nbd+unix:///real?socket=${socketPath}`;
    await expect(NbdDisk.open({ uri: right, readOnly: false })).rejects.toMatchObject({
      code: 'EROFS',
    });
    const disk = await NbdDisk.open({ uri: right, readOnly: true });
    await disk.read(0, [new Uint8Array(512)]);
    await disk.close();
  });

  test('a server that dies fails what is under way and all that follows', async () => {
    await serve(qcow2('disk'), '-f', 'qcow2');
    const disk = await NbdDisk.open({ uri, readOnly: false });
    server?.kill('SIGKILL');
    await once(server as ChildProcess, 'exit');
    await expect(disk.read(0, [new Uint8Array(512)])).rejects.toMatchObject({ code: 'EIO' });
    await expect(disk.flush()).rejects.toMatchObject({ code: 'EIO' });
    await disk.close();
  });
});

test('a server that is not there is refused with ENOENT', async () => {
  await expect(NbdDisk.open({ uri, readOnly: true })).rejects.toMatchObject({ code: 'ENOENT' });
});

describe('a server that says', () => {
  let server: Server | undefined;
  const clients: Socket[] = [];

  async function says(...words: (string | Buffer)[]): Promise<void> {
    server = createServer((client) => {
      clients.push(client);
      client.on('error', () => {});
      for (const word of words) client.write(word);
    }).listen(socketPath);
    await once(server, 'listening');
  }

  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    server?.close();
  });

  const greeting = Buffer.from('NBDMAGICIHAVEOPT\0\x03', 'latin1');
  const optionReply = (type: number, data: Buffer) => {
    const header = Buffer.alloc(20);
    header.writeBigUInt64BE(0x0003e889045565a9n, 0);
    header.writeUInt32BE(7, 8);
    header.writeUInt32BE(type, 12);
    header.writeUInt32BE(data.length, 16);
    return Buffer.concat([header, data]);
  };
  const exportInfo = Buffer.alloc(12);
  exportInfo.writeBigUInt64BE(1n << 20n, 2);
  const ready = [optionReply(3, exportInfo), optionReply(1, Buffer.alloc(0))];
  const huge = optionReply(3, Buffer.alloc(0));
  huge.writeUInt32BE(0x7fffffff, 16);

  test.each([
    ['something else', [Buffer.alloc(64)], 'a greeting begins with its magic number'],
    ['that it is an old server', [Buffer.from('NBDMAGICIHAVEOPT\0\0', 'latin1')], 'fixed newstyle'],
    ['a reply of two gigabytes', [greeting, huge], 'at most 4096 bytes'],
    [
      'the same without end',
      [greeting, ...Array(70).fill(optionReply(3, exportInfo))],
      '64 replies',
    ],
  ] as [string, Buffer[], string][])('%s is refused with the rule', async (_, words, rule) => {
    await says(...words);
    await expect(NbdDisk.open({ uri, readOnly: true })).rejects.toMatchObject({
      code: 'EPROTO',
      message: expect.stringContaining(rule),
    });
  });

  test('an answer to nothing fails the disk', async () => {
    const reply = Buffer.alloc(16);
    reply.writeUInt32BE(0x67446698, 0);
    reply.writeUInt32BE(77, 12);
    await says(greeting, ...ready, reply);
    const disk = await NbdDisk.open({ uri, readOnly: true });
    await expect(disk.read(0, [new Uint8Array(512)])).rejects.toMatchObject({ code: 'EIO' });
    await disk.close();
  });
});
