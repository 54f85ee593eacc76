/**
 * The consoles that the toolstack has given to a console domain, as dom0 sees them. libxl makes the
 * directory of a guest's console the domain's own; xenstored would remove it with that domain, and
 * nobody could know the console's port any more. So dom0 takes it over, and the domain may read it.
 */
import { errorMessage } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { Stepper } from '../xenbus/stepper.ts';
import { childPath, domainHome } from '../xenstore/path.ts';
import type { Xenstore, XenstoreNodes, XenstoreWatch } from '../xenstore/xenstore.ts';
import { consoleBackends, guestsBelow } from './assigned-guests.ts';
import type { ConsolePlace } from './console-outlets.ts';

export interface AssignedConsolesParts {
  readonly xenstore: Xenstore;
  /** The domain that this is in. */
  readonly domid: DomId;
  readonly consoleDomain: DomId;
  readonly log: Log;
}

export class AssignedConsoles {
  private readonly parts: AssignedConsolesParts;
  private readonly stepper = new Stepper(() => this.takeOverAll());
  private watch: XenstoreWatch | undefined;

  private constructor(parts: AssignedConsolesParts) {
    this.parts = parts;
  }

  get consoleDomain(): DomId {
    return this.parts.consoleDomain;
  }

  /** Takes over what there is and what will come. Rejects with `XenError`. */
  static async open(parts: AssignedConsolesParts): Promise<AssignedConsoles> {
    const consoles = new AssignedConsoles(parts);
    const root = consoleBackends(parts.consoleDomain);
    consoles.watch = await parts.xenstore.watch(root, () => consoles.stepper.wake());
    return consoles;
  }

  /**
   * The guest's first console, if it is the console domain's: libxl's own record says so, which no
   * guest can write.
   */
  placeOf(guest: DomId): Promise<ConsolePlace | undefined> {
    return this.parts.xenstore.transaction((nodes) => this.takeOver(nodes, guest));
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.watch?.close().catch(() => {});
    await this.stepper.stop();
  }

  private async takeOverAll(): Promise<void> {
    const { xenstore, consoleDomain, log } = this.parts;
    try {
      for (const guest of await guestsBelow(xenstore, consoleDomain)) await this.placeOf(guest);
    } catch (error) {
      log.error('cannot take over consoles', { error: errorMessage(error) });
    }
  }

  private async takeOver(nodes: XenstoreNodes, guest: DomId): Promise<ConsolePlace | undefined> {
    const { consoleDomain } = this.parts;
    const record = await nodes.readIfPresent(`/libxl/${guest}/device/console/0/backend`);
    if (record !== `${consoleBackends(consoleDomain)}/${guest}/0`) return undefined;
    const path = `${domainHome(guest)}/console`;
    if ((await nodes.readIfPresent(childPath(path, 'port'))) === undefined) return undefined;
    await this.own(nodes, path);
    return { domid: guest, index: 0, path, terminal: 'pty' };
  }

  private async own(nodes: XenstoreNodes, path: string): Promise<void> {
    const { domid, consoleDomain } = this.parts;
    const [owner, ...others] = await nodes.getPermissions(path);
    if (owner?.domid === consoleDomain) {
      await nodes.setPermissions(path, [
        { domid, access: owner.access },
        { domid: consoleDomain, access: 'r' },
        ...others,
      ]);
    }
    for (const child of await nodes.list(path)) await this.own(nodes, childPath(path, child));
  }
}
