/** Disks of guests as they stand in xenstore. */
import { RATE_LIMIT_KEY } from '../block/back-disk.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import {
  attachDevice,
  type DeviceEntry,
  type DeviceKind,
  type DeviceRequest,
} from './guest-devices.ts';
import { freeVirtualDevice, virtualDeviceName } from './virtual-device.ts';

export const DISK: DeviceKind = {
  front: 'vbd',
  noun: 'disk',
  aNoun: 'a disk',
  xlDetach: 'block-detach',
  nameOf: virtualDeviceName,
};

export interface AttachRequest extends DeviceRequest {
  /** What the back end opens. */
  readonly disk: string;
  /** `r`, `w`, or `w!` for one that others may write too. */
  readonly mode: string;
  readonly cdrom: boolean;
  readonly bytesPerSecond?: number;
  readonly discard: boolean;
}

/** Writes what a toolstack writes for a new disk. */
export function attachDisk(store: Xenstore, request: AttachRequest): Promise<DeviceEntry> {
  return attachDevice(store, DISK, request, freeVirtualDevice, (devid) => ({
    back: backKeys(request, devid),
    front: {
      'virtual-device': String(devid),
      'device-type': request.cdrom ? 'cdrom' : 'disk',
    },
  }));
}

function backKeys(request: AttachRequest, devid: number): Record<string, string> {
  const { disk, mode, cdrom, bytesPerSecond, discard } = request;
  return {
    params: disk,
    'physical-device-path': disk,
    mode,
    'device-type': cdrom ? 'cdrom' : 'disk',
    dev: virtualDeviceName(devid),
    removable: cdrom ? '1' : '0',
    'discard-enable': discard ? '1' : '0',
    ...(bytesPerSecond === undefined ? {} : { [RATE_LIMIT_KEY]: String(bytesPerSecond) }),
  };
}

/** Has the back end look at its disk's size: it looks whenever its directory is written. */
export async function askToRefresh(store: Xenstore, { back }: DeviceEntry): Promise<void> {
  await store.write(`${back}/params`, (await store.readIfPresent(`${back}/params`)) ?? '');
}
