/**
 * The relay of a console domain while the two are connected: gives its consoles what dom0 has for them,
 * and takes viewers to it. The domain is not trusted: what it says concerns consoles that the
 * toolstack has given to it, or nothing.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import { DOM0, type DomId } from '../base/ids.ts';
import { joinStreams } from '../base/join-streams.ts';
import type { Log } from '../base/log.ts';
import type { WindowSize } from '../console/window-size.ts';
import { VIEWERS_MAX } from './console-daemon.ts';
import type { ConsoleLog, ConsolePlace, LastingOutlets } from './console-outlets.ts';
import { LentTerminal } from './kept-terminals.ts';
import { RelayConnection } from './relay-connection.ts';
import { RELAY_PROTOCOL, type RelayMessage } from './relay-frames.ts';
import type { RelayStream } from './relay-stream.ts';
import { RelayedLines } from './relayed-lines.ts';
import type { Terminal } from './terminal.ts';

/** Logs and terminals of one console domain. */
export const CHANNELS_MAX = 4096;
/** Bytes moved at a time between the domain and a terminal or a viewer. */
const PORTION = 4096;

export interface RelaySessionParts {
  readonly stream: ByteStream;
  readonly outlets: LastingOutlets;
  /** The guest's first console, if it is this console domain that serves it. */
  readonly placeOf: (guest: DomId) => Promise<ConsolePlace | undefined>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A log that the domain has opened. */
interface LogChannel {
  readonly domid: DomId;
  /** Absent while it is being opened, and where nothing is kept of the console. */
  log: ConsoleLog | undefined;
  opened: boolean;
  /** A batch of it is being stored. */
  storing: boolean;
  closing: boolean;
}

export class RelaySession {
  /** Resolves once the connection has ended and everything of it is let go of. */
  readonly ended: Promise<void>;
  private readonly parts: RelaySessionParts;
  private readonly connection: RelayConnection;
  private readonly logs = new Map<number, LogChannel>();
  /** Terminals and viewers on channels. */
  private readonly joined = new Set<ByteStream>();
  /** Terminals that are being opened. */
  private readonly pending = new Set<number>();
  /** Guests that have a terminal: one that had many would leave dom0 without any. */
  private readonly terminals = new Set<DomId>();
  /** What is still being opened or closed, in the order of each guest's requests. */
  private readonly work = new Map<DomId, Promise<void>>();
  /** Sizes of windows that guests have yet to be told. */
  private readonly windowSizes = new Map<DomId, WindowSize>();
  private readonly lines: RelayedLines;
  private nextChannel = 2;
  private greeted = false;
  private over = false;
  private finish: () => void = () => {};
  /** Viewers that have come before the domain has said hello. */
  private waitingViewers: ByteStream[] = [];

  constructor(parts: RelaySessionParts) {
    this.parts = parts;
    this.ended = new Promise((resolve) => {
      this.finish = resolve;
    });
    const { stream, clock, log } = parts;
    this.lines = new RelayedLines(log, clock);
    this.connection = new RelayConnection({
      ...{ stream, clock, log, wary: true },
      onOpen: () => this.begin(),
      onMessage: (message) => this.receive(message),
      onEnd: () => void this.end(),
    });
  }

  /** Takes a viewer to the domain. The stream belongs to the session from here on. */
  addViewer(viewer: ByteStream): void {
    if (this.over || this.waitingViewers.length >= VIEWERS_MAX) {
      viewer.close();
      return;
    }
    if (!this.greeted) {
      this.waitingViewers.push(viewer);
      return;
    }
    const channel = this.nextChannel;
    this.nextChannel += 2;
    this.connection.send({ type: 'open', channel, kind: 'viewer', domid: DOM0, index: 0 });
    void this.join(this.connection.openStream(channel), viewer);
  }

  /** Lets go of everything. The domain goes on, and waits for the next relay. Idempotent. */
  async close(): Promise<void> {
    this.connection.close();
    await this.end();
  }

  private begin(): void {
    this.greeted = true;
    for (const viewer of this.waitingViewers.splice(0)) this.addViewer(viewer);
  }

  private async end(): Promise<void> {
    if (this.over) return this.ended;
    this.over = true;
    this.lines.end();
    // A terminal that nobody reads would hold on to what it was to show for ever.
    for (const other of [...this.joined, ...this.waitingViewers.splice(0)]) other.close();
    this.joined.clear();
    await Promise.all(this.work.values());
    await Promise.all([...this.logs.values()].map(({ log }) => log?.close(false)));
    this.finish();
  }

  /** @param isAbandoned see `JoinOptions` */
  private async join(
    stream: RelayStream,
    other: ByteStream,
    isAbandoned: () => boolean = () => false,
  ): Promise<void> {
    const { clock } = this.parts;
    this.joined.add(other);
    await joinStreams(stream, other, clock, { portion: PORTION, isAbandoned });
    this.joined.delete(other);
  }

  private receive(message: RelayMessage): void {
    switch (message.type) {
      case 'open':
        this.open(message.kind, message.channel, message.domid, message.index);
        return;
      case 'batch':
        this.store(message.channel, message.index, message.bytes);
        return;
      case 'rest':
        this.logAt(message.channel).log?.rest();
        return;
      case 'close':
        this.closeLog(message.channel, message.isOver);
        return;
      case 'window':
        this.setWindowSize(message.domid, message);
        return;
      case 'line':
        this.lines.take(message);
        return;
      default:
        throw RELAY_PROTOCOL.violation('the daemon opens channels and writes logs', message.type);
    }
  }

