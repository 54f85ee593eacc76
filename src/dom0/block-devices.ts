/** Disks of guests as they stand in xenstore: found, attached, detached and spoken to. */
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialising,
} from '../abi/io/xenbus.ts';
import { errorCode, XenError } from '../base/errors.ts';
import { type DomId, domId } from '../base/ids.ts';
import { RATE_LIMIT_KEY } from '../block/back-disk.ts';
import { type BlockStatistics, parseStatistics, STATISTICS_KEY } from '../block/statistics.ts';
import { parseXenbusState } from '../xenbus/state.ts';
import { domainHome, parentPath } from '../xenstore/path.ts';
import type { Permission, Xenstore, XenstoreNodes } from '../xenstore/xenstore.ts';
import { freeVirtualDevice, virtualDeviceName } from './virtual-device.ts';

export interface BlockDeviceEntry {
  readonly domid: DomId;
  readonly devid: number;
  readonly front: string;
  readonly back: string;
}

export interface AttachRequest {
  readonly domid: DomId;
  /** The next free one unless given. */
  readonly devid?: number;
  /** What the back end opens. */
  readonly disk: string;
  /** `r`, `w`, or `w!` for one that others may write too. */
  readonly mode: string;
  readonly cdrom: boolean;
  readonly backend: DomId;
  readonly type: string;
  readonly bytesPerSecond?: number;
  readonly discard: boolean;
}

