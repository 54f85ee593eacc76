/** Lines of a console domain in the log of its relay: as many as a domain can need, however many it says. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { RelayMessage } from './relay-frames.ts';

/** A domain that serves hundreds of guests begins with a line for each. */
export const LINES_PER_SECOND_MAX = 500;
const SECOND_MS = 1000;

type Line = Extract<RelayMessage, { type: 'line' }>;

export class RelayedLines {
  private readonly log: Log;
  private readonly clock: Clock;
  private secondEnd_ms = 0;
  private count = 0;

  constructor(log: Log, clock: Clock) {
    this.log = log;
    this.clock = clock;
  }

  take({ level, message, fields }: Line): void {
    if (this.clock.now_ms() >= this.secondEnd_ms) this.beginSecond();
    this.count++;
    if (this.count <= LINES_PER_SECOND_MAX) this.log[level](`domain: ${message}`, fields);
  }

  /** Tells of the lines that were left out since it last did. */
  end(): void {
    const lines = this.count - LINES_PER_SECOND_MAX;
    this.count = 0;
    if (lines <= 0) return;
    this.log.warn(`lines of the domain are left out, limit: ${LINES_PER_SECOND_MAX} a second`, {
      lines,
    });
  }

  private beginSecond(): void {
    this.end();
    this.secondEnd_ms = this.clock.now_ms() + SECOND_MS;
  }
}
