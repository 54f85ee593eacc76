/**
 * One ring of a block back end: takes requests, has the disk do them, any number at a time, and
 * answers in the order in which they were asked. A barrier is done alone: after all that was asked
 * before it, and before all that is asked after it.
 *
 * The order is what lets another process take over when this one is killed: all from the ring's
 * `rsp_prod` on is unanswered and still stands in the ring, since no answer has overwritten it.
 */
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
} from '../abi/io/blkif.ts';
import { type Clock, sleep, type Timer } from '../base/clock.ts';
import { errorCode, errorMessage } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { EventChannel } from '../hypervisor/contract.ts';
import type { BackRing } from '../ring/back-ring.ts';
import { SignalAllowance } from '../ring/signal-allowance.ts';
import { type GuestPages, RequestPages } from './back-pages.ts';
import { type BackOffers, type BackRequest, emptyRequest, RequestParser } from './back-request.ts';
import type { BlockDevice } from './block-device.ts';
import type { BlkifProtocol } from './protocol.ts';

/** Requests under way at a time: more than the disk can use at once, few enough to bound memory. */
export const REQUESTS_MAX = 64;
/** No further request is taken while those under way have this many pages between them. */
const PAGES_IN_FLIGHT_MAX = 2048;
/**
 * Once the requests taken in one turn of the event loop have so many pages between them, others get their
 * turn; a request without any counts as a page. A disk may have done each of them at once and the front
 * end, on another processor, ask on without end; and a page that is mapped for the first time costs a call
 * of Xen's that is dear where the host is itself emulated.
 */
const TURN_PAGES_MAX = 128;
/**
 * A refused request is answered this much later, so that a front end which asks for nothing but
 * nonsense cannot keep the process busy with refusing.
 */
const REFUSAL_DELAY_MS = 1;

export interface BackQueueParts {
  readonly ring: BackRing;
  readonly channel: EventChannel;
  readonly protocol: BlkifProtocol;
  readonly disk: BlockDevice;
  readonly offers: BackOffers;
  readonly pages: GuestPages;
  readonly clock: Clock;
  readonly log: Log;
  /** The front end broke a rule of the ring: no further request is taken. */
  readonly onViolation: (error: unknown) => void;
}

/** A place for one request. */
interface Place {
  readonly request: BackRequest;
  readonly pages: RequestPages;
  /** To be answered, when its turn comes. */
  done: boolean;
  /** What is wrong with the request. */
  refusal: unknown;
  /** `BLKIF_RSP_…` */
  status: number;
  /** What follows when the disk is done, made once for the place. */
  readonly succeed: () => void;
  readonly fail: (error: unknown) => void;
}

export class BackQueue {
  private readonly parts: BackQueueParts;
  private readonly parser: RequestParser;
  /** A circle: `count` places from `head` on are in use, in the ring's order. */
  private readonly places: Place[];
  private head = 0;
  private count = 0;
  /** Of these, how many from `head` on have begun: the next one follows them. */
  private begun = 0;
  private underWay = 0;
  /** A barrier is under way: nothing that follows it may begin. */
  private barrier = false;
  private pagesInFlight = 0;
  private stopped = false;
  private drained: (() => void) | undefined;
  /** Pages that requests may still have in this turn. */
  private turnLeft = TURN_PAGES_MAX;
  /** Runs in the next turn, for what this one has no room for. */
  private nextTurn: Timer | undefined;
  private readonly allowance: SignalAllowance;
  private refusals = 0;
  /** Something is done that was not answered yet; in a moment all of that is. */
  private answering = false;
  private readonly responseBytes: Uint8Array;
  private readonly response;

  constructor(parts: BackQueueParts) {
    this.parts = parts;
    this.parser = new RequestParser({
      protocol: parts.protocol,
      disk: parts.disk,
      offers: parts.offers,
      readGuestPage: (ref, target) => parts.pages.readPage(ref, target),
    });
    this.allowance = new SignalAllowance(parts.channel, parts.clock);
    this.places = Array.from({ length: REQUESTS_MAX }, () => this.makePlace());
    this.responseBytes = new Uint8Array(parts.protocol.response.size);
    this.response = parts.protocol.response.view(this.responseBytes);
  }

  /** Begins to serve. The front end is notified once: a former back end may have died before it did. */
  start(): void {
    this.parts.channel.onEvent(() => this.signalled());
    this.parts.channel.notify();
  }

  /** Takes no further request; resolves when those under way are answered. */
  close(): Promise<void> {
    this.stopped = true;
    this.nextTurn?.cancel();
    return new Promise((resolve) => {
      this.drained = resolve;
      this.checkDrained();
    });
  }

  private makePlace(): Place {
    const place: Place = {
      request: emptyRequest(),
      pages: new RequestPages(),
      done: false,
      refusal: undefined,
      status: BLKIF_RSP_OKAY,
      succeed: () => this.finish(place, BLKIF_RSP_OKAY),
      fail: (error) => void this.refuse(place, error),
    };
    return place;
  }

  private signalled(): void {
    const before = this.count;
    this.turnLeft = TURN_PAGES_MAX;
    this.takeRequests();
    if (!this.stopped) this.allowance.spend(this.count === before && this.hasRoom);
  }

