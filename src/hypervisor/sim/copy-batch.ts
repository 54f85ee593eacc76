import { GNTST_general_error, GNTST_okay } from '../../abi/grant_table.ts';
import type { CopyBatch } from '../contract.ts';
import { type CopyOperation, copyOperation, GrantCopyBatch } from '../grant-copy.ts';
import { findGrant } from './grants.ts';
import type { Domain, Xen } from './xen.ts';

/** @param assertOpen throws when the process that made the batch has ended */
export function simCopyBatch(
  xen: Xen,
  domain: Domain,
  capacity: number,
  assertOpen: () => void,
): CopyBatch {
  return new GrantCopyBatch(capacity, (operations, locals, statuses, count) => {
    assertOpen();
    let refused = 0;
    for (let index = 0; index < count; index++) {
      const status = perform(xen, domain, copyOperation(operations, locals, index));
      statuses[index] = status;
      if (status !== GNTST_okay) refused++;
    }
    xen.trace(domain, () => `copies ${count} times, ${refused} refused`);
  });
}

function perform(xen: Xen, domain: Domain, copy: CopyOperation): number {
  if (xen.fault('refuseCopy')) return GNTST_general_error;
  const { peer, ref, toPeer, local } = copy;
  const entry = findGrant(xen, domain, peer, ref, toPeer);
  if (typeof entry === 'number') return entry;
  const { memory, offset } = entry.frame;
  const peerBytes = new Uint8Array(memory, offset + copy.offset, local.length);
  if (toPeer) peerBytes.set(local);
  else local.set(peerBytes);
  return GNTST_okay;
}
