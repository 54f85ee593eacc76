/**
 * Vchans beside vchan-socket-proxy, each as the client of the same server of libxenvchan with rings
 * of each size: without Xen, over shared memory in a file, and in dom0 of the lab. Without Xen also
 * a vchan between two processes of ours beside a Unix socket between the same two.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildSync } from 'esbuild';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Host } from '../../scripts/lab/host.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { MACHINE_DEFAULTS } from '../../scripts/lab/machine.ts';
import { DOM0 } from '../../src/base/ids.ts';
import { vchanDuplex } from '../../src/node/vchan-duplex.ts';
import { VchanConnector } from '../../src/vchan/client.ts';
import { LocalHost, missingForProxy, PROXY } from '../vchan/shared-memory/local-host.ts';
import { compile } from '../xenstored/c-daemon/stand-in.ts';
import {
  type BenchOptions,
  type Contestant,
  type Figures,
  measureInTurns,
  type Quantity,
  type Row,
} from './rounds.ts';
import { type BridgeLoad, type Load, type Measured, measure, measureBridge } from './vchan-load.ts';

const KEYS = '/local/domain/0/data/vchan/0/bench';
const SIZES = [1024, 4096, 16_384, 65_536, 1 << 20];

const through = (where: string, size: number) => `${where}: rings of ${size} bytes`;

function quantities(name: string): Quantity[] {
  return [
    { name: `${name}, throughput`, unit: 'MB/s', better: 'higher' },
    { name: `${name}, round trip`, unit: 'us', better: 'lower' },
  ];
}

function figures(name: string, measured: Measured): Figures {
  const [throughput, latency] = quantities(name).map((quantity) => quantity.name);
  return new Map([
    [throughput ?? '', measured.throughput],
    [latency ?? '', measured.latency],
  ]);
}

/** The two bridges, each before a fresh server with rings of each size. */
function bridges(
  where: string,
  load: (size: number, side: 'ours' | 'libxenvchan') => BridgeLoad,
  run: (load: BridgeLoad) => Promise<Measured>,
): Contestant[] {
  return (['ours', 'libxenvchan'] as const).map((side) => ({
    side,
    async measure() {
      const all: [string, number][] = [];
      for (const size of SIZES) {
        all.push(...figures(through(where, size), await run(load(size, side))));
      }
      return new Map(all);
    },
  }));
}

const quantitiesOf = (where: string) => SIZES.flatMap((size) => quantities(through(where, size)));

/** A program of the bench as one file, as the commands are: run from its sources it is slower. */
function bundle(source: string, outfile: string): void {
  const entryPoints = [join(CHECKOUT, 'test/bench', source)];
  const external = ['*.node'];
  buildSync({ entryPoints, outfile, bundle: true, platform: 'node', format: 'esm', external });
}

function processOfOurs(...args: string[]): string[] {
  // Somewhere in the checkout, since it looks for the native shim from where it lies.
  const program = join(CHECKOUT, '.cache/bench/vchan-process.mjs');
  bundle('vchan-process.ts', program);
  return [process.execPath, program, ...args];
}

/** How a server of libxenvchan and a bridge of either side are started. */
function bridgeLoad(load: Load, directory: string, cEnd: string, ours: readonly string[]) {
  const socket = join(directory, 'bridge');
  let runs = 0;
  return (
    size: number,
    side: 'ours' | 'libxenvchan',
    env: Record<string, string> = {},
  ): BridgeLoad => {
    // A server that was ended by a signal leaves its keys, and a client must not find those.
    const keys = `${KEYS}-${++runs}`;
    const words =
      side === 'ours' ? [...ours, keys, socket] : [PROXY, '--mode=client', '0', keys, socket];
    return {
      ...load,
      socket,
      server: { words: [cEnd, 'server', '0', keys, 'serve', `${size}`, `${size}`], env },
      bridge: side === 'ours' ? { words } : { words, env },
    };
  };
}

async function withoutXen(load: Load, rounds: number): Promise<Row[]> {
  const host = await LocalHost.start();
  try {
    const cEnd = join(host.directory, 'c-end');
    compile(join(CHECKOUT, 'test/vchan/c-end.c'), cEnd, '-O2', '-lxenvchan');
    const ours = processOfOurs('bridge', host.directory);
    const make = bridgeLoad(load, host.directory, cEnd, ours);
    const contestants = bridges(
      'bridge without Xen',
      (size, side) => make(size, side, host.environmentForC()),
      measureBridge,
    );
    return await measureInTurns(quantitiesOf('bridge without Xen'), contestants, rounds);
  } finally {
    host.close();
  }
}

