/** What a vchan is bridged to on this machine: a Unix socket, TCP, or a descriptor that we were given. */
import { createConnection, createServer, type Server, Socket } from 'node:net';
import type { ByteStream } from '../base/byte-stream.ts';
import { type ErrorCode, errorCode, errorMessage, XenError } from '../base/errors.ts';
import { DescriptorStream, type NativeDescriptor } from './descriptor-stream.ts';
import { listenUnixSocket } from './socket-path.ts';
import { socketStream } from './socket-stream.ts';
import type { NativeUnixSocket } from './unix-socket.ts';

/** The part of the native shim that Unix sockets as targets need. */
export type NativeVchanTarget = NativeUnixSocket & NativeDescriptor;

export type VchanTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'descriptor'; readonly fd: number };

const TCP = /^tcp:(?:(.*):)?([0-9]{1,5})$/;
const TCP_PORT_MAX = 65_535;
/** An address, since a small guest may know no names, and `localhost` may stand for that of IPv6 alone. */
const THIS_MACHINE = '127.0.0.1';

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
  const [, host = THIS_MACHINE, port = ''] = TCP.exec(text) ?? [];
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

function connectTcp(where: { host: string; port: number }): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(where);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.setNoDelay();
      resolve(socketStream(socket));
    });
  });
}

/** The descriptor as a stream, or a new connection. Rejects with `XenError`. */
export async function connectVchanTarget(
  native: NativeVchanTarget,
  target: VchanTarget,
): Promise<ByteStream> {
  try {
    if (target.kind === 'descriptor') return socketStream(new Socket({ fd: target.fd }));
    if (target.kind === 'tcp') return await connectTcp(target);
    return new DescriptorStream(native, native.connectUnix(target.path));
  } catch (error) {
    throw refused(`connect to ${vchanTargetName(target)}`, error);
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
  native: NativeVchanTarget,
  target: VchanTarget,
  onConnection: (stream: ByteStream) => void,
): Promise<{ close(): void }> {
  if (target.kind === 'unix') {
    return listenUnixSocket(native, target.path, 'clients', {
      add: (fd) => onConnection(new DescriptorStream(native, fd)),
      finish: () => {},
    });
  }
  try {
    return await listenWithNode(target, onConnection);
  } catch (error) {
    throw refused(`listen at ${vchanTargetName(target)}`, error);
  }
}
