/**
 * One end of a device in xenstore: its directory, the peer's directory, and the two `state` nodes
 * through which they shake hands (xen/include/public/io/xenbus.h). The front and the back end's
 * rules differ and stand in their own files; what both need to follow them is here.
 */
import { type XenbusState, XenbusStateClosing } from '../abi/io/xenbus.ts';
import { errorCode, errorMessage, XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { childPath, domainHome, parentPath } from '../xenstore/path.ts';
import type { Xenstore, XenstoreWatch } from '../xenstore/xenstore.ts';
import { parseXenbusState, xenbusStateName } from './state.ts';
import { Stepper } from './stepper.ts';

/** Characters of an error that are reported in xenstore. */
const ERROR_TEXT_MAX = 1000;

export interface DeviceEndParts {
  readonly xenstore: Xenstore;
  readonly log: Log;
  /** The domain that this end runs in. */
  readonly domid: DomId;
  /** This end's directory, absolute. */
  readonly path: string;
  readonly peer: DomId;
  /** The other end's directory, absolute. */
  readonly peerPath: string;
}

/** What the driver of a device may do with its end. */
export interface DeviceKeys {
  readonly peer: DomId;
  readonly path: string;
  readonly log: Log;
  /** A key of this end's directory, `undefined` when there is none. */
  read(key: string): Promise<string | undefined>;
  /** A key that the peer wrote, `undefined` when there is none. It can hold anything. */
  readPeer(key: string): Promise<string | undefined>;
  /** Writes keys of this end's directory. Rejects with ENOENT when the directory has vanished. */
  write(keys: Readonly<Record<string, string>>): Promise<void>;
  /** Has this end look at its keys soon, as when one of them changed. */
  wake(): void;
  /** The device cannot go on: this end lets go of it and says so in xenstore. */
  fail(error: unknown): void;
}

export abstract class DeviceEnd implements DeviceKeys {
  readonly peer: DomId;
  readonly path: string;
  readonly log: Log;
  protected readonly xenstore: Xenstore;
  private readonly domid: DomId;
  protected readonly peerPath: string;
  private readonly stepper: Stepper;
  private readonly watches: XenstoreWatch[] = [];
  private failure: { readonly error: unknown; handled: boolean } | undefined;

  constructor(parts: DeviceEndParts) {
    this.xenstore = parts.xenstore;
    this.domid = parts.domid;
    this.path = parts.path;
    this.peer = parts.peer;
    this.peerPath = parts.peerPath;
    this.log = parts.log.child({ device: parts.path });
    this.stepper = new Stepper(() => this.guardedStep());
  }

  /** Looks at both ends and does the next thing that follows. */
  protected abstract step(): Promise<void>;
  /** Lets go of all that is shared with the peer. Idempotent. */
  protected abstract detach(): Promise<void>;

  /** Something of this device may have changed. */
  wake(): void {
    this.stepper.wake();
  }

  fail(error: unknown): void {
    if (this.failed) return;
    this.failure = { error, handled: false };
    this.wake();
  }

  /** Whether the device has failed and not begun anew. */
  protected get failed(): boolean {
    return this.failure !== undefined;
  }

  protected clearFailure(): void {
    this.failure = undefined;
  }

  read(key: string): Promise<string | undefined> {
    return this.xenstore.readIfPresent(childPath(this.path, key));
  }

  async readPeer(key: string): Promise<string | undefined> {
    try {
      return await this.xenstore.readIfPresent(childPath(this.peerPath, key));
    } catch (error) {
      // Where the peer's directory is gone, what lies above it may not be ours to look at.
      if (errorCode(error) === 'EACCES') return undefined;
      throw error;
    }
  }

  async write(keys: Readonly<Record<string, string>>): Promise<void> {
    await this.xenstore.transaction(async (nodes) => {
      // The toolstack removes the directory when it likes; a write after that would bring back a
      // part of it that nobody would ever remove.
      if ((await nodes.readIfPresent(childPath(this.path, 'state'))) === undefined) {
        throw new XenError('ENOENT', `write ${this.path}`, 'the device is gone');
      }
      for (const [key, value] of Object.entries(keys)) {
        await nodes.write(childPath(this.path, key), value);
      }
    });
  }

  protected async watch(path: string): Promise<void> {
    this.watches.push(await this.xenstore.watch(path, () => this.wake()));
  }

  /** Wakes this end whenever the peer's state changes, or another key of its. */
  protected watchPeer(key = 'state'): Promise<void> {
    return this.watch(childPath(this.peerPath, key));
  }

  /** This end's state, `undefined` when its directory is gone. */
  protected async ownState(): Promise<XenbusState | undefined> {
    const value = await this.read('state');
    return value === undefined ? undefined : parseXenbusState(value);
  }

  /** The peer's state; `XenbusStateUnknown` covers a peer without a directory and rubbish alike. */
  protected async peerState(): Promise<XenbusState> {
    return parseXenbusState(await this.readPeer('state'));
  }

  protected async switchState(state: XenbusState): Promise<void> {
    await this.write({ state: String(state) });
    this.log.debug('state', { state: xenbusStateName(state) });
  }

  /** Stops following the device. What is shared with the peer is let go first. */
  protected async end(): Promise<void> {
    await this.stepper.stop();
    await this.detach();
    await this.closeWatches();
  }

  /** As `end`, from within a step: this step is the last. */
  protected async endFromStep(): Promise<void> {
    void this.stepper.stop();
    await this.detach();
    await this.closeWatches();
    await this.removeErrorNode();
  }

  private async closeWatches(): Promise<void> {
    for (const watch of this.watches.splice(0)) await closeWatch(watch, this.log);
  }

  private async guardedStep(): Promise<void> {
    try {
      await this.handleFailure();
      await this.step();
    } catch (error) {
      // The toolstack can remove the directory under a step. Then the next step ends the device.
      if (await this.stillThere()) this.fail(error);
      else this.wake();
    }
  }

  private async stillThere(): Promise<boolean> {
    try {
      return (await this.ownState()) !== undefined;
    } catch {
      // Without xenstore there is nothing to follow; a step now would fail the same way for ever.
      return true;
    }
  }

  /** What Linux's `xenbus_dev_fatal` does, after everything shared with the peer was let go. */
  private async handleFailure(): Promise<void> {
    const failure = this.failure;
    if (failure === undefined || failure.handled) return;
    failure.handled = true;
    this.log.error('device failed', { error: errorMessage(failure.error) });
    await this.detach();
    if ((await this.ownState()) === undefined) return;
    await this.writeErrorNode(failure.error);
    await this.switchState(XenbusStateClosing);
  }

  private async writeErrorNode(error: unknown): Promise<void> {
    const text = `${errorCode(error) ?? 'EIO'} ${errorMessage(error)}`;
    await this.xenstore.write(`${this.errorPath()}/error`, toNodeText(text));
  }

  /** Where an end reports its errors: `error/` and its own path, both below its domain's home. */
  private errorPath(): string {
    const home = domainHome(this.domid);
    return `${home}/error${this.path.slice(home.length)}`;
  }

  private async removeErrorNode(): Promise<void> {
    const home = domainHome(this.domid);
    await this.xenstore.transaction(async (nodes) => {
      // It may be there from a former process of this end, which was killed.
      if ((await nodes.readIfPresent(`${this.errorPath()}/error`)) === undefined) return;
      await nodes.remove(`${this.errorPath()}/error`);
      for (let path = this.errorPath(); path !== home; path = parentPath(path)) {
        if ((await nodes.list(path)).length > 0) return;
        await nodes.remove(path);
      }
    });
  }
}

/** A connection to xenstored that has ended took its watches along: no reason not to go on. */
export async function closeWatch(watch: XenstoreWatch | undefined, log: Log): Promise<void> {
  try {
    await watch?.close();
  } catch (error) {
    log.debug('watch not closed', { error: errorMessage(error) });
  }
}

/** An error may quote a file's name or a peer's words; a node takes so many bytes and no more. */
function toNodeText(text: string): string {
  return text.slice(0, ERROR_TEXT_MAX).replace(/[^ -~]/g, '?');
}
