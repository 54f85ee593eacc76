/** The last lines of the trace, for an operator who asks for them again and again: `paravane trace`. */
import type { Clock } from '../base/clock.ts';

/** How many lines wait to be asked for; the oldest are lost first. */
const LINES_MAX = 8192;
/** How long lines are kept for somebody who does not ask any more. */
const INTEREST_MS = 10_000;

export interface TracePart {
  /** The number to ask with next. */
  readonly next: number;
  /** How many lines were lost because they were asked for too late. */
  readonly lost: number;
  readonly lines: readonly string[];
}

export class TraceBuffer {
  private readonly clock: Clock;
  /** Line number `n` stands at `n % LINES_MAX`. */
  private lines: string[] = [];
  /** Numbers of the lines that are kept, as far as there is room: from here to before `end`. */
  private start = 0;
  private end = 0;
  private wantedUntil_ms = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Whether somebody wants lines. */
  get wanted(): boolean {
    if (this.wantedUntil_ms === Number.NEGATIVE_INFINITY) return false;
    if (this.clock.now_ms() <= this.wantedUntil_ms) return true;
    this.wantedUntil_ms = Number.NEGATIVE_INFINITY;
    this.lines = [];
    this.start = this.end;
    return false;
  }

  add(line: string): void {
    this.lines[this.end % LINES_MAX] = line;
    this.end++;
  }

  /**
   * The lines from number `from` on, as many as `room` bytes hold with a newline each; none without
   * a number, which is how to begin. Whoever asks is taken to want more for a while.
   */
  read(from: number | undefined, room: number): TracePart {
    if (!this.wanted) this.start = this.end;
    this.wantedUntil_ms = this.clock.now_ms() + INTEREST_MS;
    const asked = Math.min(from ?? this.end, this.end);
    const first = Math.max(asked, this.start, this.end - LINES_MAX);
    const lines: string[] = [];
    let bytes = 0;
    for (let number = first; number < this.end; number++) {
      const line = this.lines[number % LINES_MAX] as string;
      bytes += line.length + 1;
      if (bytes > room) break;
      lines.push(line);
    }
    return { next: first + lines.length, lost: first - asked, lines };
  }
}
