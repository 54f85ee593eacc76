/** What the toolstack finds in xenstore about the domain that serves it, as init-xenstore-domain leaves it. */
import { domainHome } from '../../xenstore/path.ts';
import type { Xenstore } from '../../xenstore/xenstore.ts';
import type { StoreDomain } from './toolstack.ts';

/** Where libxl looks which domain a guest's ring is for. */
const STORE_DOMID = '/tool/xenstored/domid';
const KIB_PER_MIB = 1024;

/** Writes what is not there. Resolves when the store domain has done so. */
export async function recordStoreDomain(
  xenstore: Xenstore,
  { domid, journal }: StoreDomain,
  memory_mib: number,
): Promise<void> {
  const store = domainHome(domid);
  const memory = String(memory_mib * KIB_PER_MIB);
  const records = {
    [STORE_DOMID]: String(domid),
    [`${store}/domid`]: String(domid),
    [`${store}/name`]: 'Xenstore',
    [`${store}/memory/target`]: memory,
    [`${store}/memory/static-max`]: memory,
    [`${domainHome(journal)}/name`]: 'Xenstore-journal',
  };
  await xenstore.transaction(async (nodes) => {
    for (const [path, value] of Object.entries(records)) {
      if ((await nodes.readIfPresent(path)) === undefined) await nodes.write(path, value);
    }
  });
}
