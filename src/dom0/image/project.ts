/** Directories with a program of a user's own, which `paravane new` makes and `paravane build` takes. */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { XenError } from '../../base/errors.ts';
import { checkoutDirectory } from './checkout.ts';

/** What `import … from 'paravane'` names there, below the checkout. */
export const LIBRARY = 'stubdoms/library.ts';

/** What begins the program. */
const ENTRY = 'main.ts';

/** As a domain can be called, and the file of its image. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

export interface Project {
  /** Of the domain. */
  readonly name: string;
  /** The absolute path of what begins the program. */
  readonly entry: string;
}

function projectIn(directory: string, operation: string): Project {
  const name = basename(directory);
  if (!NAME.test(name)) {
    const rule = 'a name has at most 64 letters, digits, and the signs - _ . after the first';
    throw new XenError('EINVAL', operation, rule);
  }
  return { name, entry: join(directory, ENTRY) };
}

/** For editors, and for `tsc`: the language that stub domains run, and where the library is. */
function typeScriptConfig(): string {
  const compilerOptions = {
    target: 'ES2020',
    lib: ['ES2020'],
    module: 'ESNext',
    moduleResolution: 'bundler',
    types: [],
    noEmit: true,
    allowImportingTsExtensions: true,
    strict: true,
    skipLibCheck: true,
    paths: { paravane: [join(checkoutDirectory(), LIBRARY)] },
  };
  return `${JSON.stringify({ compilerOptions, include: ['*.ts'] }, undefined, 2)}\n`;
}

/**
 * Makes a project in `directory`, an absolute path. Rejects with EEXIST where something is in it already,
 * EINVAL where a domain cannot have its name.
 */
export async function makeProject(
  directory: string,
  template: 'service' | 'guest',
): Promise<Project> {
  const operation = `make a ${template} in ${directory}`;
  const project = projectIn(directory, operation);
  if (existsSync(directory) && (await readdir(directory)).length > 0) {
    throw new XenError('EEXIST', operation, 'the directory is not empty');
  }
  await mkdir(directory, { recursive: true });
  const source = join(checkoutDirectory(), 'stubdoms/templates', template);
  await cp(source, directory, { recursive: true });
  await writeFile(join(directory, 'tsconfig.json'), typeScriptConfig());
  return project;
}

/** The project in `directory`, an absolute path. Throws ENOENT where there is none. */
export function findProject(directory: string): Project {
  const operation = `build ${directory}`;
  const project = projectIn(directory, operation);
  if (existsSync(project.entry)) return project;
  const detail = `there is no ${ENTRY}; \`paravane new\` makes a directory with one`;
  throw new XenError('ENOENT', operation, detail);
}
