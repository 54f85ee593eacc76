/**
 * xenstored as a domain of its own beside the process of dom0, ours and C's: each is the first xenstored
 * of a lab of its own, since dom0's kernel takes no second one, and does the same for clients in dom0,
 * through the kernel.
 */
import { join } from 'node:path';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { startCXenstored, startOurs, startStoreDomain } from '../../scripts/lab/host.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { MACHINE_DEFAULTS } from '../../scripts/lab/machine.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { leastMemory } from './least-memory.ts';
import {
  type BenchOptions,
  type Contestant,
  type Figures,
  measureInTurns,
  type Quantity,
  type Row,
} from './rounds.ts';
import type { StoreFigures, StoreLoad } from './store-load.ts';

type Side = 'ours' | 'dom0' | 'c';

/** The domain has so much while it is measured. */
const MEMORY_MIB = 32;
const SIZES_MIB = [4, 6, 7, 8, 12, 16];
const QUICK_SIZES_MIB = [6, 8, 16];
const NODES = 10_000;
const LOAD_LIMIT_MS = 900_000;

const IMAGE_SIZE = 'xenstored: image';
const START = 'xenstored: start, until dom0 is set up';
const LATENCY = {
  read: 'xenstored: read, median latency',
  write: 'xenstored: write, median latency',
} as const;
const RATE = { read: 'xenstored: 8 clients read', write: 'xenstored: 8 clients write' } as const;
const ADDING = `xenstored: add ${NODES.toLocaleString('en')} nodes`;
const LEAST = `xenstored: least memory with ${NODES.toLocaleString('en')} nodes; a process: what it has`;

const QUANTITIES: readonly Quantity[] = [
  { name: START, unit: 's', better: 'lower' },
  { name: LATENCY.read, unit: 'us', better: 'lower' },
  { name: LATENCY.write, unit: 'us', better: 'lower' },
  { name: RATE.read, unit: 'requests/s', better: 'higher' },
  { name: RATE.write, unit: 'requests/s', better: 'higher' },
];

async function load(lab: Lab, work: StoreLoad): Promise<StoreFigures> {
  const program = join(CHECKOUT, 'test/bench/store-load.ts');
  const words = ['node', '--import', 'tsx', program, JSON.stringify(work)];
  return JSON.parse(await lab.run(words, { cwd: CHECKOUT, timeout_ms: LOAD_LIMIT_MS }));
}

class StoreBench {
  private readonly image: string;
  private readonly work: StoreLoad;

  constructor(image: string, work: StoreLoad) {
    this.image = image;
    this.work = work;
  }

  contestant(side: Side): Contestant {
    return { side, measure: () => this.measure(side) };
  }

  private measure(side: Side): Promise<Figures> {
    return this.inLab(async (lab) => {
      const before = performance.now();
      await this.start(lab, side);
      const start_s = (performance.now() - before) / 1000;
      const { read_us, write_us, readsPerSecond, writesPerSecond } = await load(lab, {
        ...this.work,
        nodes: 0,
      });
      return new Map([
        [START, start_s],
        [LATENCY.read, read_us],
        [LATENCY.write, write_us],
        [RATE.read, readsPerSecond],
        [RATE.write, writesPerSecond],
      ]);
    });
  }

  /** Resolves with how long it took a domain of that memory to take all nodes. */
  addInDomain(memory_mib: number): Promise<number> {
    return this.inLab(async (lab) => {
      await startStoreDomain(lab, this.image, memory_mib);
      return (await load(lab, { requests: 1, nodes: NODES })).adding_s;
    });
  }

  /** The same for a process, and the MiB that it has in the end. */
  addInProcess(side: 'dom0' | 'c'): Promise<{ adding_s: number; memory_mib: number }> {
    return this.inLab(async (lab) => {
      await this.start(lab, side);
      const { adding_s } = await load(lab, { requests: 1, nodes: NODES });
      const pid = side === 'c' ? 'pidof xenstored' : "pgrep -of 'run xenstored'";
      const kib = await lab.run(`awk '/^VmRSS/ { print $2 }' /proc/$(${pid})/status`);
      return { adding_s, memory_mib: Number(kib) / 1024 };
    });
  }

  private async start(lab: Lab, side: Side): Promise<void> {
    if (side === 'ours') return startStoreDomain(lab, this.image, MEMORY_MIB);
    await (side === 'c' ? startCXenstored(lab) : startOurs(lab, 'xenstored'));
    await lab.run('xen-init-dom0');
  }

  private async inLab<Result>(work: (lab: Lab) => Promise<Result>): Promise<Result> {
    const lab = await Lab.boot(MACHINE_DEFAULTS);
    try {
      return await work(lab);
    } finally {
      await lab.close();
    }
  }
}

/** What is measured once: with all nodes there. */
async function benchNodes(bench: StoreBench, sizes_mib: readonly number[]): Promise<Row[]> {
  const adding_s = new Map<number, number>();
  const least_mib = await leastMemory('xenstored', sizes_mib, async (memory_mib) => {
    try {
      adding_s.set(memory_mib, await bench.addInDomain(memory_mib));
      return true;
    } catch (error) {
      process.stderr.write(`${error}\n`);
      return false;
    }
  });
  const [dom0, c] = [await bench.addInProcess('dom0'), await bench.addInProcess('c')];
  return [
    {
      ...{ name: ADDING, unit: 's', better: 'lower' },
      ours: adding_s.get(least_mib) as number,
      peers: { dom0: dom0.adding_s, c: c.adding_s },
    },
    {
      ...{ name: LEAST, unit: 'MiB', better: 'lower' },
      ours: least_mib,
      peers: { dom0: dom0.memory_mib, c: c.memory_mib },
    },
  ];
}

/** @param directory for the image */
export async function benchStoreDomain({ quick }: BenchOptions, directory: string): Promise<Row[]> {
  const image = join(directory, 'xenstored.elf');
  const bytes = await buildImage('stubdoms/xenstored/unikernel.ts', image);
  const bench = new StoreBench(image, { requests: quick ? 50 : 300, nodes: 0 });
  const sides: readonly Side[] = ['ours', 'dom0', 'c'];
  const contestants = sides.map((side) => bench.contestant(side));
  return [
    { name: IMAGE_SIZE, unit: 'kB', better: 'lower', ours: bytes / 1000, peers: {} },
    ...(await benchNodes(bench, quick ? QUICK_SIZES_MIB : SIZES_MIB)),
    ...(await measureInTurns(QUANTITIES, contestants, quick ? 1 : 3)),
  ];
}
