/** Domain control for the toolstack, xen/include/public/domctl.h: who there is. */
import { struct, u16, u32 } from '../base/layout.ts';

/** Of the installed headers. Xen answers EACCES to any version but its own. */
export const XEN_DOMCTL_INTERFACE_VERSION = 0x15;

export const XEN_DOMCTL_getdomaininfo = 5;

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

/** `struct xen_domctl` ends in a union of 128 bytes, whatever the operation. */
const XEN_DOMCTL_SIZE = 144;

/** Describes the domain with the lowest domid from `domain` on; that domid takes the place of it. */
export const XenDomctl = struct(
  'struct xen_domctl',
  {
    cmd: u32,
    interface_version: u32,
    domain: u16,
    pad0: u16,
    pad1: u16,
    pad2: u16,
    /** What it says of the domain: the fields of `XenDomctlGetdomaininfo` that we use. */
    infoDomain: u16,
    infoPad1: u16,
    infoFlags: u32,
  },
  {
    sizeMin: XEN_DOMCTL_SIZE,
    cFields: {
      pad0: '_pad[0]',
      pad1: '_pad[1]',
      pad2: '_pad[2]',
      infoDomain: 'u.getdomaininfo.domain',
      infoPad1: 'u.getdomaininfo.pad1',
      infoFlags: 'u.getdomaininfo.flags',
    },
  },
);
