/**
 * What a vchan is measured with. At the other end of a stream something does what it is told in 11
 * bytes: `e` and ten digits, to send so many single bytes back as they come, or `s` and ten digits,
 * to take so many bytes and send one when all have come. test/vchan/c-end.c is the same in C.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { median } from './rounds.ts';

export const COMMAND_LENGTH = 11;

const command = (letter: 'e' | 's', count: number) =>
  Buffer.from(`${letter}${String(count).padStart(COMMAND_LENGTH - 1, '0')}`);

export interface Load {
  readonly bytes: number;
  readonly pings: number;
}

export interface Measured {
  /** MB/s of 10^6 bytes. */
  readonly throughput: number;
  /** Microseconds, the median of all round trips. */
  readonly latency: number;
}

/** Measures the way through `stream` and back, once it was gone often enough to be compiled. */
export async function measure(stream: Duplex, load: Load): Promise<Measured> {
  await measureOnce(stream, { bytes: load.bytes >> 2, pings: load.pings >> 2 });
  return measureOnce(stream, load);
}

async function measureOnce(stream: Duplex, { bytes, pings }: Load): Promise<Measured> {
  const portion = Buffer.alloc(65_536, 7);
  stream.write(command('s', bytes));
  const answer = once(stream, 'data');
  const start = performance.now();
  for (let left = bytes; left > 0; left -= portion.length) {
    if (!stream.write(portion.subarray(0, Math.min(left, portion.length)))) {
      await once(stream, 'drain');
    }
  }
  await answer;
  const throughput = bytes / (performance.now() - start) / 1000;

  stream.write(command('e', pings));
  const trips: number[] = [];
  for (let ping = 0; ping < pings; ping++) {
    const sent = performance.now();
    const back = once(stream, 'data');
    stream.write('x');
    await back;
    trips.push((performance.now() - sent) * 1000);
  }
  return { throughput, latency: median(trips) ?? 0 };
}

/** Does what it is told over `stream` until that ends. */
export function serve(stream: Duplex): void {
  let told = '';
  let left = 0;
  stream.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      if (left === 0) {
        const part = chunk.subarray(at, at + COMMAND_LENGTH - told.length);
        told += part.toString('latin1');
        at += part.length;
        if (told.length === COMMAND_LENGTH) left = Number(told.slice(1));
        continue;
      }
      const taken = told[0] === 'e' ? 1 : Math.min(left, chunk.length - at);
      left -= taken;
      if (told[0] === 'e' || left === 0) stream.write(chunk.subarray(at, at + 1));
      if (left === 0) told = '';
      at += taken;
    }
  });
  stream.on('error', () => {});
}

/** A command line and what it needs in its environment. */
export interface CommandLine {
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface BridgeLoad extends Load {
  /** libxenvchan's server, `c-end … serve`. */
  readonly server: CommandLine;
  /** What bridges a vchan to `socket`, as its client. */
  readonly bridge: CommandLine;
  readonly socket: string;
}

function start({ words: [program = '', ...args], env = {} }: CommandLine): ChildProcess {
  const environment = { ...process.env, ...env };
  return spawn(program, args, { env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** Measures one bridge before one server, both started anew. */
export async function measureBridge(load: BridgeLoad): Promise<Measured> {
  const server = start(load.server);
  const bridge = start(load.bridge);
  try {
    while (!existsSync(load.socket)) await delay(20);
    const stream = createConnection(load.socket);
    await once(stream, 'connect');
    const measured = await measure(stream, load);
    stream.destroy();
    return measured;
  } finally {
    await end(server);
    await end(bridge);
    rmSync(load.socket, { force: true });
  }
}
