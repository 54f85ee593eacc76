import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noteDirectory } from '../../src/node/note-file.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-notes-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('a note outlives who wrote it, is replaced as a whole, and is for root alone', () => {
  const openNote = noteDirectory(join(directory, 'a/b'));
  const first = openNote('console-1-0');
  expect(first.read()).toBe('');
  first.write('a long note');
  first.write('short');
  first.close();
  first.close();
  expect(openNote('console-1-0').read()).toBe('short');
  expect(statSync(join(directory, 'a/b')).mode & 0o777).toBe(0o700);
});

test('a note that is discarded is gone, whoever wrote it', () => {
  const openNote = noteDirectory(directory);
  openNote('n').write('old');
  const note = openNote('n');
  note.discard();
  note.discard();
  expect(existsSync(join(directory, 'n'))).toBe(false);
});

test('a note that is too long is refused', () => {
  const note = noteDirectory(directory)('n');
  expect(() => note.write('x'.repeat(129))).toThrow(/a note has at most 128 characters/);
});
