/** A log whose lines may begin with the time, in the form that xenconsoled writes. */
import { latin1Encode } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { LogFile } from './log-file.ts';

const LF = 0x0a;
const CR = 0x0d;

const twoDigits = (value: number) => String(value).padStart(2, '0');

/** `[2024-02-29 23:59:01] `, local time. */
function timestamp(wallclock_ms: number): Uint8Array {
  const now = new Date(wallclock_ms);
  const date = [now.getFullYear(), twoDigits(now.getMonth() + 1), twoDigits(now.getDate())];
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(twoDigits);
  return latin1Encode(`[${date.join('-')} ${time.join(':')}] `);
}

export class LineLog {
  private readonly file: LogFile;
  private readonly clock: Clock;
  private readonly timestamps: boolean;
  private atLineStart = true;

  constructor(file: LogFile, clock: Clock, timestamps: boolean) {
    this.file = file;
    this.clock = clock;
    this.timestamps = timestamps;
    if (timestamps) this.write(latin1Encode('Logfile Opened\n'));
  }

  write(bytes: Uint8Array): void {
    if (!this.timestamps) {
      this.file.write(bytes);
      return;
    }
    const stamp = timestamp(this.clock.wallclock_ms());
    for (let at = 0; at < bytes.length; ) {
      // Guests end lines with CR LF or with LF CR; a CR that begins a line would hide its timestamp.
      if (this.atLineStart && bytes[at] === CR) {
        at++;
        continue;
      }
      const newline = bytes.indexOf(LF, at);
      const end = newline < 0 ? bytes.length : newline + 1;
      if (this.atLineStart) this.file.write(stamp);
      this.file.write(bytes.subarray(at, end));
      this.atLineStart = newline >= 0;
      at = end;
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
