/** The console daemon as a domain of its own, its relay in dom0, and kills of either at any moment. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import { FrameReader, frame } from '../../src/base/frames.ts';
import { CONSOLE_OUTPUT_SIZE } from '../../src/console/console-stream.ts';
import {
  jsonFrame,
  VIEWER_ATTACH,
  VIEWER_ATTACHED,
  VIEWER_ENDED,
  VIEWER_INPUT,
  VIEWER_PROTOCOL,
  VIEWER_WINDOW,
} from '../../src/console/viewer-protocol.ts';
import { KEPT_BYTES_MAX, RELAY_PATIENCE_MS } from '../../src/xenconsoled/remote-log.ts';
import type { FakeTerminal } from '../xenconsoled/console-host.ts';
import { ConsoleDomainWorld } from './console-domain-world.ts';

const bytesOf = latin1Encode;

/** Both halves, and a guest whose console has its terminal. */
async function startWithGuest() {
  const world = await ConsoleDomainWorld.start();
  const guest = await world.addGuest('web');
  await world.host.settle();
  const [terminal] = world.terminals as [FakeTerminal];
  return { world, guest, terminal };
}

test('a guest is shown, typed at and logged, and nothing is left of it', async () => {
  const world = await ConsoleDomainWorld.start();
  const guest = await world.addGuest('web');
  guest.print(bytesOf('hello\n'));
  await world.host.settle();
  const [terminal] = world.terminals;
  expect(terminal?.shown).toBe('hello\n');
  expect(world.logOf('web')).toBe('hello\n');
  expect(await world.value(`${guest.path}/tty`)).toBe(terminal?.path);
  terminal?.type(bytesOf('root\r'));
  await world.host.settle();
  expect(guest.received()).toBe('root\r');
  guest.print(bytesOf('bye\n'));
  await world.removeGuest(guest);
  expect(world.logOf('web')).toBe('hello\nbye\n');
  expect([...world.notes.keys()]).toEqual([]);
  expect(terminal?.closed).toBe(true);
  expect(
    await world.host.exists(`/local/domain/${world.domid}/backend/console/${guest.domid}`),
  ).toBe(false);
  expect(await world.end()).toEqual([]);
});

test('a viewer who comes before the domain is shown what was printed, types, and hears of the end', async () => {
  const world = await ConsoleDomainWorld.start();
  const guest = await world.addGuest('web');
  guest.print(bytesOf('hello\n'));
  await world.host.settle();
  world.destroyDomain();
  await world.host.settle(2000);
  const [ours, theirs] = bytePipe(world.host.world.clock);
  const frames = new FrameReader(ours, VIEWER_PROTOCOL);
  const request = { domid: guest.domid, console: 0, readOnly: false, scrollback: 1000 };
  ours.write(jsonFrame(VIEWER_ATTACH, request));
  world.relay?.attachViewer(theirs);
  await world.startDomain();
  await world.host.settle(2000);
  expect(frames.next()?.type).toBe(VIEWER_ATTACHED);
  guest.print(bytesOf('again\n'));
  ours.write(frame(VIEWER_INPUT, bytesOf('root\r')));
  ours.write(jsonFrame(VIEWER_WINDOW, { columns: 80, rows: 24 }));
  await world.host.settle();
  expect(latin1Decode(frames.next()?.payload ?? bytesOf(''))).toBe('again\n');
  expect(guest.received()).toBe('root\r');
  expect(await world.value(`${guest.path}/window-size`)).toBe('80x24');
  await world.removeGuest(guest);
  expect(frames.next()?.type).toBe(VIEWER_ENDED);
  expect(ours.ended).toBe(true);
  ours.close();
  expect(world.logOf('web')).toBe('hello\nagain\n');
  expect(await world.end()).toEqual([]);
});

test('who looks at a terminal stays while the domain is made anew, and types at the same guest', async () => {
  const { world, guest, terminal } = await startWithGuest();
  guest.print(bytesOf('hello\n'));
  await world.host.settle();
  for (const word of ['once', 'twice']) {
    world.destroyDomain();
    await world.host.settle(20_000);
    expect(terminal.closed).toBe(false);
    terminal.type(bytesOf(`${word}\r`));
    await world.startDomain();
    await world.host.settle(2000);
    guest.print(bytesOf(`${word} more\n`));
    await world.host.settle();
  }
  expect(guest.received()).toBe('once\rtwice\r');
  expect(terminal.shown).toBe('hello\nonce more\ntwice more\n');
  expect(world.terminals.length).toBe(1);
  expect(await world.value(`${guest.path}/tty`)).toBe(terminal.path);
  await world.removeGuest(guest);
  expect(terminal.closed).toBe(true);
  expect(await world.end()).toEqual([]);
});

