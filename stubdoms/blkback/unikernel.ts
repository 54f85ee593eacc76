/**
 * What the block back end is made of, as a stub domain of its own. It serves disks that it has as a
 * front end: a guest's `target=vbd:51712` is the stub domain's own xvda.
 */
import { XenError } from '../../src/base/errors.ts';
import type { DiskRequest } from '../../src/block/back-disk.ts';
import { consoleLog } from '../../src/hypervisor/unikernel/console.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { openStoreRing } from '../../src/hypervisor/unikernel/store-ring.ts';
import { onShutdownRequest } from '../../src/xenbus/shutdown-request.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { xenstoreRingStream } from '../../src/xenstore/ring-transport.ts';
import { FrontDisks } from './front-disks.ts';
import { startBlkback } from './service.ts';

const clock = eventLoop();
const { xen } = clock;

async function start(): Promise<void> {
  const hypervisor = openUnikernelHypervisor();
  const { pages, channel } = openStoreRing(xen, hypervisor);
  const xenstore = new XenstoreClient(xenstoreRingStream(pages, channel, 'client'), clock);
  const log = consoleLog(xen);
  const parts = { hypervisor, xenstore, clock, log };
  const fronts = new FrontDisks(parts);
  const blkback = await startBlkback({
    ...parts,
    options: { driverDomain: true },
    openDisk: async (request: DiskRequest) => {
      const devid = FrontDisks.devidOf(request.path);
      if (devid !== undefined) return fronts.open(devid, request);
      const detail = 'this domain has only disks such as vbd:51712, its own xvda';
      throw new XenError('ENOTSUP', `open disk ${request.path}`, detail);
    },
  });
  await onShutdownRequest(xenstore, (reason) => {
    void blkback.close().finally(() => xen.shutDown(reason));
  });
  log.info('blkback is ready', { domid: xen.domid, unused: xen.memory().unused });
}

void start();
