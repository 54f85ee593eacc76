/** One viewer's connection to the daemon, from ATTACH to the end: viewer-protocol.ts, the daemon's side. */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import { XenError } from '../base/errors.ts';
import { FRAME_PAYLOAD_MAX, FrameReader, frame } from '../base/frames.ts';
import type { Log } from '../base/log.ts';
import {
  type AttachRequest,
  jsonFrame,
  parseAttach,
  parseWindow,
  VIEWER_ATTACH,
  VIEWER_ATTACHED,
  VIEWER_ENDED,
  VIEWER_INPUT,
  VIEWER_OUTPUT,
  VIEWER_PROTOCOL,
  VIEWER_REFUSED,
  VIEWER_WINDOW,
} from '../console/viewer-protocol.ts';
import type { HistoryReader } from './history.ts';
import type { ServedConsole, Viewer } from './served-console.ts';

/** Frames of one viewer that are looked at before others have their turn. */
const FRAMES_PER_TURN_MAX = 16;

const NOTHING: Uint8Array = new Uint8Array(0);

export interface ViewerSessionParts {
  readonly stream: ByteStream;
  readonly clock: Clock;
  readonly log: Log;
  /** The console that a viewer asks for, or `undefined` when there is none. */
  readonly find: (request: AttachRequest) => ServedConsole | undefined;
  /** Called once the session holds nothing any more. */
  readonly onEnd: () => void;
}

export class ViewerSession implements Viewer {
  private readonly parts: ViewerSessionParts;
  private readonly stream: ByteStream;
  private readonly frames: FrameReader;
  private console: ServedConsole | undefined;
  private reader: HistoryReader | undefined;
  private readOnly = true;
  /** What was typed and the guest has not taken yet. */
  private typed = NOTHING;
  /** What is on its way to the viewer: the rest of a frame. */
  private outgoing = NOTHING;
  private turnDue = false;
  private ended = false;

  constructor(parts: ViewerSessionParts) {
    this.parts = parts;
    this.stream = parts.stream;
    this.frames = new FrameReader(parts.stream, VIEWER_PROTOCOL);
    parts.stream.onReady(() => this.ready());
  }

  /** Idempotent. */
  close(): void {
    if (this.ended) return;
    this.ended = true;
    this.console?.removeViewer(this);
    this.stream.close();
    this.parts.onEnd();
  }

  outputReady(): void {
    const { reader, stream } = this;
    while (!this.ended && reader !== undefined) {
      if (this.outgoing.length === 0) {
        const bytes = reader.peek().subarray(0, FRAME_PAYLOAD_MAX);
        if (bytes.length === 0) return;
        this.outgoing = frame(VIEWER_OUTPUT, bytes);
        reader.consume(bytes.length);
      }
      const sent = stream.write(this.outgoing);
      if (sent === 0) return;
      this.outgoing = this.outgoing.subarray(sent);
    }
  }

  readTyped(target: Uint8Array): number {
    if (this.typed.length === 0) this.guarded(() => this.readFrames());
    const length = Math.min(this.typed.length, target.length);
    target.set(this.typed.subarray(0, length));
    this.typed = this.typed.subarray(length);
    return length;
  }

  consoleEnded(isOver: boolean): void {
    // Without a farewell the viewer waits for the next daemon.
    if (isOver) this.farewell(VIEWER_ENDED, 'the console is over');
    else this.close();
  }

  private ready(): void {
    if (this.ended) return;
    if (this.console === undefined) this.guarded(() => this.attach());
    this.outputReady();
    if (this.readOnly) this.guarded(() => this.readFrames());
    else this.console?.typedReady();
    if (this.stream.ended) this.close();
  }

  private attach(): void {
    const first = this.frames.next();
    if (first === undefined) return;
    if (first.type !== VIEWER_ATTACH) {
      this.farewell(VIEWER_REFUSED, `the first frame is ATTACH, not type ${first.type}`);
      return;
    }
    const request = parseAttach(first.payload);
    const console = this.parts.find(request);
    if (console === undefined) {
      const { domid, console: index } = request;
      this.farewell(VIEWER_REFUSED, `domain ${domid} has no console ${index} that is served here`);
      return;
    }
    const otherViewers = console.viewerCount;
    this.readOnly = request.readOnly;
    this.reader = console.addViewer(this, request.scrollback);
    this.console = console;
    this.outgoing = jsonFrame(VIEWER_ATTACHED, { otherViewers });
  }

  /** Up to the next input; what a read-only viewer types is nobody's. */
  private readFrames(): void {
    for (let count = 0; count < FRAMES_PER_TURN_MAX && !this.ended; count++) {
      const next = this.frames.next();
      if (next === undefined) return;
      if (next.type === VIEWER_WINDOW) this.resize(next.payload);
      else if (next.type !== VIEWER_INPUT) {
        throw new XenError('EPROTO', 'read a viewer frame', `type ${next.type} is unknown here`);
      } else if (!this.readOnly && next.payload.length > 0) {
        this.typed = next.payload;
        return;
      }
    }
    this.continueLater();
  }

  /** The stream does not tell again of what is left in it. */
  private continueLater(): void {
    if (this.turnDue || this.ended) return;
    this.turnDue = true;
    this.parts.clock.after(0, () => {
      this.turnDue = false;
      this.ready();
    });
  }

  private resize(payload: Uint8Array): void {
    const size = parseWindow(payload);
    // Whoever may not type may not change what the guest draws either.
    if (!this.readOnly) this.console?.setWindowSize(size);
  }

  /** Ends the session, and no other, when the viewer breaks a rule. */
  private guarded(body: () => void): void {
    try {
      body();
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      this.parts.log.warn('a viewer is refused', { error: error.message });
      this.farewell(VIEWER_REFUSED, error.message);
    }
  }

  /** The last frame. A viewer that has left no room for it sees the end of the stream only. */
  private farewell(type: number, reason: string): void {
    if (this.ended) return;
    if (type === VIEWER_ENDED) this.outputReady();
    if (this.outgoing.length === 0) this.stream.write(jsonFrame(type, { reason }));
    this.close();
  }
}
