/** What every service begins and ends with as a stub domain of its own. */
import { SHUTDOWN_crash } from '../src/abi/sched.ts';
import type { Clock } from '../src/base/clock.ts';
import { errorMessage } from '../src/base/errors.ts';
import type { Log } from '../src/base/log.ts';
import { consoleLog } from '../src/hypervisor/unikernel/console.ts';
import { eventLoop } from '../src/hypervisor/unikernel/event-loop.ts';
import {
  openUnikernelHypervisor,
  type UnikernelHypervisor,
} from '../src/hypervisor/unikernel/hypervisor.ts';
import { openStoreRing } from '../src/hypervisor/unikernel/store-ring.ts';
import { CRASH_KEY, crashText } from '../src/xenbus/crash-report.ts';
import { onShutdownRequest } from '../src/xenbus/shutdown-request.ts';
import { XenstoreClient } from '../src/xenstore/client.ts';
import { ReconnectingXenstore } from '../src/xenstore/reconnecting.ts';
import { xenstoreRingStream } from '../src/xenstore/ring-transport.ts';
import type { Xenstore } from '../src/xenstore/xenstore.ts';

/** What a domain is for, once it is started. */
export interface StubService {
  /** The domain is to end. */
  close(): void | Promise<void>;
  /**
   * The domain was suspended and runs again as another one, `domid` and home in xenstore included: what it
   * had with other domains is gone. A front end has such a method.
   */
  resume?(): void | Promise<void>;
}

/** All that a service is given. */
export interface StubDomain {
  readonly hypervisor: UnikernelHypervisor;
  /** Paths that are not absolute begin at the domain's home. */
  readonly xenstore: Xenstore;
  readonly clock: Clock;
  /** Its lines go to the domain's console. */
  readonly log: Log;
  readonly commandLine: string;
}

/** xenstore by the ring that the toolstack makes for each domain, and after a pause by the next one's. */
class OwnStore {
  readonly xenstore: Promise<Xenstore>;
  private readonly hypervisor: UnikernelHypervisor;
  private client: XenstoreClient | undefined;

  constructor(hypervisor: UnikernelHypervisor, log: Log) {
    this.hypervisor = hypervisor;
    const connect = async () => this.connect();
    this.xenstore = ReconnectingXenstore.open({ connect, clock: eventLoop(), log });
  }

  /** The ring is that of another domain now. */
  reconnect(): void {
    this.client?.close();
  }

  private connect(): XenstoreClient {
    const clock = eventLoop();
    const { pages, channel } = openStoreRing(clock.xen, this.hypervisor);
    this.client = new XenstoreClient(xenstoreRingStream(pages, channel, 'client'), clock);
    return this.client;
  }
}

/**
 * Runs a service in this domain. `xl shutdown` closes what `start` resolves with and ends the domain;
 * an error that nobody catches stands on the console and in xenstore, and the domain crashes: what
 * follows is up to whoever made it. `xl save` suspends the domain, unless it has mapped pages of others.
 */
export function runStubDomain(start: (domain: StubDomain) => Promise<StubService>): void {
  const clock = eventLoop();
  const { xen } = clock;
  const hypervisor = openUnikernelHypervisor();
  const log = consoleLog(xen);
  const store = new OwnStore(hypervisor, log);
  xen.onFailure((error) => {
    const end = () => xen.shutDown(SHUTDOWN_crash);
    store.xenstore.then((xenstore) => xenstore.write(CRASH_KEY, crashText(error))).then(end, end);
  });
  const run = async () => {
    const xenstore = await store.xenstore;
    const service = await start({ hypervisor, xenstore, clock, log, commandLine: xen.commandLine });
    await onShutdownRequest(xenstore, {
      end: (reason) => {
        void Promise.resolve(service.close()).finally(() => xen.shutDown(reason));
      },
      suspend: () => {
        if (!suspendDomain(hypervisor, log)) return;
        store.reconnect();
        void service.resume?.();
      },
    });
    log.info('ready', { domid: xen.domid, unused: xen.memory().unused });
  };
  void run();
}

/** Returns whether this is another domain now. */
function suspendDomain(hypervisor: UnikernelHypervisor, log: Log): boolean {
  try {
    const isOther = hypervisor.suspend();
    log.info(isOther ? 'runs again' : 'goes on', { domid: hypervisor.domid });
    return isOther;
  } catch (error) {
    // Whoever asked waits for a time, and gives up.
    log.warn('is not suspended', { error: errorMessage(error) });
    return false;
  }
}
