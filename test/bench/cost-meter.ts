/** What dom0 spends on a load that a guest puts on a back end, whoever's back end it is. */
import type { Guest } from '../../scripts/lab/guest.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import { GrantMeter } from './grant-meter.ts';
import type { Quantity } from './rounds.ts';

/** Counted up from the start of the domains. */
export interface Costs {
  /** What dom0's processors have done, in all. */
  readonly cpu_ms: number;
  /** Notifications that reached the guest's front ends, and dom0's back ends. */
  readonly toGuest: number;
  readonly toDom0: number;
  readonly grantCalls: number;
  readonly grantPages: number;
}

const COSTS: readonly { key: keyof Costs; name: string; unit: string }[] = [
  { key: 'cpu_ms', name: "dom0's CPU", unit: 'ms' },
  { key: 'toGuest', name: 'notifications to the guest', unit: '' },
  { key: 'toDom0', name: 'notifications to dom0', unit: '' },
  { key: 'grantCalls', name: 'grant hypercalls', unit: '' },
  { key: 'grantPages', name: 'pages mapped, unmapped or copied', unit: '' },
];

const nameOf = (load: string, cost: string, per: string) => `${load}: ${cost} for each ${per}`;

/** The rows of a load's costs, for each operation or megabyte of it. */
export function costQuantities(load: string, per: string): Quantity[] {
  return COSTS.map(({ name, unit }) => ({ name: nameOf(load, name, per), unit, better: 'lower' }));
}

/** Parts of the names that the interrupts of event channels have in `/proc/interrupts`. */
export interface InterruptNames {
  readonly guest: string;
  readonly dom0: string;
}

export class CostMeter {
  private readonly lab: Lab;
  private readonly grants: GrantMeter;
  private readonly interrupts: InterruptNames;

  private constructor(lab: Lab, grants: GrantMeter, interrupts: InterruptNames) {
    this.lab = lab;
    this.grants = grants;
    this.interrupts = interrupts;
  }

  static async start(lab: Lab, interrupts: InterruptNames): Promise<CostMeter> {
    return new CostMeter(lab, await GrantMeter.start(lab), interrupts);
  }

  /** What the load whose front end is in `guest` has cost so far. */
  async read(guest: Guest): Promise<Costs> {
    const { calls, pages } = await this.grants.read();
    return {
      cpu_ms: await this.dom0Cpu_ms(),
      toGuest: Number(await guest.run(countInterrupts(this.interrupts.guest))),
      toDom0: Number(await this.lab.run(countInterrupts(this.interrupts.dom0))),
      grantCalls: calls,
      grantPages: pages,
    };
  }

  private async dom0Cpu_ms(): Promise<number> {
    const [line = ''] = (await this.lab.run('head -1 /proc/stat')).split('\n');
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
      .split(/ +/)
      .slice(1)
      .map(Number);
    // Counted in hundredths of a second.
    return (user + nice + system + irq + softirq) * 10;
  }
}

/** Enters what `count` of a load have cost each, in the rows of `costQuantities`. */
export function enterCosts(
  figures: Map<string, number>,
  load: string,
  per: string,
  [before, after]: readonly [Costs, Costs],
  count: number,
): void {
  for (const { key, name } of COSTS) {
    figures.set(nameOf(load, name, per), (after[key] - before[key]) / count);
  }
}

/** A command that prints how often those interrupts came whose names match, on all processors. */
function countInterrupts(pattern: string): string {
  return `awk 'NR == 1 { cpus = NF } /${pattern}/ { for (i = 2; i <= cpus + 1; i++) n += $i } END { print n + 0 }' /proc/interrupts`;
}
