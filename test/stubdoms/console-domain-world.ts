/**
 * A simulated host whose consoles are in a domain of their own: that domain and the relay in dom0, which
 * tests kill and start again, guests that print, and what stands in the logs then.
 */
import { XenconsInterface } from '../../src/abi/io/console.ts';
import { DOM0, type DomId } from '../../src/base/ids.ts';
import { restoreDevices } from '../../src/dom0/driver-domain/devices.ts';
import type { FaultPlan } from '../../src/hypervisor/sim/faults.ts';
import type { Xenconsoled } from '../../src/xenconsoled/xenconsoled.ts';
import { writeDirectory } from '../../src/xenstore/directories.ts';
import type { Permission } from '../../src/xenstore/xenstore.ts';
import { startConsoleRelay } from '../../stubdoms/xenconsoled/relay-service.ts';
import { type ConsoleService, startConsoleService } from '../../stubdoms/xenconsoled/service.ts';
import { type HostGuest, type HostProcess, SimHost } from '../xenbus/sim-host.ts';
import { FakeFile, FakeLog, FakeTerminal, guestEnd } from '../xenconsoled/console-host.ts';

const NAME = 'xenconsoled';
/** What libxl keeps to itself. */
const DOM0S: readonly Permission[] = [{ domid: DOM0, access: 'n' }];

/** A guest with its own end of the console. */
export interface PrintingGuest extends HostGuest {
  readonly path: string;
  readonly received: () => string;
  /** Prints all of it, as fast as the ring takes it. */
  print(bytes: Uint8Array): void;
}

export class ConsoleDomainWorld {
  readonly host: SimHost;
  readonly disk = new Map<string, FakeFile>();
  readonly notes = new Map<string, string>();
  readonly terminals: FakeTerminal[] = [];
  domain!: HostGuest;
  relay: Xenconsoled | undefined;
  private service: ConsoleService | undefined;
  private relayProcess: HostProcess | undefined;
  private logs: FakeLog[] = [];
  /** How long the disk takes for each write. */
  disk_ms = 0;

  private constructor(seed: number, faults: Partial<FaultPlan>) {
    this.host = new SimHost(seed, faults);
  }

  /** Both halves are there and connected. */
  static async start(seed = 1, faults: Partial<FaultPlan> = {}): Promise<ConsoleDomainWorld> {
    const world = new ConsoleDomainWorld(seed, faults);
    await world.startDomain();
    await world.startRelay();
    await world.host.settle();
    return world;
  }

  /** Makes the domain, again under its number where there was one, and gives it what it served. */
  async startDomain(): Promise<void> {
    const { host } = this;
    this.domain = await host.guest(this.domain?.domid);
    const { domid, hypervisor, xenstore, boot } = this.domain;
    const home = `/local/domain/${domid}`;
    await host.finish(host.tools.write(`${home}/name`, NAME));
    await host.finish(restoreDevices(host.tools, domid));
    const { clock } = boot.domain;
    const parts = { hypervisor, xenstore, clock, log: host.logger, overflow: 'discard' } as const;
    this.service = await host.finish(startConsoleService(parts));
  }

  /** `xl destroy`: nothing of it runs any more, and nobody is told but xenstored. */
  destroyDomain(): void {
    this.service = undefined;
    this.domain.boot.domain.kill();
  }

