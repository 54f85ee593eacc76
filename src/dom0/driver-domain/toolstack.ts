/** What a driver domain needs of Xen's toolstack: xl, and libxl where xl does not suffice. */
import { type DomId, domId } from '../../base/ids.ts';
import { builtProgram, runProgram } from '../toolstack-program.ts';

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

/** The toolstack of this host for the domain that xl's configuration in the file `path` describes. */
export function hostToolstack(path: string): Toolstack {
  const config = async () =>
    JSON.parse(await runProgram('xl', ['create', '--dryrun', '--quiet', path]));
  return {
    name: async () => ((await config()) as DomainConfig).c_info.name,
    async create(domid) {
      // Read anew each time, as xl does when a domain reboots.
      const wanted: DomainConfig = await config();
      const c_info = { ...wanted.c_info, ...(domid === undefined ? {} : { domid }) };
      const input = JSON.stringify({ ...wanted, c_info });
      return domId(Number(await runProgram(builtProgram('create-domain'), [], input)));
    },
    unpause: async (domid) => void (await runProgram('xl', ['unpause', String(domid)])),
    destroy: async (domid) => void (await runProgram('xl', ['destroy', String(domid)])),
  };
}
