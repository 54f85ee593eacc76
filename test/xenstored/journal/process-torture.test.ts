import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tortureProcess } from './process-torture.ts';

const PARAVANE = ['--import', 'tsx', join(import.meta.dirname, '../../../src/dom0/paravane.ts')];

test('a process that is killed three times under random clients loses nothing that it acknowledged', async () => {
  const seed = Date.now() % 1_000_000;
  console.error(`seed ${seed}`);
  const outcome = await tortureProcess({ seed, program: PARAVANE, goesOn: (kills) => kills < 3 });
  expect(outcome.differences).toEqual([]);
  expect(outcome.changes).toBeGreaterThan(0);
}, 120_000);
