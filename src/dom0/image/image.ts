/** From a composition in TypeScript to a file that Xen boots. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { checkoutDirectory } from './checkout.ts';
import { runTool } from './compiler.ts';
import { buildEngine, type Engine } from './engine.ts';
import { LIBRARY } from './project.ts';

/** What QuickJS of 2021 runs. */
const TARGET = 'es2020';

export interface BundleOptions {
  /** Modules that stand in for others, by name. */
  readonly alias?: Readonly<Record<string, string>>;
}

/** The bundle in the image: an assembler that finds it by path puts it in its place. */
const bundleAssembly = (bundle: string) => `
    .section .bundle, "a"
    .balign 16
    .globl bundle_start, bundle_end
bundle_start: ${bundle === '' ? '' : `.incbin ${JSON.stringify(bundle)}`}
bundle_end:
    .section .note.GNU-stack, "", @progbits
`;

/** Runs `work` with a new directory, which is gone afterwards. */
export async function inScratch<Result>(
  work: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'paravane-image-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Bundles and compiles the script that starts with `entry` into the file `bundle`. */
export async function buildBundle(
  engine: Engine,
  entry: string,
  bundle: string,
  { alias = {} }: BundleOptions = {},
): Promise<void> {
  await inScratch(async (directory) => {
    const script = join(directory, 'bundle.js');
    const checkout = checkoutDirectory();
    await build({
      entryPoints: [entry],
      outfile: script,
      absWorkingDir: checkout,
      alias: { paravane: join(checkout, LIBRARY), ...alias },
      bundle: true,
      treeShaking: true,
      minifySyntax: true,
      minifyWhitespace: true,
      format: 'iife',
      platform: 'neutral',
      target: TARGET,
      logLevel: 'error',
    });
    await runTool(engine.compiler, [script, bundle]);
  });
}

/** Links the kernel, the engine and `bundle` into `image`; without a bundle, it takes that of a module. */
export async function linkImage(engine: Engine, image: string, bundle = ''): Promise<void> {
  await inScratch(async (directory) => {
    const assembly = join(directory, 'bundle.s');
    await writeFile(assembly, bundleAssembly(bundle));
    await engine.link(assembly, image);
  });
}

/** Builds `image` from the composition that starts with `entry`; its size in bytes. */
export async function buildImage(
  entry: string,
  image: string,
  options: BundleOptions = {},
): Promise<number> {
  const engine = await buildEngine();
  await inScratch(async (directory) => {
    const bundle = join(directory, 'bundle');
    await buildBundle(engine, entry, bundle, options);
    await linkImage(engine, image, bundle);
  });
  return (await stat(image)).size;
}
