/**
 * Devices of guests as they stand in xenstore, whatever they are: found, attached, detached and spoken
 * to, with and without libxl.
 */
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialising,
} from '../abi/io/xenbus.ts';
import { XenError } from '../base/errors.ts';
import { type DomId, domId } from '../base/ids.ts';
import { parseXenbusState } from '../xenbus/state.ts';
import { childrenOf, writeDirectory } from '../xenstore/directories.ts';
import { domainHome, parentPath } from '../xenstore/path.ts';
import type { Permission, Xenstore, XenstoreNodes } from '../xenstore/xenstore.ts';

/** Where a kind of devices stands, and what people call it. */
export interface DeviceKind {
  /** The directory below a guest's `device`: `vbd`. */
  readonly front: string;
  /** `disk`, and `a disk`. */
  readonly noun: string;
  readonly aNoun: string;
  /** What xl has for a device that libxl has attached: `block-detach`. */
  readonly xlDetach: string;
  /** What people call the device of that number. */
  nameOf(devid: number): string;
}

export interface DeviceEntry {
  readonly kind: DeviceKind;
  readonly domid: DomId;
  readonly devid: number;
  readonly front: string;
  readonly back: string;
}

/** A device to be, beside the keys that only its kind has. */
export interface DeviceRequest {
  readonly domid: DomId;
  /** The next free one unless given. */
  readonly devid?: number | undefined;
  readonly backend: DomId;
  /** The back end's directory below its domain's `backend`. */
  readonly type: string;
}

/** What is written beside what all devices have. */
export interface DeviceDirectories {
  readonly front: Readonly<Record<string, string>>;
  readonly back: Readonly<Record<string, string>>;
}

/** The devices of a kind that one domain or all have, in order. */
export async function listDevices(
  store: Xenstore,
  kind: DeviceKind,
  only?: DomId,
): Promise<DeviceEntry[]> {
  const domids = only === undefined ? await childrenOf(store, '/local/domain') : [String(only)];
  const entries: DeviceEntry[] = [];
  for (const domid of domids.map(Number).sort((a, b) => a - b)) {
    const directory = `/local/domain/${domid}/device/${kind.front}`;
    const devids = (await childrenOf(store, directory)).map(Number).sort((a, b) => a - b);
    for (const devid of devids) {
      const front = `${directory}/${devid}`;
      const back = await store.readIfPresent(`${front}/backend`);
      if (back !== undefined) entries.push({ kind, domid: domId(domid), devid, front, back });
    }
  }
  return entries;
}

/** The device of a domain with that number. Rejects with ENOENT when there is none. */
export async function findDevice(
  store: Xenstore,
  kind: DeviceKind,
  domid: DomId,
  devid: number,
): Promise<DeviceEntry> {
  const found = (await listDevices(store, kind, domid)).find((entry) => entry.devid === devid);
  if (found !== undefined) return found;
  const operation = `find ${kind.nameOf(devid)} of domain ${domid}`;
  throw new XenError('ENOENT', operation, `there is no such ${kind.noun}`);
}

/**
 * Writes what a toolstack writes for a new device: both directories in one transaction.
 *
 * @param free the number of a device that is not among those taken
 * @param keys what only this kind of device has
 */
