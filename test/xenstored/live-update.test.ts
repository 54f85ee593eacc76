/** Xenstored becomes another program while its clients stay: ours, C's, and ours again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_INTRODUCE,
  XS_READ,
  XS_SET_PERMS,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { latin1Encode } from '../../src/base/bytes.ts';
import { Prng } from '../../src/base/prng.ts';
import { socketStream } from '../../src/node/socket-stream.ts';
import { encodePacket } from '../../src/xenstore/packet.ts';
import { CDaemon } from './c-daemon/c-daemon.ts';
import { C_XENSTORED, missingForCDaemon } from './c-daemon/stand-in.ts';
import { bundleProgram, liveUpdate, missingForControl, OurProcess, run } from './program.ts';
import { RawClient } from './raw-client.ts';

let program: string;
let programDirectory: string;
beforeAll(() => {
  ({ path: program, directory: programDirectory } = bundleProgram());
});
afterAll(() => rmSync(programDirectory, { recursive: true }));

/** What a test has started, and ends with it. */
const running: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each.close();
});
function keep<Kept extends { close(): unknown }>(kept: Kept): Kept {
  running.push(kept);
  return kept;
}

async function rawClient(path: string): Promise<RawClient> {
  const socket = createConnection(path);
  await once(socket, 'connect');
  const client = new RawClient(socketStream(socket));
  keep({ close: () => client.stream.close() });
  return client;
}

