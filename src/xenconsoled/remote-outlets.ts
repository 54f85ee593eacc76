/**
 * The outlets of consoles whose daemon is a domain of its own: a relay in dom0 has them. There may be
 * none for a while, and then another one. Consoles do not notice, but that their terminals break then.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import { XenError } from '../base/errors.ts';
import { DOM0, type DomId } from '../base/ids.ts';
import { type Log, type LogFields, type LogLevel, logTo } from '../base/log.ts';
import type { WindowSize } from '../console/window-size.ts';
import type { ConsoleLog, ConsoleOutlets, ConsolePlace } from './console-outlets.ts';
import { RelayConnection } from './relay-connection.ts';
import { RELAY_PROTOCOL, type RelayMessage } from './relay-frames.ts';
import type { RelayStream } from './relay-stream.ts';
import { RemoteLog } from './remote-log.ts';
import type { Terminal } from './terminal.ts';

export interface RemoteOutletsParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Serves a viewer that has come to the relay. */
  readonly onViewer: (stream: ByteStream) => void;
}

/** A console that waits for its terminal. */
interface TerminalRequest {
  readonly domid: DomId;
  readonly resolve: (terminal: Terminal) => void;
  readonly reject: (error: XenError) => void;
}

/** A terminal that the relay has. */
class RemoteTerminal implements Terminal {
  readonly path: string;
  private readonly stream: RelayStream;

  constructor(stream: RelayStream, path: string) {
    this.stream = stream;
    this.path = path;
  }

  read(target: Uint8Array): number {
    return this.stream.read(target);
  }

  write(source: Uint8Array): number {
    return this.stream.write(source);
  }

  onReady(handler: () => void): void {
    this.stream.onReady(handler);
  }

  get ended(): boolean {
    return this.stream.ended;
  }

  close(): void {
    this.stream.close();
  }
}

export class RemoteOutlets implements ConsoleOutlets {
  private readonly parts: RemoteOutletsParts;
  /** Of the daemon: its lines go to the relay, too. */
  readonly log: Log;
  private connection: RelayConnection | undefined;
  /** The relay has said hello. */
  private greeted = false;
  private nextChannel = 1;
  private readonly logs = new Set<RemoteLog>();
  private readonly logChannels = new Map<number, RemoteLog>();
  private readonly terminals = new Set<TerminalRequest>();
  private readonly terminalChannels = new Map<number, TerminalRequest>();
  private closed = false;

  constructor(parts: RemoteOutletsParts) {
    this.parts = parts;
    this.log = logTo((level, message, fields) => this.logLine(level, message, fields));
  }

  /** A relay has come. The one before is gone, whether or not that was noticed. */
  attach(stream: ByteStream): void {
    this.detach();
    if (this.closed) {
      stream.close();
      return;
    }
    const { clock, log } = this.parts;
    this.connection = new RelayConnection({
      ...{ stream, clock, log, wary: false },
      onOpen: () => this.opened(),
      onMessage: (message) => this.receive(message),
      onEnd: () => this.detach(),
    });
  }

  openTerminal({ domid }: ConsolePlace): Promise<Terminal> {
    return new Promise((resolve, reject) => {
      const request = { domid, resolve, reject };
      this.terminals.add(request);
      if (this.greeted) this.askForTerminal(request);
    });
  }

  async openLog({ domid }: ConsolePlace, index: number): Promise<ConsoleLog> {
    const { clock } = this.parts;
    const onOver = () => this.logs.delete(log);
    const log: RemoteLog = new RemoteLog({ domid, index, clock, log: this.log, onOver });
    this.logs.add(log);
    if (this.greeted) this.askForLog(log);
    return log;
  }

  async setWindowSize({ domid }: ConsolePlace, { columns, rows }: WindowSize): Promise<void> {
    if (this.greeted) this.connection?.send({ type: 'window', domid, columns, rows });
  }

  /** Lets go of the relay, and waits for none any more. Idempotent. */
  close(): void {
    this.closed = true;
    this.detach();
    for (const log of this.logs) log.abandon();
    this.logs.clear();
  }

  private detach(): void {
    const { connection } = this;
    this.connection = undefined;
    this.greeted = false;
    this.logChannels.clear();
    this.terminalChannels.clear();
    connection?.close();
    for (const log of [...this.logs]) log.disconnect();
  }

  private opened(): void {
    this.greeted = true;
    this.log.info('a relay is there');
    for (const log of this.logs) this.askForLog(log);
    for (const request of this.terminals) this.askForTerminal(request);
  }

  private takeChannel(): number {
    const channel = this.nextChannel;
    this.nextChannel += 2;
    return channel;
  }

  private askForLog(log: RemoteLog): void {
    const channel = this.takeChannel();
    this.logChannels.set(channel, log);
    log.connect(this.connection as RelayConnection, channel);
  }

  private askForTerminal(request: TerminalRequest): void {
    const channel = this.takeChannel();
    this.terminalChannels.set(channel, request);
    const { domid } = request;
    this.connection?.send({ type: 'open', channel, kind: 'terminal', domid, index: 0 });
  }

  private receive(message: RelayMessage): void {
    if (!('channel' in message)) {
      this.refuse(message);
      return;
    }
    const { channel } = message;
    const log = this.logChannels.get(channel);
    if (log !== undefined) {
      if (!log.receive(message)) this.refuse(message);
      if (message.type === 'close') this.logChannels.delete(channel);
      return;
    }
    const request = this.terminalChannels.get(channel);
    if (request !== undefined) {
      this.answer(message, request);
      return;
    }
    if (message.type !== 'open' || message.kind !== 'viewer' || message.domid !== DOM0) {
      this.refuse(message);
      return;
    }
    const stream = this.connection?.openStream(channel);
    if (stream !== undefined) this.parts.onViewer(stream);
  }

  private answer(message: RelayMessage, request: TerminalRequest): void {
    if (message.type !== 'opened' && message.type !== 'refused') {
      this.refuse(message);
      return;
    }
    this.terminalChannels.delete(message.channel);
    this.terminals.delete(request);
    if (message.type === 'refused') {
      request.reject(new XenError('EIO', 'open a terminal', message.reason));
      return;
    }
    const stream = this.connection?.openStream(message.channel);
    if (stream !== undefined) request.resolve(new RemoteTerminal(stream, message.path));
  }

  private refuse({ type }: RelayMessage): never {
    throw RELAY_PROTOCOL.violation('the relay says what it was asked for', type);
  }

  private logLine(level: LogLevel, message: string, fields: LogFields): void {
    this.parts.log[level](message, fields);
    if (this.greeted) this.connection?.send({ type: 'line', level, message, fields });
  }
}
