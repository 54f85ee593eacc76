/** What happens to output on its way: the history for viewers, the lines of a log, the log's name. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import { History, type HistoryReader } from '../../src/xenconsoled/history.ts';
import { guestLogName } from '../../src/xenconsoled/log-file.ts';
import { LogScribe, type LogStyle } from '../../src/xenconsoled/log-style.ts';

function take(reader: HistoryReader, length: number): string {
  const bytes = reader.peek().slice(0, length);
  reader.consume(bytes.length);
  return latin1Decode(bytes);
}

test('each reader of a history gets the newest bytes in order, whatever comes and goes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20_000 }),
      fc.array(
        fc.record({
          appended: fc.nat(9000),
          reader: fc.integer({ min: 0, max: 2 }),
          taken: fc.nat(9000),
        }),
        { minLength: 1, maxLength: 20 },
      ),
      (limit, steps) => {
        const history = new History(limit);
        const readers = [0, 1, 2].map(() => history.reader(0));
        const models = ['', '', ''];
        let printed = 0;
        for (const { appended, reader, taken } of steps) {
          const text = Array.from({ length: appended }, () => String(printed++ % 10)).join('');
          history.append(latin1Encode(text));
          models.forEach((model, n) => {
            models[n] = limit === 0 ? '' : (model + text).slice(-limit);
          });
          const model = models[reader] as string;
          const got = take(readers[reader] as HistoryReader, taken);
          expect(model.startsWith(got)).toBe(true);
          expect(got.length > 0 || model.length === 0 || taken === 0).toBe(true);
          models[reader] = model.slice(got.length);
          expect(readers.map(({ length }) => length)).toEqual(models.map(({ length }) => length));
        }
        readers.forEach((reader, n) => {
          expect(take(reader, limit) + take(reader, limit)).toBe(models[n]);
        });
      },
    ),
    { numRuns: 60 },
  );
});

test('a late reader of a history begins as far back as it asks for and as there is', () => {
  const history = new History(10);
  history.append(latin1Encode('0123456789abcdef'));
  expect(take(history.reader(4), 10)).toBe('cdef');
  expect(take(history.reader(0), 10)).toBe('');
  const late = history.reader(1000);
  expect(take(late, 100) + take(late, 100)).toBe('6789abcdef');
});

describe('a log', () => {
  const clock: Clock = {
    now_ms: () => 0,
    wallclock_ms: () => new Date(2024, 1, 29, 3, 5, 9).getTime(),
    after: () => ({ cancel: () => {} }),
  };
  const stamp = '[2024-02-29 03:05:09] ';

  const style: LogStyle = { format: 'text', timestamps: false, replaceEscape: false };

  function scribed(changes: Partial<LogStyle>, ...pieces: string[]): string {
    const scribe = new LogScribe({ ...style, ...changes }, clock, { domid: 3, domain: 'web' });
    const opening = scribe.opening();
    const written = pieces.map((piece) => scribe.written(latin1Encode(piece)));
    return [opening, ...written].map((bytes) => latin1Decode(bytes)).join('');
  }

  function logged(timestamps: boolean, ...pieces: string[]): string {
    return scribed({ timestamps }, ...pieces);
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

  test('has a dot for each ESC when escapes are to be replaced', () => {
    expect(scribed({ replaceEscape: true }, 'a\x1b[2J\x1bb\n')).toBe('a.[2J.b\n');
  });

  test('as JSON has a record for each line and for the start of a line, and loses no byte', () => {
    const printed = ['up\r\nlogin: ', 'r\u00c3\u00b6t\n', '\xff\x1b[0m\0'];
    const records = scribed({ format: 'json' }, ...printed)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const time = new Date(clock.wallclock_ms()).toISOString();
    const about = { time, domid: 3, domain: 'web' };
    expect(records).toEqual([
      { ...about, event: 'opened' },
      { ...about, text: 'up\r\n' },
      { ...about, text: 'login: ' },
      { ...about, text: 'r\u00f6t\n' },
      { ...about, text: '\xff\x1b[0m\0', encoding: 'latin1' },
    ]);
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
