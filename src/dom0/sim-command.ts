/** `paravane sim`: the services and two guests in the simulator. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Command } from 'commander';
import { EXIT_FAILED, EXIT_OK } from './exit-codes.ts';
import { wholeNumber } from './option-values.ts';
import type { Terminal } from './terminal.ts';

/** Adds the command to `program`. It reports through `terminal` and `setExitCode`. */
export function addSimCommand(
  program: Command,
  terminal: Terminal,
  setExitCode: (code: number) => void,
): void {
  program
    .command('sim')
    .summary('run the services and two guests in the simulator')
    .description(
      'Run xenstored, xenconsoled, blkback and two small guests in the simulator, in this ' +
        'process, and print every step of the protocols. Needs no root and no Xen.',
    )
    .option(
      '--seed <number>',
      'what decides the order of events; the same seed, the same run',
      wholeNumber(0),
      1,
    )
    .option('-q, --quiet', 'print the end only')
    .action(async ({ seed, quiet }: { seed: number; quiet?: true }) => {
      const { simulate } = await import('./simulation/simulation.ts');
      let steps = 0;
      const result = await simulate({
        seed,
        settle: () => turn(),
        print: (line) => {
          steps++;
          if (quiet !== true) terminal.out(`${line}\n`);
        },
      });
      for (const answer of result.answers) terminal.out(`a guest answered: ${answer}\n`);
      for (const leftover of result.leftovers) terminal.error(`left over: ${leftover}\n`);
      terminal.out(`seed ${seed}: ${steps} steps, ${result.leftovers.length} things left over\n`);
      setExitCode(result.leftovers.length === 0 ? EXIT_OK : EXIT_FAILED);
    });
}
