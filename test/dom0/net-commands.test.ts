/** `paravane net` against xenstored, with a test that plays the two ends. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { domId } from '../../src/base/ids.ts';
import { CaptureSession } from '../../src/net/capture-session.ts';
import { noCounts } from '../../src/net/network-interface.ts';
import { parseStatistics } from '../../src/net/statistics.ts';
import { Switch } from '../../src/net/switch.ts';
import { noPortCounts, type SwitchPort } from '../../src/net/switch-port.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { listenUnixSocket } from '../../src/node/socket-path.ts';
import { servedTogether } from '../../src/node/unix-socket.ts';
import { connectXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import type { XenstoreClient } from '../../src/xenstore/client.ts';
import { native } from '../native/shim.ts';
import { packet, pattern } from '../net/packets.ts';
import { Station } from '../net/station.ts';
import { type Host, startHost } from './host.ts';

const FRONT = '/local/domain/3/device/vif/0';
const BACK = '/local/domain/0/backend/vif/3/0';
const MAC = '00:16:3e:00:00:0a';

let host: Host;
let store: XenstoreClient;

beforeEach(async () => {
  host = await startHost();
  store = await connectXenstoreSocket(host.socket);
  await store.write('/local/domain/3/name', 'guest');
  await store.write('/local/domain/0/domid', '0');
});

afterEach(() => {
  store.close();
  host.stop();
});

const attach = (...options: string[]) =>
  host.paravane(['net', 'attach', 'guest', '--no-wait', ...options]);

async function connect(): Promise<void> {
  await store.write(`${BACK}/state`, '4');
  await store.write(`${FRONT}/state`, '4');
}

const keys = async (path: string) =>
  Object.fromEntries(
    await Promise.all(
      (await store.list(path)).map(async (key) => [key, await store.read(`${path}/${key}`)]),
    ),
  );

describe('attach', () => {
  test('writes what a toolstack writes, with its permissions', async () => {
    const options = ['--mac', MAC, '--bridge', 'lan.10', '--ip', '10.0.0.5', '--ip', 'fd00::5'];
    const more = ['--mtu', '9000', '--rate-limit', '10M', '--no-filter', '--script', '/bin/vif'];
    expect(await attach(...options, ...more)).toEqual({ code: 0, out: 'eth0\n', error: '' });
    expect(await keys(BACK)).toEqual({
      frontend: FRONT,
      'frontend-id': '3',
      mac: MAC,
      handle: '0',
      bridge: 'lan.10',
      ip: '10.0.0.5 fd00::5',
      mtu: '9000',
      rate: '524288,50000',
      filter: '0',
      script: '/bin/vif',
      online: '1',
      state: '1',
    });
    expect(await keys(FRONT)).toEqual({
      backend: BACK,
      'backend-id': '0',
      mac: MAC,
      handle: '0',
      mtu: '9000',
      state: '1',
    });
    expect(await store.getPermissions(`${FRONT}/state`)).toEqual([
      { domid: domId(3), access: 'n' },
      { domid: domId(0), access: 'r' },
    ]);
  });

  test("has addresses of Xen's by chance, and the next number that is free", async () => {
    const outs = [await attach(), await attach('--number', 'eth2'), await attach()];
    expect(outs.map(({ out }) => out)).toEqual(['eth0\n', 'eth2\n', 'eth1\n']);
    const macs = await Promise.all(
      [0, 1, 2].map((devid) => store.read(`/local/domain/3/device/vif/${devid}/mac`)),
    );
    expect(macs.every((mac) => /^00:16:3e:[0-7][0-9a-f](:[0-9a-f]{2}){2}$/.test(mac))).toBe(true);
    expect(new Set(macs).size).toBe(3);
  });

  test('waits until both ends are connected, and takes away what fails', async () => {
    const attaching = host.paravane(['net', 'attach', '3']);
    while ((await store.readIfPresent(`${FRONT}/state`)) === undefined);
    await connect();
    expect((await attaching).code).toBe(0);
    const failing = host.paravane(['net', 'attach', '3', '--number', '1']);
    while ((await store.readIfPresent('/local/domain/3/device/vif/1/state')) === undefined);
    const words = 'EBUSY open the TAP device "vif3.1": another program has it open (EBUSY)';
    await store.write('/local/domain/0/error/backend/vif/3/1/error', words);
    const { code, error } = await failing;
    expect([code, error.includes('another program has it open')]).toEqual([1, true]);
    expect(await store.list('/local/domain/3/device/vif')).toEqual(['0']);
  });

  test.each([
    [['nobody'], 'there is none of that name'],
    [['guest', '--mac', '01:00:5e:00:00:01'], 'of a group'],
    [['guest', '--mac', '00:16:3e'], 'a MAC address is six bytes'],
    [['guest', '--ip', '10.0.0.256'], 'an IP address is'],
    [['guest', '--mtu', '67'], 'a whole number from 68'],
    [['guest', '--mtu', '65518'], '65517 at most'],
    [['guest', '--rate-limit', '0'], 'a whole number from 1 with a unit'],
    [['guest', '--number', 'xvda'], 'a number, or a name such as eth0'],
    [['guest', '--backend', '9'], 'there is no domain 9'],
  ])('%j is refused', async (args, words) => {
    const { code, error } = await host.paravane(['net', 'attach', '--no-wait', ...args]);
    expect(code).not.toBe(0);
    expect(error).toContain(words);
  });
});

describe('an interface that is attached', () => {
  beforeEach(async () => {
    await attach('--mac', MAC, '--bridge', 'xenbr0');
    await connect();
  });

  test('is listed', async () => {
    const { out } = await host.paravane(['net', 'list']);
    expect(out.split('\n')[1]).toMatch(
      /^3 +eth0 +0\/vif +Connected +00:16:3e:00:00:0a +xenbr0 +-$/,
    );
  });

  test('is detached once the back end has closed, and leaves nothing', async () => {
    const detaching = host.paravane(['net', 'detach', 'guest', 'eth0']);
    while ((await store.read(`${BACK}/state`)) !== '5');
    await store.write(`${BACK}/state`, '6');
    expect(await detaching).toEqual({ code: 0, out: '', error: '' });
    expect(await store.list('/local/domain/0')).toEqual(['domid']);
    expect(await store.list('/local/domain/3')).toEqual(['name', 'device']);
    const again = await host.paravane(['net', 'detach', 'guest', '0']);
    expect(again.error).toContain('there is no such interface');
  });

  test('is detached at once by force, but not when libxl has attached it', async () => {
    await store.write('/libxl/3/device/vif/0/backend', BACK);
    const refused = await host.paravane(['net', 'detach', 'guest', 'eth0']);
    expect(refused.error).toContain('use xl network-detach');
    expect((await host.paravane(['net', 'detach', 'guest', 'eth0', '--force'])).code).toBe(0);
    expect(await store.list('/local/domain/3')).toEqual(['name', 'device']);
  });

  test('has statistics, for people and for machines', async () => {
    const counts = noCounts();
    Object.assign(counts.sent, { frames: 7, bytes: 700 });
    counts.sent.dropped.room = 2;
    const port = noPortCounts();
    port.in.dropped.filter = 3;
    port.out.dropped.room = 1;
    port.out.dropped.rate = 4;
    const statistics = { counts, port, connected_ms: 5, queues: 2, carrier: true };
    await store.watch(`${BACK}/statistics`, () => {
      void store.readIfPresent(`${BACK}/statistics`).then(async (text) => {
        if (text === '') await store.write(`${BACK}/statistics`, JSON.stringify(statistics));
      });
    });
    const { out } = await host.paravane(['net', 'stats', 'guest']);
    expect(out.split('\n').slice(1, 3)).toEqual([
      'eth0    from guest  0       0      3 filter',
      'eth0    to guest    7       700    3 room, 4 rate',
    ]);
    const json = await host.paravane(['net', 'stats', 'guest', 'eth0', '--json']);
    expect(JSON.parse(json.out)).toEqual({ device: 'eth0', ...statistics });
  });
});

test('statistics of a driver domain that are none are not shown', () => {
  const right = {
    counts: noCounts(),
    port: noPortCounts(),
    connected_ms: 1,
    queues: 1,
    carrier: true,
  };
  expect(parseStatistics(JSON.stringify(right))).toEqual(right);
  const { sent, received } = right.counts;
  const { dropped } = received;
  for (const counts of [
    { sent },
    { sent, received: { frames: 0, bytes: 0 } },
    { sent, received: { frames: 0, bytes: 0, dropped: null } },
    { sent, received: { frames: '\x1b[2J', bytes: 0, dropped } },
    { sent, received: { frames: 0, bytes: 0, dropped: { '\x1b[2J': 1 } } },
    { sent, received: { frames: 0, bytes: 0, dropped: { room: '\x1b[2J' } } },
    7,
  ]) {
    const text = JSON.stringify({ ...right, counts });
    expect(() => parseStatistics(text)).toThrow(/they make no sense|there are no counts/);
  }
  const text = JSON.stringify({ ...right, queues: '\x1b[2J' });
  expect(() => parseStatistics(text)).toThrow('there are no counts');
});

describe('capture', () => {
  let directory: string;
  let socket: string;
  let guest: Station;
  let port: SwitchPort;
  const closing: (() => void)[] = [];
  const leftOut: number[] = [];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'paravane-capture-'));
    socket = join(directory, 'netback.socket');
    guest = new Station();
    const network = new Switch(nodeClock);
    port = network.addPort(guest, { name: 'vif3.0' });
    network.addPort(new Station(), { name: 'dhcp' });
    const clients = servedTogether(native, (stream) => {
      const session = new CaptureSession({
        stream,
        find: (name) => network.ports.find((each) => each.name === name),
        onEnd: (_, count) => leftOut.push(count),
      });
      closing.push(() => session.close());
    });
    const listener = await listenUnixSocket(native, socket, 'captures', clients);
    closing.push(() => listener.close());
  });

  afterEach(() => {
    for (const close of closing.splice(0)) close();
    leftOut.length = 0;
    rmSync(directory, { recursive: true });
  });

  async function until(settled: Promise<unknown>, speak: () => void) {
    let isOver = false;
    void settled.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      speak();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Speaks until somebody has captured enough. */
  async function capture(...options: string[]) {
    const file = join(directory, 'frames.pcap');
    const words = ['net', 'capture', 'guest', '--capture-socket', socket, '-w', file];
    const capturing = host.paravane([...words, ...options]);
    await until(capturing, () =>
      guest.say(packet({ payload: pattern(500, 1) }), packet({ version: 6, protocol: 'udp' })),
    );
    return { ...(await capturing), file };
  }

  test('makes a file that tcpdump reads, of whole frames and no more than were asked for', async () => {
    const { code, error, file } = await capture('--count', '5');
    expect([code, error]).toEqual([0, '5 frames\n']);
    const text = execFileSync('tcpdump', ['-n', '-v', '-r', file], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    expect(text.match(/10\.0\.0\.1\.1000 > 10\.0\.0\.2\.2000: .*length 500/g)).toHaveLength(3);
    expect(text.match(/fd00::1\.1000 > fd00::2\.2000/g)).toHaveLength(2);
    expect(text).not.toContain('incorrect');
  });

  test('keeps so many bytes of each frame', async () => {
    const { file } = await capture('--count', '1', '--bytes', '60');
    const text = execFileSync('tcpdump', ['-n', '-r', file], { encoding: 'utf8', stdio: 'pipe' });
    expect(text).toMatch(/length 500/);
  });

  test('of an interface that is not there says so', async () => {
    const { code, error } = await capture('1');
    expect([code, error.includes('there is no vif3.1 here')]).toEqual([1, true]);
    const nobody = await host.paravane([
      ...['net', 'capture', 'guest', '-w', '-'],
      ...['--capture-socket', `${socket}.none`],
    ]);
    expect(nobody.error).toContain('does a netback run?');
  });

  test('of any port of the switch is by its name', async () => {
    const { code, error } = await capture('--port', 'dhcp');
    expect([code, error]).toEqual([2, expect.stringContaining('or a --port')]);
    expect((await host.paravane(['net', 'capture', '-w', '-'])).code).toBe(2);
    const file = join(directory, 'station.pcap');
    const words = ['net', 'capture', '--port', 'dhcp', '--capture-socket', socket, '-w', file];
    const capturing = host.paravane([...words, '--count', '1']);
    await until(capturing, () => guest.say(packet({ target: 0xffff_ffff_ffff })));
    expect(await capturing).toMatchObject({ code: 0, error: '1 frames\n' });
  });

  test('ends with the port, as when the guest connects anew', async () => {
    const file = join(directory, 'frames.pcap');
    const words = ['net', 'capture', 'guest', '--capture-socket', socket, '-w', file];
    const capturing = host.paravane(words);
    await expect
      .poll(() => {
        guest.say(packet());
        return existsSync(file) ? statSync(file).size : 0;
      })
      .toBeGreaterThan(100);
    port.close();
    expect(await capturing).toMatchObject({ code: 0, error: expect.stringMatching(/^\d+ frames/) });
    expect(leftOut).toEqual([0]);
  });

  test('of somebody who does not read holds nobody up, and tells how much was left out', async () => {
    const { connectUnixSocket } = await import('../../src/node/socket-path.ts');
    const client = await connectUnixSocket(socket, 'netback');
    client.pause();
    client.write('capture vif3.0 262144\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const large = packet({ payload: pattern(60_000, 1) });
    for (let count = 0; count < 500; count++) guest.say(large);
    expect(port.counts.in.frames).toBe(500);
    client.destroy();
    await expect.poll(() => leftOut.length).toBe(1);
    expect(leftOut[0]).toBeGreaterThan(100);
    expect(leftOut[0]).toBeLessThan(500);
  });

  test('of somebody who asks for what makes no sense ends', async () => {
    const { connectUnixSocket } = await import('../../src/node/socket-path.ts');
    for (const wrong of ['capture\n', 'capture vif3.0 0\n', `${'x'.repeat(300)}`]) {
      const client = await connectUnixSocket(socket, 'netback');
      client.write(wrong);
      let said = '';
      for await (const bytes of client) said += String(bytes);
      expect(said).toMatch(/^(a request is|the request is too long)/);
    }
  });
});
