/** Numbers that every interface of Xen shares, xen/include/public/xen.h. */

export { DOMID_FIRST_RESERVED } from '../base/ids.ts';

/** The caller itself, where a call takes a domid. */
export const DOMID_SELF = 0x7ff0;

/** No domain at all. */
export const DOMID_INVALID = 0x7ff4;

/** No domain in particular: in a permission entry of xenstore, every one. */
export const DOMID_ANY = 0x7ff5;

/** Something happened to some domain: it was created, shut down or has died. For the xenstore domain. */
export const VIRQ_DOM_EXC = 3;
/** Text came into the hypervisor's own console ring. */
export const VIRQ_CON_RING = 8;
