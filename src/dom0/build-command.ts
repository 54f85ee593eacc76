/** `paravane build SERVICE`: a service as an image that Xen boots. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import {
  entryOf,
  linuxConfig,
  ownStubDomain,
  type StubDomain,
  type StubDomainForm,
  stubDomains,
  unikernelConfig,
} from './stub-domains.ts';
import type { Terminal } from './terminal.ts';

interface BuildOptions {
  readonly output?: string;
  readonly runtime?: 'unikernel' | 'linux';
}

function report(
  terminal: Terminal,
  image: string,
  bytes: number,
  { memory_mib }: StubDomainForm,
): void {
  terminal.error(`paravane: ${image}: ${bytes} bytes, runs in ${memory_mib} MiB; for xl:\n`);
}

async function buildUnikernel(
  stubDomain: StubDomain,
  entry: string,
  output: string,
  terminal: Terminal,
) {
  const { buildImage } = await import('./image/image.ts');
  const image = resolve(output);
  const bytes = await buildImage(entry, image);
  report(terminal, image, bytes, stubDomain.unikernel);
  terminal.out(unikernelConfig(stubDomain, image));
}

async function buildLinux(
  stubDomain: StubDomain,
  form: NonNullable<StubDomain['linux']>,
  output: string,
  terminal: Terminal,
) {
  const { buildLinuxImage } = await import('./image/linux-image.ts');
  const { debianKernel } = await import('./image/debian-kernel.ts');
  const image = resolve(output);
  const bytes = await buildLinuxImage(form.words, image);
  report(terminal, image, bytes, form);
  terminal.out(linuxConfig(stubDomain, form, debianKernel().image, image));
}

async function build(stubDomain: StubDomain, options: BuildOptions, terminal: Terminal) {
  const { name, linux } = stubDomain;
  if (options.runtime === 'linux' && linux !== undefined) {
    await buildLinux(stubDomain, linux, options.output ?? `${name}.initramfs`, terminal);
  } else {
    const output = options.output ?? `${name}.elf`;
    await buildUnikernel(stubDomain, entryOf(stubDomain), output, terminal);
  }
}

/** Builds the program of a user's own in `directory`. */
async function buildProject(directory: string, options: BuildOptions, terminal: Terminal) {
  const { findProject } = await import('./image/project.ts');
  const { name, entry } = findProject(resolve(directory));
  await buildUnikernel(ownStubDomain(name), entry, options.output ?? `${name}.elf`, terminal);
}

/** Adds `build` with one command a stub domain, and for directories, to `program`. */
export function addBuildCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('build')
    .summary('make a stub domain of a service')
    .description(
      'Make an image of a service that Xen boots as a domain of its own. Needs a checkout and its ' +
        'tools, see scripts/setup. The same sources give the same bytes. Prints the configuration ' +
        'for xl. What is none of the services below is a directory of `paravane new`.',
    )
    .enablePositionalOptions()
    .argument('[directory]', 'with a program of your own; one that is named as a service: ./NAME')
    .option('-o, --output <file>', 'where its image goes (NAME.elf)')
    .action(async (directory: string | undefined, options: BuildOptions) => {
      if (directory === undefined) command.help({ error: true });
      else await buildProject(directory, options, terminal);
    });
  for (const stubDomain of stubDomains) {
    const runtimes = stubDomain.linux === undefined ? ['unikernel'] : ['unikernel', 'linux'];
    command
      .command(stubDomain.name)
      .summary(stubDomain.summary)
      .description(`Make an image of a stub domain. What it does: ${stubDomain.summary}.`)
      .option('-o, --output <file>', `where the image goes (${stubDomain.name}.elf or .initramfs)`)
      .addOption(
        new Option('--runtime <runtime>', "our own kernel, or Debian's with Node in an initramfs")
          .choices(runtimes)
          .default('unikernel'),
      )
      .action((options: BuildOptions) => build(stubDomain, options, terminal));
  }
}
