/** What either end of the block protocol can leave out, by names for the operator. */

export const BLOCK_FEATURES = [
  'persistent',
  'indirect',
  'flush',
  'barrier',
  'discard',
  'multi-page',
  'multi-queue',
] as const;

export type BlockFeature = (typeof BLOCK_FEATURES)[number];

/** Pages of a ring are at most 2 to this power, as in Linux and QEMU. */
export const RING_PAGE_ORDER_MAX = 4;
/** Rings of one device, as many as Linux's front end asks for at most. */
export const QUEUES_MAX = 4;
