/** A dom0 as the host of both ends of a vchan: the real grants, event channels and xenstored. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { connectXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import type { ComparisonHost, LocalEnd } from './shared-memory/local-host.ts';

/** Whether this is a domain of Xen with the devices that a vchan needs. */
export function isDomain(): boolean {
  return existsSync('/dev/xen/gntalloc');
}

export class XenHost implements ComparisonHost {
  readonly directory: string;
  private readonly things: { close(): void }[] = [];
  private readonly children: ChildProcess[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  static start(): XenHost {
    return new XenHost(mkdtempSync(join(tmpdir(), 'paravane-vchan-')));
  }

  async end(): Promise<LocalEnd> {
    const hypervisor = openLinuxHypervisor();
    this.things.push(hypervisor);
    const xenstore = await connectXenstoreSocket();
    this.things.push(xenstore);
    return { hypervisor, xenstore, clock: nodeClock };
  }

  spawnC(program: string, ...args: readonly string[]): ChildProcess {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.children.push(child);
    return child;
  }

  close(): void {
    for (const child of this.children) child.kill('SIGKILL');
    for (const thing of this.things.reverse()) thing.close();
    rmSync(this.directory, { recursive: true });
  }
}
