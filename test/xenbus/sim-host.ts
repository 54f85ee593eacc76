/**
 * A simulated host: our xenstored in domain 0, guests with their xenstore rings, and a toolstack
 * that writes what libxl writes when it attaches and removes a device.
 */
import { bytePipe } from '../../src/base/byte-pipe.ts';
import { type Clock, sleep } from '../../src/base/clock.ts';
import { DOM0, type DomId } from '../../src/base/ids.ts';
import { type Log, logTo } from '../../src/base/log.ts';
import type { DomainControl, Hypervisor } from '../../src/hypervisor/contract.ts';
import {
  type FaultPlan,
  type SimDomain,
  type SimGuest,
  SimWorld,
} from '../../src/hypervisor/sim/world.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { writeDirectory } from '../../src/xenstore/directories.ts';
import { xenstoreRingStream } from '../../src/xenstore/ring-transport.ts';
import type { Permission, XenstoreNodes } from '../../src/xenstore/xenstore.ts';
import { startXenstored, type Xenstored } from '../../src/xenstored/server.ts';

export interface HostGuest {
  readonly domid: DomId;
  readonly boot: SimGuest;
  readonly hypervisor: Hypervisor;
  readonly xenstore: XenstoreClient;
}

/** A process in domain 0, with its own connection to xenstored. */
export interface HostProcess {
  readonly hypervisor: Hypervisor;
  readonly control: DomainControl;
  readonly clock: Clock;
  readonly xenstore: XenstoreClient;
  /** As SIGKILL does it. */
  kill(): void;
}

export interface HostDevice {
  readonly front: string;
  readonly back: string;
}

const ignore = () => {};

export class SimHost {
  readonly world: SimWorld;
  /** What services logged, as `warn: message {fields}`. */
  readonly log: string[] = [];
  readonly logger: Log;
  readonly tools: XenstoreClient;
  private readonly dom0: SimDomain;
  private readonly xenstored: Xenstored;
  private readonly guests: HostGuest[] = [];
  private readonly processes: HostProcess[] = [];
  /** Settled when whoever runs the world has ended that. */
  private runner: Promise<void> | undefined;

  constructor(seed = 1, faults: Partial<FaultPlan> = {}) {
    this.world = new SimWorld({ seed, faults });
    this.logger = logTo((level, message, fields) =>
      this.log.push(`${level}: ${message} ${JSON.stringify(fields)}`),
    );
    this.dom0 = this.world.createDomain();
    const { hypervisor, control, clock } = this.dom0;
    this.xenstored = startXenstored({
      hypervisor,
      domainControl: control,
      clock,
      log: this.logger,
    });
    this.tools = this.connect(clock, 'tools');
  }

  /**
   * Runs the world until the promise is settled. Within the world, where others run it already, only
   * waits, for as long as they do.
   */
  async finish<T>(promise: Promise<T>): Promise<T> {
    while (this.runner !== undefined) {
      const settled = promise.then(ignore, ignore).then(() => true);
      if (await Promise.race([settled, this.runner.then(() => false)])) return promise;
    }
    return this.running(this.world.finish(promise));
  }

  /** Lets everybody do what is to do. */
  async settle(for_ms = 1000): Promise<void> {
    if (this.runner !== undefined) return this.finish(sleep(this.world.clock, for_ms));
    await this.run({ for_ms });
  }

  async run(options: Parameters<SimWorld['run']>[0]): Promise<void> {
    await this.running(this.world.run(options));
  }

  private async running<T>(run: Promise<T>): Promise<T> {
    const runner = run.then(ignore, ignore);
    this.runner = runner;
    try {
      return await run;
    } finally {
      if (this.runner === runner) this.runner = undefined;
    }
  }

  startProcess(): HostProcess {
    const started = this.dom0.startProcess();
    const { hypervisor, clock } = started;
    const control = started.control as DomainControl;
    const xenstore = this.connect(clock, 'process');
    const process: HostProcess = {
      hypervisor,
      control,
      clock,
      xenstore,
      kill: () => {
        started.kill();
        xenstore.close();
      },
    };
    this.processes.push(process);
    return process;
  }

  /**
   * @param wanted a number of one's own choice, such as that of a domain that is gone
   * @param consoleDomid the domain that serves its console
   */
  async guest(wanted?: DomId, consoleDomid = DOM0): Promise<HostGuest> {
    const domidWanted = wanted === undefined ? {} : { domid: wanted };
    const boot = this.world.buildGuest({ ...domidWanted, consoleDomid });
    const { domid, clock, hypervisor } = boot.domain;
    const home = `/local/domain/${domid}`;
    await this.finish(
      this.tools.transaction(async (nodes) => {
        await nodes.mkdir(home);
        await nodes.setPermissions(home, [{ domid, access: 'n' }]);
      }),
    );
    await this.finish(this.tools.introduce(domid, boot.xenstore.gfn, boot.xenstore.channel.port));
    const stream = xenstoreRingStream(boot.xenstore.page, boot.xenstore.channel, 'client');
    const guest = { domid, boot, hypervisor, xenstore: new XenstoreClient(stream, clock) };
    this.guests.push(guest);
    return guest;
  }

