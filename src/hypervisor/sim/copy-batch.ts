import { GNTST_general_error, GNTST_okay } from '../../abi/grant_table.ts';
import type { CopyBatch } from '../contract.ts';
import {
  type CopyOperation,
  copyOperation,
  GrantCopyBatch,
  type GrantedPlace,
} from '../grant-copy.ts';
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
  const source = bytesOf(xen, domain, copy.source, copy.length, false);
  if (typeof source === 'number') return source;
  const target = bytesOf(xen, domain, copy.target, copy.length, true);
  if (typeof target === 'number') return target;
  target.set(source);
  return GNTST_okay;
}

/** One side of a copy, or the status that it is refused with. */
function bytesOf(
  xen: Xen,
  domain: Domain,
  side: Uint8Array | GrantedPlace,
  length: number,
  writes: boolean,
): Uint8Array | number {
  if (side instanceof Uint8Array) return side;
  const entry = findGrant(xen, domain, side.peer, side.ref, writes);
  if (typeof entry === 'number') return entry;
  const { memory, offset } = entry.frame;
  return new Uint8Array(memory, offset + side.offset, length);
}
