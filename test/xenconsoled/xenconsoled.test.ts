import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XenconsInterface } from '../../src/abi/io/console.ts';
import { DOM0 } from '../../src/base/ids.ts';
import { CONSOLE_OUTPUT_SIZE } from '../../src/console/console-stream.ts';
import { EVENTS_PER_PERIOD_MAX, PERIOD_MS } from '../../src/xenconsoled/event-allowance.ts';
import { bytesOf, ConsoleHost, type FakeTerminal, textOf } from './console-host.ts';

const only = (terminals: readonly FakeTerminal[]): FakeTerminal => {
  expect(terminals.length).toBe(1);
  return terminals[0]!;
};

describe('a console', () => {
  test('is served for a guest that was there before the daemon and for one that comes after', async () => {
    const host = new ConsoleHost();
    const early = host.addGuest({ name: 'early' });
    early.print(bytesOf('printed before the daemon was there\n'));
    await host.startDaemon();
    await host.world.run();
    const late = host.addGuest({ name: 'late' });
    late.print(bytesOf('hello\n'));
    await host.world.run();
    expect(host.logOf('early')?.content).toBe('printed before the daemon was there\n');
    expect(host.logOf('late')?.content).toBe('hello\n');
    expect(host.store.nodes.get(`${early.path}/tty`)).toBe('/dev/pts/0');
    expect(host.store.nodes.get(`${late.path}/tty`)).toBe('/dev/pts/1');
    expect(host.terminals.map(({ shown }) => shown)).toEqual([
      'printed before the daemon was there\n',
      'hello\n',
    ]);
    expect(await host.leftovers()).toEqual([]);
  });

  test.each([
    ['a paravirtual guest by its grant', false, 0],
    ['a paravirtual guest by its frame', false, 1],
    ['an HVM guest by its grant', true, 0],
    ['an HVM guest by its frame', true, 1],
  ])('is that of %s', async (_, hvm, refuseMap) => {
    const host = new ConsoleHost({ faults: { refuseMap } });
    await host.startDaemon();
    const guest = host.addGuest({ name: 'g', hvm });
    guest.print(bytesOf('hello'));
    await host.world.run();
    only(host.terminals).type(bytesOf('ls\r'));
    await host.world.run();
    expect(host.logOf('g')?.content).toBe('hello');
    expect(guest.received()).toBe('ls\r');
    expect(await host.leftovers()).toEqual([]);
  });

  test('carries every byte both ways in order, across index wrap, whatever Xen delays', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.integer({ min: 0, max: 0xffffffff }),
          firstIndex: fc.oneof(fc.constant(0), fc.integer({ min: 0xfffff800, max: 0xffffffff })),
          printed: fc.array(fc.uint8Array({ minLength: 1, maxLength: 6000 }), { maxLength: 6 }),
          typed: fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { maxLength: 4 }),
        }),
        async ({ seed, firstIndex, printed, typed }) => {
          const faults = { delayEvent: 0.3, spuriousEvent: 0.1 };
          const host = new ConsoleHost({ seed, faults });
          await host.startDaemon();
          const guest = host.addGuest({ name: 'g', firstIndex });
          await host.world.run();
          const terminal = only(host.terminals);
          for (let n = 0; n < Math.max(printed.length, typed.length); n++) {
            terminal.room = 100;
            guest.print(printed[n] ?? new Uint8Array(0));
            terminal.type(typed[n] ?? new Uint8Array(0));
            await host.world.run();
            terminal.makeRoom(Number.POSITIVE_INFINITY);
          }
          await host.world.run();
          const output = printed.map((bytes) => textOf(bytes)).join('');
          expect(host.logOf('g')?.content).toBe(output);
          expect(terminal.shown).toBe(output);
          expect(guest.received()).toBe(typed.map((bytes) => textOf(bytes)).join(''));
          expect(await host.leftovers()).toEqual([]);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('keeps the newest `limit` bytes for a viewer who is away, and logs all', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'g', keys: { limit: 3000 } });
    await host.world.run();
    const terminal = only(host.terminals);
    terminal.room = 0;
    const output = Array.from({ length: 9000 }, (_, n) => String(n % 10)).join('');
    guest.print(bytesOf(output));
    await host.world.run();
    terminal.makeRoom(Number.POSITIVE_INFINITY);
    expect(terminal.shown).toBe(output.slice(-3000));
    expect(host.logOf('g')?.content).toBe(output);
    expect(await host.leftovers()).toEqual([]);
  });

  test('with `keep` makes the guest wait for somebody to read, and loses nothing', async () => {
    const host = new ConsoleHost({ overflow: 'keep' });
    await host.startDaemon();
    const guest = host.addGuest({ name: 'g', keys: { limit: 4096 } });
    const other = host.addGuest({ name: 'other' });
    await host.world.run();
    const terminal = host.terminals[0]!;
    terminal.room = 0;
    const output = Array.from({ length: 20_000 }, (_, n) => String(n % 10)).join('');
    guest.print(bytesOf(output));
    other.print(bytesOf('fine'));
    await host.world.run();
    const logged = host.logOf('g')?.content.length ?? 0;
    expect(logged).toBeGreaterThanOrEqual(4096);
    expect(logged).toBeLessThan(4096 + 2048);
    expect(host.logOf('other')?.content).toBe('fine');
    for (let n = 0; n < 100; n++) {
      terminal.makeRoom(300);
      await host.world.run();
    }
    expect(terminal.shown).toBe(output);
    expect(host.logOf('g')?.content).toBe(output);
    expect(await host.leftovers()).toEqual([]);
  });

  test.each([1, 0])('with a limit of %s is shown whole to a viewer who is there', async (limit) => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ keys: { limit } });
    await host.world.run();
    guest.print(new Uint8Array(5000));
    await host.world.run();
    expect(only(host.terminals).shown.length).toBe(5000);
    expect(await host.leftovers()).toEqual([]);
  });

  test('gets a new terminal when the old one breaks, and loses nothing meanwhile', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest();
    await host.world.run();
    only(host.terminals).break();
    guest.print(bytesOf('in between'));
    await host.world.run();
    const [broken, renewed] = host.terminals;
    expect(broken?.closed).toBe(true);
    expect(renewed?.shown).toBe('in between');
    expect(host.store.nodes.get(`${guest.path}/tty`)).toBe(renewed?.path);
    renewed?.type(bytesOf('ls\r'));
    await host.world.run();
    expect(guest.received()).toBe('ls\r');
    expect(await host.leftovers()).toEqual([]);
  });

  test('is taken up by the next daemon after the first was killed, without a lost byte', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'g' });
    guest.print(bytesOf('one '));
    await host.world.run();
    await host.killDaemon();
    guest.print(bytesOf('two '));
    await host.world.run();
    await host.startDaemon();
    await host.world.run();
    expect(host.logOf('g')?.content).toBe('one two ');
    only(host.terminals.slice(1)).type(bytesOf('x'));
    await host.world.run();
    expect(guest.received()).toBe('x');
    expect(await host.leftovers()).toEqual([]);
  });
});

