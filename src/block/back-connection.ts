/** All that a block back end holds of one front end while the two are connected. */
import { XenbusStateConnected } from '../abi/io/xenbus.ts';
import type { Clock } from '../base/clock.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { Holdings } from '../base/holdings.ts';
import { EVENT_PORT_MAX, eventPort, type GrantRef, grantRef } from '../base/ids.ts';
import type { Hypervisor } from '../hypervisor/contract.ts';
import { BackRing } from '../ring/back-ring.ts';
import type { BackConnection } from '../xenbus/back-device.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { needPeerNumber, readPeerFlag, readPeerNumber } from '../xenbus/key-number.ts';
import { GuestPages } from './back-pages.ts';
import { BackQueue } from './back-queue.ts';
import type { BackOffers } from './back-request.ts';
import { SECTOR_SIZE } from './block-device.ts';
import type { CountedDisk } from './counted-disk.ts';
import { type BlkifProtocol, blkifProtocol } from './protocol.ts';
import { STATISTICS_KEY, statisticsText } from './statistics.ts';

const GRANT_REF_MAX = 0xffffffff;

export interface BlockConnectionParts {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  readonly keys: DeviceKeys;
  /** Closed with the connection. */
  readonly disk: CountedDisk;
  readonly offers: BackOffers;
  /** Persistent grants were offered. */
  readonly persistent: boolean;
  readonly ringPageOrderMax: number;
  readonly queuesMax: number;
}

export class BlockConnection implements BackConnection {
  private readonly parts: BlockConnectionParts;
  /** Rings and event channels. */
  private readonly held = new Holdings();
  private readonly queues: BackQueue[] = [];
  private readonly pages: GuestPages;
  private readonly began_ms: number;
  /** The size that the front end was told. */
  private size: number;
  private ringSlots = 0;

  private constructor(parts: BlockConnectionParts, persistent: boolean) {
    const { hypervisor, keys, clock, disk } = parts;
    this.parts = parts;
    this.pages = new GuestPages({ grants: hypervisor.grants, peer: keys.peer, persistent, clock });
    this.began_ms = clock.now_ms();
    this.size = disk.info.size;
    disk.onResize(() => keys.wake());
  }

  /** Connects to the rings that the front end has published. Rejects when one is not as it should be. */
  static async open(parts: BlockConnectionParts): Promise<BlockConnection> {
    const { keys } = parts;
    const protocol = blkifProtocol(await keys.readPeer('protocol'));
    const frontPersists = await readPeerFlag(keys, 'feature-persistent');
    const connection = new BlockConnection(parts, frontPersists && parts.persistent);
    try {
      for (const directory of await queueDirectories(keys, parts.queuesMax)) {
        await connection.connectRing(directory, protocol);
      }
    } catch (error) {
      connection.letGo();
      throw error;
    }
    for (const queue of connection.queues) queue.start();
    return connection;
  }

  /** Tells the front end of a new size, and the operator how the device does, where that is asked. */
  async refresh(): Promise<void> {
    const { keys, disk } = this.parts;
    await disk.refresh();
    const { size } = disk.info;
    if (size !== this.size) {
      this.size = size;
      keys.log.info('disk has a new size', { size });
      // The state written once more is what makes a front end look.
      const state = String(XenbusStateConnected);
      await keys.write({ sectors: String(size / SECTOR_SIZE), state });
    }
    if ((await keys.read(STATISTICS_KEY)) === '') {
      await keys.write({ [STATISTICS_KEY]: this.statistics() });
    }
  }

  async close(): Promise<void> {
    // Nothing is unmapped while the disk may still read from it or write to it.
    await Promise.all(this.queues.map((queue) => queue.close()));
    this.letGo();
    await this.parts.disk.close();
  }

  private letGo(): void {
    this.pages.close();
    this.held.close();
  }

  /** @param directory what stands before the ring's keys */
  private async connectRing(directory: string, protocol: BlkifProtocol): Promise<void> {
    const { hypervisor, keys, clock, disk, offers } = this.parts;
    const refs = await ringRefs(keys, directory, this.parts.ringPageOrderMax);
    const port = eventPort(await needPeerNumber(keys, `${directory}event-channel`, EVENT_PORT_MAX));
    const ringPages = this.held.keep(hypervisor.grants.map(keys.peer, refs));
    const channel = this.held.keep(hypervisor.events.bindInterdomain(keys.peer, port));
    const ring = new BackRing(ringPages.bytes, protocol);
    this.ringSlots = ring.size;
    this.queues.push(
      new BackQueue({
        ring,
        channel,
        protocol,
        disk,
        offers,
        pages: this.pages,
        clock,
        log: keys.log,
        onViolation: (error) => keys.fail(error),
      }),
    );
  }

  private statistics(): string {
    return statisticsText({
      counts: this.parts.disk.counts,
      connected_ms: this.parts.clock.now_ms() - this.began_ms,
      queues: this.queues.length,
      ringSlots: this.ringSlots,
      persistentPages: this.pages.mappedCount,
    });
  }
}

/** Where the keys of each ring stand: for a single one in the device's own directory. */
async function queueDirectories(keys: DeviceKeys, queuesMax: number): Promise<string[]> {
  const count = await readPeerNumber(keys, 'multi-queue-num-queues', queuesMax);
  if (count === 0) {
    throw new ProtocolViolation(
      `read the queues of domain ${keys.peer}`,
      'blkif: multi-queue-num-queues is 1 or more',
      'it is 0',
    );
  }
  if (count === undefined || count === 1) return [''];
  return Array.from({ length: count }, (_, queue) => `queue-${queue}/`);
}

/** The grants of a ring, one key for one page and one key each for more. */
async function ringRefs(
  keys: DeviceKeys,
  directory: string,
  orderMax: number,
): Promise<GrantRef[]> {
  // The order is the device's: all of its rings have the same. One page has been published with
  // either kind of key.
  const order = await readPeerNumber(keys, 'ring-page-order', orderMax);
  const single =
    order === undefined ||
    (order === 0 && (await keys.readPeer(`${directory}ring-ref`)) !== undefined);
  const names = single
    ? ['ring-ref']
    : Array.from({ length: 2 ** order }, (_, page) => `ring-ref${page}`);
  const refs: GrantRef[] = [];
  for (const name of names) {
    refs.push(grantRef(await needPeerNumber(keys, `${directory}${name}`, GRANT_REF_MAX)));
  }
  return refs;
}
