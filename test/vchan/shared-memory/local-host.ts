/** One machine without Xen as a host for vchans: our xenstored, and shared memory in a file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../../../src/base/log.ts';
import { loadNative } from '../../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../../src/node/clock.ts';
import { connectXenstoreSocket, listenXenstoreSocket } from '../../../src/node/xenstore-socket.ts';
import type { VchanHost } from '../../../src/vchan/vchan.ts';
import type { XenstoreClient } from '../../../src/xenstore/client.ts';
import { startXenstored } from '../../../src/xenstored/server.ts';
import { compile } from '../../xenstored/c-daemon/stand-in.ts';
import { makeSharedMemory, SharedHypervisor } from './shared-hypervisor.ts';

export const PROXY = '/usr/lib/xen-4.17/bin/vchan-socket-proxy';

/** What this machine lacks to run libxenvchan without Xen, or `undefined`. */
export function missingForProxy(): string | undefined {
  return existsSync(PROXY) ? undefined : `no ${PROXY} (package xen-utils-4.17)`;
}

/** An end of a vchan in this process. */
export interface LocalEnd extends VchanHost {
  readonly xenstore: XenstoreClient;
}

/** Where our ends can meet those of C programs. */
export interface ComparisonHost {
  /** For files; gone when the host is closed. */
  readonly directory: string;
  /** A new end of ours. */
  end(): Promise<LocalEnd>;
  /** Starts a program that is linked with libxenvchan. */
  spawnC(program: string, ...args: readonly string[]): ChildProcess;
  close(): void;
}

/** An end in any process: `directory` is that of the host. */
export async function openLocalEnd(directory: string): Promise<LocalEnd> {
  const xenstore = await connectXenstoreSocket(join(directory, 'xenstored'));
  return { hypervisor: new SharedHypervisor(directory), xenstore, clock: nodeClock };
}

export class LocalHost implements ComparisonHost {
  readonly directory: string;
  private readonly things: { close(): void }[] = [];
  private readonly children: ChildProcess[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async start(): Promise<LocalHost> {
    const { directory, remove } = makeSharedMemory();
    const host = new LocalHost(directory);
    host.things.push({ close: remove });
    const xenstored = startXenstored({ clock: nodeClock, log: silentLog });
    host.things.push(xenstored);
    let clients = 0;
    const socket = join(directory, 'xenstored');
    const listener = await listenXenstoreSocket(loadNative(), socket, (stream) => {
      xenstored.attachSocket(stream, `client ${++clients}`);
    });
    host.things.push(listener);
    const tools = await connectXenstoreSocket(socket);
    // libxenvchan asks for it, to name the owner of its keys.
    await tools.write('/local/domain/0/domid', '0');
    tools.close();
    return host;
  }

  async end(): Promise<LocalEnd> {
    const end = await openLocalEnd(this.directory);
    this.things.push(end.hypervisor, end.xenstore);
    return end;
  }

  /** What a C program that is linked with libxenvchan needs in its environment. */
  environmentForC(): Record<string, string> {
    const library = join(this.directory, 'stand-in.so');
    if (!existsSync(library)) {
      const flags = ['-shared', '-fPIC', '-O2'];
      compile(join(import.meta.dirname, 'stand-in.c'), library, ...flags);
    }
    return {
      LD_PRELOAD: library,
      PARAVANE_SHARED_MEMORY: this.directory,
      XENSTORED_PATH: join(this.directory, 'xenstored'),
    };
  }

  spawnC(program: string, ...args: readonly string[]): ChildProcess {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...this.environmentForC() },
    });
    this.children.push(child);
    return child;
  }

  close(): void {
    for (const child of this.children) child.kill('SIGKILL');
    for (const thing of this.things.reverse()) thing.close();
  }
}