describe('the keys', () => {
  test('of a console of another type are left to others', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ keys: { type: 'ioemu' } });
    await host.world.run();
    expect(host.terminals).toEqual([]);
    expect(host.store.nodes.has(`${guest.path}/tty`)).toBe(false);
    expect(await host.leftovers()).toEqual([]);
  });

  test.each([
    ['port', 'seven', /console\/port: must be an integer from 0 to 131071/],
    ['port', '131072', /console\/port: must be an integer from 0 to 131071/],
    ['port', '4000', /EINVAL/],
    ['ring-ref', '-1', /console\/ring-ref: must be an integer/],
    ['limit', '1e9', /console\/limit: must be an integer/],
  ])('with %s = %s harm nobody, and are followed once they are right', async (key, bad, error) => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'g', keys: { [key]: bad } });
    const other = host.addGuest({ name: 'other' });
    await host.world.run();
    expect(host.lines.filter((line) => line.startsWith('warn'))).toEqual(
      expect.arrayContaining([expect.stringMatching(error)]),
    );
    other.print(bytesOf('fine'));
    const good = { 'ring-ref': guest.console.gfn, port: guest.console.channel.port, limit: 100 };
    for (const [name, value] of Object.entries(good)) {
      host.store.put({ [`${guest.path}/${name}`]: value });
    }
    guest.print(bytesOf('fine too'));
    await host.world.run();
    expect(host.logOf('other')?.content).toBe('fine');
    expect(host.logOf('g')?.content).toBe('fine too');
    expect(await host.leftovers()).toEqual([]);
  });

  test('that change take the console to the new port, and what was in the ring is not lost', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'g' });
    await host.world.run();
    guest.print(bytesOf('old '));
    const renewed = guest.domain.hypervisor.events.allocateUnbound(DOM0);
    host.store.put({ [`${guest.path}/port`]: renewed.port });
    await host.world.run();
    guest.print(bytesOf('new'));
    renewed.notify();
    await host.world.run();
    expect(host.logOf('g')?.content).toBe('old new');
    expect(host.terminals.length).toBe(1);
    guest.domain.kill();
    expect(await host.leftovers()).toEqual([]);
  });

  test('that name a frame of nobody cost the guest its own console only', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'g' });
    const other = host.addGuest({ name: 'other' });
    await host.world.run();
    // With the grant gone the frame number counts, and this one is made up.
    host.world.faults.refuseMap = 1;
    host.store.put({ [`${guest.path}/ring-ref`]: 99999 });
    await host.world.run();
    expect(host.lines.join()).toContain('no frame 99999');
    other.print(bytesOf('fine'));
    await host.world.run();
    expect(host.logOf('other')?.content).toBe('fine');
    expect(await host.leftovers()).toEqual([]);
  });

  test('are not written again for a domain that was removed meanwhile', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest();
    host.onTerminal = () => host.destroy(guest);
    await host.world.run();
    expect(host.terminals.length).toBe(1);
    expect([...host.store.nodes.keys()]).toEqual([]);
    expect(await host.leftovers()).toEqual([]);
  });
});

