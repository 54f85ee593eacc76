/**
 * Xen's own client programs, and random clients, with a xenstored that runs: one of ours at a socket, or
 * the one that `XENSTORED_UNDER_TEST` names, a socket or the kernel's device before a store domain.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { XS_MKDIR, XS_RM, XS_WATCH_EVENT } from '../../src/abi/io/xs_wire.ts';
import { silentLog } from '../../src/base/log.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { connectUnixSocket, type SocketListener } from '../../src/node/socket-path.ts';
import { socketStream } from '../../src/node/socket-stream.ts';
import { openXenstoreDevice, XENSTORE_DEVICE } from '../../src/node/xenstore-device.ts';
import { listenXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import { startXenstored, type Xenstored } from '../../src/xenstored/server.ts';
import { RawClient } from './raw-client.ts';
import { type Ask, countTogether, followModel, stepsBelow } from './tree-model.ts';

const PROGRAMS = '/usr/lib/xen-4.17/bin';
const installed = existsSync(`${PROGRAMS}/test-xenstore`) && existsSync('/usr/bin/xenstore-write');
const run = promisify(execFile);

const given = process.env.XENSTORED_UNDER_TEST;
const directory = mkdtempSync(join(tmpdir(), 'xenstored-'));
const path = given ?? join(directory, 'socket');
/** A daemon that is given may be in an emulated machine: there all takes longer, and less has to do. */
const PROGRAM_MS_MAX = given === undefined ? 20_000 : 240_000;
const ITERATIONS = given === undefined ? '50' : '10';
const RUNS = given === undefined ? 10 : 5;

let xenstored: Xenstored | undefined;
let listener: SocketListener | undefined;

beforeAll(async () => {
  if (given !== undefined) return;
  const server = startXenstored({ clock: nodeClock, log: silentLog });
  xenstored = server;
  listener = await listenXenstoreSocket(loadNative(), path, (stream) =>
    server.attachSocket(stream, 'client'),
  );
});

afterAll(() => {
  listener?.close();
  xenstored?.close();
  rmSync(directory, { recursive: true });
});

const client = async (program: string, ...args: string[]) => {
  const env = { ...process.env, XENSTORED_PATH: path };
  return (await run(program, args, { env, timeout: PROGRAM_MS_MAX })).stdout;
};

describe.skipIf(!installed)(
  `Xen's clients${installed ? '' : ' (no package xen-utils-4.17)'}`,
  () => {
    test('test-xenstore passes all its tests', async () => {
      const lines = (await client(`${PROGRAMS}/test-xenstore`, '-i', ITERATIONS))
        .trim()
        .split('\n');
      expect(lines).toHaveLength(12);
      for (const line of lines) expect(line).toMatch(/: avg: \d+ ns/);
    });

    test('xenstore-write, -read, -list, -chmod, -ls and -rm do their work', async () => {
      await client('xenstore-write', '/clients/a', 'one', '/clients/b/c', 'two');
      expect(await client('xenstore-read', '/clients/a', '/clients/b/c')).toBe('one\ntwo\n');
      expect(await client('xenstore-list', '/clients')).toBe('a\nb\n');
      await client('xenstore-chmod', '-r', '/clients', 'n0', 'r5');
      const listing = await client('xenstore-ls', '-fp', '/clients');
      expect(listing).toMatch(/^\/clients\/a = "one" +\(n0,r5\)$/m);
      expect(listing).toMatch(/^\/clients\/b\/c = "two" +\(n0,r5\)$/m);
      await client('xenstore-rm', '/clients');
      await expect(client('xenstore-exists', '/clients')).rejects.toThrow();
    });

    test('xenstore-ls shows a directory that is too long for one reply', async () => {
      const names = Array.from({ length: 600 }, (_, i) => `/many/child-number-${i}`);
      await client('xenstore-write', ...names.flatMap((name) => [name, 'x']));
      expect((await client('xenstore-list', '/many')).trim().split('\n')).toHaveLength(600);
    });

    test('xenstore-control is answered', async () => {
      expect(await client(`${PROGRAMS}/xenstore-control`, 'check')).toBe('OK\n');
      expect(await client(`${PROGRAMS}/xenstore-control`, 'quota')).toContain('Nodes per domain');
      expect(await client(`${PROGRAMS}/xenstore-control`, 'help')).toContain('live-update');
    });
  },
);

/** A connection of its own; one request at a time. */
async function connect(): Promise<{ readonly ask: Ask; close(): void }> {
  const stream =
    path === XENSTORE_DEVICE
      ? openXenstoreDevice(loadNative(), path)
      : socketStream(await connectUnixSocket(path, 'xenstored'));
  const raw = new RawClient(stream);
  const isAnswered = () => raw.received.some(({ type }) => type !== XS_WATCH_EVENT);
  return {
    ask: async (type, payload, transaction) => {
      raw.send(type, payload, transaction);
      while (!isAnswered()) {
        if (stream.ended) throw new Error('the daemon has ended the connection');
        await new Promise((resolve) => setTimeout(resolve, 1));
        raw.pump();
      }
      return raw.take().reply;
    },
    close: () => stream.close(),
  };
}

describe('random clients of a daemon that runs', () => {
  const ROOT = '/random-clients';

  async function withClients(work: (clients: readonly Ask[]) => Promise<void>): Promise<void> {
    const clients = await Promise.all([connect(), connect(), connect()]);
    const asks = clients.map(({ ask }) => ask);
    try {
      expect(await asks[0]!(XS_MKDIR, `${ROOT}|`)).toBe('OK|');
      await work(asks);
      expect(await asks[0]!(XS_RM, `${ROOT}|`)).toBe('OK|');
    } finally {
      for (const { close } of clients) close();
    }
  }

  test('are answered as a map of all nodes answers', async () => {
    await fc.assert(
      fc.asyncProperty(stepsBelow(ROOT), (steps) =>
        withClients((clients) => followModel(clients, steps, ROOT)),
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  });

  test('never lose an increment in concurrent transactions', async () => {
    const turns = fc.array(fc.nat(2), { minLength: 30, maxLength: 90 });
    await fc.assert(
      fc.asyncProperty(turns, (order) =>
        withClients((clients) => countTogether(clients, order, `${ROOT}/counter`)),
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  });
});
