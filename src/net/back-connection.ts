/** All that a network back end holds of one front end while the two are connected. */
import {
  XenbusStateConnected,
  XenbusStateReconfigured,
  XenbusStateReconfiguring,
} from '../abi/io/xenbus.ts';
import type { Clock } from '../base/clock.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { Holdings } from '../base/holdings.ts';
import type { EventPort, GrantRef } from '../base/ids.ts';
import { type EventChannel, type Hypervisor, PAGE_SIZE } from '../hypervisor/contract.ts';
import { SignalAllowance } from '../ring/signal-allowance.ts';
import { type BackConnection, wasConnected } from '../xenbus/back-device.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { readPeerFlag } from '../xenbus/key-number.ts';
import { parseXenbusState } from '../xenbus/state.ts';
import { BackControl } from './back-control.ts';
import {
  type FrontFeatures,
  type FrontQueueKeys,
  HEADROOM_MAX,
  MULTICAST_KEY,
  queueDirectories,
  readControl,
  readFeatures,
  readHeadroom,
  readQueue,
} from './back-keys.ts';
import { BackReceive } from './back-receive.ts';
import {
  type PluggedVif,
  parseRate,
  RATE_KEY,
  type VifNetwork,
  type VifRequest,
} from './back-request.ts';
import { BackTransmit } from './back-transmit.ts';
import { BackVif } from './back-vif.ts';
import { type NetFeature, QUEUES_MAX } from './features.ts';
import { FRAME_OVERHEAD_BYTES } from './frame.ts';
import { MulticastFilter } from './multicast-filter.ts';
import { noCounts } from './network-interface.ts';
import { OffloadAdapter } from './offloads.ts';
import { STATISTICS_KEY, statisticsText } from './statistics.ts';
import { Steering } from './steering.ts';
import { TokenBucket } from './token-bucket.ts';

export interface NetConnectionParts {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  readonly keys: DeviceKeys;
  readonly request: VifRequest;
  readonly network: VifNetwork;
  /** What the front end was not offered. */
  readonly without: ReadonlySet<NetFeature>;
}

export class NetConnection implements BackConnection {
  private readonly parts: NetConnectionParts;
  private readonly features: FrontFeatures;
  /** Rings, event channels, and the plug in the network. */
  private readonly held = new Holdings();
  private readonly counts = noCounts();
  private readonly bucket: TokenBucket;
  /** As the toolstack has it. */
  private rate: string | undefined;
  private readonly multicast = new MulticastFilter();
  /** A former process of this back end was connected to the same rings. */
  private readonly isResumed: boolean;
  private readonly transmitters: BackTransmit[] = [];
  private readonly receivers: BackReceive[] = [];
  private readonly starts: (() => void)[] = [];
  private control: BackControl | undefined;
  private vif!: BackVif;
  private plugged: PluggedVif | undefined;
  private readonly began_ms: number;

  private constructor(parts: NetConnectionParts, features: FrontFeatures, isResumed: boolean) {
    const { clock } = parts;
    this.parts = parts;
    this.features = features;
    this.began_ms = clock.now_ms();
    this.bucket = new TokenBucket(clock, undefined);
    this.isResumed = isResumed;
  }

  /** Connects to the rings that the front end has published. Rejects when one is not as it should be. */
  static async open(parts: NetConnectionParts): Promise<NetConnection> {
    const { keys } = parts;
    const isResumed = wasConnected(parseXenbusState(await keys.read('state')));
    const features = await readFeatures(keys);
    const connection = new NetConnection(parts, features, isResumed);
    try {
      await connection.connectRings();
      const { network, request } = parts;
      connection.plugged = connection.held.keep(network.plug(connection.vif, request));
    } catch (error) {
      connection.letGo();
      throw error;
    }
    for (const start of connection.starts) start();
    return connection;
  }

  /**
   * The guest may want another headroom: it says so by a state of its own; or other groups; and the
   * operator another rate. Tells the operator how the interface does, where that is asked.
   */
  async refresh(): Promise<void> {
    const { keys } = this.parts;
    await this.takeMulticast();
    await this.takeNewRate();
    const own = parseXenbusState(await keys.read('state'));
    const peer = parseXenbusState(await keys.readPeer('state'));
    if (peer === XenbusStateReconfiguring && own !== XenbusStateReconfigured) {
      await this.takeHeadroom();
      await keys.write({ state: String(XenbusStateReconfigured) });
    } else if (peer === XenbusStateConnected && own === XenbusStateReconfigured) {
      await keys.write({ state: String(XenbusStateConnected) });
    }
    if ((await keys.read(STATISTICS_KEY)) === '') {
      await keys.write({ [STATISTICS_KEY]: this.statistics() });
    }
  }

  async close(): Promise<void> {
    this.letGo();
  }

  private letGo(): void {
    this.vif?.disconnect();
    for (const part of [...this.transmitters, ...this.receivers]) part.close();
    this.control?.close();
    this.held.close();
  }

