/**
 * The block back end: what it publishes, how it connects to a front end's ring, and what it holds
 * while connected. Keys and their meaning are in xen/include/public/io/blkif.h.
 */
import { VDISK_CDROM, VDISK_READONLY, VDISK_REMOVABLE } from '../abi/io/blkif.ts';
import type { Clock } from '../base/clock.ts';
import { EVENT_PORT_MAX, eventPort, type GrantRef, grantRef } from '../base/ids.ts';
import type { EventChannel, Hypervisor, Pages } from '../hypervisor/contract.ts';
import { BackRing } from '../ring/back-ring.ts';
import type { BackConnection, BackDriver } from '../xenbus/back-device.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { needPeerNumber, readPeerFlag, readPeerNumber } from '../xenbus/key-number.ts';
import { GuestPages } from './back-pages.ts';
import { BackQueue } from './back-queue.ts';
import { INDIRECT_SEGMENTS_MAX } from './back-request.ts';
import { type BlockDevice, type BlockDeviceInfo, SECTOR_SIZE } from './block-device.ts';
import { blkifProtocol } from './protocol.ts';

/** A ring of 16 pages at most, as in Linux and QEMU. */
const RING_PAGE_ORDER_MAX = 4;
const GRANT_REF_MAX = 0xffffffff;

/** Which disk the toolstack asks for. */
export interface DiskRequest {
  /** What the hotplug script found, or the disk's `target` as the configuration has it. */
  readonly path: string;
  readonly readOnly: boolean;
}

export interface BlockBackParts {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  /** Rejects with `XenError` when there is no such disk or it cannot be opened that way. */
  readonly openDisk: (request: DiskRequest) => Promise<BlockDevice>;
}

export class BlockBack implements BackDriver {
  private readonly parts: BlockBackParts;

  constructor(parts: BlockBackParts) {
    this.parts = parts;
  }

  async announce(keys: DeviceKeys): Promise<void> {
    const { supports } = this.parts.hypervisor;
    await keys.write({
      'feature-flush-cache': '1',
      'feature-persistent': '1',
      'feature-max-indirect-segments': String(INDIRECT_SEGMENTS_MAX),
      // The ring is used as one run of bytes.
      'max-ring-page-order': String(supports.contiguousMaps ? RING_PAGE_ORDER_MAX : 0),
    });
  }

  async connect(keys: DeviceKeys): Promise<BackConnection | undefined> {
    const request = await diskRequest(keys);
    if (request === undefined) return undefined;
    const disk = await this.parts.openDisk(request);
    try {
      const connection = await this.connectRing(keys, disk);
      try {
        await publish(keys, disk.info);
      } catch (error) {
        await connection.close();
        throw error;
      }
      return connection;
    } catch (error) {
      await disk.close();
      throw error;
    }
  }

  private async connectRing(keys: DeviceKeys, disk: BlockDevice): Promise<BackConnection> {
    const { hypervisor, clock } = this.parts;
    const { peer, log } = keys;
    const protocol = blkifProtocol(await keys.readPeer('protocol'));
    const refs = await ringRefs(keys, this.parts.hypervisor);
    const port = eventPort(await needPeerNumber(keys, 'event-channel', EVENT_PORT_MAX));
    const persistent = await readPeerFlag(keys, 'feature-persistent');
    const ringPages = hypervisor.grants.map(peer, refs);
    let channel: EventChannel;
    try {
      channel = hypervisor.events.bindInterdomain(peer, port);
    } catch (error) {
      ringPages.close();
      throw error;
    }
    const pages = new GuestPages({ grants: hypervisor.grants, peer, persistent, clock });
    const connection = { disk, pages, ringPages, channel };
    try {
      const ring = new BackRing(ringPages.bytes, protocol);
      const onViolation = (error: unknown) => keys.fail(error);
      const queue = new BackQueue({
        ring,
        channel,
        protocol,
        disk,
        pages,
        clock,
        log,
        onViolation,
      });
      queue.start();
      return new BlockConnection({ ...connection, queue });
    } catch (error) {
      pages.close();
      channel.close();
      ringPages.close();
      throw error;
    }
  }
}

interface BlockConnectionParts {
  readonly queue: BackQueue;
  readonly disk: BlockDevice;
  readonly pages: GuestPages;
  readonly ringPages: Pages;
  readonly channel: EventChannel;
}

class BlockConnection implements BackConnection {
  private readonly parts: BlockConnectionParts;

  constructor(parts: BlockConnectionParts) {
    this.parts = parts;
  }

  async close(): Promise<void> {
    const { queue, disk, pages, ringPages, channel } = this.parts;
    // Nothing is unmapped while the disk may still read from it or write to it.
    await queue.close();
    channel.close();
    pages.close();
    ringPages.close();
    await disk.close();
  }
}

/** The disk that the toolstack wants, `undefined` while its hotplug script has not finished. */
async function diskRequest(keys: DeviceKeys): Promise<DiskRequest | undefined> {
  const hasScript = (await keys.read('script')) !== undefined;
  if (hasScript && (await keys.read('hotplug-status')) !== 'connected') return undefined;
  const path = (await keys.read('physical-device-path')) ?? (await keys.read('params'));
  if (path === undefined) return undefined;
  const mode = await keys.read('mode');
  return { path, readOnly: mode?.startsWith('w') !== true };
}

/** The grants of the front end's ring, one key for one page and one key each for more. */
async function ringRefs(keys: DeviceKeys, hypervisor: Hypervisor): Promise<GrantRef[]> {
  const orderMax = hypervisor.supports.contiguousMaps ? RING_PAGE_ORDER_MAX : 0;
  const order = await readPeerNumber(keys, 'ring-page-order', orderMax);
  if (order === undefined) return [grantRef(await needPeerNumber(keys, 'ring-ref', GRANT_REF_MAX))];
  const refs: GrantRef[] = [];
  for (let page = 0; page < 2 ** order; page++) {
    refs.push(grantRef(await needPeerNumber(keys, `ring-ref${page}`, GRANT_REF_MAX)));
  }
  return refs;
}

/** What a front end reads once the back end is `Connected`. */
async function publish(keys: DeviceKeys, info: BlockDeviceInfo): Promise<void> {
  const cdrom = (await keys.read('device-type')) === 'cdrom' ? VDISK_CDROM : 0;
  const removable = (await keys.read('removable')) === '1' ? VDISK_REMOVABLE : 0;
  const readOnly = info.readOnly ? VDISK_READONLY : 0;
  const discard = info.discard && (await keys.read('discard-enable')) !== '0';
  await keys.write({
    sectors: String(info.size / SECTOR_SIZE),
    'sector-size': String(info.sectorSize),
    'physical-sector-size': String(info.physicalSectorSize),
    info: String(cdrom | removable | readOnly),
    'feature-discard': discard ? '1' : '0',
    'discard-granularity': String(info.sectorSize),
    'discard-alignment': '0',
  });
}