/** A process that is told what to do, and what is to be undone when it was measured. */
async function told(words: readonly string[], isReady: () => Promise<boolean>) {
  const [program = '', ...args] = words;
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  while (!(await isReady())) await delay(20);
  return async () => {
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
}

async function twoProcesses(load: Load, rounds: number): Promise<Row[]> {
  const name = 'between two processes without Xen';
  const host = await LocalHost.start();
  try {
    const end = await host.end();
    const overVchan = async () => {
      const words = processOfOurs('vchan', host.directory, KEYS, `${1 << 20}`);
      const ready = async () =>
        (await end.xenstore.readIfPresent(`${KEYS}/ring-ref`)) !== undefined;
      const stop = await told(words, ready);
      const connector = await VchanConnector.open(end, DOM0, KEYS);
      const stream = vchanDuplex(await connector.connect());
      const measured = await measure(stream, load);
      stream.destroy();
      await connector.close();
      await stop();
      await end.xenstore.remove(KEYS);
      return figures(name, measured);
    };
    const overSocket = async () => {
      const socket = join(host.directory, 'plain');
      const stop = await told(processOfOurs('socket', socket), async () => existsSync(socket));
      const stream = createConnection(socket);
      await once(stream, 'connect');
      const measured = await measure(stream, load);
      stream.destroy();
      await stop();
      rmSync(socket, { force: true });
      return figures(name, measured);
    };
    const contestants: Contestant[] = [
      { side: 'ours', measure: overVchan },
      { side: 'socket', measure: overSocket },
    ];
    return await measureInTurns(quantities(name), contestants, rounds);
  } finally {
    host.close();
  }
}

async function inTheLab(load: Load, rounds: number): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'paravane-bench-'));
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  try {
    await Host.start(lab);
    const driver = join(directory, 'driver.mjs');
    bundle('vchan-in-dom0.ts', driver);
    const cEnd = join(directory, 'c-end');
    compile(join(CHECKOUT, 'test/vchan/c-end.c'), cEnd, '-O2', '-lxenvchan');
    const paravane = join(CHECKOUT, 'dist/paravane.js');
    const ours = [process.execPath, paravane, 'vchan', 'connect', '0'];
    const run = async (one: BridgeLoad): Promise<Measured> => {
      const words = [process.execPath, driver, JSON.stringify(one)];
      return JSON.parse(await lab.run(words, { timeout_ms: 300_000 }));
    };
    const make = bridgeLoad(load, '/run', cEnd, ours);
    const sized = (size: number, side: 'ours' | 'libxenvchan') => ({
      ...make(size, side),
      bytes: emulatedBytes(size, load.bytes),
    });
    const contestants = bridges('bridge in dom0', sized, run);
    return await measureInTurns(quantitiesOf('bridge in dom0'), contestants, rounds);
  } finally {
    await lab.close();
    rmSync(directory, { recursive: true });
  }
}

/** The emulated processors make the small rings slow; a large one must be filled more than once. */
const emulatedBytes = (size: number, bytes: number) => Math.max(bytes, 8 * size);

export async function benchVchan({ quick, part }: BenchOptions): Promise<Row[]> {
  const missing = missingForProxy();
  if (missing !== undefined) throw new Error(`there is nothing to compare with: ${missing}`);
  const rounds = quick ? 1 : 5;
  const native = quick ? { bytes: 16 << 20, pings: 500 } : { bytes: 256 << 20, pings: 5000 };
  const emulated = quick ? { bytes: 1 << 20, pings: 100 } : { bytes: 4 << 20, pings: 300 };
  const parts: Readonly<Record<string, () => Promise<Row[]>>> = {
    bridge: () => withoutXen(native, rounds),
    processes: () => twoProcesses(native, rounds),
    lab: () => inTheLab(emulated, quick ? 1 : 3),
  };
  const names = part === undefined ? Object.keys(parts) : [part];
  const rows: Row[] = [];
  for (const name of names) {
    const run = parts[name];
    if (run === undefined) throw new Error(`the parts are ${Object.keys(parts).join(', ')}`);
    rows.push(...(await run()));
  }
  return rows;
}
