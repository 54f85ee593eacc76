/** The engine and the kernel's own event channels, grants and mappings, without Xen. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { buildEngine } from '../../src/dom0/image/engine.ts';
import { buildBundle } from '../../src/dom0/image/image.ts';
import {
  CONFORMANCE_ENTRY,
  type EventAbi,
  runBundle,
  runScript,
  scratchDirectory,
  TEST_ALIAS,
} from './native-stubdom.ts';

/** The engine takes its time to compile when nobody has done it before. */
const BUILD_LIMIT_MS = 240_000;

/** How long before it draws its first number a script may have begun. */
const BEGAN_MAX_US = 1_000_000;

/** The time in microseconds, up to a second before `now_ms`, from which QuickJS draws this number first. */
function seedOf(drawn: number, now_ms: number): number | undefined {
  const mask = (1n << 64n) - 1n;
  const last_us = (now_ms + 1) * 1000;
  for (let seed_us = last_us; seed_us > last_us - BEGAN_MAX_US; seed_us--) {
    let state = BigInt(seed_us);
    state ^= state >> 12n;
    state = (state ^ (state << 25n)) & mask;
    state ^= state >> 27n;
    const bits = ((state * 0x2545f4914f6cdd1dn) & mask) >> 12n;
    if (Number(bits) / 2 ** 52 === drawn) return seed_us;
  }
  return undefined;
}

const scratch = scratchDirectory();
const bundle = join(scratch.path, 'conformance');

beforeAll(async () => {
  await buildBundle(await buildEngine(), CONFORMANCE_ENTRY, bundle, { alias: TEST_ALIAS });
}, BUILD_LIMIT_MS);
afterAll(() => scratch.remove());

describe.each<EventAbi>(['FIFO', 'two-level'])('with the %s ABI of events', (abi) => {
  test('the unikernel binding passes the conformance suite of the contract', async () => {
    const { reason, console } = await runBundle(bundle, [], abi);
    expect(console.split('\n').filter((line) => line.startsWith('failed'))).toEqual([]);
    const [, summary = '{}'] = /^conformance: (.*)$/m.exec(console) ?? [];
    const { passed, memory } = JSON.parse(summary);
    expect(passed).toBeGreaterThan(80);
    // The FIFO ABI has a page for its control block, and one for the words of the first ports.
    expect(memory.total - memory.unused).toBe(abi === 'FIFO' ? 2 * 4096 : 0);
    expect(reason).toBe(SHUTDOWN_poweroff);
  });

  // The words of this many ports take several pages, and each port is pending before its own is there.
  test('every port is raised when it is bound, and again by each signal', async () => {
    const { reason, console } = await runScript(
      `
      const COUNT = 1500;
      const opened = Array.from({ length: COUNT }, () => xen.allocateUnbound(xen.domid));
      const bound = opened.map((port) => xen.bindInterdomain(xen.domid, port));
      const raised = new Map();
      const counts = (ports) => [...new Set(ports.map((port) => raised.get(port) ?? 0))].join();
      let rounds = 0;
      xen.listen(
        (port) => {
          raised.set(port, (raised.get(port) ?? 0) + 1);
          xen.unmask(port);
        },
        () => {
          // Timers and events take turns.
          const all = [...raised.values()].reduce((sum, count) => sum + count, 0);
          if (all < (rounds + 1) * opened.length) return xen.wakeAt(xen.now_ms());
          xen.print(counts(opened) + ' ' + counts(bound) + '; ');
          rounds += 1;
          if (rounds === 3) return [...opened, ...bound].forEach((port) => xen.closePort(port));
          for (const port of rounds === 1 ? opened : bound) xen.notify(port);
          xen.wakeAt(xen.now_ms());
        },
      );
      xen.wakeAt(xen.now_ms());`,
      [],
      abi,
    );
    expect(console).toBe('0 1; 0 2; 1 2; ');
    expect(reason).toBe(SHUTDOWN_poweroff);
  });

  test('a port that is masked is raised once it is unmasked', async () => {
    const { console } = await runScript(
      `
      const opened = xen.allocateUnbound(xen.domid);
      const bound = xen.bindInterdomain(xen.domid, opened);
      let said = '';
      xen.mask(opened);
      xen.listen(
        (port) => {
          said += port === opened ? 'raised' : 'bound ';
          if (port !== opened) return xen.notify(bound);
          xen.print(said);
          xen.closePort(bound);
          xen.closePort(opened);
        },
        () => {
          said += 'unmasked ';
          xen.unmask(opened);
        },
      );
      xen.wakeAt(xen.now_ms() + 1);`,
      [],
      abi,
    );
    expect(console).toBe('bound unmasked raised');
  });
});

