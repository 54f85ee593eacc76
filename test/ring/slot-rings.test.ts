import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ProtocolViolation } from '../../src/base/errors.ts';
import { BackRing } from '../../src/ring/back-ring.ts';
import { FrontRing } from '../../src/ring/front-ring.ts';
import { REQ_PROD, RSP_PROD } from '../../src/ring/ring-pages.ts';
import { messages, Request, requestBuffer, responseBuffer, ringMemory, SLOTS } from './slots.ts';

function freshRing(start = 0) {
  const memory = ringMemory();
  const front = new FrontRing(memory, messages, start);
  const back = new BackRing(memory, messages);
  return { memory, front, back, indexes: new Uint32Array(memory.buffer, 0, 4) };
}

/** Both ends with what a driver keeps beside its ring: who sleeps, what was asked, what came. */
class World {
  readonly ring: ReturnType<typeof freshRing>;
  readonly asked = new Map<number, number>();
  readonly request = requestBuffer();
  readonly response = responseBuffer();
  /** Taken by the back end and not answered, answered in any order. */
  readonly taken: { id: number; value: number }[] = [];
  nextId = 0;
  frontAwake = true;
  backAwake = true;

  constructor(start: number) {
    this.ring = freshRing(start);
  }

  ask(count: number): void {
    const { front } = this.ring;
    for (let n = Math.min(count, front.free); n > 0; n--) {
      this.request.view.id = this.nextId;
      this.request.view.value = Math.imul(this.nextId, 0x9e3779b1) >>> 0;
      this.asked.set(this.nextId, this.request.view.value);
      this.nextId++;
      front.putRequest(this.request.bytes);
    }
    if (front.pushRequests()) this.backAwake = true;
  }

  /** The back end, if awake, takes up to `count` and sleeps when nothing is left. */
  serve(count: number): void {
    const { back } = this.ring;
    if (!this.backAwake) return;
    for (let n = Math.min(count, back.unconsumedRequests()); n > 0; n--) {
      back.takeRequest(this.request.bytes);
      this.taken.push({ id: this.request.view.id, value: this.request.view.value });
    }
    if (!back.finalCheckForRequests()) this.backAwake = false;
  }

  answer(count: number, pick: number): void {
    const { back } = this.ring;
    for (let n = Math.min(count, this.taken.length); n > 0; n--) {
      const [chosen] = this.taken.splice(pick % this.taken.length, 1);
      this.response.view.id = chosen!.id;
      this.response.view.value = ~chosen!.value >>> 0;
      back.putResponse(this.response.bytes);
    }
    if (back.wantsNotification()) this.frontAwake = true;
  }

  /** The front end, if awake, takes up to `count` and sleeps when nothing is left. */
  collect(count: number): void {
    const { front } = this.ring;
    if (!this.frontAwake) return;
    for (let n = Math.min(count, front.unconsumedResponses()); n > 0; n--) {
      front.takeResponse(this.response.bytes);
      const { id, value } = this.response.view;
      expect(this.asked.get(id)).toBe(~value >>> 0);
      this.asked.delete(id);
    }
    if (!front.finalCheckForResponses()) this.frontAwake = false;
  }
}

test('responses that are staged are seen all at once, when they are published', () => {
  const { front, back } = freshRing(0xffff_fffe);
  const request = requestBuffer();
  const response = responseBuffer();
  for (let id = 0; id < 5; id++) {
    request.view.id = id;
    front.putRequest(request.bytes);
  }
  front.pushRequests();
  expect(back.unconsumedRequests()).toBe(5);
  for (let id = 0; id < 5; id++) back.takeRequest(request.bytes);
  for (let id = 0; id < 4; id++) {
    response.view.id = id;
    back.stageResponse(response.bytes);
    expect(front.unconsumedResponses()).toBe(0);
  }
  back.publishResponses();
  expect(back.wantsNotification()).toBe(true);
  expect(back.unanswered).toBe(1);
  expect(front.unconsumedResponses()).toBe(4);
  for (let id = 0; id < 4; id++) {
    front.takeResponse(response.bytes);
    expect(response.view.id).toBe(id);
  }
  back.stageResponse(response.bytes);
  expect(() => back.stageResponse(response.bytes)).toThrow('one response to each request');
});

