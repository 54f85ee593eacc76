/**
 * What one guest has of xenstore while another attacks it, on real Xen in the lab: the latency of
 * its reads beside each attack, with our xenstored and with C's of Xen 4.17.
 */
import { Host } from '../../scripts/lab/host.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { MACHINE_DEFAULTS } from '../../scripts/lab/machine.ts';
import { ATTACKS, HARMLESS, type Scene, titleOf } from '../xen/attack-scenes.ts';
import { Attacker, prepareStore } from '../xen/attacker.ts';
import { type Experience, Victim } from '../xen/victim.ts';
import {
  type BenchOptions,
  type Contestant,
  type Figures,
  measureInTurns,
  type Quantity,
  type Row,
} from './rounds.ts';

type Side = 'ours' | 'c';

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

async function sufferOne(lab: Lab, victim: Victim, scene: Scene): Promise<Experience> {
  const { attacker, experience } = await Attacker.attack(lab, scene, victim);
  try {
    // One on its way back is awaited, or it would be there beside the attacks that follow.
    if (scene.ends === 'restarted') await attacker.successor();
    return experience;
  } finally {
    await attacker.discard();
  }
}

const isServed = (victim: Victim): Promise<boolean> =>
  victim.live(MEASURE_MS).then(
    () => true,
    () => false,
  );

async function sufferAll(side: Side, options: BenchOptions): Promise<Figures> {
  const figures = new Map<string, number>();
  const say = (title: string, what: string) =>
    process.stderr.write(`${side}, beside ${title}: ${what}\n`);
  const keep = (title: string, { median_us, p99_us }: Experience) => {
    say(title, `median ${median_us} us, 99th ${p99_us} us`);
    figures.set(`${title}, median`, median_us);
    figures.set(`${title}, 99th`, p99_us);
  };
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  try {
    await Host.start(lab, side);
    await prepareStore(lab);
    const victim = await Victim.create(lab);
    keep(ALONE, await victim.live(MEASURE_MS));
    for (const scene of scenes(options)) {
      try {
        keep(titleOf(scene), await sufferOne(lab, victim, scene));
      } catch (error) {
        if (side === 'ours') throw error;
        say(titleOf(scene), `no figure: ${(error as Error).message}`);
        // Of a xenstored that serves nobody any more there are no further figures.
        if (!(await isServed(victim))) break;
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
