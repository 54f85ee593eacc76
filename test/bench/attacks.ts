/**
 * What one guest has of xenstore while another attacks it, on real Xen in the lab: the latency of
 * its reads beside each attack, with our xenstored and with C's of Xen 4.17.
 */
import { Host, PARAVANE } from '../../scripts/lab/host.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { MACHINE_DEFAULTS } from '../../scripts/lab/machine.ts';
import { ATTACKS, HARMLESS, type Scene, titleOf } from '../xen/attack-scenes.ts';
import { Attacker, prepareStore } from '../xen/attacker.ts';
import { type Experience, Victim } from '../xen/victim.ts';
import { C_XENSTORED } from '../xenstored/c-daemon/stand-in.ts';
import {
  type BenchOptions,
  type Contestant,
  type Figures,
  measureInTurns,
  type Quantity,
  type Row,
} from './rounds.ts';

type Side = 'ours' | 'c';

const READY_LIMIT_MS = 60_000;
const MEASURE_MS = 2000;
const ALONE = 'nobody else';

/** To see that all works. */
const QUICK: readonly string[] = ['none', '38-requests', '418'];

function scenes({ quick }: BenchOptions): Scene[] {
  const all = [...HARMLESS, ...ATTACKS];
  return quick ? all.filter(({ attack }) => QUICK.includes(attack)) : all;
}

const microseconds = (name: string): Quantity => ({ name, unit: 'us', better: 'lower' });

function quantities(options: BenchOptions): Quantity[] {
  const titles = [ALONE, ...scenes(options).map(titleOf)];
  return titles.flatMap((title) => [
    microseconds(`${title}, median`),
    microseconds(`${title}, 99th`),
  ]);
}

async function startDaemons(lab: Lab, side: Side): Promise<void> {
  if (side === 'ours') {
    await Host.start(lab);
    return;
  }
  await lab.run([C_XENSTORED, '--pid-file', '/run/xenstored.pid']);
  await lab.run('xen-init-dom0');
  // Of consoles the bench only needs that they are logged.
  const xenconsoled = lab.start(['node', PARAVANE, 'run', 'xenconsoled', '--log', 'all']);
  await xenconsoled.waitFor(/is ready/, READY_LIMIT_MS);
}

async function sufferOne(lab: Lab, victim: Victim, scene: Scene): Promise<Experience> {
  const attacker = await Attacker.create(lab, scene, victim);
  try {
    return await attacker.beside(victim);
  } finally {
    await attacker.discard();
  }
}

async function sufferAll(side: Side, options: BenchOptions): Promise<Figures> {
  const figures = new Map<string, number>();
  const keep = (title: string, { median_us, p99_us }: Experience) => {
    figures.set(`${title}, median`, median_us);
    figures.set(`${title}, 99th`, p99_us);
  };
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  try {
    await startDaemons(lab, side);
    await prepareStore(lab);
    const victim = await Victim.create(lab);
    keep(ALONE, await victim.live(MEASURE_MS));
    for (const scene of scenes(options)) {
      try {
        keep(titleOf(scene), await sufferOne(lab, victim, scene));
      } catch (error) {
        if (side === 'ours') throw error;
        process.stderr.write(`C, ${scene.attack}: no figure: ${(error as Error).message}\n`);
      }
    }
  } finally {
    await lab.close();
  }
  return figures;
}

export async function benchAttacks(options: BenchOptions): Promise<Row[]> {
  const contestants = (['ours', 'c'] as const).map(
    (side): Contestant => ({ side, measure: () => sufferAll(side, options) }),
  );
  return measureInTurns(quantities(options), contestants, 1);
}
