/**
 * A real xenstored process, killed again and again under random clients. Each client knows what is
 * in its own part of the store: what it was told is there, and what it was not told may be.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { Prng } from '../../../src/base/prng.ts';
import { loadNative } from '../../../src/hypervisor/linux/native.ts';
import { followXenstore } from '../../../src/node/xenstore-access.ts';
import { connectXenstoreSocket } from '../../../src/node/xenstore-socket.ts';
import { Stepper } from '../../../src/xenbus/stepper.ts';
import type { XenstoreClient } from '../../../src/xenstore/client.ts';
import type { Xenstore } from '../../../src/xenstore/xenstore.ts';
import {
  type Change,
  changed,
  differences,
  type Nodes,
  nodesBelow,
  perform,
  randomChange,
} from './nodes-model.ts';

const CLIENTS = 6;
const TOP = '/torture';
const KILL_AFTER_MAX_MS = 400;
const START_LIMIT_MS = 30_000;
const CHANGES_IN_TRANSACTION_MAX = 5;
const QUIET_LIMIT_MS = 10_000;

export interface ProcessTortureOptions {
  readonly seed: number;
  /** How `paravane` is run. */
  readonly program: readonly string[];
  /** Whether to go on after so many kills. */
  readonly goesOn: (kills: number) => boolean;
}

export interface ProcessTorture {
  readonly kills: number;
  readonly changes: number;
  /** Readable lines; none when all is as it should be. */
  readonly differences: readonly string[];
}

/** The daemon, one process after the other. */
class Daemon {
  readonly directory = mkdtempSync(join(tmpdir(), 'paravane-torture-'));
  readonly socket = join(this.directory, 'socket');
  private readonly program: readonly string[];
  private child: ChildProcess | undefined;

  constructor(program: readonly string[]) {
    this.program = program;
  }

  async start(): Promise<void> {
    const journal = join(this.directory, 'journal');
    const options = ['run', 'xenstored', '-D', '--socket', this.socket, '--journal', journal];
    const child = spawn(process.execPath, [...this.program, ...options], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child = child;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`xenstored says ${said}`)), START_LIMIT_MS);
      child.stderr?.on('data', (data: Buffer) => {
        said += data.toString('utf8');
        if (!said.includes('is ready')) return;
        clearTimeout(timer);
        resolve();
      });
      child.once('exit', () => {
        clearTimeout(timer);
        reject(new Error(`xenstored ended: ${said}`));
      });
    });
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}

/** One client, in its own part of the store. */
class Worker {
  readonly top: string;
  readonly found: string[] = [];
  changes = 0;
  stopped = false;
  /** What may be there: one, unless a change was asked for and not answered. */
  private possible: Nodes[] = [new Map()];
  private readonly daemon: Daemon;
  private readonly prng: Prng;
  private client: XenstoreClient | undefined;

  constructor(daemon: Daemon, number: number, seed: number) {
    this.top = `${TOP}/${number}`;
    this.daemon = daemon;
    this.prng = new Prng(seed * CLIENTS + number);
  }

  async run(): Promise<void> {
    while (!this.stopped && this.found.length === 0) {
      await this.unlessCut(async () => {
        const client = await this.connected();
        for (let i = 0; i < 20 && !this.stopped; i++) await this.change(client);
        await this.compare(client);
      });
    }
  }

  /** Compares once more, when nobody kills any longer. */
  async finish(): Promise<Nodes> {
    const client = await this.connected();
    await this.compare(client);
    client.close();
    return this.possible[0] as Nodes;
  }