describe('where there is no more', () => {
  test('ports are refused, and are there again once some are closed', async () => {
    const { console } = await runScript(`
      const ports = [];
      const takeAll = () => {
        let port;
        while ((port = xen.allocateUnbound(0)) >= 0) ports.push(port);
        xen.print([ports.length, new Set(ports).size, port].join() + ' ');
      };
      takeAll();
      for (const port of ports.splice(1000, 2000)) xen.closePort(port);
      takeAll();
      for (const port of ports) xen.closePort(port);`);
    expect(console).toBe('4095,4095,-28 4095,4095,-28 ');
  });

  test('grants are refused, and are there again once some have ended', async () => {
    const { console } = await runScript(`
      const unused = xen.memory().unused;
      const shares = [];
      const takeAll = (pages) => {
        let share;
        while (typeof (share = xen.share(0, pages, true)) !== 'number') shares.push(share);
        xen.print(new Set(shares.flatMap(({ refs }) => refs)).size + ',' + share + ' ');
      };
      takeAll(1);
      for (const { buffer } of shares.splice(100, 1000)) xen.unmap(buffer);
      takeAll(3);
      for (const { buffer } of shares) xen.unmap(buffer);
      xen.print(String(xen.memory().unused - unused));`);
    // Four frames of 512 entries without the reserved ones; of those left once, all but one for runs of three.
    expect(console).toBe('2040,-28 2039,-28 0');
  });

  test('of memory, that is what ports and pages are refused for', async () => {
    const { console } = await runScript(`
      const one = xen.allocateUnbound(0);
      for (let length = 1 << 20; length > 0; length >>= 1) {
        while (xen.keep(new Uint8Array(length), false) === 0);
      }
      let share;
      while (typeof (share = xen.share(0, 1, true)) !== 'number') xen['page' + share.refs] = share;
      xen.print(share + ' ');
      let port;
      while ((port = xen.allocateUnbound(0)) >= 0);
      xen.print(port + ' ' + xen.memory().unused);
      xen.shutDown(0);`);
    expect(console).toBe('-12 -12 0');
  });
});

test('xenstored serves a ring from the engine', async () => {
  const served = join(scratch.path, 'xenstored');
  await buildBundle(await buildEngine(), 'test/unikernel/xenstored-bundle.ts', served);
  const { reason, console } = await runBundle(served);
  expect(console.match(/^FAILED.*/gm)).toBeNull();
  expect(console.match(/^ok: /gm)).toHaveLength(5);
  expect(reason).toBe(SHUTDOWN_poweroff);
});

test('xenstored that has failed finds its journal when the kernel runs it anew', async () => {
  const kept = join(scratch.path, 'kept');
  await buildBundle(await buildEngine(), 'test/unikernel/kept-bundle.ts', kept);
  const { reason, console } = await runBundle(kept);
  expect(console).toContain('unikernel: the script has failed: Error: on purpose');
  const [, length] = /^journal: (\d+)$/m.exec(console) ?? [];
  expect(console).toContain(`a script begins anew, with ${length} bytes that were kept`);
  expect(Number(length)).toBeLessThan(150 * 1024);
  expect(console).toMatch(/^found: 399 x$/m);
  expect(console).toContain('in use: true');
  expect(reason).toBe(SHUTDOWN_poweroff);
});