describe('a hostile guest', () => {
  test.each(['out_prod', 'in_cons'] as const)(
    'with %s out of range ends its own console',
    async (index) => {
      const host = new ConsoleHost();
      await host.startDaemon();
      const guest = host.addGuest({ name: 'bad' });
      const other = host.addGuest({ name: 'good' });
      await host.world.run();
      XenconsInterface.view(guest.console.page.page(0))[index] = 0x7fffffff;
      guest.console.channel.notify();
      await host.world.run();
      for (const terminal of host.terminals) terminal.type(bytesOf('x'));
      other.print(bytesOf('fine'));
      await host.world.run();
      expect(host.lines.filter((line) => line.startsWith('error'))).toEqual([
        expect.stringMatching(
          /console ended.*byte ring: prod - cons <= size.*"domid":1|"domid":1.*byte ring: prod - cons <= size/,
        ),
      ]);
      expect(host.logOf('good')?.content).toBe('fine');
      expect(other.received()).toBe('x');
      // Its keys are touched, but they are still those of the ring that it has broken.
      host.store.fire(`${guest.path}/port`);
      await host.world.run();
      expect(host.lines.filter((line) => line.startsWith('error')).length).toBe(1);
      expect(await host.leftovers()).toEqual([]);
    },
  );

  test('that storms is not heard until its period is over, and loses nothing by it', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'storm' });
    await host.world.run({ for_ms: PERIOD_MS });
    for (let n = 0; n < EVENTS_PER_PERIOD_MAX; n++) {
      guest.console.channel.notify();
      await host.world.run({ for_ms: 0 });
    }
    guest.print(bytesOf('...'));
    await host.world.run({ for_ms: 0 });
    expect(host.logOf('storm')?.content).toBe('');
    const other = host.addGuest({ name: 'calm' });
    other.print(bytesOf('fine'));
    await host.world.run({ for_ms: 0 });
    expect(host.logOf('calm')?.content).toBe('fine');
    await host.world.run({ for_ms: PERIOD_MS });
    expect(host.logOf('storm')?.content).toBe('...');
    expect(await host.leftovers()).toEqual([]);
  });

  test('that prints line by line does not wait for its periods', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'lines' });
    await host.world.run({ for_ms: PERIOD_MS });
    const line = bytesOf('123456\n');
    for (let lines = 0; lines < 10_000; lines++) {
      expect(guest.front.write(line)).toBe(line.length);
      await host.world.run({ for_ms: 0.1 });
    }
    await host.world.run();
    expect(host.logOf('lines')?.content.length).toBe(10_000 * line.length);
    expect(await host.leftovers()).toEqual([]);
  });

  test('that prints more than its ring holds, a few bytes at a time, is taken by the ring full', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'flood' });
    await host.world.run({ for_ms: PERIOD_MS });
    const log = host.logOf('flood');
    log?.slowDown(20);
    // As Linux's driver: it signals for each piece, and tries again until there is room.
    const total = 40 * CONSOLE_OUTPUT_SIZE;
    for (let printed = 0; printed < total; ) {
      printed += guest.front.write(new Uint8Array(Math.min(16, total - printed)).fill(0x61));
      await host.world.run({ for_ms: 0.02 });
    }
    await host.world.run();
    expect(log?.content.length).toBe(total);
    expect(log?.writes).toBeLessThanOrEqual(45);
    expect(await host.leftovers()).toEqual([]);
  });

  test('that is destroyed while it is not heard is forgotten with its period', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'storm' });
    for (let n = 0; n < 100; n++) {
      guest.print(bytesOf('.'));
      await host.world.run({ for_ms: 0 });
    }
    host.destroy(guest);
    await host.world.run({ for_ms: 0 });
    expect(host.logOf('storm')?.content.length).toBe(100);
    const then_ms = host.world.clock.now_ms();
    await host.world.run();
    expect(host.world.clock.now_ms()).toBe(then_ms);
    expect(await host.leftovers()).toEqual([]);
  });

  test('that reads as fast as a viewer pastes holds up nobody, and gets it all', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest();
    await host.world.run();
    const terminal = only(host.terminals);
    const read = terminal.read.bind(terminal);
    let reads = 0;
    terminal.read = (target) => {
      reads++;
      guest.print(new Uint8Array(0));
      return read(target);
    };
    terminal.type(new Uint8Array(100_000));
    expect(reads).toBeLessThan(20);
    await host.world.run();
    expect(guest.received().length).toBe(100_000);
    expect(await host.leftovers()).toEqual([]);
  });

  test('that closes its channel can open the same port again', async () => {
    const host = new ConsoleHost();
    await host.startDaemon();
    const guest = host.addGuest({ name: 'g' });
    await host.world.run();
    guest.console.channel.close();
    only(host.terminals).type(bytesOf('nobody hears'));
    await host.world.run();
    const again = guest.domain.hypervisor.events.allocateUnbound(DOM0);
    host.store.put({ [`${guest.path}/port`]: again.port });
    await host.world.run();
    const view = XenconsInterface.view(guest.console.page.page(0));
    view.out[0] = 0x21;
    view.out_prod = 1;
    again.notify();
    await host.world.run();
    expect(host.logOf('g')?.content).toBe('!');
    guest.domain.kill();
    expect(await host.leftovers()).toEqual([]);
  });

  test('that is destroyed at any moment leaves nothing behind', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const host = new ConsoleHost({ seed, faults: { delayEvent: 0.5 } });
      await host.startDaemon();
      const guest = host.addGuest();
      const other = host.addGuest({ name: 'other' });
      let steps = seed;
      guest.print(new Uint8Array(5000));
      await host.world.run({ until: () => steps-- <= 0 });
      host.terminals[0]?.type(new Uint8Array(3000));
      steps = seed % 7;
      await host.world.run({ until: () => steps-- <= 0 });
      host.destroy(guest);
      other.print(bytesOf('fine'));
      await host.world.run();
      expect(guest.domain.exists).toBe(false);
      expect(host.logOf('other')?.content).toBe('fine');
      expect(await host.leftovers()).toEqual([]);
    }
  });
});

