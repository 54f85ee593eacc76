/** A queue of the back end alone, over a ring in plain memory, with the event loop that it has on Linux. */
import { expect, test } from 'vitest';
import {
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BlkifRequestSegment,
} from '../../src/abi/io/blkif.ts';
import { DOM0 } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { GuestPages } from '../../src/block/back-pages.ts';
import { BackQueue } from '../../src/block/back-queue.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { x86_64 } from '../../src/block/protocol.ts';
import { type EventChannel, PAGE_SIZE } from '../../src/hypervisor/contract.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { BackRing } from '../../src/ring/back-ring.ts';
import { FrontRing } from '../../src/ring/front-ring.ts';

/** A queue over `memory`, a ring, for a front end without persistent grants; `signal` is its event. */
function queueOver(memory: Uint8Array, disk: MemoryDisk) {
  let signal = () => {};
  const channel = {
    onEvent: (handler: () => void) => {
      signal = handler;
    },
    notify: () => {},
  } as EventChannel;
  const { grants } = new SimWorld({ seed: 1 }).createDomain().hypervisor;
  const pages = new GuestPages({ grants, peer: DOM0, persistent: false, clock: nodeClock });
  const queue = new BackQueue({
    ring: new BackRing(memory, x86_64),
    channel,
    protocol: x86_64,
    disk,
    offers: { discard: false, barrier: false, flush: true, indirect: false },
    pages,
    clock: nodeClock,
    log: silentLog,
    onViolation: (error) => {
      throw error;
    },
  });
  queue.start();
  const close = async () => {
    await queue.close();
    pages.close();
  };
  return { signal: () => signal(), close };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a front end that asks on while it is answered leaves others their turn', async () => {
  const total = 5000;
  const memory = new Uint8Array(PAGE_SIZE);
  const front = new FrontRing(memory, x86_64);
  const slot = new Uint8Array(x86_64.request.size);
  x86_64.request.view(slot).operation = BLKIF_OP_FLUSH_DISKCACHE;
  let asked = 0;
  const askOn = () => {
    for (let count = front.unconsumedResponses(); count > 0; count--) {
      front.takeResponse(new Uint8Array(x86_64.response.size));
    }
    asked++;
    front.putRequest(slot);
    front.pushRequests();
  };
  const disk = new MemoryDisk(PAGE_SIZE);
  // As from another processor: the next request is there before this one is answered.
  disk.flush = async () => {
    // Under way by then: the next one is not taken together with it.
    await undefined;
    if (asked < total) askOn();
  };
  const { signal, close } = queueOver(memory, disk);
  askOn();
  signal();
  await turn();
  expect(asked).toBeLessThan(200);
  while (asked < total) await turn();
  await close();
});

test('requests of many pages are taken in several turns', async () => {
  const memory = new Uint8Array(PAGE_SIZE);
  const front = new FrontRing(memory, x86_64);
  const slot = new Uint8Array(x86_64.request.size);
  const request = x86_64.request.view(slot);
  request.operation = BLKIF_OP_READ;
  request.nr_segments = BLKIF_MAX_SEGMENTS_PER_REQUEST;
  const segment = BlkifRequestSegment.view(slot);
  for (let index = 0; index < BLKIF_MAX_SEGMENTS_PER_REQUEST; index++) {
    segment.moveTo(x86_64.request.offset.seg + index * BlkifRequestSegment.size);
    segment.last_sect = 7;
  }
  for (let count = 0; count < front.size; count++) front.putRequest(slot);
  front.pushRequests();

  const disk = new MemoryDisk(BLKIF_MAX_SEGMENTS_PER_REQUEST * PAGE_SIZE);
  let begun = 0;
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  disk.read = () => {
    begun++;
    return finished;
  };
  const { signal, close } = queueOver(memory, disk);
  signal();
  const first = begun;
  expect(first).toBeGreaterThan(0);
  expect(first * BLKIF_MAX_SEGMENTS_PER_REQUEST).toBeLessThan(256);
  await turn();
  expect(begun).toBeGreaterThan(first);
  while (begun < front.size) await turn();
  finish();
  await close();
});
