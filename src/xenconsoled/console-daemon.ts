/** Serves the console of each guest that is found, to whoever looks at it. */
import type { ByteStream } from '../base/byte-stream.ts';
import type { DomId } from '../base/ids.ts';
import type { AttachRequest } from '../console/viewer-protocol.ts';
import type { ConsoleRegister } from './device-consoles.ts';
import { GuestConsole } from './guest-console.ts';
import type { FindGuests, GuestFinder } from './guest-finder.ts';
import type { ConsoleServices, ServedConsole } from './served-console.ts';
import { ViewerSession } from './viewer-session.ts';

/** Viewers beside the terminals, of all consoles together. */
export const VIEWERS_MAX = 256;

export class ConsoleDaemon implements ConsoleRegister {
  private readonly services: ConsoleServices;
  private readonly guests = new Map<DomId, GuestConsole>();
  private readonly deviceConsoles = new Set<ServedConsole>();
  private readonly viewers = new Set<ViewerSession>();
  private finder: GuestFinder | undefined;
  ending = false;

  constructor(services: ConsoleServices) {
    this.services = services;
  }

  async start(findGuests: FindGuests): Promise<void> {
    this.finder = await findGuests((guests) => this.follow(guests));
  }

  /** Serves a viewer that speaks viewer-protocol.ts. The stream belongs to the daemon from here on. */
  attachViewer(stream: ByteStream): void {
    if (this.ending || this.viewers.size >= VIEWERS_MAX) {
      this.services.log.warn('a viewer is refused', { error: `limit viewers: ${VIEWERS_MAX}` });
      stream.close();
      return;
    }
    const session: ViewerSession = new ViewerSession({
      stream,
      clock: this.services.clock,
      log: this.services.log,
      find: (request) => this.find(request),
      onEnd: () => this.viewers.delete(session),
    });
    this.viewers.add(session);
  }

  /** Lets go of all consoles. Guests go on; the next daemon takes their consoles up. */
  async close(): Promise<void> {
    this.ending = true;
    const guests = [...this.guests.values()];
    this.guests.clear();
    await Promise.all([this.finder?.close(), ...guests.map((guest) => guest.close(false))]);
    for (const viewer of this.viewers) viewer.close();
  }

  add(console: ServedConsole): void {
    this.deviceConsoles.add(console);
  }

  remove(console: ServedConsole): void {
    this.deviceConsoles.delete(console);
  }

  /** Every console that is served now. */
  private consoles(): ServedConsole[] {
    const first = [...this.guests.values()].flatMap(({ served }) => served ?? []);
    return [...first, ...this.deviceConsoles];
  }

  private find(request: AttachRequest): ServedConsole | undefined {
    return this.consoles().find(
      ({ place }) => place.domid === request.domid && place.index === request.console,
    );
  }

  private async follow(alive: ReadonlySet<DomId>): Promise<void> {
    if (this.ending) return;
    const begun: Promise<void>[] = [];
    for (const [domid, guest] of this.guests) {
      if (alive.has(domid)) continue;
      this.guests.delete(domid);
      void guest.close(true);
    }
    for (const domid of alive) {
      if (this.guests.has(domid)) continue;
      const guest = new GuestConsole(domid, this.services, () => this.finder?.look());
      this.guests.set(domid, guest);
      begun.push(guest.start());
    }
    await Promise.all(begun);
  }
}
