/** The console daemons on real Xen, by turns on one guest: how fast it prints, how soon a key is echoed. */
import { join } from 'node:path';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Guest } from '../../scripts/lab/guest.ts';
import { Host, startCXenconsoled, startOurs } from '../../scripts/lab/host.ts';
import { guestInitramfs } from '../../scripts/lab/initramfs.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { MACHINE_DEFAULTS } from '../../scripts/lab/machine.ts';
import {
  type BenchOptions,
  type Figures,
  measureInTurns,
  type Quantity,
  type Row,
} from './rounds.ts';

const GUEST = 'bench';
const GUEST_SCRIPT = `
PS1='guest# '
export PS1
while true; do setsid cttyhack sh; done
`;

const LATENCY = 'key to echo, median';
const THROUGHPUT = 'output to a viewer, logged';
const CPU = "the daemon's CPU time for it";

const QUANTITIES: readonly Quantity[] = [
  { name: LATENCY, unit: 'ms', better: 'lower' },
  { name: THROUGHPUT, unit: 'kB/s', better: 'higher' },
  { name: CPU, unit: 'ms/MB', better: 'lower' },
];

const MEASURE_LIMIT_MS = 600_000;

/** Starts the side's daemon in the place of the one that runs, and measures it. */
async function measure(
  host: Host,
  side: 'ours' | 'c',
  keys: number,
  lines: number,
): Promise<Figures> {
  const { lab } = host;
  const directory = `/tmp/bench-${side}`;
  await host.replace('xenconsoled', 'SIGTERM', (where) =>
    side === 'ours'
      ? startOurs(where, 'xenconsoled', '--log=all', `--log-dir=${directory}`)
      : startCXenconsoled(where, directory, GUEST),
  );
  const pid = await host.daemon('xenconsoled').pid;
  const player = join(CHECKOUT, 'test/bench/console-player.ts');
  const out = await lab.run(
    `tty=$(xenstore-read /local/domain/$(xl domid ${GUEST})/console/tty)
     node --import tsx ${player} $tty ${keys} ${lines} ${pid}`,
    { cwd: CHECKOUT, timeout_ms: MEASURE_LIMIT_MS },
  );
  const { latency_ms, bytes, duration_ms, cpu_ms } = JSON.parse(out);
  return new Map([
    [LATENCY, latency_ms],
    [THROUGHPUT, bytes / duration_ms],
    [CPU, cpu_ms / (bytes / 1e6)],
  ]);
}

export async function benchConsole({ quick }: BenchOptions): Promise<Row[]> {
  const [rounds, keys, lines] = quick ? [1, 20, 5_000] : [3, 100, 30_000];
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  try {
    const host = await Host.start(lab);
    const ramdisk = guestInitramfs(GUEST_SCRIPT);
    const guest = await Guest.create(lab, { name: GUEST, type: 'pv', ramdisk });
    await guest.shows(/guest# /);
    guest.console().write('\x1d');
    await guest.console().exit;
    const contestants = (['ours', 'c'] as const).map((side) => ({
      side,
      measure: () => measure(host, side, keys, lines),
    }));
    return await measureInTurns(QUANTITIES, contestants, rounds);
  } finally {
    await lab.close();
  }
}
