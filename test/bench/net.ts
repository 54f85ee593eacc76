/**
 * Our network back end beside Linux's, in one dom0, for the same two Linux guests: iperf3 and ping in the
 * guests, which have an interface of each. What an emulated machine gives changes within a minute by half, so
 * the back ends take turns at each load by itself. Between a guest and dom0 both have a bridge; between the
 * guests Linux has the bridge, and ours its switch. Boots the lab, which `scripts/setup` prepares.
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
  type Figures,
  measureInTurns,
  type Quantity,
  type Row,
} from './rounds.ts';

const NAMES = ['alder', 'birch'] as const;

type Side = 'kernel' | 'ours';

/** A back end, and the interfaces that the guests have of it. */
interface Network {
  /** Also the directory of its devices. */
  readonly type: string;
  /** In the guests. */
  readonly device: string;
  /** Ours with its switch has none. */
  readonly bridge: string | undefined;
  /** The first three numbers of its addresses. */
  readonly subnet: string;
}

const network = (type: string, number: number, bridge?: string): Network => ({
  type,
  bridge,
  device: `eth${number}`,
  subnet: `10.77.${number}`,
});

const LINUX = network('vif', 0, 'xenbr0');
const OURS = network(OUR_TYPE, 1, 'xenbr1');
const OUR_SWITCH = network('paravane-switch', 2);
/** In the order in which the guests get their interfaces. */
const NETWORKS: readonly Network[] = [LINUX, OURS, OUR_SWITCH];

const TO_DOM0_BY: Record<Side, Network> = { kernel: LINUX, ours: OURS };
const BETWEEN_BY: Record<Side, Network> = { kernel: LINUX, ours: OUR_SWITCH };

const dom0On = ({ subnet }: Network) => `${subnet}.1`;
const guestOn = ({ subnet }: Network, index: number) => `${subnet}.${index + 2}`;
/** Whom the first guest speaks to. */
const peerOn = (network: Network) =>
  network.bridge === undefined ? guestOn(network, 1) : dom0On(network);

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

/** What the costs are given for, of what arrives. */
const PER = 'MB';