test('a guest that ends while the domain is away takes its terminal with it', async () => {
  const { world, guest, terminal } = await startWithGuest();
  world.destroyDomain();
  await world.host.settle(5000);
  expect(terminal.closed).toBe(false);
  await world.removeGuest(guest);
  await world.host.settle(5000);
  expect(terminal.closed).toBe(true);
  await world.startDomain();
  expect(await world.end()).toEqual([]);
});

test('libxl is told of the domain, until the relay ends', async () => {
  const world = await ConsoleDomainWorld.start();
  expect(await world.value('/tool/xenconsoled/domid')).toBe(String(world.domid));
  await world.killRelay();
  await world.startRelay();
  await world.host.settle();
  expect(await world.value('/tool/xenconsoled/domid')).toBe(String(world.domid));
  await world.endRelay();
  expect(await world.host.exists('/tool/xenconsoled')).toBe(false);
  expect(await world.end()).toEqual([]);
});

test('no byte is lost or doubled in the log, whichever of the two is killed, and when', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.integer({ min: 0, max: 0xffffffff }),
        firstIndex: fc.oneof(fc.constant(0), fc.integer({ min: 0xfffff800, max: 0xffffffff })),
        lives: fc.array(
          fc.record({
            printed: fc.uint8Array({ minLength: 1, maxLength: 9000 }),
            steps: fc.nat(60),
            disk_ms: fc.constantFrom(0, 3, 500),
            killed: fc.constantFrom('domain', 'relay', 'both'),
          }),
          { minLength: 1, maxLength: 6 },
        ),
      }),
      async ({ seed, firstIndex, lives }) => {
        const world = await ConsoleDomainWorld.start(seed, { delayEvent: 0.3, spuriousEvent: 0.1 });
        const guest = await world.addGuest('g', firstIndex);
        // Once the relay has taken the console over, it outlives the domain.
        await world.host.settle();
        for (const { printed, steps, disk_ms, killed } of lives) {
          world.disk_ms = disk_ms;
          guest.print(printed);
          let left = steps;
          await world.host.run({ until: () => left-- <= 0, for_ms: 20_000 });
          if (killed !== 'relay') world.destroyDomain();
          if (killed !== 'domain') await world.killRelay();
          await world.host.settle(2000);
          if (killed !== 'relay') await world.startDomain();
          if (killed !== 'domain') await world.startRelay();
        }
        const output = lives.map(({ printed }) => latin1Decode(printed)).join('');
        await world.until(() => (world.logOf('g') ?? '').length >= output.length);
        await world.host.settle(5000);
        expect(world.logOf('g')).toBe(output);
        expect(await world.end()).toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
});

test('a guest whose terminal nobody reads leaves none behind', async () => {
  const { world, guest, terminal } = await startWithGuest();
  terminal.room = 4096;
  const output = 'x'.repeat(100_000);
  guest.print(bytesOf(output));
  await world.until(() => world.logOf('web')?.length === output.length);
  expect(terminal.shown.length).toBe(4096);
  await world.removeGuest(guest);
  expect(terminal.closed).toBe(true);
  expect(await world.end()).toEqual([]);
});

test('a guest waits for a relay that comes soon, and loses nothing', async () => {
  const world = await ConsoleDomainWorld.start();
  const guest = await world.addGuest('g');
  await world.host.settle();
  await world.killRelay();
  const output = 'x'.repeat(10_000);
  guest.print(bytesOf(output));
  await world.host.settle(RELAY_PATIENCE_MS / 2);
  expect(world.logOf('g')).toBe('');
  await world.startRelay();
  await world.until(() => world.logOf('g')?.length === output.length);
  expect(world.logOf('g')).toBe(output);
  await world.host.settle(2000);
  // The first piece may have gone to the terminal that ended with the relay.
  const shown = world.terminals.at(-1)?.shown ?? '';
  expect(output.length - shown.length).toBeLessThanOrEqual(CONSOLE_OUTPUT_SIZE);
  expect(await world.end()).toEqual([]);
});

test('a guest goes on without a relay that stays away, and the next one gets what there is room for', async () => {
  const world = await ConsoleDomainWorld.start();
  const guest = await world.addGuest('g');
  await world.host.settle();
  await world.killRelay();
  const output = '0123456789abcdef'.repeat(KEPT_BYTES_MAX / 8);
  guest.print(bytesOf(output));
  await world.host.settle(RELAY_PATIENCE_MS + 20_000);
  await world.startRelay();
  await world.host.settle(20_000);
  const kept = world.logOf('g') ?? '';
  expect(kept.length).toBeGreaterThan(KEPT_BYTES_MAX / 2);
  expect(kept.length).toBeLessThanOrEqual(KEPT_BYTES_MAX);
  expect(output.startsWith(kept)).toBe(true);
  expect(world.host.log.join('\n')).toMatch(/loses output[\s\S]*is written again.*lost_bytes/);
  guest.print(bytesOf('after'));
  await world.host.settle();
  expect(world.logOf('g')).toBe(`${kept}after`);
  expect(await world.end()).toEqual([]);
});
