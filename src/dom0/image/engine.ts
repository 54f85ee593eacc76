/**
 * The stub-domain kernel and the engine, compiled once for each state of their sources: what every
 * image is linked from, the compiler of bundles, and a host program that runs a bundle without Xen.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
} from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { errorCode, XenError } from '../../base/errors.ts';
import { checkoutDirectory } from './checkout.ts';
import { runAll, runTool } from './compiler.ts';

const MUSL_HEADERS = '/usr/include/x86_64-linux-musl';
const MUSL_LIBRARIES = '/usr/lib/x86_64-linux-musl';
const XEN_HEADERS = '/usr/include/xen';
const QUICKJS = 'node_modules/qjsc/deps/quickjs_2021_03_27';
const QUICKJS_SOURCES = ['quickjs.c', 'libregexp.c', 'libunicode.c', 'cutils.c', 'libbf.c'];

/** Files of the kernel that the host program has too; it plays the part of the others itself. */
const KERNEL_ON_HOST = [
  'console_printf.c',
  'events.c',
  'events_fifo.c',
  'events_two_level.c',
  'grants.c',
  'kept.c',
  'mappings.c',
  'pages.c',
  'suspend.c',
  'window.c',
];

/**
 * Where the host program lies: above the first GiB, where it has guest-physical memory (host/xen.h).
 * Linux puts a program's heap behind it, at a distance of up to a GiB that differs from run to run.
 */
const HOST_FLAGS = ['-Wl,-Ttext-segment=0x50000000'];

/** For all code: no position independence, since images lie where they are linked to. */
const COMMON_FLAGS = [
  '-std=gnu11',
  '-D_GNU_SOURCE',
  '-D__XEN_INTERFACE_VERSION__=0x00040e00',
  '-fno-pic',
  '-fno-pie',
  '-fno-stack-protector',
  '-fno-asynchronous-unwind-tables',
  '-ffunction-sections',
  '-fdata-sections',
  '-fcf-protection=none',
];
const C_FLAGS = ['-include', 'stdint.h'];
const WARNING_FLAGS = ['-Wall', '-Wextra', '-Werror', '-Wno-sign-compare', '-Wno-unused-parameter'];
/** The kernel must leave the engine's floating-point registers alone, and the stack's red zone. */
const KERNEL_FLAGS = [
  '-O2',
  '-ffreestanding',
  '-mgeneral-regs-only',
  '-mno-red-zone',
  '-fno-tree-loop-distribute-patterns',
];
const QUICKJS_FLAGS = ['-Os', '-w', '-DCONFIG_BIGNUM', '-DCONFIG_VERSION="2021-03-27"'];
const LINK_FLAGS = [
  '-nostdlib',
  '-static',
  '-no-pie',
  '-Wl,--gc-sections,--build-id=none,-s,-z,noexecstack,-z,max-page-size=4096',
];

export interface Engine {
  /** Makes a bundle: `compile SCRIPT BUNDLE`. */
  readonly compiler: string;
  /** Runs a bundle on this machine, over a Xen of its own: `host [--two-level] [--snapshot] BUNDLE [OPTION...]`. */
  readonly host: string;
  /** Links an image. `assembly` names the files that hold its bundle. */
  link(assembly: string, image: string): Promise<void>;
}

interface Sources {
  readonly checkout: string;
  readonly native: string;
  readonly quickjs: string;
}

function findSources(): Sources {
  const checkout = checkoutDirectory();
  const quickjs = join(checkout, QUICKJS);
  if (!existsSync(quickjs)) {
    throw new XenError('ENOENT', 'build the engine', `${QUICKJS} is not there; run scripts/setup`);
  }
  return { checkout, native: join(checkout, 'native/unikernel'), quickjs };
}

const filesOf = (directory: string, ending: RegExp) =>
  readdirSync(directory)
    .filter((name) => ending.test(name))
    .sort()
    .map((name) => join(directory, name));

