/**
 * Keeps the domain that is xenstored there. When it ends, whatever the reason, another one is started
 * under the same domid, which goes on from the journal of the former: dom0's kernel and the guests see a
 * pause. xenstore is of no help here, so Xen itself is asked again and again.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { errorMessage, XenError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { DomainControl, Hypervisor } from '../../hypervisor/contract.ts';
import { Stepper } from '../../xenbus/stepper.ts';
import { Attempts } from '../attempts.ts';
import { StoreConsole } from './console.ts';
import type { StoreDomain, StoreToolstack } from './toolstack.ts';

export interface StoreKeeperParts {
  readonly hypervisor: Hypervisor;
  readonly domainControl: DomainControl;
  readonly toolstack: StoreToolstack;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often the domain is looked at: how long nobody notices its end at most. */
const LOOK_MS = 100;
/** After a look that has failed. */
const PATIENT_LOOK_MS = 2000;
const PAUSE_MIN_MS = 100;

export class StoreDomainKeeper {
  private readonly parts: StoreKeeperParts;
  private readonly stepper: Stepper;
  private readonly attempts: Attempts;
  private domain: StoreDomain;
  private console: StoreConsole | undefined;
  private timer: Timer | undefined;
  /** The operator wants another image. */
  private replaces = false;
  private hasEnded = false;
  private hasLostJournal = false;
  private closed = false;

  private constructor(parts: StoreKeeperParts, domain: StoreDomain) {
    this.parts = parts;
    this.attempts = new Attempts(parts.clock, PAUSE_MIN_MS);
    this.stepper = new Stepper(() => this.guardedLook());
    this.domain = domain;
    this.began(domain);
    this.lookAgain();
  }

  /**
   * Resolves when a store domain runs: the one that a former keeper has left, or a new one. Rejects with
   * `XenError` when there is none and none can be started.
   */
  static async open(parts: StoreKeeperParts): Promise<StoreDomainKeeper> {
    const running = await parts.toolstack.find();
    return new StoreDomainKeeper(parts, running ?? (await parts.toolstack.start()));
  }

  /** The domain that runs; while there is none, the one before. */
  get current(): StoreDomain {
    return this.domain;
  }

  /** Ends the domain and starts another one, from the image as it is now. */
  replace(): void {
    this.replaces = true;
    this.stepper.wake();
  }

  /** Keeps the domain no longer. It runs on. */
  async close(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    await this.stepper.stop();
    this.console?.close();
    this.console = undefined;
  }

  private async guardedLook(): Promise<void> {
    try {
      await this.look();
      this.lookAgain();
    } catch (error) {
      this.parts.log.error(`the store domain: ${errorMessage(error)}`);
      this.lookAgain(PATIENT_LOOK_MS);
    }
  }

  private lookAgain(delay_ms = LOOK_MS): void {
    if (this.closed) return;
    this.timer?.cancel();
    this.timer = this.parts.clock.after(delay_ms, () => this.stepper.wake());
  }

  /** Looks how the domain is, and does the next thing that follows. */
  private async look(): Promise<void> {
    if (this.closed) return;
    const { domainControl, toolstack, log } = this.parts;
    const { domid } = this.domain;
    const info = domainControl.info(domid);
    if (info === undefined) return this.makeAgain();
    if (info.dying) return this.ended();
    if (info.shutdown) {
      log.error('the store domain has ended', { domid, reason: info.shutdownReason });
      this.ended();
      await toolstack.destroy(domid);
      return;
    }
    this.lookAtJournal();
    if (this.replaces) {
      log.info('the store domain is replaced', { domid });
      this.ended();
      await toolstack.destroy(domid);
    }
  }

  /** Nobody but an operator ends that domain, by mistake. */
  private lookAtJournal(): void {
    if (this.hasLostJournal) return;
    const { domid, journal } = this.domain;
    const info = this.parts.domainControl.info(journal);
    this.hasLostJournal = info === undefined || info.dying;
    if (!this.hasLostJournal) return;
    const what =
      'the domain with the journal was destroyed: all of xenstore ends with the store domain';
    this.parts.log.error(what, { domid, journal });
  }

  /** Lets go of it: Xen keeps its domid as long as somebody has a page of it. */
  private ended(): void {
    if (!this.hasEnded) this.parts.log.warn('the store domain ends', { domid: this.domain.domid });
    this.hasEnded = true;
    this.console?.close();
    this.console = undefined;
  }

  private async makeAgain(): Promise<void> {
    this.ended();
    await this.attempts.next();
    if (this.closed) return;
    const former = this.domain.domid;
    // Whoever wants another image from here on may be too late for this start.
    this.replaces = false;
    const domain = await this.parts.toolstack.start();
    if (domain.domid !== former) {
      const detail = `it has domid ${domain.domid}, and all guests wait for ${former}`;
      this.parts.log.error(`the store domain cannot be reached: ${detail}`);
    }
    this.domain = domain;
    this.began(domain);
  }

  private began(domain: StoreDomain): void {
    const { log } = this.parts;
    this.hasEnded = false;
    this.hasLostJournal = false;
    this.attempts.succeeded();
    log.info('the store domain runs', { domid: domain.domid, journal: domain.journal });
    try {
      this.console = new StoreConsole(this.parts, domain);
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      log.warn(`the store domain's console cannot be read: ${error.message}`);
    }
  }
}
