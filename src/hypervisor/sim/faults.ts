/** What Xen may do to a domain at any time, each with its probability from 0 (never) to 1. */
export interface FaultPlan {
  /**
   * An event comes late, by up to `delayEvent_ms_max` of virtual time; signals meanwhile merge with
   * it. Xen loses no signal, except those sent while the other end is closed, which is no fault
   * but happens always.
   */
  delayEvent: number;
  delayEvent_ms_max: number;
  /** A handler is called once more, without cause. */
  spuriousEvent: number;
  /** `share` finds the grant table full: ENOSPC. */
  refuseShare: number;
  /** `map` fails on one of its pages: EINVAL. */
  refuseMap: number;
  /** One copy of a batch fails: `GNTST_general_error`. */
  refuseCopy: number;
  /** There is no free port: ENOSPC. */
  refusePort: number;
}

export const noFaults: Readonly<FaultPlan> = {
  delayEvent: 0,
  delayEvent_ms_max: 10,
  spuriousEvent: 0,
  refuseShare: 0,
  refuseMap: 0,
  refuseCopy: 0,
  refusePort: 0,
};
