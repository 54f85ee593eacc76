/**
 * Keeps a driver domain there. When it ends, whatever the reason, it is made again under the same
 * domid, with the devices that it served: guests see a pause. Only an orderly shutdown, which is what
 * an operator asks for, is final.
 */
import { SHUTDOWN_poweroff, SHUTDOWN_suspend } from '../../abi/sched.ts';
import type { Clock } from '../../base/clock.ts';
import { errorCode, errorMessage } from '../../base/errors.ts';
import { type DomId, domId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import type { DomainControl } from '../../hypervisor/contract.ts';
import { CRASH_KEY } from '../../xenbus/crash-report.ts';
import { Stepper } from '../../xenbus/stepper.ts';
import { findDomain } from '../../xenstore/domain-name.ts';
import { domainHome, parentPath } from '../../xenstore/path.ts';
import type { Xenstore, XenstoreNodes, XenstoreWatch } from '../../xenstore/xenstore.ts';
import { Attempts } from '../attempts.ts';
import { restoreDevices } from './devices.ts';
import { withOwnConsole } from './own-console.ts';
import type { Toolstack } from './toolstack.ts';

export interface KeeperParts {
  readonly xenstore: Xenstore;
  readonly domainControl: DomainControl;
  readonly toolstack: Toolstack;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often a domain is looked at while it is torn down. */
const LOOK_MS = 100;
/** libxl refuses a domid within the second in which it was given up. */
const PAUSE_MIN_MS = 1100;

/** Where domids are kept, for a keeper that begins after its domain has ended. */
const RECORDS = '/tool/paravane/driver-domain';
const recordPath = (name: string) => `${RECORDS}/${name}`;

export class DriverDomainKeeper {
  private readonly parts: KeeperParts;
  private readonly name: string;
  private readonly stepper: Stepper;
  private domid: DomId | undefined;
  private watch: XenstoreWatch | undefined;
  private readonly attempts: Attempts;
  /** The operator has shut the domain down. */
  private wasShutDown = false;
  /** And nothing of it is left. */
  private over = false;
  private closed = false;

  private constructor(parts: KeeperParts, name: string) {
    this.parts = parts;
    this.name = name;
    this.attempts = new Attempts(parts.clock, PAUSE_MIN_MS);
    this.stepper = new Stepper(() => this.guardedLook());
  }

  /**
   * Resolves when the domain runs, or is about to be made again where a former keeper left it gone.
   * Rejects with `XenError` when it cannot be made the first time.
   */
  static async open(parts: KeeperParts): Promise<DriverDomainKeeper> {
    const name = await parts.toolstack.name();
    const keeper = new DriverDomainKeeper(parts, name);
    keeper.domid = (await keeper.running()) ?? (await keeper.former());
    if (keeper.domid === undefined) await keeper.make();
    keeper.watch = await parts.xenstore.watch('@releaseDomain', () => keeper.stepper.wake());
    return keeper;
  }

  /** The domain's number; while it is being made again, the one it will have. */
  get current(): DomId | undefined {
    return this.domid;
  }

  /** Keeps the domain no longer. It runs on. */
  async close(): Promise<void> {
    this.closed = true;
    await this.watch?.close().catch(() => {});
    await this.stepper.stop();
  }

  private async running(): Promise<DomId | undefined> {
    try {
      return await findDomain(this.parts.xenstore, this.name);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  private async former(): Promise<DomId | undefined> {
    const record = await this.parts.xenstore.readIfPresent(recordPath(this.name));
    return record === undefined ? undefined : domId(Number(record));
  }

  private async guardedLook(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      this.parts.log.error(`domain ${this.name}: ${errorMessage(error)}`);
      this.lookAgain();
    }
  }

  /** Looks how the domain is, and does the next thing that follows. */
  private async look(): Promise<void> {
    const { domainControl, toolstack, log } = this.parts;
    const { domid } = this;
    if (domid === undefined || this.over || this.closed) return;
    const info = domainControl.info(domid);
    if (info === undefined) return this.wasShutDown ? this.finish() : this.makeAgain();
    if (info.dying) return this.lookAgain();
    // A domain that is suspended is being saved: whoever does that destroys it, or lets it run again.
    if (!info.shutdown || info.shutdownReason === SHUTDOWN_suspend) return;
    this.wasShutDown = info.shutdownReason === SHUTDOWN_poweroff;
    const crash = await this.parts.xenstore.readIfPresent(`${domainHome(domid)}/${CRASH_KEY}`);
    log.warn(`domain ${this.name} has ended`, { domid, reason: info.shutdownReason, crash });
    await toolstack.destroy(domid);
    this.lookAgain();
  }

  private async finish(): Promise<void> {
    await this.parts.xenstore.transaction((nodes) => this.forget(nodes));
    this.over = true;
  }

  /** Removes the record, and the directories above it that hold nothing else. */
  private async forget(nodes: XenstoreNodes): Promise<void> {
    await nodes.remove(recordPath(this.name));
    for (const directory of [RECORDS, parentPath(RECORDS)]) {
      if ((await nodes.list(directory)).length > 0) return;
      await nodes.remove(directory);
    }
  }

  private async makeAgain(): Promise<void> {
    await this.attempts.next();
    if (!this.closed) await this.make();
  }

  /** Makes the domain, gives it what it served, and lets it run. */
  private async make(): Promise<void> {
    const { xenstore, toolstack, log } = this.parts;
    const create = () => toolstack.create(this.domid);
    const domid = await withOwnConsole(xenstore, this.domid, log, create);
    this.domid = domid;
    try {
      await xenstore.write(recordPath(this.name), String(domid));
      const devices = await restoreDevices(xenstore, domid);
      await toolstack.unpause(domid);
      log.info(`domain ${this.name} runs`, { domid, devices: devices.length });
    } catch (error) {
      // Half of it would be there for good.
      await toolstack.destroy(domid);
      throw error;
    }
    this.attempts.succeeded();
  }

  private lookAgain(): void {
    this.parts.clock.after(LOOK_MS, () => this.stepper.wake());
  }
}
