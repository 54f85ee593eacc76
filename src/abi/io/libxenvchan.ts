/** The first page of a vchan, xen/include/public/io/libxenvchan.h. */
import { arrayOf, struct, u8, u16, u32 } from '../../base/layout.ts';

/** Notify when data has been written. */
export const VCHAN_NOTIFY_WRITE = 1;
/** Notify when data has been read. */
export const VCHAN_NOTIFY_READ = 2;

/** `left` is written by the client, `right` by the server. */
export const VchanInterface = struct(
  'struct vchan_interface',
  {
    left_cons: u32,
    left_prod: u32,
    right_cons: u32,
    right_prod: u32,
    /** Logarithm of a ring's size; says where it lies: 10 and 11 in this page, above in pages of its own. */
    left_order: u16,
    right_order: u16,
    /** 0 gone, 1 connected, 2 (of the client) not yet connected. */
    cli_live: u8,
    srv_live: u8,
    /** `VCHAN_NOTIFY_…`: what the client wants the server to notify it of, and the other way round. */
    cli_notify: u8,
    srv_notify: u8,
    /** Grants of the rings' own pages, left before right. Their number depends on the orders. */
    grants: arrayOf(u32, 0),
  },
  {
    cFields: {
      left_cons: 'left.cons',
      left_prod: 'left.prod',
      right_cons: 'right.cons',
      right_prod: 'right.prod',
    },
  },
);
