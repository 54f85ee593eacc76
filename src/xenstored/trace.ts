/** The trace of all requests and replies, which an operator switches on and off. */

import { latin1Decode } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { operationName } from '../xenstore/packet.ts';

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

export class Trace {
  readonly file: TraceFile | undefined;
  private readonly clock: Clock;

  constructor(file: TraceFile | undefined, clock: Clock) {
    this.file = file;
    this.clock = clock;
  }

  /** One request (`IN`), or reply or event (`OUT`), of the named connection. */
  packet(direction: 'IN' | 'OUT', name: string, type: number, payload: Uint8Array): void {
    if (this.file === undefined || !this.file.isOpen) return;
    const when = new Date(this.clock.wallclock_ms()).toISOString();
    this.file.write(`${direction} ${name} ${when} ${operationName(type)} (${shown(payload)})`);
  }
}
