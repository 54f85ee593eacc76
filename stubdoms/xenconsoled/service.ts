/** The console daemon in a domain of its own: everything that it is made of, whatever world it runs in. */
import type { Clock } from '../../src/base/clock.ts';
import { DOM0 } from '../../src/base/ids.ts';
import type { Log } from '../../src/base/log.ts';
import type { Hypervisor } from '../../src/hypervisor/contract.ts';
import { vchanPath } from '../../src/vchan/keys.ts';
import { VchanServer } from '../../src/vchan/server.ts';
import { startConsoleDomain } from '../../src/xenconsoled/console-domain.ts';
import type { Overflow } from '../../src/xenconsoled/served-console.ts';
import type { Xenstore } from '../../src/xenstore/xenstore.ts';

export interface ConsoleServiceParts {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  readonly log: Log;
  readonly overflow: Overflow;
}

/** The name of the vchan on which the domain waits for its relay. */
export const RELAY_PORT = 'console-relay';
/** Bytes of each ring of the vchan: some pieces of guests' rings, and what terminals show. */
const RING_BYTES = 65_536;
/** The next relay may be there before it is noticed that the last one was killed. */
const RELAYS_MAX = 2;

export interface ConsoleService {
  /** Resolves with the reason when no relay can come any more; never, while one can. */
  readonly ended: Promise<Error>;
  /** Lets go of all consoles. Guests wait for the next domain of this number. */
  close(): Promise<void>;
}

/** Serves the consoles that the toolstack gives to this domain, and waits for its relay. */
export async function startConsoleService(parts: ConsoleServiceParts): Promise<ConsoleService> {
  const { hypervisor, log } = parts;
  const consoles = await startConsoleDomain(parts, parts);
  try {
    const server = await VchanServer.listen(
      parts,
      {
        client: DOM0,
        path: vchanPath(hypervisor.domid, DOM0, RELAY_PORT),
        receive_min: RING_BYTES,
        send_min: RING_BYTES,
        connections_max: RELAYS_MAX,
        log,
      },
      (vchan) => consoles.attachRelay(vchan),
    );
    const close = async () => {
      await server.close();
      await consoles.close();
    };
    return { ended: server.ended, close };
  } catch (error) {
    await consoles.close();
    throw error;
  }
}
