/** What a vchan's server writes into xenstore for its client: where the first page and the event channel are. */
import { errorCode, ProtocolViolation } from '../base/errors.ts';
import {
  type DomId,
  EVENT_PORT_MAX,
  type EventPort,
  eventPort,
  type GrantRef,
  grantRef,
} from '../base/ids.ts';
import { childPath, domainHome } from '../xenstore/path.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';

export interface VchanKeys {
  readonly ref: GrantRef;
  readonly port: EventPort;
}

const REF = 'ring-ref';
const PORT = 'event-channel';
const GRANT_REF_MAX = 0xffffffff;

/**
 * The directory of a vchan's keys. Both ends may agree on any other; libxenvchan leaves it to them.
 *
 * @param port a number or a name
 */
export function vchanPath(server: DomId, client: DomId, port: string): string {
  return `${domainHome(server)}/data/vchan/${client}/${port}`;
}

/**
 * Writes the keys, which the client alone may read. Rejects with `XenError`.
 *
 * There is no transaction: an unprivileged domain may have ten of them at a time. The former keys
 * are gone before the first new one is there, and `ring-ref`, which a client reads first, comes
 * last, so nobody finds the two of different vchans.
 */
export async function publishKeys(
  xenstore: Xenstore,
  path: string,
  keys: VchanKeys,
  server: DomId,
  client: DomId,
): Promise<void> {
  await removeKeys(xenstore, path);
  const permissions = [
    { domid: server, access: 'n' },
    { domid: client, access: 'r' },
  ] as const;
  const publish = (name: string, value: number) => [
    xenstore.write(childPath(path, name), String(value)),
    xenstore.setPermissions(childPath(path, name), permissions),
  ];
  await Promise.all([...publish(PORT, keys.port), ...publish(REF, keys.ref)]);
}

/** Removes the keys, unless another server has written its own there meanwhile. Rejects with `XenError`. */
export async function withdrawKeys(
  xenstore: Xenstore,
  path: string,
  keys: VchanKeys,
): Promise<void> {
  const ref = await xenstore.readIfPresent(childPath(path, REF));
  if (ref === String(keys.ref)) await removeKeys(xenstore, path);
}

async function removeKeys(xenstore: Xenstore, path: string): Promise<void> {
  try {
    await xenstore.remove(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

function keyNumber(path: string, name: string, value: string, max: number): number {
  const number = /^[1-9][0-9]{0,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  throw new ProtocolViolation(
    `read ${childPath(path, name)}`,
    `vchan: ${name} is a decimal number from 1 to ${max}`,
    JSON.stringify(value.slice(0, 32)),
  );
}

/**
 * The keys of the vchan at `path`. Rejects with ENOENT when there are none, EACCES when they are not
 * for us, and `ProtocolViolation` when they hold anything else than numbers.
 */
export async function readKeys(xenstore: Xenstore, path: string): Promise<VchanKeys> {
  const [ref, port] = await Promise.all([
    xenstore.read(childPath(path, REF)),
    xenstore.read(childPath(path, PORT)),
  ]);
  return {
    ref: grantRef(keyNumber(path, REF, ref, GRANT_REF_MAX)),
    port: eventPort(keyNumber(path, PORT, port, EVENT_PORT_MAX)),
  };
}

/** Whether the same vchan still stands there: a server removes the keys before it writes others. */
export async function keysStand(
  xenstore: Xenstore,
  path: string,
  keys: VchanKeys,
): Promise<boolean> {
  return (await xenstore.readIfPresent(childPath(path, REF))) === String(keys.ref);
}