export async function attachDevice(
  store: Xenstore,
  kind: DeviceKind,
  request: DeviceRequest,
  free: (taken: ReadonlySet<number>) => number,
  keys: (devid: number) => DeviceDirectories,
): Promise<DeviceEntry> {
  const { domid, backend, type } = request;
  if (!(await childrenOf(store, '/local/domain')).includes(String(backend))) {
    const detail = `there is no domain ${backend} to serve it`;
    throw new XenError('ESRCH', `attach a ${kind.noun}`, detail);
  }
  return store.transaction(async (nodes) => {
    const directory = `${domainHome(domid)}/device/${kind.front}`;
    const taken = new Set((await childrenOf(nodes, directory)).map(Number));
    const devid = request.devid ?? free(taken);
    if (taken.has(devid)) {
      const operation = `attach ${kind.nameOf(devid)} to domain ${domid}`;
      throw new XenError('EEXIST', operation, `the domain has a ${kind.noun} there`);
    }
    const front = `${directory}/${devid}`;
    const back = `${domainHome(backend)}/backend/${type}/${domid}/${devid}`;
    const own = keys(devid);
    const state = String(XenbusStateInitialising);
    await writeDirectory(nodes, back, readableBy(backend, domid), {
      frontend: front,
      'frontend-id': String(domid),
      ...own.back,
      online: '1',
      state,
    });
    await writeDirectory(nodes, front, readableBy(domid, backend), {
      backend: back,
      'backend-id': String(backend),
      ...own.front,
      state,
    });
    return { kind, domid, devid, front, back };
  });
}

const readableBy = (owner: DomId, reader: DomId): readonly Permission[] => [
  { domid: owner, access: 'n' },
  { domid: reader, access: 'r' },
];

/** Waits until both ends are connected. Rejects with the back end's own words when it fails. */
async function untilConnected(
  store: Xenstore,
  { kind, domid, devid, front, back }: DeviceEntry,
  timeout_ms: number,
): Promise<void> {
  const operation = `attach ${kind.nameOf(devid)} to domain ${domid}`;
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

/** As `untilConnected`, but a device that does not come up is not left behind. */
export async function connectOrRemove(
  store: Xenstore,
  entry: DeviceEntry,
  timeout_ms: number,
): Promise<void> {
  try {
    await untilConnected(store, entry, timeout_ms);
  } catch (error) {
    await removeDevice(store, entry);
    throw error;
  }
}

/** Asks both ends to close the device, waits until they have, and removes it. */
export async function detachDevice(
  store: Xenstore,
  entry: DeviceEntry,
  timeout_ms: number,
): Promise<void> {
  const { kind, domid, devid, back } = entry;
  const operation = `detach ${kind.nameOf(devid)} from domain ${domid}`;
  if ((await childrenOf(store, `/libxl/${domid}/device/${kind.front}/${devid}`)).length > 0) {
    throw new XenError('EPERM', operation, `libxl has attached it: use xl ${kind.xlDetach}`);
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

/** Removes a device at once, whatever its guest makes of that. */
export async function removeDevice(store: Xenstore, { front, back }: DeviceEntry): Promise<void> {
  await store.transaction((nodes) => removeWithEmptyParents(nodes, front));
  await store.transaction((nodes) => removeWithEmptyParents(nodes, back));
}

async function removeWithEmptyParents(nodes: XenstoreNodes, path: string): Promise<void> {
  if ((await nodes.readIfPresent(path)) === undefined) return;
  await nodes.remove(path);
  for (let parent = parentPath(path); !/^\/local\/domain\/\d+$/.test(parent); ) {
    // A domain's own `device` stays: libxl expects it.
    if (parent.endsWith('/device') || (await childrenOf(nodes, parent)).length > 0) return;
    await nodes.remove(parent);
    parent = parentPath(parent);
  }
}

/**
 * What our back end says of a device that it serves. Rejects with ETIMEDOUT when nobody answers.
 *
 * @param key the node that the back end fills where it finds it empty
 */
export async function readStatistics<Statistics>(
  store: Xenstore,
  { kind, back, devid, domid }: DeviceEntry,
  key: string,
  parse: (text: string) => Statistics,
  timeout_ms: number,
): Promise<Statistics> {
  const node = `${back}/${key}`;
  const operation = `read the statistics of ${kind.nameOf(devid)} of domain ${domid}`;
  await store.write(node, '');
  let text = '';
  await until(store, [node], timeout_ms, operation, async () => {
    text = (await store.readIfPresent(node)) ?? '';
    return text !== '';
  });
  return parse(text);
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
