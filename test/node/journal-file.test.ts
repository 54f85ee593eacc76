import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { JournalFile, type NativeFile } from '../../src/node/journal-file.ts';

const native = loadNative();
const SEGMENT_SIZE = 1 << 20;

let directory = '';
let path = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-journal-'));
  path = join(directory, 'journal');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function open(shim: NativeFile = native, durable = false): JournalFile {
  return new JournalFile(shim, { path, durable });
}

/** A journal that holds nothing yet. */
function begun(shim: NativeFile = native, durable = false): JournalFile {
  const journal = open(shim, durable);
  journal.beginRewrite().replace(0);
  return journal;
}

const bytes = (length: number, seed = 1) =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + seed) & 0xff);

describe('the file of a journal', () => {
  test.each([false, true])('holds what was added, in order (durable %s)', (durable) => {
    fc.assert(
      fc.property(fc.array(fc.nat(300_000), { maxLength: 12 }), (sizes) => {
        const journal = begun(native, durable);
        const parts = sizes.map((size, index) => bytes(size, index));
        for (const part of parts) journal.append(part);
        const all = Buffer.concat(parts);
        expect(journal.length).toBe(all.length);
        journal.close();
        const found = readFileSync(path);
        expect(found.subarray(0, all.length).equals(all)).toBe(true);
        expect(found.subarray(all.length).every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test('is what the next process finds', () => {
    const journal = begun();
    journal.append(bytes(100));
    journal.close();
    const next = open();
    expect(next.found?.subarray(0, 100)).toEqual(Buffer.from(bytes(100)));
    next.close();
  });

  test('is there for nobody else, and kept from others', () => {
    const journal = begun();
    expect(() => open()).toThrow(/another xenstored keeps its journal there \(EBUSY\)/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    journal.close();
    open().close();
  });

  test('is rewritten with what was added meanwhile, and not touched until then', () => {
    const journal = begun();
    journal.append(bytes(SEGMENT_SIZE + 5000, 1));
    const from = journal.length;
    const rewrite = journal.beginRewrite();
    rewrite.append(bytes(77, 2));
    journal.append(bytes(1_500_000, 3));
    expect(readFileSync(path)[0]).toBe(bytes(1, 1)[0]);
    rewrite.replace(from);
    journal.append(bytes(10, 4));
    journal.close();
    const expected = Buffer.concat([bytes(77, 2), bytes(1_500_000, 3), bytes(10, 4)]);
    expect(readFileSync(path).subarray(0, expected.length).equals(expected)).toBe(true);
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  test('is as it was after a rewrite that was abandoned', () => {
    const journal = begun();
    journal.append(bytes(10));
    const rewrite = journal.beginRewrite();
    rewrite.append(bytes(10, 2));
    rewrite.abandon();
    expect(existsSync(`${path}.new`)).toBe(false);
    expect(readFileSync(path).subarray(0, 10)).toEqual(Buffer.from(bytes(10)));
    journal.close();
  });

  test('takes all of a frame or nothing when the disk is full', () => {
    let pagesMax = Number.POSITIVE_INFINITY;
    const shim: NativeFile = {
      setAside: (fd, pages) => (pages > pagesMax ? -28 : native.setAside(fd, pages)),
      tryLock: (fd, exclusive) => native.tryLock(fd, exclusive),
      mapFile: (fd, firstPage, count) => native.mapFile(fd, firstPage, count),
      unmap: (buffer) => native.unmap(buffer),
    };
    const journal = begun(shim);
    journal.append(bytes(SEGMENT_SIZE - 10));
    pagesMax = 256;
    expect(() => journal.append(bytes(100, 2))).toThrow(/the disk is full \(ENOSPC\)/);
    expect(journal.length).toBe(SEGMENT_SIZE - 10);
    pagesMax = Number.POSITIVE_INFINITY;
    journal.append(bytes(100, 3));
    journal.close();
    expect(readFileSync(path).subarray(SEGMENT_SIZE - 10, SEGMENT_SIZE + 90)).toEqual(
      Buffer.from(bytes(100, 3)),
    );
  });

  test('that cannot be had says so', () => {
    writeFileSync(join(directory, 'file'), '');
    path = join(directory, 'file/journal');
    expect(() => open()).toThrow(/lock the journal .*file\/journal/);
  });
});
