/** Bridges between two ends in shared memory, and what stands at either side of them. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo, ListenOptions } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { VchanBridge, type VchanBridgeSettings } from '../../src/node/vchan-bridge.ts';
import { listenAtVchanTarget, parseVchanTarget } from '../../src/node/vchan-target.ts';
import { LocalHost, missingForProxy, PROXY } from '../vchan/shared-memory/local-host.ts';

const PATH = '/local/domain/0/data/vchan/0/7';

let host: LocalHost;
const bridges: VchanBridge[] = [];

beforeEach(async () => {
  host = await LocalHost.start();
});
afterEach(async () => {
  for (const bridge of bridges.splice(0).reverse()) await bridge.close();
  host.close();
});

/** Starts a bridge and waits until it serves. */
async function start(settings: Partial<VchanBridgeSettings>): Promise<VchanBridge> {
  const end = await host.end();
  const sizes = { receive_min: 4096, send_min: 4096, connections_max: 64 };
  const both = { domain: '0', port: '7', target: undefined };
  const statePath = `/state-${bridges.length}`;
  const all = { role: 'listen', ...both, ...sizes, ...settings, statePath } as const;
  const bridge = new VchanBridge(end, loadNative(), all, silentLog);
  bridges.push(bridge);
  const serves = new Promise<void>((resolve, reject) => {
    bridge.run().catch(reject);
    end.xenstore
      .watch(statePath, () => {
        end.xenstore.readIfPresent(statePath).then((value) => value === 'running' && resolve());
      })
      .catch(reject);
  });
  await serves;
  return bridge;
}

/** A web server that answers with the digest of what it was sent. */
async function web(where: ListenOptions) {
  const server = createServer((message, response) => {
    buffer(message).then(
      (body) => response.end(createHash('sha256').update(body).digest('hex')),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return server;
}

function put(where: { socketPath?: string; port?: number }, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ ...where, method: 'PUT', agent: false }, (response) => {
      buffer(response).then((answer) => resolve(`${answer}`), reject);
    })
      .on('error', reject)
      .end(body);
  });
}

const socketAt = (name: string) => join(host.directory, name);

describe('a bridge', () => {
  test('carries many connections at once from Unix socket to Unix socket', async () => {
    const server = await web({ path: socketAt('web') });
    await start({ target: { kind: 'unix', path: socketAt('web') } });
    await start({ role: 'connect', target: { kind: 'unix', path: socketAt('bridge') } });
    const bodies = Array.from({ length: 40 }, (_, n) => randomBytes(n * 5000));
    const digests = await Promise.all(
      bodies.map((body) => put({ socketPath: socketAt('bridge') }, body)),
    );
    expect(digests).toEqual(bodies.map((body) => createHash('sha256').update(body).digest('hex')));
    server.close();
  });

  test('carries TCP', async () => {
    const server = await web({ port: 0, host: '127.0.0.1' });
    const { port } = server.address() as AddressInfo;
    const local = { kind: 'tcp', host: '127.0.0.1' } as const;
    const free = await web({ port: 0, host: '127.0.0.1' });
    const there = (free.address() as AddressInfo).port;
    await new Promise((resolve) => free.close(resolve));
    await start({ target: { ...local, port } });
    await start({ role: 'connect', target: { ...local, port: there } });
    expect(await put({ port: there }, Buffer.alloc(0))).toMatch(/^e3b0c442/);
    server.close();
  });

  test('closes the vchan of a client whose target is not there', async () => {
    await start({ target: { kind: 'unix', path: socketAt('nowhere') } });
    await start({ role: 'connect', target: { kind: 'unix', path: socketAt('bridge') } });
    const answer = put({ socketPath: socketAt('bridge') }, Buffer.alloc(1));
    await expect(answer).rejects.toThrow('hang up');
  });

  test('removes its socket when it closes, and takes the place of a dead one', async () => {
    const target = { kind: 'unix', path: socketAt('bridge') } as const;
    const first = await start({ role: 'connect', target });
    await expect(start({ role: 'connect', target })).rejects.toMatchObject({ code: 'EBUSY' });
    await first.close();
    expect(existsSync(target.path)).toBe(false);
  });

  test.each([
    ['nobody', 'ESRCH', 'no domain has that name'],
    ['40000', undefined, 'a domid must be'],
  ])('refuses domain %s', async (domain, code, message) => {
    const starting = start({ domain });
    await expect(starting).rejects.toMatchObject({
      message: expect.stringContaining(message),
      ...(code === undefined ? {} : { code }),
    });
  });

  test.skipIf(missingForProxy() !== undefined)(
    `is a drop-in for vchan-socket-proxy, ${missingForProxy() ?? 'on either side'}`,
    async () => {
      const server = await web({ path: socketAt('web') });
      host.spawnC(PROXY, '--mode=server', '0', PATH, socketAt('web'));
      await start({ role: 'connect', target: { kind: 'unix', path: socketAt('ours') } });
      const body = randomBytes(300_000);
      const digest = createHash('sha256').update(body).digest('hex');
      // One after the other on the same page: nothing of the first reaches the second.
      for (let n = 0; n < 3; n++) {
        expect(await put({ socketPath: socketAt('ours') }, body)).toBe(digest);
      }
      for (const bridge of bridges.splice(0)) await bridge.close();

      await start({
        port: PATH.replace('/7', '/8'),
        target: { kind: 'unix', path: socketAt('web') },
      });
      const theirs = socketAt('theirs');
      host.spawnC(PROXY, '--mode=client', '0', PATH.replace('/7', '/8'), theirs);
      while (!existsSync(theirs)) await new Promise((resolve) => setTimeout(resolve, 20));
      for (let n = 0; n < 3; n++) expect(await put({ socketPath: theirs }, body)).toBe(digest);
      server.close();
    },
  );
});

describe('a target', () => {
  test.each([
    ['/run/a', { kind: 'unix', path: '/run/a' }],
    ['a', { kind: 'unix', path: 'a' }],
    ['tcp:80', { kind: 'tcp', host: '127.0.0.1', port: 80 }],
    ['tcp:10.0.0.1:80', { kind: 'tcp', host: '10.0.0.1', port: 80 }],
    ['tcp:[::1]:80', { kind: 'tcp', host: '::1', port: 80 }],
    ['5', { kind: 'descriptor', fd: 5 }],
  ])('%s', (text, target) => {
    expect(parseVchanTarget(text)).toEqual(target);
  });

  test.each(['', 'tcp:', 'tcp:host', 'tcp:70000', 'tcp:host:x'])('is not %j', (text) => {
    expect(() => parseVchanTarget(text)).toThrow(RangeError);
  });

  test('that is no socket that listens is refused', async () => {
    const listening = listenAtVchanTarget(loadNative(), { kind: 'descriptor', fd: 999 }, () => {});
    await expect(listening).rejects.toMatchObject({ code: 'EIO' });
  });
});
