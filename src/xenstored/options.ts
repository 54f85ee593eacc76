/** What can be set about xenstored; the flags of the daemon give these. */
import { DEFAULT_QUOTAS, type Quotas } from './quota.ts';

export interface XenstoredOptions {
  /** `-E -S -W -t -A -M -Q -q`. */
  readonly quotas: Readonly<Quotas>;
  /** `--master-domid`: the domain whose kernel's ring is handed in and not introduced. */
  readonly masterDomid: number;
  /** `--priv-domid`: one domain besides dom0 that no permission or quota holds for. */
  readonly privDomid: number;
  /** `-w watch-event`: how long an event waits for an unprivileged domain to take it, 0 for ever. */
  readonly watchEventTimeout_ms: number;
  /** `--keep-orphans`: nodes of a domain that is gone go to the privileged domain instead of being removed. */
  readonly keepOrphans: boolean;
  /** Bytes of events that a privileged client may leave unread before it is cut off. */
  readonly privilegedQueueMax: number;
}

export const DEFAULT_OPTIONS: XenstoredOptions = {
  quotas: DEFAULT_QUOTAS,
  masterDomid: 0,
  privDomid: 0,
  watchEventTimeout_ms: 20_000,
  keepOrphans: false,
  privilegedQueueMax: 16 * 1024 * 1024,
};