  async startRelay(): Promise<void> {
    const process = this.host.startProcess();
    this.relayProcess = process;
    const { hypervisor, control, clock, xenstore } = process;
    this.relay = await this.host.finish(
      startConsoleRelay(
        {
          ...{ hypervisor, domainControl: control, xenstore, clock },
          log: this.host.logger,
          openTerminal: () => {
            const terminal = new FakeTerminal(`/dev/pts/${this.terminals.length}`);
            this.terminals.push(terminal);
            return terminal;
          },
          openLog: (name) => {
            const file = this.disk.get(name) ?? new FakeFile();
            this.disk.set(name, file);
            const log = new FakeLog(file, clock);
            log.slowDown(this.disk_ms);
            this.logs.push(log);
            return log;
          },
          openNote: (name) => ({
            read: () => this.notes.get(name) ?? '',
            write: (text) => {
              if (process === this.relayProcess) this.notes.set(name, text);
            },
            close: () => {},
            discard: () => this.notes.delete(name),
          }),
        },
        {
          log: { guest: true, hv: false },
          timestamp: { guest: false, hv: false },
          logFormat: 'text',
          replaceEscape: false,
        },
        NAME,
      ),
    );
  }

  /** SIGKILL. Terminals and files end with it. */
  async killRelay(): Promise<void> {
    this.relay = undefined;
    this.relayProcess?.kill();
    this.relayProcess = undefined;
    for (const log of this.logs) log.kill();
    for (const terminal of this.terminals) terminal.close();
  }

  /** As an operator ends it. */
  async endRelay(): Promise<void> {
    if (this.relay !== undefined) await this.host.finish(this.relay.close());
    this.relay = undefined;
  }

  /** What libxl writes of a guest whose console is for the domain. */
  async addGuest(name: string, firstIndex = 0): Promise<PrintingGuest> {
    const { host } = this;
    const server = this.domain.domid;
    const guest = await host.guest(undefined, server);
    const { domid, boot } = guest;
    const view = XenconsInterface.view(boot.console.page.page(0));
    for (const index of ['in_cons', 'in_prod', 'out_cons', 'out_prod'] as const) {
      view[index] = firstIndex;
    }
    const path = `/local/domain/${domid}/console`;
    const back = `/local/domain/${server}/backend/console/${domid}/0`;
    const own: readonly Permission[] = [
      { domid: server, access: 'n' },
      { domid, access: 'r' },
    ];
    const backKeys = { frontend: path, 'frontend-id': domid, online: 1, state: 1 };
    await host.finish(
      host.tools.transaction(async (nodes) => {
        await nodes.write(`/local/domain/${domid}/name`, name);
        await writeDirectory(nodes, path, own, {
          ...{ 'backend-id': server, type: 'xenconsoled', limit: 1048576, tty: '' },
          ...{ port: boot.console.channel.port, 'ring-ref': boot.console.gfn },
        });
        await writeDirectory(nodes, back, own, backKeys);
        const record = `/libxl/${domid}/device/console/0`;
        await writeDirectory(nodes, record, DOM0S, { ...backKeys, backend: back });
      }),
    );
    return { ...guest, path, ...guestEnd(boot) };
  }

  /** `xl destroy` for a guest. */
  async removeGuest({ domid, boot, xenstore, path }: PrintingGuest): Promise<void> {
    const { host } = this;
    xenstore.close();
    for (const gone of [path, `/libxl/${domid}`]) await host.finish(host.tools.remove(gone));
    boot.domain.kill();
    await host.settle();
  }

  logOf(name: string): string | undefined {
    return this.disk.get(`guest-${name}.log`)?.content;
  }

  /** Whether everything has come where it goes. */
  async until(holds: () => boolean): Promise<void> {
    await this.host.run({ until: holds, for_ms: 600_000 });
  }

  /** Ends everything; what is still held then. */
  async end(): Promise<string[]> {
    const { host } = this;
    await this.endRelay();
    if (this.service !== undefined) await host.finish(this.service.close());
    const open = this.terminals
      .filter(({ closed }) => !closed)
      .map(({ path }) => `${path} is open`);
    const logs = this.logs.filter(({ closed }) => !closed).map(() => 'a log is open');
    return [...open, ...logs, ...(await host.end())];
  }

  /** The value of a node. */
  value(path: string): Promise<string | undefined> {
    return this.host.value(path);
  }

  /** The console domain's number. */
  get domid(): DomId {
    return this.domain.domid;
  }
}
