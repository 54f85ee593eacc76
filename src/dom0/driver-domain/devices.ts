/**
 * The devices of a driver domain that was destroyed and is there again under the same domid. Its home
 * went with it, and with that the back ends' directories; libxl's own records of the devices and the
 * front ends' directories are still there. From these two a device is as it was: the grants and the
 * event channels of the front end are for that domid.
 */
import {
  XenbusStateClosed,
  XenbusStateConnected,
  XenbusStateInitialising,
} from '../../abi/io/xenbus.ts';
import { type DomId, domId } from '../../base/ids.ts';
import { childrenOf } from '../../xenstore/directories.ts';
import { childPath, domainHome } from '../../xenstore/path.ts';
import type { Xenstore, XenstoreNodes } from '../../xenstore/xenstore.ts';

const RECORDS = '/libxl';

/** A device as libxl remembers it. */
interface DeviceRecord {
  /** The record's directory, with a copy of all keys that libxl gave to the back end. */
  readonly path: string;
  readonly guest: DomId;
  readonly frontend: string;
  readonly backend: string;
}

async function recordAt(nodes: XenstoreNodes, path: string, guest: DomId) {
  const backend = await nodes.readIfPresent(childPath(path, 'backend'));
  const frontend = await nodes.readIfPresent(childPath(path, 'frontend'));
  return backend === undefined || frontend === undefined
    ? undefined
    : { path, guest, frontend, backend };
}

/** The devices of all guests whose back ends are in domain `domid`. */
async function recordsOf(nodes: XenstoreNodes, domid: DomId): Promise<DeviceRecord[]> {
  const found: DeviceRecord[] = [];
  for (const guest of await childrenOf(nodes, RECORDS)) {
    if (!/^\d{1,5}$/.test(guest)) continue;
    const devices = `${RECORDS}/${guest}/device`;
    for (const type of await childrenOf(nodes, devices)) {
      for (const devid of await childrenOf(nodes, childPath(devices, type))) {
        const path = `${devices}/${type}/${devid}`;
        const record = await recordAt(nodes, path, domId(Number(guest)));
        if (record?.backend.startsWith(`${domainHome(domid)}/backend/`)) found.push(record);
      }
    }
  }
  return found;
}

/** The new domain is not the one that the permission was given to, though their domids are the same. */
async function permitReading(nodes: XenstoreNodes, path: string, domid: DomId): Promise<void> {
  const permissions = await nodes.getPermissions(path);
  const others = permissions.filter(
    (permission, index) => index === 0 || permission.domid !== domid,
  );
  await nodes.setPermissions(path, [...others, { domid, access: 'r' }]);
  for (const child of await nodes.list(path)) {
    await permitReading(nodes, childPath(path, child), domid);
  }
}

/**
 * Where the front end stands; `undefined` when it is gone with its guest, or closed for good. A guest's
 * first console has no handshake: it is served from the beginning, by the port that libxl wrote.
 */
async function frontState(nodes: XenstoreNodes, frontend: string): Promise<string | undefined> {
  const state = await nodes.readIfPresent(childPath(frontend, 'state'));
  if (state !== undefined) return state === String(XenbusStateClosed) ? undefined : state;
  const port = await nodes.readIfPresent(childPath(frontend, 'port'));
  return port === undefined ? undefined : String(XenbusStateInitialising);
}

/** Where the back end goes on: where the front end waits for it. */
function backState(front: string): string {
  // Otherwise the handshake has yet to be done; a front end that is beyond it does not look.
  const state =
    front === String(XenbusStateConnected) ? XenbusStateConnected : XenbusStateInitialising;
  return String(state);
}

async function restore(nodes: XenstoreNodes, record: DeviceRecord, domid: DomId): Promise<boolean> {
  const { path, guest, frontend, backend } = record;
  const front = await frontState(nodes, frontend);
  if (front === undefined) return false;
  await nodes.mkdir(backend);
  await nodes.setPermissions(backend, [
    { domid, access: 'n' },
    { domid: guest, access: 'r' },
  ]);
  for (const key of await nodes.list(path)) {
    if (key === 'backend' || key === 'state') continue;
    await nodes.write(childPath(backend, key), await nodes.read(childPath(path, key)));
  }
  // What else there is must be there when the back end finds the state.
  await nodes.write(childPath(backend, 'state'), backState(front));
  await permitReading(nodes, frontend, domid);
  return true;
}

/**
 * Gives domain `domid` its devices back before it runs. Resolves with the back ends' directories.
 * Keys that somebody else than libxl had added to them are lost.
 */
export async function restoreDevices(xenstore: Xenstore, domid: DomId): Promise<string[]> {
  const restored: string[] = [];
  for (const record of await recordsOf(xenstore, domid)) {
    const done = await xenstore.transaction((nodes) => restore(nodes, record, domid));
    if (done) restored.push(record.backend);
  }
  return restored;
}
