/** Random clients against the model of tree-model.ts. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { XS_RM } from '../../src/abi/io/xs_wire.ts';
import type { RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';
import { type Ask, countTogether, followModel, stepsBelow } from './tree-model.ts';

const clientsOf = (sim: SimXenstored): Ask[] =>
  [sim.socket(), sim.socket(), sim.kernel].map(
    (client: RawClient) => (type, payload, transaction) =>
      sim.reply(client, type, payload, transaction),
  );

test('random clients are answered as a map of all nodes answers', async () => {
  await fc.assert(
    fc.asyncProperty(stepsBelow(''), fc.nat(), async (steps, seed) => {
      const sim = new SimXenstored({}, seed);
      await sim.ask(sim.kernel, XS_RM, '/tool|');
      await followModel(clientsOf(sim), steps, '');
      expect(sim.xenstored.check()).toBe(0);
      expect(await sim.finish()).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

test('increments in concurrent transactions are never lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2), { minLength: 30, maxLength: 90 }), async (turns) => {
      const sim = new SimXenstored();
      await countTogether(clientsOf(sim), turns, '/counter');
      expect(await sim.finish()).toEqual([]);
    }),
    { numRuns: 40 },
  );
});
