/**
 * The front end's half of a ring of slots, after the macros of xen/include/public/io/ring.h.
 * Requests go out, responses come back in the slots that the back end has read.
 *
 *     if (ring.free > 0) ring.putRequest(request);
 *     if (ring.pushRequests()) channel.notify();
 *
 *     do {
 *       for (let n = ring.unconsumedResponses(); n > 0; n--) { ring.takeResponse(response); … }
 *     } while (ring.finalCheckForResponses());
 */
import { Sring } from '../abi/io/ring.ts';
import { assert } from '../base/assert.ts';
import { ProtocolViolation } from '../base/errors.ts';
import {
  REQ_EVENT,
  REQ_PROD,
  type RingMessages,
  type RingPages,
  RSP_EVENT,
  RSP_PROD,
  ringPages,
} from './ring-pages.ts';

export class FrontRing {
  /** Slots in the ring, a power of two. */
  readonly size: number;
  private readonly pages: RingPages;
  private reqProd: number;
  /** Up to where the back end was told of requests: it cannot have answered more. */
  private reqPushed: number;
  private rspCons: number;
  /** How far `rsp_prod` was checked. */
  private rspChecked: number;

  /**
   * Initialises the ring (`SHARED_RING_INIT`): the front end owns the pages.
   * @param memory the ring's pages as one run of bytes
   * @param start where the indexes begin; every peer expects 0
   */
  constructor(memory: Uint8Array, messages: RingMessages, start = 0) {
    this.pages = ringPages(memory, messages);
    this.size = this.pages.requests.length;
    this.reqProd = start;
    this.reqPushed = start;
    this.rspCons = start;
    this.rspChecked = start;
    memory.fill(0, 0, Sring.offset.ring);
    const { indexes } = this.pages;
    Atomics.store(indexes, REQ_PROD, start);
    Atomics.store(indexes, RSP_PROD, start);
    Atomics.store(indexes, REQ_EVENT, start + 1);
    Atomics.store(indexes, RSP_EVENT, start + 1);
  }

  /** Requests that still fit (`RING_FREE_REQUESTS`). */
  get free(): number {
    return this.size - ((this.reqProd - this.rspCons) >>> 0);
  }

  /** Copies a request into the next slot. The back end learns of it by `pushRequests`. */
  putRequest(request: Uint8Array): void {
    assert(this.free > 0, 'a request is put only where a slot is free');
    this.pages.requests[this.reqProd & (this.size - 1)]!.set(request);
    this.reqProd = (this.reqProd + 1) >>> 0;
  }

  /** Publishes what was put; true when the back end asked to be notified of it. */
  pushRequests(): boolean {
    const { indexes } = this.pages;
    const published = (this.reqProd - this.reqPushed) >>> 0;
    this.reqPushed = this.reqProd;
    Atomics.store(indexes, REQ_PROD, this.reqProd);
    return (this.reqProd - Atomics.load(indexes, REQ_EVENT)) >>> 0 < published;
  }

  /**
   * How many responses can be taken now. Reads the back end's index once, so that a loop over the
   * answer is bounded. Throws `ProtocolViolation` when the index is not one that can be.
   */
  unconsumedResponses(): number {
    const rspProd = Atomics.load(this.pages.indexes, RSP_PROD);
    const unconsumed = (rspProd - this.rspCons) >>> 0;
    const outstanding = (this.reqPushed - this.rspCons) >>> 0;
    if (unconsumed > outstanding || unconsumed < (this.rspChecked - this.rspCons) >>> 0) {
      throw new ProtocolViolation(
        'read the responses of a ring',
        'ring: rsp_prod grows, and never beyond req_prod',
        `rsp_prod ${rspProd}, rsp_cons ${this.rspCons}, req_prod ${this.reqPushed}`,
      );
    }
    this.rspChecked = rspProd;
    return unconsumed;
  }

  /** Copies the next response out of the ring; one that `unconsumedResponses` has counted. */
  takeResponse(target: Uint8Array): void {
    assert(this.rspCons !== this.rspChecked, 'a response is taken only after it was counted');
    target.set(this.pages.responses[this.rspCons & (this.size - 1)]!);
    this.rspCons = (this.rspCons + 1) >>> 0;
  }

  /** Before going to sleep: asks to be notified of the next response; true when one came meanwhile. */
  finalCheckForResponses(): boolean {
    if (this.unconsumedResponses() > 0) return true;
    Atomics.store(this.pages.indexes, RSP_EVENT, this.rspCons + 1);
    return this.unconsumedResponses() > 0;
  }
}
