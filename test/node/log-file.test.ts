import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { latin1Encode } from '../../src/base/bytes.ts';
import { logTo, silentLog } from '../../src/base/log.ts';
import { AppendedFile, logDirectory } from '../../src/node/log-file.ts';
import { NO_ROTATION } from '../../src/node/log-rotation.ts';

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

test('a directory that is missing is made, also when it went away meanwhile', async () => {
  const missing = join(directory, 'a/b');
  const openLog = logDirectory(missing, silentLog);
  await openLog('guest-a.log').close();
  rmSync(join(directory, 'a'), { recursive: true });
  const file = openLog('guest-a.log');
  file.write(latin1Encode('again'));
  await file.close();
  expect(readFileSync(join(missing, 'guest-a.log'), 'latin1')).toBe('again');
});

test('a directory that cannot be is an error with its code', () => {
  writeFileSync(join(directory, 'file'), '');
  const openLog = logDirectory(join(directory, 'file'), silentLog);
  expect(() => openLog('guest-a.log')).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
});

test('each write is answered, once it is stored or dropped', async () => {
  const file = logDirectory(directory, silentLog)('guest-a.log');
  await new Promise<void>((resolve) => file.write(latin1Encode('stored'), resolve));
  expect(readFileSync(join(directory, 'guest-a.log'), 'latin1')).toBe('stored');
  await new Promise<void>((resolve) => file.write(new Uint8Array(2 << 20), resolve));
  await new Promise<void>((resolve) => file.write(new Uint8Array(0), resolve));
  await file.close();
  await new Promise<void>((resolve) => file.write(latin1Encode('late'), resolve));
});

test('nobody waits for a disk that does not answer, and it gets all in the end', async () => {
  const path = join(directory, 'fifo');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const { lines, log } = listen();
  const file = new AppendedFile(Buffer.from(path), log, NO_ROTATION, 1);
  // More than a pipe holds: the write blocks until somebody reads.
  const answers = ['x'.repeat(1 << 18), 'y', 'z'].map(
    (text) => new Promise<void>((resolve) => file.write(latin1Encode(text), resolve)),
  );
  await Promise.all(answers);
  expect(lines).toEqual(['warn the disk under a log does not answer undefined']);
  expect(file.begin()).toBe(undefined);
  await new Promise<void>((resolve) => file.write(latin1Encode('later'), resolve));
  let closed = false;
  const closing = file.close().then(() => {
    closed = true;
  });
  let content = '';
  const chunk = Buffer.alloc(65536);
  while (!closed) {
    try {
      content += chunk.toString('latin1', 0, readSync(reader, chunk));
    } catch (error) {
      expect(error).toMatchObject({ code: 'EAGAIN' });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await closing;
  closeSync(reader);
  expect(content).toBe(`${'x'.repeat(1 << 18)}yzlater`);
});

describe('the next daemon', () => {
  test('cuts the log back to where the last batch began', async () => {
    const first = logDirectory(directory, silentLog)('guest-a.log');
    first.write(latin1Encode('whole '));
    await first.close();
    const killed = logDirectory(directory, silentLog)('guest-a.log');
    const place = killed.begin() ?? '';
    killed.write(latin1Encode('half a ba'));
    await killed.close();
    const next = logDirectory(directory, silentLog)('guest-a.log');
    next.cutBack(place);
    next.write(latin1Encode('batch'));
    await next.close();
    expect(readFileSync(join(directory, 'guest-a.log'), 'latin1')).toBe('whole batch');
  });

  test.each(['much longer than it was ', ''])(
    'cuts the log back to there when others have made it %j meanwhile',
    async (others) => {
      const killed = logDirectory(directory, silentLog)('guest-a.log');
      await new Promise<void>((stored) => killed.write(latin1Encode('whole '), stored));
      writeFileSync(join(directory, 'guest-a.log'), others);
      const place = killed.begin() ?? '';
      killed.write(latin1Encode('half a ba'));
      await killed.close();
      const next = logDirectory(directory, silentLog)('guest-a.log');
      next.cutBack(place);
      next.write(latin1Encode('batch'));
      await next.close();
      expect(readFileSync(join(directory, 'guest-a.log'), 'latin1')).toBe(`${others}batch`);
    },
  );

  test('leaves a log alone that is another or shorter, and takes rubbish for nothing', async () => {
    const killed = logDirectory(directory, silentLog)('guest-a.log');
    killed.write(latin1Encode('0123456789'));
    await killed.close();
    const place = logDirectory(directory, silentLog)('guest-a.log').begin() ?? '';
    renameSync(join(directory, 'guest-a.log'), join(directory, 'moved'));
    writeFileSync(join(directory, 'guest-a.log'), 'another log, which is longer');
    const next = logDirectory(directory, silentLog)('guest-a.log');
    for (const where of [place, '', ':', 'x:y', `${place.split(':')[0]}:-1`]) next.cutBack(where);
    await next.close();
    expect(readFileSync(join(directory, 'guest-a.log'), 'latin1')).toMatch(/longer$/);
  });
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
