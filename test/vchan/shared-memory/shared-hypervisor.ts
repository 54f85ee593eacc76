/**
 * Grants and event channels between the processes of one machine without Xen: memory is a file,
 * a signal is a byte in a named pipe. stand-in.c gives the same to C programs, and says what lies
 * where. Everything belongs to domain 0, and a process that is killed gives no notice.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { XenError } from '../../../src/base/errors.ts';
import { DOM0, type DomId, eventPort, type GrantRef, grantRef } from '../../../src/base/ids.ts';
import {
  type EndNotice,
  type EventChannel,
  type EventChannels,
  type GrantTable,
  type Hypervisor,
  PAGE_SIZE,
  type SharedPages,
} from '../../../src/hypervisor/contract.ts';
import { loadNative } from '../../../src/hypervisor/linux/native.ts';

/** Pages that may be granted in all; none is used twice. The file has holes where none was used. */
const PAGES_MAX = 1 << 18;
const PORTS_MAX = 1024;
const NEXT_PAGE = 0;
const NEXT_PORT = 1;
const PORTS = PAGE_SIZE / 4;
const SIGNAL = Uint8Array.of(1);

/** Makes the directory that all processes name. The caller removes it. */
export function makeSharedMemory(): { directory: string; remove(): void } {
  const directory = mkdtempSync('/dev/shm/paravane-');
  const memory = join(directory, 'memory');
  writeFileSync(memory, new Uint8Array(Uint32Array.of(2, 1).buffer));
  truncateSync(memory, PAGES_MAX * PAGE_SIZE);
  return { directory, remove: () => rmSync(directory, { recursive: true }) };
}

class SharedChannel implements EventChannel {
  readonly port;
  closed = false;
  private readonly world: SharedHypervisor;
  private readonly fd: number;
  private readonly poller;
  private readonly signals = new Uint8Array(64);
  private pending = false;
  private handler: (() => void) | undefined;

  constructor(world: SharedHypervisor) {
    this.world = world;
    this.port = eventPort(Atomics.add(world.words, NEXT_PORT, 1));
    execFileSync('/usr/bin/mkfifo', [world.pipe(this.port)]);
    const native = loadNative();
    this.fd = openSync(world.pipe(this.port), constants.O_RDWR | constants.O_NONBLOCK);
    this.poller = new native.Poller(this.fd, () => this.receive());
    this.poller.start(native.READABLE);
  }

  notify(): void {
    const other = Atomics.load(this.world.words, PORTS + this.port);
    if (other !== 0) this.world.signal(other);
  }

  onEvent(handler: () => void): void {
    this.handler = handler;
    if (this.pending) setImmediate(() => this.deliver());
  }

  pause(): void {
    throw new Error('a vchan does not pause its channel');
  }

  resume(): void {
    throw new Error('a vchan does not resume its channel');
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { words } = this.world;
    const other = Atomics.load(words, PORTS + this.port);
    if (other !== 0) Atomics.store(words, PORTS + other, 0);
    this.poller.close();
    closeSync(this.fd);
  }

  private receive(): void {
    if (loadNative().readNow(this.fd, this.signals) <= 0) return;
    this.pending = true;
    this.deliver();
  }

  private deliver(): void {
    if (!this.pending || this.closed || this.handler === undefined) return;
    this.pending = false;
    this.handler();
  }
}

export class SharedHypervisor implements Hypervisor {
  readonly domid = DOM0;
  readonly supports = { detach: true, contiguousMaps: false, loopback: true };
  readonly grants: GrantTable;
  readonly events: EventChannels;
  readonly words: Uint32Array;
  private readonly directory: string;
  private readonly memory: number;
  private readonly header: ArrayBuffer;
  private readonly pipes = new Map<number, number>();

  constructor(directory: string) {
    this.directory = directory;
    this.memory = openSync(join(directory, 'memory'), 'r+');
    this.header = loadNative().mapFile(this.memory, 0, 2);
    this.words = new Uint32Array(this.header);
    this.grants = {
      share: (_peer, count, _access, notice) =>
        this.pages(Atomics.add(this.words, NEXT_PAGE, count), count, notice),
      map: (_peer, refs, notice) => this.map(refs, notice),
      copyBatch: () => {
        throw new Error('a vchan copies no grants');
      },
      copyMemory: () => {
        throw new Error('a vchan copies no grants');
      },
    };
    this.events = {
      allocateUnbound: () => new SharedChannel(this),
      bindInterdomain: (_peer: DomId, remote) => this.bind(remote),
      bindVirq: () => {
        throw new Error('a vchan binds no virtual interrupt');
      },
    };
  }

  close(): void {
    for (const fd of this.pipes.values()) closeSync(fd);
    closeSync(this.memory);
    loadNative().unmap(this.header);
  }

  pipe(port: number): string {
    return join(this.directory, `port-${port}`);
  }

  signal(port: number): void {
    let fd = this.pipes.get(port);
    if (fd === undefined) {
      fd = openSync(this.pipe(port), constants.O_RDWR | constants.O_NONBLOCK);
      this.pipes.set(port, fd);
    }
    // Where so many wait there that it is not taken, one more changes nothing.
    loadNative().writeNow(fd, SIGNAL);
  }

  private bind(remote: number): EventChannel {
    const channel = new SharedChannel(this);
    const unknown = remote >= Math.min(PORTS_MAX, Atomics.load(this.words, NEXT_PORT));
    if (unknown || Atomics.compareExchange(this.words, PORTS + remote, 0, channel.port) !== 0) {
      channel.close();
      throw new XenError('EINVAL', `bind port ${remote}`, 'it is not open for us');
    }
    Atomics.store(this.words, PORTS + channel.port, remote);
    return channel;
  }

  private map(refs: readonly GrantRef[], notice?: EndNotice): SharedPages {
    const [first = 0] = refs;
    const known = first >= 2 && first + refs.length <= Atomics.load(this.words, NEXT_PAGE);
    if (!known || refs.some((ref, index) => ref !== first + index)) {
      throw new XenError(
        'EINVAL',
        `map grants ${refs.join(', ')}`,
        'they are not granted in a row',
      );
    }
    return this.pages(first, refs.length, notice);
  }

  private pages(first: number, count: number, notice: EndNotice = {}): SharedPages {
    const buffer = loadNative().mapFile(this.memory, first, count);
    const bytes = new Uint8Array(buffer);
    let closed = false;
    return {
      count,
      refs: Array.from({ length: count }, (_, index) => grantRef(first + index)),
      bytes,
      page: (index) => bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE),
      get closed() {
        return closed;
      },
      close() {
        if (closed) return;
        closed = true;
        if (notice.byteOffset !== undefined) Atomics.store(bytes, notice.byteOffset, 0);
        loadNative().unmap(buffer);
        if (notice.channel?.closed === false) notice.channel.notify();
      },
    };
  }
}
