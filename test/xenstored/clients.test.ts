/** Xen's own client programs, over our socket. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import type { SocketListener } from '../../src/node/socket-path.ts';
import { listenXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import { startXenstored, type Xenstored } from '../../src/xenstored/server.ts';

const PROGRAMS = '/usr/lib/xen-4.17/bin';
const installed = existsSync(`${PROGRAMS}/test-xenstore`) && existsSync('/usr/bin/xenstore-write');
const run = promisify(execFile);

describe.skipIf(!installed)(
  `Xen's clients${installed ? '' : ' (no package xen-utils-4.17)'}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'xenstored-'));
    let xenstored: Xenstored;
    let listener: SocketListener;

    beforeAll(async () => {
      xenstored = startXenstored({ clock: nodeClock, log: silentLog });
      listener = await listenXenstoreSocket(loadNative(), join(directory, 'socket'), (stream) =>
        xenstored.attachSocket(stream, 'client'),
      );
    });

    afterAll(() => {
      listener.close();
      xenstored.close();
      rmSync(directory, { recursive: true });
    });

    const client = async (program: string, ...args: string[]) => {
      const env = { ...process.env, XENSTORED_PATH: join(directory, 'socket') };
      return (await run(program, args, { env, timeout: 20_000 })).stdout;
    };

    test('test-xenstore passes all its tests', async () => {
      const lines = (await client(`${PROGRAMS}/test-xenstore`, '-i', '50')).trim().split('\n');
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