  private async unlessCut(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.client = undefined;
      const code = errorCode(error);
      if (code !== 'ECONNRESET' && code !== 'ENOTCONN' && code !== 'ENOENT') {
        this.found.push(`${this.top}: ${(error as Error).message}`);
      }
      await sleep(10);
    }
  }

  private async connected(): Promise<XenstoreClient> {
    if (this.client !== undefined) return this.client;
    const client = await connectXenstoreSocket(this.daemon.socket);
    await this.compare(client);
    this.client = client;
    return client;
  }

  private async change(client: XenstoreClient): Promise<void> {
    const inTransaction = this.prng.chance(0.3);
    const count = inTransaction ? 1 + this.prng.below(CHANGES_IN_TRANSACTION_MAX) : 1;
    const wanted = Array.from({ length: count }, () => randomChange(this.prng, this.top));
    const [before] = this.possible as [Nodes];
    const after = wanted.reduce((nodes, one) => changed(nodes, one, this.top), before);
    this.possible = [before, after];
    const all = async (store: Pick<Xenstore, 'write'> & Parameters<typeof perform>[0]) => {
      for (const one of wanted as Change[]) await perform(store, one);
    };
    if (inTransaction) await client.transaction(all);
    else await all(client);
    this.possible = [after];
    this.changes += count;
  }

  private async compare(client: XenstoreClient): Promise<void> {
    const there = await client.transaction((nodes) => nodesBelow(nodes, this.top));
    const fitting = this.possible.find((nodes) => differences(nodes, there).length === 0);
    if (fitting !== undefined) {
      this.possible = [fitting];
      return;
    }
    for (const nodes of this.possible) this.found.push(...differences(nodes, there));
  }
}

/** Somebody who watches all of it and looks again at what changes. */
class Follower {
  readonly seen = new Map<string, string>();
  private readonly store: Xenstore;
  /** Paths to look at, one after the other: what was read later counts. */
  private readonly changed = new Set<string>();
  private readonly looking = new Stepper(() => this.look());

  private constructor(store: Xenstore) {
    this.store = store;
  }

  static async start(daemon: Daemon): Promise<Follower> {
    const follower = new Follower(
      await followXenstore({ native: loadNative, path: daemon.socket }, silentLog),
    );
    await follower.store.watch(TOP, (path) => {
      follower.changed.add(path);
      follower.looking.wake();
    });
    return follower;
  }

  async stop(): Promise<void> {
    this.store.close();
    await this.looking.stop();
  }

  private async look(): Promise<void> {
    try {
      for (const path of this.changed) {
        this.changed.delete(path);
        await this.lookAt(path);
      }
    } catch {
      // It was closed.
    }
  }

  private async lookAt(path: string): Promise<void> {
    const there = await this.store.transaction((nodes) => nodesBelow(nodes, path));
    for (const at of [...this.seen.keys()]) {
      if ((at === path || at.startsWith(`${path}/`)) && !there.has(at)) this.seen.delete(at);
    }
    for (const [at, value] of there) this.seen.set(at, value);
    // Nodes above may have come into being with this one.
    const above = path.slice(0, path.lastIndexOf('/'));
    if (above.length > TOP.length && !this.seen.has(above)) this.changed.add(above);
  }
}

export async function tortureProcess(options: ProcessTortureOptions): Promise<ProcessTorture> {
  const { seed, program, goesOn } = options;
  const prng = new Prng(seed);
  const daemon = new Daemon(program);
  try {
    await daemon.start();
    const follower = await Follower.start(daemon);
    const workers = Array.from({ length: CLIENTS }, (_, i) => new Worker(daemon, i, seed));
    const working = workers.map((worker) => worker.run());
    let kills = 0;
    while (goesOn(kills) && workers.every(({ found }) => found.length === 0)) {
      await sleep(prng.below(KILL_AFTER_MAX_MS));
      await daemon.kill();
      await daemon.start();
      kills++;
    }
    for (const worker of workers) worker.stopped = true;
    await Promise.all(working);
    const all = new Map<string, string>();
    for (const worker of workers) {
      for (const [path, value] of await worker.finish()) all.set(path, value);
    }
    const found = workers.flatMap((worker) => worker.found);
    if (found.length === 0) found.push(...(await watcherDifferences(follower, all)));
    await follower.stop();
    return {
      kills,
      changes: workers.reduce((sum, { changes }) => sum + changes, 0),
      differences: found,
    };
  } finally {
    await daemon.kill();
    rmSync(daemon.directory, { recursive: true });
  }
}

/** What the watcher has not heard of, once it has had the time to look. */
async function watcherDifferences({ seen }: Follower, all: Nodes): Promise<string[]> {
  const look = () => {
    const below = new Map(seen);
    below.delete(TOP);
    return differences(all, below).map((line) => `the watcher: ${line}`);
  };
  const end_ms = performance.now() + QUIET_LIMIT_MS;
  while (look().length > 0 && performance.now() < end_ms) await sleep(50);
  return look();
}
