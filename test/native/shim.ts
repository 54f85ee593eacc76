/** The built shim, and what its tests say without it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadNative } from '../../src/hypervisor/linux/native.ts';

export const shimPath = fileURLToPath(
  new URL('../../native/build/Release/paravane_native.node', import.meta.url),
);
export const native = loadNative();

/** In dom0 the devices exist, and what these tests expect of their absence does not hold. */
export const onXen = existsSync('/dev/xen/evtchn');
