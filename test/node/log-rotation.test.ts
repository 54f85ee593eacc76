import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { latin1Encode } from '../../src/base/bytes.ts';
import { logTo, silentLog } from '../../src/base/log.ts';
import { logDirectory } from '../../src/node/log-file.ts';
import { NO_ROTATION, type RotationRules } from '../../src/node/log-rotation.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-rotation-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const openLog = (rules: Partial<RotationRules>, log = silentLog) =>
  logDirectory(directory, log, { ...NO_ROTATION, ...rules })('g.log');

/** Writes a batch as a console does and waits until it is stored. */
function store(file: ReturnType<typeof openLog>, text: string): Promise<void> {
  file.begin();
  return new Promise((resolve) => file.write(latin1Encode(text), resolve));
}

/** What is in the directory: names, and the text of each file. */
function content(): Record<string, string> {
  const files = readdirSync(directory).map((name) => {
    const bytes = readFileSync(join(directory, name));
    return [name, (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1')];
  });
  return Object.fromEntries(files);
}

test('a log that has the size is put aside before the next batch, and the oldest go', async () => {
  const file = openLog({ size_bytes: 4, keep: 2 });
  for (const text of ['one!', 'two', '2', 'three', 'four', 'five']) await store(file, text);
  await file.close();
  expect(content()).toEqual({ 'g.log': 'five', 'g.log.1': 'four', 'g.log.2': 'three' });
});

test('old logs are compressed, and nothing of them is lost', async () => {
  const rules = { size_bytes: 4, keep: 3, compress: true };
  for (const text of ['one!', 'two!', 'three', 'four', 'five']) {
    const file = openLog(rules);
    await store(file, text);
    await file.close();
  }
  expect(content()).toEqual({
    'g.log': 'five',
    'g.log.1.gz': 'four',
    'g.log.2.gz': 'three',
    'g.log.3.gz': 'two!',
  });
});

test('while an old log is still being compressed, the current one grows', async () => {
  const file = openLog({ size_bytes: 1, keep: 9, compress: true });
  for (let n = 0; n < 10; n++) await store(file, String(n));
  await file.close();
  const texts = content();
  const names = Object.keys(texts).sort().reverse();
  expect(names.map((name) => texts[name]).join('')).toBe('0123456789');
});

test('a log that is opened again while its old one is being compressed spoils nothing', async () => {
  const lines: string[] = [];
  const log = logTo((level, message) => lines.push(`${level} ${message}`));
  const rules = { size_bytes: 4, keep: 9, compress: true };
  const before = openLog(rules, log);
  await store(before, 'one!');
  await store(before, 'two!');
  const after = openLog(rules, log);
  await store(after, 'three');
  await Promise.all([before.close(), after.close()]);
  const texts = content();
  const names = Object.keys(texts).sort().reverse();
  expect(names.map((name) => texts[name]).join('')).toBe('one!two!three');
  expect(lines).toEqual([]);
});

test('a log that is old enough is put aside', async () => {
  const file = openLog({ age_ms: 1, keep: 1 });
  await store(file, 'old');
  const then_ms = Date.now();
  while (Date.now() <= then_ms + 1) await new Promise((resolve) => setImmediate(resolve));
  await store(file, 'new');
  await file.close();
  expect(content()).toEqual({ 'g.log': 'new', 'g.log.1': 'old' });
});

test('a log that is young and small, or empty, stays', async () => {
  const file = openLog({ size_bytes: 1000, age_ms: 3_600_000, keep: 1 });
  for (const text of ['a', 'b', 'c']) await store(file, text);
  await file.close();
  expect(content()).toEqual({ 'g.log': 'abc' });
});

test('what a crash has left half compressed is set right', async () => {
  writeFileSync(join(directory, 'g.log.1'), 'whole');
  writeFileSync(join(directory, 'g.log.1.gz.part'), gzipSync('whole').subarray(0, 9));
  const rules = { size_bytes: 1000, keep: 2, compress: true };
  await openLog(rules).close();
  expect(content()).toEqual({ 'g.log': '', 'g.log.1.gz': 'whole' });
  // The same, killed before the original was removed.
  writeFileSync(join(directory, 'g.log.1'), 'whole');
  await openLog(rules).close();
  expect(content()).toEqual({ 'g.log': '', 'g.log.1.gz': 'whole' });
});

test('a log that cannot be put aside goes on, and that is said once', async () => {
  const lines: string[] = [];
  const file = openLog(
    { size_bytes: 1, keep: 1 },
    logTo((level, message) => lines.push(`${level} ${message}`)),
  );
  mkdirSync(join(directory, 'g.log.1/in the way'), { recursive: true });
  for (const text of ['a', 'b', 'c']) await store(file, text);
  await file.close();
  expect(readFileSync(join(directory, 'g.log'), 'latin1')).toBe('abc');
  expect(lines).toEqual(['error cannot rotate the log']);
});
