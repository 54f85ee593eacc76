/** Domain 0 of the simulated host: the services that `paravane run` starts, on simulated parts. */
import { startBlkback } from '../../../stubdoms/blkback/service.ts';
import { startNetback } from '../../../stubdoms/netback/service.ts';
import { SwitchNetwork } from '../../../stubdoms/netback/switch-network.ts';
import { bytePipe } from '../../base/byte-pipe.ts';
import type { Log } from '../../base/log.ts';
import { MemoryDisk } from '../../block/memory-disk.ts';
import type { SimDomain, SimGuest } from '../../hypervisor/sim/world.ts';
import { parseIpv4Range } from '../../net/ipv4-range.ts';
import type { Terminal } from '../../xenconsoled/terminal.ts';
import { startXenconsoled, XENCONSOLED_DEFAULTS } from '../../xenconsoled/xenconsoled.ts';
import { XenstoreClient } from '../../xenstore/client.ts';
import { domainHome } from '../../xenstore/path.ts';
import type { Xenstore } from '../../xenstore/xenstore.ts';
import { startXenstored, type XenstoredStatus } from '../../xenstored/server.ts';
import { LineStream } from './line-stream.ts';

/** The network of the guests. */
export const NETWORK = parseIpv4Range('10.0.0.0/24');
const DISK_BYTES = 4 * 1024 * 1024;

export interface Host {
  /** The toolstack's connection to xenstored. */
  readonly store: Xenstore;
  status(): XenstoredStatus;
  /** Whoever sits at the console of a guest, once xenconsoled has opened a terminal for it. */
  viewer(guest: SimGuest): Promise<LineStream>;
  close(): Promise<void>;
}

/** Terminals in the place of ptys, and the other end of each for a viewer. */
class Terminals {
  private readonly dom0: SimDomain;
  private readonly viewers = new Map<string, LineStream>();

  constructor(dom0: SimDomain) {
    this.dom0 = dom0;
  }

  open(): Terminal {
    const [daemon, viewer] = bytePipe(this.dom0.clock);
    const path = `/simulated/pts/${this.viewers.size}`;
    this.viewers.set(path, new LineStream(viewer));
    return Object.assign(daemon, { path });
  }

  viewer(path: string): LineStream {
    const viewer = this.viewers.get(path);
    if (viewer === undefined) throw new Error(`xenconsoled never opened ${path}`);
    return viewer;
  }
}

/** The value of a node as soon as there is one. */
async function awaitValue(store: Xenstore, path: string): Promise<string> {
  let found = (_: string) => {};
  const value = new Promise<string>((resolve) => {
    found = resolve;
  });
  const watch = await store.watch(path, () => {
    void store.readIfPresent(path).then((text) => text !== undefined && found(text));
  });
  const text = await value;
  await watch.close();
  return text;
}

function refuse(what: string): never {
  throw new Error(`the simulated host has no use for ${what}`);
}

/**
 * Starts xenstored, xenconsoled, blkback and netback in `dom0`.
 *
 * @param logOf the log of each service
 * @param trace told every xenstore request and reply
 */
export async function startHost(
  dom0: SimDomain,
  logOf: (service: string) => Log,
  trace: (line: string) => void,
): Promise<Host> {
  const { clock, hypervisor, control: domainControl } = dom0;
  if (domainControl === undefined) throw new Error('domain 0 has the privileged calls');
  const xenstored = startXenstored({
    hypervisor,
    domainControl,
    clock,
    log: logOf('xenstored'),
    traceFile: { isOpen: true, open() {}, close() {}, write: trace, append() {} },
  });
  const connect = (name: string) => {
    const [client, server] = bytePipe(clock);
    xenstored.attachSocket(server, name);
    return new XenstoreClient(client, clock);
  };
  const store = connect('toolstack');
  const terminals = new Terminals(dom0);
  const xenconsoled = await startXenconsoled(
    {
      hypervisor,
      domainControl,
      xenstore: connect('xenconsoled'),
      clock,
      log: logOf('xenconsoled'),
      openTerminal: () => terminals.open(),
      // Nothing is logged, so neither is ever opened.
      openLog: () => refuse('a log'),
      openNote: () => refuse('a note'),
    },
    XENCONSOLED_DEFAULTS,
  );
  const blkback = await startBlkback({
    hypervisor,
    xenstore: connect('blkback'),
    clock,
    log: logOf('blkback'),
    options: {},
    openDisk: async () => new MemoryDisk(DISK_BYTES),
  });
  const network = new SwitchNetwork({
    clock,
    log: logOf('netback'),
    leases: { load: async () => [], save: async () => {}, remove: async () => {} },
    filter: true,
  });
  await network.serveDhcp(NETWORK);
  const netback = await startNetback({
    hypervisor,
    xenstore: connect('netback'),
    clock,
    log: logOf('netback'),
    options: {},
    networkFor: (name) => network.networkFor(name),
  });
  return {
    store,
    status: () => xenstored.status(),
    viewer: async (guest) =>
      terminals.viewer(await awaitValue(store, `${domainHome(guest.domain.domid)}/console/tty`)),
    async close() {
      await netback.close();
      network.close();
      await blkback.close();
      await xenconsoled.close();
      xenstored.close();
      hypervisor.close();
    },
  };
}
