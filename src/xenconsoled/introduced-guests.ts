/** Guests as the console daemon of dom0 finds them: it asks Xen for all domains whenever xenstored tells of one. */
import { XenError } from '../base/errors.ts';
import { DOM0, type DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { DomainControl } from '../hypervisor/contract.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import type { FindGuests } from './guest-finder.ts';

export interface IntroducedGuestsParts {
  readonly xenstore: Xenstore;
  readonly domainControl: DomainControl;
  /** The domain that the daemon is in. */
  readonly domid: DomId;
  readonly log: Log;
}

/** Domains that may have a console of ours; domain 0's and our own are nobody's to serve. */
function aliveGuests({ domainControl, domid: own, log }: IntroducedGuestsParts) {
  try {
    const served = domainControl
      .list()
      .filter(({ domid, dying }) => !dying && domid !== DOM0 && domid !== own);
    return new Set(served.map(({ domid }) => domid));
  } catch (error) {
    if (!(error instanceof XenError)) throw error;
    log.error('cannot list the domains', { error: error.message });
    return undefined;
  }
}

/** Each watch fires once at once, which finds the domains that are there already. */
export function introducedGuests(parts: IntroducedGuestsParts): FindGuests {
  return async (found) => {
    let closed = false;
    const look = () => {
      const alive = closed ? undefined : aliveGuests(parts);
      if (alive !== undefined) void found(alive);
    };
    const watches = await Promise.all(
      ['@introduceDomain', '@releaseDomain'].map((happening) =>
        parts.xenstore.watch(happening, look),
      ),
    );
    const close = async () => {
      closed = true;
      await Promise.allSettled(watches.map((watch) => watch.close()));
    };
    return { look, close };
  };
}
