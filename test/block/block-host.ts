/** A simulated host with our block back end in domain 0, and disks in memory by their paths. */
import type { Clock } from '../../src/base/clock.ts';
import { XenError } from '../../src/base/errors.ts';
import type { DiskRequest } from '../../src/block/back-disk.ts';
import type { BlockDevice } from '../../src/block/block-device.ts';
import type { BlockFeature } from '../../src/block/features.ts';
import { BlockFront, type BlockFrontOptions } from '../../src/block/front.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import type { FaultPlan } from '../../src/hypervisor/sim/world.ts';
import type { BackService } from '../../stubdoms/back-service.ts';
import { startBlkback } from '../../stubdoms/blkback/service.ts';
import { type HostDevice, type HostGuest, type HostProcess, SimHost } from '../xenbus/sim-host.ts';

export const XVDA = 51712;

export class BlockHost extends SimHost {
  /** How to open the disks that there are, by path; they live in the process that has the clock. */
  readonly disks = new Map<string, (clock: Clock) => BlockDevice>();
  readonly opened: DiskRequest[] = [];
  process!: HostProcess;
  blkback!: BackService;
  /** What the back end does not offer. */
  without: readonly BlockFeature[] = [];

  static async start(
    seed = 1,
    faults: Partial<FaultPlan> = {},
    without: readonly BlockFeature[] = [],
  ): Promise<BlockHost> {
    const host = new BlockHost(seed, faults);
    host.without = without;
    await host.startBack();
    return host;
  }

  /** Starts the back end in a new process. */
  async startBack(): Promise<void> {
    this.process = this.startProcess();
    const { hypervisor, xenstore, clock } = this.process;
    this.blkback = await this.finish(
      startBlkback({
        hypervisor,
        xenstore,
        clock,
        log: this.logger,
        options: { without: this.without },
        openDisk: async (request) => {
          this.opened.push(request);
          const open = this.disks.get(request.path);
          if (open === undefined) throw new XenError('ENOENT', `open disk ${request.path}`);
          return open(clock);
        },
      }),
    );
  }

  /** A disk of 1 MiB for a guest, up to the back end's InitWait. */
  async attachDisk(
    guest: HostGuest,
    disk: BlockDevice | ((clock: Clock) => BlockDevice) = new MemoryDisk(1 << 20),
    devid = XVDA,
    keys: Record<string, string> = {},
  ): Promise<HostDevice> {
    const path = `/disks/${guest.domid}-${devid}`;
    this.disks.set(path, typeof disk === 'function' ? disk : () => disk);
    const device = await this.attach(guest, 'vbd', devid, { params: path, mode: 'w', ...keys });
    await this.settle();
    return device;
  }

  front(guest: HostGuest, options: BlockFrontOptions = {}, devid = XVDA): Promise<BlockFront> {
    return this.finish(
      BlockFront.connect({
        hypervisor: guest.hypervisor,
        xenstore: guest.xenstore,
        clock: guest.boot.domain.clock,
        log: this.logger,
        devid,
        options,
      }),
    );
  }

  /** Ends the back end and everything else; what is still held then is returned. */
  async endAll(): Promise<string[]> {
    await this.finish(this.blkback.close());
    return this.end();
  }
}
