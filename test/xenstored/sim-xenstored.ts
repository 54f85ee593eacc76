/** Our xenstored in domain 0 of a simulated world, its clients, and domains to introduce. */
import { XS_INTRODUCE, XS_SET_PERMS } from '../../src/abi/io/xs_wire.ts';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { latin1Decode } from '../../src/base/bytes.ts';
import { XenError } from '../../src/base/errors.ts';
import { DOM0, domId } from '../../src/base/ids.ts';
import { logTo } from '../../src/base/log.ts';
import type { EventChannel, Pages, SharedPages } from '../../src/hypervisor/contract.ts';
import { type SimGuest, SimWorld } from '../../src/hypervisor/sim/world.ts';
import { recover } from '../../src/xenstored/journal/recovery.ts';
import type { Successor } from '../../src/xenstored/live-update.ts';
import { DEFAULT_OPTIONS, type XenstoredOptions } from '../../src/xenstored/options.ts';
import { startXenstored, type Xenstored } from '../../src/xenstored/server.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { Killed, MemoryJournal, type MortalJournal } from './journal/memory-journal.ts';
import { LinuxFront } from './linux-front.ts';
import { RawClient } from './raw-client.ts';

/** Bytes that the memory between a socket's two ends holds. */
const SOCKET_CAPACITY = 8192;

