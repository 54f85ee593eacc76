/** What the toolstack asks for when it attaches an interface, and what is done with it. */
import { ProtocolViolation } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { type MacAddress, parseMacAddress } from './mac-address.ts';
import { MTU_DEFAULT, MTU_MAX, MTU_MIN, type NetworkInterface } from './network-interface.ts';
import type { ByteRate } from './token-bucket.ts';

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
  /** How much the guest may send. */
  readonly rate: ByteRate | undefined;
}

/**
 * Connects a guest's interface to its network: called each time that the guest has connected, with
 * the interface as it is seen from the host. What is returned is closed when the guest disconnects.
 */
export type Plug = (vif: NetworkInterface, request: VifRequest) => Promise<{ close(): void }>;

/** Rejects with `ProtocolViolation` when a key makes no sense. */
export async function vifRequest(keys: DeviceKeys): Promise<VifRequest> {
  const addresses = (await keys.read('ip')) ?? '';
  return {
    peer: keys.peer,
    devid: keys.path.slice(keys.path.lastIndexOf('/') + 1),
    mac: parseMac((await keys.read('mac')) ?? ''),
    mtu: parseMtu(await keys.read('mtu')),
    bridge: await keys.read('bridge'),
    addresses: addresses.split(/[ ,]+/).filter((address) => address !== ''),
    rate: parseRate(await keys.read('rate')),
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

/** `BYTES,MICROSECONDS`: so many bytes in each interval of so long. */
function parseRate(value: string | undefined): ByteRate | undefined {
  if (value === undefined) return undefined;
  const [, bytes, interval_us] = /^(\d{1,15}),(\d{1,10})$/.exec(value) ?? [];
  const perInterval = Number(bytes);
  const bytesPerSecond = (perInterval * 1_000_000) / Number(interval_us);
  if (bytesPerSecond >= 1 && Number.isFinite(bytesPerSecond)) {
    return { bytesPerSecond, burstBytes: Math.max(perInterval, BURST_BYTES_MIN) };
  }
  return violated('rate', 'bytes and microseconds, neither of them 0: 1250000,50000', value);
}

function violated(key: string, rule: string, found: string): never {
  throw new ProtocolViolation(
    `read ${key} of an interface`,
    `vif: ${key} is ${rule}`,
    JSON.stringify(found.slice(0, 32)),
  );
}
