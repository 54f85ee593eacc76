/** A guest's first console, which the toolstack describes below `/local/domain/<domid>/console`. */
import { errorMessage, XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { Stepper } from '../xenbus/stepper.ts';
import { childPath, domainHome } from '../xenstore/path.ts';
import type { XenstoreWatch } from '../xenstore/xenstore.ts';
import { type ConnectedRing, connectFirstRing } from './connected-ring.ts';
import { type ConsoleKeys, readConsoleKeys } from './console-keys.ts';
import { type ConsoleServices, ServedConsole } from './served-console.ts';

export class GuestConsole {
  private readonly domid: DomId;
  private readonly path: string;
  private readonly services: ConsoleServices;
  private readonly log: Log;
  private readonly onKeysGone: () => void;
  /** From the moment on at which its keys are known. */
  served: ServedConsole | undefined;
  private keys: ConsoleKeys | undefined;
  /** Of a ring whose guest broke a rule: it is not connected again until they change. */
  private condemned: ConsoleKeys | undefined;
  private watch: Promise<XenstoreWatch> | undefined;
  private readonly stepper = new Stepper(() => this.update());
  private onFirstLook: () => void = () => {};
  private closed = false;

  /** @param onKeysGone told when a console that was served has no keys any more */
  constructor(domid: DomId, services: ConsoleServices, onKeysGone: () => void) {
    this.domid = domid;
    this.onKeysGone = onKeysGone;
    this.path = childPath(domainHome(domid), 'console');
    this.services = services;
    this.log = services.log.child({ domid });
  }

  /** Follows the console's keys from here on. Resolves once it is served, as far as it can be now. */
  async start(): Promise<void> {
    const served = new Promise<void>((resolve) => {
      this.onFirstLook = resolve;
    });
    this.watch = this.services.xenstore.watch(this.path, () => this.stepper.wake());
    try {
      await this.watch;
      await served;
    } catch (error) {
      this.log.warn('cannot watch the console keys', { error: errorMessage(error) });
    }
  }

  /**
   * Lets go of everything; of a guest that is gone it takes first what was printed last. Idempotent.
   *
   * @param isOver the guest is gone
   */
  async close(isOver: boolean): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const watchEnds = this.watch?.then((watch) => watch.close());
    // What is just being connected has to have its log before it can be closed.
    await this.stepper.stop();
    this.onFirstLook();
    await Promise.allSettled([watchEnds, this.served?.close(isOver)]);
  }

  private async update(): Promise<void> {
    try {
      await this.followKeys();
    } catch (error) {
      this.log.warn('cannot serve the console', { error: errorMessage(error) });
    }
    this.onFirstLook();
  }

  private async followKeys(): Promise<void> {
    const { xenstore, hypervisor } = this.services;
    const keys = await readConsoleKeys(xenstore, this.path, hypervisor.domid);
    if (this.closed) return;
    if (keys === undefined) {
      if (this.served !== undefined) this.onKeysGone();
      return;
    }
    const { domid, path } = this;
    this.served ??= new ServedConsole(
      { domid, index: 0, path, terminal: 'pty', limit: keys.limit },
      this.services,
      () => {
        this.condemned = this.keys;
      },
    );
    await this.connect(keys, this.served);
  }

  /**
   * Connects the ring that the keys name. When they are those of the ring that is connected, the
   * port is tried all the same: it can be bound only if the guest has opened it anew, as after a
   * soft reset.
   */
  private async connect(keys: ConsoleKeys, served: ServedConsole): Promise<void> {
    const same = (other: ConsoleKeys | undefined) =>
      other?.port === keys.port && other.ringGfn === keys.ringGfn;
    if (same(this.condemned)) return;
    const wasServed = served.connected && same(this.keys);
    if (!wasServed) served.disconnect();
    let ring: ConnectedRing;
    try {
      ring = connectFirstRing(this.services, this.domid, keys);
    } catch (error) {
      if (wasServed && error instanceof XenError) return;
      throw error;
    }
    this.keys = keys;
    await served.connect(ring);
    this.log.info('console connected', { port: keys.port });
  }
}
