/** The three xenstoreds, run natively beside each other, each with a socket of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { C_XENSTORED, setUpStandIn } from '../xenstored/c-daemon/stand-in.ts';

/** Whose daemon: ours, C's, or that of OCaml. */
export type DaemonSide = 'ours' | 'c' | 'ocaml';

const OXENSTORED = '/usr/lib/xen-4.17/bin/oxenstored';
const OXENSTORED_CONFIG = '/etc/xen/oxenstored.conf';
const OURS = join(import.meta.dirname, '../../dist/paravane.js');

/** The processor that every daemon runs on, one at a time since the others are idle. */
export const DAEMON_CPU = 1;

/** Domains that there are, as far as Xen is asked, from dom0 up. */
const DOMAINS = 64;

interface DaemonSettings {
  /** Whether ours keeps a journal in its directory. */
  readonly journal?: boolean;
}

function commandOf(side: DaemonSide, directory: string, { journal }: DaemonSettings): string[] {
  switch (side) {
    case 'ours':
      return [
        ...[OURS, 'run', 'xenstored'],
        ...['--no-domain-init', '--socket', join(directory, 'socket')],
        ...(journal ? ['--journal', join(directory, 'journal')] : []),
      ];
    case 'c':
      return [C_XENSTORED, '-N'];
    case 'ocaml': {
      // Debian's settings, but for the file that a daemon of the machine's own would have.
      const config = join(directory, 'oxenstored.conf');
      const pidFile = `pid-file = ${join(directory, 'pid')}`;
      const settings = readFileSync(OXENSTORED_CONFIG, 'latin1').replace(/^pid-file.*$/m, pidFile);
      writeFileSync(config, settings);
      return [OXENSTORED, '--no-fork', '--config-file', config];
    }
  }
}

export class Daemon {
  readonly side: DaemonSide;
  readonly directory: string;
  private readonly child: ChildProcess;

  private constructor(side: DaemonSide, directory: string, settings: DaemonSettings) {
    this.side = side;
    this.directory = directory;
    mkdirSync(directory);
    const env = side === 'ours' ? process.env : setUpStandIn(directory);
    // C's asks Xen whether there is a domain before it lets it own a node.
    writeFileSync(join(directory, 'domains'), 'r'.repeat(DOMAINS));
    const output = openSync(join(directory, 'log'), 'w');
    const command = ['--cpu-list', `${DAEMON_CPU}`, ...commandOf(side, directory, settings)];
    this.child = spawn('taskset', command, { env, stdio: ['ignore', output, output] });
  }

  static async start(
    side: DaemonSide,
    directory: string,
    settings: DaemonSettings = {},
  ): Promise<Daemon> {
    const daemon = new Daemon(side, directory, settings);
    for (let tries = 0; !existsSync(daemon.socket); tries++) {
      if (tries === 1000 || daemon.child.exitCode !== null) {
        throw new Error(`${side}: ${readFileSync(join(directory, 'log'), 'latin1')}`);
      }
      await delay(10);
    }
    return daemon;
  }

  get socket(): string {
    return join(this.directory, 'socket');
  }

  /** Memory that it has resident now, as the kernel counts it. */
  rss_KiB(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'latin1');
    return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]);
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await exited;
  }
}
