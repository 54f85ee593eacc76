/**
 * The network front end: another domain's network as a `NetworkInterface`. When the back end closes
 * the device and was not told to, or this domain is resumed somewhere else, the front end begins
 * anew; who uses the interface sees its carrier go and come, and the frames under way are lost. The
 * protocol is in xen/include/public/io/netif.h.
 */
import { XEN_NETIF_NR_SLOTS_MIN } from '../abi/io/netif.ts';
import { XenbusStateConnected } from '../abi/io/xenbus.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage, ProtocolViolation, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Hypervisor, PAGE_SIZE } from '../hypervisor/contract.ts';
import { FrontPages } from '../ring/front-pages.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { readPeerFlag, readPeerNumber } from '../xenbus/key-number.ts';
import { LastingFront } from '../xenbus/lasting-front.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { type NetFeature, QUEUES_MAX } from './features.ts';
import {
  ETHERNET_HEADER_BYTES,
  FRAME_BYTES_MAX,
  FRAME_OVERHEAD_BYTES,
  type Frame,
} from './frame.ts';
import { FrontControl, type HashConfiguration } from './front-control.ts';
import { FrontQueue } from './front-queue.ts';
import { Leftovers } from './leftovers.ts';
import { type MacAddress, parseMacAddress } from './mac-address.ts';
import {
  type InterfaceCounts,
  MTU_DEFAULT,
  MTU_MAX,
  MTU_MIN,
  type NetworkInterface,
  type NetworkInterfaceInfo,
  noCounts,
} from './network-interface.ts';
import { OffloadAdapter, type Offloads } from './offloads.ts';
import { Steering } from './steering.ts';

/** A ring full of pages to receive, and as many to transmit: half of what Linux lets a domain share. */
const PAGES_MAX_DEFAULT = 512;
const RECEIVE_PAGES_MAX = 256;
const PAGES_PER_FRAME_MAX = Math.ceil(FRAME_BYTES_MAX / PAGE_SIZE);

export interface NetFrontOptions {
  /** Pairs of rings, if the back end takes so many; 1 unless given. */
  readonly queues?: number;
  /** Pages shared for frames, all queues together. */
  readonly pagesMax?: number;
  /** What is neither used nor offered, even if the back end offers it. */
  readonly without?: ReadonlySet<NetFeature>;
  /** Only frames to groups that were joined are wanted, if the back end can tell them apart. */
  readonly filterMulticast?: boolean;
  /** How frames are to be spread over the queues, if the back end lets itself be told. */
  readonly hash?: HashConfiguration;
  /** Bytes to be left free at the start of each page that is received into, for who works there. */
  readonly headroom?: number;
}

export interface NetFrontParts {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  readonly log: Log;
  /** The number of the virtual device: 0 is the first. */
  readonly devid: number;
  readonly options?: NetFrontOptions;
}

export class NetFront implements NetworkInterface {
  readonly counts: InterfaceCounts = noCounts();
  private readonly parts: NetFrontParts;
  private readonly options: NetFrontOptions;
  private readonly without: ReadonlySet<NetFeature>;
  private readonly device: LastingFront;
  private mac = 0 as MacAddress;
  private mtu = MTU_DEFAULT;
  private pages: FrontPages | undefined;
  private queues: FrontQueue[] = [];
  private control: FrontControl | undefined;
  private steering = new Steering(1);
  private adapter: OffloadAdapter | undefined;
  private connected = false;
  private readonly groups = new Set<MacAddress>();
  /** Changes of the groups that the back end has not been told of. */
  private untold: { group: MacAddress; joined: boolean }[] = [];
  /** A frame was not taken. */
  private wantsRoom = false;
  private current: Frame | undefined;
  private taken = true;
  private readonly leftovers = new Leftovers(
    (frame) => this.queueOf(frame).put(frame),
    this.counts,
  );
  private receiver: (frames: readonly Frame[]) => void = () => {};
  private room = () => {};
  private changed = () => {};
  /** Why there is no interface any more. */
  ended: XenError | undefined;

  private constructor(parts: NetFrontParts) {
    const { hypervisor, xenstore, clock, log, devid, options = {} } = parts;
    this.parts = parts;
    this.options = options;
    this.without = options.without ?? new Set();
    this.device = new LastingFront({
      xenstore,
      clock,
      log,
      hypervisor,
      type: 'vif',
      devid,
      operation: 'use a network interface',
      driver: {
        offeredState: XenbusStateConnected,
        offer: (keys) => this.offer(keys),
        connect: async () => this.beginUse(),
        close: async () => this.disconnect(),
      },
      onEnd: (reason) => {
        this.ended ??= reason;
        this.changed();
      },
    });
  }

  /** Connects. Rejects with ENOENT when there is no such device, ENODEV when its back end closed. */
  static async connect(parts: NetFrontParts): Promise<NetFront> {
    const front = new NetFront(parts);
    await front.device.open();
    return front;
  }

  get info(): NetworkInterfaceInfo {
    return { mac: this.mac, mtu: this.mtu, carrier: this.connected };
  }

