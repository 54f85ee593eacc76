/** What happens to output on its way: the buffer for a viewer, the lines of a log, the log's name. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import { LineLog } from '../../src/xenconsoled/line-log.ts';
import { guestLogName } from '../../src/xenconsoled/log-file.ts';
import { OutputBuffer } from '../../src/xenconsoled/output-buffer.ts';
import { FakeLog } from './console-host.ts';

function take(buffer: OutputBuffer, length: number): string {
  const bytes = buffer.peek().slice(0, length);
  buffer.consume(bytes.length);
  return latin1Decode(bytes);
}

test('the output buffer gives the newest bytes in order, whatever comes and goes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20_000 }),
      fc.array(fc.record({ appended: fc.nat(9000), taken: fc.nat(9000) }), {
        minLength: 1,
        maxLength: 20,
      }),
      (limit, steps) => {
        const buffer = new OutputBuffer(limit);
        let model = '';
        let printed = 0;
        for (const { appended, taken } of steps) {
          const text = Array.from({ length: appended }, () => String(printed++ % 10)).join('');
          buffer.append(latin1Encode(text));
          model = (model + text).slice(Math.max(0, model.length + text.length - limit));
          const got = take(buffer, taken);
          expect(model.startsWith(got)).toBe(true);
          expect(got.length > 0 || model.length === 0 || taken === 0).toBe(true);
          model = model.slice(got.length);
          expect(buffer.length).toBe(model.length);
        }
        expect(take(buffer, limit) + take(buffer, limit)).toBe(model);
      },
    ),
    { numRuns: 60 },
  );
});

describe('a log with timestamps', () => {
  const clock: Clock = {
    now_ms: () => 0,
    wallclock_ms: () => new Date(2024, 1, 29, 3, 5, 9).getTime(),
    after: () => ({ cancel: () => {} }),
  };
  const stamp = '[2024-02-29 03:05:09] ';

  function logged(timestamps: boolean, ...pieces: string[]): string {
    const file = new FakeLog();
    const log = new LineLog(file, clock, timestamps);
    for (const piece of pieces) log.write(latin1Encode(piece));
    return file.content;
  }

  test('says when it was opened and begins each line with the time', () => {
    expect(logged(true, 'a\r\nb\n')).toBe(`${stamp}Logfile Opened\n${stamp}a\r\n${stamp}b\n`);
  });

  test('has one timestamp a line, however the line comes in pieces', () => {
    expect(logged(true, 'a', 'b', '\n', '\r', 'c')).toBe(
      `${stamp}Logfile Opened\n${stamp}ab\n${stamp}c`,
    );
  });

  test('hides no timestamp behind a carriage return', () => {
    expect(logged(true, 'a\n\r\rb\rc')).toBe(`${stamp}Logfile Opened\n${stamp}a\n${stamp}b\rc`);
  });

  test('is byte for byte what was printed when no timestamps are wanted', () => {
    expect(logged(false, 'a\n\r', '\x1b[2J\0\xff')).toBe('a\n\r\x1b[2J\0\xff');
  });
});

describe('the name of a log', () => {
  test('is that of the domain', () => {
    expect(guestLogName('web-1.example')).toBe('guest-web-1.example.log');
  });

  test('never leads out of the log directory, nor spoils a listing', () => {
    expect(guestLogName('../../etc/passwd')).toBe('guest-.._.._etc_passwd.log');
    expect(guestLogName('a\0b\x1b[2J\n')).toBe('guest-a_b_[2J_.log');
  });

  test('fits a file system, however long the domain is named', () => {
    expect(guestLogName('x'.repeat(2000)).length).toBeLessThanOrEqual(255);
  });
});
