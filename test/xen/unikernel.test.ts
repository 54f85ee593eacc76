/** The stub-domain kernel on real Xen, and without any. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { PARAVANE } from '../../scripts/lab/host.ts';
import { buildEngine } from '../../src/dom0/image/engine.ts';
import { buildBundle, buildImage, linkImage } from '../../src/dom0/image/image.ts';
import { entryOf, stubDomains } from '../../src/dom0/stub-domains.ts';
import { CONFORMANCE_ENTRY, scratchDirectory, TEST_ALIAS } from '../unikernel/native-stubdom.ts';
import { OFFER_PATH, PEER_PATH } from '../unikernel/two-domains.ts';
import { sharedHost } from './shared-lab.ts';
import { StubDomain } from './stub-domain.ts';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());
const file = (name: string) => join(scratch.path, name);

/** An image of one script in plain JavaScript. */
async function imageOf(name: string, script: string): Promise<string> {
  writeFileSync(file(`${name}.js`), script);
  await buildImage(file(`${name}.js`), file(`${name}.elf`));
  return file(`${name}.elf`);
}

/** All images that there are, and a user's. */
const images = [...stubDomains.map(entryOf), 'stubdoms/templates/service/main.ts'];

test.each(images)(
  'the image of %s, started without Xen, says so and ends the machine',
  async (entry) => {
    const image = file('no-xen.elf');
    await buildImage(entry, image);
    const machine = ['-display', 'none', '-serial', 'stdio', '-accel', 'tcg', '-kernel', image];
    const { stdout } = await promisify(execFile)('qemu-system-x86_64', machine, {
      timeout: 20_000,
    });
    expect(stdout).toContain('there is no Xen here');
  },
);

test('the unikernel binding passes the conformance suite in a stub domain', async () => {
  const { lab } = await sharedHost();
  const image = file('conformance.elf');
  await buildImage(CONFORMANCE_ENTRY, image, { alias: TEST_ALIAS });
  const domain = await StubDomain.create(lab, { name: 'conformance', image });
  const { crashed, console } = await domain.end();
  expect(console.split('\n').filter((line) => line.startsWith('failed'))).toEqual([]);
  const [, summary = '{}'] = /^conformance: (.*)$/m.exec(console) ?? [];
  expect(JSON.parse(summary).passed).toBeGreaterThan(80);
  expect(crashed).toBe(false);
  await domain.destroy();
});

test('two stub domains share, map, copy and revoke pages through Xen', async () => {
  const host = await sharedHost();
  const { lab } = host;
  const before = await host.traces();
  for (const name of ['granter', 'mapper']) {
    await buildImage(`test/unikernel/${name}-bundle.ts`, file(`${name}.elf`));
  }
  // The granter prints when it has seen the mapper, the mapper when it has seen the granter.
  await lab.run(`cat >/run/pair.sh`, { input: pairScript });
  const starting = lab.start(['bash', '/run/pair.sh']);
  const [granter, mapper] = await Promise.all(
    ['granter', 'mapper'].map((name) =>
      StubDomain.create(lab, { name, image: file(`${name}.elf`) }),
    ),
  );
  for (const domain of [granter, mapper]) {
    const { crashed, console } = await domain!.end();
    expect(console).not.toContain('FAILED');
    expect(console).toContain('ok: ');
    expect(crashed).toBe(false);
  }
  await starting.exit;
  await granter?.destroy();
  await mapper?.destroy();
  expect(await host.leftovers(before)).toEqual([]);
});

/** Carries the messages of the two domains from one home in xenstore to the other. */
const pairScript = `
until g=$(xl domid granter 2>/dev/null) && m=$(xl domid mapper 2>/dev/null); do sleep 0.1; done
xenstore-write /local/domain/$g/${PEER_PATH} $m
until offer=$(xenstore-read /local/domain/$g/${OFFER_PATH} 2>/dev/null); do sleep 0.1; done
xenstore-write /local/domain/$m/${OFFER_PATH} "$offer"
until xenstore-read /local/domain/$m/data/result 2>/dev/null; do sleep 0.1; done
xenstore-write /local/domain/$g/data/result done
`;

test('a stub domain answers what is typed at its console', async () => {
  const { lab } = await sharedHost();
  const image = file('echo.elf');
  await buildImage('stubdoms/echo/unikernel.ts', image);
  const domain = await StubDomain.create(lab, { name: 'echo', image });
  await domain.shows(/echo: domain \d+ says what you type/);
  const console = lab.start(['xl', 'console', 'echo'], { terminal: { columns: 80, rows: 24 } });
  await console.waitFor(/says what you type/, 30_000);
  console.write('once upon a time\r');
  await console.waitFor(/once upon a time\r?\nonce upon a time/, 30_000);
  console.write('exit\r');
  expect((await domain.end()).crashed).toBe(false);
  await domain.destroy();
  await console.stop();
});

