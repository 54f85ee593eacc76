/** `paravane console` at a real terminal, with the console daemon and a guest in the simulator. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type IPty, spawn } from 'node-pty';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { listenUnixSocket, type SocketListener } from '../../src/node/socket-path.ts';
import { servedTogether } from '../../src/node/unix-socket.ts';
import { connectXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import { bytesOf, type ConsoleGuest, ConsoleHost } from '../xenconsoled/console-host.ts';
import { type Host, startHost } from './host.ts';

const PARAVANE = ['--import', 'tsx', join(import.meta.dirname, '../../src/dom0/paravane.ts')];

let directory: string;
let viewerSocket: string;
let store: Host;
let host: ConsoleHost;
let guest: ConsoleGuest;
let listener: SocketListener | undefined;
let people: Person[];

/** Somebody at a terminal of their own. */
class Person {
  shown = '';
  readonly exit: Promise<number>;
  private readonly pty: IPty;
  private readonly looking = new Set<() => void>();

  constructor(...options: string[]) {
    const args = ['console', '--socket', store.socket, '--viewer-socket', viewerSocket, ...options];
    this.pty = spawn(process.execPath, [...PARAVANE, ...args], { cols: 80, rows: 24 });
    this.pty.onData((text) => {
      this.shown += text;
      for (const look of [...this.looking]) look();
    });
    this.exit = new Promise((resolve) => this.pty.onExit(({ exitCode }) => resolve(exitCode)));
    people.push(this);
  }

  /** Resolves once `text` was shown. */
  sees(text: string): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!this.shown.includes(text)) return;
        this.looking.delete(look);
        resolve();
      };
      this.looking.add(look);
      look();
    });
  }

  type(keys: string): void {
    this.pty.write(keys);
  }

  resize(columns: number, rows: number): void {
    this.pty.resize(columns, rows);
  }

  leave(): void {
    this.pty.kill('SIGKILL');
  }
}

/** Lets the simulated world go on until `done` holds. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) {
    await host.world.run();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function print(text: string): Promise<void> {
  guest.print(bytesOf(text));
  await host.world.run();
}

async function startDaemon(): Promise<void> {
  await host.startDaemon();
  await host.world.run();
  const viewers = servedTogether(loadNative(), (stream) => host.daemon?.attachViewer(stream));
  listener = await listenUnixSocket(loadNative(), viewerSocket, 'viewers', viewers);
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-console-'));
  viewerSocket = join(directory, 'viewers');
  people = [];
  store = await startHost();
  host = new ConsoleHost();
  guest = host.addGuest({ name: 'web' });
  const client = await connectXenstoreSocket(store.socket);
  await client.write(`/local/domain/${guest.domain.domid}/name`, 'web');
  client.close();
  await startDaemon();
});

afterEach(async () => {
  for (const person of people) person.leave();
  listener?.close();
  expect(await host.leftovers()).toEqual([]);
  store.stop();
  rmSync(directory, { recursive: true });
});

test('shows the past, then what comes, passes on each key, and Ctrl-] detaches', async () => {
  await print('printed before\r\n');
  const person = new Person('web');
  await person.sees('printed before');
  await person.sees('attached; Ctrl-] detaches');
  await print('login: ');
  await person.sees('login: ');
  person.type('root\r\x03\x1b[A');
  await until(() => guest.received().length === 9);
  // Not a line was edited here, and no signal made: the guest's terminal does that.
  expect(guest.received()).toBe('root\r\x03\x1b[A');
  person.type('\x1d');
  await person.sees('detached');
  expect(await person.exit).toBe(0);
});

test('two people look at one console, of whom one may only look; a log keeps what was shown', async () => {
  const log = join(directory, 'session.txt');
  const reader = new Person('web', '--read-only', '--log', log, '--detach-key', 'q');
  await reader.sees('attached, read-only; q detaches');
  const writer = new Person(String(guest.domain.domid));
  await writer.sees('attached; 1 more look at it');
  reader.type('no');
  writer.type('yes');
  await until(() => guest.received() === 'yes');
  await print('\x1b[1mboth\x1b[0m');
  await Promise.all([reader.sees('both'), writer.sees('both')]);
  reader.type('q');
  expect(await reader.exit).toBe(0);
  expect(readFileSync(log, 'latin1')).toBe('\x1b[1mboth\x1b[0m');
  expect(guest.received()).toBe('yes');
});

test('tells the guest how large the window is', async () => {
  const size = () => host.store.nodes.get(`${guest.path}/window-size`);
  const person = new Person('web');
  await person.sees('detaches');
  await until(() => size() === '80x24');
  person.resize(132, 43);
  await until(() => size() === '132x43');
});

test('waits for the next daemon when one is killed, and ends with the guest', async () => {
  const person = new Person('web');
  await person.sees('detaches');
  listener?.close();
  await host.world.finish(host.daemon?.close() ?? Promise.resolve());
  await person.sees('waiting for the next');
  await print('printed meanwhile');
  await startDaemon();
  await person.sees('printed meanwhile');
  host.destroy(guest);
  await host.world.run();
  await person.sees('the console is over');
  expect(await person.exit).toBe(0);
});

test.each([
  [['nobody'], 1, 'find domain "nobody": there is none of that name (ENOENT)'],
  [['web', '-n', '7'], 1, 'has no console 7 that is served here'],
  [['web', '--viewer-socket', '/nowhere'], 1, 'no such socket; does a xenconsoled run?'],
  [['web', '--detach-key', 'ab'], 2, 'it is one character, or ^ and one for Ctrl'],
])('%o ends with %i and says why', async (options, code, words) => {
  const person = new Person(...options);
  expect(await person.exit).toBe(code);
  expect(person.shown.replace(/\s+/g, ' ')).toContain(words);
});