  send(frames: readonly Frame[]): number {
    if (!this.connected) return 0;
    let count = 0;
    while (count < frames.length && this.leftovers.proceed() && this.sendOne(frames[count]!))
      count++;
    for (const queue of this.queues) queue.push();
    this.wantsRoom ||= count < frames.length;
    return count;
  }

  onReceive(handler: (frames: readonly Frame[]) => void): void {
    this.receiver = handler;
  }

  onRoom(handler: () => void): void {
    this.room = handler;
  }

  onChange(handler: () => void): void {
    this.changed = handler;
  }

  /** Frames to the group are wanted: says something where `filterMulticast` was asked for. */
  joinGroup(group: MacAddress): void {
    this.groups.add(group);
    this.tell(group, true);
  }

  leaveGroup(group: MacAddress): void {
    this.groups.delete(group);
    this.tell(group, false);
  }

  /**
   * This domain was suspended and runs again, perhaps on another host: its back end knows nothing of
   * it. Resolves when the old rings are let go.
   */
  resume(): Promise<void> {
    return this.device.resume();
  }

  /** Waits for the back end to let go. Frames under way may be lost. */
  close(): Promise<void> {
    return this.device.close();
  }

  private sendOne(frame: Frame): boolean {
    if (frame.bytes.length < ETHERNET_HEADER_BYTES) {
      this.counts.sent.dropped.length++;
      return true;
    }
    this.current = frame;
    this.taken = true;
    const refusal = this.adapter!.adapt(frame, this.put);
    this.current = undefined;
    if (refusal !== undefined) this.counts.sent.dropped[refusal]++;
    return this.taken;
  }

  private readonly put = (frame: Frame): void => {
    if (frame === this.current) this.taken = this.queueOf(frame).put(frame);
    else this.leftovers.add(frame);
  };

  private queueOf({ bytes }: Frame): FrontQueue {
    return this.queues[this.steering.choose(bytes)]!;
  }

  private tell(group: MacAddress, joined: boolean): void {
    if (!this.connected) return;
    this.untold.push({ group, joined });
    this.tellGroups();
  }

  private tellGroups(): void {
    const queue = this.queues[0]!;
    let told = 0;
    for (const { group, joined } of this.untold) {
      if (!queue.putMulticast(group, joined)) break;
      told++;
    }
    this.untold.splice(0, told);
    queue.push();
  }

  private async offer(keys: DeviceKeys): Promise<void> {
    await this.readOwnKeys(keys);
    const offers = (feature: NetFeature, key: string) => this.peerOffers(keys, feature, key);
    const splitChannels = await offers('split-event-channels', 'feature-split-event-channels');
    const hasControl = await offers('control-ring', 'feature-ctrl-ring');
    const filters =
      this.options.filterMulticast === true &&
      (await offers('multicast-control', 'feature-multicast-control'));
    const hasHeadroom = await offers('xdp-headroom', 'feature-xdp-headroom');
    this.shareQueues(keys, await this.queueCount(keys), splitChannels);
    await this.readOffloads(keys);
    if (hasControl && this.options.hash !== undefined) this.shareControl(keys);
    await keys.write({
      ...queueKeys(this.queues),
      ...this.control?.keys(),
      ...this.featureKeys(),
      'request-multicast-control': filters ? '1' : '0',
      'xdp-headroom': hasHeadroom ? String(this.options.headroom ?? 0) : '0',
    });
  }

  private async readOwnKeys(keys: DeviceKeys): Promise<void> {
    const mac = (await keys.read('mac')) ?? '';
    const mtu = Number((await keys.read('mtu')) ?? MTU_DEFAULT);
    try {
      this.mac = parseMacAddress(mac);
    } catch (error) {
      throw new ProtocolViolation('read mac', 'vif: mac is an address', errorMessage(error));
    }
    if (!(Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX)) {
      const rule = `vif: mtu is a number from ${MTU_MIN} to ${MTU_MAX}`;
      throw new ProtocolViolation('read mtu', rule, `it is ${mtu}`);
    }
    this.mtu = mtu;
  }

  private async peerOffers(keys: DeviceKeys, feature: NetFeature, key: string): Promise<boolean> {
    return !this.without.has(feature) && (await readPeerFlag(keys, key));
  }

  private async readOffloads(keys: DeviceKeys): Promise<void> {
    const offers = (feature: NetFeature, key: string) => this.peerOffers(keys, feature, key);
    // Where there are few pages, a large frame would never find room.
    const pages = this.pages!.prepare(PAGES_PER_FRAME_MAX);
    const isLarge = pages === PAGES_PER_FRAME_MAX;
    if (pages === 0) throw new XenError('ENOSPC', 'share pages to transmit', 'there is none');
    const scatterGather = (await offers('scatter-gather', 'feature-sg')) && isLarge;
    const gsoTcpv4 = await offers('gso-tcpv4', 'feature-gso-tcpv4');
    const gsoTcpv6 = await offers('gso-tcpv6', 'feature-gso-tcpv6');
    const noChecksumIpv4 = await readPeerFlag(keys, 'feature-no-csum-offload');
    const offloads: Offloads = {
      checksumIpv4: !noChecksumIpv4 && !this.without.has('checksum-ipv4'),
      checksumIpv6: await offers('checksum-ipv6', 'feature-ipv6-csum-offload'),
      gsoTcpv4: scatterGather && gsoTcpv4,
      gsoTcpv6: scatterGather && gsoTcpv6,
    };
    // Without scatter-gather a frame has to fit one page.
    if (!scatterGather) this.mtu = Math.min(this.mtu, PAGE_SIZE - FRAME_OVERHEAD_BYTES);
    this.adapter = new OffloadAdapter(offloads, this.mtu);
  }