/** One thing that is measured, by all in turns. */
interface Step {
  readonly name: string;
  readonly quantities: readonly Quantity[];
  measure(side: Side): Promise<Figures>;
}

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

  get steps(): Step[] {
    const { guests, host } = this.parts;
    const alder = guests[0]!;
    return [
      ...TO_DOM0.map((load) => this.loadStep(load, (side) => dom0On(TO_DOM0_BY[side]))),
      this.loadStep(BETWEEN, (side) => guestOn(BETWEEN_BY[side], 1)),
      echoStep('echo from dom0', (side) =>
        host.lab.run(`ping -c 100 -i 0.05 -q ${guestOn(TO_DOM0_BY[side], 0)}`),
      ),
      echoStep('echo between guests', (side) =>
        alder.run(`ping -c 10 -q ${guestOn(BETWEEN_BY[side], 1)}`),
      ),
    ];
  }

  /** Starts all back ends, gives the guests their interfaces, and loads each for a while. */
  async start(warmUp_s: number): Promise<void> {
    const { lab } = this.parts.host;
    await lab.run('modprobe tun && modprobe bridge && modprobe xen-netback');
    await startOurs(lab, 'netback', '--type', OURS.type);
    const socket = '/run/paravane/switch.socket';
    const { type } = OUR_SWITCH;
    await startOurs(lab, 'netback', '--type', type, '--switch', '--capture-socket', socket);
    const alder = this.parts.guests[0]!;
    for (const network of NETWORKS) {
      process.stderr.write(`loads ${network.type} before it is measured\n`);
      await this.connect(network);
      for (const options of ['', '-R']) {
        const stop = await this.startServer(peerOn(network));
        await runIperf(alder, peerOn(network), warmUp_s, options);
        await stop();
      }
    }
  }

  private async connect(network: Network): Promise<void> {
    const { host, guests } = this.parts;
    const { type, bridge, device } = network;
    const words = ['--type', type, '--no-wait'];
    if (bridge !== undefined) {
      words.push('--bridge', bridge);
      await host.lab.run(
        `ip link add ${bridge} type bridge && ip link set ${bridge} up &&
         ip address add ${dom0On(network)}/24 dev ${bridge}`,
      );
    }
    if (network === LINUX) words.push('--script', XEN_NET_SCRIPT);
    for (const [index, guest] of guests.entries()) {
      await host.paravane('net', 'attach', guest.name, ...words);
      if (network === LINUX) await this.plugLinux(guest);
      await guest.run(`until [ -e /sys/class/net/${device} ]; do sleep 0.2; done`);
      const address = `${guestOn(network, index)}/24`;
      await guest.run(`ip address add ${address} dev ${device} && ip link set ${device} up`);
    }
    await guests[0]!.run(`until ping -c 1 -W 2 ${peerOn(network)}; do :; done`);
  }

  /** What the hotplug script would do. */
  private async plugLinux(guest: Guest): Promise<void> {
    const { lab } = this.parts.host;
    const domid = (await lab.run(['xl', 'domid', guest.name])).trim();
    const vif = `vif${domid}.0`;
    await lab.run(`until [ -e /sys/class/net/${vif} ]; do sleep 0.2; done`);
    await lab.run(`ip link set ${vif} address fe:ff:ff:ff:ff:ff master ${LINUX.bridge} up`);
    const back = `/local/domain/0/backend/vif/${domid}/0`;
    await lab.run(['xenstore-write', `${back}/hotplug-status`, 'connected']);
  }

  private loadStep(load: Load, addressOf: (side: Side) => string): Step {
    const { name, unit } = load;
    const isCounted = unit === 'Mb/s';
    const rate: Quantity = { name, unit, better: 'higher' };
    return {
      name,
      quantities: isCounted ? [rate, ...costQuantities(name, PER)] : [rate],
      measure: (side) => this.measure(load, addressOf(side), isCounted),
    };
  }

  private async measure(
    { name, unit, options }: Load,
    address: string,
    isCounted: boolean,
  ): Promise<Figures> {
    const { costs, guests, seconds } = this.parts;
    const alder = guests[0]!;
    const figures = new Map<string, number>();
    const stop = await this.startServer(address);
    const before = isCounted ? await costs.read(alder) : undefined;
    await runIperf(alder, address, seconds, options);
    const after = isCounted ? await costs.read(alder) : undefined;
    await stop();
    const { bytes, seconds: took } = await iperfResult(alder);
    const perSecond = bytes / took;
    figures.set(name, unit === 'Mb/s' ? (perSecond * 8) / 1e6 : perSecond / SMALL_BYTES);
    if (before && after) enterCosts(figures, name, PER, [before, after], bytes / 1e6);
    return figures;
  }

  /** An iperf3 that waits there, for one load; resolves with what waits for its end. */
  private async startServer(address: string): Promise<() => Promise<unknown>> {
    const { host, guests } = this.parts;
    if (NETWORKS.some((network) => address === dom0On(network))) {
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

function echoStep(name: string, ping: (side: Side) => Promise<string>): Step {
  return {
    name,
    quantities: [{ name, unit: 'ms', better: 'lower' }],
    measure: async (side) => new Map([[name, averageOf(await ping(side))]]),
  };
}

export async function benchNet({ quick }: BenchOptions): Promise<Row[]> {
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  try {
    const host = await Host.start(lab);
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
    const bench = new NetBench({ host, guests, costs, seconds: quick ? 3 : 6 });
    await bench.start(quick ? 3 : WARM_UP_S);
    const rows: Row[] = [];
    for (const { name, quantities, measure } of bench.steps) {
      process.stderr.write(`${name}\n`);
      const sides = (['kernel', 'ours'] as const).map((side) => ({
        side,
        measure: () => measure(side),
      }));
      rows.push(...(await measureInTurns(quantities, sides, quick ? 1 : 5)));
    }
    return rows;
  } finally {
    await lab.close();
  }
}
