/** The head of a ring of requests and responses, xen/include/public/io/ring.h. */
import { byteArray, struct, u32 } from '../../base/layout.ts';

/**
 * What `DEFINE_RING_TYPES` puts before the slots. Every index runs freely over 32 bits.
 * `req_event` and `rsp_event` say which index a sleeping consumer wants to be woken at.
 */
export const Sring = struct('struct blkif_sring', {
  req_prod: u32,
  req_event: u32,
  rsp_prod: u32,
  rsp_event: u32,
  pvt: byteArray(4),
  __pad: byteArray(44),
  /** Where the slots begin; their number and size depend on the protocol. */
  ring: byteArray(0),
});
