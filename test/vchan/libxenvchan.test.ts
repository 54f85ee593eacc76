/**
 * Our ends against libxenvchan's own, in vchan-socket-proxy and in c-end.c. Without Xen they share
 * memory in a file; in a dom0 they use what Xen gives, and test/xen/vchan.test.ts runs this there.
 */
import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DOM0 } from '../../src/base/ids.ts';
import { vchanDuplex } from '../../src/node/vchan-duplex.ts';
import { VchanConnector } from '../../src/vchan/client.ts';
import { vchanPath } from '../../src/vchan/keys.ts';
import { VchanServer } from '../../src/vchan/server.ts';
import { compile } from '../xenstored/c-daemon/stand-in.ts';
import { RING_ORDERS } from './ring-orders.ts';
import {
  type ComparisonHost,
  type LocalEnd,
  LocalHost,
  missingForProxy,
  PROXY,
} from './shared-memory/local-host.ts';
import { isDomain, XenHost } from './xen-host.ts';

const missing = missingForProxy();
const title = missing === undefined ? 'vchan-socket-proxy' : `skipped: ${missing}`;
const MIB = 1 << 20;
/** The emulated machine of the lab takes a minute for what any other does in a second. */
const MUCH = isDomain() ? 2 * MIB : 64 * MIB;

let host: ComparisonHost;
let end: LocalEnd;
let path: string;
let tests = 0;

beforeEach(async () => {
  host = isDomain() ? XenHost.start() : await LocalHost.start();
  end = await host.end();
  path = vchanPath(DOM0, DOM0, `comparison-${tests++}`);
});
afterEach(() => host.close());

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The digest of the next `length` bytes. */
async function digestOf(stream: Readable, length: number): Promise<string> {
  const hash = createHash('sha256');
  let left = length;
  const chunks = stream.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
  for await (const chunk of chunks) {
    hash.update(chunk);
    left -= chunk.length;
    if (left <= 0) break;
  }
  expect(left).toBe(0);
  return hash.digest('hex');
}

/** A client of ours to the server that offers at `path`. */
async function connect(): Promise<Duplex> {
  const connector = await VchanConnector.open(end, DOM0, path);
  const vchan = await connector.connect();
  await connector.close();
  return vchanDuplex(vchan);
}

/** Our server and its first client. */
async function accept(receive_min: number, send_min: number) {
  let accepted = (_: Duplex) => {};
  const client = new Promise<Duplex>((resolve) => {
    accepted = resolve;
  });
  const options = { client: DOM0, path, receive_min, send_min };
  const server = await VchanServer.listen(end, options, (vchan) => accepted(vchanDuplex(vchan)));
  return { server, client };
}

/** The path of c-end.c, compiled. */
function cEnd(): string {
  const program = join(host.directory, 'c-end');
  if (!existsSync(program)) {
    compile(join(import.meta.dirname, 'c-end.c'), program, '-O2', '-lxenvchan');
  }
  return program;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) await once(child, 'exit');
  expect(child.exitCode).toBe(0);
}

describe.skipIf(missing !== undefined)(title, () => {
  test.each([1, 1000, 8192, 100_000, MUCH])('serves our client: %i bytes', async (length) => {
    const proxy = host.spawnC(PROXY, '--mode=server', '0', path, '-');
    const client = await connect();
    const bytes = randomBytes(length);
    client.write(bytes);
    expect(await digestOf(proxy.stdout!, length)).toBe(sha256(bytes));
    proxy.stdin!.write(bytes);
    expect(await digestOf(client, length)).toBe(sha256(bytes));
    client.destroy();
  });

  test.each([
    [0, 0],
    [2048, 1024],
    [2048, 4096],
    [8192, 2048],
    [65_536, 65_536],
    [MIB, MIB],
  ])('is the client of our server with rings of %i and %i bytes', async (receive, send) => {
    const { server, client } = await accept(receive, send);
    const proxy = host.spawnC(PROXY, '--mode=client', '0', path, '-');
    const ours = await client;
    for (const length of [1, 1000, MUCH >> 3]) {
      const bytes = randomBytes(length);
      ours.write(bytes);
      expect(await digestOf(proxy.stdout!, length)).toBe(sha256(bytes));
      proxy.stdin!.write(bytes);
      expect(await digestOf(ours, length)).toBe(sha256(bytes));
    }
    ours.destroy();
    await server.close();
  });

  const sizes = RING_ORDERS.map((order) => 1 << order);
  test.each(sizes)('gives its server of libxenvchan rings of %i bytes', async (size) => {
    const bytes = randomBytes(2 * size + 1);
    for (const [read_min, write_min] of [
      [size, 0],
      [0, size],
      [size, size],
    ] as const) {
      const sizes = [`${read_min}`, `${write_min}`];
      const receiver = host.spawnC(cEnd(), 'server', '0', path, 'receive', ...sizes);
      const sending = await connect();
      sending.resume();
      sending.end(bytes);
      expect(await digestOf(receiver.stdout!, bytes.length)).toBe(sha256(bytes));
      await ended(receiver);

      const sender = host.spawnC(cEnd(), 'server', '0', path, 'send', ...sizes);
      const receiving = await connect();
      sender.stdin!.end(bytes);
      expect(sha256(await buffer(receiving))).toBe(sha256(bytes));
      await ended(sender);
    }
  });

  test.each(sizes)('finds its way into rings of ours of %i bytes', async (size) => {
    const bytes = randomBytes(2 * size + 1);
    const { server, client } = await accept(size, size);
    const sender = host.spawnC(cEnd(), 'client', '0', path, 'send');
    sender.stdin!.end(bytes);
    expect(sha256(await buffer(await client))).toBe(sha256(bytes));
    await ended(sender);
    await server.close();

    const next = await accept(size, size);
    const receiver = host.spawnC(cEnd(), 'client', '0', path, 'receive');
    (await next.client).resume().end(bytes);
    expect(await digestOf(receiver.stdout!, bytes.length)).toBe(sha256(bytes));
    await ended(receiver);
    await next.server.close();
  });

  test('has all that we sent before we end', async () => {
    const proxy = host.spawnC(PROXY, '--mode=server', '0', path, '-');
    const client = await connect();
    const bytes = randomBytes(MUCH >> 4);
    client.resume();
    client.end(bytes);
    expect(await digestOf(proxy.stdout!, bytes.length)).toBe(sha256(bytes));
    await ended(proxy);
  });

  test('ends, and we see it', async () => {
    const { server, client } = await accept(0, 0);
    const proxy = host.spawnC(PROXY, '--mode=client', '0', path, '-');
    const ours = await client;
    proxy.stdin!.end('last words');
    let text = '';
    for await (const chunk of ours) text += chunk;
    expect(text).toBe('last words');
    await server.close();
  });
});
