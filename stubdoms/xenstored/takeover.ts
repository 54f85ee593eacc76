/** How this process goes on with what another program has been: a live update seen from behind. */
import { closeSync, fstatSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { errorMessage, XenError } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/log.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { xenstoreStatePath } from '../../src/node/xenstore-socket.ts';
import { decodeMigrationStream } from '../../src/xenstored/migration-stream-decode.ts';
import type { XenstoredOptions } from '../../src/xenstored/options.ts';
import { startXenstored } from '../../src/xenstored/server.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { decodeState, isEncodedState } from '../../src/xenstored/state-encoding.ts';

export interface TakenOver {
  readonly state: ServerState;
  /** The socket that clients connect to, which is open already. */
  readonly listener: number | undefined;
}

/** Removes what was taken up, once nobody can need it again. */
export function forgetTakeOver(): void {
  unlinkSync(xenstoreStatePath());
}

/** What Xen knows of the event channels that C's xenstored has left open. */
export interface PortLookup {
  /** The peer's port of one of our own. */
  peerPort(port: number): number | undefined;
}

const EVENT_DEVICE = '/dev/xen/evtchn';

/**
 * Closes C's handle of the event channels, and with it all of them: what binds the same remote ports
 * next has ports that nobody else can have touched, and looks at every ring, so that no signal is
 * missed. To go on with C's handle would save that, and need every local port to be what the stream
 * says.
 */
function closeEventDevice(fd: number, log: Log): void {
  if (isEventDevice(fd)) closeSync(fd);
  else log.warn(`descriptor ${fd} was to be ${EVENT_DEVICE} and is something else`, { fd });
}

/** One that is something else may be this program's own by now, and must not be closed. */
function isEventDevice(fd: number): boolean {
  try {
    const found = fstatSync(fd);
    return found.isCharacterDevice() && found.rdev === statSync(EVENT_DEVICE).rdev;
  } catch {
    return false;
  }
}

function readDump(): Uint8Array {
  const path = xenstoreStatePath();
  try {
    // A plain array: Node's own kind shares its memory where a copy is asked for.
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    const detail = `no xenstored has left its state at ${path}: ${errorMessage(error)}`;
    throw new XenError('ENOENT', 'take over from another xenstored', detail, error);
  }
}

interface Read extends TakenOver {
  readonly events: number | undefined;
}

function readState(options: XenstoredOptions, peerPort: PortLookup['peerPort']): Read {
  const bytes = readDump();
  if (isEncodedState(bytes)) return { ...decodeState(bytes), events: undefined };
  const { quotas, masterDomid } = options;
  return decodeMigrationStream(bytes, { quotas, masterDomid, remotePort: peerPort });
}

/**
 * Reads what the program has left that was this process before: an xenstored of ours or C's. Throws
 * `XenError` when there is nothing, or when it breaks a rule. The file stays until `forgetTakeOver`.
 *
 * @param ports absent without Xen
 */
export function takeOver(
  options: XenstoredOptions,
  ports: PortLookup | undefined,
  log: Log,
): TakenOver {
  const { state, listener, events } = readState(options, (port) => ports?.peerPort(port));
  if (events !== undefined) closeEventDevice(events, log);
  log.info('took over from another xenstored', {
    domains: state.domains.length,
    connections: state.connections.length,
  });
  return { state, listener };
}

/** In the place of a client's socket. */
const SILENT: ByteStream = {
  ended: false,
  read: () => 0,
  write: () => 0,
  onReady() {},
  close() {},
};

/**
 * Finds out whether this program would take up the state that is there, without any of the rings
 * and sockets. Throws the reason why not.
 */
export function rehearseTakeOver(options: XenstoredOptions, log: Log): void {
  const { state } = readState(options, () => undefined);
  const adoptSocket = () => ({ stream: SILENT });
  const xenstored = startXenstored({ clock: nodeClock, log, options, state, adoptSocket });
  const findings = xenstored.check();
  xenstored.close();
  if (findings === 0) return;
  throw new XenError('EINVAL', 'take up the state', `${findings} things do not fit together`);
}
