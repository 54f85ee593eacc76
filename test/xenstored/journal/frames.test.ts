/** What a journal in a file may look like, whole or not. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytePipe } from '../../../src/base/byte-pipe.ts';
import { crc32 } from '../../../src/base/crc32.ts';
import { logTo, silentLog } from '../../../src/base/log.ts';
import { SimWorld } from '../../../src/hypervisor/sim/world.ts';
import { JOURNAL_HEADER_SIZE, JOURNAL_VERSION } from '../../../src/xenstored/journal/frames.ts';
import { recover } from '../../../src/xenstored/journal/recovery.ts';
import { DEFAULT_QUOTAS } from '../../../src/xenstored/quota.ts';
import { startXenstored } from '../../../src/xenstored/server.ts';
import { RawClient } from '../raw-client.ts';
import { MemoryJournal } from './memory-journal.ts';

/** The journal of a xenstored in which `/n/<i>` was written for each number up to `count`, and where each write ends. */
async function journalOf(count: number) {
  const world = new SimWorld({ seed: 1 });
  const storage = new MemoryJournal();
  const { clock } = world;
  const xenstored = startXenstored({ clock, log: silentLog, journal: { storage, epoch: 'boot' } });
  const [ours, theirs] = bytePipe(clock);
  xenstored.attachSocket(theirs, 'socket');
  const client = new RawClient(ours);
  const ends = [storage.length];
  for (let i = 0; i < count; i++) {
    client.write(`/n/${i}`, `value ${i}`);
    await world.run();
    ends.push(storage.length);
  }
  return { bytes: storage.bytes.slice(), ends };
}

function recovered(bytes: Uint8Array) {
  const lines: string[] = [];
  const log = logTo((level, message) => lines.push(`${level}: ${message}`));
  const state = recover(bytes, DEFAULT_QUOTAS, 'boot', log);
  const paths = [...(state?.nodes ?? [])].map(({ path }) => path);
  return { state, written: paths.filter((path) => /^\/n\/\d+$/.test(path)).length, lines };
}

describe('a journal', () => {
  test('that ends anywhere is recovered to the last whole frame', async () => {
    const { bytes, ends } = await journalOf(10);
    fc.assert(
      fc.property(fc.integer({ min: ends[0] as number, max: bytes.length }), (length) => {
        const { written, lines } = recovered(bytes.subarray(0, length));
        const whole = ends.filter((end) => end <= length).length - 1;
        expect(written).toBe(whole);
        const isTorn = length - (ends[whole] as number) >= 16;
        expect(lines).toHaveLength(isTorn ? 1 : 0);
        if (isTorn) expect(lines[0]).toContain(`torn at byte ${ends[whole]}`);
      }),
    );
  });

  test('with any byte changed is recovered to the frame before, and says where', async () => {
    const { bytes, ends } = await journalOf(10);
    const position = fc.integer({ min: ends[0] as number, max: bytes.length - 1 });
    fc.assert(
      fc.property(position, fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = bytes.slice();
        damaged[at] = (damaged[at] as number) ^ change;
        const { written, lines } = recovered(damaged);
        const whole = ends.filter((end) => end <= at).length - 1;
        expect(written).toBe(whole);
        expect(lines).toEqual([expect.stringContaining(`torn at byte ${ends[whole]}`)]);
      }),
    );
  });

  test('followed by space that was set aside is whole', async () => {
    const { bytes } = await journalOf(3);
    const { written, lines } = recovered(Buffer.concat([bytes, new Uint8Array(5000)]));
    expect([written, lines]).toEqual([3, []]);
  });

  test('without the store that it begins with is told of, and nothing of it is taken', async () => {
    const { bytes } = await journalOf(3);
    const { state, lines } = recovered(bytes.subarray(0, JOURNAL_HEADER_SIZE));
    expect(state).toBeUndefined();
    expect(lines).toEqual(['error: the journal holds no whole store: xenstored begins anew']);
  });

  test('of another version, and a file of something else, are refused by the rule', async () => {
    const { bytes } = await journalOf(1);
    expect(() => recovered(bytes.subarray(0, 50))).toThrow(/a journal begins with/);
    expect(() => recovered(new Uint8Array(1000))).toThrow(/a journal begins with/);
    const damaged = bytes.slice();
    const header = new DataView(damaged.buffer);
    const [version, checksum] = [32, 36] as const;
    header.setUint32(version, JOURNAL_VERSION + 1, true);
    expect(() => recovered(damaged)).toThrow(/the checksum of its header is wrong/);
    header.setUint32(checksum, crc32(damaged, 0, checksum), true);
    expect(() => recovered(damaged)).toThrow(
      `this xenstored reads version ${JOURNAL_VERSION}, not ${JOURNAL_VERSION + 1}`,
    );
  });

  test('of another boot of the host has no rings', async () => {
    const { bytes } = await journalOf(2);
    const state = recover(bytes, DEFAULT_QUOTAS, 'another boot', silentLog);
    expect(state?.connections).toEqual([]);
    expect([...(state?.nodes ?? [])].length).toBeGreaterThan(3);
  });
});