/** One digest of all that the objects depend on. */
async function digestOf({ native, quickjs }: Sources): Promise<string> {
  const hash = createHash('sha256');
  hash.update(
    JSON.stringify([COMMON_FLAGS, C_FLAGS, WARNING_FLAGS, KERNEL_FLAGS, QUICKJS_FLAGS, HOST_FLAGS]),
  );
  hash.update(await runTool('gcc', ['--version']));
  const directories = ['kernel', 'engine', 'host'].map((name) => join(native, name));
  for (const file of [
    ...[...directories, quickjs].flatMap((directory) => filesOf(directory, /\.([chS]|lds)$/)),
    ...filesOf(XEN_HEADERS, /\.h$/),
    join(MUSL_LIBRARIES, 'libc.a'),
  ]) {
    hash.update(`${basename(file)}\0`).update(readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}

class EngineBuild {
  private readonly sources: Sources;
  private readonly directory: string;
  private readonly flags: readonly string[];

  constructor(sources: Sources, directory: string, compilerHeaders: string) {
    this.sources = sources;
    this.directory = directory;
    // Only Xen's public headers, not all that this system has.
    mkdirSync(join(directory, 'include'));
    symlinkSync(XEN_HEADERS, join(directory, 'include/xen'));
    this.flags = [
      ...COMMON_FLAGS,
      ...['-nostdinc', '-isystem', MUSL_HEADERS, '-isystem', compilerHeaders],
      `-I${join(directory, 'include')}`,
      // No path of this machine gets into an image.
      `-ffile-prefix-map=${sources.checkout}=.`,
      `-ffile-prefix-map=${directory}=.`,
    ];
  }

  async run(): Promise<void> {
    const { native, quickjs } = this.sources;
    const engineFlags = [...C_FLAGS, ...WARNING_FLAGS, '-Os', ...this.engineIncludes()];
    const kernelFlags = [...C_FLAGS, ...WARNING_FLAGS, ...KERNEL_FLAGS];
    const jobs = [
      ...QUICKJS_SOURCES.map((name) => this.job('quickjs', join(quickjs, name), QUICKJS_FLAGS)),
      ...filesOf(join(native, 'kernel'), /\.c$/).map((f) => this.job('kernel', f, kernelFlags)),
      ...filesOf(join(native, 'kernel'), /\.S$/).map((f) => this.job('kernel', f, [])),
      ...filesOf(join(native, 'engine'), /\.c$/).map((f) => this.job('engine', f, engineFlags)),
      ...filesOf(join(native, 'host'), /\.c$/).map((f) => this.job('host', f, engineFlags)),
    ];
    await runAll(jobs, availableParallelism());
    await this.linkPrograms();
  }

  private engineIncludes(): string[] {
    const { native, quickjs } = this.sources;
    const own = ['kernel', 'engine', 'host'].map((name) => `-I${join(native, name)}`);
    return [...own, '-isystem', quickjs];
  }

  private job(room: string, source: string, flags: readonly string[]): () => Promise<string> {
    const object = join(this.directory, `${room}-${basename(source)}.o`);
    return () => runTool('gcc', [...this.flags, ...flags, '-c', source, '-o', object]);
  }

  private objects(ending: RegExp): string[] {
    return filesOf(this.directory, ending);
  }

  private async linkPrograms(): Promise<void> {
    const quickjs = this.objects(/^quickjs-.*\.o$/);
    const program = (name: string, objects: readonly string[]) =>
      runTool('musl-gcc', [
        ...['-static', '-no-pie', ...HOST_FLAGS, '-o', join(this.directory, name)],
        ...[...objects, ...quickjs, '-lm'],
      ]);
    const kernel = KERNEL_ON_HOST.map((name) => join(this.directory, `kernel-${name}.o`));
    const host = this.objects(/^(engine|host)-.*\.o$/);
    const compiler = join(this.directory, 'host-compile.c.o');
    await program('compile', [compiler]);
    await program('host', [...host.filter((object) => object !== compiler), ...kernel]);
  }
}

function engineIn(directory: string, { native }: Sources): Engine {
  return {
    compiler: join(directory, 'compile'),
    host: join(directory, 'host'),
    async link(assembly, image) {
      await runTool('gcc', [
        ...[...LINK_FLAGS, `-Wl,-T,${join(native, 'kernel/image.lds')}`],
        ...['-o', image, assembly],
        ...filesOf(directory, /^(kernel|engine|quickjs)-.*\.o$/),
        ...[`-L${MUSL_LIBRARIES}`, '-lc', '-lgcc'],
      ]);
    },
  };
}

/**
 * The engine for the sources as they are now, built if need be, which takes some 20 s.
 * @param cache where builds are kept; `.cache/unikernel` of the checkout unless given
 */
export async function buildEngine(cache?: string): Promise<Engine> {
  const sources = findSources();
  const root = cache ?? join(sources.checkout, '.cache/unikernel');
  const directory = join(root, await digestOf(sources));
  if (!existsSync(directory)) {
    mkdirSync(root, { recursive: true });
    const unfinished = mkdtempSync(join(root, 'unfinished-'));
    const headers = await runTool('gcc', ['-print-file-name=include']);
    await new EngineBuild(sources, unfinished, headers.trim()).run();
    await rename(unfinished, directory).catch(async (error) => {
      // Somebody else was as quick, and theirs is as good as ours.
      if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
      await rm(unfinished, { recursive: true });
    });
  }
  return engineIn(directory, sources);
}
