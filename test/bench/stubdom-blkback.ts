/**
 * The block back end as a driver domain in three forms: our unikernel, our Linux runtime, and Debian's
 * kernel with its own xen-blkback; beside the process of dom0. Each driver domain's own disk is one that
 * dom0's process serves from a file in memory, so that what a domain adds is all that differs. dom0 is
 * their guest, with Linux's front end and fio.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { diskLine, Host, PARAVANE, startOurs } from '../../scripts/lab/host.ts';
import { guestInitramfs } from '../../scripts/lab/initramfs.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { MACHINE_DEFAULTS } from '../../scripts/lab/machine.ts';
import { debianKernel } from '../../src/dom0/image/debian-kernel.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { buildLinuxImage } from '../../src/dom0/image/linux-image.ts';
import {
  type DriverDomainForm,
  driverDomainConfig,
  linux,
  unikernel,
} from '../xen/driver-domain.ts';
import { leastMemory } from './least-memory.ts';
import {
  type BenchOptions,
  type Contestant,
  type Figures,
  measureInTurns,
  type Quantity,
  type Row,
} from './rounds.ts';

const NAME = 'bench';
const IMAGE = '/run/bench.img';
const IMAGE_MIB = 128;
const VDEV = 'xvdb';
/** The second process of dom0 beside the one that serves the driver domains. */
const TYPE = 'bench';
const READY_AT = '/run/bench.ready';
const LIMIT_S = 300;
/** After which a domain that has ended is noticed. */
const LOOK_S = 5;
const DISK_LIMIT_S = 60;
const COMMAND_LIMIT_MS = 400_000;
/** Emulated, and with a driver domain that swaps, say. */
const LOAD_LIMIT_MS = 120_000;

const IMAGE_SIZE = 'blkback: image, kernel included';
const LEAST = 'blkback: least memory';
const READY = 'blkback: from unpause to ready; a process: from its start';
const LATENCY = 'blkback: read 4 KiB at random, depth 1, median latency';
const IOPS = [1, 32].map((depth) => ({
  depth,
  name: `blkback: read 4 KiB at random, depth ${depth}`,
}));

const QUANTITIES: readonly Quantity[] = [
  { name: READY, unit: 's', better: 'lower' },
  { name: LATENCY, unit: 'us', better: 'lower' },
  ...IOPS.map(({ name }) => ({ name, unit: 'IOPS', better: 'higher' as const })),
];

/** What a Linux guest does to be a driver domain with its kernel's back end. */
const KERNEL_SCRIPT = `
until [ -b /dev/xvda ]; do sleep 0.1; done
echo 'blkback is ready'
while true; do sleep 1000; done
`;

interface Side {
  readonly side: 'ours' | 'linux' | 'kernel';
  readonly form: (memory_mib: number) => DriverDomainForm;
  readonly memory_mib: number;
  /** To be tried, ascending. */
  readonly sizes_mib: readonly number[];
  readonly bytes: number;
}

async function makeSides(directory: string): Promise<Side[]> {
  const kernelBytes = (await stat(debianKernel().image)).size;
  const [elf, initramfs] = [join(directory, 'blkback.elf'), join(directory, 'blkback.initramfs')];
  const ofKernel = guestInitramfs(KERNEL_SCRIPT, [], ['xen-blkback']);
  return [
    {
      side: 'ours',
      form: (memory_mib) => unikernel(elf, memory_mib),
      memory_mib: 16,
      sizes_mib: [3, 4, 5, 6, 8, 12, 16],
      bytes: await buildImage('stubdoms/blkback/unikernel.ts', elf),
    },
    {
      side: 'linux',
      form: (memory_mib) => linux(initramfs, memory_mib),
      memory_mib: 384,
      sizes_mib: [128, 192, 256, 320, 352, 384],
      bytes: kernelBytes + (await buildLinuxImage(['blkback', '--driver-domain'], initramfs)),
    },
    {
      side: 'kernel',
      form: (memory_mib) => linux(ofKernel, memory_mib),
      memory_mib: 192,
      sizes_mib: [64, 80, 96, 112, 128, 192],
      bytes: kernelBytes + (await stat(ofKernel)).size,
    },
  ];
}

interface Reads {
  readonly iops: number;
  readonly median_us: number;
}

