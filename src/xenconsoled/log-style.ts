/** How output stands in a log: as it is, with the time before each line as xenconsoled has it, or as JSON. */
import { asciiJson } from '../base/ascii-json.ts';
import { concatBytes, latin1Decode, latin1Encode } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';

export interface LogStyle {
  /** `text` is what was printed; `json` is one object a line, `{"time": …, "text": …}`. */
  readonly format: 'text' | 'json';
  /** Lines of text begin with the time; JSON always says it. */
  readonly timestamps: boolean;
  /** ESC becomes a dot, so that nobody's terminal obeys a guest when the log is read. */
  readonly replaceEscape: boolean;
}

/** Whose output it is, for JSON. */
export type LogSubject = Readonly<Record<string, string | number>>;

const LF = 0x0a;
const CR = 0x0d;
const ESC = 0x1b;
const DOT = 0x2e;

const twoDigits = (value: number) => String(value).padStart(2, '0');

/** `[2024-02-29 23:59:01] `, local time. */
function timestamp(wallclock_ms: number): Uint8Array {
  const now = new Date(wallclock_ms);
  const date = [now.getFullYear(), twoDigits(now.getMonth() + 1), twoDigits(now.getDate())];
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(twoDigits);
  return latin1Encode(`[${date.join('-')} ${time.join(':')}] `);
}

/** Nothing is lost: what is not UTF-8 stands there with one character a byte, and is said to. */
function textFields(bytes: Uint8Array): LogSubject {
  const text = latin1Decode(bytes);
  if (bytes.every((byte) => byte < 0x80)) return { text };
  try {
    // Percent-encoded bytes are taken for UTF-8: the decoder that every ECMAScript has.
    return { text: decodeURIComponent(escapeBytes(text)) };
  } catch {
    return { text, encoding: 'latin1' };
  }
}

function escapeBytes(text: string): string {
  return text.replace(
    /[^0-9A-Za-z]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** Each line of `bytes` with its end, and what follows the last. */
function* lines(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(LF, at);
    const end = newline < 0 ? bytes.length : newline + 1;
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** Writes one log: the pieces of output in order. */
export class LogScribe {
  private readonly style: LogStyle;
  private readonly clock: Clock;
  private readonly subject: LogSubject;
  private atLineStart = true;

  constructor(style: LogStyle, clock: Clock, subject: LogSubject) {
    this.style = style;
    this.clock = clock;
    this.subject = subject;
  }

  /** What a log says when it is opened. */
  opening(): Uint8Array {
    const { format, timestamps } = this.style;
    if (format === 'json') return this.record({ event: 'opened' });
    return timestamps ? this.stamped(latin1Encode('Logfile Opened\n')) : new Uint8Array(0);
  }

  /** `bytes` as they stand in the log. May be a window onto `bytes` themselves. */
  written(bytes: Uint8Array): Uint8Array {
    const { format, timestamps, replaceEscape } = this.style;
    const shown = replaceEscape ? bytes.map((byte) => (byte === ESC ? DOT : byte)) : bytes;
    if (format === 'json') return this.records(shown);
    return timestamps ? this.stamped(shown) : shown;
  }

  private stamped(bytes: Uint8Array): Uint8Array {
    const stamp = timestamp(this.clock.wallclock_ms());
    const pieces: Uint8Array[] = [];
    for (const line of lines(bytes)) {
      let start = 0;
      if (this.atLineStart) {
        // Guests end lines with CR LF or with LF CR; a CR that begins a line would hide its timestamp.
        while (line[start] === CR) start++;
        if (start === line.length) continue;
        pieces.push(stamp);
      }
      pieces.push(line.subarray(start));
      this.atLineStart = line[line.length - 1] === LF;
    }
    return concatBytes(pieces);
  }

  /** One record a line; the start of a line that is still being printed has a record of its own. */
  private records(bytes: Uint8Array): Uint8Array {
    return concatBytes(Array.from(lines(bytes), (line) => this.record(textFields(line))));
  }

  private record(fields: LogSubject): Uint8Array {
    const time = new Date(this.clock.wallclock_ms()).toISOString();
    return latin1Encode(`${asciiJson({ time, ...this.subject, ...fields })}\n`);
  }
}