  /**
   * What libxl writes for a new device, `libxl__device_generic_add`, its own record included where
   * the back end is in a driver domain.
   */
  async attach(
    guest: HostGuest,
    type: string,
    devid: number,
    keys: Record<string, string> = {},
    frontKeys: Record<string, string> = {},
    backend = DOM0,
  ): Promise<HostDevice> {
    const device = devicePaths(guest, type, devid, backend);
    const back: Record<string, string> = {
      frontend: device.front,
      'frontend-id': String(guest.domid),
      online: '1',
      state: '1',
      ...keys,
    };
    const front = {
      backend: device.back,
      'backend-id': String(backend),
      state: '1',
      ...frontKeys,
    };
    await this.finish(
      this.tools.transaction(async (nodes) => {
        await writeDirectory(nodes, device.front, readableBy(guest.domid, backend), front);
        await writeDirectory(nodes, device.back, readableBy(backend, guest.domid), back);
        if (backend === DOM0) return;
        const record = `/libxl/${guest.domid}/device/${type}/${devid}`;
        for (const [key, value] of Object.entries({ ...back, backend: device.back })) {
          await nodes.write(`${record}/${key}`, value);
        }
      }),
    );
    return device;
  }

  /** What libxl does first to remove a device. */
  async askToClose(device: HostDevice): Promise<void> {
    await this.finish(
      this.tools.transaction(async (nodes) => {
        await nodes.write(`${device.back}/online`, '0');
        if ((await nodes.read(`${device.back}/state`)) !== '6') {
          await nodes.write(`${device.back}/state`, '5');
        }
      }),
    );
  }

  /** What libxl does last: both directories go, and what is empty above them. */
  async removeDirectories(device: HostDevice): Promise<void> {
    await this.finish(
      this.tools.transaction(async (nodes) => {
        await removeWithEmptyParents(nodes, device.front);
        await removeWithEmptyParents(nodes, device.back);
      }),
    );
  }

  /** What libxl does first to remove a device by force: the front end is not asked. */
  async forceClose(device: HostDevice): Promise<void> {
    await this.finish(
      this.tools.transaction(async (nodes) => {
        await removeWithEmptyParents(nodes, device.front);
        if ((await nodes.readIfPresent(`${device.back}/state`)) === undefined) return;
        await nodes.write(`${device.back}/online`, '0');
        await nodes.write(`${device.back}/state`, '5');
      }),
    );
    await this.settle();
  }

  /** `xl destroy`: the devices are removed by force, and the domain ends. */
  async destroy(guest: HostGuest, devices: readonly HostDevice[]): Promise<void> {
    guest.xenstore.close();
    for (const device of devices) {
      await this.forceClose(device);
      await this.removeDirectories(device);
    }
    guest.boot.domain.kill();
    await this.settle();
  }

  async exists(path: string): Promise<boolean> {
    return (await this.value(path)) !== undefined;
  }

  value(path: string): Promise<string | undefined> {
    return this.finish(this.tools.readIfPresent(path));
  }

  /** Every node of the store. */
  async tree(path = '/'): Promise<string[]> {
    const below = path === '/' ? '/' : `${path}/`;
    const found: string[] = [];
    for (const name of await this.finish(this.tools.list(path))) {
      found.push(`${below}${name}`, ...(await this.tree(`${below}${name}`)));
    }
    return found;
  }

  /** Ends everything; what is still held then is returned. */
  async end(): Promise<string[]> {
    for (const guest of this.guests) {
      guest.xenstore.close();
      guest.boot.domain.kill();
    }
    for (const process of this.processes) process.xenstore.close();
    this.tools.close();
    this.xenstored.close();
    await this.settle();
    this.dom0.kernel.close();
    return this.world.leftovers();
  }

  private connect(clock: Clock, name: string): XenstoreClient {
    const [ours, theirs] = bytePipe(this.world.clock);
    this.xenstored.attachSocket(theirs, name);
    return new XenstoreClient(ours, clock);
  }
}

export function devicePaths(
  guest: HostGuest,
  type: string,
  devid: number,
  backend = DOM0,
): HostDevice {
  return {
    front: `/local/domain/${guest.domid}/device/${type}/${devid}`,
    back: `/local/domain/${backend}/backend/${type}/${guest.domid}/${devid}`,
  };
}

const readableBy = (owner: DomId, reader: DomId): readonly Permission[] => [
  { domid: owner, access: 'n' },
  { domid: reader, access: 'r' },
];

async function removeWithEmptyParents(nodes: XenstoreNodes, path: string): Promise<void> {
  if ((await nodes.readIfPresent(path)) !== undefined) await nodes.remove(path);
  for (let parent = path; ; ) {
    parent = parent.slice(0, parent.lastIndexOf('/'));
    if (/^\/local\/domain\/\d+$/.test(parent)) return;
    if ((await nodes.readIfPresent(parent)) === undefined) continue;
    if ((await nodes.list(parent)).length > 0) return;
    await nodes.remove(parent);
  }
}