test('what `paravane new` makes is built, and answers dom0 over a vchan', async () => {
  const { lab } = await sharedHost();
  const image = file('greeter.elf');
  await promisify(execFile)(PARAVANE, ['new', file('greeter')]);
  await promisify(execFile)(PARAVANE, ['build', `${file('greeter')}/`, '-o', image]);
  const domain = await StubDomain.create(lab, { name: 'greeter', image });
  await domain.shows(/ ready /);
  const answer = await lab.run(`echo hello | ${PARAVANE} vchan connect greeter service -`);
  expect(answer).toBe('HELLO\n');
  await lab.run('xl shutdown greeter');
  expect((await domain.end()).crashed).toBe(false);
  await domain.destroy();
});

test('a bundle can come as a module, and an image without one says that it is missing', async () => {
  const { lab } = await sharedHost();
  const engine = await buildEngine();
  const image = file('bare.elf');
  await linkImage(engine, image);
  const missing = await StubDomain.create(lab, { name: 'bare', image });
  const { crashed, console } = await missing.end();
  expect(crashed).toBe(true);
  expect(console).toContain('the bundle cannot be run: there is none');
  await missing.destroy();

  writeFileSync(
    file('module.js'),
    "xen.print('module in domain ' + xen.domid + ': ' + xen.commandLine + '\\n');",
  );
  await buildBundle(engine, file('module.js'), file('module'));
  const config = { name: 'bare', image, bundle: file('module'), commandLine: 'with words' };
  const given = await StubDomain.create(lab, config);
  const domid = await given.domid();
  expect(await given.end()).toEqual({
    crashed: false,
    console: `module in domain ${domid}: with words\n`,
  });
  await given.destroy();
});

test('a stub domain that fails tells how on its console', async () => {
  const { lab } = await sharedHost();
  const image = await imageOf(
    'thrower',
    "function inner() { throw new Error('no disk'); }\ninner();",
  );
  const domain = await StubDomain.create(lab, { name: 'thrower', image });
  const { crashed, console } = await domain.end();
  expect(crashed).toBe(true);
  expect(console).toContain('unikernel: the script has failed: Error: no disk');
  expect(console).toContain('at inner');
  await domain.destroy();
});

test('a script that never yields is ended', async () => {
  const { lab } = await sharedHost();
  const image = await imageOf('endless', 'for (;;);');
  const commandLine = 'turn_limit_ms=500';
  const domain = await StubDomain.create(lab, { name: 'endless', image, commandLine });
  const { crashed, console } = await domain.end();
  expect(crashed).toBe(true);
  expect(console).toContain('unikernel: the script has not yielded for 500 ms');
  await domain.destroy();
});

test('a script that calls itself without end gets an error that it can catch', async () => {
  const { lab } = await sharedHost();
  const image = await imageOf(
    'deep',
    `const deeper = () => deeper() + 1;
    const deepest = [
      deeper,
      () => JSON.parse('['.repeat(1e5)),
      () => eval('('.repeat(1e5)),
      () => new RegExp('(?:'.repeat(1e5)),
    ];
    for (const call of deepest) {
      try {
        call();
      } catch (error) {
        xen.print(error + '\\n');
      }
    }`,
  );
  const domain = await StubDomain.create(lab, { name: 'deep', image });
  const { crashed, console } = await domain.end();
  expect(console.match(/stack overflow/g)).toHaveLength(4);
  expect(crashed).toBe(false);
  await domain.destroy();
});

test('a fault is reported with its place and its reason', async () => {
  const { lab } = await sharedHost();
  // Above what any processor of today can address.
  const image = await imageOf('faulty', 'new Uint8Array(xen.ownFrames(0xffffffff, 1)).fill(1);');
  const domain = await StubDomain.create(lab, { name: 'faulty', image });
  const { crashed, console } = await domain.end();
  expect(crashed).toBe(true);
  expect(console).toMatch(
    /unikernel: exception 14, page fault, at [0-9a-f]{16}, writing [0-9a-f]{16}: there is no such frame/,
  );
  expect(console).toMatch(/rsp [0-9a-f]{16}/);
  await domain.destroy();
});

test('a stub domain with too little memory says how much it needs', async () => {
  const { lab } = await sharedHost();
  // Of 3 MiB an image without the ballast leaves enough.
  const ballast = 'x'.repeat(480_000);
  const image = await imageOf('small', `xen.print('${ballast}'.slice(-4));`);
  const domain = await StubDomain.create(lab, { name: 'small', image, memory_mib: 3 });
  const { crashed, console } = await domain.end();
  expect(crashed).toBe(true);
  expect(console).toMatch(
    /unikernel: \d+ KiB of memory are left after the image, and 1536 are needed/,
  );
  await domain.destroy();
});
