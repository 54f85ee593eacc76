/** The ring on which dom0's own kernel speaks to xenstored. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { DOM0, type DomId, type EventPort, eventPort } from '../../base/ids.ts';
import type { EventChannel, Hypervisor, Pages } from '../contract.ts';
import { openDevice } from './errors.ts';
import { loadNative } from './native.ts';
import { LinuxPages } from './pages.ts';

const pageFile = '/proc/xen/xsd_kva';
const portFile = '/proc/xen/xsd_port';

export interface KernelStoreRing {
  /** One page, a `struct xenstore_domain_interface`. */
  readonly pages: Pages;
  readonly channel: EventChannel;
}

export interface KernelStoreRingOptions {
  /** The domain whose kernel it is; dom0 unless given. */
  readonly domid?: DomId | undefined;
  /** The kernel's event channel; the one that it names itself unless given. */
  readonly port?: EventPort | undefined;
}

/** Maps the ring's page and binds its event channel. Only dom0 has it: ENOENT elsewhere. */
export function openKernelStoreRing(
  hypervisor: Hypervisor,
  options: KernelStoreRingOptions = {},
): KernelStoreRing {
  const port = options.port ?? kernelPort();
  const pages = new LinuxPages(openDevice(pageFile, 'xenfs', mapRingPage));
  try {
    return { pages, channel: hypervisor.events.bindInterdomain(options.domid ?? DOM0, port) };
  } catch (error) {
    pages.close();
    throw error;
  }
}

function kernelPort(): EventPort {
  return eventPort(openDevice(portFile, 'xenfs', () => Number(readFileSync(portFile, 'latin1'))));
}

function mapRingPage(): ArrayBuffer {
  const fd = openSync(pageFile, 'r+');
  try {
    return loadNative().mapFile(fd, 0, 1);
  } finally {
    closeSync(fd);
  }
}
