/**
 * Whether the domain at the other end still exists. A process that dies tells its peer, since its
 * kernel does that for it; a domain that is destroyed takes its kernel along and tells nobody.
 */
import { XenError } from '../base/errors.ts';
import { DOM0, type DomId } from '../base/ids.ts';
import type { Xenstore, XenstoreWatch } from '../xenstore/xenstore.ts';

export class PeerDomain {
  private readonly watch: XenstoreWatch | undefined;

  private constructor(watch: XenstoreWatch | undefined) {
    this.watch = watch;
  }

  /**
   * Calls `onGone` once the domain is gone, and soon if there is none with that number. xenstored
   * tells of domains' ends only those whom `@releaseDomain` permits, by default dom0 and driver
   * domains; to others this never tells.
   */
  static async watch(xenstore: Xenstore, domid: DomId, onGone: () => void): Promise<PeerDomain> {
    if (domid === DOM0) return new PeerDomain(undefined);
    const look = async () => {
      try {
        if (!(await xenstore.isDomainIntroduced(domid))) onGone();
      } catch (error) {
        // Whoever may not ask is not told; a connection that has ended is noticed by its owner.
        if (!(error instanceof XenError)) throw error;
      }
    };
    try {
      return new PeerDomain(await xenstore.watch('@releaseDomain', () => void look()));
    } catch (error) {
      if (error instanceof XenError && error.code === 'EACCES') return new PeerDomain(undefined);
      throw error;
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.watch?.close();
  }
}

export function noSuchDomain(operation: string, domid: DomId): XenError {
  return new XenError('ESRCH', operation, `domain ${domid} is gone`);
}