class BlkbackBench {
  private readonly host: Host;
  private readonly seconds: number;

  private constructor(host: Host, seconds: number) {
    this.host = host;
    this.seconds = seconds;
  }

  /** @param seconds of each load */
  static async open(seconds: number): Promise<BlkbackBench> {
    return new BlkbackBench(await startHost(), seconds);
  }

  close(): Promise<void> {
    return this.host.lab.close();
  }

  ofDomain(side: Side): Contestant {
    return { side: side.side, measure: () => this.measureDomain(side) };
  }

  ofProcess(): Contestant {
    return { side: 'dom0', measure: () => this.measureProcess() };
  }

  /** Whether the domain becomes ready with so much memory, and its disk can be read. */
  async worksWith(side: Side, memory_mib: number): Promise<boolean> {
    try {
      await this.start(side, memory_mib);
      await this.withDisk(side, () => this.read(32, 1));
      return true;
    } catch (error) {
      process.stderr.write(`${error}\n${await this.console()}\n`);
      return false;
    } finally {
      await this.end();
    }
  }

  private async measureDomain(side: Side): Promise<Figures> {
    const ready_s = await this.start(side, side.memory_mib);
    try {
      return await this.withDisk(side, () => this.figures(ready_s));
    } finally {
      await this.end();
    }
  }

  private async measureProcess(): Promise<Figures> {
    const before = performance.now();
    const blkback = await startOurs(this.host.lab, 'blkback', '--type', TYPE);
    const ready_s = (performance.now() - before) / 1000;
    try {
      await this.attach(IMAGE, '--type', TYPE);
      return await this.whileThere(() => this.figures(ready_s));
    } finally {
      await blkback.stop();
    }
  }

  private async figures(ready_s: number): Promise<Figures> {
    const figures = new Map([[READY, ready_s]]);
    for (const { depth, name } of IOPS) {
      const { iops, median_us } = await this.read(depth, this.seconds);
      figures.set(name, iops);
      if (depth === 1) figures.set(LATENCY, median_us);
    }
    return figures;
  }

  /** Resolves with the seconds from unpause to ready. */
  private async start(side: Side, memory_mib: number): Promise<number> {
    const form = side.form(memory_mib);
    const { lab } = this.host;
    const path = `/run/${NAME}.cfg`;
    const log = `/var/log/xen/console/guest-${NAME}.log`;
    await lab.run(`cat >${path}`, { input: driverDomainConfig(NAME, form, [diskLine(IMAGE)]) });
    await lab.run(`rm -f ${log}; xl create -p ${path}`, { timeout_ms: COMMAND_LIMIT_MS });
    // Here, and not from outside: the way to dom0 takes longer than a unikernel to be ready. Nor by
    // looking again and again: dom0 would take the processor that the domain needs.
    const { code, stdout } = await lab.attempt(
      `rm -f ${READY_AT}; begin=$(date +%s%N); xl unpause ${NAME}
       while
         timeout ${LOOK_S} tail -n +1 -F ${log} 2>/dev/null |
           { grep -q -m 1 '${form.ready.source}' && date +%s%N >${READY_AT}; }
         [ ! -s ${READY_AT} ]
       do
         xl domid ${NAME} >/dev/null 2>&1 || exit 3
         ((SECONDS < ${LIMIT_S})) || exit 4
       done
       echo $((($(cat ${READY_AT}) - begin) / 1000000))`,
      { timeout_ms: COMMAND_LIMIT_MS },
    );
    if (code === 3) throw new Error('the domain has ended before it was ready');
    if (code !== 0) {
      throw new Error(`the domain was not ready within ${LIMIT_S} s:\n${await this.console()}`);
    }
    return Number(stdout) / 1000;
  }

  private async withDisk<Result>(side: Side, work: () => Promise<Result>): Promise<Result> {
    const domid = (await this.host.lab.run(['xl', 'domid', NAME])).trim();
    const { target } = side.form(side.memory_mib);
    await this.attach(target, '--backend', domid);
    if (side.side === 'kernel') await this.nameDevice(domid);
    return this.whileThere(work);
  }

