/** A console's log in real files, with its note and with rotation, killed between any two steps. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { latin1Encode } from '../../src/base/bytes.ts';
import { silentLog } from '../../src/base/log.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { type AppendedFile, logDirectory } from '../../src/node/log-file.ts';
import { noteDirectory } from '../../src/node/note-file.ts';
import { GuestLog } from '../../src/xenconsoled/guest-log.ts';
import { LogScribe } from '../../src/xenconsoled/log-style.ts';

const STYLE = { format: 'text', timestamps: false, replaceEscape: false } as const;

/** A ring as the guest's memory keeps it, and the life of one daemon after the other. */
class Lives {
  readonly directory = mkdtempSync(join(tmpdir(), 'paravane-lives-'));
  /** Of all that is printed, how much `out_cons` says is taken. */
  taken = 0;
  readonly printed: string;
  private readonly compress: boolean;

  constructor(printed: string, compress: boolean) {
    this.printed = printed;
    this.compress = compress;
  }

  /** Takes some batches, the last of which is `left` in a state that a kill could leave it in. */
  async live(batches: readonly number[], left: 'unwritten' | 'part' | 'written' | 'taken') {
    const rules = { size_bytes: 40, age_ms: 0, keep: 1000, compress: this.compress };
    const file = logDirectory(this.directory, silentLog, rules)('g.log');
    const note = noteDirectory(join(this.directory, 'notes'))('g');
    const scribe = new LogScribe(STYLE, nodeClock, {});
    const log = await GuestLog.open(
      {
        openFile: async () => ({ file, scribe }),
        note,
        clock: nodeClock,
        log: silentLog,
        onClose: () => {},
      },
      this.taken,
    );
    for (const [index, length] of batches.entries()) {
      const last = index === batches.length - 1;
      const batch = this.printed.slice(this.taken, this.taken + length);
      if (batch === '') break;
      await this.takeBatch(log, file, batch, last ? left : 'taken');
    }
    // What the kernel does when the process is gone.
    await file.close();
    note.close();
  }

  private async takeBatch(log: GuestLog, file: AppendedFile, batch: string, left: string) {
    const path = join(this.directory, 'g.log');
    await new Promise<void>((stored) => log.take(this.taken, latin1Encode(batch), stored));
    if (left === 'taken') this.taken += batch.length;
    if (left === 'unwritten' || left === 'part') {
      const keep = left === 'part' ? batch.length >> 1 : 0;
      truncateSync(path, statSync(path).size - batch.length + keep);
      await file.close();
    }
  }

  /** All logs, the oldest first. */
  logged(): string {
    const age = (name: string) => Number(/^g\.log\.(\d+)/.exec(name)?.[1] ?? 0);
    return readdirSync(this.directory)
      .filter((name) => name.startsWith('g.log'))
      .sort((a, b) => age(b) - age(a))
      .map((name) => {
        const bytes = readFileSync(join(this.directory, name));
        return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1');
      })
      .join('');
  }
}

test('whenever it is killed, the logs together hold each byte once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(
        fc.record({
          batches: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 }),
          left: fc.constantFrom('unwritten', 'part', 'written', 'taken'),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      async (compress, lives) => {
        const printed = Array.from({ length: 2000 }, (_, n) => String.fromCharCode(33 + (n % 90)));
        const world = new Lives(printed.join(''), compress);
        try {
          for (const { batches, left } of lives) await world.live(batches, left);
          await world.live([30], 'taken');
          expect(world.logged()).toBe(world.printed.slice(0, world.taken));
        } finally {
          rmSync(world.directory, { recursive: true });
        }
      },
    ),
    { numRuns: 60 },
  );
});
