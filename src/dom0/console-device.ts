/**
 * Further consoles of a guest, attached and detached as libxl does it with other devices: libxl
 * itself makes them with the guest only, and for QEMU to serve.
 */
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateInitialising,
} from '../abi/io/xenbus.ts';
import { errorCode, XenError } from '../base/errors.ts';
import { DOM0, type DomId } from '../base/ids.ts';
import { writeDirectory } from '../xenstore/directories.ts';
import { childPath, domainHome, parentPath } from '../xenstore/path.ts';
import type { Permission, Xenstore, XenstoreNodes } from '../xenstore/xenstore.ts';

export interface ConsolePlan {
  /** A free one is taken when there is none. */
  readonly number?: number | undefined;
  /** A Unix socket in the place of a pty. */
  readonly socket?: string | undefined;
}

/** The highest number that Linux's console driver takes: it looks at one digit. */
const NUMBER_MAX = 9;
const LIMIT_BYTES = 1 << 20;

function pathsOf(domid: DomId, number: number) {
  return {
    front: `${domainHome(domid)}/device/console/${number}`,
    back: `${domainHome(DOM0)}/backend/console/${domid}/${number}`,
  };
}

async function freeNumber(nodes: XenstoreNodes, domid: DomId): Promise<number> {
  for (let number = 1; number <= NUMBER_MAX; number++) {
    const { front } = pathsOf(domid, number);
    if ((await nodes.readIfPresent(front)) === undefined) return number;
  }
  throw new XenError('ENOSPC', `attach a console to domain ${domid}`, `limit: ${NUMBER_MAX}`);
}

/** Attaches a console and resolves with its number. Rejects with EEXIST when that is taken. */
export function attachConsole(store: Xenstore, domid: DomId, plan: ConsolePlan): Promise<number> {
  const { socket } = plan;
  const guestOwns: Permission[] = [
    { domid, access: 'n' },
    { domid: DOM0, access: 'r' },
  ];
  const guestReads: Permission[] = [
    { domid: DOM0, access: 'n' },
    { domid, access: 'r' },
  ];
  return store.transaction(async (nodes) => {
    const number = plan.number ?? (await freeNumber(nodes, domid));
    const { front, back } = pathsOf(domid, number);
    if ((await nodes.readIfPresent(front)) !== undefined) {
      throw new XenError('EEXIST', `attach console ${number} to domain ${domid}`);
    }
    const state = XenbusStateInitialising;
    await writeDirectory(nodes, front, guestOwns, { backend: back, 'backend-id': DOM0, state });
    const fixed = { type: 'xenconsoled', limit: LIMIT_BYTES, tty: '' };
    for (const [key, value] of Object.entries(fixed)) {
      await nodes.write(childPath(front, key), String(value));
      await nodes.setPermissions(childPath(front, key), guestReads);
    }
    await writeDirectory(nodes, back, guestReads, {
      frontend: front,
      'frontend-id': domid,
      online: 1,
      state,
      protocol: 'vt100',
      ...(socket === undefined ? { connection: 'pty' } : { connection: 'socket', path: socket }),
    });
    return number;
  });
}

/** Resolves once the node has the value, or is gone; rejects with ETIMEDOUT. */
async function awaitValue(
  store: Xenstore,
  path: string,
  value: string,
  patience_ms: number,
): Promise<void> {
  let look = () => {};
  const watch = await store.watch(path, () => look());
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      look = () => {
        store.readIfPresent(path).then((now) => {
          if (now === undefined || now === value) resolve();
        }, reject);
      };
      timer = setTimeout(() => {
        reject(new XenError('ETIMEDOUT', `wait for ${path}`, `it never became ${value}`));
      }, patience_ms);
      look();
    });
  } finally {
    clearTimeout(timer);
    await watch.close();
  }
}

/** What stands empty above a removed directory goes, too, up to `top`. */
async function removeUpTo(nodes: XenstoreNodes, path: string, top: string): Promise<void> {
  await nodes.remove(path);
  for (let above = parentPath(path); above !== top; above = parentPath(above)) {
    if ((await nodes.list(above)).length > 0) return;
    await nodes.remove(above);
  }
}

/**
 * Detaches a console that `attachConsole` has attached. Rejects with ENOENT when there is none,
 * with ETIMEDOUT when the guest does not let go of it.
 */
export async function detachConsole(
  store: Xenstore,
  domid: DomId,
  number: number,
  patience_ms: number,
): Promise<void> {
  const { front, back } = pathsOf(domid, number);
  const state = childPath(back, 'state');
  const operation = `detach console ${number} of domain ${domid}`;
  await store.transaction(async (nodes) => {
    const now = await nodes.readIfPresent(state);
    if (now === undefined || number === 0) throw new XenError('ENOENT', operation);
    await nodes.write(childPath(back, 'online'), '0');
    if (now !== String(XenbusStateClosed)) await nodes.write(state, String(XenbusStateClosing));
  });
  await awaitValue(store, state, String(XenbusStateClosed), patience_ms);
  await store.transaction(async (nodes) => {
    try {
      await removeUpTo(nodes, front, `${domainHome(domid)}/device`);
      await removeUpTo(nodes, back, `${domainHome(DOM0)}/backend`);
    } catch (error) {
      // The toolstack may have removed them with the domain.
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  });
}
