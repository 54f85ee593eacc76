/** System control for the toolstack, xen/include/public/sysctl.h: the two operations we use. */
import { struct, u8, u16, u32, u64 } from '../base/layout.ts';

/**
 * The version of the interface that the installed headers describe. Xen answers EACCES to any
 * version but its own; the two operations below have been the same in all of them since 4.2.
 */
export const XEN_SYSCTL_INTERFACE_VERSION = 0x15;

export const XEN_SYSCTL_readconsole = 1;
export const XEN_SYSCTL_getdomaininfolist = 6;

/** `struct xen_sysctl` ends in a union of 128 bytes, whatever the operation. */
const XEN_SYSCTL_SIZE = 136;

/** Takes text from the hypervisor's console ring. */
export const XenSysctlReadconsole = struct(
  'struct xen_sysctl',
  {
    cmd: u32,
    interface_version: u32,
    clear: u8,
    /** 1 reads on from `index`, 0 from the oldest text. */
    incremental: u8,
    pad0: u8,
    pad1: u8,
    /** In: where to read on. Out: where to read on the next time. */
    index: u32,
    buffer: u64,
    /** In: bytes that fit. Out: bytes written. */
    count: u32,
  },
  {
    sizeMin: XEN_SYSCTL_SIZE,
    cFields: {
      clear: 'u.readconsole.clear',
      incremental: 'u.readconsole.incremental',
      pad0: 'u.readconsole.pad0',
      pad1: 'u.readconsole.pad1',
      index: 'u.readconsole.index',
      buffer: 'u.readconsole.buffer',
      count: 'u.readconsole.count',
    },
  },
);

/** Describes domains, in order of domid, each as a `struct xen_domctl_getdomaininfo`. */
export const XenSysctlGetdomaininfolist = struct(
  'struct xen_sysctl',
  {
    cmd: u32,
    interface_version: u32,
    /** The lowest domid to describe. */
    first_domain: u16,
    max_domains: u32,
    buffer: u64,
    num_domains: u32,
  },
  {
    sizeMin: XEN_SYSCTL_SIZE,
    cFields: {
      first_domain: 'u.getdomaininfolist.first_domain',
      max_domains: 'u.getdomaininfolist.max_domains',
      buffer: 'u.getdomaininfolist.buffer',
      num_domains: 'u.getdomaininfolist.num_domains',
    },
  },
);
