/** What a front end's `protocol` node says of its structures' layout, xen/include/public/io/protocols.h. */

export const XEN_IO_PROTO_ABI_X86_32 = 'x86_32-abi';
export const XEN_IO_PROTO_ABI_X86_64 = 'x86_64-abi';
