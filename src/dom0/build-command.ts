/** `paravane build SERVICE`: a service as an image that Xen boots. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { entryOf, type StubDomain, stubDomains, xlConfig } from './stub-domains.ts';
import type { Terminal } from './terminal.ts';

async function build(stubDomain: StubDomain, output: string, terminal: Terminal): Promise<void> {
  const { buildImage } = await import('./image/image.ts');
  const image = resolve(output);
  const bytes = await buildImage(entryOf(stubDomain), image);
  terminal.error(
    `paravane: ${image}: ${bytes} bytes, runs in ${stubDomain.memory_mib} MiB; for xl:\n`,
  );
  terminal.out(xlConfig(stubDomain, image));
}

/** Adds `build` with one command a stub domain to `program`. */
export function addBuildCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('build')
    .summary('make a stub domain of a service')
    .description(
      'Make an image of a service that Xen boots as a domain of its own, a unikernel. ' +
        'Needs a checkout and its tools, see scripts/setup. The same sources give the same bytes. ' +
        'Prints the configuration for xl.',
    )
    .enablePositionalOptions();
  for (const stubDomain of stubDomains) {
    command
      .command(stubDomain.name)
      .summary(stubDomain.summary)
      .description(`Make an image of a stub domain. What it does: ${stubDomain.summary}.`)
      .option('-o, --output <file>', 'where the image goes', `${stubDomain.name}.elf`)
      .action((options: { output: string }) => build(stubDomain, options.output, terminal));
  }
}