test('what a guest printed last is logged after it has died', async () => {
  const host = new ConsoleHost();
  await host.startDaemon();
  const guest = host.addGuest({ name: 'g' });
  await host.world.run();
  guest.print(bytesOf('Power down'));
  host.destroy(guest);
  await host.world.run();
  expect(host.logOf('g')?.content).toBe('Power down');
  expect(only(host.terminals).shown).toBe('Power down');
  expect(await host.leftovers()).toEqual([]);
});

describe('logs', () => {
  test('are opened again under the name that the guest has now', async () => {
    const host = new ConsoleHost({ log: { guest: true, hv: true } });
    const daemon = await host.startDaemon();
    const guest = host.addGuest({ name: 'before' });
    guest.print(bytesOf('1'));
    await host.world.run();
    host.store.put({ [`/local/domain/${guest.domain.domid}/name`]: 'after' });
    daemon.reopenLogs();
    await host.world.run();
    guest.print(bytesOf('2'));
    await host.world.run();
    expect(host.logOf('before')).toMatchObject({ content: '1', closed: true });
    expect(host.logOf('after')).toMatchObject({ content: '2', closed: false });
    expect(
      host.logs.filter(({ name }) => name === 'hypervisor.log').map(({ file }) => file.closed),
    ).toEqual([true, false]);
    expect(await host.leftovers()).toEqual([]);
  });

  test('of the hypervisor hold what Xen printed before and after the start', async () => {
    const host = new ConsoleHost({ log: { guest: false, hv: true } });
    host.world.printHypervisorConsole('(XEN) booting\n');
    await host.startDaemon();
    const guest = host.addGuest();
    guest.print(bytesOf('not logged'));
    host.world.printHypervisorConsole('(XEN) up\n');
    await host.world.run();
    expect(host.logs.map(({ name, file }) => [name, file.content])).toEqual([
      ['hypervisor.log', '(XEN) booting\n(XEN) up\n'],
    ]);
    expect(await host.leftovers()).toEqual([]);
  });

  test('that nobody wants are not opened', async () => {
    const host = new ConsoleHost({ log: { guest: false, hv: false } });
    await host.startDaemon();
    host.addGuest();
    await host.world.run();
    expect(host.logs).toEqual([]);
    expect(host.terminals.length).toBe(1);
    expect(await host.leftovers()).toEqual([]);
  });

  test('of a second daemon are refused when the first has the hypervisor console', async () => {
    const host = new ConsoleHost({ log: { guest: false, hv: true } });
    const first = await host.startDaemon();
    await expect(host.startDaemon()).rejects.toMatchObject({ code: 'EEXIST' });
    host.daemon = first;
    expect(await host.leftovers()).toEqual([]);
  });
});
