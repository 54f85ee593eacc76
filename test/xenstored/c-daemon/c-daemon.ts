/**
 * C's xenstored, run natively behind stand-in.c: its socket, and the rings of domains that a test
 * makes up.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants as fsConstants,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { XENSTORE_RING_SIZE, XenstoreDomainInterface } from '../../../src/abi/io/xs_wire.ts';
import type { ByteStream } from '../../../src/base/byte-stream.ts';
import { socketStream } from '../../../src/node/socket-stream.ts';
import { C_XENSTORED, makePage, setUpStandIn, VIRQ_PORT } from './stand-in.ts';

/** As in stand-in.c. */
const FIRST_DOMAIN_PORT = 100;
const DOMAINS_MAX = 64;

const { offset } = XenstoreDomainInterface;

/** The ring of a domain, from the domain's side, through the file that is its page. */
class FileRing implements ByteStream {
  private readonly file: number;
  private readonly signal: () => void;
  private readonly words = Buffer.alloc(16);
  private handler: () => void = () => {};
  private readonly poll: NodeJS.Timeout;
  ended = false;

  constructor(path: string, signal: () => void) {
    this.file = openSync(path, 'r+');
    this.signal = signal;
    this.poll = setInterval(() => this.handler(), 1);
  }

  read(target: Uint8Array): number {
    const { rsp_cons, rsp_prod } = this.indexes();
    const length = Math.min((rsp_prod - rsp_cons) >>> 0, target.length);
    for (let i = 0; i < length; ) {
      const at = (rsp_cons + i) % XENSTORE_RING_SIZE;
      const run = Math.min(length - i, XENSTORE_RING_SIZE - at);
      readSync(this.file, target, i, run, offset.rsp + at);
      i += run;
    }
    if (length > 0) this.store(offset.rsp_cons, rsp_cons + length);
    return length;
  }

  write(source: Uint8Array): number {
    const { req_cons, req_prod } = this.indexes();
    const room = XENSTORE_RING_SIZE - ((req_prod - req_cons) >>> 0);
    const length = Math.min(room, source.length);
    for (let i = 0; i < length; ) {
      const at = (req_prod + i) % XENSTORE_RING_SIZE;
      const run = Math.min(length - i, XENSTORE_RING_SIZE - at);
      writeSync(this.file, source, i, run, offset.req + at);
      i += run;
    }
    if (length > 0) this.store(offset.req_prod, req_prod + length);
    return length;
  }

  onReady(handler: () => void): void {
    this.handler = handler;
  }

  close(): void {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.poll);
    closeSync(this.file);
  }

  private indexes() {
    readSync(this.file, this.words, 0, 16, offset.req_cons);
    const [req_cons, req_prod, rsp_cons, rsp_prod] = [0, 4, 8, 12].map((at) =>
      this.words.readUInt32LE(at),
    ) as [number, number, number, number];
    return { req_cons, req_prod, rsp_cons, rsp_prod };
  }

  private store(at: number, value: number): void {
    this.words.writeUInt32LE(value >>> 0);
    writeSync(this.file, this.words, 0, 4, at);
    this.signal();
  }
}

export type DomainState = 'running' | 'shutdown' | 'dying' | 'gone';

export class CDaemon {
  readonly directory: string;
  private readonly daemon: ChildProcess;
  private readonly events: number;
  private readonly states = Buffer.alloc(DOMAINS_MAX, '-');
  private virqsRaised = 0;
  private output = '';

  private constructor(directory: string) {
    this.directory = directory;
    const environment = setUpStandIn(directory);
    const { O_RDWR, O_NONBLOCK } = fsConstants;
    this.events = openSync(join(directory, 'events'), O_RDWR | O_NONBLOCK);
    this.writeStates(0, 'running');
    this.daemon = spawn(C_XENSTORED, ['-N', '-w', 'watch-event=0'], { env: environment });
    for (const stream of [this.daemon.stdout, this.daemon.stderr]) {
      stream?.on('data', (text) => {
        this.output += text;
      });
    }
  }

  static async start(): Promise<CDaemon> {
    const daemon = new CDaemon(mkdtempSync(join(tmpdir(), 'c-xenstored-')));
    (await daemon.connectSocket()).close();
    return daemon;
  }

  /** Where clients connect, also of whoever takes over from it. */
  get socketPath(): string {
    return join(this.directory, 'socket');
  }

  /** What clients, and those who ask it for something, are to be started with. */
  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, XENSTORED_RUNDIR: this.directory };
  }

  /** What it has written, whichever program it was. */
  get log(): string {
    return this.output;
  }

  /** Which program it is by now. */
  get program(): string {
    return readlinkSync(`/proc/${this.daemon.pid}/exe`);
  }

  /** A client of the tools. Tried again while the daemon starts, or has another to accept. */
  async connectSocket(): Promise<ByteStream> {
    for (let tries = 0; ; tries++) {
      try {
        const socket = createConnection(this.socketPath);
        await once(socket, 'connect');
        return socketStream(socket);
      } catch (error) {
        if (tries === 500 || this.daemon.exitCode !== null) {
          throw new Error(`C's xenstored does not accept: ${this.output}`, { cause: error });
        }
        await delay(5);
      }
    }
  }

  /** An empty page for the domain, for INTRODUCE to find. */
  makeRing(domid: number): void {
    makePage(this.directory, `ring-${domid}`);
  }

  /** The domain's side of its ring, once it was introduced; that of dom0's kernel is there from the start. */
  connectRing(domid: number): ByteStream {
    const page = domid === 0 ? 'xsd_kva' : `ring-${domid}`;
    return new FileRing(join(this.directory, page), () => this.signal(FIRST_DOMAIN_PORT + domid));
  }

  /** What Xen says of the domain from now on. Raises `VIRQ_DOM_EXC`, and waits until it was handled. */
  async setDomain(domid: number, state: DomainState): Promise<void> {
    this.writeStates(domid, state);
    this.virqsRaised++;
    this.signal(VIRQ_PORT);
    const handled = () => readFileSync(join(this.directory, 'virqs')).readUInt32LE(0);
    for (let tries = 0; handled() < this.virqsRaised; tries++) {
      if (tries === 2000) throw new Error(`C's xenstored hangs or is gone: ${this.output}`);
      await delay(1);
    }
  }

  async close(): Promise<void> {
    const exited = new Promise((resolve) => this.daemon.once('exit', resolve));
    if (this.daemon.exitCode === null && this.daemon.kill('SIGKILL')) await exited;
    closeSync(this.events);
    rmSync(this.directory, { recursive: true });
  }

  private writeStates(domid: number, state: DomainState): void {
    this.states.write({ running: 'r', shutdown: 's', dying: 'd', gone: '-' }[state], domid);
    writeFileSync(join(this.directory, 'domains'), this.states);
  }

  private signal(port: number): void {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(port);
    writeSync(this.events, word);
  }
}
