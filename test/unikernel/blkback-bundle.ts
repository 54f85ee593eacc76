/**
 * The block back end on the engine: xenstored, both ends of two disks and a guest's work in one domain.
 * The guest's disk is served from a disk that the back end has itself, as a driver domain does it.
 */
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { BlockFront } from '../../src/block/front.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { consoleLog } from '../../src/hypervisor/unikernel/console.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { FrontDisks } from '../../stubdoms/blkback/front-disks.ts';
import { startBlkback } from '../../stubdoms/blkback/service.ts';
import { checks } from './checks.ts';
import { attachOwnDisk, startOwnStore } from './own-host.ts';

const OWN_DISK = 51712;
const GUEST_DISK = 51728;
const SIZE = 1 << 20;

const clock = eventLoop();
const { xen } = clock;
const { check, failures } = checks(xen);
const hypervisor = openUnikernelHypervisor();
const { domid } = hypervisor;
const log = consoleLog(xen);

async function main(): Promise<void> {
  const xenstore = startOwnStore(hypervisor, clock, log);
  const parts = { hypervisor, xenstore, clock, log };
  const memory = new MemoryDisk(SIZE);
  const fronts = new FrontDisks(parts);
  await startBlkback({
    ...parts,
    options: { driverDomain: true },
    openDisk: async (request) => {
      const devid = FrontDisks.devidOf(request.path);
      return devid === undefined ? memory : fronts.open(devid, request);
    },
  });
  await attachOwnDisk(xenstore, domid, OWN_DISK, 'memory');
  await attachOwnDisk(xenstore, domid, GUEST_DISK, `vbd:${OWN_DISK}`);
  const guest = await BlockFront.connect({ ...parts, devid: GUEST_DISK });
  check('the size is that of the disk below', () => guest.info.size === SIZE);
  const start_ms = clock.now_ms();
  const rounds = Array.from({ length: 32 }, async (_, round) => {
    const data = new Uint8Array(16_384).fill(round + 1);
    await guest.write(round * data.length, [data]);
    const found = new Uint8Array(data.length);
    await guest.read(round * data.length, [found]);
    return found.every((byte) => byte === round + 1);
  });
  const same = await Promise.all(rounds);
  check('what was written is read', () => same.every((yes) => yes));
  await guest.flush();
  const took_ms = Math.round(clock.now_ms() - start_ms);
  await guest.close();
  xen.print(`blkback: ${JSON.stringify({ ...xen.memory(), took_ms })}\n`);
  xen.shutDown(failures() === 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

void main();