/** The same, except that closing it does nothing: a guest's ring can be taken up again. */
function lent<Handle extends Pages | EventChannel>(handle: Handle): Handle {
  return new Proxy(handle, {
    get: (target, name) => {
      if (name === 'close') return () => {};
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** The host boots once. */
const EPOCH = 'boot';

/** The stream itself holds nothing back. */
const nothing = () => new Uint8Array(0);
const handover = (fd: number) => ({ fd, unread: nothing, unsent: nothing });

export class SimXenstored<Journal extends MortalJournal = MemoryJournal> {
  readonly world: SimWorld;
  xenstored: Xenstored;
  /** What was logged, as `warn: message`. */
  readonly log: string[] = [];
  readonly journal: Journal;
  readonly guests = new Map<number, SimGuest>();
  /** What a live update would start, by its file. */
  readonly successors = new Map<string, Successor>();
  /** Dom0's own kernel. */
  readonly kernel: RawClient;
  private readonly options: Partial<XenstoredOptions>;
  /** The server's ends, by the descriptors that they would have. */
  private readonly sockets = new Map<number, ByteStream>();
  private readonly dom0;
  private readonly kernelPage: SharedPages;
  private readonly kernelChannel: EventChannel;
  private readonly rings: RawClient[] = [];

  /** @param journal in memory that has no end, unless given */
  constructor(
    options: Partial<XenstoredOptions> = {},
    seed = 1,
    journal: MortalJournal = new MemoryJournal(),
  ) {
    this.journal = journal as Journal;
    this.world = new SimWorld({ seed });
    this.dom0 = this.world.createDomain();
    this.options = options;
    const { kernel } = this.dom0;
    this.kernelPage = kernel.grants.share(DOM0, 1, 'read-write');
    this.kernelChannel = kernel.events.allocateUnbound(DOM0);
    this.xenstored = this.start(undefined);
    this.kernel = new RawClient(new LinuxFront(this.kernelPage, this.kernelChannel));
  }

  /** Kills xenstored as SIGKILL does, and starts another that takes up the state; sockets, too. */
  takeOver(state: ServerState): void {
    this.dom0.restartProcess();
    this.xenstored = this.start(state);
  }

  /** Kills xenstored as SIGKILL does, and starts another that has its journal and nothing else. */
  kill(): void {
    this.journal.killAfter = undefined;
    this.dom0.restartProcess();
    for (const socket of this.sockets.values()) socket.close();
    const { quotas } = DEFAULT_OPTIONS;
    const log = logTo((level, message) => this.log.push(`${level}: ${message}`));
    this.xenstored = this.start(recover(this.journal.bytes, quotas, EPOCH, log));
  }

  socket(): RawClient {
    const [ours, theirs] = bytePipe(this.world.clock, SOCKET_CAPACITY);
    const fd = this.sockets.size + 1;
    this.sockets.set(fd, theirs);
    this.xenstored.attachSocket(theirs, `socket ${fd}`, handover(fd));
    return new RawClient(ours);
  }

  /** A guest that exists from now on and is not introduced. */
  build(domid: number): SimGuest {
    const guest = this.world.buildGuest({ domid: domId(domid) });
    this.guests.set(domid, guest);
    return guest;
  }

  /** The guest's end of its ring. */
  connectRing(domid: number): RawClient {
    const { xenstore } = this.guests.get(domid) as SimGuest;
    const client = new RawClient(new LinuxFront(lent(xenstore.page), lent(xenstore.channel)));
    this.rings.push(client);
    return client;
  }

  introduceRequest(domid: number): string {
    const { xenstore } = this.guests.get(domid) as SimGuest;
    return `${domid}|${xenstore.gfn}|${xenstore.channel.port}|`;
  }

  /** A guest whose ring is served. */
  async guest(domid: number): Promise<RawClient> {
    this.build(domid);
    const tools = this.socket();
    tools.send(XS_INTRODUCE, this.introduceRequest(domid));
    await this.settle();
    tools.stream.close();
    const client = this.connectRing(domid);
    await this.settle();
    return client;
  }

  /** As `guest`, with a home of its own at `/local/domain/<domid>`. */
  async guestWithHome(domid: number): Promise<RawClient> {
    const client = await this.guest(domid);
    const tools = this.socket();
    tools.write(`/local/domain/${domid}`, '');
    tools.send(XS_SET_PERMS, `/local/domain/${domid}|n${domid}|`);
    await this.settle();
    tools.stream.close();
    return client;
  }

  /** Sends a request, lets everybody do what is to do, and returns what came of it. */
  async ask(client: RawClient, type: number, payload: string, transactionId = 0) {
    client.send(type, payload, transactionId);
    await this.settle();
    return client.take();
  }

  /** The reply alone. */
  async reply(client: RawClient, type: number, payload: string, transactionId = 0) {
    return (await this.ask(client, type, payload, transactionId)).reply;
  }

  /**
   * Runs until nothing is left to do but to wait. Where the journal kills xenstored on the way,
   * another one recovers from it and goes on.
   */
  async settle(): Promise<void> {
    for (;;) {
      try {
        await this.world.run({ for_ms: 1000 });
        return;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        this.kill();
      }
    }
  }

  private start(state: ServerState | undefined): Xenstored {
    const { hypervisor, control, clock } = this.dom0;
    const log = logTo((level, message) => this.log.push(`${level}: ${message}`));
    const xenstored = startXenstored({
      hypervisor,
      domainControl: control,
      clock,
      log,
      options: this.options,
      state,
      journal: { storage: this.journal, epoch: EPOCH },
      succession: {
        find: (program) => {
          // An image here is nothing but the name of what it holds.
          const file = typeof program === 'string' ? program : latin1Decode(program);
          const found = this.successors.get(file);
          if (found === undefined) throw new XenError('ENOENT', `find ${file}`);
          return found;
        },
      },
      adoptSocket: ({ fd }) => ({
        stream: this.sockets.get(fd) as ByteStream,
        handover: handover(fd),
      }),
    });
    const ours = hypervisor.events.bindInterdomain(DOM0, this.kernelChannel.port);
    xenstored.attachKernelRing(hypervisor.grants.map(DOM0, this.kernelPage.refs), ours);
    return xenstored;
  }

  /** Ends everything; what is still held then is returned. */
  async finish(): Promise<string[]> {
    this.xenstored.close();
    this.kernel.stream.close();
    for (const ring of this.rings) ring.stream.close();
    for (const { domain } of this.guests.values()) domain.kill();
    await this.world.run();
    this.dom0.kernel.close();
    return this.world.leftovers();
  }
}
