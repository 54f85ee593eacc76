/** What every service begins and ends with as a stub domain of its own. */
import { SHUTDOWN_crash } from '../src/abi/sched.ts';
import type { Clock } from '../src/base/clock.ts';
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
import { xenstoreRingStream } from '../src/xenstore/ring-transport.ts';
import type { Xenstore } from '../src/xenstore/xenstore.ts';

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

/**
 * Runs a service in this domain. `xl shutdown` closes what `start` resolves with and ends the domain;
 * an error that nobody catches stands on the console and in xenstore, and the domain crashes: what
 * follows is up to whoever made it.
 */
export function runStubDomain(
  start: (domain: StubDomain) => Promise<{ close(): void | Promise<void> }>,
): void {
  const clock = eventLoop();
  const { xen } = clock;
  const hypervisor = openUnikernelHypervisor();
  const { pages, channel } = openStoreRing(xen, hypervisor);
  const xenstore = new XenstoreClient(xenstoreRingStream(pages, channel, 'client'), clock);
  const log = consoleLog(xen);
  xen.onFailure((error) => {
    const end = () => xen.shutDown(SHUTDOWN_crash);
    xenstore.write(CRASH_KEY, crashText(error)).then(end, end);
  });
  const run = async () => {
    const service = await start({ hypervisor, xenstore, clock, log, commandLine: xen.commandLine });
    await onShutdownRequest(xenstore, (reason) => {
      void Promise.resolve(service.close()).finally(() => xen.shutDown(reason));
    });
    log.info('ready', { domid: xen.domid, unused: xen.memory().unused });
  };
  void run();
}
