/** Further consoles, `device/console/N`: our front end and hostile ones, on our xenstored, against the daemon. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConsoleFront } from '../../src/console/front.ts';
import type { TerminalPlan } from '../../src/xenconsoled/terminal.ts';
import {
  startXenconsoled,
  XENCONSOLED_DEFAULTS,
  type Xenconsoled,
} from '../../src/xenconsoled/xenconsoled.ts';
import { type HostDevice, type HostGuest, type HostProcess, SimHost } from '../xenbus/sim-host.ts';
import { bytesOf, FakeFile, FakeLog, FakeTerminal, textOf } from './console-host.ts';

let host: SimHost;
let guest: HostGuest;
let process: HostProcess;
let daemon: Xenconsoled;
let terminals: { readonly plan: TerminalPlan; readonly terminal: FakeTerminal }[];
let disk: Map<string, FakeFile>;
let notes: Map<string, string>;

async function startDaemon(): Promise<void> {
  process = host.startProcess();
  const { hypervisor, control, clock, xenstore } = process;
  daemon = await host.finish(
    startXenconsoled(
      {
        hypervisor,
        domainControl: control,
        xenstore,
        clock,
        log: host.logger,
        openTerminal(plan) {
          const terminal = new FakeTerminal(plan === 'pty' ? '/dev/pts/7' : plan.path);
          terminals.push({ plan, terminal });
          return terminal;
        },
        openLog(name) {
          const file = disk.get(name) ?? new FakeFile();
          disk.set(name, file);
          return new FakeLog(file, clock);
        },
        openNote: (name) => ({
          read: () => notes.get(name) ?? '',
          write: (text) => notes.set(name, text),
          close: () => {},
          discard: () => notes.delete(name),
        }),
      },
      { ...XENCONSOLED_DEFAULTS, log: { guest: true, hv: false } },
    ),
  );
}

beforeEach(async () => {
  host = new SimHost();
  terminals = [];
  disk = new Map();
  notes = new Map();
  await startDaemon();
  guest = await host.guest();
  await host.finish(host.tools.write(`/local/domain/${guest.domid}/name`, 'g'));
});

afterEach(async () => {
  await host.finish(daemon.close());
  expect(await host.end()).toEqual([]);
});

/** What a toolstack writes for a further console of ours. */
function attach(
  devid: number,
  back: Record<string, string> = {},
  front: Record<string, string> = {},
): Promise<HostDevice> {
  return host.attach(guest, 'console', devid, back, { type: 'xenconsoled', ...front });
}

function connectFront(devid: number): Promise<ConsoleFront> {
  const { hypervisor, xenstore } = guest;
  return host.finish(ConsoleFront.connect({ hypervisor, xenstore, log: host.logger, devid }));
}

function print(front: ConsoleFront, text: string): void {
  expect(front.write(bytesOf(text))).toBe(text.length);
}

function received(front: ConsoleFront): string {
  const target = new Uint8Array(1024);
  return textOf(target.subarray(0, front.read(target)));
}

const logged = () => disk.get('guest-g-console1.log')?.content;

test('a further console has a log, a terminal and a tty node of its own, and ends in order', async () => {
  const device = await attach(1, { connection: 'pty' });
  const front = await connectFront(1);
  print(front, 'hello');
  await host.settle();
  const [only] = terminals;
  expect(only?.plan).toBe('pty');
  expect(only?.terminal.shown).toBe('hello');
  expect(logged()).toBe('hello');
  expect(await host.value(`${device.front}/tty`)).toBe('/dev/pts/7');
  only?.terminal.type(bytesOf('ls\r'));
  await host.settle();
  expect(received(front)).toBe('ls\r');
  print(front, ' and bye');
  await host.finish(front.closed());
  await host.settle();
  expect(logged()).toBe('hello and bye');
  expect(only?.terminal.closed).toBe(true);
  await host.removeDirectories(device);
});

test('the guest cannot say in `tty` what others open', async () => {
  const device = await attach(1);
  const front = await connectFront(1);
  await host.settle();
  const write = guest.xenstore.write(`${device.front}/tty`, '/etc/shadow');
  await expect(host.finish(write)).rejects.toMatchObject({ code: 'EACCES' });
  await host.finish(front.closed());
  await host.removeDirectories(device);
});

test.each([
  [{ connection: 'socket', path: '/run/a' }],
  [{ output: 'unix:/run/a,server,nowait' }],
] as const)('a console with %o listens at the socket', async (keys) => {
  const device = await attach(1, keys);
  const front = await connectFront(1);
  await host.settle();
  expect(terminals.map(({ plan }) => plan)).toEqual([{ path: '/run/a' }]);
  await host.finish(front.closed());
  await host.removeDirectories(device);
});

test('a console goes on after the daemon was killed, with each byte in the log once', async () => {
  const device = await attach(1);
  const front = await connectFront(1);
  await host.settle();
  print(front, 'one ');
  await host.settle();
  process.kill();
  print(front, 'two ');
  await host.settle();
  await startDaemon();
  print(front, 'three');
  await host.settle();
  expect(logged()).toBe('one two three');
  terminals[1]?.terminal.type(bytesOf('x'));
  await host.settle();
  expect(received(front)).toBe('x');
  await host.finish(front.closed());
  await host.removeDirectories(device);
});

test('a guest that is destroyed leaves its console nothing to hold', async () => {
  const device = await attach(1);
  const front = await connectFront(1);
  print(front, 'last words');
  await host.destroy(guest, [device]);
  expect(logged()).toBe('last words');
  expect([...notes.keys()]).toEqual([]);
});

describe('a console that is not ours is left as it is:', () => {
  test.each([
    ['the first, which has no handshake', 0, { type: 'xenconsoled' }],
    ["an emulator's", 1, { type: 'ioemu' }],
    ['one without a type', 2, { type: '' }],
  ])('%s', async (_, devid, front) => {
    const device = await attach(devid, {}, front);
    await host.settle();
    expect(await host.value(`${device.back}/state`)).toBe('1');
    await host.removeDirectories(device);
  });
});

const RING = { 'ring-ref': '8', port: '1' };

describe('bad keys fail the one console, with the rule:', () => {
  test.each([
    ['a page that is not granted', {}, { 'ring-ref': '77', port: '1' }, /E(PERM|INVAL)/],
    ['a port that is none', {}, { 'ring-ref': '8', port: '131072' }, /port is a decimal number/],
    ['no ring', {}, {}, /ring-ref is written before the state/],
    ['a socket without a path', { connection: 'socket' }, RING, /connected to a socket has one/],
    ['another connection', { connection: 'vnc' }, RING, /must be pty or socket/],
    ['another output', { output: 'chardev:x' }, RING, /must be pty or unix:PATH/],
  ])('%s', async (_, back, front, rule) => {
    const device = await attach(1, back);
    await host.settle();
    for (const [key, value] of Object.entries(front)) {
      await host.finish(guest.xenstore.write(`${device.front}/${key}`, value));
    }
    await host.finish(guest.xenstore.write(`${device.front}/state`, '3'));
    await host.settle();
    const error = `/local/domain/0/error/backend/console/${guest.domid}/1/error`;
    expect(await host.value(error)).toMatch(rule);
    expect(await host.value(`${device.back}/state`)).toBe('5');
    await host.forceClose(device);
    await host.removeDirectories(device);
  });
});