  private get hasRoom(): boolean {
    return this.count < REQUESTS_MAX && this.pagesInFlight < PAGES_IN_FLIGHT_MAX;
  }

  private takeRequests(): void {
    if (this.stopped) return;
    const { ring } = this.parts;
    try {
      do {
        for (let requests = ring.unconsumedRequests(); requests > 0; requests--) {
          // The next answer makes room and comes back here.
          if (!this.hasRoom) return;
          if (this.turnLeft <= 0) {
            this.takeLater();
            return;
          }
          ring.takeRequest(this.parser.slot);
          this.turnLeft -= Math.max(1, this.accept());
        }
      } while (ring.finalCheckForRequests());
    } catch (error) {
      this.stopped = true;
      this.parts.onViolation(error);
    }
  }

  private takeLater(): void {
    this.nextTurn ??= this.parts.clock.after(0, () => {
      this.nextTurn = undefined;
      this.turnLeft = TURN_PAGES_MAX;
      this.takeRequests();
    });
  }

  /** Takes the request in the parser's slot up; returns how many pages it has. */
  private accept(): number {
    const place = this.placeAt(this.count);
    this.count++;
    place.done = false;
    place.refusal = undefined;
    try {
      this.parser.parse(place.request);
    } catch (error) {
      place.request.segmentCount = 0;
      place.refusal = error;
    }
    const pages = place.request.segmentCount;
    this.pagesInFlight += pages;
    this.beginNext();
    return pages;
  }

  /** Begins all that may: nothing passes a barrier, in either direction. */
  private beginNext(): void {
    while (this.begun < this.count && !this.barrier) {
      const place = this.placeAt(this.begun);
      const isBarrier = place.request.operation === BLKIF_OP_WRITE_BARRIER;
      if (isBarrier && this.underWay > 0) return;
      this.barrier = isBarrier;
      this.begun++;
      this.underWay++;
      if (place.refusal === undefined) this.perform(place).then(place.succeed, place.fail);
      else place.fail(place.refusal);
    }
  }

  private async refuse(place: Place, error: unknown): Promise<void> {
    // Logged as a warning once for each connection: a front end must not fill the host's log.
    const level = this.refusals++ === 0 ? 'warn' : 'debug';
    this.parts.pages.release(place.pages);
    this.parts.log[level]('request refused', { error: errorMessage(error) });
    await sleep(this.parts.clock, REFUSAL_DELAY_MS);
    this.finish(place, errorCode(error) === 'ENOTSUP' ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR);
  }

  private perform(place: Place): Promise<void> {
    const { disk } = this.parts;
    const { operation, position, length } = place.request;
    switch (operation) {
      case BLKIF_OP_READ:
        return this.read(place);
      case BLKIF_OP_WRITE:
        return this.write(place);
      case BLKIF_OP_DISCARD:
        return disk.discard(position, length);
      default:
        return this.flush(place);
    }
  }

  private async read({ request, pages }: Place): Promise<void> {
    const { disk, pages: guest } = this.parts;
    guest.acquire(request, pages);
    await disk.read(request.position, pages.windows);
    guest.storeRead(request, pages);
  }

  private async write({ request, pages }: Place): Promise<void> {
    const { disk, pages: guest } = this.parts;
    guest.acquire(request, pages);
    guest.fetchWrite(request, pages);
    return disk.write(request.position, pages.windows);
  }

  /** A flush, or a barrier: what it writes is on stable storage before it is answered. */
  private async flush(place: Place): Promise<void> {
    const { disk } = this.parts;
    await disk.flush();
    if (place.request.segmentCount === 0) return;
    await this.write(place);
    if (place.request.operation === BLKIF_OP_WRITE_BARRIER) await disk.flush();
  }

  private finish(place: Place, status: number): void {
    this.parts.pages.release(place.pages);
    place.done = true;
    place.status = status;
    this.underWay--;
    if (place.request.operation === BLKIF_OP_WRITE_BARRIER) this.barrier = false;
    if (this.answering) return;
    this.answering = true;
    // Others may have been done in this turn of the event loop: they are answered together.
    void Promise.resolve().then(this.goOn);
  }

  private readonly goOn = () => {
    this.answering = false;
    this.answer();
    this.beginNext();
    this.takeRequests();
    this.checkDrained();
  };

  /** Answers every request at the head of the circle that is done, with one notification. */
  private answer(): void {
    const { ring, channel } = this.parts;
    const before = this.count;
    while (this.count > 0) {
      const place = this.places[this.head]!;
      if (!place.done) break;
      this.response.id = place.request.id;
      this.response.operation = place.request.operation;
      this.response.status = place.status;
      ring.putResponse(this.responseBytes);
      this.pagesInFlight -= place.request.segmentCount;
      this.head = (this.head + 1) % REQUESTS_MAX;
      this.count--;
      this.begun--;
    }
    if (this.count < before && ring.wantsNotification()) channel.notify();
  }

  private placeAt(index: number): Place {
    return this.places[(this.head + index) % REQUESTS_MAX]!;
  }

  private checkDrained(): void {
    if (this.count === 0) this.drained?.();
  }
}
