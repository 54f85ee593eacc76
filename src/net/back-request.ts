/** What the toolstack asks for when it attaches an interface, and what is done with it. */
import { ProtocolViolation } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { type MacAddress, parseMacAddress } from './mac-address.ts';
import { MTU_DEFAULT, MTU_MAX, MTU_MIN, type NetworkInterface } from './network-interface.ts';
import type { PortCounts } from './switch-port.ts';
import type { ByteRate } from './token-bucket.ts';

/** In the back end's directory: 0 lets the guest use addresses that are not its own. */
export const FILTER_KEY = 'filter';

/** Room for the largest frame even where the rate is tiny, as in Linux's netback. */
const BURST_BYTES_MIN = 131_072;

export interface VifRequest {
  readonly peer: DomId;
  /** The device's number, as its directory is called. */
  readonly devid: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  /** The network that the interface is to be a part of, in the toolstack's words. */
  readonly bridge: string | undefined;
  /** Addresses that the guest was given, as they were configured. */
  readonly addresses: readonly string[];
  /** The guest may only use addresses that it was given. */
  readonly filtered: boolean;
  /** What the toolstack's hotplug script calls the host's side, if not `vif` and the two numbers. */
  readonly name: string | undefined;
  /** A hotplug script does what is to be done with the host's side. */
  readonly scripted: boolean;
}

/** A guest's interface in its network. */
export interface PluggedVif {
  readonly port: { readonly counts: PortCounts };
  /** Idempotent. */
  close(): void;
}

/** The host's side of one device. */
export interface VifNetwork {
  /** Makes what the toolstack's hotplug script expects to find. Called before each handshake. */
  prepare?(request: VifRequest): void;
  /**
   * Connects a guest's interface to its network: called each time that the guest has connected, with
   * the interface as it is seen from the host. What is returned is closed when the guest disconnects.
   */
  plug(vif: NetworkInterface, request: VifRequest): PluggedVif;
  /** The device is no longer served here: it is gone for good, or another process carries on. */
  end?(isGone: boolean): void;
}

/** How much the guest may send. The operator may write it at any time. */
export const RATE_KEY = 'rate';

/** What an interface is called, whatever its network is: as Linux's netback does it. */
export const vifName = (peer: DomId, devid: string) => `vif${peer}.${devid}`;

/**
 * Rejects with `ProtocolViolation` when a key makes no sense.
 *
 * @param scripts the toolstack runs hotplug scripts in this domain
 */
export async function vifRequest(keys: DeviceKeys, scripts: boolean): Promise<VifRequest> {
  const scripted = scripts && (await keys.read('script')) !== undefined;
  const addresses = (await keys.read('ip')) ?? '';
  return {
    peer: keys.peer,
    devid: keys.path.slice(keys.path.lastIndexOf('/') + 1),
    mac: parseMac((await keys.read('mac')) ?? ''),
    mtu: parseMtu(await keys.read('mtu')),
    bridge: await keys.read('bridge'),
    addresses: addresses.split(/[ ,]+/).filter((address) => address !== ''),
    filtered: (await keys.read(FILTER_KEY)) !== '0',
    name: await keys.read('vifname'),
    scripted,
  };
}

function parseMac(value: string): MacAddress {
  try {
    return parseMacAddress(value);
  } catch {
    return violated('mac', 'six bytes in hexadecimal with colons between them', value);
  }
}

function parseMtu(value: string | undefined): number {
  if (value === undefined) return MTU_DEFAULT;
  const mtu = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  if (mtu >= MTU_MIN && mtu <= MTU_MAX) return mtu;
  return violated('mtu', `a decimal number from ${MTU_MIN} to ${MTU_MAX}`, value);
}

/**
 * What may be sent, from `BYTES,MICROSECONDS`: so many bytes in each interval of so long. Throws
 * `ProtocolViolation` on anything else.
 */
export function parseRate(value: string | undefined): ByteRate | undefined {
  if (value === undefined) return undefined;
  const [, bytes, interval_us] = /^(\d{1,15}),(\d{1,10})$/.exec(value) ?? [];
  const perInterval = Number(bytes);
  const bytesPerSecond = (perInterval * 1_000_000) / Number(interval_us);
  if (bytesPerSecond >= 1 && Number.isFinite(bytesPerSecond)) {
    return { bytesPerSecond, burstBytes: Math.max(perInterval, BURST_BYTES_MIN) };
  }
  return violated(RATE_KEY, 'bytes and microseconds, neither of them 0: 1250000,50000', value);
}

function violated(key: string, rule: string, found: string): never {
  throw new ProtocolViolation(
    `read ${key} of an interface`,
    `vif: ${key} is ${rule}`,
    JSON.stringify(found.slice(0, 32)),
  );
}
