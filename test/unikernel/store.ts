/** xenstore as a stub domain under test sees it. */
import { sleep } from '../../src/base/clock.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import type { UnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { openStoreRing } from '../../src/hypervisor/unikernel/store-ring.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { xenstoreRingStream } from '../../src/xenstore/ring-transport.ts';

const LOOK_INTERVAL_MS = 20;

export function openStore(hypervisor: UnikernelHypervisor): XenstoreClient {
  const loop = eventLoop();
  const { pages, channel } = openStoreRing(loop.xen, hypervisor);
  return new XenstoreClient(xenstoreRingStream(pages, channel, 'client'), loop);
}

/** The value of the node, once somebody has written it. */
export async function appears(store: XenstoreClient, path: string): Promise<string> {
  for (;;) {
    const value = await store.readIfPresent(path);
    if (value !== undefined) return value;
    await sleep(eventLoop(), LOOK_INTERVAL_MS);
  }
}
