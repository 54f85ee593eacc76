import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { simulate } from '../../src/dom0/simulation/simulation.ts';

async function run(seed: number) {
  const lines: string[] = [];
  const print = (line: string) => lines.push(line);
  return { ...(await simulate({ seed, print, settle: () => turn() })), lines };
}

describe('the simulated host', () => {
  test.each([1, 2, 3, 4])(
    'guests come, work and go with nothing left over, seed %i',
    async (seed) => {
      const { answers, leftovers } = await run(seed);
      expect(answers).toEqual(['you typed "hello alder"', 'you typed "hello birch"']);
      expect(leftovers).toEqual([]);
    },
  );

  test('the same seed takes the same steps, another seed takes others', async () => {
    const [first, second, other] = [await run(7), await run(7), await run(8)];
    expect(second.lines).toEqual(first.lines);
    expect(other.lines).not.toEqual(first.lines);
  });

  test('every protocol is seen at work', async () => {
    const { lines } = await run(1);
    const text = lines.join('\n');
    for (const step of [
      /alder: grants .* to domain 0/,
      /dom0: maps .* of domain 1/,
      /IN domain 1 READ \(name/,
      /TRANSACTION_END/,
      /WATCH_EVENT/,
      /xvda has 8192 sectors/,
      /wrote 2097152 bytes, flushed, read them back: the same/,
      /eth0: 10\.0\.0\.1 is at 02:50:0a:00:00:01/,
      /alder: is gone/,
    ]) {
      expect(text).toMatch(step);
    }
  });
});
