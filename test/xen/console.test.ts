/** Consoles on real Xen: our daemon beside C's on the same input, output without end, kills, a second console. */
import { beforeAll, expect, test } from 'vitest';
import { Guest, type GuestType } from '../../scripts/lab/guest.ts';
import { type Host, PARAVANE, startCXenconsoled, startOurs } from '../../scripts/lab/host.ts';
import { guestInitramfs } from '../../scripts/lab/initramfs.ts';
import type { DomZeroProcess } from '../../scripts/lab/process.ts';
import { flood, floodEnd, floodIsWhole, floodLine } from './console-flood.ts';
import { sharedHost } from './shared-lab.ts';

const LOGS = '/var/log/xen/console';
const LIMIT_MS = 120_000;
/** What the C daemon's rate limit lets through at best takes 50 MB about three minutes; emulated, more. */
const FLOOD_LIMIT_MS = 900_000;

/** About 50 MB. */
const FLOOD_LINES = 740_000;
const KILL_LINES = 40_000;
/** Bytes in a pty that nobody reads, N_TTY_BUF_SIZE and the buffer before that, in Linux. */
const TERMINAL_HOLDS_MAX = 4096 + 65_536;

/** A guest with a shell at its console, and `sample`, which prints all sorts of things. */
const GUEST_SCRIPT = `
cat >/bin/sample <<'END'
#!/bin/sh
echo SAMPLE-"BEGIN"
for n in 1 2 3 4 5 6 7 8; do echo "line $n of some"; done
printf 'cr lf\\r\\nlf cr\\n\\rempty lines:\\n\\n\\n'
printf '\\033[1mbold\\033[0m \\033]0;title\\007 \\033[2J\\n'
printf 'gr\\303\\274n \\377\\376 tab\\t bell\\007\\n'
n=0; while [ $n -lt 60 ]; do echo "$n 0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"; n=$((n + 1)); done
echo SAMPLE-"END"
END
chmod +x /bin/sample
PS1='guest# '
export PS1
while true; do setsid cttyhack sh; done
`;

let host: Host;
let pv: Guest;

/** A viewer in dom0, with a terminal of its own. */
function view(...command: string[]): DomZeroProcess {
  return host.lab.start(command, { terminal: { columns: 80, rows: 24 } });
}

const paravaneConsole = (...args: string[]) => view('node', PARAVANE, 'console', ...args);

function makeGuest(type: GuestType, name: string): Promise<Guest> {
  const ramdisk = guestInitramfs(GUEST_SCRIPT);
  return Guest.create(host.lab, { name, type, ramdisk, memory_mib: 128 });
}

/** Types a line and resolves once `answer` has come after it. */
async function say(viewer: DomZeroProcess, line: string, answer: RegExp, limit_ms = LIMIT_MS) {
  const from = viewer.output.length;
  viewer.write(`${line}\r`);
  return viewer.waitFor(answer, limit_ms, from);
}

