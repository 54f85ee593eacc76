/**
 * The block back end: what it publishes, and how it connects to a front end and its disk. Keys and
 * their meaning are in xen/include/public/io/blkif.h.
 */
import { VDISK_CDROM, VDISK_READONLY, VDISK_REMOVABLE } from '../abi/io/blkif.ts';
import type { Clock } from '../base/clock.ts';
import type { Hypervisor } from '../hypervisor/contract.ts';
import type { BackConnection, BackDriver } from '../xenbus/back-device.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { BlockConnection } from './back-connection.ts';
import { diskRequest, isCdrom, type OpenDisk, openRequestedDisk } from './back-disk.ts';
import { INDIRECT_SEGMENTS_MAX } from './back-request.ts';
import { type BlockDeviceInfo, SECTOR_SIZE } from './block-device.ts';
import { type BlockFeature, QUEUES_MAX, RING_PAGE_ORDER_MAX } from './features.ts';

export interface BlockBackParts {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  readonly openDisk: OpenDisk;
  /** What front ends are not offered. */
  readonly without: ReadonlySet<BlockFeature>;
  /** The toolstack runs hotplug scripts in this domain, and a disk that has one waits for it. */
  readonly scripts: boolean;
}

export class BlockBack implements BackDriver {
  private readonly parts: BlockBackParts;

  constructor(parts: BlockBackParts) {
    this.parts = parts;
  }

  async announce(keys: DeviceKeys): Promise<void> {
    const { without } = this.parts;
    const flag = (feature: BlockFeature) => (without.has(feature) ? '0' : '1');
    await keys.write({
      'feature-flush-cache': flag('flush'),
      'feature-barrier': flag('barrier'),
      'feature-persistent': flag('persistent'),
      'feature-max-indirect-segments': without.has('indirect') ? '0' : `${INDIRECT_SEGMENTS_MAX}`,
      'max-ring-page-order': String(this.ringPageOrderMax),
      'multi-queue-max-queues': String(this.queuesMax),
    });
  }

  async connect(keys: DeviceKeys): Promise<BackConnection | undefined> {
    const { clock, openDisk, hypervisor, without } = this.parts;
    const request = await diskRequest(keys, this.parts.scripts);
    if (request === undefined) return undefined;
    const flushable = !without.has('flush') || !without.has('barrier');
    const disk = await openRequestedDisk(request, openDisk, clock, flushable);
    let connection: BlockConnection | undefined;
    try {
      const discard =
        disk.info.discard && !without.has('discard') && (await keys.read('discard-enable')) !== '0';
      connection = await BlockConnection.open({
        hypervisor,
        clock,
        keys,
        disk,
        offers: {
          discard,
          barrier: !without.has('barrier'),
          flush: !without.has('flush'),
          indirect: !without.has('indirect'),
        },
        persistent: !without.has('persistent'),
        ringPageOrderMax: this.ringPageOrderMax,
        queuesMax: this.queuesMax,
      });
      await publish(keys, disk.info, discard);
      return connection;
    } catch (error) {
      await connection?.close();
      await disk.close();
      throw error;
    }
  }

  private get ringPageOrderMax(): number {
    return this.parts.without.has('multi-page') ? 0 : RING_PAGE_ORDER_MAX;
  }

  private get queuesMax(): number {
    return this.parts.without.has('multi-queue') ? 1 : QUEUES_MAX;
  }
}

/** What a front end reads once the back end is `Connected`. */
async function publish(keys: DeviceKeys, info: BlockDeviceInfo, discard: boolean): Promise<void> {
  const cdrom = (await isCdrom(keys)) ? VDISK_CDROM : 0;
  const removable = (await keys.read('removable')) === '1' ? VDISK_REMOVABLE : 0;
  const readOnly = info.readOnly ? VDISK_READONLY : 0;
  await keys.write({
    sectors: String(info.size / SECTOR_SIZE),
    'sector-size': String(info.sectorSize),
    'physical-sector-size': String(info.physicalSectorSize),
    info: String(cdrom | removable | readOnly),
    'feature-discard': discard ? '1' : '0',
    'discard-granularity': String(info.sectorSize),
    'discard-alignment': '0',
    'discard-secure': '0',
  });
}
