/** A person at a console: their terminal on one side, the console daemon on the other. */
import { createWriteStream, type WriteStream } from 'node:fs';
import type { ReadStream, WriteStream as TerminalOutput } from 'node:tty';
import type { ByteStream } from '../base/byte-stream.ts';
import { sleep } from '../base/clock.ts';
import { errorCode, XenError } from '../base/errors.ts';
import { FRAME_PAYLOAD_MAX, FrameReader, frame } from '../base/frames.ts';
import {
  type AttachRequest,
  jsonFrame,
  VIEWER_ATTACH,
  VIEWER_ATTACHED,
  VIEWER_ENDED,
  VIEWER_INPUT,
  VIEWER_OUTPUT,
  VIEWER_PROTOCOL,
  VIEWER_REFUSED,
  VIEWER_WINDOW,
} from '../console/viewer-protocol.ts';
import { nodeClock } from '../node/clock.ts';
import { connectUnixSocket } from '../node/socket-path.ts';
import { socketStream } from '../node/socket-stream.ts';

export interface SessionOptions {
  /** The daemon's socket for viewers. */
  readonly socket: string;
  readonly request: AttachRequest;
  /** The byte that detaches when it is typed. */
  readonly detachKey: number;
  /** A file to which all that is shown is appended. */
  readonly logFile?: string | undefined;
  readonly input: ReadStream;
  readonly output: TerminalOutput;
  /** Tells the person something that is not the guest's. */
  readonly say: (text: string) => void;
}

/** How long to wait between two looks for a daemon that is gone. */
const RECONNECT_MS = 500;
/** What is typed waits up to here for the daemon, then in the terminal. */
const UNSENT_MAX = 65536;
/** Asked for after the daemon has come back: it knows nothing from before its start. */
const ALL = Number.MAX_SAFE_INTEGER;

export class ConsoleSession {
  private readonly options: SessionOptions;
  private readonly log: WriteStream | undefined;
  private daemon: ByteStream | undefined;
  private frames: FrameReader | undefined;
  private unsent: Uint8Array = new Uint8Array(0);
  private attached = false;
  private readonly over: Promise<void>;
  private finish: (error?: Error) => void = () => {};
  private isOver = false;

