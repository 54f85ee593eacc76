/** A host in the simulator: the console daemon in domain 0, guests, viewers, and what they see. */
import { XenconsInterface } from '../../src/abi/io/console.ts';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import { logTo } from '../../src/base/log.ts';
import { frontConsole } from '../../src/console/console-stream.ts';
import type { FaultPlan } from '../../src/hypervisor/sim/faults.ts';
import { type SimGuest, SimWorld } from '../../src/hypervisor/sim/world.ts';
import type { RingStream } from '../../src/ring/ring-stream.ts';
import type { LogFile, Note } from '../../src/xenconsoled/log-file.ts';
import type { Terminal } from '../../src/xenconsoled/terminal.ts';
import {
  startXenconsoled,
  XENCONSOLED_DEFAULTS,
  type Xenconsoled,
  type XenconsoledOptions,
} from '../../src/xenconsoled/xenconsoled.ts';
import { MemoryXenstore } from './memory-xenstore.ts';

/** A terminal whose viewer is the test. */
export class FakeTerminal implements Terminal {
  readonly path: string;
  shown = '';
  /** How many more bytes it takes; a viewer who is away takes none. */
  room = Number.POSITIVE_INFINITY;
  ended = false;
  closed = false;
  private keys = new Uint8Array(0);
  private handler: () => void = () => {};

  constructor(path: string) {
    this.path = path;
  }

  read(target: Uint8Array): number {
    const taken = this.keys.subarray(0, target.length);
    target.set(taken);
    this.keys = this.keys.subarray(taken.length);
    return taken.length;
  }

  write(source: Uint8Array): number {
    const taken = source.subarray(0, Math.min(source.length, this.room));
    this.shown += latin1Decode(taken);
    this.room -= taken.length;
    return taken.length;
  }

  onReady(handler: () => void): void {
    this.handler = handler;
  }

  close(): void {
    this.closed = true;
  }

  type(keys: Uint8Array): void {
    const all = new Uint8Array(this.keys.length + keys.length);
    all.set(this.keys);
    all.set(keys, this.keys.length);
    this.keys = all;
    this.handler();
  }

  makeRoom(bytes: number): void {
    this.room += bytes;
    this.handler();
  }

  break(): void {
    this.ended = true;
    this.handler();
  }
}

/** A file as it stands on the disk: it stays when the daemon is killed. */
export class FakeFile {
  content = '';
}

export class FakeLog implements LogFile {
  readonly file: FakeFile;
  closed = false;
  /** How often something was written. */
  writes = 0;
  private killed = false;
  private readonly clock: Clock;
  private delay_ms = 0;

  constructor(file: FakeFile = new FakeFile(), clock: Clock = silentClock) {
    this.file = file;
    this.clock = clock;
  }

  get content(): string {
    return this.file.content;
  }

  /** From here on, the disk takes so long for each write. */
  slowDown(delay_ms: number): void {
    this.delay_ms = delay_ms;
  }

  begin(): string {
    return String(this.file.content.length);
  }

  /** Its process was killed: what the engine still runs of that changes nothing on the disk. */
  kill(): void {
    this.closed = true;
    this.killed = true;
  }

  write(bytes: Uint8Array, stored: () => void = () => {}): void {
    if (this.killed) return;
    if (this.closed) throw new Error('written to after its end');
    this.file.content += latin1Decode(bytes);
    this.writes++;
    this.clock.after(this.delay_ms, stored);
  }