beforeAll(async () => {
  host = await sharedHost();
  pv = await makeGuest('pv', 'talker');
  await pv.shows(/guest# /);
  // A console has one `xl console` at a time, and that outlives the daemon whose terminal it shows.
  pv.console().write('\x1d');
  await pv.console().exit;
});

/** How many characters of `text` are its newest lines of a flood of `count`, each once and in order. */
function newestInOrder(text: string, count: number): number {
  const shown = text.split(/\r?\n/);
  let number = count;
  let length = 0;
  // The last line is the number alone.
  for (let at = shown.lastIndexOf(String(count)); at > 0; at--) {
    number--;
    if (shown[at - 1] !== floodLine(number)) break;
    length += floodLine(number).length + 1;
  }
  return length;
}

/** What `sample` printed, with timestamps that are the same each time. */
function sample(text: string): string {
  const [printed = ''] = /SAMPLE-BEGIN[\s\S]*SAMPLE-END/.exec(text) ?? [];
  // C leaves a CR after a timestamp where it happens to read the line's end and the CR one by one.
  return printed.replace(/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \r*/gm, '[time] ');
}

test("our logs and terminals show what C's show of the same output, by turns on one guest", async () => {
  const variants = [[], ['--replace-escape', '--timestamp=all']];
  for (const [index, options] of variants.entries()) {
    const shown: Record<string, { log: string; terminal: string }> = {};
    for (const side of ['c', 'ours'] as const) {
      const directory = `/tmp/console-${side}-${index}`;
      await host.replace('xenconsoled', 'SIGTERM', (lab) =>
        side === 'ours'
          ? startOurs(lab, 'xenconsoled', '--log=all', `--log-dir=${directory}`, ...options)
          : startCXenconsoled(lab, directory, 'talker', ...options),
      );
      const viewer = view('xl', 'console', 'talker');
      await say(viewer, '', /guest# /);
      await say(viewer, 'sample', /SAMPLE-END/);
      const logged = `grep -q SAMPLE-END ${directory}/guest-talker.log`;
      await host.lab.waitFor('end of the sample in the log', async () =>
        (await host.lab.attempt(logged)).code === 0 ? true : undefined,
      );
      const log = await host.lab.run(['base64', '-w0', `${directory}/guest-talker.log`]);
      shown[side] = {
        log: sample(Buffer.from(log, 'base64').toString('latin1')),
        // Where a viewer's output is cut into pieces, a character of several bytes may be, too.
        terminal: sample(viewer.output).replace(/[^ -~\s]+/g, '?'),
      };
      await host.lab.run(['xl', 'debug-keys', 'h']);
      await host.lab.waitFor('line of the hypervisor', async () => {
        const { code } = await host.lab.attempt(`grep '(XEN)' ${directory}/hypervisor.log`);
        return code === 0 ? true : undefined;
      });
      viewer.write('\x1d');
      expect((await viewer.exit).code).toBe(0);
    }
    expect(shown.c?.log).toContain('line 8 of some');
    expect(shown.ours).toEqual(shown.c);
  }
  await host.replace('xenconsoled', 'SIGTERM', (lab) => startOurs(lab, 'xenconsoled', '--log=all'));
});

test('xl console and two of ours look at once, and one that may only look does not type', async () => {
  const xl = view('xl', 'console', 'talker');
  const reader = paravaneConsole('talker', '--read-only');
  await reader.waitFor(/attached, read-only/, LIMIT_MS);
  const writer = paravaneConsole('talker');
  await writer.waitFor(/attached; 1 more look at it/, LIMIT_MS);
  reader.write('echo must-not-be-typed\r');
  await say(writer, 'echo seen $((40 + 2)) times', /seen 42 times/);
  await Promise.all([xl, reader].map((viewer) => viewer.waitFor(/seen 42 times/, LIMIT_MS)));
  expect(writer.output).not.toContain('must-not-be-typed');
  const size = await host.lab.run(
    'xenstore-read /local/domain/$(xl domid talker)/console/window-size',
  );
  expect(size).toBe('80x24\n');
  for (const viewer of [xl, reader, writer]) {
    viewer.write('\x1d');
    expect((await viewer.exit).code).toBe(0);
  }
});

test('a second console works beside the first: xl console -t pv -n, ours, and a socket', async () => {
  const attach = (...options: string[]) =>
    host.lab.run(['node', PARAVANE, 'console-attach', 'talker', ...options]);
  const first = paravaneConsole('talker');
  await first.waitFor(/attached/, LIMIT_MS);
  const before = await host.lab.run('xenstore-ls -fp | grep console');
  expect(await attach()).toBe('1\n');
  await say(
    first,
    'until echo from hv"c1" >/dev/hvc1; do sleep 1; done; echo done $((1+1))',
    /done 2/,
  );
  // Without the type, xl shows the first console whatever the number.
  const second = view('xl', 'console', '-t', 'pv', '-n', '1', 'talker');
  await second.waitFor(/from hvc1/, LIMIT_MS);
  first.write('head -n 1 /dev/hvc1\r');
  second.write('typed at the second\r');
  await first.waitFor(/typed at the second/, LIMIT_MS);
  const log = await host.lab.run(['cat', `${LOGS}/guest-talker-console1.log`]);
  expect(log).toContain('from hvc1');
  second.write('\x1d');
  await second.exit;

  expect(await attach('--connect-to', '/tmp/talker.socket')).toBe('2\n');
  const client = host.lab.start(
    `until [ -S /tmp/talker.socket ]; do sleep 1; done; node -e "require('net').connect('/tmp/talker.socket').pipe(process.stdout)"`,
  );
  await say(
    first,
    'until echo from hv"c2" >/dev/hvc2; do sleep 1; done; echo done $((1+2))',
    /done 3/,
  );
  await client.waitFor(/from hvc2/, LIMIT_MS);
  for (const number of ['1', '2']) {
    await host.lab.run(['node', PARAVANE, 'console-detach', 'talker', number]);
  }
  await client.exit;
  expect(await host.lab.run('xenstore-ls -fp | grep console')).toBe(before);
  first.write('\x1d');
  await first.exit;
});

test('killed again and again while a guest prints, the daemon loses and doubles no byte', async () => {
  const viewer = view('xl', 'console', 'talker');
  viewer.write(`${flood(KILL_LINES)}\r`);
  await viewer.waitFor(/FLOOD-BEGIN/, LIMIT_MS);
  const log = `${LOGS}/guest-talker.log`;
  const size = async () => Number(await host.lab.run(`stat -c %s ${log}`));
  for (let kills = 0; kills < 6; kills++) {
    const then = await size();
    await host.replace('xenconsoled', 'SIGKILL', (lab) =>
      startOurs(lab, 'xenconsoled', '--log=all'),
    );
    await host.lab.waitFor('more output', async () => ((await size()) > then ? true : undefined));
  }
  await floodEnd(host.lab, log, 3 * LIMIT_MS);
  expect(await floodIsWhole(host.lab, log, KILL_LINES)).toBe('whole');
  viewer.write('\x1d');
  await viewer.exit;
});

test('a PVH guest has its console, and its log goes on after a kill', async () => {
  const guest = await makeGuest('pvh', 'hvm-talker');
  await guest.type('echo $((6 * 7)) is the answer', /42 is the answer/);
  await host.replace('xenconsoled', 'SIGKILL', (lab) => startOurs(lab, 'xenconsoled', '--log=all'));
  const viewer = paravaneConsole('hvm-talker');
  await viewer.waitFor(/attached/, LIMIT_MS);
  await say(viewer, 'echo $((6 * 8)) is another', /48 is another/);
  await guest.destroy();
  await viewer.waitFor(/the console is over/, LIMIT_MS);
  expect((await viewer.exit).code).toBe(0);
  const log = await host.lab.run(['cat', `${LOGS}/guest-hvm-talker.log`]);
  expect(log).toMatch(/42 is the answer[\s\S]*48 is another/);
});

test('50 MB of output pass through a rotated log whole, the rest of the host does not notice, and a late viewer sees the last of it, up to the limit', async () => {
  const directory = '/tmp/console-flood';
  await host.replace('xenconsoled', 'SIGTERM', (lab) =>
    startOurs(
      lab,
      ...['xenconsoled', '--log=guest', `--log-dir=${directory}`, '--rotate-size=4M'],
      ...['--rotate-keep=20', '--rotate-compress'],
    ),
  );
  const starter = paravaneConsole('talker');
  await starter.waitFor(/attached/, LIMIT_MS);
  starter.write(`${flood(FLOOD_LINES)}\r`);
  await starter.waitFor(/FLOOD-BEGIN/, LIMIT_MS);
  starter.write('\x1d');
  await starter.exit;
  const other = await makeGuest('pv', 'neighbour');
  await other.type('echo $((6 * 7)) is the answer', /42 is the answer/);
  const log = `${directory}/guest-talker.log`;
  await floodEnd(host.lab, log, FLOOD_LIMIT_MS);
  await host.lab.run(
    `cd ${directory}; for n in $(seq 40 -1 1); do
       if [ -e ${log}.$n.gz ]; then zcat ${log}.$n.gz; elif [ -e ${log}.$n ]; then cat ${log}.$n; fi
     done >whole; cat ${log} >>whole`,
    { timeout_ms: LIMIT_MS },
  );
  expect(await floodIsWhole(host.lab, `${directory}/whole`, FLOOD_LINES)).toBe('whole');
  const keys = '/local/domain/$(xl domid talker)/console';
  const limit = Number(await host.lab.run(`xenstore-read ${keys}/limit`));
  const late = view('xl', 'console', 'talker');
  await late.waitFor(/FLOOD-END/, LIMIT_MS);
  late.write('\x1d');
  await late.exit;
  // The newest `limit` bytes, after the oldest, which the terminal itself has held.
  expect(late.output.length).toBeLessThan(limit + TERMINAL_HOLDS_MAX);
  expect(newestInOrder(late.output, FLOOD_LINES)).toBeGreaterThan(0.9 * limit);
  await other.destroy();
  await host.replace('xenconsoled', 'SIGTERM', (lab) => startOurs(lab, 'xenconsoled', '--log=all'));
}, 1_500_000);

test('the guests end, and nothing of their consoles is left', async () => {
  await pv.destroy();
  await host.lab.waitFor('end of the notes', async () => {
    const notes = await host.lab.run('ls /run/paravane/xenconsoled');
    return notes === '' ? true : undefined;
  });
});
