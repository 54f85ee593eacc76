/** What xenstored is made of, as a process of dom0. */
import { Holdings } from '../../src/base/holdings.ts';
import { domId, type EventPort } from '../../src/base/ids.ts';
import type { Log } from '../../src/base/log.ts';
import { openDomainControl, openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { openKernelStoreRing } from '../../src/hypervisor/linux/kernel-store-ring.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { traceFile } from '../../src/node/trace-file.ts';
import { listenXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import { DEFAULT_OPTIONS, type XenstoredOptions } from '../../src/xenstored/options.ts';
import { startXenstored, type Xenstored } from '../../src/xenstored/server.ts';

export interface XenstoredSettings {
  /** Where clients of the tools connect. */
  readonly socket: string;
  /**
   * Serve the rings of dom0's kernel and of guests. Without it there is the socket alone, and
   * neither Xen nor root is needed.
   */
  readonly domains: boolean;
  /** dom0's event channel, where it is not the one that its kernel names. */
  readonly kernelPort?: EventPort | undefined;
  /** Trace every request and reply to this file from the start. */
  readonly traceFile?: string | undefined;
  readonly options?: Partial<XenstoredOptions>;
}

/** Serves dom0's kernel on the ring that it has had since it booted. */
function attachKernel(
  xenstored: Xenstored,
  settings: XenstoredSettings,
  hypervisor: ReturnType<typeof openLinuxHypervisor>,
): void {
  const { pages, channel } = openKernelStoreRing(hypervisor, {
    domid: domId(settings.options?.masterDomid ?? DEFAULT_OPTIONS.masterDomid),
    port: settings.kernelPort,
  });
  xenstored.attachKernelRing(pages, channel);
}

/** Starts the daemon. Rejects with `XenError` when Xen or the socket can't be had. */
export async function openXenstored(settings: XenstoredSettings, log: Log): Promise<Holdings> {
  const held = new Holdings();
  try {
    const trace = held.keep(traceFile(settings.traceFile, log));
    if (settings.traceFile !== undefined) trace.open();
    const hypervisor = settings.domains ? held.keep(openLinuxHypervisor()) : undefined;
    const xenstored = held.keep(
      startXenstored({
        hypervisor,
        domainControl: settings.domains ? held.keep(openDomainControl()) : undefined,
        clock: nodeClock,
        log,
        options: settings.options ?? {},
        traceFile: trace,
      }),
    );
    let clients = 0;
    held.keep(
      await listenXenstoreSocket(loadNative(), settings.socket, (stream) => {
        clients++;
        xenstored.attachSocket(stream, `socket ${clients}`);
      }),
    );
    if (hypervisor !== undefined) attachKernel(xenstored, settings, hypervisor);
    return held;
  } catch (error) {
    held.close();
    throw error;
  }
}
