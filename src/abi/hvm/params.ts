/** What the toolstack tells a domain about itself, xen/include/public/hvm/params.h. */

export const HVM_PARAM_STORE_PFN = 1;
export const HVM_PARAM_STORE_EVTCHN = 2;
