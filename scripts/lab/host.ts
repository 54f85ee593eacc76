/** A Xen host in the lab whose daemons are all ours: what a user's dom0 runs, in the same order. */
import { join } from 'node:path';
import { CHECKOUT } from './debian.ts';
import type { Lab } from './lab.ts';
import { type DomZeroProcess, LabTimeout } from './process.ts';

const PARAVANE = join(CHECKOUT, 'dist/paravane.js');

/** The hotplug script for disks that our block back end serves. */
const BLOCK_SCRIPT = join(CHECKOUT, 'scripts/hotplug/paravane-block');

/** Node takes its time to start on an emulated machine whose guests are at work. */
const START_LIMIT_MS = 180_000;
const CLEANING_LIMIT_MS = 60_000;

/** What would make a success not ours: the C daemons and Linux's back end. */
const FOREIGN = ['xenstored', 'oxenstored', 'xenconsoled', 'xen_blkback'];

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

  /** How each daemon is and the end of what it wrote, for an error message. */
  lastSeen(): string {
    return this.#daemons.map((daemon) => daemon.lastSeen()).join('\n');
  }

  /**
   * Kills xenstored as SIGKILL does and starts another at once, which takes up what the journal of
   * the first one holds. Resolves when it serves.
   */
  async killXenstored(): Promise<void> {
    const [killed] = this.#daemons;
    if (killed === undefined) throw new Error('no daemon runs');
    killed.signal('SIGKILL');
    await killed.exit;
    const next = await this.#start('xenstored');
    this.#daemons[0] = next;
  }

  /** Ends our daemons. Resolves with their exit statuses, in the order in which they were started. */
  async stop(): Promise<number[]> {
    const codes: number[] = [];
    for (const daemon of this.#daemons.reverse()) codes.unshift((await daemon.stop()).code);
    return codes;
  }

  async #run(service: string, ...options: string[]): Promise<void> {
    this.#daemons.push(await this.#start(service, ...options));
  }

  async #start(service: string, ...options: string[]): Promise<DomZeroProcess> {
    const daemon = this.lab.start(['node', PARAVANE, 'run', service, ...options]);
    await daemon.waitFor(/is ready/, START_LIMIT_MS);
    return daemon;
  }
}
