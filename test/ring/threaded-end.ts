/**
 * One end of a block ring in a thread of its own, for two-threads.test.ts. An event channel is a
 * word that counts signals: sleeping is waiting for it to change, as a guest waits for an event.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { BlkifRequest, BlkifResponse } from '../../src/abi/io/blkif.ts';
import { BackRing } from '../../src/ring/back-ring.ts';
import { FrontRing } from '../../src/ring/front-ring.ts';

export interface ThreadedEnd {
  readonly end: 'front' | 'back';
  readonly page: SharedArrayBuffer;
  /** Signals of the front end's channel and of the back end's, then 1 once the ring is initialised. */
  readonly channels: SharedArrayBuffer;
  readonly total: number;
}

const { end, page, channels, total } = workerData as ThreadedEnd;
const messages = { request: BlkifRequest, response: BlkifResponse };
const memory = new Uint8Array(page);
const words = new Int32Array(channels);
const [FRONT, BACK, READY] = [0, 1, 2];

function signal(channel: number): void {
  Atomics.add(words, channel, 1);
  Atomics.notify(words, channel);
}

/** Sleeps unless a signal came since `signals` was read. A wake-up that was lost is an error here. */
function sleep(channel: number, signals: number): void {
  if (Atomics.wait(words, channel, signals, 10_000) === 'timed-out') {
    throw new Error(`the ${end} end sleeps and nobody wakes it`);
  }
}

const requestBytes = new Uint8Array(BlkifRequest.size);
const request = BlkifRequest.view(requestBytes);
const responseBytes = new Uint8Array(BlkifResponse.size);
const response = BlkifResponse.view(responseBytes);

function runFront(): void {
  const ring = new FrontRing(memory, messages, 0xffffff00);
  signal(READY);
  let asked = 0;
  let answered = 0;
  while (answered < total) {
    const signals = Atomics.load(words, FRONT);
    for (; asked < total && ring.free > 0; asked++) {
      request.id = BigInt(asked);
      request.sector_number = asked * 8;
      ring.putRequest(requestBytes);
    }
    if (ring.pushRequests()) signal(BACK);
    for (let n = ring.unconsumedResponses(); n > 0; n--, answered++) {
      ring.takeResponse(responseBytes);
      if (response.id !== BigInt(answered) || response.status !== answered % 128) {
        throw new Error(`response ${answered} is ${response.id} with status ${response.status}`);
      }
    }
    const idle = asked === total || ring.free === 0;
    if (idle && answered < total && !ring.finalCheckForResponses()) sleep(FRONT, signals);
  }
}

function runBack(): void {
  sleep(READY, 0);
  const ring = new BackRing(memory, messages);
  let served = 0;
  while (served < total) {
    const signals = Atomics.load(words, BACK);
    for (let n = ring.unconsumedRequests(); n > 0; n--, served++) {
      ring.takeRequest(requestBytes);
      if (request.sector_number !== served * 8) throw new Error(`request ${served} is torn`);
      response.id = request.id;
      response.status = served % 128;
      ring.putResponse(responseBytes);
    }
    if (ring.wantsNotification()) signal(FRONT);
    if (served < total && !ring.finalCheckForRequests()) sleep(BACK, signals);
  }
}

if (end === 'front') runFront();
else runBack();
parentPort?.postMessage('done');
