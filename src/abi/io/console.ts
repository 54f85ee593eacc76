/** The page of a paravirtual console, xen/include/public/io/console.h. */
import { byteArray, struct, u32 } from '../../base/layout.ts';

/** Two byte rings, named from the guest's side: `in` is typed at it, `out` is printed by it. */
export const XenconsInterface = struct('struct xencons_interface', {
  in: byteArray(1024),
  out: byteArray(2048),
  in_cons: u32,
  in_prod: u32,
  out_cons: u32,
  out_prod: u32,
});
