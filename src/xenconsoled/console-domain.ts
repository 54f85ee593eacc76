/**
 * The console daemon as a domain of its own: serves the consoles that the toolstack gives to this
 * domain, by what a relay in dom0 has for it.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Hypervisor } from '../hypervisor/contract.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { assignedGuests } from './assigned-guests.ts';
import { ConsoleDaemon } from './console-daemon.ts';
import { RemoteOutlets } from './remote-outlets.ts';
import type { Overflow } from './served-console.ts';

export interface ConsoleDomainServices {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ConsoleDomain {
  /** A relay has come; it takes the place of the one before. */
  attachRelay(stream: ByteStream): void;
  /** Lets go of all consoles. Guests wait for the next domain of this number. */
  close(): Promise<void>;
}

export async function startConsoleDomain(
  { hypervisor, xenstore, clock, log }: ConsoleDomainServices,
  { overflow }: { readonly overflow: Overflow },
): Promise<ConsoleDomain> {
  const onViewer = (stream: ByteStream) => daemon.attachViewer(stream);
  const outlets = new RemoteOutlets({ clock, log, onViewer });
  const services = { hypervisor, xenstore, clock, log: outlets.log, outlets, overflow };
  const daemon = new ConsoleDaemon(services);
  await daemon.start(assignedGuests({ xenstore, domid: hypervisor.domid, log: outlets.log }));
  return {
    attachRelay: (stream) => outlets.attach(stream),
    async close() {
      await daemon.close();
      outlets.close();
    },
  };
}
