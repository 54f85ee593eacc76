/** Ways to xenstored. A pty stands for /dev/xen/xenbus: a device that carries bytes both ways. */
import fs, { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { XsdSockmsg } from '../../src/abi/io/xs_wire.ts';
import type { Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { Pty } from '../../src/node/pty.ts';
import { connectXenstore, followXenstore } from '../../src/node/xenstore-access.ts';
import { listenXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import { HEADER_SIZE, PAYLOAD_MAX } from '../../src/xenstore/packet.ts';
import { startXenstored, type Xenstored } from '../../src/xenstored/server.ts';

let directory: string;
let xenstored: Xenstored;
let device: Pty;
const saved = process.env.XENSTORED_PATH;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-'));
  xenstored = startXenstored({ clock: nodeClock, log: silentLog });
  device = new Pty(loadNative());
  delete process.env.XENSTORED_PATH;
});

afterEach(() => {
  xenstored.close();
  device.close();
  rmSync(directory, { recursive: true });
  if (saved === undefined) delete process.env.XENSTORED_PATH;
  else process.env.XENSTORED_PATH = saved;
});

const native = loadNative;

test('a device carries requests, replies and events', async () => {
  xenstored.attachSocket(device, 'kernel');
  const client = await connectXenstore({ native, path: device.path });
  const fired = new Promise<string>((resolve) => {
    void client.watch('/tool', (path) => {
      if (path !== '/tool') resolve(path);
    });
  });
  await client.write('/tool/greeting', 'hello');
  expect(await client.read('/tool/greeting')).toBe('hello');
  expect(await fired).toBe('/tool/greeting');
  client.close();
});

/**
 * Makes the pty do as Linux's driver. Of each write one packet counts, and all of it is reported as taken.
 * The packet's header is queued; its payload goes from the one buffer that the next write fills again.
 */
function actAsLinuxDriver(path: string): () => void {
  const { writeSync } = fs;
  const buffer = new Uint8Array(HEADER_SIZE + PAYLOAD_MAX);
  fs.writeSync = ((fd: number, bytes: Uint8Array, ...rest: []) => {
    if (readlinkSync(`/proc/self/fd/${fd}`) !== path) return writeSync(fd, bytes, ...rest);
    const length = HEADER_SIZE + XsdSockmsg.view(bytes).len;
    const header = bytes.slice(0, HEADER_SIZE);
    buffer.set(bytes.subarray(0, length));
    setImmediate(() => {
      buffer.set(header);
      writeSync(fd, buffer, 0, length);
    });
    return bytes.length;
  }) as typeof writeSync;
  syncBuiltinESMExports();
  return () => {
    fs.writeSync = writeSync;
    syncBuiltinESMExports();
  };
}

test('requests made together reach xenstored whole through a driver that keeps one at a time', async () => {
  xenstored.attachSocket(device, 'kernel');
  const restore = actAsLinuxDriver(device.path);
  try {
    const client = await connectXenstore({ native, path: device.path });
    const names = ['a', 'b', 'c'];
    await Promise.all(names.map((name) => client.write(`/tool/names/${name}`, name)));
    expect(await client.list('/tool/names')).toEqual(names);
    client.close();
  } finally {
    restore();
  }
});

test('XENSTORED_PATH may name a socket or a device', async () => {
  const path = join(directory, 'socket');
  const listener = await listenXenstoreSocket(loadNative(), path, (stream) =>
    xenstored.attachSocket(stream, 'client'),
  );
  xenstored.attachSocket(device, 'kernel');
  for (const way of [path, device.path]) {
    process.env.XENSTORED_PATH = way;
    const client = await connectXenstore({ native });
    await client.write('/tool/way', way);
    expect(await client.read('/tool/way')).toBe(way);
    client.close();
  }
  listener.close();
});

test('a client that follows xenstored goes on at the socket where it began', async () => {
  const path = join(directory, 'socket');
  const listen = () =>
    listenXenstoreSocket(loadNative(), path, (stream) => xenstored.attachSocket(stream, 'client'));
  let listener = await listen();
  const client = await followXenstore({ native, path }, silentLog);
  await client.write('/tool/a', '1');
  xenstored.close();
  listener.close();
  xenstored = startXenstored({ clock: nodeClock, log: silentLog });
  listener = await listen();
  await client.write('/tool/a', '2');
  expect(await client.read('/tool/a')).toBe('2');
  client.close();
  listener.close();
});

test('a device behind which no xenstored answers is given up', async () => {
  // The time there is to answer is over at once.
  const clock: Clock = { ...nodeClock, after: (_, callback) => nodeClock.after(0, callback) };
  await expect(connectXenstore({ native, path: device.path, clock })).rejects.toThrow(
    `${device.path}: no xenstored has answered for 30 s (ETIMEDOUT)`,
  );
});

test('a way that is neither is refused with its name', async () => {
  const path = join(directory, 'nothing');
  await expect(connectXenstore({ native, path })).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(connectXenstore({ native, path })).rejects.toThrow(path);
});
