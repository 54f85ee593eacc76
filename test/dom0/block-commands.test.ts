/** `paravane block` against xenstored, with a test that plays the two ends. */
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { domId } from '../../src/base/ids.ts';
import { virtualDeviceName, virtualDeviceNumber } from '../../src/dom0/virtual-device.ts';
import { connectXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import type { XenstoreClient } from '../../src/xenstore/client.ts';
import { type Host, startHost } from './host.ts';

const FRONT = '/local/domain/3/device/vbd/51712';
const BACK = '/local/domain/0/backend/vbd/3/51712';

let host: Host;
let store: XenstoreClient;
let directory: string;
let disk: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-block-'));
  disk = join(directory, 'disk.img');
  writeFileSync(disk, '');
  truncateSync(disk, 1 << 20);
  host = await startHost();
  store = await connectXenstoreSocket(host.socket);
  await store.write('/local/domain/3/name', 'guest');
  await store.write('/local/domain/0/domid', '0');
});

afterEach(() => {
  store.close();
  host.stop();
  rmSync(directory, { recursive: true });
});

const attach = (...options: string[]) =>
  host.paravane(['block', 'attach', 'guest', disk, '--no-wait', ...options]);

async function connect(): Promise<void> {
  await store.write(`${BACK}/sectors`, '2048');
  await store.write(`${BACK}/state`, '4');
  await store.write(`${FRONT}/state`, '4');
}

test('names of disks and their numbers go with each other', () => {
  const known: [string, number][] = [
    ['xvda', 51712],
    ['xvdb', 51728],
    ['xvdb1', 51729],
    ['xvdp15', 51967],
    ['xvdq', 268439552],
    ['xvdaa', 268442112],
    ['xvda16', 268435472],
  ];
  for (const [name, number] of known) {
    expect(virtualDeviceNumber(name)).toBe(number);
    expect(virtualDeviceName(number)).toBe(name);
  }
  expect(virtualDeviceNumber('51712')).toBe(51712);
  expect(virtualDeviceName(768)).toBe('768');
  for (const wrong of ['', 'sda', 'xvd', 'xvdA', 'xvda256', 'xvdzzzz', '-1']) {
    expect(() => virtualDeviceNumber(wrong)).toThrow();
  }
});

describe('attach', () => {
  test('writes what a toolstack writes, with its permissions', async () => {
    expect(await attach('--rate-limit', '50M')).toEqual({ code: 0, out: 'xvda\n', error: '' });
    const keys = async (path: string) =>
      Object.fromEntries(
        await Promise.all(
          (await store.list(path)).map(async (key) => [key, await store.read(`${path}/${key}`)]),
        ),
      );
    expect(await keys(BACK)).toEqual({
      frontend: FRONT,
      'frontend-id': '3',
      params: disk,
      'physical-device-path': disk,
      mode: 'w',
      'device-type': 'disk',
      dev: 'xvda',
      removable: '0',
      'discard-enable': '1',
      'rate-limit': String(50 << 20),
      online: '1',
      state: '1',
    });
    expect(await keys(FRONT)).toEqual({
      backend: BACK,
      'backend-id': '0',
      'virtual-device': '51712',
      'device-type': 'disk',
      state: '1',
    });
    expect(await store.getPermissions(`${FRONT}/state`)).toEqual([
      { domid: domId(3), access: 'n' },
      { domid: domId(0), access: 'r' },
    ]);
    expect((await attach()).out).toBe('xvdb\n');
  });

  test('waits until both ends are connected', async () => {
    const attaching = host.paravane(['block', 'attach', '3', disk, '--mode', 'w!']);
    while ((await store.readIfPresent(`${FRONT}/state`)) === undefined);
    await connect();
    expect((await attaching).code).toBe(0);
    expect(await store.read(`${BACK}/mode`)).toBe('w!');
  });

  test('says what the back end says when it fails, and takes the disk away', async () => {
    const attaching = host.paravane(['block', 'attach', 'guest', disk]);
    while ((await store.readIfPresent(`${FRONT}/state`)) === undefined);
    const words = 'EBUSY open disk: it is in use by domain 2, device 51712 (EBUSY)';
    await store.write('/local/domain/0/error/backend/vbd/3/51712/error', words);
    const { code, error } = await attaching;
    expect(code).toBe(1);
    expect(error).toContain('in use by domain 2, device 51712');
    expect(await store.readIfPresent(`${BACK}/state`)).toBeUndefined();
    expect(await store.readIfPresent(`${FRONT}/state`)).toBeUndefined();
  });

  test('gives up in time', async () => {
    const outcome = await host.paravane(['block', 'attach', 'guest', disk, '--timeout', '1']);
    expect(outcome.code).toBe(1);
    expect(outcome.error).toContain('no answer within 1 s');
  });

  test.each([
    [['nobody', 'DISK'], 'there is none of that name'],
    [['guest', '/nowhere/disk.img'], 'there is no such file'],
    [['guest', 'DISK', '--vdev', 'sda'], 'a name such as xvdb'],
    [['guest', 'DISK', '--mode', 'x'], 'r, w or w!'],
    [['guest', 'DISK', '--rate-limit', '0'], 'a whole number from 1 with a unit'],
    [['guest', 'DISK', '--backend', '9'], 'there is no domain 9'],
  ])('%j is refused', async (args, words) => {
    const given = args.map((arg) => (arg === 'DISK' ? disk : arg));
    const { code, error } = await host.paravane(['block', 'attach', '--no-wait', ...given]);
    expect(code).not.toBe(0);
    expect(error).toContain(words);
  });

  test('a place that is taken is refused', async () => {
    await attach('--vdev', 'xvdc');
    const { code, error } = await attach('--vdev', 'xvdc');
    expect(code).toBe(1);
    expect(error).toContain('has a disk there');
  });
});

