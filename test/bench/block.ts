/**
 * Our block back end beside Linux's and QEMU's, on one image in one dom0, for one Linux guest: fio in
 * the guest, each back end in turn. The image is a file in ext4 on a RAM disk, so that nobody waits for
 * storage and all have a file system that is in use on real hosts below them. Boots the lab, which
 * `scripts/setup` prepares.
 */
import { join } from 'node:path';
import { OUR_TYPE, type Peer, peerDisk } from '../../scripts/lab/block-peers.ts';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Guest, guestToolsDisk, toolsGuestInitramfs } from '../../scripts/lab/guest.ts';
import { Host } from '../../scripts/lab/host.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { MACHINE_DEFAULTS } from '../../scripts/lab/machine.ts';
import { CostMeter, costQuantities, enterCosts } from './cost-meter.ts';
import {
  type BenchOptions,
  type Contestant,
  type Figures,
  measureInTurns,
  type Quantity,
  type Row,
} from './rounds.ts';

const IMAGE_MIB = 256;
const DIRECTORY = '/mnt/bench';
const IMAGE = `${DIRECTORY}/disk.img`;
const VDEV = 'xvdb';
const PEERS: readonly Peer[] = ['linux', 'qemu', 'ours'];

interface Load {
  readonly name: string;
  readonly fio: string;
  /** What fio's figure of the load is. */
  readonly unit: 'MB/s' | 'IOPS';
}

const LOADS: readonly Load[] = [
  { name: 'read 1 MiB, depth 4', fio: '--rw=read --bs=1M --iodepth=4', unit: 'MB/s' },
  { name: 'write 1 MiB, depth 4', fio: '--rw=write --bs=1M --iodepth=4', unit: 'MB/s' },
  { name: 'read 4 KiB at random, depth 1', fio: '--rw=randread --bs=4k --iodepth=1', unit: 'IOPS' },
  {
    name: 'read 4 KiB at random, depth 32',
    fio: '--rw=randread --bs=4k --iodepth=32',
    unit: 'IOPS',
  },
  {
    name: 'write 4 KiB at random, depth 1',
    fio: '--rw=randwrite --bs=4k --iodepth=1',
    unit: 'IOPS',
  },
  {
    name: 'write 4 KiB at random, depth 32',
    fio: '--rw=randwrite --bs=4k --iodepth=32',
    unit: 'IOPS',
  },
];

/** What the costs are given for. */
const PER = 'operation';

const QUANTITIES: readonly Quantity[] = LOADS.flatMap(({ name, unit }) => [
  { name, unit, better: 'higher' },
  ...costQuantities(name, PER),
]);

interface Parts {
  readonly host: Host;
  readonly guest: Guest;
  readonly domid: number;
  readonly costs: CostMeter;
  /** For each load. */
  readonly seconds: number;
}

class BlockBench {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  contestant(side: Peer): Contestant {
    return { side: side === 'linux' ? 'kernel' : side, measure: () => this.measure(side) };
  }

  private async measure(side: Peer): Promise<Figures> {
    const { host, guest, domid } = this.parts;
    const disk = await peerDisk(host, side, IMAGE, { domid, vdev: VDEV });
    await guest.run(`until [ -b /dev/${VDEV} ]; do sleep 0.2; done`);
    const figures = new Map<string, number>();
    for (const load of LOADS) await this.run(load, figures);
    await disk.remove();
    await guest.run(`while [ -b /dev/${VDEV} ]; do sleep 0.2; done`);
    return figures;
  }

  private async run(load: Load, figures: Map<string, number>): Promise<void> {
    const { guest, costs, seconds } = this.parts;
    const before = await costs.read(guest);
    await guest.run(
      `tool fio --name=bench --filename=/dev/${VDEV} --size=${IMAGE_MIB}M --ioengine=libaio ` +
        `--direct=1 --time_based --runtime=${seconds} --eta=never --minimal ${load.fio} >/tmp/fio`,
    );
    const after = await costs.read(guest);
    // fio's terse format, version 3: reads and writes have their KiB, KiB/s and IOPS from here on.
    const text = await guest.run('tail -n 1 /tmp/fio | cut -d";" -f6-8,47-49');
    const fields = text.trim().split(';').map(Number);
    const [kib = 0, kibPerS = 0, iops = 0] = load.fio.includes('read')
      ? fields.slice(0, 3)
      : fields.slice(3);
    const count = kib / (load.unit === 'IOPS' ? 4 : 1024);
    figures.set(load.name, load.unit === 'IOPS' ? iops : (kibPerS * 1024) / 1e6);
    enterCosts(figures, load.name, PER, [before, after], count);
  }
}

async function makeImage(lab: Lab): Promise<void> {
  const diskKib = (IMAGE_MIB + 64) * 1024;
  await lab.run(`modprobe ext4 && modprobe brd rd_nr=1 rd_size=${diskKib}`);
  await lab.run(`mkfs.ext4 -q /dev/ram0 && mkdir ${DIRECTORY} && mount /dev/ram0 ${DIRECTORY}`);
  await lab.run(`head -c ${IMAGE_MIB}M /dev/urandom >${IMAGE}`);
}

/** Rows without a peer: why the back end has Xen copy the pages of a request that are not persistent. */
async function grantCosts(lab: Lab): Promise<Row[]> {
  const program = join(CHECKOUT, 'test/bench/grant-costs.ts');
  const out = await lab.run(['node', '--import', 'tsx', program], { cwd: CHECKOUT });
  const costs = JSON.parse(out) as { pages: number; map_us: number; copy_us: number }[];
  return costs.flatMap(({ pages, map_us, copy_us }) => [
    { name: `map and unmap ${pages} pages`, unit: 'us', better: 'lower', ours: map_us, peers: {} },
    { name: `copy ${pages} pages`, unit: 'us', better: 'lower', ours: copy_us, peers: {} },
  ]);
}

export async function benchBlock({ quick }: BenchOptions): Promise<Row[]> {
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  try {
    const host = await Host.start(lab);
    await host.restart('blkback', 'SIGTERM', '--type', OUR_TYPE);
    await makeImage(lab);
    const guest = await Guest.create(lab, {
      name: 'bench',
      type: 'pv',
      ramdisk: toolsGuestInitramfs(),
      memory_mib: 256,
    });
    const tools = ['block', 'attach', 'bench', guestToolsDisk(), '--vdev', 'xvda'];
    await host.paravane(...tools, '--mode', 'r', '--type', OUR_TYPE);
    await guest.shows(/GUEST-TOOLS-READY/);
    const domid = Number(await lab.run('xl domid bench'));
    const costs = await CostMeter.start(lab, { guest: 'blkif', dom0: 'blkif|evtchn:' });
    const bench = new BlockBench({ host, guest, domid, costs, seconds: quick ? 2 : 10 });
    // fio and its libraries are read from the disk once, and not while somebody is measured.
    await guest.run('tool fio --version');
    const contestants = PEERS.map((side) => bench.contestant(side));
    const rows = await measureInTurns(QUANTITIES, contestants, quick ? 1 : 3);
    return [...rows, ...(await grantCosts(lab))];
  } finally {
    await lab.close();
  }
}
