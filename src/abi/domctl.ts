/** Domain control for the toolstack, xen/include/public/domctl.h: what sysctl shares with it. */
import { struct, u16, u32 } from '../base/layout.ts';

/** A domain, as far as every version of Xen describes it alike: the head of a longer structure. */
export const XenDomctlGetdomaininfo = struct(
  'struct xen_domctl_getdomaininfo',
  {
    domain: u16,
    pad1: u16,
    /** `XEN_DOMINF_…`, and the shutdown code above `XEN_DOMINF_shutdownshift`. */
    flags: u32,
  },
  { sizeMin: 112 },
);

export const XEN_DOMINF_dying = 1 << 0;
export const XEN_DOMINF_hvm_guest = 1 << 1;
export const XEN_DOMINF_shutdown = 1 << 2;
export const XEN_DOMINF_shutdownmask = 255;
export const XEN_DOMINF_shutdownshift = 16;
