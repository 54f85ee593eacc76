import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  LIBRARY,
  checkoutDirectory
} from "./chunk-DBGIVBZN.js";
import {
  runAll,
  runTool
} from "./chunk-4FSZ64YD.js";
import {
  XenError,
  errorCode
} from "./chunk-4IU4G7QT.js";

// src/dom0/image/image.ts
import { mkdtemp, rm as rm2, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as join2 } from "node:path";
import { build } from "esbuild";

// src/dom0/image/engine.ts
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync
} from "node:fs";
import { rename, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
var MUSL_HEADERS = "/usr/include/x86_64-linux-musl";
var MUSL_LIBRARIES = "/usr/lib/x86_64-linux-musl";
var XEN_HEADERS = "/usr/include/xen";
var QUICKJS = "node_modules/qjsc/deps/quickjs_2021_03_27";
var QUICKJS_SOURCES = ["quickjs.c", "libregexp.c", "libunicode.c", "cutils.c", "libbf.c"];
var KERNEL_ON_HOST = [
  "console_printf.c",
  "events.c",
  "events_fifo.c",
  "events_two_level.c",
  "grants.c",
  "kept.c",
  "mappings.c",
  "pages.c",
  "window.c"
];
var HOST_FLAGS = ["-Wl,-Ttext-segment=0x50000000"];
var COMMON_FLAGS = [
  "-std=gnu11",
  "-D_GNU_SOURCE",
  "-D__XEN_INTERFACE_VERSION__=0x00040e00",
  "-fno-pic",
  "-fno-pie",
  "-fno-stack-protector",
  "-fno-asynchronous-unwind-tables",
  "-ffunction-sections",
  "-fdata-sections",
  "-fcf-protection=none"
];
var C_FLAGS = ["-include", "stdint.h"];
var WARNING_FLAGS = ["-Wall", "-Wextra", "-Werror", "-Wno-sign-compare", "-Wno-unused-parameter"];
var KERNEL_FLAGS = [
  "-O2",
  "-ffreestanding",
  "-mgeneral-regs-only",
  "-mno-red-zone",
  "-fno-tree-loop-distribute-patterns"
];
var QUICKJS_FLAGS = ["-Os", "-w", "-DCONFIG_BIGNUM", '-DCONFIG_VERSION="2021-03-27"'];
var LINK_FLAGS = [
  "-nostdlib",
  "-static",
  "-no-pie",
  "-Wl,--gc-sections,--build-id=none,-s,-z,noexecstack,-z,max-page-size=4096"
];
function findSources() {
  const checkout = checkoutDirectory();
  const quickjs = join(checkout, QUICKJS);
  if (!existsSync(quickjs)) {
    throw new XenError("ENOENT", "build the engine", `${QUICKJS} is not there; run scripts/setup`);
  }
  return { checkout, native: join(checkout, "native/unikernel"), quickjs };
}
var filesOf = (directory, ending) => readdirSync(directory).filter((name) => ending.test(name)).sort().map((name) => join(directory, name));
async function digestOf({ native, quickjs }) {
  const hash = createHash("sha256");
  hash.update(
    JSON.stringify([COMMON_FLAGS, C_FLAGS, WARNING_FLAGS, KERNEL_FLAGS, QUICKJS_FLAGS, HOST_FLAGS])
  );
  hash.update(await runTool("gcc", ["--version"]));
  const directories = ["kernel", "engine", "host"].map((name) => join(native, name));
  for (const file of [
    ...[...directories, quickjs].flatMap((directory) => filesOf(directory, /\.([chS]|lds)$/)),
    ...filesOf(XEN_HEADERS, /\.h$/),
    join(MUSL_LIBRARIES, "libc.a")
  ]) {
    hash.update(`${basename(file)}\0`).update(readFileSync(file));
  }
  return hash.digest("hex").slice(0, 16);
}
var EngineBuild = class {
  sources;
  directory;
  flags;
  constructor(sources, directory, compilerHeaders) {
    this.sources = sources;
    this.directory = directory;
    mkdirSync(join(directory, "include"));
    symlinkSync(XEN_HEADERS, join(directory, "include/xen"));
    this.flags = [
      ...COMMON_FLAGS,
      ...["-nostdinc", "-isystem", MUSL_HEADERS, "-isystem", compilerHeaders],
      `-I${join(directory, "include")}`,
      // No path of this machine gets into an image.
      `-ffile-prefix-map=${sources.checkout}=.`,
      `-ffile-prefix-map=${directory}=.`
    ];
  }
  async run() {
    const { native, quickjs } = this.sources;
    const engineFlags = [...C_FLAGS, ...WARNING_FLAGS, "-Os", ...this.engineIncludes()];
    const kernelFlags = [...C_FLAGS, ...WARNING_FLAGS, ...KERNEL_FLAGS];
    const jobs = [
      ...QUICKJS_SOURCES.map((name) => this.job("quickjs", join(quickjs, name), QUICKJS_FLAGS)),
      ...filesOf(join(native, "kernel"), /\.c$/).map((f) => this.job("kernel", f, kernelFlags)),
      ...filesOf(join(native, "kernel"), /\.S$/).map((f) => this.job("kernel", f, [])),
      ...filesOf(join(native, "engine"), /\.c$/).map((f) => this.job("engine", f, engineFlags)),
      ...filesOf(join(native, "host"), /\.c$/).map((f) => this.job("host", f, engineFlags))
    ];
    await runAll(jobs, availableParallelism());
    await this.linkPrograms();
  }
  engineIncludes() {
    const { native, quickjs } = this.sources;
    const own = ["kernel", "engine", "host"].map((name) => `-I${join(native, name)}`);
    return [...own, "-isystem", quickjs];
  }
  job(room, source, flags) {
    const object = join(this.directory, `${room}-${basename(source)}.o`);
    return () => runTool("gcc", [...this.flags, ...flags, "-c", source, "-o", object]);
  }
  objects(ending) {
    return filesOf(this.directory, ending);
  }
  async linkPrograms() {
    const quickjs = this.objects(/^quickjs-.*\.o$/);
    const program = (name, objects) => runTool("musl-gcc", [
      ...["-static", "-no-pie", ...HOST_FLAGS, "-o", join(this.directory, name)],
      ...[...objects, ...quickjs, "-lm"]
    ]);
    const kernel = KERNEL_ON_HOST.map((name) => join(this.directory, `kernel-${name}.o`));
    const host = this.objects(/^(engine|host)-.*\.o$/);
    const compiler = join(this.directory, "host-compile.c.o");
    await program("compile", [compiler]);
    await program("host", [...host.filter((object) => object !== compiler), ...kernel]);
  }
};
function engineIn(directory, { native }) {
  return {
    compiler: join(directory, "compile"),
    host: join(directory, "host"),
    async link(assembly, image) {
      await runTool("gcc", [
        ...[...LINK_FLAGS, `-Wl,-T,${join(native, "kernel/image.lds")}`],
        ...["-o", image, assembly],
        ...filesOf(directory, /^(kernel|engine|quickjs)-.*\.o$/),
        ...[`-L${MUSL_LIBRARIES}`, "-lc", "-lgcc"]
      ]);
    }
  };
}
async function buildEngine(cache) {
  const sources = findSources();
  const root = cache ?? join(sources.checkout, ".cache/unikernel");
  const directory = join(root, await digestOf(sources));
  if (!existsSync(directory)) {
    mkdirSync(root, { recursive: true });
    const unfinished = mkdtempSync(join(root, "unfinished-"));
    const headers = await runTool("gcc", ["-print-file-name=include"]);
    await new EngineBuild(sources, unfinished, headers.trim()).run();
    await rename(unfinished, directory).catch(async (error) => {
      if (errorCode(error) !== "ENOTEMPTY" && errorCode(error) !== "EEXIST") throw error;
      await rm(unfinished, { recursive: true });
    });
  }
  return engineIn(directory, sources);
}

// src/dom0/image/image.ts
var TARGET = "es2020";
var bundleAssembly = (bundle) => `
    .section .bundle, "a"
    .balign 16
    .globl bundle_start, bundle_end
bundle_start: ${bundle === "" ? "" : `.incbin ${JSON.stringify(bundle)}`}
bundle_end:
    .section .note.GNU-stack, "", @progbits
`;
async function inScratch(work) {
  const directory = await mkdtemp(join2(tmpdir(), "paravane-image-"));
  try {
    return await work(directory);
  } finally {
    await rm2(directory, { recursive: true });
  }
}
async function buildBundle(engine, entry, bundle, { alias = {} } = {}) {
  await inScratch(async (directory) => {
    const script = join2(directory, "bundle.js");
    const checkout = checkoutDirectory();
    await build({
      entryPoints: [entry],
      outfile: script,
      absWorkingDir: checkout,
      alias: { paravane: join2(checkout, LIBRARY), ...alias },
      bundle: true,
      treeShaking: true,
      minifySyntax: true,
      minifyWhitespace: true,
      format: "iife",
      platform: "neutral",
      target: TARGET,
      logLevel: "error"
    });
    await runTool(engine.compiler, [script, bundle]);
  });
}
async function linkImage(engine, image, bundle = "") {
  await inScratch(async (directory) => {
    const assembly = join2(directory, "bundle.s");
    await writeFile(assembly, bundleAssembly(bundle));
    await engine.link(assembly, image);
  });
}
async function buildImage(entry, image, options = {}) {
  const engine = await buildEngine();
  await inScratch(async (directory) => {
    const bundle = join2(directory, "bundle");
    await buildBundle(engine, entry, bundle, options);
    await linkImage(engine, image, bundle);
  });
  return (await stat(image)).size;
}

export {
  inScratch,
  buildBundle,
  linkImage,
  buildImage
};
//# sourceMappingURL=chunk-Z54AUDAW.js.map
