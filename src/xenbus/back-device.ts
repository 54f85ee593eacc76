/**
 * The back end's half of the handshake, for every split driver. A step reads where both ends stand
 * and does the one thing that follows; so it does not matter which changes were seen, how often, or
 * in which order, nor that a peer's state jumps.
 */
import {
  type XenbusState,
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
  XenbusStateReconfigured,
  XenbusStateReconfiguring,
  XenbusStateUnknown,
} from '../abi/io/xenbus.ts';
import { unreachable } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import { DeviceEnd, type DeviceEndParts, type DeviceKeys } from './device-end.ts';

/** What is open towards one front end while its device is connected. */
export interface BackConnection {
  /** A key of this end's directory may have changed, one of `changingKeys`, or something of what is served. */
  refresh?(): Promise<void>;
  /** Waits for what is under way and lets go of everything of the front end's. */
  close(): Promise<void>;
}

/** What one kind of back end does at the two moments that matter to it. */
export interface BackDriver {
  /** Keys of the front end's, beside its state, that it may change while it is connected. */
  readonly changingKeys?: readonly string[];
  /** Publishes what this end can do, before `InitWait`. */
  announce(keys: DeviceKeys): Promise<void>;
  /**
   * The front end has published its rings: connects to them and publishes what `Connected` promises.
   * Resolves with `undefined` while something on this side is not ready (the hotplug script), to be
   * asked again when a key of this end changes. Rejects when the device cannot be: it fails.
   */
  connect(keys: DeviceKeys): Promise<BackConnection | undefined>;
  /** Nothing is served any more: the device has left xenstore, or another process carries on with it. */
  end?(isGone: boolean): void;
}

/** All that decides a back end's next step. */
export interface BackView {
  /** This end's `state` node, which the toolstack writes too. */
  readonly own: XenbusState;
  readonly peer: XenbusState;
  /** `online`: cleared by the toolstack when the device is to go away for good. */
  readonly online: boolean;
  /** The front end's rings are open here. */
  readonly connected: boolean;
  /** The device failed, and the front end has not been at `Closed` since. */
  readonly failed: boolean;
}

/** `stay` changes nothing; the others name the state that the step ends in. */
export type BackMove = 'stay' | 'announce' | 'connect' | 'closing' | 'closed';

/** The rules of the handshake. A function of the view alone, so that the test can list them. */
export function nextBackMove(view: BackView): BackMove {
  switch (view.peer) {
    case XenbusStateUnknown:
    case XenbusStateClosed:
      return settle(view, 'closed');
    case XenbusStateInitialising:
    case XenbusStateInitWait:
      // A front end that starts over without closing first is a kernel after kexec.
      if (!view.online) return settle(view, 'closed');
      if (view.failed) return 'stay';
      return view.own === XenbusStateInitWait && !view.connected ? 'stay' : 'announce';
    case XenbusStateInitialised:
    case XenbusStateConnected:
      if (!view.online) return settle(view, view.connected ? 'closing' : 'closed');
      return view.connected || view.failed ? 'stay' : connectFrom(view.own);
    case XenbusStateClosing:
      return settle(view, view.connected ? 'closing' : 'closed');
    case XenbusStateReconfiguring:
    case XenbusStateReconfigured:
      if (!view.online) return settle(view, view.connected ? 'closing' : 'closed');
      return view.connected || view.failed || !wasConnected(view.own) ? 'stay' : 'connect';
    default:
      return unreachable(view.peer);
  }
}

function settle(view: BackView, move: 'closing' | 'closed'): BackMove {
  if (move === 'closing') return view.own === XenbusStateClosing ? 'stay' : 'closing';
  return view.own === XenbusStateClosed && !view.connected ? 'stay' : 'closed';
}

/** A former process of this back end served the device and died: carry on where its rings stand. */
export function wasConnected(own: XenbusState): boolean {
  return own === XenbusStateConnected || own === XenbusStateReconfigured;
}

