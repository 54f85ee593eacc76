/** What the two stub domains of a test say to each other, through xenstore and a dom0 that carries it. */

/** Where each finds what the other has written; dom0 copies it. */
export const PEER_PATH = 'data/peer';
export const OFFER_PATH = 'data/offer';
export const RESULT_PATH = 'data/result';

export const SHARED_PAGES = 3;

/** What the granter offers to the mapper. */
export interface Offer {
  readonly domid: number;
  /** Of pages for reading and writing. */
  readonly refs: readonly number[];
  /** Of a page for reading only. */
  readonly readOnlyRef: number;
  /** Of a page for a third domain. */
  readonly foreignRef: number;
  readonly port: number;
}

/** Byte 0 of each page says whose turn it is, and how far both are. */
export const GRANTED = 1;
export const MAPPED = 2;
export const REVOKED = 3;
