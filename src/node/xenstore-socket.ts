/** Xenstore over a Unix socket: where it is, how a client reaches it, how a daemon offers it. */
import { XenstoreClient } from '../xenstore/client.ts';
import { nodeClock } from './clock.ts';
import {
  adoptUnixListener,
  connectUnixSocket,
  listenUnixSocket,
  type SocketListener,
} from './socket-path.ts';
import { socketStream } from './socket-stream.ts';
import { type NativeUnixSocket, servedTogether, type UnixSocket } from './unix-socket.ts';

/** The socket that libxenstore would use: `XENSTORED_PATH`, else `socket` in `XENSTORED_RUNDIR`. */
export function xenstoreSocketPath(): string {
  const { XENSTORED_PATH, XENSTORED_RUNDIR } = process.env;
  return XENSTORED_PATH ?? `${XENSTORED_RUNDIR ?? '/run/xenstored'}/socket`;
}

/** Where C's xenstored leaves its state for the one that takes over from it. */
export function xenstoreStatePath(): string {
  return `${process.env.XENSTORED_RUNDIR ?? '/run/xenstored'}/state_dump`;
}

/** A client of the xenstored at `path`. Rejects with `XenError` when none is there. */
export async function connectXenstoreSocket(path = xenstoreSocketPath()): Promise<XenstoreClient> {
  return new XenstoreClient(socketStream(await connectUnixSocket(path, 'xenstored')), nodeClock);
}

/**
 * Listens at `path` with mode 0600 and calls `onConnection` with each client's stream. Rejects with
 * `XenError` EBUSY, naming the process, when a daemon is alive there already.
 */
export function listenXenstoreSocket(
  native: NativeUnixSocket,
  path: string,
  onConnection: (socket: UnixSocket) => void,
): Promise<SocketListener> {
  return listenUnixSocket(native, path, 'xenstore clients', servedTogether(native, onConnection));
}

/**
 * Goes on listening at `path` with the socket that another program has left open. Throws `XenError`
 * EINVAL where it is none.
 */
export function adoptXenstoreSocket(
  native: NativeUnixSocket,
  fd: number,
  path: string,
  onConnection: (socket: UnixSocket) => void,
): SocketListener {
  const clients = servedTogether(native, onConnection);
  return adoptUnixListener(native, fd, path, 'xenstore clients', clients);
}
