/** The ring on which dom0's own kernel speaks to xenstored. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { DOM0, eventPort } from '../../base/ids.ts';
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

/** Maps the ring's page and binds its event channel. Only dom0 has it: ENOENT elsewhere. */
export function openKernelStoreRing(hypervisor: Hypervisor): KernelStoreRing {
  const port = openDevice(portFile, 'xenfs', () => Number(readFileSync(portFile, 'latin1')));
  const pages = new LinuxPages(openDevice(pageFile, 'xenfs', mapRingPage));
  try {
    return { pages, channel: hypervisor.events.bindInterdomain(DOM0, eventPort(port)) };
  } catch (error) {
    pages.close();
    throw error;
  }
}

function mapRingPage(): ArrayBuffer {
  const fd = openSync(pageFile, 'r+');
  try {
    return loadNative().mapFile(fd, 0, 1);
  } finally {
    closeSync(fd);
  }
}