describe('a disk that is attached', () => {
  beforeEach(async () => {
    await attach();
    await connect();
  });

  test('is listed', async () => {
    const { out } = await host.paravane(['block', 'list', 'guest']);
    expect(out.split('\n')[1]).toMatch(/^3 +xvda +0\/vbd +Connected +w +1 +\S+disk\.img$/);
  });

  test('is detached once the back end has closed, and leaves nothing', async () => {
    const detaching = host.paravane(['block', 'detach', 'guest', 'xvda']);
    while ((await store.read(`${BACK}/state`)) !== '5');
    expect(await store.read(`${BACK}/online`)).toBe('0');
    await store.write(`${BACK}/state`, '6');
    expect(await detaching).toEqual({ code: 0, out: '', error: '' });
    expect(await store.list('/local/domain/0')).toEqual(['domid']);
    expect(await store.list('/local/domain/3')).toEqual(['name', 'device']);
    const again = await host.paravane(['block', 'detach', 'guest', 'xvda']);
    expect(again.error).toContain('there is no such disk');
  });

  test('is detached at once by force', async () => {
    expect((await host.paravane(['block', 'detach', 'guest', 'xvda', '--force'])).code).toBe(0);
    expect(await store.list('/local/domain/3')).toEqual(['name', 'device']);
  });

  test('is not detached when libxl has attached it', async () => {
    await store.write('/libxl/3/device/vbd/51712/backend', BACK);
    const { code, error } = await host.paravane(['block', 'detach', 'guest', 'xvda']);
    expect(code).toBe(1);
    expect(error).toContain('use xl block-detach');
  });

  test('is resized, and its back end is told', async () => {
    let told = 0;
    await store.watch(`${BACK}/params`, () => told++);
    expect((await host.paravane(['block', 'resize', 'guest', 'xvda', '2M'])).code).toBe(0);
    expect(statSync(disk).size).toBe(2 << 20);
    await expect.poll(() => told).toBe(2);
    const smaller = await host.paravane(['block', 'resize', 'guest', 'xvda', '1M']);
    expect(smaller.error).toContain('--shrink cuts it short');
    expect(statSync(disk).size).toBe(2 << 20);
    const odd = await host.paravane(['block', 'resize', 'guest', 'xvda', '1000']);
    expect(odd.error).toContain('whole sectors of 512 bytes');
  });

  test('has statistics, for people and for machines', async () => {
    const counts = { operations: 2, failed: 1, bytes: 1024, time_ms: 3 };
    const statistics = {
      counts: { read: counts, write: counts, flush: counts, discard: counts },
      connected_ms: 5,
      queues: 1,
      ringSlots: 32,
      persistentPages: 7,
    };
    await store.watch(`${BACK}/statistics`, () => {
      void store.readIfPresent(`${BACK}/statistics`).then(async (text) => {
        if (text === '') await store.write(`${BACK}/statistics`, JSON.stringify(statistics));
      });
    });
    const { out } = await host.paravane(['block', 'stats', 'guest']);
    expect(out).toContain('xvda    read       2      1       1024   1.50\n');
    const json = await host.paravane(['block', 'stats', 'guest', 'xvda', '--json']);
    expect(JSON.parse(json.out)).toEqual({ device: 'xvda', ...statistics });
  });
});
