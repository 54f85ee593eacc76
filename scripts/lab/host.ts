/** A Xen host in the lab whose daemons are all ours: what a user's dom0 runs, in the same order. */
import { join } from 'node:path';
import { CHECKOUT } from './debian.ts';
import type { Lab } from './lab.ts';
import { type DomZeroProcess, LabTimeout } from './process.ts';

/** The `paravane` command. */
export const PARAVANE = join(CHECKOUT, 'dist/paravane.js');

/** The hotplug script for disks that our block back end serves. */
const BLOCK_SCRIPT = join(CHECKOUT, 'scripts/hotplug/paravane-block');

const START_LIMIT_MS = 60_000;
const CLEANING_LIMIT_MS = 60_000;

/** What would make a success not ours: the C daemons and Linux's back end. */
const FOREIGN = ['xenstored', 'oxenstored', 'xenconsoled', 'xen_blkback'];

/** Starts a service of ours in dom0 and resolves when it serves. */
export async function startOurs(
  lab: Lab,
  service: string,
  ...options: string[]
): Promise<DomZeroProcess> {
  const daemon = lab.start(['node', PARAVANE, 'run', service, ...options]);
  await daemon.waitFor(/is ready/, START_LIMIT_MS);
  return daemon;
}

const C_XENCONSOLED = '/usr/lib/xen-4.17/bin/xenconsoled';

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

export class Host {
  readonly lab: Lab;
  readonly #daemons: DomZeroProcess[] = [];

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Starts xenstored, xenconsoled and blkback in dom0, and resolves when all of them serve. */
  static async start(lab: Lab): Promise<Host> {
    const host = new Host(lab);
    await host.#run('xenstored');
    await lab.run('xen-init-dom0');
    await Promise.all([host.#run('xenconsoled', '--log', 'all'), host.#run('blkback')]);
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

  /**
   * Ends the console daemon with `signal` and starts another in its place: ours with `options`, or
   * one of the caller's own.
   */
  async replaceConsoleDaemon(
    signal: NodeJS.Signals,
    start: (lab: Lab) => Promise<DomZeroProcess> = (lab) => startOurs(lab, 'xenconsoled'),
  ): Promise<void> {
    const old = this.#consoleDaemon();
    old.signal(signal);
    await old.exit;
    this.#daemons.splice(this.#daemons.indexOf(old), 1, await start(this.lab));
  }

  /** The process id of the console daemon in dom0. */
  consoleDaemonPid(): Promise<number> {
    return this.#consoleDaemon().pid;
  }

  #consoleDaemon(): DomZeroProcess {
    const daemon = this.#daemons.find(({ command }) => command.includes('xenconsoled'));
    if (daemon === undefined) throw new Error('no console daemon runs');
    return daemon;
  }

  /** How each daemon is and the end of what it wrote, for an error message. */
  lastSeen(): string {
    return this.#daemons.map((daemon) => daemon.lastSeen()).join('\n');
  }

  /** Ends our daemons. Resolves with their exit statuses, in the order in which they were started. */
  async stop(): Promise<number[]> {
    const codes: number[] = [];
    for (const daemon of this.#daemons.reverse()) codes.unshift((await daemon.stop()).code);
    return codes;
  }

  async #run(service: string, ...options: string[]): Promise<void> {
    this.#daemons.push(await startOurs(this.lab, service, ...options));
  }
}