/** What a front end that is ready finds, by the state that this end stands in. */
function connectFrom(own: XenbusState): BackMove {
  switch (own) {
    case XenbusStateInitWait:
    case XenbusStateConnected:
    case XenbusStateReconfigured:
      return 'connect';
    case XenbusStateClosing:
    case XenbusStateClosed:
      // It has to come back to Initialising first.
      return 'stay';
    default:
      // The toolstack waits to see InitWait, even when the front end was faster.
      return 'announce';
  }
}

/** How long the toolstack is left to see that a device is at `Closed` before its directory goes. */
const REMOVAL_DELAY_MS = 1000;

export interface BackDeviceParts extends DeviceEndParts {
  readonly driver: BackDriver;
  /**
   * Given in a driver domain: the toolstack leaves it to this end to remove the directory of a device
   * that it has ended, and waits for that.
   */
  readonly removalClock?: Clock | undefined;
  /** The device has left xenstore; nothing of it is held any more. */
  readonly onGone: () => void;
}

export class BackDevice extends DeviceEnd {
  private readonly driver: BackDriver;
  private readonly onGone: () => void;
  private readonly removalClock: Clock | undefined;
  private removal: Timer | undefined;
  private connection: BackConnection | undefined;

  constructor(parts: BackDeviceParts) {
    super(parts);
    this.driver = parts.driver;
    this.onGone = parts.onGone;
    this.removalClock = parts.removalClock;
  }

  /** Begins to follow the front end. Changes of our own directory come through `wake`. */
  async start(): Promise<void> {
    await this.watchPeer();
    for (const key of this.driver.changingKeys ?? []) await this.watchPeer(key);
    this.wake();
  }

  /**
   * Stops serving without a word in xenstore: the front end waits, and the next process of this
   * back end carries on.
   */
  async close(): Promise<void> {
    await this.end();
    this.driver.end?.(false);
  }

  protected async step(): Promise<void> {
    const own = await this.ownState();
    if (own === undefined) {
      await this.endFromStep();
      this.driver.end?.(true);
      this.log.info('device removed');
      this.onGone();
      return;
    }
    const view: BackView = {
      own,
      peer: await this.peerState(),
      online: (await this.read('online')) === '1',
      connected: this.connection !== undefined,
      failed: this.failed,
    };
    await this.perform(nextBackMove(view), view);
  }

  private async perform(move: BackMove, view: BackView): Promise<void> {
    switch (move) {
      case 'stay':
        if (view.own === XenbusStateClosed && !view.online) this.removeSoon();
        return this.connection?.refresh?.();
      case 'announce':
        await this.detach();
        await this.driver.announce(this);
        return this.moveTo(XenbusStateInitWait);
      case 'connect': {
        this.connection = await this.driver.connect(this);
        if (this.connection === undefined) return;
        this.log.info(wasConnected(view.own) ? 'device resumed' : 'device connected');
        return this.moveTo(XenbusStateConnected);
      }
      case 'closing':
        return this.moveTo(XenbusStateClosing);
      case 'closed': {
        const wasConnected = this.connection !== undefined;
        await this.detach();
        this.clearFailure();
        if (wasConnected) this.log.info('device disconnected');
        return this.moveTo(XenbusStateClosed);
      }
      default:
        return unreachable(move);
    }
  }

  private removeSoon(): void {
    this.removal ??= this.removalClock?.after(REMOVAL_DELAY_MS, () => {
      // The toolstack may have been as quick. Whoever it was, the watch tells.
      this.xenstore.remove(this.path).catch((error) => {
        this.log.debug('directory not removed', { error: errorMessage(error) });
      });
    });
  }

  /** The next step follows from the state just written: nobody else need wake it. */
  private async moveTo(state: XenbusState): Promise<void> {
    await this.switchState(state);
    this.wake();
  }

  protected async detach(): Promise<void> {
    this.removal?.cancel();
    this.removal = undefined;
    const connection = this.connection;
    this.connection = undefined;
    await connection?.close();
  }
}