  cutBack(place: string): void {
    this.file.content = this.file.content.slice(0, Number(place));
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

const silentClock: Clock = {
  now_ms: () => 0,
  wallclock_ms: () => 0,
  after: () => ({ cancel: () => {} }),
};

/** A guest with its own end of the console. */
export interface ConsoleGuest extends SimGuest {
  readonly path: string;
  readonly front: RingStream;
  /** What the guest has read of what was typed. */
  readonly received: () => string;
  /** Prints all of it, as fast as the ring takes it. */
  print(bytes: Uint8Array): void;
}

export interface HostOptions extends Partial<XenconsoledOptions> {
  readonly seed?: number;
  readonly faults?: Partial<FaultPlan>;
}

export interface GuestOptions {
  /** Has hardware virtualisation: a PVH or HVM guest. */
  readonly hvm?: boolean;
  readonly name?: string;
  /** Where free-running indexes start, so that they soon wrap. */
  readonly firstIndex?: number;
  readonly keys?: Readonly<Record<string, string | number>>;
}

export class ConsoleHost {
  readonly world: SimWorld;
  readonly dom0;
  readonly store = new MemoryXenstore();
  readonly terminals: FakeTerminal[] = [];
  /** Every log that was opened, by name, in the order of opening. */
  readonly logs: { readonly name: string; readonly file: FakeLog }[] = [];
  /** What is on the disk, by name, and the notes: both stay when the daemon is killed. */
  readonly disk = new Map<string, FakeFile>();
  readonly notes = new Map<string, string>();
  readonly lines: string[] = [];
  daemon: Xenconsoled | undefined;
  /** Called whenever the daemon opens a terminal. */
  onTerminal: () => void = () => {};
  private readonly options: HostOptions;

  constructor(options: HostOptions = {}) {
    this.options = options;
    this.world = new SimWorld({ seed: options.seed ?? 1, faults: options.faults ?? {} });
    this.dom0 = this.world.createDomain();
  }

  async startDaemon(): Promise<Xenconsoled> {
    const { seed: _, faults: __, ...options } = this.options;
    this.daemon = await startXenconsoled(
      {
        hypervisor: this.dom0.hypervisor,
        domainControl: this.dom0.control!,
        xenstore: this.store,
        clock: this.dom0.clock,
        log: logTo((level, message, fields) => {
          this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
        }),
        openTerminal: () => this.openTerminal(),
        openLog: (name) => this.openLog(name),
        openNote: (name) => this.openNote(name),
      },
      { ...XENCONSOLED_DEFAULTS, log: { guest: true, hv: false }, ...options },
    );
    return this.daemon;
  }

  /** What `xl create` does for a console. */
  addGuest(options: GuestOptions = {}): ConsoleGuest {
    const guest = this.world.buildGuest({ hvm: options.hvm ?? false });
    const page = guest.console.page.page(0);
    const view = XenconsInterface.view(page);
    const start = options.firstIndex ?? 0;
    for (const index of ['in_cons', 'in_prod', 'out_cons', 'out_prod'] as const) {
      view[index] = start;
    }
    const home = `/local/domain/${guest.domain.domid}`;
    const path = `${home}/console`;
    this.store.put({ [`${home}/name`]: options.name ?? `guest${guest.domain.domid}` });
    const keys = {
      'ring-ref': guest.console.gfn,
      port: guest.console.channel.port,
      type: 'xenconsoled',
      limit: 1048576,
      ...options.keys,
    };
    for (const [key, value] of Object.entries(keys)) this.store.put({ [`${path}/${key}`]: value });
    this.store.fire('@introduceDomain');
    return { ...guest, path, ...guestEnd(guest) };
  }

  destroy(guest: SimGuest): void {
    guest.domain.kill();
    void this.store.remove(`/local/domain/${guest.domain.domid}`);
    this.store.fire('@releaseDomain');
  }

  logOf(name: string): FakeLog | undefined {
    return this.logs.filter((log) => log.name === `guest-${name}.log`).pop()?.file;
  }

  /** SIGKILL for the daemon; a viewer's pty and the files' descriptors end with it. */
  async killDaemon(): Promise<void> {
    this.dom0.restartProcess();
    this.store.close();
    this.daemon = undefined;
    for (const { file } of this.logs) await file.close();
    for (const terminal of this.terminals) terminal.close();
  }

  /** Ends the daemon and says what is left of it. */
  async leftovers(): Promise<string[]> {
    if (this.daemon !== undefined) await this.world.finish(this.daemon.close());
    return [
      ...this.world.leftovers(),
      ...this.terminals.filter(({ closed }) => !closed).map(({ path }) => `${path} is open`),
      ...this.logs.filter(({ file }) => !file.closed).map(({ name }) => `${name} is open`),
      ...(this.store.watchCount > 0 ? [`${this.store.watchCount} watches are set`] : []),
    ];
  }

  private openTerminal(): FakeTerminal {
    const terminal = new FakeTerminal(`/dev/pts/${this.terminals.length}`);
    this.terminals.push(terminal);
    this.onTerminal();
    return terminal;
  }

  private openLog(name: string): FakeLog {
    const disk = this.disk.get(name) ?? new FakeFile();
    this.disk.set(name, disk);
    const file = new FakeLog(disk, this.dom0.clock);
    this.logs.push({ name, file });
    return file;
  }

  private openNote(name: string): Note {
    return {
      read: () => this.notes.get(name) ?? '',
      write: (text) => this.notes.set(name, text),
      close: () => {},
      discard: () => this.notes.delete(name),
    };
  }
}

/** The guest's own end of its console: prints as fast as the ring takes it, and reads what comes. */
export function guestEnd(guest: Pick<SimGuest, 'console'>) {
  const { channel, page } = guest.console;
  const front = frontConsole({ page: page.page(0), channel });
  const target = new Uint8Array(500);
  let received = '';
  let rest = new Uint8Array(0);
  const proceed = () => {
    for (let length = 1; length > 0; ) {
      length = front.read(target);
      received += latin1Decode(target.subarray(0, length));
    }
    rest = rest.subarray(front.write(rest));
  };
  front.onReady(proceed);
  const print = (bytes: Uint8Array) => {
    const all = new Uint8Array(rest.length + bytes.length);
    all.set(rest);
    all.set(bytes, rest.length);
    rest = all;
    proceed();
  };
  return { front, print, received: () => received };
}

export { latin1Decode as textOf, latin1Encode as bytesOf };
