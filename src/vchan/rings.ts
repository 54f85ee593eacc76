/**
 * How large the two rings of a vchan are and where they lie. The first page says so by the
 * logarithm of each size: 10 and 11 lie in that page, from 12 on a ring has granted pages of its
 * own. `left` carries what the client sends, `right` what the server sends.
 */
import { VchanInterface } from '../abi/io/libxenvchan.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { u32 } from '../base/layout.ts';
import { PAGE_SIZE } from '../hypervisor/contract.ts';
import type { ByteRing } from '../ring/byte-ring.ts';

export interface RingOrders {
  readonly left: number;
  readonly right: number;
}

const SMALL_ORDER = 10;
const LARGE_ORDER = 11;
const PAGE_ORDER = 12;
const ORDER_MAX = 20;

/** Bytes that a ring holds at most. */
export const VCHAN_RING_MAX = 1 << ORDER_MAX;

/** Pages of its own that a ring has. */
export function pagesOfRing(order: number): number {
  return order < PAGE_ORDER ? 0 : 1 << (order - PAGE_ORDER);
}

/**
 * The orders that `libxenvchan_server_init` takes for at least so many bytes in each direction.
 * Throws `RangeError` unless both are integers from 0 to `VCHAN_RING_MAX`.
 */
export function chooseOrders(left_min: number, right_min: number): RingOrders {
  for (const size of [left_min, right_min]) {
    if (!Number.isInteger(size) || size < 0 || size > VCHAN_RING_MAX) {
      throw new RangeError(`a vchan's ring has 0 to ${VCHAN_RING_MAX} bytes, not ${size}`);
    }
  }
  const fits = (left: number, right: number) => left_min <= 1 << left && right_min <= 1 << right;
  if (fits(SMALL_ORDER, LARGE_ORDER)) return { left: SMALL_ORDER, right: LARGE_ORDER };
  if (fits(LARGE_ORDER, SMALL_ORDER)) return { left: LARGE_ORDER, right: SMALL_ORDER };
  const ownPages = (size: number) => Math.max(PAGE_ORDER, Math.ceil(Math.log2(size)));
  // One of the two may still lie in the page, at the place of the larger.
  if (left_min <= 1 << LARGE_ORDER) return { left: LARGE_ORDER, right: ownPages(right_min) };
  if (right_min <= 1 << LARGE_ORDER) return { left: ownPages(left_min), right: LARGE_ORDER };
  return { left: ownPages(left_min), right: ownPages(right_min) };
}

function endOfGrants({ left, right }: RingOrders): number {
  const grants = pagesOfRing(left) + pagesOfRing(right);
  return VchanInterface.offset.grants + grants * u32.size;
}

/** Throws `ProtocolViolation` unless two such rings can be, as a client finds them in a server's page. */
export function checkOrders(orders: RingOrders): void {
  const { left, right } = orders;
  const violated = (rule: string) => {
    const detail = `left_order ${left}, right_order ${right}`;
    throw new ProtocolViolation('look into the page of a vchan', `vchan: ${rule}`, detail);
  };
  for (const order of [left, right]) {
    if (order < SMALL_ORDER || order > ORDER_MAX) {
      violated(`a ring order is ${SMALL_ORDER} to ${ORDER_MAX}`);
    }
  }
  if (left === right && left < PAGE_ORDER) violated('one place in the page holds one ring');
  const inPage = Math.min(left, right);
  const room = inPage < PAGE_ORDER ? 1 << inPage : PAGE_SIZE;
  if (endOfGrants(orders) > room) violated('the grants end before the ring in the page');
}

/** A window onto the grant references in the page: left's, then right's. */
export function grantWords(page: Uint8Array, orders: RingOrders): Uint32Array {
  const start = VchanInterface.offset.grants;
  const count = (endOfGrants(orders) - start) / u32.size;
  return new Uint32Array(page.buffer, page.byteOffset + start, count);
}

/** The data area of a ring that lies in the page. */
function inPage(page: Uint8Array, order: number): Uint8Array {
  return page.subarray(1 << order, 2 << order);
}

/**
 * Both rings.
 *
 * @param page the first page
 * @param ownPages the pages of a ring that has some, left's before right's, taken as they are needed
 */
export function ringsOf(
  page: Uint8Array,
  orders: RingOrders,
  ownPages: (count: number) => Uint8Array,
): { left: ByteRing; right: ByteRing } {
  const data = (order: number) =>
    order < PAGE_ORDER ? inPage(page, order) : ownPages(pagesOfRing(order));
  const { left_cons, left_prod, right_cons, right_prod } = VchanInterface.offset;
  return {
    left: {
      name: "the vchan's left ring",
      data: data(orders.left),
      page,
      cons: left_cons,
      prod: left_prod,
    },
    right: {
      name: "the vchan's right ring",
      data: data(orders.right),
      page,
      cons: right_cons,
      prod: right_prod,
    },
  };
}