  /** Waits for the disk that was attached, and takes it away after the work. */
  private async whileThere<Result>(work: () => Promise<Result>): Promise<Result> {
    const { lab } = this.host;
    const detach = ['node', PARAVANE, 'block', 'detach', '0', VDEV];
    try {
      const look = `timeout ${DISK_LIMIT_S} sh -c 'until [ -b /dev/${VDEV} ]; do sleep 0.2; done'`;
      await lab.run(look, { timeout_ms: COMMAND_LIMIT_MS });
      const result = await work();
      await lab.run(detach, { timeout_ms: COMMAND_LIMIT_MS });
      return result;
    } catch (error) {
      await lab.attempt([...detach, '--force'], { timeout_ms: COMMAND_LIMIT_MS });
      throw error;
    }
  }

  private async attach(disk: string, ...options: string[]): Promise<void> {
    await this.host.paravane('block', 'attach', '0', disk, '--vdev', VDEV, '--no-wait', ...options);
  }

  /** What its hotplug script would tell Linux's back end: xvda's numbers. */
  private async nameDevice(domid: string): Promise<void> {
    const directory = `/local/domain/${domid}/backend/vbd/0`;
    await this.host.lab.run(
      `back=${directory}/$(xenstore-list ${directory})
       xenstore-write $back/type phy $back/physical-device ca:0 $back/hotplug-status connected`,
    );
  }

  private async read(depth: number, seconds: number): Promise<Reads> {
    const out = await this.host.lab.run(
      `fio --name=bench --filename=/dev/${VDEV} --size=${IMAGE_MIB}M --ioengine=libaio --direct=1 ` +
        `--rw=randread --bs=4k --iodepth=${depth} --time_based --runtime=${seconds} ` +
        '--output-format=json --eta=never',
      { timeout_ms: LOAD_LIMIT_MS },
    );
    const { iops, clat_ns } = JSON.parse(out).jobs[0].read;
    return { iops, median_us: clat_ns.percentile['50.000000'] / 1000 };
  }

  private async console(): Promise<string> {
    return (await this.host.lab.attempt(`tail -n 20 /var/log/xen/console/guest-${NAME}.log`))
      .stdout;
  }

  private async end(): Promise<void> {
    const { lab } = this.host;
    await lab.attempt(['xl', 'destroy', NAME], { timeout_ms: COMMAND_LIMIT_MS });
    await lab.waitFor('end of the domain', async () => {
      return (await lab.attempt(['xl', 'domid', NAME])).code === 0 ? undefined : true;
    });
  }
}

/** The disk's image, and dom0's own process that serves it. */
async function startHost(): Promise<Host> {
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  const host = await Host.start(lab);
  await lab.run(`modprobe xen-blkfront && head -c ${IMAGE_MIB}M /dev/urandom >${IMAGE}`);
  return host;
}

/** @param step how many of the sizes are one for the search */
async function leastMemories(
  bench: BlkbackBench,
  sides: readonly Side[],
  step: number,
): Promise<Row> {
  const least = new Map<string, number>();
  for (const side of sides) {
    const { sizes_mib } = side;
    const sizes = sizes_mib.filter((_, index) => (sizes_mib.length - 1 - index) % step === 0);
    const works = (memory_mib: number) => bench.worksWith(side, memory_mib);
    least.set(side.side, await leastMemory(`blkback: ${side.side}`, sizes, works));
  }
  return oneRow({ name: LEAST, unit: 'MiB', better: 'lower' }, least);
}

function oneRow(quantity: Quantity, bySide: ReadonlyMap<string, number>): Row {
  const { ours, ...peers } = Object.fromEntries(bySide);
  return { ...quantity, ours: ours as number, peers };
}

/** @param directory for the images */
export async function benchDriverDomain(
  { quick }: BenchOptions,
  directory: string,
): Promise<Row[]> {
  const sides = await makeSides(directory);
  const sizes = new Map(sides.map(({ side, bytes }) => [side, bytes / 1000]));
  const bench = await BlkbackBench.open(quick ? 2 : 5);
  try {
    const contestants = [...sides.map((side) => bench.ofDomain(side)), bench.ofProcess()];
    return [
      oneRow({ name: IMAGE_SIZE, unit: 'kB', better: 'lower' }, sizes),
      ...(await measureInTurns(QUANTITIES, contestants, quick ? 1 : 3)),
      await leastMemories(bench, sides, quick ? 4 : 1),
    ];
  } finally {
    await bench.close();
  }
}