describe('a script that another takes the place of', () => {
  /** Runs a script that leaves 5 bytes for the bundle of `next`, which comes within an image. */
  async function replacedBy(next: string) {
    const [entry, bundle] = ['next.js', 'next'].map((name) => join(scratch.path, name));
    writeFileSync(entry!, next);
    await buildBundle(await buildEngine(), entry!, bundle!);
    return runScript(`
      const image = new Uint8Array(${160 + readFileSync(bundle!).length});
      image.set(${JSON.stringify([...readFileSync(bundle!)])}, 160);
      if (xen.kept().byteLength > 0) xen.print('the first again');
      else {
        xen.keep(new Uint8Array(5), false);
        Promise.resolve().then(() => xen.print('never'));
        xen.print([xen.prepareNext(image.subarray(0, 170)), xen.prepareNext(image), xen.runNext()] + ' ');
      }`);
  }

  test('ends with its turn, and the other finds what it has kept', async () => {
    const { reason, console } = await replacedBy("xen.print('next ' + xen.kept().byteLength);");
    const anew = 'unikernel: a script begins anew, with 5 bytes that were kept\n';
    expect(console).toBe(`-2,0,true ${anew}next 5`);
    expect(reason).toBe(SHUTDOWN_poweroff);
  });

  test('is run again when the other fails at once', async () => {
    const { reason, console } = await replacedBy("throw new Error('unlike you');");
    expect(console).toMatch(/^-2,0,true .*Error: unlike you.*anew.*the first again$/s);
    expect(reason).toBe(SHUTDOWN_poweroff);
  });
});