  /** However many sizes come while one is being told, the newest is the next. */
  private setWindowSize(domid: DomId, size: WindowSize): void {
    const isDue = this.windowSizes.has(domid);
    this.windowSizes.set(domid, size);
    if (isDue) return;
    this.inOrder(domid, async () => {
      const newest = this.windowSizes.get(domid) ?? size;
      this.windowSizes.delete(domid);
      const place = await this.parts.placeOf(domid);
      if (place !== undefined) await this.parts.outlets.setWindowSize(place, newest);
    });
  }

  private open(kind: string, channel: number, domid: DomId, index: number): void {
    const isFree = !this.logs.has(channel) && !this.pending.has(channel);
    const isTaken = !isFree || this.connection.hasStream(channel);
    if (kind === 'viewer' || channel % 2 === 0 || isTaken) {
      const rule = 'the daemon opens logs and terminals, by odd numbers that are free';
      throw RELAY_PROTOCOL.violation(rule, `${kind} ${channel}`);
    }
    if (this.logs.size + this.pending.size + this.connection.streamCount >= CHANNELS_MAX) {
      throw RELAY_PROTOCOL.violation(`limit channels: ${CHANNELS_MAX}`, `${kind} ${channel}`);
    }
    if (kind === 'log') this.openLog(channel, domid, index);
    else this.openTerminal(channel, domid);
  }

  private openLog(channel: number, domid: DomId, index: number): void {
    const opening: LogChannel = {
      domid,
      log: undefined,
      opened: false,
      storing: false,
      closing: false,
    };
    this.logs.set(channel, opening);
    this.inOrder(domid, async () => {
      try {
        const place = this.over ? undefined : await this.parts.placeOf(domid);
        if (place !== undefined) opening.log = await this.parts.outlets.openLog(place, index);
      } catch (error) {
        // The domain would wait for this log. It is asked for again on the next connection.
        void this.close();
        throw error;
      }
      opening.opened = true;
      this.connection.send({ type: 'opened', channel, path: '' });
    });
  }

  private openTerminal(channel: number, domid: DomId): void {
    this.pending.add(channel);
    this.inOrder(domid, async () => {
      try {
        const place = this.over ? undefined : await this.parts.placeOf(domid);
        if (place === undefined) return this.refuse(channel, `domain ${domid} has no console here`);
        if (this.terminals.has(domid)) {
          return this.refuse(channel, `domain ${domid} has a terminal already`);
        }
        const terminal = await this.parts.outlets.openTerminal(place);
        if (this.over) return this.parts.outlets.keepTerminal(place, terminal);
        this.connection.send({ type: 'opened', channel, path: terminal.path });
        void this.joinTerminal(place, this.connection.openStream(channel), terminal);
      } catch (error) {
        this.refuse(channel, errorMessage(error));
      } finally {
        this.pending.delete(channel);
      }
    });
  }

  private async joinTerminal(
    place: ConsolePlace,
    stream: RelayStream,
    terminal: Terminal,
  ): Promise<void> {
    this.terminals.add(place.domid);
    const lent = new LentTerminal(terminal, () => {
      if (stream.interrupted) this.parts.outlets.keepTerminal(place, terminal);
      else terminal.close();
    });
    // Once the console is over, it may be that nobody ever reads what is still on its way there.
    await this.join(stream, lent, () => stream.peerGone);
    this.terminals.delete(place.domid);
  }

  private refuse(channel: number, reason: string): void {
    this.connection.send({ type: 'refused', channel, reason });
  }

  private logAt(channel: number): LogChannel {
    const log = this.logs.get(channel);
    if (log?.opened === true && !log.closing) return log;
    throw RELAY_PROTOCOL.violation('a log is open when it is written', `channel ${channel}`);
  }

  private store(channel: number, index: number, bytes: Uint8Array): void {
    const logged = this.logAt(channel);
    if (logged.storing) {
      throw RELAY_PROTOCOL.violation('a batch comes when the last one is stored', `at ${index}`);
    }
    const stored = () => {
      logged.storing = false;
      this.connection.send({ type: 'stored', channel });
    };
    if (logged.log === undefined || bytes.length === 0) {
      stored();
      return;
    }
    logged.storing = true;
    logged.log.take(index, bytes, stored);
  }

  private closeLog(channel: number, isOver: boolean): void {
    const logged = this.logAt(channel);
    logged.closing = true;
    this.inOrder(logged.domid, async () => {
      await logged.log?.close(isOver);
      this.logs.delete(channel);
      this.connection.send({ type: 'close', channel, isOver });
    });
  }

  /** A guest's requests one after the other: its log is closed before it is opened again. */
  private inOrder(domid: DomId, step: () => Promise<void>): void {
    const before = this.work.get(domid) ?? Promise.resolve();
    const done = before.then(step).catch((error: unknown) => {
      this.parts.log.error('cannot do what the domain asks for', {
        domid,
        error: errorMessage(error),
      });
    });
    this.work.set(domid, done);
    void done.then(() => {
      if (this.work.get(domid) === done) this.work.delete(domid);
    });
  }
}
