/** Numbers that the other end wrote into xenstore. */
import { ProtocolViolation } from '../base/errors.ts';
import type { DeviceKeys } from './device-end.ts';

/**
 * The decimal number in the peer's `key`, from 0 to `max`; `undefined` when there is no such key.
 * Rejects with `ProtocolViolation` when the key holds anything else.
 */
export async function readPeerNumber(
  keys: DeviceKeys,
  key: string,
  max: number,
): Promise<number | undefined> {
  const value = await keys.readPeer(key);
  if (value === undefined) return undefined;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  throw new ProtocolViolation(
    `read ${key} of domain ${keys.peer}`,
    `xenbus: ${key} is a decimal number from 0 to ${max}`,
    JSON.stringify(value.slice(0, 32)),
  );
}

/** As `readPeerNumber`, for a key that has to be there. */
export async function needPeerNumber(keys: DeviceKeys, key: string, max: number): Promise<number> {
  const number = await readPeerNumber(keys, key, max);
  if (number !== undefined) return number;
  throw new ProtocolViolation(
    `read ${key} of domain ${keys.peer}`,
    `xenbus: ${key} is written before the state that promises it`,
    'there is none',
  );
}

/** Whether the peer offers the feature that `key` names. */
export async function readPeerFlag(keys: DeviceKeys, key: string): Promise<boolean> {
  return (await readPeerNumber(keys, key, 1)) === 1;
}
