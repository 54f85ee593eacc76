/**
 * Our network back end beside Linux's, in one dom0, for the same two Linux guests: iperf3 and ping in the
 * guests, each back end in turn. Between a guest and dom0 both have a bridge; between the guests Linux has
 * the bridge, and ours its switch. Boots the lab, which `scripts/setup` prepares.
 */
import { OUR_TYPE } from '../../scripts/lab/block-peers.ts';
import { Guest, guestToolsDisk, toolsGuestInitramfs } from '../../scripts/lab/guest.ts';
import { diskLine, Host, startOurs, XEN_NET_SCRIPT } from '../../scripts/lab/host.ts';
import { iperfResult, iperfServer, iperfServerIn, runIperf } from '../../scripts/lab/iperf.ts';
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

const BRIDGE = 'xenbr0';
const DOM0 = '10.77.0.1';
const NAMES = ['alder', 'birch'] as const;

const addressOf = (index: number) => `10.77.0.${index + 2}`;

interface Load {
  readonly name: string;
  /** For iperf3, beside the address and the time. */
  readonly options: string;
  readonly unit: 'Mb/s' | 'packets/s';
}

const SMALL_BYTES = 64;

const TO_DOM0: readonly Load[] = [
  { name: 'TCP to dom0', options: '', unit: 'Mb/s' },
  { name: 'TCP from dom0', options: '-R', unit: 'Mb/s' },
  { name: 'UDP to dom0', options: '-u -b 0 -l 1400', unit: 'Mb/s' },
  { name: 'UDP from dom0', options: '-u -b 0 -l 1400 -R', unit: 'Mb/s' },
  { name: 'small packets to dom0', options: `-u -b 0 -l ${SMALL_BYTES}`, unit: 'packets/s' },
];
const BETWEEN: Load = { name: 'TCP between guests', options: '', unit: 'Mb/s' };

const PINGS = ['echo from dom0', 'echo between guests'] as const;

/** What the costs are given for, of what arrives. */
const PER = 'MB';

const isCounted = ({ unit }: Load) => unit === 'Mb/s';

const QUANTITIES: readonly Quantity[] = [
  ...[...TO_DOM0, BETWEEN].flatMap((load) => [
    { name: load.name, unit: load.unit, better: 'higher' as const },
    ...(isCounted(load) ? costQuantities(load.name, PER) : []),
  ]),
  ...PINGS.map((name) => ({ name, unit: 'ms', better: 'lower' as const })),
];

type Side = 'kernel' | 'ours';

/** The directories of the back ends' devices: Linux's, ours before a bridge, and ours with its switch. */
const LINUX_TYPE = 'vif';
const SWITCH_TYPE = 'paravane-switch';
const TYPES = [LINUX_TYPE, OUR_TYPE, SWITCH_TYPE] as const;

/** For so long each way: what runs for days elsewhere has been compiled then. */
const WARM_UP_S = 45;

interface Parts {
  readonly host: Host;
  readonly guests: readonly Guest[];
  readonly costs: CostMeter;
  /** For each load. */
  readonly seconds: number;
}

class NetBench {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  contestant(side: Side): Contestant {
    return { side, measure: () => this.measure(side) };
  }

  /** Starts all back ends, of which those without an interface have nothing to do, and loads each. */
  async start(warmUp_s: number): Promise<void> {
    const { lab } = this.parts.host;
    await lab.run('modprobe xen-netback');
    await startOurs(lab, 'netback', '--type', OUR_TYPE);
    const socket = '/run/paravane/switch.socket';
    await startOurs(lab, 'netback', '--type', SWITCH_TYPE, '--switch', '--capture-socket', socket);
    const [alder] = this.parts.guests as [Guest, Guest];
    for (const type of TYPES) {
      process.stderr.write(`loads ${type} before it is measured\n`);
      await this.begin(type);
      const target = type === SWITCH_TYPE ? addressOf(1) : DOM0;
      for (const options of ['', '-R']) {
        const stop = await this.startServer(target);
        await runIperf(alder, target, warmUp_s, options);
        await stop();
      }
      await this.end();
    }
  }

  private async measure(side: Side): Promise<Figures> {
    const figures = new Map<string, number>();
    const [alder] = this.parts.guests as [Guest, Guest];
    await this.begin(side === 'kernel' ? LINUX_TYPE : OUR_TYPE);
    for (const load of TO_DOM0) await this.run(alder, DOM0, load, figures);
    const { lab } = this.parts.host;
    figures.set(PINGS[0], averageOf(await lab.run(`ping -c 100 -i 0.05 -q ${addressOf(0)}`)));
    if (side === 'ours') {
      await this.end();
      await this.begin(SWITCH_TYPE);
    }
    await this.run(alder, addressOf(1), BETWEEN, figures);
    const said = await alder.run(`ping -c 20 -q ${addressOf(1)}`);
    figures.set(PINGS[1], averageOf(said));
    await this.end();
    return figures;
  }

