import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { latin1Encode } from '../../src/base/bytes.ts';
import { logTo, silentLog } from '../../src/base/log.ts';
import { AppendedFile, logDirectory } from '../../src/node/log-file.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-log-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** A device whose disk is always full. */
const FULL_DISK = Buffer.from('/dev/full');

function listen() {
  const lines: string[] = [];
  const log = logTo((level, message, fields) => {
    lines.push(`${level} ${message} ${fields.reason ?? fields.lost_bytes}`);
  });
  return { lines, log };
}

test('what is written stands in the file in order once it is closed', async () => {
  const file = logDirectory(directory, silentLog)('guest-a.log');
  const reused = new Uint8Array(4);
  for (let n = 0; n < 1000; n++) {
    reused.set(latin1Encode(String(n).padStart(4, '0')));
    file.write(reused);
  }
  await file.close();
  const expected = Array.from({ length: 1000 }, (_, n) => String(n).padStart(4, '0')).join('');
  expect(readFileSync(join(directory, 'guest-a.log'), 'latin1')).toBe(expected);
});

test('a log goes on where it ended, and the world may read it', async () => {
  const openLog = logDirectory(directory, silentLog);
  for (const text of ['one ', 'two ']) {
    const file = openLog('guest-a.log');
    file.write(latin1Encode(text));
    await file.close();
  }
  const path = join(directory, 'guest-a.log');
  expect(readFileSync(path, 'latin1')).toBe('one two ');
  expect(statSync(path).mode & 0o777).toBe(0o644 & ~process.umask());
});

test('a log that was moved away keeps its old content, and a new one begins', async () => {
  const openLog = logDirectory(directory, silentLog);
  const old = openLog('guest-a.log');
  old.write(latin1Encode('old'));
  renameSync(join(directory, 'guest-a.log'), join(directory, 'guest-a.log.1'));
  const fresh = openLog('guest-a.log');
  await old.close();
  fresh.write(latin1Encode('new'));
  await fresh.close();
  expect(readFileSync(join(directory, 'guest-a.log.1'), 'latin1')).toBe('old');
  expect(readFileSync(join(directory, 'guest-a.log'), 'latin1')).toBe('new');
});

test('a name is bytes, as xenstore has them', async () => {
  await logDirectory(directory, silentLog)('guest-\xc3\xa9.log').close();
  expect(readdirSync(directory)).toEqual(['guest-é.log']);
});

test('a name that would leave the directory is refused', () => {
  const openLog = logDirectory(directory, silentLog);
  for (const name of ['../guest-a.log', 'a/b', '..', '.', 'a\0b']) {
    expect(() => openLog(name)).toThrow(RangeError);
  }
  expect(readdirSync(directory)).toEqual([]);
});

test('a directory that is missing is an error with its code', () => {
  const openLog = logDirectory(join(directory, 'missing'), silentLog);
  expect(() => openLog('guest-a.log')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

test.runIf(existsSync('/dev/full'))(
  'a full disk costs the bytes, says so once and counts them',
  async () => {
    const { lines, log } = listen();
    const file = new AppendedFile(FULL_DISK, log);
    file.write(latin1Encode('lost'));
    file.write(latin1Encode('lost too'));
    await file.close();
    expect(lines).toEqual([
      expect.stringMatching(/^error the log loses output ENOSPC/),
      'warn the log ended with output lost 12',
    ]);
  },
);

test('more than a slow disk takes in time is dropped, and the loss is reported at the end of it', async () => {
  const { lines, log } = listen();
  const file = logDirectory(directory, log)('guest-a.log');
  // Nothing is written while this turn of the event loop lasts.
  const chunk = new Uint8Array(1 << 16).fill(0x78);
  for (let n = 0; n < 20; n++) file.write(chunk);
  await file.close();
  expect(statSync(join(directory, 'guest-a.log')).size).toBe(16 << 16);
  expect(lines).toEqual([
    'error the log loses output the disk is too slow',
    `warn the log is written again ${4 << 16}`,
  ]);
});

test('after its end a log takes nothing', async () => {
  const file = logDirectory(directory, silentLog)('guest-a.log');
  await file.close();
  file.write(latin1Encode('late'));
  await file.close();
  expect(readFileSync(join(directory, 'guest-a.log'), 'latin1')).toBe('');
});
