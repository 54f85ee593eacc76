/** Domains as people call them. */
import { XenError } from '../base/errors.ts';
import { DOMID_FIRST_RESERVED, type DomId, domId } from '../base/ids.ts';
import { childrenOf } from './directories.ts';
import type { Xenstore } from './xenstore.ts';

/** The number of the domain that `text` names: a domid, or the name that the toolstack gave. Rejects with ENOENT. */
export async function findDomain(store: Xenstore, text: string): Promise<DomId> {
  const domids = (await childrenOf(store, '/local/domain')).filter(
    (name) => /^[0-9]{1,5}$/.test(name) && Number(name) < DOMID_FIRST_RESERVED,
  );
  if (domids.includes(text)) return domId(Number(text));
  for (const domid of domids) {
    const name = await store.readIfPresent(`/local/domain/${domid}/name`);
    if (name === text) return domId(Number(domid));
  }
  throw new XenError('ENOENT', `find domain ${JSON.stringify(text)}`, 'there is none of that name');
}