  /** Gives each guest an interface of that type. */
  private async begin(type: string): Promise<void> {
    const { host, guests } = this.parts;
    for (const [index, guest] of guests.entries()) {
      const words = ['--type', type, '--bridge', BRIDGE, '--no-wait'];
      if (type === LINUX_TYPE) words.push('--script', XEN_NET_SCRIPT);
      await host.paravane('net', 'attach', guest.name, ...words);
      if (type === LINUX_TYPE) await this.plugLinux(guest);
      await guest.run('until [ -e /sys/class/net/eth0 ]; do sleep 0.2; done');
      await guest.run(`ip address add ${addressOf(index)}/24 dev eth0 && ip link set eth0 up`);
    }
    const target = type === SWITCH_TYPE ? addressOf(1) : DOM0;
    await guests[0]!.run(`until ping -c 1 -W 2 ${target}; do :; done`);
  }

  /** What the hotplug script would do. */
  private async plugLinux(guest: Guest): Promise<void> {
    const { lab } = this.parts.host;
    const domid = (await lab.run(['xl', 'domid', guest.name])).trim();
    const vif = `vif${domid}.0`;
    await lab.run(`until [ -e /sys/class/net/${vif} ]; do sleep 0.2; done`);
    await lab.run(`ip link set ${vif} address fe:ff:ff:ff:ff:ff master ${BRIDGE} up`);
    const back = `/local/domain/0/backend/vif/${domid}/0`;
    await lab.run(['xenstore-write', `${back}/hotplug-status`, 'connected']);
  }

  private async end(): Promise<void> {
    const { host, guests } = this.parts;
    for (const guest of guests) {
      await host.paravane('net', 'detach', guest.name, 'eth0', '--timeout', '180');
      await guest.run('while [ -e /sys/class/net/eth0 ]; do sleep 0.2; done');
    }
  }

  private async run(
    guest: Guest,
    address: string,
    load: Load,
    figures: Map<string, number>,
  ): Promise<void> {
    const { costs } = this.parts;
    const stop = await this.startServer(address);
    const before = await costs.read(guest);
    await runIperf(guest, address, this.parts.seconds, load.options);
    const after = await costs.read(guest);
    await stop();
    const { bytes, seconds } = await iperfResult(guest);
    const perSecond = bytes / seconds;
    const figure = load.unit === 'Mb/s' ? (perSecond * 8) / 1e6 : perSecond / SMALL_BYTES;
    figures.set(load.name, figure);
    if (isCounted(load)) enterCosts(figures, load.name, PER, [before, after], bytes / 1e6);
  }

  /** An iperf3 that waits there, for one load; resolves with what waits for its end. */
  private async startServer(address: string): Promise<() => Promise<unknown>> {
    const { host, guests } = this.parts;
    if (address === DOM0) {
      const server = await iperfServer(host.lab);
      return () => server.exit;
    }
    const [, birch] = guests as [Guest, Guest];
    await iperfServerIn(birch);
    return async () => {};
  }
}

/** The mean of what `ping` says in its last line, in milliseconds. */
function averageOf(said: string): number {
  const [, mean] = /min\/avg\/max[^=]*= [\d.]+\/([\d.]+)/.exec(said) ?? [];
  if (mean === undefined) throw new Error(`ping has no mean:\n${said}`);
  return Number(mean);
}

export async function benchNet({ quick }: BenchOptions): Promise<Row[]> {
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  try {
    const host = await Host.start(lab);
    await lab.run(
      `modprobe tun && modprobe bridge && ip link add ${BRIDGE} type bridge &&
       ip link set ${BRIDGE} up && ip address add ${DOM0}/24 dev ${BRIDGE}`,
    );
    const guests: Guest[] = [];
    for (const name of NAMES) {
      const guest = await Guest.create(lab, {
        name,
        type: 'pv',
        ramdisk: toolsGuestInitramfs(),
        disks: [diskLine(guestToolsDisk(), 'xvda', 'ro')],
        memory_mib: 256,
      });
      await guest.shows(/GUEST-TOOLS-READY/);
      // Read from the disk once, and not while somebody is measured.
      await guest.run('tool iperf3 --version');
      guests.push(guest);
    }
    const costs = await CostMeter.start(lab, { guest: 'vif', dom0: 'vif|evtchn:' });
    const bench = new NetBench({ host, guests, costs, seconds: quick ? 3 : 10 });
    await bench.start(quick ? 3 : WARM_UP_S);
    const contestants = [bench.contestant('kernel'), bench.contestant('ours')];
    return await measureInTurns(QUANTITIES, contestants, quick ? 1 : 3);
  } finally {
    await lab.close();
  }
}
