/**
 * The way to the host's xenstored, found as libxenstore finds it: `XENSTORED_PATH`, which may name a
 * socket or a device; else the socket of a daemon in this domain; else the kernel's device, behind
 * which the xenstored is a domain of its own.
 */
import { statSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { errorCode, XenError } from '../base/errors.ts';
import { DOM0 } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { XenstoreClient } from '../xenstore/client.ts';
import { ReconnectingXenstore } from '../xenstore/reconnecting.ts';
import { nodeClock } from './clock.ts';
import { connectXenstoreDevice, type NativePoll, XENSTORE_DEVICE } from './xenstore-device.ts';
import { connectXenstoreSocket, xenstoreSocketPath } from './xenstore-socket.ts';

/** The kernel takes requests also while there is no xenstored at all; nothing ever answers them then. */
const ANSWER_MS_MAX = 30_000;

export interface XenstoreAccess {
  /** Loads the native shim, which a device needs and a socket does not. */
  readonly native: () => NativePoll;
  /** A socket or a device, where it is not what the environment says. */
  readonly path?: string | undefined;
  readonly clock?: Clock;
}

type Connect = () => Promise<XenstoreClient>;

function isCharacterDevice(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isCharacterDevice() ?? false;
}

async function connectDevice(access: XenstoreAccess, path: string): Promise<XenstoreClient> {
  const client = connectXenstoreDevice(access.native(), path);
  const clock = access.clock ?? nodeClock;
  let timer = { cancel: () => {} };
  const silence = new Promise<never>((_, reject) => {
    timer = clock.after(ANSWER_MS_MAX, () => {
      const detail = `no xenstored has answered for ${ANSWER_MS_MAX / 1000} s`;
      reject(new XenError('ETIMEDOUT', `reach xenstore through ${path}`, detail));
    });
  });
  try {
    await Promise.race([client.domainPath(DOM0), silence]);
    return client;
  } catch (error) {
    client.close();
    throw error;
  } finally {
    timer.cancel();
  }
}

/** Connects. The first time it finds out which way leads there, and takes that one from then on. */
function wayTo(access: XenstoreAccess): Connect {
  const device = (path: string) => () => connectDevice(access, path);
  const named = access.path ?? process.env.XENSTORED_PATH;
  if (named !== undefined && isCharacterDevice(named)) return device(named);
  const socket = () => connectXenstoreSocket(named ?? xenstoreSocketPath());
  if (named !== undefined) return socket;
  let way: Connect | undefined;
  return async () => {
    if (way !== undefined) return way();
    const [client, found] = await firstOf(socket, device(XENSTORE_DEVICE));
    way = found;
    return client;
  };
}

async function firstOf(
  socket: Connect,
  device: Connect,
): Promise<readonly [XenstoreClient, Connect]> {
  try {
    return [await socket(), socket];
  } catch (error) {
    // Of a daemon there is nothing, or what a former one has left.
    const noDaemon = errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTCONN';
    if (!noDaemon || !isCharacterDevice(XENSTORE_DEVICE)) throw error;
  }
  return [await device(), device];
}

/** A client of the host's xenstored. Rejects with `XenError` when no way leads to one. */
export function connectXenstore(access: XenstoreAccess): Promise<XenstoreClient> {
  return wayTo(access)();
}

/**
 * A client of whatever xenstored is there, and of the next one, too: at the socket where there is one
 * now, and through the kernel otherwise. Rejects as `connectXenstore` does.
 */
export function followXenstore(access: XenstoreAccess, log: Log): Promise<ReconnectingXenstore> {
  return ReconnectingXenstore.open({ connect: wayTo(access), clock: nodeClock, log });
}
