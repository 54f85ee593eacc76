/** What dom0 in the lab has done so far. */
import type { Lab } from '../../scripts/lab/lab.ts';

/** Of all of its processors. */
export async function dom0Cpu_ms(lab: Lab): Promise<number> {
  const [line = ''] = (await lab.run('head -1 /proc/stat')).split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
    .split(/ +/)
    .slice(1)
    .map(Number);
  // Counted in hundredths of a second.
  return (user + nice + system + irq + softirq) * 10;
}

/** A command that prints how often those interrupts came whose names match, on all processors. */
export function interruptsOf(pattern: string): string {
  return `awk 'NR == 1 { cpus = NF } /${pattern}/ { for (i = 2; i <= cpus + 1; i++) n += $i } END { print n + 0 }' /proc/interrupts`;
}
