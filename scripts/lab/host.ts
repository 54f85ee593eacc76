/** A Xen host in the lab whose daemons are all ours: what a user's dom0 runs, in the same order. */
import { join } from 'node:path';
import { CHECKOUT } from './debian.ts';
import type { Lab } from './lab.ts';
import { type DomZeroProcess, LabTimeout } from './process.ts';

/** The `paravane` command. */
export const PARAVANE = join(CHECKOUT, 'dist/paravane.js');

/** The hotplug script for disks that our block back end serves. */
const BLOCK_SCRIPT = join(CHECKOUT, 'scripts/hotplug/paravane-block');

/** Xen's own hotplug script for interfaces, which Linux's back end has to have named. */
export const XEN_NET_SCRIPT = '/etc/xen/scripts/vif-bridge';
/** The hotplug script for interfaces that our network back end serves. */
const NET_SCRIPT = join(CHECKOUT, 'scripts/hotplug/paravane-vif');

const XEN_PROGRAMS = '/usr/lib/xen-4.17/bin';
const C_XENSTORED = `${XEN_PROGRAMS}/xenstored`;
const STORE_DOMAIN_LIMIT_MS = 120_000;

const LIVE_UPDATE_LIMIT_MS = 120_000;
/** Node takes its time to start on an emulated machine whose guests are at work. */
const START_LIMIT_MS = 180_000;

const CLEANING_LIMIT_MS = 60_000;

/** What would make a success not ours: the C daemons and Linux's back end. */
const FOREIGN = ['xenstored', 'oxenstored', 'xenconsoled', 'xen_blkback'];

/** Starts a service of ours in dom0 and resolves when it serves. */
export async function startOurs(
  lab: Lab,
  service: string,
  ...options: string[]
): Promise<DomZeroProcess> {
  const daemon = lab.start([PARAVANE, 'run', service, ...options]);
  await daemon.waitFor(/is ready/, START_LIMIT_MS);
  return daemon;
}

const C_XENCONSOLED = `${XEN_PROGRAMS}/xenconsoled`;

/** Starts the C console daemon with its logs in `directory`, and resolves when it serves `guest`. */
export async function startCXenconsoled(
  lab: Lab,
  directory: string,
  guest: string,
  ...options: string[]
): Promise<DomZeroProcess> {
  await lab.run(['mkdir', '-p', directory]);
  const daemon = lab.start([
    C_XENCONSOLED,
    '-i',
    '--log=all',
    `--log-dir=${directory}`,
    ...options,
  ]);
  await lab.waitFor('log of the C console daemon', async () => {
    const { code } = await lab.attempt(['test', '-e', `${directory}/guest-${guest}.log`]);
    return code === 0 ? true : undefined;
  });
  return daemon;
}

/** A disk line for xl with our block back end. */
export function diskLine(image: string, vdev = 'xvda', access: 'rw' | 'ro' = 'rw'): string {
  return `format=raw,vdev=${vdev},access=${access},script=${BLOCK_SCRIPT},target=${image}`;
}

/** An interface line for xl with our network back end, `options` such as `mac=…,bridge=…`. */
export const vifLine = (options: string) => `${options},script=${NET_SCRIPT}`;

/** What guests could leave behind in dom0. */
export interface Traces {
  /** All of xenstore, with permissions. */
  readonly store: string;
  /** dom0's event channels, without the numbers that differ each time. */
  readonly ports: string;
  /** The domains there are, those included that are dead but still hold memory. */
  readonly domains: string;
}

/** The lines of `after` that `before` does not have (`+`), and the other way round (`-`). */
export function difference(before: Traces, after: Traces): string[] {
  const lines = ({ store, ports, domains }: Traces) => `${store}${ports}${domains}`.split('\n');
  const [old, now] = [lines(before), lines(after)];
  return [
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
  ];
}