  private async queueCount(keys: DeviceKeys): Promise<number> {
    if (this.without.has('multi-queue')) return 1;
    const most = (await readPeerNumber(keys, 'multi-queue-max-queues', 0xffff)) ?? 1;
    return Math.max(1, Math.min(this.options.queues ?? 1, most, QUEUES_MAX));
  }

  private shareQueues(keys: DeviceKeys, count: number, splitChannels: boolean): void {
    const { hypervisor, clock } = this.parts;
    const pagesMax = this.options.pagesMax ?? PAGES_MAX_DEFAULT;
    const pages = new FrontPages(hypervisor.grants, keys.peer, pagesMax);
    this.pages = pages;
    for (let queue = 0; queue < count; queue++) {
      this.queues.push(
        new FrontQueue({
          hypervisor,
          clock,
          peer: keys.peer,
          splitChannels,
          pages,
          receivePages: Math.min(RECEIVE_PAGES_MAX, Math.ceil(pagesMax / (2 * count))),
          counts: this.counts,
          onFrames: (frames) => this.deliver(frames),
          onRoom: () => {
            this.device.progress();
            this.hasRoom();
          },
          onViolation: (error) => keys.fail(error),
        }),
      );
    }
    this.steering = new Steering(count);
  }

  private shareControl(keys: DeviceKeys): void {
    const { hypervisor, clock } = this.parts;
    this.control = new FrontControl({
      hypervisor,
      clock,
      peer: keys.peer,
      onViolation: (error) => keys.fail(error),
    });
  }

  /** What the back end may send. */
  private featureKeys(): Record<string, string> {
    const { without } = this;
    // Where few pages are shared, a large frame would never find room.
    const isLarge = this.queues.every(
      ({ receivePages }) => receivePages > XEN_NETIF_NR_SLOTS_MIN + 1,
    );
    const scatterGather = isLarge && !without.has('scatter-gather');
    const flag = (isOn: boolean) => (isOn ? '1' : '0');
    const offloads = {
      'feature-sg': flag(scatterGather),
      'feature-gso-tcpv4': flag(scatterGather && !without.has('gso-tcpv4')),
      'feature-gso-tcpv6': flag(scatterGather && !without.has('gso-tcpv6')),
      'feature-no-csum-offload': flag(without.has('checksum-ipv4')),
      'feature-ipv6-csum-offload': flag(!without.has('checksum-ipv6')),
    };
    return { 'request-rx-copy': '1', 'feature-rx-notify': '1', ...offloads };
  }

  /** Called again while connected, when the back end announces a change: there is none that matters. */
  private beginUse(): void {
    if (this.connected) return;
    this.connected = true;
    void this.configureHash();
    this.untold = [...this.groups].map((group) => ({ group, joined: true }));
    this.tellGroups();
    this.changed();
    this.hasRoom();
  }

  private async configureHash(): Promise<void> {
    const { control } = this;
    if (control === undefined) return;
    try {
      await control.configure(this.options.hash!);
    } catch (error) {
      // The back end spreads the frames in its own way then.
      this.parts.log.warn('hashes are not configured', { error: errorMessage(error) });
    }
  }

  private deliver(frames: readonly Frame[]): void {
    this.device.progress();
    this.receiver(frames);
  }

  private hasRoom(): void {
    if (!this.connected) return;
    if (this.untold.length > 0) this.tellGroups();
    if (!this.leftovers.isEmpty) {
      this.leftovers.proceed();
      for (const queue of this.queues) queue.push();
    }
    if (!this.wantsRoom || !this.leftovers.isEmpty) return;
    this.wantsRoom = false;
    this.room();
  }

  /** Lets go of all that is shared. */
  private disconnect(): void {
    const wasConnected = this.connected;
    this.connected = false;
    this.leftovers.drop();
    for (const queue of this.queues) queue.close();
    this.queues = [];
    this.control?.close();
    this.control = undefined;
    this.pages?.close();
    this.pages = undefined;
    if (wasConnected) this.changed();
  }
}

/** Where the back end finds the rings: a single pair's keys stand in the device's own directory. */
function queueKeys(queues: readonly FrontQueue[]): Record<string, string> {
  const isSingle = queues.length === 1;
  return Object.assign(
    // Always there: a front end before this one may have left another number.
    { 'multi-queue-num-queues': String(queues.length) },
    ...queues.map((queue, index) => queue.keys(isSingle ? '' : `queue-${index}/`)),
  );
}
