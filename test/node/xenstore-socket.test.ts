import {
  chmodSync,
  existsSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { XS_READ } from '../../src/abi/io/xs_wire.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { socketStream } from '../../src/node/socket-stream.ts';
import {
  connectXenstoreSocket,
  listenXenstoreSocket,
  xenstoreSocketPath,
} from '../../src/node/xenstore-socket.ts';
import { encodePacket } from '../../src/xenstore/packet.ts';
import { PacketStream } from '../../src/xenstore/packet-stream.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-'));
  path = join(directory, 'socket');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Answers every request with its own payload. */
function echo(stream: ByteStream): void {
  const packets = new PacketStream(stream);
  packets.onReady(() => {
    for (let packet = packets.receive(); packet; packet = packets.receive()) packets.send(packet);
    packets.flush();
    if (packets.ended) packets.close();
  });
}

/** A socket file that a dead daemon has left: bound, then renamed so that closing removes nothing. */
async function leaveStaleSocket(): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.old`, resolve));
  renameSync(`${path}.old`, path);
  await new Promise((resolve) => server.close(resolve));
}

describe('the socket of xenstored', () => {
  test('carries requests and replies', async () => {
    const listener = await listenXenstoreSocket(loadNative(), path, echo);
    const client = await connectXenstoreSocket(path);
    expect(await client.read('/a')).toBe('/a\0');
    const many = await Promise.all(Array.from({ length: 2000 }, (_, i) => client.read(`/${i}`)));
    expect(many.at(-1)).toBe('/1999\0');
    client.close();
    listener.close();
  });

  test('gives a client that reads late all that it was sent, in order', async () => {
    const listener = await listenXenstoreSocket(loadNative(), path, echo);
    const client = createConnection(path);
    const sent = Array.from({ length: 300 }, (_, requestId) =>
      encodePacket({ type: XS_READ, requestId, transactionId: 0, payload: new Uint8Array(4000) }),
    );
    client.pause();
    for (const packet of sent) client.write(packet);
    const received: Buffer[] = [];
    let bytes = 0;
    const all = Buffer.concat(sent);
    await new Promise<void>((resolve) => {
      client.on('data', (chunk: Buffer) => {
        received.push(chunk);
        bytes += chunk.length;
        if (bytes === all.length) resolve();
      });
      // Time for the daemon to find that the kernel takes no more.
      setTimeout(() => client.resume(), 20);
    });
    expect(Buffer.concat(received).equals(all)).toBe(true);
    client.destroy();
    listener.close();
  });

  test('is for its owner only, and does not change the umask', async () => {
    const umask = process.umask();
    const listener = await listenXenstoreSocket(loadNative(), path, echo);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(umask);
    listener.close();
  });

  test('is removed when the listener closes, and closing twice is harmless', async () => {
    const listener = await listenXenstoreSocket(loadNative(), path, echo);
    listener.close();
    listener.close();
    expect(existsSync(path)).toBe(false);
  });

  test('of a dead daemon is replaced', async () => {
    await leaveStaleSocket();
    await expect(connectXenstoreSocket(path)).rejects.toMatchObject({ code: 'ENOTCONN' });
    const listener = await listenXenstoreSocket(loadNative(), path, echo);
    (await connectXenstoreSocket(path)).close();
    listener.close();
  });

  test('of a live daemon is refused with the name of the process', async () => {
    const listener = await listenXenstoreSocket(loadNative(), path, echo);
    await expect(listenXenstoreSocket(loadNative(), path, echo)).rejects.toThrow(
      new RegExp(`process ${process.pid} \\(.+\\) listens there already \\(EBUSY\\)`),
    );
    (await connectXenstoreSocket(path)).close();
    listener.close();
  });

  test('does not replace a file that is no socket', async () => {
    writeFileSync(path, 'precious');
    await expect(listenXenstoreSocket(loadNative(), path, echo)).rejects.toMatchObject({
      code: 'EEXIST',
    });
    expect(statSync(path).size).toBe(8);
  });

  test('with a short queue, like C has it, lets all clients in who come at once', async () => {
    const server = createServer((socket) => echo(socketStream(socket)));
    await new Promise<void>((resolve) => server.listen({ path, backlog: 1 }, resolve));
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => connectXenstoreSocket(path)),
    );
    for (const client of clients) {
      expect(await client.read('/a')).toBe('/a\0');
      client.close();
    }
    server.close();
  });

  test('that is not there is named', async () => {
    await expect(connectXenstoreSocket(path)).rejects.toThrow(path);
    await expect(connectXenstoreSocket(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('in a directory that is not there, or under a path too long, cannot be offered', async () => {
    await expect(
      listenXenstoreSocket(loadNative(), join(directory, 'no', 's'), echo),
    ).rejects.toMatchObject({
      code: 'ENOENT',
    });
    await expect(listenXenstoreSocket(loadNative(), `/${'x'.repeat(107)}`, echo)).rejects.toThrow(
      '107 bytes',
    );
    await expect(connectXenstoreSocket(`/${'x'.repeat(107)}`)).rejects.toThrow('107 bytes');
  });

  test.skipIf(process.getuid?.() === 0)('that belongs to somebody else is refused', async () => {
    const listener = await listenXenstoreSocket(loadNative(), path, echo);
    chmodSync(path, 0);
    await expect(connectXenstoreSocket(path)).rejects.toMatchObject({ code: 'EACCES' });
    listener.close();
  });

  test('is where libxenstore looks for it', () => {
    const { XENSTORED_PATH, XENSTORED_RUNDIR } = process.env;
    try {
      delete process.env.XENSTORED_PATH;
      delete process.env.XENSTORED_RUNDIR;
      expect(xenstoreSocketPath()).toBe('/run/xenstored/socket');
      process.env.XENSTORED_RUNDIR = '/x';
      expect(xenstoreSocketPath()).toBe('/x/socket');
      process.env.XENSTORED_PATH = '/y';
      expect(xenstoreSocketPath()).toBe('/y');
    } finally {
      for (const [name, value] of Object.entries({ XENSTORED_PATH, XENSTORED_RUNDIR })) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });
});
