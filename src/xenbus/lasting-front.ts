/**
 * A front end's device for as long as its user wants it. When the back end closes the device and was
 * not told to, or this domain is resumed somewhere else, the handshake begins anew; who uses the
 * device sees a pause.
 */
import type { Clock } from '../base/clock.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import type { Hypervisor } from '../hypervisor/contract.ts';
import { childPath, domainHome } from '../xenstore/path.ts';
import { FrontDevice, type FrontDeviceParts } from './front-device.ts';

/** Handshakes in a row with no progress between them before the device counts as lost. */
const RESTARTS_MAX = 10;
/** How long a back end may take to close its end. */
const CLOSE_MS_MAX = 5000;

export interface LastingFrontParts extends Omit<FrontDeviceParts, 'domid'> {
  /** Whose `domid` is another one after this domain was suspended. */
  readonly hypervisor: Pick<Hypervisor, 'domid'>;
  readonly clock: Clock;
  /** What fails once there is no device any more, in words: `use a disk`. */
  readonly operation: string;
  /** There is no device any more, and why. */
  readonly onEnd: (reason: XenError) => void;
}

export class LastingFront {
  private readonly parts: LastingFrontParts;
  private device: FrontDevice | undefined;
  private closing = false;
  private resuming = false;
  private restarts = 0;
  /** Why the device failed, when that was not the peer's orderly doing. */
  private failure: unknown;
  private followed: Promise<void> = Promise.resolve();

  constructor(parts: LastingFrontParts) {
    this.parts = parts;
  }

  private get path(): string {
    const { hypervisor, type, devid } = this.parts;
    return `${domainHome(hypervisor.domid)}/device/${type}/${devid}`;
  }

  /** Connects. Rejects with ENOENT when there is no such device, ENODEV when its back end closed. */
  async open(): Promise<void> {
    this.device = await this.startDevice();
    await this.device.untilOpen();
    this.followed = this.follow();
  }

  /** The device does what it is for: the handshakes before do not count any more. */
  progress(): void {
    this.restarts = 0;
  }

  /**
   * This domain was suspended and runs again, perhaps on another host: its back end knows nothing of
   * it. Resolves when what was shared with the old one is let go.
   */
  async resume(): Promise<void> {
    this.resuming = true;
    await this.device?.abandon();
  }

  /**
   * Closes the device and waits for the back end to let go.
   * @param finish waits for what is under way; the device does not begin anew meanwhile
   */
  async close(finish?: () => Promise<void>): Promise<void> {
    this.closing = true;
    await finish?.();
    this.parts.onEnd(this.closed());
    // A back end that does not answer is not waited for: what is shared ends with our side of it.
    const patience = this.parts.clock.after(CLOSE_MS_MAX, () => void this.device?.abandon());
    await this.device?.close();
    await this.followed;
    patience.cancel();
  }

  private startDevice(): Promise<FrontDevice> {
    const { driver, hypervisor } = this.parts;
    return FrontDevice.start({
      ...this.parts,
      domid: hypervisor.domid,
      driver: {
        ...(driver.offeredState === undefined ? {} : { offeredState: driver.offeredState }),
        offer: (keys) => driver.offer(keys),
        connect: (keys) => driver.connect(keys),
        close: (error) => {
          this.failure ??= error;
          return driver.close(error);
        },
      },
    });
  }

  /** Begins the handshake anew whenever it has ended and there is no reason to end with it. */
  private async follow(): Promise<void> {
    for (;;) {
      await this.device?.ended;
      try {
        const reason = await this.reasonToEnd();
        if (reason !== undefined) return this.parts.onEnd(reason);
        this.parts.log.info('front end begins anew', { path: this.path });
        this.device = await this.startDevice();
      } catch (error) {
        return this.parts.onEnd(this.failed(errorMessage(error), error));
      }
      // It was closed meanwhile, and the device that was closed was the former one.
      if (this.closing) void this.device.close();
    }
  }

  private async reasonToEnd(): Promise<XenError | undefined> {
    if (this.closing) return this.closed();
    // What has failed then was on its way in the domain that this one was.
    if (this.resuming) this.failure = undefined;
    const { failure } = this;
    if (failure !== undefined) return this.failed(errorMessage(failure), failure);
    const backend = await this.parts.xenstore.readIfPresent(childPath(this.path, 'backend'));
    if (backend === undefined) return this.failed('its device is gone');
    if (this.resuming) {
      this.resuming = false;
      return undefined;
    }
    // Nothing there: the domain of the back end is gone, and the toolstack may give us another.
    const online = await this.device?.readPeer('online');
    if (online === '0') return this.failed('its device was detached');
    this.restarts++;
    if (this.restarts <= RESTARTS_MAX) return undefined;
    return this.failed(`its back end closed ${RESTARTS_MAX} times without an answer`);
  }

  private closed(): XenError {
    return new XenError('ENOTCONN', this.parts.operation, 'its device is closed');
  }

  private failed(detail: string, reason?: unknown): XenError {
    return new XenError('EIO', this.parts.operation, detail, reason);
  }
}
