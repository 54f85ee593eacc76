/** What Xen offers to a domain, xen/include/public/features.h: bit numbers of a bit map. */

/** The domain is the control domain. */
export const XENFEAT_dom0 = 11;