  constructor(options: SessionOptions) {
    this.options = options;
    const { logFile } = options;
    this.log = logFile === undefined ? undefined : createWriteStream(logFile, { flags: 'a' });
    this.over = new Promise((resolve, reject) => {
      this.finish = (error) => {
        this.isOver = true;
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    this.over.catch(() => {});
    this.log?.on('error', (error) => this.finish(error));
  }

  /** Resolves when the person detaches or the console is over. Rejects when it can't be attached to. */
  async run(): Promise<void> {
    await this.connect(this.options.request.scrollback);
    const { input, output } = this.options;
    const onInput = (bytes: Buffer) => this.typed(bytes);
    const onResize = () => this.sendWindow();
    const onRoom = () => this.takeFrames();
    if (input.isTTY) input.setRawMode(true);
    input.on('data', onInput);
    output.on('resize', onResize).on('drain', onRoom);
    try {
      await this.over;
    } finally {
      if (input.isTTY) input.setRawMode(false);
      input.off('data', onInput).pause();
      output.off('resize', onResize).off('drain', onRoom);
      this.daemon?.close();
      this.log?.end();
    }
  }

  private async connect(scrollback: number): Promise<void> {
    const { socket, request } = this.options;
    const daemon = socketStream(await connectUnixSocket(socket, 'xenconsoled'));
    this.daemon = daemon;
    this.frames = new FrameReader(daemon, VIEWER_PROTOCOL);
    this.attached = false;
    this.unsent = new Uint8Array(0);
    this.send(jsonFrame(VIEWER_ATTACH, { ...request, scrollback }));
    daemon.onReady(() => this.daemonReady(daemon));
  }

  private daemonReady(daemon: ByteStream): void {
    if (this.isOver || daemon !== this.daemon) return;
    this.flush();
    this.takeFrames();
    if (!daemon.ended || this.isOver) return;
    daemon.close();
    this.daemon = undefined;
    this.options.say('the console daemon is gone; waiting for the next');
    void this.reconnect();
  }

  private async reconnect(): Promise<void> {
    while (!this.isOver && this.daemon === undefined) {
      await sleep(nodeClock, RECONNECT_MS);
      if (this.isOver) return;
      try {
        await this.connect(ALL);
      } catch (error) {
        const code = errorCode(error);
        // It may still be on its way.
        if (code !== 'ENOENT' && code !== 'ENOTCONN') this.finish(error as Error);
      }
    }
  }

  /** Shows what has come, as fast as the terminal takes it. */
  private takeFrames(): void {
    while (!this.isOver && !this.options.output.writableNeedDrain) {
      const next = this.frames?.next();
      if (next === undefined) return;
      this.take(next.type, next.payload);
    }
  }

  private take(type: number, payload: Uint8Array): void {
    switch (type) {
      case VIEWER_OUTPUT: {
        const bytes = payload.slice();
        this.options.output.write(bytes);
        this.log?.write(bytes);
        return;
      }
      case VIEWER_ATTACHED:
        this.attached = true;
        this.welcome(Number(VIEWER_PROTOCOL.parseJson(payload).otherViewers));
        this.sendWindow();
        return;
      case VIEWER_ENDED:
        this.options.say(String(VIEWER_PROTOCOL.parseJson(payload).reason));
        this.finish();
        return;
      case VIEWER_REFUSED:
        this.finish(
          new XenError('ENOTCONN', 'attach', String(VIEWER_PROTOCOL.parseJson(payload).reason)),
        );
        return;
      default:
        this.finish(new XenError('EPROTO', 'attach', `frame type ${type} is unknown here`));
    }
  }

  private welcome(others: number): void {
    const { request, detachKey, say } = this.options;
    const how = request.readOnly ? 'attached, read-only' : 'attached';
    const whom = others === 0 ? '' : `; ${others} more look at it`;
    say(`${how}${whom}; ${keyName(detachKey)} detaches`);
  }

  private typed(bytes: Buffer): void {
    const detach = bytes.indexOf(this.options.detachKey);
    const keys = detach < 0 ? bytes : bytes.subarray(0, detach);
    if (!this.options.request.readOnly && this.attached) {
      for (let at = 0; at < keys.length; at += FRAME_PAYLOAD_MAX) {
        this.send(frame(VIEWER_INPUT, keys.subarray(at, at + FRAME_PAYLOAD_MAX)));
      }
    }
    if (detach < 0) return;
    this.options.say('detached');
    this.finish();
  }

  private sendWindow(): void {
    const { output, request } = this.options;
    if (!output.isTTY || request.readOnly || !this.attached) return;
    this.send(jsonFrame(VIEWER_WINDOW, { columns: output.columns, rows: output.rows }));
  }

  private send(bytes: Uint8Array): void {
    const all = new Uint8Array(this.unsent.length + bytes.length);
    all.set(this.unsent);
    all.set(bytes, this.unsent.length);
    this.unsent = all;
    this.flush();
    // A guest that takes no input must not make us keep all that is pasted at it.
    if (this.unsent.length > UNSENT_MAX) this.options.input.pause();
  }

  private flush(): void {
    while (this.daemon !== undefined && this.unsent.length > 0) {
      const sent = this.daemon.write(this.unsent);
      if (sent === 0) return;
      this.unsent = this.unsent.subarray(sent);
    }
    if (this.attached && this.unsent.length === 0) this.options.input.resume();
  }
}

/** `Ctrl-]` for 0x1d. */
function keyName(key: number): string {
  return key < 0x20 ? `Ctrl-${String.fromCharCode(key + 0x40)}` : String.fromCharCode(key);
}
