/** `paravane new`: a directory to write a service or a guest of one's own in. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Terminal } from './terminal.ts';

const EXAMPLE = `
Example:
  paravane new greeter
  paravane build greeter/ >greeter.cfg
  xl create -c greeter.cfg
`;

/** Adds `new` to `program`. */
export function addNewCommand(program: Command, terminal: Terminal): void {
  program
    .command('new')
    .summary('begin a service or a guest of your own')
    .description(
      'Make a directory with a small program in TypeScript on the driver library, which ' +
        '`paravane build` makes a domain of.',
    )
    .argument('<directory>', 'a new or an empty one; its name becomes that of the domain')
    .addOption(
      new Option('--template <which>', 'a service for other domains, or a guest with a disk')
        .choices(['service', 'guest'])
        .default('service'),
    )
    .addHelpText('after', EXAMPLE)
    .action(async (directory: string, { template }: { template: 'service' | 'guest' }) => {
      const { makeProject } = await import('./image/project.ts');
      const { name } = await makeProject(resolve(directory), template);
      terminal.error(
        `paravane: ${directory} holds a ${template}; next:\n` +
          `  paravane build ${directory.replace(/\/*$/, '/')} >${name}.cfg\n` +
          `  xl create -c ${name}.cfg\n`,
      );
    });
}