async function children(nodes: XenstoreNodes, path: string): Promise<string[]> {
  try {
    return await nodes.list(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The domain with that number or name. Rejects with ESRCH when there is none. */
export async function findDomain(store: Xenstore, wanted: string): Promise<DomId> {
  for (const domid of await children(store, '/local/domain')) {
    const name = await store.readIfPresent(`/local/domain/${domid}/name`);
    if (domid === wanted || name === wanted) return domId(Number(domid));
  }
  throw new XenError('ESRCH', `find domain ${wanted}`, 'there is no such domain');
}

/** The disks of one domain or of all, in order. */
export async function listDevices(store: Xenstore, only?: DomId): Promise<BlockDeviceEntry[]> {
  const domids = only === undefined ? await children(store, '/local/domain') : [String(only)];
  const entries: BlockDeviceEntry[] = [];
  for (const domid of domids.map(Number).sort((a, b) => a - b)) {
    const directory = `/local/domain/${domid}/device/vbd`;
    const devids = (await children(store, directory)).map(Number).sort((a, b) => a - b);
    for (const devid of devids) {
      const front = `${directory}/${devid}`;
      const back = await store.readIfPresent(`${front}/backend`);
      if (back !== undefined) entries.push({ domid: domId(domid), devid, front, back });
    }
  }
  return entries;
}

/** The disk of a domain with that number. Rejects with ENOENT when there is none. */
export async function findDevice(
  store: Xenstore,
  domid: DomId,
  devid: number,
): Promise<BlockDeviceEntry> {
  const found = (await listDevices(store, domid)).find((entry) => entry.devid === devid);
  if (found !== undefined) return found;
  const operation = `find ${virtualDeviceName(devid)} of domain ${domid}`;
  throw new XenError('ENOENT', operation, 'there is no such disk');
}

/** Writes what a toolstack writes for a new disk: both directories in one transaction. */
export async function attachDevice(
  store: Xenstore,
  request: AttachRequest,
): Promise<BlockDeviceEntry> {
  const { domid, backend, type } = request;
  if (!(await children(store, '/local/domain')).includes(String(backend))) {
    throw new XenError('ESRCH', 'attach a disk', `there is no domain ${backend} to serve it`);
  }
  return store.transaction(async (nodes) => {
    const directory = `${domainHome(domid)}/device/vbd`;
    const taken = new Set((await children(nodes, directory)).map(Number));
    const devid = request.devid ?? freeVirtualDevice(taken);
    if (taken.has(devid)) {
      const operation = `attach ${virtualDeviceName(devid)} to domain ${domid}`;
      throw new XenError('EEXIST', operation, 'the domain has a disk there');
    }
    const front = `${directory}/${devid}`;
    const back = `${domainHome(backend)}/backend/${type}/${domid}/${devid}`;
    await writeDirectory(nodes, back, backend, domid, backKeys(request, front, devid));
    await writeDirectory(nodes, front, domid, backend, {
      backend: back,
      'backend-id': String(backend),
      'virtual-device': String(devid),
      'device-type': request.cdrom ? 'cdrom' : 'disk',
      state: String(XenbusStateInitialising),
    });
    return { domid, devid, front, back };
  });
}

function backKeys(request: AttachRequest, front: string, devid: number): Record<string, string> {
  const { domid, disk, mode, cdrom, bytesPerSecond, discard } = request;
  return {
    frontend: front,
    'frontend-id': String(domid),
    params: disk,
    'physical-device-path': disk,
    mode,
    'device-type': cdrom ? 'cdrom' : 'disk',
    dev: virtualDeviceName(devid),
    removable: cdrom ? '1' : '0',
    'discard-enable': discard ? '1' : '0',
    ...(bytesPerSecond === undefined ? {} : { [RATE_LIMIT_KEY]: String(bytesPerSecond) }),
    online: '1',
    state: String(XenbusStateInitialising),
  };
}

async function writeDirectory(
  nodes: XenstoreNodes,
  path: string,
  owner: DomId,
  reader: DomId,
  keys: Readonly<Record<string, string>>,
): Promise<void> {
  const permissions: Permission[] = [
    { domid: owner, access: 'n' },
    { domid: reader, access: 'r' },
  ];
  await nodes.mkdir(path);
  await nodes.setPermissions(path, permissions);
  for (const [key, value] of Object.entries(keys)) {
    await nodes.write(`${path}/${key}`, value);
    await nodes.setPermissions(`${path}/${key}`, permissions);
  }
}

/** Waits until both ends are connected. Rejects with the back end's own words when it fails. */
export async function untilConnected(
  store: Xenstore,
  { domid, devid, front, back }: BlockDeviceEntry,
  timeout_ms: number,
): Promise<void> {
  const operation = `attach ${virtualDeviceName(devid)} to domain ${domid}`;
  const home = domainHome(domId(Number(back.split('/')[3])));
  const errorNode = `${home}/error${back.slice(home.length)}/error`;
  await until(store, [front, back, errorNode], timeout_ms, operation, async () => {
    const failure = await store.readIfPresent(errorNode);
    if (failure !== undefined) throw new XenError('EIO', operation, failure);
    return (
      (await isInState(store, front, XenbusStateConnected)) &&
      (await isInState(store, back, XenbusStateConnected))
    );
  });
}

/** Asks both ends to close the disk, waits until they have, and removes it. */
export async function detachDevice(
  store: Xenstore,
  entry: BlockDeviceEntry,
  timeout_ms: number,
): Promise<void> {
  const { domid, devid, back } = entry;
  const operation = `detach ${virtualDeviceName(devid)} from domain ${domid}`;
  if ((await children(store, `/libxl/${domid}/device/vbd/${devid}`)).length > 0) {
    throw new XenError('EPERM', operation, 'libxl has attached it: use xl block-detach');
  }
  await store.transaction(async (nodes) => {
    const state = await nodes.readIfPresent(`${back}/state`);
    if (state === undefined) return;
    await nodes.write(`${back}/online`, '0');
    // A back end that has closed already would not do it again.
    if (parseXenbusState(state) === XenbusStateClosed) return;
    await nodes.write(`${back}/state`, String(XenbusStateClosing));
  });
  await until(store, [back], timeout_ms, operation, async () => {
    const state = await store.readIfPresent(`${back}/state`);
    return state === undefined || parseXenbusState(state) === XenbusStateClosed;
  });
  await removeDevice(store, entry);
}

/** Removes a disk at once, whatever its guest makes of that. */
export async function removeDevice(
  store: Xenstore,
  { front, back }: BlockDeviceEntry,
): Promise<void> {
  await store.transaction((nodes) => removeWithEmptyParents(nodes, front));
  await store.transaction((nodes) => removeWithEmptyParents(nodes, back));
}

async function removeWithEmptyParents(nodes: XenstoreNodes, path: string): Promise<void> {
  if ((await nodes.readIfPresent(path)) === undefined) return;
  await nodes.remove(path);
  for (let parent = parentPath(path); !/^\/local\/domain\/\d+$/.test(parent); ) {
    // A domain's own `device` stays: libxl expects it.
    if (parent.endsWith('/device') || (await children(nodes, parent)).length > 0) return;
    await nodes.remove(parent);
    parent = parentPath(parent);
  }
}

/** Has the back end look at its disk's size: it looks whenever its directory is written. */
export async function askToRefresh(store: Xenstore, { back }: BlockDeviceEntry): Promise<void> {
  await store.write(`${back}/params`, (await store.readIfPresent(`${back}/params`)) ?? '');
}

/** What our back end says of a disk that it serves. Rejects with ETIMEDOUT when nobody answers. */
export async function readStatistics(
  store: Xenstore,
  { back, devid, domid }: BlockDeviceEntry,
  timeout_ms: number,
): Promise<BlockStatistics> {
  const node = `${back}/${STATISTICS_KEY}`;
  const operation = `read the statistics of ${virtualDeviceName(devid)} of domain ${domid}`;
  await store.write(node, '');
  let text = '';
  await until(store, [node], timeout_ms, operation, async () => {
    text = (await store.readIfPresent(node)) ?? '';
    return text !== '';
  });
  return parseStatistics(text);
}

async function isInState(store: Xenstore, path: string, state: number): Promise<boolean> {
  return parseXenbusState(await store.readIfPresent(`${path}/state`)) === state;
}

/** Looks whenever something below one of `paths` has changed, until `look` finds what it wants. */
async function until(
  store: Xenstore,
  paths: readonly string[],
  timeout_ms: number,
  operation: string,
  look: () => Promise<boolean>,
): Promise<void> {
  let wake = () => {};
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    wake();
  }, timeout_ms);
  let changed = true;
  const watches = await Promise.all(
    paths.map((path) =>
      store.watch(path, () => {
        changed = true;
        wake();
      }),
    ),
  );
  try {
    for (;;) {
      changed = false;
      if (await look()) return;
      if (late) {
        throw new XenError('ETIMEDOUT', operation, `no answer within ${timeout_ms / 1000} s`);
      }
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    clearTimeout(timer);
    await Promise.all(watches.map((watch) => watch.close()));
  }
}
