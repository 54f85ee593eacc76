/**
 * The front end's half of the handshake, for every split driver: `device/<type>/<devid>` below the
 * domain's home. As on the other side, a step reads where both ends stand and does what follows.
 */
import {
  type XenbusState,
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
  XenbusStateUnknown,
} from '../abi/io/xenbus.ts';
import { unreachable } from '../base/assert.ts';
import { XenError } from '../base/errors.ts';
import { type DomId, domId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { childPath, domainHome } from '../xenstore/path.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { DeviceEnd, type DeviceEndParts, type DeviceKeys } from './device-end.ts';

/** What one kind of front end does at the moments that matter to it. */
export interface FrontDriver {
  /**
   * The state that tells the back end of the rings: `Initialised` unless given. In some protocols the
   * front end says `Connected` at once.
   */
  readonly offeredState?: XenbusState;
  /** Shares rings with the back end and publishes them, before `offeredState`. */
  offer(keys: DeviceKeys): Promise<void>;
  /** The back end is connected: takes what it published. Called again when it announces a change. */
  connect(keys: DeviceKeys): Promise<void>;
  /** The device is over: no ring is used after this. `error` says why, when it did not close in order. */
  close(error: unknown): Promise<void>;
}

export interface FrontView {
  readonly own: XenbusState;
  readonly peer: XenbusState;
  /** We asked for the end of the device. */
  readonly closing: boolean;
}

export type FrontMove = 'stay' | 'offer' | 'connect' | 'closing' | 'closed';

/** The rules of the handshake. A function of the view alone, so that the test can list them. */
export function nextFrontMove({ own, peer, closing }: FrontView): FrontMove {
  if (own === XenbusStateClosed) return 'stay';
  const peerLeaves =
    peer === XenbusStateClosing || peer === XenbusStateClosed || peer === XenbusStateUnknown;
  if (own === XenbusStateClosing) return peerLeaves || !closing ? 'closed' : 'stay';
  if (closing) return 'closing';
  if (peerLeaves) return own === XenbusStateInitialising ? 'stay' : 'closed';
  if (peer === XenbusStateInitWait && own === XenbusStateInitialising) return 'offer';
  if (peer === XenbusStateConnected && own !== XenbusStateInitialising) return 'connect';
  return 'stay';
}

export interface FrontDeviceParts {
  readonly xenstore: Xenstore;
  readonly log: Log;
  readonly domid: DomId;
  /** `vbd` and the like. */
  readonly type: string;
  readonly devid: number;
  readonly driver: FrontDriver;
}

export class FrontDevice extends DeviceEnd {
  private readonly driver: FrontDriver;
  /** Resolves when this end follows the device no more. */
  readonly ended: Promise<void>;
  private begun = false;
  private open = false;
  private closing = false;
  private error: unknown;
  private readonly settled: { connected: () => void; ended: () => void };
  private readonly connected: Promise<void>;

  private constructor(parts: DeviceEndParts, driver: FrontDriver) {
    super(parts);
    this.driver = driver;
    let connected = () => {};
    let ended = () => {};
    this.connected = new Promise((resolve) => {
      connected = resolve;
    });
    this.ended = new Promise((resolve) => {
      ended = resolve;
    });
    this.settled = { connected, ended };
  }

  /**
   * Begins the handshake with the device's back end, which `untilOpen` waits for. Rejects with
   * ENOENT when the domain has no such device.
   */
  static async start(parts: FrontDeviceParts): Promise<FrontDevice> {
    const { xenstore, log, domid, type, devid, driver } = parts;
    const path = `${domainHome(domid)}/device/${type}/${devid}`;
    const peerPath = await xenstore.read(childPath(path, 'backend'));
    const peer = domId(Number(await xenstore.read(childPath(path, 'backend-id'))));
    const device = new FrontDevice({ xenstore, log, domid, path, peer, peerPath }, driver);
    await device.watchPeer();
    await device.watch(childPath(path, 'state'));
    await device.watch(childPath(path, 'backend'));
    device.wake();
    return device;
  }

  /** Resolves when both ends are `Connected`. Rejects with ENODEV when the handshake ends before. */
  async untilOpen(): Promise<void> {
    await Promise.race([this.connected, this.ended]);
    if (this.open) return;
    throw new XenError('ENODEV', `connect ${this.path}`, 'the back end closed', this.error);
  }

  /**
   * Stops following the device without a word in xenstore: its domain was resumed, and what stands
   * there now is the toolstack's. What was shared with the back end is let go.
   */
  async abandon(): Promise<void> {
    await this.end();
    this.settled.ended();
  }

  override fail(error: unknown): void {
    this.error ??= error;
    super.fail(error);
  }

  /** Closes the device in order and waits until the back end has let go. */
  async close(): Promise<void> {
    this.closing = true;
    this.wake();
    await this.ended;
  }

  protected async step(): Promise<void> {
    const own = await this.ownState();
    if (own !== undefined && (await this.hasOtherPeer())) {
      await this.endFromStep();
      this.settled.ended();
      return;
    }
    const peer = await this.peerState();
    if (own !== undefined && !this.begun) {
      // A back end that has yet to see that its last front end closed must not miss it.
      if (own === XenbusStateClosed && peer === XenbusStateClosing && !this.closing) return;
      // Where a former front end stopped does not matter: this one begins the handshake anew.
      this.begun = true;
      await this.switchState(XenbusStateInitialising);
      this.wake();
      return;
    }
    const move = own === undefined ? 'closed' : nextFrontMove({ own, peer, closing: this.closing });
    switch (move) {
      case 'stay':
        return;
      case 'offer':
        await this.driver.offer(this);
        return this.switchState(this.driver.offeredState ?? XenbusStateInitialised);
      case 'connect':
        await this.driver.connect(this);
        if (own !== XenbusStateConnected) await this.switchState(XenbusStateConnected);
        this.open = true;
        this.settled.connected();
        return;
      case 'closing':
        return this.switchState(XenbusStateClosing);
      case 'closed':
        if (own !== undefined) await this.switchState(XenbusStateClosed);
        await this.endFromStep();
        this.settled.ended();
        return;
      default:
        return unreachable(move);
    }
  }

  /** The toolstack has given the device to another back end. */
  private async hasOtherPeer(): Promise<boolean> {
    const backend = await this.read('backend');
    return backend !== undefined && backend !== this.peerPath;
  }

  protected async detach(): Promise<void> {
    this.open = false;
    await this.driver.close(this.error);
  }
}
