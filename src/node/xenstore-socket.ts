/** Xenstore over a Unix socket: where it is, how a client reaches it, how a daemon offers it. */
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  unlinkSync,
} from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { sleep } from '../base/clock.ts';
import { type ErrorCode, errorCode, errorMessage, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { XenstoreClient } from '../xenstore/client.ts';
import { ReconnectingXenstore } from '../xenstore/reconnecting.ts';
import { nodeClock } from './clock.ts';
import { socketStream } from './socket-stream.ts';
import { type NativeUnixSocket, type UnixSocket, UnixSocketListener } from './unix-socket.ts';

/** `sizeof(sun_path)` of unix(7), less the NUL. */
const SOCKET_PATH_MAX = 107;

/** The socket that libxenstore would use: `XENSTORED_PATH`, else `socket` in `XENSTORED_RUNDIR`. */
export function xenstoreSocketPath(): string {
  const { XENSTORED_PATH, XENSTORED_RUNDIR } = process.env;
  return XENSTORED_PATH ?? `${XENSTORED_RUNDIR ?? '/run/xenstored'}/socket`;
}

/** Where C's xenstored leaves its state for the one that takes over from it. */
export function xenstoreStatePath(): string {
  return `${process.env.XENSTORED_RUNDIR ?? '/run/xenstored'}/state_dump`;
}

function checkPathLength(operation: string, path: string): void {
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX) {
    const rule = `the path of a Unix socket has at most ${SOCKET_PATH_MAX} bytes`;
    throw new XenError('EINVAL', operation, rule);
  }
}

/** What the kernel says when nobody is there to connect to, and what to say about it. */
const CONNECT_FAILURES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['ENOENT', 'there is no such socket; does a xenstored run?'],
  ECONNREFUSED: ['ENOTCONN', 'no xenstored listens there any more'],
  EACCES: ['EACCES', 'permission denied; the socket belongs to root'],
  EAGAIN: ['EAGAIN', 'too many others wait for xenstored to accept them'],
};

/** How long a connection is tried for while xenstored is there and its queue of clients is full. */
const CONNECT_PATIENCE_MS = 10_000;
const CONNECT_PAUSE_MS = 10;

function connectOnce(operation: string, path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const failed = (error: Error) => {
      const [code, detail] = CONNECT_FAILURES[errorCode(error) ?? ''] ?? ['EIO', error.message];
      reject(new XenError(code, operation, detail, error));
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

/**
 * Where others wait to be accepted and the queue is full (it holds one in C's xenstored), a socket
 * that may block would wait its turn, as libxenstore does. Node's may not block and is told EAGAIN.
 */
async function connectSocket(path: string): Promise<Socket> {
  const operation = `connect to xenstored at ${path}`;
  checkPathLength(operation, path);
  const deadline_ms = nodeClock.now_ms() + CONNECT_PATIENCE_MS;
  for (;;) {
    try {
      return await connectOnce(operation, path);
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN' || nodeClock.now_ms() > deadline_ms) throw error;
    }
    await sleep(nodeClock, CONNECT_PAUSE_MS);
  }
}

/** A client of the xenstored at `path`. Rejects with `XenError` when none is there. */
export async function connectXenstoreSocket(path = xenstoreSocketPath()): Promise<XenstoreClient> {
  return new XenstoreClient(socketStream(await connectSocket(path)), nodeClock);
}

/** A client of whatever xenstored is at `path`: of the next one, too. Rejects as `connectXenstoreSocket`. */
export function followXenstoreSocket(
  log: Log,
  path = xenstoreSocketPath(),
): Promise<ReconnectingXenstore> {
  const connect = () => connectXenstoreSocket(path);
  return ReconnectingXenstore.open({ connect, clock: nodeClock, log });
}

/** The flag of a listening socket in /proc/net/unix, `__SO_ACCEPTCON`. */
const ACCEPTS_CONNECTIONS = 0x10000;

/** The process that listens at `path`, as far as /proc shows it to us: `process 17 (xenstored)`. */
function listenerName(path: string): string {
  const inode = readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((row) => row[7] === path && Number.parseInt(row[3] ?? '', 16) & ACCEPTS_CONNECTIONS)?.[6];
  const holds = (pid: string) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some(
        (fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`,
      );
    } catch {
      // A process that has ended meanwhile, or one that is not ours to look at.
      return false;
    }
  };
  const pid = readdirSync('/proc').find((entry) => /^[0-9]+$/.test(entry) && holds(entry));
  if (pid === undefined) return 'another process';
  return `process ${pid} (${readFileSync(`/proc/${pid}/comm`, 'latin1').trim()})`;
}

/** Makes sure that a new socket can be at `path`: removes one that nobody listens at any more. */
async function makeWay(operation: string, path: string): Promise<void> {
  if (!existsSync(dirname(path))) {
    throw new XenError('ENOENT', operation, 'there is no such directory');
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new XenError('EEXIST', operation, 'a file that is no socket stands there');
  }
  try {
    (await connectSocket(path)).destroy();
  } catch (error) {
    if (errorCode(error) !== 'ENOTCONN') throw error;
    unlinkSync(path);
    return;
  }
  throw new XenError('EBUSY', operation, `${listenerName(path)} listens there already`);
}

/** A socket that clients of xenstored connect to. */
export interface XenstoreListener {
  readonly path: string;
  readonly fd: number;
  /** Takes no more connections and removes the socket; those there are go on. Idempotent. */
  close(): void;
}

/**
 * Listens at `path` with mode 0600 and calls `onConnection` with each client's stream. Rejects with
 * `XenError` EBUSY, naming the process, when a daemon is alive there already.
 */
export async function listenXenstoreSocket(
  native: NativeUnixSocket,
  path: string,
  onConnection: (socket: UnixSocket) => void,
): Promise<XenstoreListener> {
  const operation = `listen for xenstore clients at ${path}`;
  checkPathLength(operation, path);
  await makeWay(operation, path);
  // Nobody else may ever connect, not even between bind(2) and a chmod(2).
  const umask = process.umask(0o177);
  let listener: UnixSocketListener | undefined;
  try {
    listener = UnixSocketListener.listen(native, path, onConnection);
  } catch (error) {
    const code = errorCode(error) === 'EACCES' ? 'EACCES' : 'EIO';
    throw new XenError(code, operation, errorMessage(error), error);
  } finally {
    process.umask(umask);
  }
  return removedWhenClosed(listener, path);
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
): XenstoreListener {
  try {
    return removedWhenClosed(UnixSocketListener.adopt(native, fd, onConnection), path);
  } catch (error) {
    const operation = `go on listening for xenstore clients at ${path}`;
    throw new XenError('EINVAL', operation, errorMessage(error), error);
  }
}

function removedWhenClosed(listener: UnixSocketListener, path: string): XenstoreListener {
  let open = true;
  return {
    path,
    fd: listener.fd,
    close() {
      if (open) unlinkSync(path);
      open = false;
      listener.close();
    },
  };
}
