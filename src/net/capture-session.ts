/**
 * Somebody who captures frames over a byte stream: the first line names a port, `capture vif3.0 BYTES`,
 * the answer is a line `ok` and a pcap file without an end, or a line that says why not. Frames never
 * wait for whoever captures: those that there is no room for are left out.
 */
import type { ByteStream } from '../base/byte-stream.ts';
import { latin1Decode, latin1Encode } from '../base/bytes.ts';
import type { SwitchPort } from './switch-port.ts';

export const CAPTURE_ACCEPTED = 'ok';
const LINE_BYTES_MAX = 256;
/** What waits for a reader who is slow. */
const WAITING_BYTES_MAX = 8 << 20;

export function captureRequestLine(port: string, bytesMax: number): string {
  return `capture ${port} ${bytesMax}\n`;
}

export interface CaptureSessionParts {
  readonly stream: ByteStream;
  readonly find: (name: string) => SwitchPort | undefined;
  /** Called once, with the frames that were left out. */
  readonly onEnd: (session: CaptureSession, leftOut: number) => void;
}

export class CaptureSession {
  private readonly parts: CaptureSessionParts;
  private readonly buffer = new Uint8Array(LINE_BYTES_MAX);
  private line = '';
  private capture: { close(): void } | undefined;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private leftOut = 0;
  /** Nothing more is put: the request was refused, or the port is gone. */
  private isOver = false;
  private ended = false;

  constructor(parts: CaptureSessionParts) {
    this.parts = parts;
    parts.stream.onReady(() => this.ready());
  }

  /** Idempotent. */
  close(): void {
    if (this.ended) return;
    this.ended = true;
    this.capture?.close();
    this.waiting = [];
    this.parts.stream.close();
    this.parts.onEnd(this, this.leftOut);
  }

  private ready(): void {
    const { stream } = this.parts;
    for (let got = stream.read(this.buffer); got > 0; got = stream.read(this.buffer)) {
      // Whatever follows the first line means nothing.
      if (this.capture === undefined && !this.isOver) this.readLine(got);
    }
    this.drain();
    if (stream.ended) this.close();
    else this.closeOnceTold();
  }

  private readLine(length: number): void {
    this.line += latin1Decode(this.buffer, 0, length);
    const end = this.line.indexOf('\n');
    if (end >= 0) this.begin(this.line.slice(0, end));
    else if (this.line.length > LINE_BYTES_MAX) this.refuse('the request is too long');
  }

  private begin(line: string): void {
    const [, name = '', bytes] = /^capture (\S+) (\d{1,9})$/.exec(line) ?? [];
    if (bytes === undefined || Number(bytes) === 0) {
      this.refuse('a request is `capture PORT BYTES`');
      return;
    }
    const port = this.parts.find(name);
    if (port === undefined) {
      this.refuse(`there is no ${name} here, or its guest is not connected`);
      return;
    }
    this.put(latin1Encode(`${CAPTURE_ACCEPTED}\n`));
    this.capture = port.capture((part) => this.put(part), {
      bytesMax: Number(bytes),
      onEnd: () => {
        this.isOver = true;
        this.closeOnceTold();
      },
    });
  }

  private refuse(why: string): void {
    this.isOver = true;
    this.put(latin1Encode(`${why}\n`));
  }

  private closeOnceTold(): void {
    if (this.isOver && this.waiting.length === 0) this.close();
  }

  private put(part: Uint8Array): void {
    if (this.waitingBytes + part.length > WAITING_BYTES_MAX) {
      this.leftOut++;
      return;
    }
    this.waiting.push(part);
    this.waitingBytes += part.length;
    this.drain();
  }

  private drain(): void {
    const { stream } = this.parts;
    while (this.waiting.length > 0) {
      const part = this.waiting[0]!;
      const taken = stream.write(part);
      if (taken === 0) return;
      this.waitingBytes -= taken;
      if (taken < part.length) this.waiting[0] = part.subarray(taken);
      else this.waiting.shift();
    }
  }
}
