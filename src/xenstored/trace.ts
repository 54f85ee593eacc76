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

/**
 * What can be traced, by the names that C's xenstored has for it: clients, watches and transactions
 * that come and go; requests, replies and events; domains that are made to wait.
 */
export const TRACE_SWITCHES = ['obj', 'io', 'wrl'] as const;

export type TraceSwitch = (typeof TRACE_SWITCHES)[number];

export function isTraceSwitch(name: string): name is TraceSwitch {
  return (TRACE_SWITCHES as readonly string[]).includes(name);
}

const SHOWN_MAX = 256;

/** As a person can read it: what is not printable is a blank. */
function shown(text: string): string {
  return text.slice(0, SHOWN_MAX).replace(/[^ -~]/g, ' ');
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
  private readonly on = new Set<TraceSwitch>(['obj', 'io']);

  constructor(file: TraceFile | undefined, clock: Clock) {
    this.file = file;
    this.clock = clock;
    this.recent = new TraceBuffer(clock);
  }

  isOn(name: TraceSwitch): boolean {
    return this.on.has(name);
  }

  turn(name: TraceSwitch, on: boolean): void {
    if (on) this.on.add(name);
    else this.on.delete(name);
  }

  /** Whether a note about that would be kept. */
  notes(about: 'obj' | 'wrl'): boolean {
    return this.on.has(about) && (this.file?.isOpen === true || this.recent.wanted);
  }

  /** Something that befell the named connection, such as `create` with `watch /a token`. */
  note(about: 'obj' | 'wrl', name: string, what: string, detail: string): void {
    if (!this.notes(about)) return;
    this.line(about.toUpperCase(), name, what, shown(detail), this.recent.wanted);
  }

  /** One request (`IN`), or reply or event (`OUT`), of the named connection. */
  packet(direction: 'IN' | 'OUT', name: string, type: number, payload: Uint8Array): void {
    if (!this.on.has('io')) return;
    const isForFile = this.file?.isOpen === true;
    // To ask for the trace is left out of it: otherwise each look would bring the next.
    const isForRecent = this.recent.wanted && !isAboutTrace(type, payload);
    if (!isForFile && !isForRecent) return;
    this.line(
      direction,
      name,
      operationName(type),
      shown(latin1Decode(payload.subarray(0, SHOWN_MAX))),
      isForRecent,
    );
  }

  private line(
    head: string,
    name: string,
    what: string,
    detail: string,
    isForRecent: boolean,
  ): void {
    const when = new Date(this.clock.wallclock_ms()).toISOString();
    const line = `${head} ${name} ${when} ${what} (${detail})`;
    if (this.file?.isOpen === true) this.file.write(line);
    if (isForRecent) this.recent.add(line);
  }
}
