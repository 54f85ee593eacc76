/**
 * The back end's half of a ring of slots, after the macros of xen/include/public/io/ring.h.
 *
 *     do {
 *       for (let n = ring.unconsumedRequests(); n > 0; n--) { ring.takeRequest(request); … }
 *     } while (ring.finalCheckForRequests());
 *
 *     ring.putResponse(response);
 *     if (ring.wantsNotification()) channel.notify();
 *
 * A front end on another processor can fill the ring as fast as it is drained: who answers
 * requests at once limits the turns of the outer loop too.
 */
import { assert } from '../base/assert.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { BegunAnswer } from './begun-answer.ts';
import {
  REQ_EVENT,
  REQ_PROD,
  type RingMessages,
  type RingPages,
  RSP_EVENT,
  RSP_PROD,
  ringPages,
} from './ring-pages.ts';

export class BackRing {
  /** Slots in the ring, a power of two. */
  readonly size: number;
  private readonly pages: RingPages;
  private readonly answer: BegunAnswer;
  private reqCons: number;
  /** How far `req_prod` was checked. */
  private reqChecked: number;
  private rspProd: number;
  /** Responses after `rspProd` that are not published. */
  private staged = 0;
  /** `rsp_prod` when the front end was last notified, or did not want to be. */
  private rspNotified: number;

  /**
   * Attaches to a ring that the front end has initialised, at the last response in it. On a fresh
   * ring that is the start; on one whose former back end died it is the first request without an
   * answer, given that the former back end answered in order. Then notify the front end once,
   * since the dead one may not have come to it.
   *
   * @param memory the ring's pages as one run of bytes
   */
  constructor(memory: Uint8Array, messages: RingMessages) {
    this.pages = ringPages(memory, messages);
    this.size = this.pages.requests.length;
    this.answer = new BegunAnswer(this.pages.unused, messages.response.size);
    this.rspProd = Atomics.load(this.pages.indexes, RSP_PROD);
    this.rspNotified = this.rspProd;
    this.reqCons = this.rspProd;
    this.reqChecked = this.rspProd;
    this.finishBegunAnswer();
    this.unconsumedRequests();
  }

  /** Requests taken and not yet answered. */
  get unanswered(): number {
    return (this.reqCons - this.rspProd) >>> 0;
  }

  /**
   * How many requests can be taken now. Reads the front end's index once, so that a loop over the
   * answer is bounded. Throws `ProtocolViolation` when the index is not one that can be
   * (`RING_REQUEST_PROD_OVERFLOW`, and an index that went back).
   */
  unconsumedRequests(): number {
    const reqProd = Atomics.load(this.pages.indexes, REQ_PROD);
    const unconsumed = (reqProd - this.reqCons) >>> 0;
    if (
      unconsumed > this.size - this.unanswered ||
      unconsumed < (this.reqChecked - this.reqCons) >>> 0
    ) {
      throw new ProtocolViolation(
        'read the requests of a ring',
        'ring: req_prod grows, and never beyond rsp_prod plus the ring size',
        `req_prod ${reqProd}, req_cons ${this.reqCons}, rsp_prod ${this.rspProd}, size ${this.size}`,
      );
    }
    this.reqChecked = reqProd;
    return unconsumed;
  }

  /** Copies the next request out of the ring, once; one that `unconsumedRequests` has counted. */
  takeRequest(target: Uint8Array): void {
    assert(this.reqCons !== this.reqChecked, 'a request is taken only after it was counted');
    target.set(this.pages.requests[this.reqCons & (this.size - 1)]!);
    this.reqCons = (this.reqCons + 1) >>> 0;
  }

  /**
   * Publishes the response to the first request without one. The front end may see it at once, but
   * sleeps until it is notified: `wantsNotification` says whether it has to be.
   *
   * This process can be killed after any store. Until `rsp_prod` has moved, the next one takes the
   * slot for a request that is still to be done, and must not find half a response in it.
   */
  putResponse(response: Uint8Array): void {
    assert(this.unanswered > 0, 'there is one response to each request');
    this.answer.note(this.rspProd, response);
    this.publish(response);
  }

  /**
   * As `putResponse`, for a message of several responses that the front end must see whole: it sees
   * none of them before `publishResponses`.
   */
  stageResponse(response: Uint8Array): void {
    assert(this.unanswered > this.staged, 'there is one response to each request');
    this.pages.responses[(this.rspProd + this.staged) & (this.size - 1)]!.set(response);
    this.staged++;
  }

  publishResponses(): void {
    this.rspProd = (this.rspProd + this.staged) >>> 0;
    this.staged = 0;
    Atomics.store(this.pages.indexes, RSP_PROD, this.rspProd);
  }

  /** Whether the front end asked to be notified of a response put since this was last called. */
  wantsNotification(): boolean {
    const published = (this.rspProd - this.rspNotified) >>> 0;
    this.rspNotified = this.rspProd;
    return (this.rspProd - Atomics.load(this.pages.indexes, RSP_EVENT)) >>> 0 < published;
  }

  /** Before going to sleep: asks to be notified of the next request; true when one came meanwhile. */
  finalCheckForRequests(): boolean {
    if (this.unconsumedRequests() > 0) return true;
    return this.checkForMoreThan(0);
  }

  /**
   * The same for who has nothing to do before there are more requests than the `count` that there
   * are: true when there are more now.
   */
  checkForMoreThan(count: number): boolean {
    Atomics.store(this.pages.indexes, REQ_EVENT, this.reqCons + count + 1);
    return this.unconsumedRequests() > count;
  }

  private publish(response: Uint8Array): void {
    this.pages.responses[this.rspProd & (this.size - 1)]!.set(response);
    this.rspProd = (this.rspProd + 1) >>> 0;
    Atomics.store(this.pages.indexes, RSP_PROD, this.rspProd);
  }

  /** Does the rest of what the former back end was killed at. */
  private finishBegunAnswer(): void {
    const response = this.answer.read(this.rspProd);
    if (response === undefined || this.unconsumedRequests() === 0) return;
    this.publish(response);
    this.reqCons = this.rspProd;
  }
}
