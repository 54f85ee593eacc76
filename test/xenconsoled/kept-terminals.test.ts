/** Terminals that wait for their consoles' daemon. */
import { expect, test } from 'vitest';
import { domId } from '../../src/base/ids.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import type { ConsolePlace } from '../../src/xenconsoled/console-outlets.ts';
import { KeptTerminals } from '../../src/xenconsoled/kept-terminals.ts';
import { FakeTerminal } from './console-host.ts';

const place = (domid: number): ConsolePlace => ({
  domid: domId(domid),
  index: 0,
  path: `/local/domain/${domid}/console`,
  terminal: 'pty',
});

function scene(isThere: () => Promise<boolean> = async () => true) {
  const world = new SimWorld({ seed: 1 });
  const terminals = new KeptTerminals({ clock: world.clock, isThere });
  const terminal = new FakeTerminal('/dev/pts/1');
  terminals.keep(place(7), terminal);
  return { world, terminals, terminal };
}

test('a terminal is given to the console that it was of, once', () => {
  const { terminals, terminal } = scene();
  expect(terminals.take(place(8))).toBeUndefined();
  expect(terminals.take(place(7))).toBe(terminal);
  expect(terminals.take(place(7))).toBeUndefined();
  terminals.close();
  expect(terminal.closed).toBe(false);
});

test('one that nobody takes is closed after five minutes, and not before', async () => {
  const { world, terminal } = scene();
  await world.run({ for_ms: 299_000 });
  expect(terminal.closed).toBe(false);
  await world.run({ for_ms: 4000 });
  expect(terminal.closed).toBe(true);
});

test('one whose console is gone is closed, and so is one that has broken', async () => {
  const gone = scene(async () => false);
  const broken = scene();
  broken.terminal.ended = true;
  for (const { world, terminal } of [gone, broken]) {
    await world.run({ for_ms: 2100 });
    expect(terminal.closed).toBe(true);
  }
});

test('one stays while xenstored is away, and none stays when the keeper ends', async () => {
  const { world, terminals, terminal } = scene(() => Promise.reject(new Error('away')));
  await world.run({ for_ms: 10_000 });
  expect(terminal.closed).toBe(false);
  const second = new FakeTerminal('/dev/pts/2');
  terminals.keep(place(7), second);
  expect(terminal.closed).toBe(true);
  terminals.close();
  expect(second.closed).toBe(true);
});