test('a back end that needs several requests is notified when there are as many', () => {
  const { front, back } = freshRing(0xffff_fffd);
  const put = (count: number) => {
    for (let n = 0; n < count; n++) front.putRequest(requestBuffer().bytes);
    return front.pushRequests();
  };
  expect(put(1)).toBe(true);
  expect(back.checkForMoreThan(0)).toBe(true);
  expect(back.checkForMoreThan(3)).toBe(false);
  expect([put(1), put(1), put(1), put(1)]).toEqual([false, false, true, false]);
  expect(back.checkForMoreThan(3)).toBe(true);
});

const nearWrap = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0xffffffff - 40, max: 0xffffffff }),
  fc.integer({ min: 0x7fffffff - 20, max: 0x7fffffff + 20 }),
);
const step = fc.record({
  what: fc.constantFrom('ask', 'serve', 'answer', 'collect'),
  count: fc.integer({ min: 0, max: SLOTS + 2 }),
  pick: fc.nat(SLOTS),
});

describe('front ring and back ring', () => {
  test('the largest power of two of slots that fits is used', () => {
    const { front, back } = freshRing();
    expect([front.size, back.size, front.free]).toEqual([SLOTS, SLOTS, SLOTS]);
  });

  test('every request is answered once, in any order, and no wake-up is lost', () => {
    fc.assert(
      fc.property(nearWrap, fc.array(step, { maxLength: 200 }), (start, steps) => {
        const world = new World(start);
        for (const { what, count, pick } of steps) {
          if (what === 'answer') world.answer(count, pick);
          else world[what as 'ask' | 'serve' | 'collect'](count);
        }
        // Nobody is woken by hand here: what sleeps with work left over has lost a wake-up.
        for (let round = 0; round < 4; round++) {
          world.serve(SLOTS);
          world.answer(SLOTS, 0);
          world.collect(SLOTS);
        }
        expect(world.asked.size).toBe(0);
        expect(world.ring.front.free).toBe(SLOTS);
        expect(world.ring.back.unanswered).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('the back end is notified once for a batch, and not while it is awake', () => {
    const { front, back } = freshRing();
    const { bytes } = requestBuffer();
    front.putRequest(bytes);
    front.putRequest(bytes);
    expect(front.pushRequests()).toBe(true);
    front.putRequest(bytes);
    expect(front.pushRequests()).toBe(false);
    for (let n = back.unconsumedRequests(); n > 0; n--) back.takeRequest(bytes);
    expect(back.finalCheckForRequests()).toBe(false);
    expect(front.pushRequests()).toBe(false);
    front.putRequest(bytes);
    expect(front.pushRequests()).toBe(true);
  });

  test('the front end is notified once for a batch, and not while it is awake', () => {
    const { front, back } = freshRing();
    const request = requestBuffer().bytes;
    const response = responseBuffer().bytes;
    for (let n = 0; n < 4; n++) front.putRequest(request);
    front.pushRequests();
    for (let n = back.unconsumedRequests(); n > 0; n--) back.takeRequest(request);
    back.putResponse(response);
    back.putResponse(response);
    expect(back.wantsNotification()).toBe(true);
    back.putResponse(response);
    expect(back.wantsNotification()).toBe(false);
    for (let n = front.unconsumedResponses(); n > 0; n--) front.takeResponse(response);
    expect(front.finalCheckForResponses()).toBe(false);
    back.putResponse(response);
    expect(back.wantsNotification()).toBe(true);
  });

  describe('what is pushed just before the other end says that it goes to sleep', () => {
    afterEach(() => vi.restoreAllMocks());

    /** Lets `push` come between the two looks of a final check, before its event index is stored. */
    function justBeforeNextStore(push: () => boolean): { notified: boolean | undefined } {
      const outcome: { notified: boolean | undefined } = { notified: undefined };
      const store = Atomics.store.bind(Atomics) as (
        words: Uint32Array,
        index: number,
        value: number,
      ) => number;
      const spy = vi.spyOn(Atomics, 'store') as unknown as {
        mockImplementationOnce(implementation: typeof store): void;
        mockImplementation(implementation: typeof store): void;
      };
      spy.mockImplementation(store);
      spy.mockImplementationOnce((words, index, value) => {
        outcome.notified = push();
        return store(words, index, value);
      });
      return outcome;
    }

    test('keeps the back end awake', () => {
      const { front, back } = freshRing();
      const { bytes } = requestBuffer();
      front.putRequest(bytes);
      front.pushRequests();
      expect(back.unconsumedRequests()).toBe(1);
      back.takeRequest(bytes);
      front.putRequest(bytes);
      const outcome = justBeforeNextStore(() => front.pushRequests());
      expect(back.finalCheckForRequests()).toBe(true);
      expect(outcome.notified).toBe(false);
    });

    test('keeps the front end awake', () => {
      const { front, back } = freshRing();
      const { bytes } = responseBuffer();
      front.putRequest(requestBuffer().bytes);
      front.putRequest(requestBuffer().bytes);
      front.pushRequests();
      for (let n = back.unconsumedRequests(); n > 0; n--) back.takeRequest(requestBuffer().bytes);
      back.putResponse(bytes);
      back.wantsNotification();
      expect(front.unconsumedResponses()).toBe(1);
      front.takeResponse(bytes);
      const outcome = justBeforeNextStore(() => {
        back.putResponse(bytes);
        return back.wantsNotification();
      });
      expect(front.finalCheckForResponses()).toBe(true);
      expect(outcome.notified).toBe(false);
    });
  });

  test('a taken request does not change when the front end rewrites its slot', () => {
    const { memory, front, back } = freshRing();
    const sent = requestBuffer();
    const got = requestBuffer();
    sent.view.value = 7;
    front.putRequest(sent.bytes);
    front.pushRequests();
    expect(back.unconsumedRequests()).toBe(1);
    back.takeRequest(got.bytes);
    memory.fill(0xff, 64);
    expect(got.view.value).toBe(7);
  });

  test('a back end that starts anew begins at the first request without an answer', () => {
    const { memory, front, back } = freshRing(0xfffffffe);
    const request = requestBuffer();
    const response = responseBuffer();
    for (const value of [1, 2, 3, 4]) {
      request.view.value = value;
      front.putRequest(request.bytes);
    }
    front.pushRequests();
    back.unconsumedRequests();
    for (let n = 0; n < 3; n++) back.takeRequest(request.bytes);
    back.putResponse(response.bytes);
    back.wantsNotification();

    const second = new BackRing(memory, messages);
    expect(second.unconsumedRequests()).toBe(3);
    second.takeRequest(request.bytes);
    expect(request.view.value).toBe(2);
    second.putResponse(response.bytes);
    second.wantsNotification();
    expect(front.unconsumedResponses()).toBe(2);
  });

  describe('a back end that is killed while it answers', () => {
    afterEach(() => vi.restoreAllMocks());

    /** Lets `act` make this many atomic stores and no more. */
    function killedAfter(stores: number, act: () => void): void {
      const store = Atomics.store.bind(Atomics) as (...args: unknown[]) => number;
      const spy = vi.spyOn(Atomics, 'store') as unknown as {
        mockImplementation(implementation: typeof store): void;
      };
      let left = stores;
      spy.mockImplementation((...args) => {
        if (left-- === 0) throw new Error('killed');
        return store(...args);
      });
      try {
        expect(act).toThrow('killed');
      } finally {
        vi.restoreAllMocks();
      }
    }

    test.each([0, 1, 2, 3])(
      'after %i stores has answered once, or the request stands as it was',
      (stores) => {
        const { memory, front, back } = freshRing(0xfffffffe);
        const request = requestBuffer();
        const response = responseBuffer();
        for (const value of [1, 2, 3]) {
          request.view.value = value;
          front.putRequest(request.bytes);
        }
        front.pushRequests();
        back.unconsumedRequests();
        for (let n = 0; n < 3; n++) back.takeRequest(request.bytes);
        response.view.value = 11;
        back.putResponse(response.bytes);
        response.view.value = 22;
        killedAfter(stores, () => back.putResponse(response.bytes));

        const second = new BackRing(memory, messages);
        const values: number[] = [];
        for (let n = second.unconsumedRequests(); n > 0; n--) {
          second.takeRequest(request.bytes);
          values.push(request.view.value);
          response.view.value = request.view.value * 11;
          second.putResponse(response.bytes);
        }
        expect(values).toEqual(stores === 3 ? [3] : [2, 3]);
        const answers: number[] = [];
        for (let n = front.unconsumedResponses(); n > 0; n--) {
          front.takeResponse(response.bytes);
          answers.push(response.view.value);
        }
        expect(answers).toEqual([11, 22, 33]);
      },
    );
  });
});

describe('a caller who counts wrong', () => {
  test('cannot put a request into a full ring', () => {
    const { front } = freshRing();
    const { bytes } = requestBuffer();
    for (let n = 0; n < SLOTS; n++) front.putRequest(bytes);
    expect(() => front.putRequest(bytes)).toThrow('where a slot is free');
  });

  test.each([0, 0xffffffff])('cannot take what was not counted, from %i on', (start) => {
    const { front, back } = freshRing(start);
    front.putRequest(requestBuffer().bytes);
    front.pushRequests();
    back.unconsumedRequests();
    back.takeRequest(requestBuffer().bytes);
    front.putRequest(requestBuffer().bytes);
    front.pushRequests();
    expect(() => back.takeRequest(requestBuffer().bytes)).toThrow('after it was counted');
    expect(() => front.takeResponse(responseBuffer().bytes)).toThrow('after it was counted');
  });

  test('cannot answer more than it has taken', () => {
    expect(() => freshRing().back.putResponse(responseBuffer().bytes)).toThrow(
      'one response to each request',
    );
  });

  test('cannot make a ring of too little memory', () => {
    expect(() => new FrontRing(new Uint8Array(64), messages)).toThrow('holds a slot');
  });
});

describe('a hostile peer', () => {
  test.each([SLOTS + 1, 0x80000000, 0xffffffff])('cannot have made %i requests', (reqProd) => {
    const { memory, back, indexes } = freshRing();
    indexes[REQ_PROD] = reqProd;
    expect(() => back.unconsumedRequests()).toThrow(ProtocolViolation);
    expect(() => back.finalCheckForRequests()).toThrow(ProtocolViolation);
    expect(() => new BackRing(memory, messages)).toThrow(ProtocolViolation);
  });

  test('cannot take requests back that were counted', () => {
    const { front, back, indexes } = freshRing();
    for (let n = 0; n < 3; n++) front.putRequest(requestBuffer().bytes);
    front.pushRequests();
    expect(back.unconsumedRequests()).toBe(3);
    indexes[REQ_PROD] = 2;
    expect(() => back.unconsumedRequests()).toThrow('req_prod grows');
    for (let n = 0; n < 3; n++) back.takeRequest(requestBuffer().bytes);
    expect(() => back.unconsumedRequests()).toThrow('req_prod grows');
  });

  test('cannot take responses back that were counted', () => {
    const { front, indexes } = freshRing();
    for (let n = 0; n < 3; n++) front.putRequest(requestBuffer().bytes);
    front.pushRequests();
    indexes[RSP_PROD] = 3;
    expect(front.unconsumedResponses()).toBe(3);
    indexes[RSP_PROD] = 2;
    expect(() => front.unconsumedResponses()).toThrow('rsp_prod grows');
  });

  test('cannot put more requests on the ring than there are slots free of unanswered ones', () => {
    const { front, back, indexes } = freshRing();
    for (let n = 0; n < SLOTS; n++) front.putRequest(requestBuffer().bytes);
    front.pushRequests();
    for (let n = back.unconsumedRequests(); n > 0; n--) back.takeRequest(requestBuffer().bytes);
    indexes[REQ_PROD] = SLOTS + 1;
    expect(() => back.unconsumedRequests()).toThrow('req_prod grows');
  });

  test('cannot answer what was not asked', () => {
    const { front, indexes } = freshRing();
    front.putRequest(requestBuffer().bytes);
    front.pushRequests();
    front.putRequest(requestBuffer().bytes);
    indexes[RSP_PROD] = 2;
    expect(() => front.unconsumedResponses()).toThrow('never beyond req_prod');
    expect(() => front.finalCheckForResponses()).toThrow(ProtocolViolation);
    indexes[RSP_PROD] = 0xffffffff;
    expect(() => front.unconsumedResponses()).toThrow(ProtocolViolation);
  });

  const scribble = fc.record({ word: fc.nat(64), value: fc.oneof(fc.nat(20), fc.nat(0xffffffff)) });
  const schedule = fc.array(fc.oneof(step, scribble), { maxLength: 100 });

  /** Plays a schedule in which the peer's memory is rewritten; only the one error is let through. */
  function play(
    schedule: ({ what: string; count: number; pick: number } | { word: number; value: number })[],
    end: (memory: Uint8Array) => (what: string, count: number) => void,
  ): void {
    const { memory } = freshRing();
    const act = end(memory);
    const words = new Uint32Array(memory.buffer, 0, memory.length >> 2);
    for (const entry of schedule) {
      if ('word' in entry) {
        words[entry.word % words.length] = entry.value;
        continue;
      }
      try {
        act(entry.what, entry.count);
      } catch (error) {
        if (!(error instanceof ProtocolViolation)) throw error;
      }
    }
  }

  test('rewrites everything at random, and the back end stays in its bounds', () => {
    fc.assert(
      fc.property(schedule, (steps) => {
        play(steps, (memory) => {
          const back = new BackRing(memory, messages);
          const request = new Uint8Array(Request.size);
          const response = responseBuffer().bytes;
          return (what, count) => {
            if (what === 'ask' || what === 'serve') {
              const unconsumed = back.unconsumedRequests();
              expect(unconsumed + back.unanswered).toBeLessThanOrEqual(SLOTS);
              for (let n = Math.min(count, unconsumed); n > 0; n--) back.takeRequest(request);
            } else if (what === 'answer') {
              for (let n = Math.min(count, back.unanswered); n > 0; n--) back.putResponse(response);
              back.wantsNotification();
            } else {
              back.finalCheckForRequests();
            }
            expect(back.unanswered).toBeLessThanOrEqual(SLOTS);
          };
        });
      }),
      { numRuns: 300 },
    );
  });

  test('rewrites everything at random, and the front end stays in its bounds', () => {
    fc.assert(
      fc.property(schedule, (steps) => {
        play(steps, (memory) => {
          const front = new FrontRing(memory, messages);
          const request = requestBuffer().bytes;
          const response = responseBuffer().bytes;
          let outstanding = 0;
          return (what, count) => {
            if (what === 'ask') {
              for (let n = Math.min(count, front.free); n > 0; n--, outstanding++) {
                front.putRequest(request);
              }
              front.pushRequests();
            } else if (what === 'collect') {
              const unconsumed = front.unconsumedResponses();
              expect(unconsumed).toBeLessThanOrEqual(outstanding);
              for (let n = Math.min(count, unconsumed); n > 0; n--, outstanding--) {
                front.takeResponse(response);
              }
            } else {
              front.finalCheckForResponses();
            }
            expect(front.free).toBe(SLOTS - outstanding);
          };
        });
      }),
      { numRuns: 300 },
    );
  });
});
