/** The trace of all requests and replies, which an operator switches on and off. */

import { XS_CONTROL } from '../abi/io/xs_wire.ts';
import { latin1Decode } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { operationName } from '../xenstore/packet.ts';
import { TraceBuffer } from './trace-buffer.ts';

/** Where lines of a trace go: a file, in the hands of the composition. */
export interface TraceFile {
  /** Begins to write at the end of `path`, or of the file last written to. */
  open(path?: string): void;
  close(): void;
  readonly isOpen: boolean;
  /** Adds a line to the file that is open. */
  write(line: string): void;
  /** Adds text to some file, once. Throws when that cannot be written. */
  append(path: string, text: string): void;
}

const SHOWN_MAX = 256;

/** Bytes as a person can read them: what is not printable is a blank. */
function shown(payload: Uint8Array): string {
  return latin1Decode(payload.subarray(0, SHOWN_MAX)).replace(/[^ -~]/g, ' ');
}

/** Whether it is a `control trace` or its reply, which both begin with that word. */
function isAboutTrace(type: number, payload: Uint8Array): boolean {
  return (
    type === XS_CONTROL && /^trace[\0 ]/.test(latin1Decode(payload, 0, Math.min(6, payload.length)))
  );
}

export class Trace {
  readonly file: TraceFile | undefined;
  /** For whoever looks on: see `paravane trace`. */
  readonly recent: TraceBuffer;
  private readonly clock: Clock;

  constructor(file: TraceFile | undefined, clock: Clock) {
    this.file = file;
    this.clock = clock;
    this.recent = new TraceBuffer(clock);
  }

  /** One request (`IN`), or reply or event (`OUT`), of the named connection. */
  packet(direction: 'IN' | 'OUT', name: string, type: number, payload: Uint8Array): void {
    const isForFile = this.file?.isOpen === true;
    // To ask for the trace is left out of it: otherwise each look would bring the next.
    const isForRecent = this.recent.wanted && !isAboutTrace(type, payload);
    if (!isForFile && !isForRecent) return;
    const when = new Date(this.clock.wallclock_ms()).toISOString();
    const line = `${direction} ${name} ${when} ${operationName(type)} (${shown(payload)})`;
    if (isForFile) this.file?.write(line);
    if (isForRecent) this.recent.add(line);
  }
}
