/** What a vchan is bridged to on this machine: a Unix socket, TCP, or a descriptor that we were given. */
import { lstatSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, Socket } from 'node:net';
import type { ByteStream } from '../base/byte-stream.ts';
import { type ErrorCode, errorCode, errorMessage, XenError } from '../base/errors.ts';
import { socketStream } from './socket-stream.ts';
import { type NativeUnixSocket, UnixSocketListener } from './unix-socket.ts';

export type VchanTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'descriptor'; readonly fd: number };

const TCP = /^tcp:(?:(.*):)?([0-9]{1,5})$/;
const TCP_PORT_MAX = 65_535;

/**
 * `tcp:[HOST:]PORT`, the number of a descriptor, or the path of a Unix socket. Throws `RangeError`
 * with the rule that the text breaks.
 */
export function parseVchanTarget(text: string): VchanTarget {
  if (/^[0-9]{1,9}$/.test(text)) return { kind: 'descriptor', fd: Number(text) };
  if (!text.startsWith('tcp:')) {
    if (text === '') throw new RangeError('the path of a socket is not empty');
    return { kind: 'unix', path: text };
  }
  const [, host = 'localhost', port = ''] = TCP.exec(text) ?? [];
  if (port === '' || Number(port) > TCP_PORT_MAX) {
    throw new RangeError(
      `TCP is written tcp:PORT or tcp:HOST:PORT, a port at most ${TCP_PORT_MAX}`,
    );
  }
  // An IPv6 address stands in brackets, as in a URL.
  return { kind: 'tcp', host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

export function vchanTargetName(target: VchanTarget): string {
  if (target.kind === 'unix') return target.path;
  return target.kind === 'tcp' ? `tcp:${target.host}:${target.port}` : `descriptor ${target.fd}`;
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'EACCES',
  EADDRINUSE: 'EBUSY',
  ECONNREFUSED: 'ENOTCONN',
  ENOENT: 'ENOENT',
};

function refused(operation: string, error: unknown): XenError {
  const code = CODES[errorCode(error) ?? ''] ?? 'EIO';
  return new XenError(code, operation, errorMessage(error), error);
}

/** The descriptor as a stream, or a new connection. Rejects with `XenError`. */
export function connectVchanTarget(target: VchanTarget): Promise<ByteStream> {
  const operation = `connect to ${vchanTargetName(target)}`;
  return new Promise((resolve, reject) => {
    try {
      if (target.kind === 'descriptor') {
        resolve(socketStream(new Socket({ fd: target.fd })));
        return;
      }
      const socket =
        target.kind === 'unix' ? createConnection(target.path) : createConnection(target);
      const failed = (error: Error) => reject(refused(operation, error));
      socket.once('error', failed);
      socket.once('connect', () => {
        socket.off('error', failed);
        if (target.kind === 'tcp') socket.setNoDelay();
        resolve(socketStream(socket));
      });
    } catch (error) {
      reject(refused(operation, error));
    }
  });
}

/** Removes a socket at `path` that nobody listens at any more. */
async function removeDeadSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  try {
    (await connectVchanTarget({ kind: 'unix', path })).close();
  } catch (error) {
    if (errorCode(error) === 'ENOTCONN') unlinkSync(path);
  }
}

function listenWithNode(
  target: Exclude<VchanTarget, { kind: 'unix' }>,
  onConnection: (stream: ByteStream) => void,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      onConnection(socketStream(socket)),
    );
    server.once('error', reject);
    if (target.kind === 'tcp') server.listen(target.port, target.host, () => resolve(server));
    else server.listen({ fd: target.fd }, () => resolve(server));
  });
}

/**
 * Calls `onConnection` with each client of the target; a descriptor must be a socket that listens.
 * Rejects with `XenError`, EBUSY where somebody else listens already.
 */
export async function listenAtVchanTarget(
  native: NativeUnixSocket,
  target: VchanTarget,
  onConnection: (stream: ByteStream) => void,
): Promise<{ close(): void }> {
  try {
    if (target.kind !== 'unix') return await listenWithNode(target, onConnection);
    const { path } = target;
    await removeDeadSocket(path);
    const listener = UnixSocketListener.listen(native, path, onConnection);
    return {
      close() {
        listener.close();
        unlinkSync(path);
      },
    };
  } catch (error) {
    throw refused(`listen at ${vchanTargetName(target)}`, error);
  }
}
