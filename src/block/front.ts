/**
 * The block front end: another domain's disk as a `BlockDevice`. One ring of one page; requests
 * beyond it wait in order. The protocol is in xen/include/public/io/blkif.h.
 */
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  VDISK_READONLY,
} from '../abi/io/blkif.ts';
import { XEN_IO_PROTO_ABI_X86_64 } from '../abi/io/protocols.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Hypervisor, PAGE_SIZE } from '../hypervisor/contract.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { FrontDevice } from '../xenbus/front-device.ts';
import { needPeerNumber, readPeerFlag, readPeerNumber } from '../xenbus/key-number.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { type BlockDevice, type BlockDeviceInfo, SECTOR_SIZE } from './block-device.ts';
import { FrontQueue } from './front-queue.ts';
import { REQUEST_BYTES_MAX, splitBuffers } from './front-slot.ts';

const SECTORS_MAX = Math.floor(Number.MAX_SAFE_INTEGER / SECTOR_SIZE);
const PHYSICAL_SECTOR_SIZE_MAX = 1 << 20;

export interface BlockFrontParts {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly log: Log;
  /** The number of the virtual device: 51712 is xvda. */
  readonly devid: number;
}

export class BlockFront implements BlockDevice {
  private readonly hypervisor: Hypervisor;
  private device: FrontDevice | undefined;
  private queue: FrontQueue | undefined;
  private geometry: BlockDeviceInfo | undefined;
  private hasFlush = false;
  private readonly pending = new Set<Promise<void>>();

  private constructor(hypervisor: Hypervisor) {
    this.hypervisor = hypervisor;
  }

  /** Connects to the disk. Rejects with ENOENT when there is none, ENODEV when its back end closed. */
  static async connect(parts: BlockFrontParts): Promise<BlockFront> {
    const { hypervisor, xenstore, log, devid } = parts;
    const front = new BlockFront(hypervisor);
    front.device = await FrontDevice.connect({
      xenstore,
      log,
      domid: hypervisor.domid,
      type: 'vbd',
      devid,
      driver: {
        offer: (keys) => front.offer(keys),
        connect: (keys) => front.connected(keys),
        close: (error) => front.lost(error),
      },
    });
    return front;
  }

  get info(): BlockDeviceInfo {
    if (this.geometry === undefined) throw new XenError('ENOTCONN', 'ask a disk for its size');
    return this.geometry;
  }

  read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    return this.transfer(BLKIF_OP_READ, position, targets);
  }

  write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    return this.transfer(BLKIF_OP_WRITE, position, sources);
  }

  async flush(): Promise<void> {
    // A back end without the feature has no cache to flush.
    if (this.hasFlush) await this.submit(BLKIF_OP_FLUSH_DISKCACHE, 0, 0, []);
  }

  async discard(position: number, length: number): Promise<void> {
    if (!this.info.discard) throw new XenError('ENOTSUP', 'discard', 'the back end cannot');
    await this.submit(BLKIF_OP_DISCARD, position, length, []);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.pending);
    await this.device?.close();
  }

  private async transfer(
    operation: number,
    position: number,
    buffers: readonly Uint8Array[],
  ): Promise<void> {
    const parts: Promise<void>[] = [];
    for (const part of splitBuffers(buffers, REQUEST_BYTES_MAX)) {
      parts.push(this.submit(operation, position, part.length, part.buffers));
      position += part.length;
    }
    // All are waited for, so that none touches the caller's memory after this is over.
    const results = await Promise.allSettled(parts);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  private submit(
    operation: number,
    position: number,
    length: number,
    buffers: readonly Uint8Array[],
  ): Promise<void> {
    const { queue } = this;
    if (queue === undefined) {
      return Promise.reject(new XenError('ENOTCONN', 'use a disk', 'its device is closed'));
    }
    const work = new Promise<void>((resolve, reject) => {
      queue.submit({ operation, position, length, buffers, resolve, reject });
    });
    this.pending.add(work);
    const forget = () => {
      this.pending.delete(work);
    };
    work.then(forget, forget);
    return work;
  }

  private async offer(keys: DeviceKeys): Promise<void> {
    const onFailure = (error: unknown) => keys.fail(error);
    this.queue = new FrontQueue({ hypervisor: this.hypervisor, peer: keys.peer, onFailure });
    await keys.write({
      ...this.queue.keys,
      protocol: XEN_IO_PROTO_ABI_X86_64,
      'feature-persistent': '1',
    });
  }

  private async connected(keys: DeviceKeys): Promise<void> {
    const sectors = await needPeerNumber(keys, 'sectors', SECTORS_MAX);
    const sectorSize = await needPeerNumber(keys, 'sector-size', PAGE_SIZE);
    const physical = await readPeerNumber(keys, 'physical-sector-size', PHYSICAL_SECTOR_SIZE_MAX);
    const info = await needPeerNumber(keys, 'info', 0xffff);
    this.hasFlush = await readPeerFlag(keys, 'feature-flush-cache');
    this.geometry = {
      size: sectors * SECTOR_SIZE,
      sectorSize,
      physicalSectorSize: physical ?? sectorSize,
      readOnly: (info & VDISK_READONLY) !== 0,
      discard: await readPeerFlag(keys, 'feature-discard'),
    };
  }

  private async lost(error: unknown): Promise<void> {
    const detail = error === undefined ? 'its device is closed' : errorMessage(error);
    this.queue?.close(new XenError('EIO', 'use a disk', detail, error));
    this.queue = undefined;
  }
}
