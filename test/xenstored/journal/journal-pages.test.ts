/** A journal in pages that outlive the domain, which may end between any two stores. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XS_READ } from '../../../src/abi/io/xs_wire.ts';
import { XenError } from '../../../src/base/errors.ts';
import { JournalPages } from '../../../src/xenstored/journal/journal-pages.ts';
import { SimXenstored } from '../sim-xenstored.ts';
import { Killed, type MortalJournal } from './memory-journal.ts';
import { run, scenario } from './ring-run.ts';

const PAGE_SIZE = 4096;

/** Pages whose domain ends when so many more stores have been made. */
class MortalPages extends JournalPages implements MortalJournal {
  killAfter: MortalJournal['killAfter'];
  private readonly pages: Uint8Array;

  constructor(pages: Uint8Array) {
    super(pages);
    this.pages = pages;
  }

  static ofPages(count: number): MortalPages {
    return new MortalPages(new Uint8Array(count * PAGE_SIZE));
  }

  get bytes(): Uint8Array {
    return new JournalPages(this.pages).found ?? new Uint8Array(0);
  }

  protected override setBytes(at: number, bytes: Uint8Array): void {
    this.store((share) => super.setBytes(at, bytes.subarray(0, Math.floor(share * bytes.length))));
  }

  protected override setWord(index: number, value: number): void {
    // A word is there or not.
    this.store((share) => {
      if (share === 1) super.setWord(index, value);
    });
  }

  private store(make: (share: number) => void): void {
    const kill = this.killAfter;
    if (kill === undefined || kill.appends-- > 0) {
      make(1);
      return;
    }
    this.killAfter = undefined;
    make({ before: 0, within: 0.6, after: 1 }[kill.point]);
    throw new Killed('the domain is destroyed here');
  }
}

test('a domain that ends at any store changes nothing of what any domain is told', async () => {
  await fc.assert(
    // The fewer pages, the more often they are full within a request.
    fc.asyncProperty(scenario, fc.constantFrom(7, 9, 13, 256), async (one, pages) => {
      const undisturbed = await run({ ...one, kills: [] });
      const disturbed = await run(one, MortalPages.ofPages(pages));
      expect(disturbed).toEqual(undisturbed);
      expect(disturbed.problems).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

/** Bytes that are put behind others, or in place of all that is there before the last `kept`. */
const change = fc.record({
  size: fc.nat(3000),
  replaces: fc.boolean(),
  kept: fc.nat(4000),
});

test('what is found after an end at any store is what was there before or after one change', () => {
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 30 }),
      fc.nat(60),
      fc.constantFrom('before', 'within', 'after'),
      (changes, appends, point) => {
        const pages = MortalPages.ofPages(65);
        let told: number[] = [];
        let next: number[] = [];
        pages.killAfter = { appends, point };
        try {
          for (const [index, { size, replaces, kept }] of changes.entries()) {
            const bytes = new Uint8Array(size).fill(index + 1);
            const from = Math.max(0, told.length - kept);
            next = replaces ? [...bytes, ...told.slice(from)] : [...told, ...bytes];
            if (replaces) {
              const rewrite = pages.beginRewrite();
              rewrite.append(bytes);
              rewrite.replace(from);
            } else {
              pages.append(bytes);
            }
            told = next;
          }
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
        }
        const found = Buffer.from(pages.bytes);
        expect([Buffer.from(told), Buffer.from(next)].some((one) => one.equals(found))).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});

describe('pages', () => {
  test('that were never used hold nothing, whatever is in them', () => {
    const pages = new JournalPages(new Uint8Array(8 * PAGE_SIZE).fill(0xc2));
    expect(pages.found).toBeUndefined();
    expect(pages.length).toBe(0);
  });

  test('too few are refused', () => {
    expect(() => new JournalPages(new Uint8Array(2 * PAGE_SIZE))).toThrow(RangeError);
  });

  test('of another version are refused with the rule, and stay as they are', () => {
    const memory = new Uint8Array(8 * PAGE_SIZE);
    new JournalPages(memory).append(Uint8Array.of(1, 2, 3));
    new Uint32Array(memory.buffer)[6] = 2;
    const before = memory.slice();
    expect(() => new JournalPages(memory)).toThrow('pages of version 1, not 2');
    expect(memory).toEqual(before);
  });

  test('whose words make no sense give no more than there is', () => {
    const memory = new Uint8Array(8 * PAGE_SIZE);
    const { capacity } = new JournalPages(memory);
    new Uint32Array(memory.buffer).fill(0xffffffff, 7, 10);
    expect(new JournalPages(memory).found).toHaveLength(capacity);
  });

  test('that are full take nothing more, and say so', () => {
    const pages = new JournalPages(new Uint8Array(8 * PAGE_SIZE));
    pages.append(new Uint8Array(pages.capacity - 1));
    expect(() => pages.append(new Uint8Array(2))).toThrow(XenError);
    expect(() => pages.append(new Uint8Array(2))).toThrow(/hold \d+ bytes of it, and more are/);
    expect(pages.length).toBe(pages.capacity - 1);
    pages.append(new Uint8Array(1));
    expect(pages.length).toBe(pages.capacity);
  });
});

test('a journal is rewritten before its pages are full, again and again', async () => {
  const sim = new SimXenstored<MortalPages>({}, 1, MortalPages.ofPages(65));
  const tools = sim.socket();
  // Some 60 KiB of state in 128 KiB, and many times that of changes.
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 100; i++) tools.write(`/many/${i}`, `${round}`.repeat(250));
    await sim.settle();
    expect(tools.take().reply).toBe('OK|');
  }
  expect(sim.log.filter((line) => line.startsWith('error: '))).toEqual([]);
  sim.kill();
  expect(await sim.reply(sim.socket(), XS_READ, '/many/7|')).toBe('39'.repeat(250));
  expect(await sim.finish()).toEqual([]);
});

test('a state that does not fit into its pages is said, and xenstored serves on', async () => {
  const sim = new SimXenstored<MortalPages>({}, 1, MortalPages.ofPages(17));
  const tools = sim.socket();
  for (let i = 0; i < 100; i++) tools.write(`/many/${i}`, 'v'.repeat(1000));
  await sim.settle();
  expect(tools.take().reply).toBe('OK|');
  expect(sim.log.filter((line) => line.startsWith('error: '))).toEqual([
    expect.stringMatching(/journal cannot be kept.*its pages hold 32768 bytes of it/),
  ]);
  expect(await sim.finish()).toEqual([]);
});
