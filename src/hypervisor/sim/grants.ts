/** Grants as Xen keeps them. */
import {
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_general_error,
  GNTTAB_NR_RESERVED_ENTRIES,
} from '../../abi/grant_table.ts';
import { XenError } from '../../base/errors.ts';
import type { DomId } from '../../base/ids.ts';
import type { Domain, Frame, GrantEntry, Xen } from './xen.ts';

function freeRefs(domain: Domain, count: number): number[] {
  const refs: number[] = [];
  for (let ref = GNTTAB_NR_RESERVED_ENTRIES; ref < domain.limits.grants_max; ref++) {
    if (refs.length === count) break;
    if (!domain.grants.has(ref)) refs.push(ref);
  }
  return refs;
}

/** Grants new pages of `domain` to `peer`. */
export function grantPages(
  xen: Xen,
  domain: Domain,
  peer: DomId,
  count: number,
  readOnly: boolean,
): GrantEntry[] {
  const operation = `grant ${count} pages of domain ${domain.domid} to domain ${peer}`;
  if (xen.fault('refuseShare')) throw new XenError('ENOSPC', operation, 'fault on purpose');
  // Counted before anything is allocated, so that an absurd number costs nothing.
  const room = domain.limits.grants_max - GNTTAB_NR_RESERVED_ENTRIES;
  const refs = count <= room ? freeRefs(domain, count) : [];
  if (refs.length < count) throw new XenError('ENOSPC', operation, 'the grant table is full');
  const frames = domain.allocateFrames(count);
  const entries = frames.map((frame, index) => {
    const entry: GrantEntry = {
      ref: refs[index] as number,
      peer,
      frame,
      readOnly,
      mappings: 0,
      revoked: false,
      reserved: false,
    };
    domain.grants.set(entry.ref, entry);
    return entry;
  });
  const access = readOnly ? 'to read' : 'to read and write';
  xen.trace(domain, () => `grants ${refs.join(', ')} to domain ${peer} ${access}`);
  return entries;
}

/** Fills a reserved entry, as the toolstack does while it builds a domain. */
export function grantReserved(domain: Domain, ref: number, peer: DomId, frame: Frame): void {
  domain.grants.set(ref, {
    ref,
    peer,
    frame,
    readOnly: false,
    mappings: 0,
    revoked: false,
    reserved: true,
  });
}

function endGrant(xen: Xen, entry: GrantEntry): void {
  const domain = entry.frame.owner;
  domain.grants.delete(entry.ref);
  domain.frames.delete(entry.frame.gfn);
  xen.trace(domain, () => `grant ${entry.ref} has ended`);
}

/** Takes a grant back: now, or when the peer has let go of it. */
export function revokeGrant(xen: Xen, entry: GrantEntry): void {
  if (entry.frame.owner.state === 'gone') return;
  entry.revoked = true;
  if (entry.mappings === 0) endGrant(xen, entry);
  else
    xen.trace(
      entry.frame.owner,
      () => `grant ${entry.ref} ends when domain ${entry.peer} unmaps it`,
    );
}

/**
 * The grant that lets `user` use `ref` of domain `granter`, or the GNTST_ code that Xen refuses it
 * with.
 */
export function findGrant(
  xen: Xen,
  user: Domain,
  granter: DomId,
  ref: number,
  write: boolean,
): GrantEntry | number {
  const domain = xen.domain(granter);
  if (domain === undefined) return GNTST_bad_domain;
  // The memory of a dying domain can't be newly used; what is mapped stays mapped.
  if (domain.state === 'dying') return GNTST_general_error;
  const entry = domain.grants.get(ref);
  if (entry === undefined) return GNTST_bad_gntref;
  if (entry.peer !== user.domid) return GNTST_general_error;
  if (write && entry.readOnly) return GNTST_general_error;
  return entry;
}

const refusals = new Map([
  [GNTST_bad_domain, 'there is no such domain'],
  [GNTST_bad_gntref, 'there is no such grant'],
  [GNTST_general_error, 'it is not granted to us for reading and writing'],
]);

/** Maps `refs` of `granter` into `user`: all or none. */
export function mapGrants(
  xen: Xen,
  user: Domain,
  granter: DomId,
  refs: readonly number[],
): GrantEntry[] {
  const entries = refs.map((ref) => {
    const operation = `map grant ${ref} of domain ${granter}`;
    if (xen.fault('refuseMap')) throw new XenError('EINVAL', operation, 'fault on purpose');
    const entry = findGrant(xen, user, granter, ref, true);
    if (typeof entry === 'number') throw new XenError('EINVAL', operation, refusals.get(entry));
    return entry;
  });
  for (const entry of entries) {
    entry.mappings += 1;
    xen.holdFrame(entry.frame);
  }
  xen.trace(user, () => `maps ${refs.join(', ')} of domain ${granter}`);
  return entries;
}

export function unmapGrants(xen: Xen, user: Domain, entries: readonly GrantEntry[]): void {
  const refs = entries.map((entry) => entry.ref).join(', ');
  const granter = (entries[0] as GrantEntry).frame.owner;
  xen.trace(user, () => `unmaps ${refs} of domain ${granter.domid}`);
  for (const entry of entries) {
    entry.mappings -= 1;
    xen.releaseFrame(entry.frame);
    if (entry.revoked && entry.mappings === 0 && granter.state !== 'gone') endGrant(xen, entry);
  }
}