  private async connectRings(): Promise<void> {
    const { keys, without, request } = this.parts;
    const queuesMax = without.has('multi-queue') ? 1 : QUEUES_MAX;
    const directories = await queueDirectories(keys, queuesMax);
    for (const directory of directories) {
      this.connectQueue(await readQueue(keys, directory, !without.has('split-event-channels')));
    }
    const steering = new Steering(directories.length);
    await this.connectControl(steering);
    await this.takeHeadroom();
    await this.takeMulticast();
    await this.takeRate();
    const { scatterGather, offloads } = this.features;
    // Without scatter-gather a frame has to fit one page, whatever headroom is asked for later.
    const mtuOfPage = PAGE_SIZE - HEADROOM_MAX - FRAME_OVERHEAD_BYTES;
    const mtu = scatterGather ? request.mtu : Math.min(request.mtu, mtuOfPage);
    this.vif = new BackVif({
      mac: request.mac,
      mtu,
      adapter: new OffloadAdapter(offloads, mtu),
      steering,
      multicast: this.multicast,
      receivers: this.receivers,
      counts: this.counts,
    });
  }

  private connectQueue({ transmitRing, receiveRing, transmitPort, receivePort }: FrontQueueKeys) {
    const { hypervisor, keys, clock, request } = this.parts;
    const transmitChannel = this.bind(transmitPort);
    const isSplit = receivePort !== transmitPort;
    const receiveChannel = isSplit ? this.bind(receivePort) : transmitChannel;
    const shared = {
      grants: hypervisor.grants,
      peer: keys.peer,
      clock,
      counts: this.counts,
      onViolation: (error: unknown) => keys.fail(error),
    };
    const transmit = new BackTransmit({
      ...shared,
      memory: this.map(transmitRing),
      channel: transmitChannel,
      log: keys.log,
      mtu: request.mtu,
      bucket: this.bucket,
      multicast: this.multicast,
      onFrames: (frames) => this.vif.deliver(frames),
      leavesRests: () => this.vif.givesRests,
    });
    const receive = new BackReceive({
      ...shared,
      memory: this.map(receiveRing),
      channel: receiveChannel,
      signalsOffers: this.features.signalsOffers,
      onRoom: () => this.vif.announceRoom(),
      onStall: () => this.stallChanged(),
    });
    this.transmitters.push(transmit);
    this.receivers.push(receive);
    if (isSplit) {
      this.serve(transmitChannel, () => transmit.serve());
      this.serve(receiveChannel, () => receive.serve());
    } else {
      this.serve(transmitChannel, () => {
        const transmitted = transmit.serve();
        return receive.serve() || transmitted;
      });
    }
  }

  private async connectControl(steering: Steering): Promise<void> {
    const { hypervisor, keys, clock, without } = this.parts;
    const found = without.has('control-ring') ? undefined : await readControl(keys);
    if (found === undefined) return;
    const control = new BackControl({
      memory: this.map(found.ring),
      channel: this.bind(found.port),
      grants: hypervisor.grants,
      peer: keys.peer,
      clock,
      steering,
      onViolation: (error) => keys.fail(error),
    });
    this.control = control;
    this.starts.push(() => control.start());
  }

  /** @param handle returns whether anything had come */
  private serve(channel: EventChannel, handle: () => boolean): void {
    const allowance = new SignalAllowance(channel, this.parts.clock);
    this.starts.push(() => {
      channel.onEvent(() => allowance.spend(!handle()));
      // A former back end may have died before it notified the front end.
      channel.notify();
    });
  }

  private map(ref: GrantRef): Uint8Array {
    const { hypervisor, keys } = this.parts;
    return this.held.keep(hypervisor.grants.map(keys.peer, [ref])).bytes;
  }

  private bind(port: EventPort): EventChannel {
    const { hypervisor, keys } = this.parts;
    return this.held.keep(hypervisor.events.bindInterdomain(keys.peer, port));
  }

  private statistics(): string {
    return statisticsText({
      counts: this.counts,
      port: this.plugged!.port.counts,
      connected_ms: this.parts.clock.now_ms() - this.began_ms,
      queues: this.receivers.length,
      carrier: this.vif.info.carrier,
    });
  }

  private async takeHeadroom(): Promise<void> {
    if (this.parts.without.has('xdp-headroom')) return;
    const headroom = await readHeadroom(this.parts.keys);
    for (const receiver of this.receivers) receiver.headroom = headroom;
  }

  private async takeMulticast(): Promise<void> {
    const { keys, without } = this.parts;
    // The groups that a guest told a former process of this back end died with it. Without them
    // everything passes: too much is heard rather than too little.
    if (this.isResumed || without.has('multicast-control')) return;
    this.multicast.isActive = await readPeerFlag(keys, MULTICAST_KEY);
  }

  private async takeRate(): Promise<void> {
    const rate = await this.parts.keys.read(RATE_KEY);
    if (rate === this.rate) return;
    this.rate = rate;
    this.bucket.setRate(parseRate(rate));
    for (const transmitter of this.transmitters) transmitter.rateChanged();
  }

  /** One that makes no sense changes nothing, for the guest has not written it. */
  private async takeNewRate(): Promise<void> {
    const { log } = this.parts.keys;
    const former = this.rate;
    try {
      await this.takeRate();
      if (this.rate !== former) log.info('the rate is another', { rate: this.rate ?? 'none' });
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      log.warn('the rate stays as it was', { error: error.message });
    }
  }

  private stallChanged(): void {
    const { carrier } = this.vif.info;
    this.parts.keys.log.info(carrier ? 'guest receives again' : 'guest has stopped receiving');
    this.vif.announceChange();
  }
}
