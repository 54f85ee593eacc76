/** What a driver domain needs of Xen's toolstack: xl, and libxl where xl does not suffice. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { XenError } from '../../base/errors.ts';
import { type DomId, domId } from '../../base/ids.ts';
import { nativePath } from '../../hypervisor/linux/native.ts';

export interface Toolstack {
  /** The name that the configuration gives to the domain. */
  name(): Promise<string>;
  /** Makes the domain and leaves it paused; with the domid given, or else with any. */
  create(domid: DomId | undefined): Promise<DomId>;
  unpause(domid: DomId): Promise<void>;
  destroy(domid: DomId): Promise<void>;
}

/** As far as it matters here; libxl knows the rest. */
interface DomainConfig {
  readonly c_info: { readonly name: string; readonly domid?: number };
}

/**
 * libxl has a domid rest for so many seconds after its domain was destroyed, so that nobody takes the
 * one for the other. Here that is just what is wanted.
 */
const NO_REST = { LIBXL_DOMID_REUSE_TIMEOUT: '0' };

/** Runs a program to its end; its standard output. Throws `XenError` with what it wrote if it fails. */
async function run(program: string, args: readonly string[], input = ''): Promise<string> {
  const operation = `run ${[program, ...args].join(' ')}`;
  const child = spawn(program, args, { env: { ...process.env, ...NO_REST } });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(new XenError('ENOENT', operation, error.message, error)));
    child.once('close', resolve);
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code, out, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code === 0) return out;
  throw new XenError('EIO', operation, errors.trim() || `exit status ${code}`);
}

function creator(): string {
  const path = join(dirname(nativePath()), 'create-domain');
  if (existsSync(path)) return path;
  throw new XenError('ENOENT', 'make a domain', `${path} is not built; run scripts/setup`);
}

/** The toolstack of this host for the domain that xl's configuration in the file `path` describes. */
export function hostToolstack(path: string): Toolstack {
  const config = async () => JSON.parse(await run('xl', ['create', '--dryrun', '--quiet', path]));
  return {
    name: async () => ((await config()) as DomainConfig).c_info.name,
    async create(domid) {
      // Read anew each time, as xl does when a domain reboots.
      const wanted: DomainConfig = await config();
      const c_info = { ...wanted.c_info, ...(domid === undefined ? {} : { domid }) };
      return domId(Number(await run(creator(), [], JSON.stringify({ ...wanted, c_info }))));
    },
    unpause: async (domid) => void (await run('xl', ['unpause', String(domid)])),
    destroy: async (domid) => void (await run('xl', ['destroy', String(domid)])),
  };
}
