/**
 * Finds the devices that a back end has to serve: `backend/<type>/<frontend domid>/<devid>` below
 * its domain's home, written by the toolstack. One watch covers all of them.
 */
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import { type DomId, domId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { childrenOf } from '../xenstore/directories.ts';
import { childPath, domainHome, isAtOrBelow, pathName } from '../xenstore/path.ts';
import type { Xenstore, XenstoreWatch } from '../xenstore/xenstore.ts';
import { BackDevice, type BackDriver } from './back-device.ts';
import { closeWatch } from './device-end.ts';
import { Stepper } from './stepper.ts';

export interface BackBusParts {
  readonly xenstore: Xenstore;
  readonly log: Log;
  /** The domain that the back end runs in. */
  readonly domid: DomId;
  /** The kind of device in xenstore's words: `vbd`. */
  readonly type: string;
  /** The driver for one device. */
  readonly driverFor: (device: FoundDevice) => BackDriver;
  /** Whether a device is this back end's to serve; all are, unless given. Others are left as they are. */
  readonly serves?: (device: FoundDevice) => Promise<boolean>;
  /** See `BackDeviceParts`. */
  readonly removalClock?: Clock | undefined;
}

export interface FoundDevice {
  readonly peer: DomId;
  /** The device's number, as its directory is called. */
  readonly devid: string;
  /** The front end's directory, absolute. */
  readonly frontend: string;
}

export class BackBus {
  private readonly parts: BackBusParts;
  private readonly root: string;
  private readonly devices = new Map<string, BackDevice>();
  private readonly scanner: Stepper;
  /** Directories that were found unfit, so that each is complained of once. */
  private readonly refused = new Set<string>();
  private watch: XenstoreWatch | undefined;

  private constructor(parts: BackBusParts) {
    this.parts = parts;
    this.root = `${domainHome(parts.domid)}/backend/${parts.type}`;
    this.scanner = new Stepper(() => this.scan());
  }

  /** Serves every device of the type, those that are there and those to come. */
  static async open(parts: BackBusParts): Promise<BackBus> {
    const bus = new BackBus(parts);
    bus.watch = await parts.xenstore.watch(bus.root, (path) => bus.changed(path));
    return bus;
  }

  /** Devices that are served now, by their paths. */
  get paths(): string[] {
    return [...this.devices.keys()];
  }

  /** Lets go of every device; their front ends wait for the next process of this back end. */
  async close(): Promise<void> {
    await closeWatch(this.watch, this.parts.log);
    await this.scanner.stop();
    await Promise.all([...this.devices.values()].map((device) => device.close()));
    this.devices.clear();
  }

  private changed(path: string): void {
    const device = this.devices.get(this.devicePathOf(path));
    if (device !== undefined) {
      device.wake();
      return;
    }
    for (const [devicePath, below] of this.devices) {
      if (isAtOrBelow(devicePath, path)) below.wake();
    }
    this.scanner.wake();
  }

  /** The directory of the device that a path stands in: the root and two names more. */
  private devicePathOf(path: string): string {
    const [domain, device] = path.slice(this.root.length + 1).split('/');
    return `${this.root}/${domain}/${device}`;
  }

  private async scan(): Promise<void> {
    try {
      for (const path of await this.deviceDirectories()) {
        if (!this.devices.has(path)) await this.adopt(path);
      }
    } catch (error) {
      this.parts.log.error('scan for devices failed', { error: errorMessage(error) });
    }
  }

  private async deviceDirectories(): Promise<string[]> {
    const found: string[] = [];
    for (const domain of await childrenOf(this.parts.xenstore, this.root)) {
      const domainPath = childPath(this.root, domain);
      for (const device of await childrenOf(this.parts.xenstore, domainPath)) {
        found.push(childPath(domainPath, device));
      }
    }
    return found;
  }

  /** Begins to serve the device in a new directory, if it names a front end. */
  private async adopt(path: string): Promise<void> {
    const { xenstore, log, domid } = this.parts;
    const frontend = await xenstore.readIfPresent(childPath(path, 'frontend'));
    const frontendId = await xenstore.readIfPresent(childPath(path, 'frontend-id'));
    // The toolstack writes the directory in one transaction: without these keys it is being removed.
    if (frontend === undefined || frontendId === undefined) return;
    const peer = this.peerOf(path, frontendId);
    if (peer === undefined) {
      if (!this.refused.has(path)) log.warn('not a device', { path, 'frontend-id': frontendId });
      this.refused.add(path);
      return;
    }
    const found = { peer, devid: pathName(path), frontend };
    if ((await this.parts.serves?.(found)) === false) return;
    const device = new BackDevice({
      xenstore,
      log,
      domid,
      path,
      peer,
      peerPath: frontend,
      driver: this.parts.driverFor(found),
      removalClock: this.parts.removalClock,
      onGone: () => this.gone(path),
    });
    this.devices.set(path, device);
    try {
      await device.start();
    } catch (error) {
      this.devices.delete(path);
      throw error;
    }
  }

  /** The front end's domain, when the key and the path name the same one. */
  private peerOf(path: string, frontendId: string): DomId | undefined {
    const inPath = path.slice(this.root.length + 1).split('/')[0];
    if (inPath !== frontendId || !/^\d{1,5}$/.test(frontendId)) return undefined;
    try {
      return domId(Number(frontendId));
    } catch {
      return undefined;
    }
  }

  private gone(path: string): void {
    this.devices.delete(path);
    // A directory of the same name may stand there already, its first changes given to the old device.
    this.scanner.wake();
  }
}