async function until<Result>(look: () => Result | undefined): Promise<Result> {
  for (let tries = 0; ; tries++) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (tries > 2000) throw new Error('it never came');
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** The reply to one request. */
async function ask(client: RawClient, type: number, payload: string, transaction = 0) {
  const requestId = client.send(type, payload, transaction);
  const reply = await until(() => client.received.find((packet) => packet.requestId === requestId));
  client.received.splice(client.received.indexOf(reply), 1);
  return Buffer.from(reply.payload).toString('latin1').replace(/\0/g, '|');
}

/** A `xenstore-watch` of Debian's, which holds a watch with libxenstore. */
class WatchCommand {
  private readonly child: ChildProcess;
  private seen: string[] = [];

  constructor(path: string, env: NodeJS.ProcessEnv) {
    this.child = spawn('xenstore-watch', [path], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    this.child.stdout?.on('data', (text) => {
      this.seen.push(...String(text).trim().split('\n'));
    });
  }

  /** Resolves when it has told of this path; what it told of before is forgotten. */
  async tells(path: string): Promise<void> {
    await until(() => this.seen.includes(path));
    this.seen = [];
  }

  async close(): Promise<void> {
    const exited = once(this.child, 'exit');
    if (this.child.kill()) await exited;
  }
}

const lacking = missingForControl();
const title = lacking === undefined ? '' : ` (skipped: ${lacking})`;

describe.skipIf(lacking !== undefined)(`our xenstored becomes ours${title}`, () => {
  test('and its process, clients, watches, open transactions and half requests stay', async () => {
    const ours = keep(await OurProcess.start(program));
    const client = await rawClient(ours.socketPath);
    const other = await rawClient(ours.socketPath);
    await ask(client, XS_WATCH, '/a|token|');
    await ask(other, XS_WRITE, '/a|1');
    const id = Number.parseInt(await ask(client, XS_TRANSACTION_START, '|'), 10);
    await ask(client, XS_WRITE, '/b|in', id);
    const half = encodePacket({
      type: XS_READ,
      requestId: 77,
      transactionId: 0,
      payload: latin1Encode('/a\0'),
    });
    other.stream.write(half.subarray(0, 17));
    client.received.splice(0);

    for (let time = 0; time < 3; time++) {
      const { code, text } = await liveUpdate(ours.environment, program);
      expect(text).toBe('');
      expect(code).toBe(0);
    }

    other.stream.write(half.subarray(17));
    await until(() => other.received.find(({ requestId }) => requestId === 77));
    expect(await ask(other, XS_DIRECTORY, '/')).not.toContain('b|');
    expect(await ask(client, XS_READ, '/b|', id)).toBe('in');
    expect(await ask(client, XS_TRANSACTION_END, 'T|', id)).toBe('OK|');
    expect(await ask(other, XS_READ, '/b|')).toBe('in');
    await ask(other, XS_WRITE, '/a|2');
    await until(() =>
      client.received.find(({ payload }) => String.fromCharCode(...payload) === '/a\0token\0'),
    );
    expect(ours.log.match(/took over/g)).toHaveLength(3);
    expect(readdirSync(ours.directory)).toEqual(['socket']);
  }, 60_000);

  test('under the load of many clients, none of whom can tell', async () => {
    const seed = Date.now() >>> 0;
    const ours = keep(await OurProcess.start(program));
    let over = false;
    const clients = await Promise.all(Array.from({ length: 16 }, () => rawClient(ours.socketPath)));
    const loads = clients.map((client, index) => {
      return load(client, `/load/${index}`, new Prng(seed + index), () => over);
    });
    const said = [];
    for (let time = 0; time < 4; time++) said.push(await liveUpdate(ours.environment, program));
    over = true;
    const done = await Promise.all(loads);
    expect(said, `seed ${seed}`).toEqual(said.map(() => ({ code: 0, text: '' })));
    // Each of them was at work all the time.
    expect(Math.min(...done)).toBeGreaterThan(4);
  }, 120_000);

  describe('or goes on as it is, and says why, where the file', () => {
    const script = (name: string, text: string, mode = 0o755) => {
      const path = join(programDirectory, name);
      writeFileSync(path, text);
      chmodSync(path, mode);
      return path;
    };
    const failing = `#!/usr/bin/env node\nprocess.stderr.write('not today\\n'); process.exit(3);`;
    const vanishing = `#!/usr/bin/env node\nrequire('node:fs').chmodSync(__filename, 0o644);`;

    test.each([
      ['is not there', () => join(programDirectory, 'no'), /ENOENT/],
      ['may not be run', () => script('plain', '#!/usr/bin/env node', 0o644), /EACCES/],
      ['is a directory', () => programDirectory, /it is no file/],
      ['is another script', () => script('shell', '#!/bin/sh\n'), /neither a script for Node/],
      ['refuses the state', () => script('failing.cjs', failing), /not today/],
      ['cannot be run in the end', () => script('vanishing.cjs', vanishing), /execve/],
    ])('%s', async (_, file, reason) => {
      const ours = keep(await OurProcess.start(program));
      const client = await rawClient(ours.socketPath);
      await ask(client, XS_WATCH, '/a|token|');
      const id = Number.parseInt(await ask(client, XS_TRANSACTION_START, '|'), 10);
      const { code, text } = await liveUpdate(ours.environment, file());
      expect(code).toBe(3);
      expect(text).toMatch(reason);
      expect(await ask(client, XS_WRITE, '/a|1', id)).toBe('OK|');
      expect(await ask(client, XS_TRANSACTION_END, 'T|', id)).toBe('OK|');
      expect(readdirSync(ours.directory)).toEqual(['socket']);
      // The refusal is over: the next attempt is a new one.
      expect((await liveUpdate(ours.environment, program)).code).toBe(0);
      expect(await ask(client, XS_READ, '/a|')).toBe('1');
    });

    test('is fine and the state cannot be written', async () => {
      const ours = keep(await OurProcess.start(program));
      mkdirSync(join(ours.directory, 'state_dump'));
      const { code, text } = await liveUpdate(ours.environment, program);
      expect(code).toBe(3);
      expect(text).toMatch(/state_dump/);
      await ask(await rawClient(ours.socketPath), XS_WRITE, '/a|1');
    });
  });
});

/**
 * Writes and reads below `home` as a model says, in transactions and outside, until it is over.
 * Resolves with how many transactions it ended; every answer was right.
 */
async function load(
  client: RawClient,
  home: string,
  prng: Prng,
  isOver: () => boolean,
): Promise<number> {
  const committed = new Map<string, string>();
  let transactions = 0;
  const name = () => `${home}/${prng.below(8)}`;
  while (!isOver()) {
    const id = Number.parseInt(await ask(client, XS_TRANSACTION_START, '|'), 10);
    const within = new Map(committed);
    for (let step = prng.below(6); step >= 0; step--) {
      const path = name();
      if (prng.below(2) === 0) {
        const value = String(prng.below(1_000_000));
        within.set(path, value);
        expect(await ask(client, XS_WRITE, `${path}|${value}`, id)).toBe('OK|');
      } else {
        expect(await ask(client, XS_READ, `${path}|`, id)).toBe(within.get(path) ?? 'ENOENT|');
      }
    }
    const outside = name();
    expect(await ask(client, XS_READ, `${outside}|`)).toBe(committed.get(outside) ?? 'ENOENT|');
    const commits = prng.below(4) > 0;
    expect(await ask(client, XS_TRANSACTION_END, commits ? 'T|' : 'F|', id)).toBe('OK|');
    if (commits) for (const [path, value] of within) committed.set(path, value);
    transactions++;
  }
  return transactions;
}

const lackingC = missingForCDaemon() ?? lacking;
const titleC = lackingC === undefined ? '' : ` (skipped: ${lackingC})`;

describe.skipIf(lackingC !== undefined)(`C's xenstored becomes ours and C's again${titleC}`, () => {
  const toOurs = (daemon: CDaemon) => {
    const options = `run xenstored --no-domain-init --socket ${daemon.socketPath}`;
    return liveUpdate(daemon.environment, program, '-c', options);
  };
  const toC = (daemon: CDaemon, ...options: string[]) =>
    liveUpdate(daemon.environment, C_XENSTORED, '-c', '-N -w watch-event=0', ...options);
  const DONE = { code: 0, text: '' };

  /** The tree with all permissions, as libxenstore tells of it. */
  const tree = async (daemon: CDaemon) =>
    (await run('xenstore-ls', ['-fp'], daemon.environment)).text;

  test('several times, with the same tree, watches, requests and replies', async () => {
    const daemon = keep(await CDaemon.start());
    daemon.makeRing(1);
    await daemon.setDomain(1, 'running');
    const client = await rawClient(daemon.socketPath);
    expect(await ask(client, XS_INTRODUCE, '1|0|101|')).toBe('OK|');
    for (const path of ['/c', '/a', '/b', '/a/z', '/a/y', '/local/domain/1/own']) {
      expect(await ask(client, XS_WRITE, `${path}|value of ${path}`)).toBe('OK|');
    }
    expect(await ask(client, XS_SET_PERMS, '/local/domain/1/own|n1|r0|b7|')).toBe('OK|');
    expect(await ask(client, XS_SET_PERMS, '/a|r0|')).toBe('OK|');
    const watching = keep(new WatchCommand('/a', daemon.environment));
    await watching.tells('/a');
    await ask(client, XS_WATCH, '/c|token|');
    const before = await tree(daemon);
    const halfway = await rawClient(daemon.socketPath);
    expect(before).toContain('/local/domain/1/own = "value of /local/domain/1/own"   (n1,r0,b7)');

    const moves = [toOurs, toC, toOurs, toOurs, toC, toC, toOurs];
    for (const [index, move] of moves.entries()) {
      const half = encodePacket({
        type: XS_READ,
        requestId: 1000 + index,
        transactionId: 0,
        payload: latin1Encode('/b\0'),
      });
      halfway.stream.write(half.subarray(0, 5 + 2 * index));
      expect(await move(daemon)).toEqual(DONE);
      expect(existsSync(join(daemon.directory, 'state_dump'))).toBe(false);
      expect(daemon.program).toMatch(move === toC ? /xenstored$/ : /node/);
      halfway.stream.write(half.subarray(5 + 2 * index));
      await until(() => halfway.received.find(({ requestId }) => requestId === 1000 + index));
      expect(await tree(daemon)).toBe(before);
      client.received.splice(0);
      await ask(client, XS_WRITE, `/a/z|${index}`);
      await ask(client, XS_WRITE, `/c|${index}`);
      await watching.tells('/a/z');
      await until(() => client.received.find(({ type }) => type === XS_WATCH_EVENT));
      await ask(client, XS_WRITE, '/a/z|value of /a/z');
      await ask(client, XS_WRITE, '/c|value of /c');
      expect(await ask(client, XS_CONTROL, 'check|')).toBe('OK|');
    }
  }, 120_000);

  test('with replies and events that a client has not read', async () => {
    const daemon = keep(await CDaemon.start());
    const writer = await rawClient(daemon.socketPath);
    await ask(writer, XS_WRITE, `/long|${'x'.repeat(4000)}`);
    const deaf = await rawClient(daemon.socketPath);
    deaf.deaf = true;
    const requests = Array.from({ length: 400 }, () => deaf.send(XS_READ, '/long|'));
    for (const move of [toOurs, toOurs]) expect(await move(daemon)).toEqual(DONE);
    deaf.deaf = false;
    deaf.pump();
    await until(() => deaf.received.length === requests.length);
    expect(deaf.received.map(({ requestId }) => requestId)).toEqual(requests);
    expect(new Set(deaf.received.map(({ payload }) => payload.length))).toEqual(new Set([4000]));
  }, 60_000);

  test('with a log of its own, since a daemon may have none', async () => {
    const daemon = keep(await CDaemon.start());
    const log = join(daemon.directory, 'log');
    const options = `run xenstored --no-domain-init --socket ${daemon.socketPath} --daemon --log-file ${log}`;
    expect(await liveUpdate(daemon.environment, program, '-c', options)).toEqual(DONE);
    expect(readFileSync(log, 'utf8')).toMatch(/took over from another xenstored/);
    expect(daemon.log).toBe('');
  }, 60_000);

  test('but not while transactions are open, unless they are to be lost', async () => {
    const daemon = keep(await CDaemon.start());
    expect(await toOurs(daemon)).toEqual(DONE);
    const client = await rawClient(daemon.socketPath);
    const id = Number.parseInt(await ask(client, XS_TRANSACTION_START, '|'), 10);
    const refused = await toC(daemon, '-t', '1');
    expect(refused.code).toBe(3);
    expect(refused.text).toMatch(/transactions would be lost, of socket/);
    expect(await ask(client, XS_WRITE, '/a|1', id)).toBe('OK|');
    expect(daemon.program).toMatch(/node/);

    expect(await toC(daemon, '-t', '1', '-F')).toEqual(DONE);
    expect(await ask(client, XS_READ, '/a|', id)).toBe('ENOENT|');
    expect(daemon.program).toMatch(/xenstored$/);
  }, 60_000);

  test('once the last transaction has ended, and others begin only there', async () => {
    const daemon = keep(await CDaemon.start());
    expect(await toOurs(daemon)).toEqual(DONE);
    const [first, second] = [
      await rawClient(daemon.socketPath),
      await rawClient(daemon.socketPath),
    ];
    const id = Number.parseInt(await ask(first, XS_TRANSACTION_START, '|'), 10);
    const moved = toC(daemon, '-t', '30');
    // The update waits: whoever asks for a transaction now gets none.
    await until(() => daemon.log.match(/waits for the transactions/) ?? undefined);
    const begun = second.send(XS_TRANSACTION_START, '|');
    expect(await ask(first, XS_WRITE, '/a|1', id)).toBe('OK|');
    expect(second.received).toEqual([]);
    expect(await ask(first, XS_TRANSACTION_END, 'T|', id)).toBe('OK|');
    expect(await moved).toEqual(DONE);
    await until(() => second.received.find(({ requestId }) => requestId === begun));
    expect(await ask(second, XS_READ, '/a|')).toBe('1');
  }, 60_000);

  test('or stays ours with what Xen 4.17 does not know', async () => {
    const daemon = keep(await CDaemon.start());
    expect(await toOurs(daemon)).toEqual(DONE);
    const client = await rawClient(daemon.socketPath);
    expect(await ask(client, XS_WATCH, '/a|token|1|')).toBe('OK|');
    const { code, text } = await toC(daemon);
    expect(code).toBe(3);
    expect(text).toMatch(/it knows no depth of a watch, as that for \/a has/);
    expect(await ask(client, XS_CONTROL, 'check|')).toBe('OK|');
  }, 60_000);
});