describe('a script', () => {
  test('whose events do not end has its timers in time, too', async () => {
    const { reason, console } = await runScript(`
      const opened = xen.allocateUnbound(xen.domid);
      const bound = xen.bindInterdomain(xen.domid, opened);
      let events = 0;
      let timers = 0;
      xen.listen(
        (port) => {
          events += 1;
          xen.unmask(port);
          xen.notify(port);
          if (events > 100000) throw new Error('no timer rings');
        },
        () => {
          timers += 1;
          if (timers < 100) return xen.wakeAt(xen.now_ms());
          xen.print((events > 0) + ' ' + timers);
          xen.shutDown(0);
        },
      );
      xen.wakeAt(xen.now_ms());`);
    expect(console).toBe('true 100');
    expect(reason).toBe(SHUTDOWN_poweroff);
  });

  test('that has nothing to wait for ends its domain', async () => {
    const end = await runScript("xen.print('done\\n');");
    expect(end).toEqual({ reason: SHUTDOWN_poweroff, console: 'done\n' });
  });

  test('that throws crashes its domain, with its stack on the console', async () => {
    const { reason, console } = await runScript(
      "function inner() { throw new TypeError('no disk'); }\nfunction outer() { inner(); }\nouter();",
    );
    expect(reason).toBe(SHUTDOWN_crash);
    expect(console).toContain('unikernel: the script has failed: TypeError: no disk');
    expect(console).toMatch(/at inner .*\n.*at outer/);
  });

  test('whose promise is rejected unheard crashes its domain', async () => {
    const { reason, console } = await runScript("Promise.reject(new Error('unheard'));");
    expect(reason).toBe(SHUTDOWN_crash);
    expect(console).toContain('the script has failed: Error: unheard');
  });

  test('whose rejections are all heard does not', async () => {
    const { reason } = await runScript(
      'const late = Promise.reject(1); late.catch(() => {}); Promise.reject(2).catch(() => {});',
    );
    expect(reason).toBe(SHUTDOWN_poweroff);
  });

  test('that fails at once is not run anew, though it has kept something', async () => {
    const { reason, console } = await runScript(
      "xen.keep(new Uint8Array(9), false); throw new Error('at once');",
    );
    expect(reason).toBe(SHUTDOWN_crash);
    expect(console).not.toContain('anew');
  });

  test('finds what was kept before whole, whatever came over it', async () => {
    const { console } = await runScript(`
      const bytes = (length, start) => Uint8Array.from({ length }, (_, n) => start + n);
      const same = (found, expected) => xen.print((found.join() === expected.join()) + ' ');
      const here = () => new Uint8Array(xen.kept());
      xen.keep(bytes(70000, 1), false);
      same(here(), bytes(70000, 1));
      xen.keep(bytes(40000, 3), true);
      xen.forgetNext();
      xen.keep(bytes(16370, 5), true);
      xen.keepNext(69000);
      same(here(), [...bytes(16370, 5), ...bytes(70000, 1).slice(69000)]);
      xen.print(String(xen.keep(new Uint8Array(80 << 20), false)));`);
    expect(console).toBe('true true -12');
  });

  test('that never yields is ended', async () => {
    const { reason, console } = await runScript('for (;;) try { for (;;); } catch {}', [
      'turn_limit_ms=50',
    ]);
    expect(reason).toBe(SHUTDOWN_crash);
    expect(console).toContain('unikernel: the script has not yielded for 50 ms');
  });

  test.each(['soon', '0', '-1', '5s', '99999999999999999999'])(
    'is told that turn_limit_ms=%s is no limit',
    async (limit) => {
      const { reason, console } = await runScript('', [`turn_limit_ms=${limit}`]);
      expect(console).toBe(
        'unikernel: turn_limit_ms= takes a number from 1 to 86400000, and stays 10000\n',
      );
      expect(reason).toBe(SHUTDOWN_poweroff);
    },
  );

  test('that never yields is ended, though it hears the rejections that come of it', async () => {
    const { reason, console } = await runScript(
      `
      const spin = async () => { for (;;); };
      const goOn = async () => { for (;;) await spin().catch(() => {}); };
      goOn();`,
      ['turn_limit_ms=50'],
    );
    expect(reason).toBe(SHUTDOWN_crash);
    expect(console).toMatch(
      /not yielded for 50 ms.*the script has failed: InternalError: inter.*spin/s,
    );
  });

  test('that does not yield to its end either is ended in time', async () => {
    const { reason, console } = await runScript(`
      xen.onFailure(() => { for (;;); });
      Promise.reject(new Error('first'));`);
    expect(reason).toBe(SHUTDOWN_crash);
    expect(console).toMatch(/Error: first.*InternalError: interrupted/s);
    expect(console).not.toContain('not yielded');
  });

  test('that was interrupted is told of it by an error as any other', async () => {
    const { console } = await runScript(
      `
      xen.onFailure((error) => { try { throw error; } catch { xen.print('caught'); } });
      xen.listen(() => {}, () => { for (;;); });
      xen.wakeAt(xen.now_ms());`,
      ['turn_limit_ms=50'],
    );
    expect(console).toMatch(/caught$/);
  });

  test('that has failed and fails again later is not run anew', async () => {
    const { reason, console } = await runScript(`
      xen.keep(new Uint8Array(9), false);
      const start = xen.now_ms();
      xen.onFailure(() => xen.wakeAt(start + 5500));
      xen.listen(() => {}, () => { throw new Error('failed'); });
      xen.wakeAt(start + 4000);`);
    expect(console.match(/Error: failed/g)).toHaveLength(2);
    expect(console).not.toContain('anew');
    expect(reason).toBe(SHUTDOWN_crash);
  });

  test('that calls itself without end gets an error that it can catch', async () => {
    const { console } = await runScript(
      'const deeper = () => deeper() + 1; try { deeper(); } catch (e) { xen.print(String(e)); }',
    );
    expect(console).toContain('stack overflow');
  });

  test('has its timer rung no earlier than asked for', async () => {
    const { console } = await runScript(`
      const start = xen.now_ms();
      xen.listen(() => {}, () => xen.print(String(xen.now_ms() - start >= 20)));
      xen.wakeAt(start + 20);`);
    expect(console).toBe('true');
  });

  test.each([
    ['throws', "throw new Error('no disk')"],
    ['rejects', "Promise.reject(new Error('no disk'))"],
  ])('that %s has a few seconds to tell others of it, and is told once', async (_, failing) => {
    const { reason, console } = await runScript(`
      let told = 0;
      xen.onFailure((error) => {
        xen.print('told ' + ++told + ' ' + error.message + ' ');
        xen.wakeAt(xen.now_ms() + 1);
      });
      const later = () => { if (told > 0) xen.print('later '), xen.shutDown(3); ${failing}; };
      xen.listen(() => {}, later);
      xen.wakeAt(xen.now_ms());`);
    expect(console).toMatch(/the script has failed: Error: no disk.*told 1 no disk later $/s);
    expect(reason).toBe(SHUTDOWN_crash);
  });

  test('that has failed ends when it says no more, or goes on to fail', async () => {
    const { reason, console } = await runScript(`
      xen.onFailure(() => { xen.wakeAt(xen.now_ms() + 1); throw new Error('again'); });
      xen.listen(() => {}, () => { throw new Error('first'); });
      xen.wakeAt(xen.now_ms());`);
    expect(console.match(/Error: first/g)).toHaveLength(2);
    expect(console).toContain('Error: again');
    expect(reason).toBe(SHUTDOWN_crash);
  });

  test('gets random bytes that differ from call to call', async () => {
    const { console } = await runScript(`
      const [a, b] = [new Uint8Array(16), new Uint8Array(16)];
      xen.fillRandom(a); xen.fillRandom(b);
      xen.print(String(a.join() !== b.join()));`);
    expect(console).toBe('true');
  });

  test('draws numbers that nobody can foresee who knows when it began', async () => {
    const { console } = await runScript(
      "const drawn = [1, 2, 3].map(Math.random); xen.print(drawn.join() + ' ' + Date.now());",
    );
    const [numbers = '', now = ''] = console.split(' ');
    const drawn = numbers.split(',').map(Number);
    expect(drawn.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(new Set(drawn).size).toBe(3);
    expect(seedOf(drawn[0] as number, Number(now))).toBeUndefined();
  });

  test.each([
    ['xen.notify(-1)', 'RangeError: port must be an integer from 0'],
    ["xen.notify('1')", 'TypeError: port must be a number'],
    ['xen.share(0, 0, true)', 'RangeError: a call takes from 1 to'],
    ['xen.share(0, 1, true, 4096)', 'RangeError: clearByte must be an integer from 0 to 4095'],
    ['xen.map(0, [1])', 'TypeError'],
    ['xen.map(0, new Uint8Array(3))', 'TypeError: refs must have elements of 4 bytes'],
    ['xen.copy(new Uint32Array(4), [], new Int16Array(1), 1)', 'RangeError: operations'],
    [
      'xen.copy(Uint32Array.of(9, 0, 0, 2, 0, 0, 3, 0), [new Uint8Array(4)], new Int16Array(1), 1)',
      'RangeError: copy 0 is not within its array',
    ],
    [
      'xen.copy(Uint32Array.of(9, 0, 0, 2, 2, 9, 4095, 1), [], new Int16Array(1), 1)',
      'RangeError: copy 0 is not within a page',
    ],
    ['xen.parameter(1e9)', 'RangeError: index'],
    ['xen.wakeAt(NaN)', 'RangeError: deadline_ms'],
  ])('is told its mistake by %s', async (call, message) => {
    const { reason, console } = await runScript(call);
    expect(reason).toBe(SHUTDOWN_crash);
    expect(console).toContain(message);
  });
});

describe('a bundle is refused', () => {
  const whole = () => readFileSync(bundle);
  const spoiled = () => {
    const bytes = whole();
    bytes[bytes.length - 1]! ^= 1;
    return bytes;
  };

  test.each([
    ['that is empty', () => Buffer.alloc(0), 'there is none'],
    ['that is shorter than its header', () => whole().subarray(0, 10), 'shorter than its header'],
    ['that is cut off', () => whole().subarray(0, -1), 'it is cut off'],
    ['that was changed', spoiled, 'its checksum is wrong'],
    ['that is a script', () => Buffer.from('console.log("I am a script");'), 'does not begin as'],
  ])('%s', async (_, content, rule) => {
    const path = join(scratch.path, 'refused');
    writeFileSync(path, content());
    const { reason, console } = await runBundle(path);
    expect(reason).toBe(SHUTDOWN_crash);
    expect(console).toContain(`unikernel: the bundle cannot be run: `);
    expect(console).toContain(rule);
  });
});
