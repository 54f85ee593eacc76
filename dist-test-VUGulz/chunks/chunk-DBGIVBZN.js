import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XenError
} from "./chunk-4IU4G7QT.js";

// src/dom0/image/project.ts
import { existsSync as existsSync2 } from "node:fs";
import { cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, join as join2 } from "node:path";

// src/dom0/image/checkout.ts
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
var landmark = "native/unikernel/kernel/image.lds";
function checkoutDirectory(from = fileURLToPath(import.meta.url)) {
  for (let directory = dirname(from); ; directory = dirname(directory)) {
    if (existsSync(join(directory, landmark))) return directory;
    if (directory === dirname(directory)) {
      throw new XenError(
        "ENOENT",
        "build an image",
        `${landmark} is not above this program; images are built in a checkout`
      );
    }
  }
}

// src/dom0/image/project.ts
var LIBRARY = "stubdoms/library.ts";
var ENTRY = "main.ts";
var NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
function projectIn(directory, operation) {
  const name = basename(directory);
  if (!NAME.test(name)) {
    const rule = "a name has at most 64 letters, digits, and the signs - _ . after the first";
    throw new XenError("EINVAL", operation, rule);
  }
  return { name, entry: join2(directory, ENTRY) };
}
function typeScriptConfig() {
  const compilerOptions = {
    target: "ES2020",
    lib: ["ES2020"],
    module: "ESNext",
    moduleResolution: "bundler",
    types: [],
    noEmit: true,
    allowImportingTsExtensions: true,
    strict: true,
    skipLibCheck: true,
    paths: { paravane: [join2(checkoutDirectory(), LIBRARY)] }
  };
  return `${JSON.stringify({ compilerOptions, include: ["*.ts"] }, void 0, 2)}
`;
}
async function makeProject(directory, template) {
  const operation = `make a ${template} in ${directory}`;
  const project = projectIn(directory, operation);
  if (existsSync2(directory) && (await readdir(directory)).length > 0) {
    throw new XenError("EEXIST", operation, "the directory is not empty");
  }
  await mkdir(directory, { recursive: true });
  const source = join2(checkoutDirectory(), "stubdoms/templates", template);
  await cp(source, directory, { recursive: true });
  await writeFile(join2(directory, "tsconfig.json"), typeScriptConfig());
  return project;
}
function findProject(directory) {
  const operation = `build ${directory}`;
  const project = projectIn(directory, operation);
  if (existsSync2(project.entry)) return project;
  const detail = `there is no ${ENTRY}; \`paravane new\` makes a directory with one`;
  throw new XenError("ENOENT", operation, detail);
}

export {
  checkoutDirectory,
  LIBRARY,
  makeProject,
  findProject
};
//# sourceMappingURL=chunk-DBGIVBZN.js.map
