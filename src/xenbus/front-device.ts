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
  /** Shares rings with the back end and publishes them, before `Initialised`. */
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
  private open = false;
  private closing = false;
  private error: unknown;
  private readonly settled: { connected: () => void; ended: () => void };
  private readonly connected: Promise<void>;
  private readonly ended: Promise<void>;

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
   * Connects to the device's back end; resolves when both ends are `Connected`. Rejects with ENOENT
   * when the domain has no such device, ENODEV when the handshake ended before.
   */
  static async connect(parts: FrontDeviceParts): Promise<FrontDevice> {
    const { xenstore, log, domid, type, devid, driver } = parts;
    const path = `${domainHome(domid)}/device/${type}/${devid}`;
    const peerPath = await xenstore.read(childPath(path, 'backend'));
    const peer = domId(Number(await xenstore.read(childPath(path, 'backend-id'))));
    const device = new FrontDevice({ xenstore, log, domid, path, peer, peerPath }, driver);
    // Where a former front end stopped does not matter: this one begins the handshake anew.
    await device.switchState(XenbusStateInitialising);
    await device.watchPeer();
    await device.watch(childPath(path, 'state'));
    await Promise.race([device.connected, device.ended]);
    if (!device.open) {
      throw new XenError('ENODEV', `connect ${path}`, 'the back end closed', device.error);
    }
    return device;
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
    const move =
      own === undefined
        ? 'closed'
        : nextFrontMove({ own, peer: await this.peerState(), closing: this.closing });
    switch (move) {
      case 'stay':
        return;
      case 'offer':
        await this.driver.offer(this);
        return this.switchState(XenbusStateInitialised);
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

  protected async detach(): Promise<void> {
    this.open = false;
    await this.driver.close(this.error);
  }
}