/** Starts C's xenstored and resolves when it serves. */
export async function startCXenstored(lab: Lab): Promise<DomZeroProcess> {
  const daemon = lab.start([C_XENSTORED, '-N']);
  const look = async () => {
    return (await lab.attempt('test -S /run/xenstored/socket')).code === 0 || undefined;
  };
  await lab.waitFor("socket of C's xenstored", look, START_LIMIT_MS);
  return daemon;
}

/**
 * Starts the image of `paravane build xenstored` as the first xenstored of dom0, as Xen's own script
 * does where a host is configured so. Resolves when it serves.
 */
export async function startStoreDomain(lab: Lab, image: string, memory_mib = 32): Promise<void> {
  // Where Xen's tools keep what they know of a domain, and which domain xenstored is.
  await lab.run('mkdir -p /var/lib/xen /run/xen');
  const program = `${XEN_PROGRAMS}/init-xenstore-domain`;
  await lab.run([program, '--kernel', image, '--memory', String(memory_mib)], {
    timeout_ms: STORE_DOMAIN_LIMIT_MS,
  });
  await lab.run('xen-init-dom0');
  if (lab.pvhCpus !== undefined) await lab.run(['xl', 'vcpu-pin', 'Xenstore', 'all', lab.pvhCpus]);
}

/** `paravane run store-domain` with what it takes in the lab. */
export function keptStoreOptions(lab: Lab, image: string): string[] {
  return ['--image', image, ...(lab.pvhCpus === undefined ? [] : ['--cpus', lab.pvhCpus])];
}

