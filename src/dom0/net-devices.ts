/** Network interfaces of guests as they stand in xenstore. */
import { randomBytes } from 'node:crypto';
import { FILTER_KEY } from '../net/back-request.ts';
import { type MacAddress, macAddressText } from '../net/mac-address.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import {
  attachDevice,
  type DeviceEntry,
  type DeviceKind,
  type DeviceRequest,
} from './guest-devices.ts';

/** What is given out for guests of Xen; the rest of an address is by chance. */
const XEN_OUI = 0x0016_3e00_0000;
/** A rate is told by so many bytes in so many microseconds, as xl does it. */
const RATE_INTERVAL_US = 50_000;

export const INTERFACE: DeviceKind = {
  front: 'vif',
  noun: 'interface',
  aNoun: 'an interface',
  xlDetach: 'network-detach',
  nameOf: (devid) => `eth${devid}`,
};

export interface InterfaceRequest extends DeviceRequest {
  /** One of Xen's, by chance, unless given. */
  readonly mac: MacAddress | undefined;
  /** The network that it is to be a part of. */
  readonly bridge: string | undefined;
  readonly addresses: readonly string[];
  readonly mtu: number | undefined;
  /** What the guest may send. */
  readonly bytesPerSecond: number | undefined;
  /** The guest may only use its own addresses. */
  readonly filter: boolean;
  /** The hotplug script that somebody else runs for it, and whose result the back end waits for. */
  readonly script: string | undefined;
}

/** An address that nobody else has, as far as chance goes. */
function newMacAddress(): MacAddress {
  // The last three bytes; the first of them below 128, as xl has it.
  const [high, middle, low] = randomBytes(3) as unknown as [number, number, number];
  return (XEN_OUI + ((high & 0x7f) << 16) + (middle << 8) + low) as MacAddress;
}

/** `BYTES,MICROSECONDS`. */
function rateText(bytesPerSecond: number): string {
  const bytes = Math.max(1, Math.round((bytesPerSecond * RATE_INTERVAL_US) / 1_000_000));
  return `${bytes},${RATE_INTERVAL_US}`;
}

const firstFree = (taken: ReadonlySet<number>) => {
  let devid = 0;
  while (taken.has(devid)) devid++;
  return devid;
};

/** Writes what a toolstack writes for a new interface. */
export function attachInterface(store: Xenstore, request: InterfaceRequest): Promise<DeviceEntry> {
  const { bridge, addresses, mtu, bytesPerSecond, filter, script } = request;
  const mac = macAddressText(request.mac ?? newMacAddress());
  const given = (keys: Readonly<Record<string, string | undefined>>) =>
    Object.fromEntries(
      Object.entries(keys).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
  return attachDevice(store, INTERFACE, request, firstFree, (devid) => ({
    back: {
      mac,
      handle: String(devid),
      ...given({
        bridge,
        ip: addresses.length === 0 ? undefined : addresses.join(' '),
        mtu: mtu === undefined ? undefined : String(mtu),
        rate: bytesPerSecond === undefined ? undefined : rateText(bytesPerSecond),
        [FILTER_KEY]: filter ? undefined : '0',
        script,
      }),
    },
    front: {
      mac,
      handle: String(devid),
      ...given({ mtu: mtu === undefined ? undefined : String(mtu) }),
    },
  }));
}
