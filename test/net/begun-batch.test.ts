/** A back end killed at each of its stores, and what the next one makes of the ring. */
import { describe, expect, test } from 'vitest';
import {
  NetifRxRequest,
  NetifRxResponse,
  NetifTxRequest,
  NetifTxResponse,
} from '../../src/abi/io/netif.ts';
import { finishReceiveSlot } from '../../src/net/back-receive.ts';
import { finishTransmitSlot } from '../../src/net/back-transmit.ts';
import { BegunBatch } from '../../src/net/begun-batch.ts';
import { BackRing } from '../../src/ring/back-ring.ts';
import { FrontRing } from '../../src/ring/front-ring.ts';
import { REQ_PROD, RSP_PROD } from '../../src/ring/ring-pages.ts';

const START = 0xffff_fffd;
const transmit = { request: NetifTxRequest, response: NetifTxResponse };
const receive = { request: NetifRxRequest, response: NetifRxResponse };

/** A ring with `asked` requests, of which those before were answered. */
function ringOf(messages: typeof transmit | typeof receive, asked: number) {
  const memory = new Uint8Array(4096);
  const front = new FrontRing(memory, messages, START);
  const bytes = new Uint8Array(messages.request.size);
  for (let index = 0; index < asked; index++) {
    const request = messages.request.view(bytes);
    request.gref = 1000 + index;
    request.id = 50 + index;
    front.putRequest(bytes);
  }
  front.pushRequests();
  return { memory, front };
}

describe.each([0, 1, 2, 3, 4])('killed after %i of four responses', (put) => {
  test('what was transmitted is answered, extra infos as such, and no request is read twice', () => {
    const { memory, front } = ringOf(transmit, 6);
    const begun = new BegunBatch(memory, transmit, finishTransmitSlot);
    const back = new BackRing(memory, transmit);
    const request = new Uint8Array(NetifTxRequest.size);
    back.unconsumedRequests();
    for (let index = 0; index < 4; index++) back.takeRequest(request);
    begun.note(4, (index) => index === 1);
    const bytes = new Uint8Array(NetifTxResponse.size);
    for (let index = 0; index < put; index++) {
      Object.assign(NetifTxResponse.view(bytes), { id: 50 + index, status: index === 1 ? 1 : 0 });
      back.stageResponse(bytes);
    }
    // The next process.
    new BegunBatch(memory, transmit, finishTransmitSlot);
    const next = new BackRing(memory, transmit);
    expect(next.unconsumedRequests()).toBe(2);
    next.takeRequest(request);
    expect(NetifTxRequest.view(request)).toMatchObject({ gref: 1004, id: 54 });
    expect(front.unconsumedResponses()).toBe(4);
    const found = [0, 1, 2, 3].map(() => {
      front.takeResponse(bytes);
      const { id, status } = NetifTxResponse.view(bytes);
      return status === 1 ? 'extra' : [id, status];
    });
    expect(found).toEqual([[50, 0], 'extra', [52, 0], [53, 0]]);
  });

  test('what was being received is lost, and its pages are given back', () => {
    const { memory, front } = ringOf(receive, 4);
    const begun = new BegunBatch(memory, receive, finishReceiveSlot);
    const back = new BackRing(memory, receive);
    const request = new Uint8Array(NetifRxRequest.size);
    back.unconsumedRequests();
    for (let index = 0; index < 4; index++) back.takeRequest(request);
    begun.note(4, () => false);
    const bytes = new Uint8Array(NetifRxResponse.size).fill(0x11);
    for (let index = 0; index < put; index++) back.stageResponse(bytes);
    new BegunBatch(memory, receive, finishReceiveSlot);
    expect(new BackRing(memory, receive).unconsumedRequests()).toBe(0);
    expect(front.unconsumedResponses()).toBe(4);
    for (let index = 0; index < 4; index++) {
      front.takeResponse(bytes);
      expect(NetifRxResponse.view(bytes)).toMatchObject({ offset: 0, flags: 0, status: -1 });
    }
  });
});

test('a batch that was published is not finished again', () => {
  const { memory, front } = ringOf(transmit, 3);
  const begun = new BegunBatch(memory, transmit, finishTransmitSlot);
  const back = new BackRing(memory, transmit);
  const bytes = new Uint8Array(NetifTxRequest.size);
  back.unconsumedRequests();
  back.takeRequest(bytes);
  begun.note(1, () => false);
  back.stageResponse(new Uint8Array(NetifTxResponse.size));
  back.publishResponses();
  new BegunBatch(memory, transmit, finishTransmitSlot);
  expect(new BackRing(memory, transmit).unconsumedRequests()).toBe(2);
  expect(front.unconsumedResponses()).toBe(1);
});

test('a note of more than was asked is no note', () => {
  const { memory } = ringOf(transmit, 3);
  const begun = new BegunBatch(memory, transmit, finishTransmitSlot);
  begun.note(4, () => false);
  new BegunBatch(memory, transmit, finishTransmitSlot);
  const indexes = new Uint32Array(memory.buffer, 0, 4);
  expect(indexes[RSP_PROD]).toBe(START);
  // A front end whose index makes no sense makes no note right either.
  Atomics.store(indexes, REQ_PROD, START + 5000);
  begun.note(4000, () => false);
  new BegunBatch(memory, transmit, finishTransmitSlot);
  expect(indexes[RSP_PROD]).toBe(START);
});