export class Host {
  readonly lab: Lab;
  /** In the order in which they were started. */
  readonly #daemons = new Map<string, DomZeroProcess>();

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /**
   * Starts xenstored, xenconsoled and blkback in dom0, and resolves when all of them serve.
   *
   * @param xenstored C's is that of Debian's Xen; the other daemons are ours in any case
   */
  static async start(lab: Lab, xenstored: 'ours' | 'c' = 'ours'): Promise<Host> {
    const host = new Host(lab);
    if (xenstored === 'ours') await host.#run('xenstored');
    else host.#daemons.set('xenstored', await startCXenstored(lab));
    await lab.run('xen-init-dom0');
    await Promise.all([host.#run('xenconsoled', '--log', 'all'), host.#run('blkback')]);
    return host;
  }

  /** The same with the image of a store domain, and no back end in dom0. */
  static async startOnStoreDomain(lab: Lab, image: string): Promise<Host> {
    const host = new Host(lab);
    await startStoreDomain(lab, image);
    await host.#run('xenconsoled', '--log', 'all');
    return host;
  }

  /** Starts nothing but a store domain that `paravane run store-domain` keeps. */
  static async startKeptStore(lab: Lab, image: string): Promise<Host> {
    const host = new Host(lab);
    await lab.run('mkdir -p /var/lib/xen /run/xen');
    await host.#run('store-domain', ...keptStoreOptions(lab, image));
    await lab.run('xen-init-dom0');
    return host;
  }

  /** As `start`, with such a store domain in place of a process. */
  static async startOnKeptStore(lab: Lab, image: string): Promise<Host> {
    const host = await Host.startKeptStore(lab, image);
    await Promise.all([host.#run('xenconsoled', '--log', 'all'), host.#run('blkback')]);
    return host;
  }

  /**
   * Starts xenstored in dom0, and the console daemon as a domain that is kept there, from the
   * configuration in the file `config`. Resolves when the relay in dom0 is connected to it.
   */
  static async startOnConsoleDomain(lab: Lab, config: string): Promise<Host> {
    const host = new Host(lab);
    await host.#run('xenstored');
    await lab.run('xen-init-dom0');
    // First, since libxl makes no domain whose console has no terminal.
    await host.#run('console-relay', '--log', 'all');
    await host.#run('driver-domain', '--config', config);
    await host.daemon('console-relay').waitFor(/connected to the domain/, START_LIMIT_MS);
    return host;
  }

  /** The C daemons and kernel back ends that run in dom0: none, if all goes well. */
  async foreignParts(): Promise<string[]> {
    const running = await this.lab.run('cat /proc/[0-9]*/comm; cut -d" " -f1 /proc/modules');
    const names = new Set(running.split('\n'));
    return FOREIGN.filter((name) => names.has(name));
  }

  async traces(): Promise<Traces> {
    return {
      // libxl makes these two with the first guest, for good.
      store: await this.lab.run(`xenstore-ls -fp | grep -vE '^/(vm|libxl) = ""'`),
      ports: await this.lab.run("lsevtchn 0 | sed 's/.*VCPU [0-9]*: //; s/, Port.*//' | sort"),
      domains: await this.lab.run("xl list | awk '{ print $1, $2 }'"),
    };
  }

  /**
   * Waits until what is left behind is what was there `before`: xl cleans up after a guest in the
   * background. Resolves with what differs in the end: nothing, if all goes well.
   */
  async leftovers(before: Traces): Promise<string[]> {
    const look = async () => difference(before, await this.traces());
    const isClean = async () => (await look()).length === 0 || undefined;
    try {
      await this.lab.waitFor('clean host', isClean, CLEANING_LIMIT_MS);
      return [];
    } catch (error) {
      if (error instanceof LabTimeout) return look();
      throw error;
    }
  }

  /** The latest process of one of our services. */
  daemon(service: string): DomZeroProcess {
    const daemon = this.#daemons.get(service);
    if (daemon === undefined) throw new Error(`no ${service} was started here`);
    return daemon;
  }

  /** Ends a daemon with `signal` and starts one of the caller's own in its place. */
  async replace(
    service: string,
    signal: NodeJS.Signals,
    start: (lab: Lab) => Promise<DomZeroProcess>,
  ): Promise<void> {
    const old = this.daemon(service);
    old.signal(signal);
    await old.exit;
    this.#daemons.set(service, await start(this.lab));
  }

  /** How each daemon is and the end of what it wrote, for an error message. */
  lastSeen(): string {
    return [...this.#daemons.values()].map((daemon) => daemon.lastSeen()).join('\n');
  }

  /**
   * Lets xenstored become another program, as an operator does. Resolves when that serves; rejects
   * with what the operator is told.
   */
  async liveUpdate(to: 'ours' | 'c'): Promise<void> {
    const [file, options] = to === 'ours' ? [PARAVANE, 'run xenstored'] : [C_XENSTORED, '-N'];
    await this.lab.run(['xenstore-control', 'live-update', '-c', options, file], {
      timeout_ms: LIVE_UPDATE_LIMIT_MS,
    });
  }

  /** Ends our daemons. Resolves with their exit statuses, in the order in which they were started. */
  async stop(): Promise<number[]> {
    const codes: number[] = [];
    const daemons = [...this.#daemons.values()];
    for (const daemon of daemons.reverse()) codes.unshift((await daemon.stop()).code);
    return codes;
  }

  /** Runs `paravane` in dom0 and resolves with what it printed. */
  async paravane(...args: string[]): Promise<string> {
    const out = await this.lab.run(['node', PARAVANE, ...args], { timeout_ms: 200_000 });
    return out.trimEnd();
  }

  /** Starts a service that not every host has. */
  async start(service: string, ...options: string[]): Promise<void> {
    await this.#run(service, ...options);
  }

  /** Ends a service that was started so, with what it holds. */
  async end(service: string): Promise<void> {
    const daemon = this.daemon(service);
    this.#daemons.delete(service);
    const { code } = await daemon.stop();
    if (code !== 0) throw new Error(`${service} has ended with ${code}\n${daemon.lastSeen()}`);
  }

  /** Ends a daemon by a signal and starts it again, with other options if any are given. */
  async restart(service: string, signal: NodeJS.Signals, ...options: string[]): Promise<void> {
    await this.replace(service, signal, (lab) => startOurs(lab, service, ...options));
  }

  async #run(service: string, ...options: string[]): Promise<void> {
    this.#daemons.set(service, await startOurs(this.lab, service, ...options));
  }
}
