/** What xenstored is made of, as a process of dom0. */
import { readFileSync } from 'node:fs';
import { errorMessage, XenError } from '../../src/base/errors.ts';
import { Holdings } from '../../src/base/holdings.ts';
import { domId, type EventPort } from '../../src/base/ids.ts';
import type { Log } from '../../src/base/log.ts';
import { openDomainControl, openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { openKernelStoreRing } from '../../src/hypervisor/linux/kernel-store-ring.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { JournalFile } from '../../src/node/journal-file.ts';
import type { SocketListener } from '../../src/node/socket-path.ts';
import { traceFile } from '../../src/node/trace-file.ts';
import { type UnixSocket, UnixSockets } from '../../src/node/unix-socket.ts';
import { adoptXenstoreSocket, listenXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import { recover } from '../../src/xenstored/journal/recovery.ts';
import { DEFAULT_OPTIONS, type XenstoredOptions } from '../../src/xenstored/options.ts';
import { type AdoptedSocket, startXenstored, type Xenstored } from '../../src/xenstored/server.ts';
import type { ServerState, SocketCarrierState } from '../../src/xenstored/state.ts';
import { successionOf } from './succession.ts';
import { forgetTakeOver, type TakenOver, takeOver } from './takeover.ts';

export interface XenstoredSettings {
  /** Where clients of the tools connect. */
  readonly socket: string;
  /**
   * Serve the rings of dom0's kernel and of guests. Without it there is the socket alone, and
   * neither Xen nor root is needed.
   */
  readonly domains: boolean;
  /** dom0's event channel, where it is not the one that its kernel names. */
  readonly kernelPort?: EventPort | undefined;
  /** Trace every request and reply to this file from the start. */
  readonly traceFile?: string | undefined;
  /**
   * Where all that must outlive this process is kept. What an earlier process kept there is taken
   * up, its limits instead of those of `options`.
   */
  readonly journal?: JournalSettings | undefined;
  /** Go on with what the program has left that was this process before. */
  readonly takeOver?: boolean;
  /** The file that names this process, which a successor goes on to be named by. */
  readonly pidFile?: string | undefined;
  readonly options?: Partial<XenstoredOptions>;
}

export interface JournalSettings {
  readonly path: string;
  /** What a client was told outlives a loss of power, too. */
  readonly durable: boolean;
}

/** This boot of the host, with which the rings of domains end. */
function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

/** What the journal tells of an earlier process. Throws EINVAL, which leaves the file as it is. */
function recoverFrom(
  { found }: JournalFile,
  { path }: JournalSettings,
  { quotas }: XenstoredOptions,
  log: Log,
): ServerState | undefined {
  if (found === undefined) return undefined;
  try {
    const state = recover(found, quotas, bootId(), log);
    log.info('took up the journal', { path, domains: state?.domains.length });
    return state;
  } catch (error) {
    const detail = `${errorMessage(error)}; move it away to begin with an empty store`;
    throw new XenError('EINVAL', `take up the journal ${path}`, detail, error);
  }
}

/** Serves dom0's kernel on the ring that it has had since it booted. */
function attachKernel(
  xenstored: Xenstored,
  settings: XenstoredSettings,
  hypervisor: ReturnType<typeof openLinuxHypervisor>,
): void {
  const { pages, channel } = openKernelStoreRing(hypervisor, {
    domid: domId(settings.options?.masterDomid ?? DEFAULT_OPTIONS.masterDomid),
    port: settings.kernelPort,
  });
  xenstored.attachKernelRing(pages, channel);
}

/** A client's socket that was open before this program was here. */
function adoptSocket(
  sockets: UnixSockets,
  { fd, unsent }: SocketCarrierState,
  log: Log,
): AdoptedSocket | undefined {
  try {
    const socket = sockets.adopt(fd, unsent);
    return { stream: socket, handover: socket };
  } catch (error) {
    log.error(`a client is lost: descriptor ${fd} is not its socket: ${errorMessage(error)}`, {
      fd,
    });
    return undefined;
  }
}

/** What clients are called for people, with a number behind. */
const CLIENT = 'socket ';

function lastClient({ connections }: ServerState): number {
  return connections.reduce((last, { carrier }) => {
    const name = carrier.kind === 'socket' ? carrier.name : '';
    return Math.max(last, Number(name.startsWith(CLIENT) ? name.slice(CLIENT.length) : 0) || 0);
  }, 0);
}

/** Listens for clients, with the socket that there is already if there is one. */
async function listen(
  xenstored: Xenstored,
  socket: string,
  taken: TakenOver | undefined,
): Promise<SocketListener> {
  let clients = taken === undefined ? 0 : lastClient(taken.state);
  const attach = (client: UnixSocket) => {
    clients++;
    xenstored.attachSocket(client, `${CLIENT}${clients}`, client);
  };
  const adopted = taken?.listener;
  if (adopted === undefined) return listenXenstoreSocket(loadNative(), socket, attach);
  return adoptXenstoreSocket(loadNative(), adopted, socket, attach);
}

/** Starts the daemon. Rejects with `XenError` when Xen or the socket can't be had. */
export async function openXenstored(settings: XenstoredSettings, log: Log): Promise<Holdings> {
  const held = new Holdings();
  try {
    const trace = held.keep(traceFile(settings.traceFile, log));
    if (settings.traceFile !== undefined) trace.open();
    const { journal } = settings;
    const options: XenstoredOptions = { ...DEFAULT_OPTIONS, ...settings.options };
    const domainControl = settings.domains ? held.keep(openDomainControl()) : undefined;
    const taken = settings.takeOver ? takeOver(options, domainControl, log) : undefined;
    const hypervisor = settings.domains ? held.keep(openLinuxHypervisor()) : undefined;
    const storage = journal && held.keep(new JournalFile(loadNative(), journal));
    const journalled = () => journal && storage && recoverFrom(storage, journal, options, log);
    const adopted = new UnixSockets(loadNative());
    let listener: SocketListener | undefined;
    const xenstored = held.keep(
      startXenstored({
        hypervisor,
        domainControl,
        clock: nodeClock,
        log,
        options,
        traceFile: trace,
        state: taken === undefined ? journalled() : taken.state,
        adoptSocket: (carrier) => adoptSocket(adopted, carrier, log),
        journal: storage && { storage, epoch: bootId() },
        succession: successionOf({
          native: loadNative(),
          hypervisor,
          listener: () => listener?.fd ?? -1,
          journal: journal?.path,
          pidFile: settings.pidFile,
        }),
      }),
    );
    adopted.finish();
    // At once, so that its watches miss nothing.
    if (hypervisor !== undefined) attachKernel(xenstored, settings, hypervisor);
    listener = held.keep(await listen(xenstored, settings.socket, taken));
    if (taken !== undefined) forgetTakeOver();
    return held;
  } catch (error) {
    held.close();
    throw error;
  }
}
