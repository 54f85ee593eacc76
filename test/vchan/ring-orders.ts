/** Every order that a ring of a vchan can have, on either side. */
export const RING_ORDERS = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20] as const;
