/** The two layouts that a guest's requests can have, by its `protocol` key. */
import {
  BlkifRequest,
  BlkifRequestDiscard,
  BlkifRequestDiscardX86_32,
  BlkifRequestIndirect,
  BlkifRequestIndirectX86_32,
  BlkifRequestX86_32,
  BlkifResponse,
  BlkifResponseX86_32,
} from '../abi/io/blkif.ts';
import { XEN_IO_PROTO_ABI_X86_32, XEN_IO_PROTO_ABI_X86_64 } from '../abi/io/protocols.ts';
import { ProtocolViolation } from '../base/errors.ts';

export interface BlkifProtocol {
  readonly request: typeof BlkifRequest;
  readonly discard: typeof BlkifRequestDiscard;
  readonly indirect: typeof BlkifRequestIndirect | typeof BlkifRequestIndirectX86_32;
  readonly response: typeof BlkifResponse;
}

export const x86_64: BlkifProtocol = {
  request: BlkifRequest,
  discard: BlkifRequestDiscard,
  indirect: BlkifRequestIndirect,
  response: BlkifResponse,
};

export const x86_32: BlkifProtocol = {
  request: BlkifRequestX86_32,
  discard: BlkifRequestDiscardX86_32,
  indirect: BlkifRequestIndirectX86_32,
  response: BlkifResponseX86_32,
};

/** The layout that a `protocol` key names; without one it is that of the host, a 64-bit one. */
export function blkifProtocol(key: string | undefined): BlkifProtocol {
  switch (key) {
    case undefined:
    case XEN_IO_PROTO_ABI_X86_64:
      return x86_64;
    case XEN_IO_PROTO_ABI_X86_32:
      return x86_32;
    default:
      throw new ProtocolViolation(
        'read protocol of the front end',
        `blkif: protocol is ${XEN_IO_PROTO_ABI_X86_64} or ${XEN_IO_PROTO_ABI_X86_32}`,
        JSON.stringify(key.slice(0, 32)),
      );
  }
}
