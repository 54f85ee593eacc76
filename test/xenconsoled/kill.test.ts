/** The daemon killed at any moment: the log holds what the guest printed, each byte once. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOf, ConsoleHost, textOf } from './console-host.ts';

test('no byte is lost or doubled in the log, whenever the daemon is killed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.integer({ min: 0, max: 0xffffffff }),
        firstIndex: fc.oneof(fc.constant(0), fc.integer({ min: 0xfffff800, max: 0xffffffff })),
        lives: fc.array(
          fc.record({
            printed: fc.uint8Array({ minLength: 1, maxLength: 5000 }),
            steps: fc.nat(12),
            disk_ms: fc.constantFrom(0, 3, 500),
          }),
          { minLength: 1, maxLength: 8 },
        ),
      }),
      async ({ seed, firstIndex, lives }) => {
        const host = new ConsoleHost({ seed, faults: { delayEvent: 0.3, spuriousEvent: 0.1 } });
        const guest = host.addGuest({ name: 'g', firstIndex });
        for (const { printed, steps, disk_ms } of lives) {
          await host.startDaemon();
          guest.print(printed);
          let left = steps;
          await host.world.run({
            until: () => {
              host.logOf('g')?.slowDown(disk_ms);
              return left-- <= 0;
            },
          });
          await host.killDaemon();
        }
        await host.startDaemon();
        await host.world.run();
        const output = lives.map(({ printed }) => textOf(printed)).join('');
        expect(host.disk.get('guest-g.log')?.content).toBe(output);
        expect(await host.leftovers()).toEqual([]);
      },
    ),
    { numRuns: 150 },
  );
});

test('a batch that was written in part is written anew', async () => {
  const host = new ConsoleHost();
  await host.startDaemon();
  const guest = host.addGuest({ name: 'g' });
  guest.print(bytesOf('one '));
  await host.world.run();
  host.logOf('g')?.slowDown(1000);
  guest.print(bytesOf('two '));
  await host.world.run({ for_ms: 100 });
  await host.killDaemon();
  const file = host.disk.get('guest-g.log')!;
  expect(file.content).toBe('one two ');
  file.content = 'one tw';
  await host.startDaemon();
  await host.world.run();
  expect(file.content).toBe('one two ');
  expect(await host.leftovers()).toEqual([]);
});

test('what others wrote to the log since is left alone', async () => {
  const host = new ConsoleHost();
  await host.startDaemon();
  const guest = host.addGuest({ name: 'g' });
  guest.print(bytesOf('one '));
  await host.world.run();
  await host.killDaemon();
  // The C daemon, say, served the guest for a while.
  host.disk.get('guest-g.log')!.content += 'by others ';
  await host.startDaemon();
  guest.print(bytesOf('two '));
  await host.world.run();
  expect(host.logOf('g')?.content).toBe('one by others two ');
  expect(await host.leftovers()).toEqual([]);
});

test('a daemon that ends in order leaves the rest to the next, and a note of nothing', async () => {
  const host = new ConsoleHost();
  const first = await host.startDaemon();
  const guest = host.addGuest({ name: 'g' });
  await host.world.run();
  host.logOf('g')?.slowDown(50);
  guest.print(new Uint8Array(5000).fill(0x61));
  await host.world.run({ for_ms: 10 });
  await host.world.finish(first.close());
  const { length } = host.disk.get('guest-g.log')!.content;
  expect(length).toBeGreaterThan(0);
  await host.startDaemon();
  await host.world.run();
  expect(host.logOf('g')?.content).toBe('a'.repeat(5000));
  host.destroy(guest);
  await host.world.run();
  expect([...host.notes.keys()]).toEqual([]);
  expect(await host.leftovers()).toEqual([]);
});
