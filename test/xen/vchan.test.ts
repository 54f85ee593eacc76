/** Vchans on real Xen: ours with libxenvchan's, in dom0, between dom0 and guests, and between guests. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import type { Guest } from '../../scripts/lab/guest.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import { sharedHost } from './shared-lab.ts';
import {
  makePrograms,
  OURS,
  startProgramGuest,
  THEIRS,
  TRANSFER,
  type VchanPrograms,
} from './vchan-lab.ts';

const MIB = 1 << 20;
const PATH = '/local/domain/0/data/vchan/0/7';

let lab: Lab;
let programs: VchanPrograms;

beforeAll(async () => {
  programs = makePrograms();
  ({ lab } = await sharedHost());
});
afterAll(() => rmSync(programs.directory, { recursive: true }));

/** Sends random bytes of each length through dom0, from one command to the other. */
async function transfer(lengths: readonly number[], sender: string, receiver: string) {
  const calls = lengths.map((length) => `transfer ${length} '${sender}' '${receiver}'`);
  const out = await lab.run(`${TRANSFER}\n${calls.join('\n')}`, { timeout_ms: 400_000 });
  expect(out.trim().split('\n')).toEqual(lengths.map((length) => `whole ${length}`));
}

const ourClient = `${OURS} connect 0 ${PATH} -`;
const ourServer = `${OURS} listen 0 ${PATH} -`;
const theirClient = `${THEIRS} --mode=client 0 ${PATH} -`;
const theirServer = `${THEIRS} --mode=server 0 ${PATH} -`;
const ourLargeServer = `${ourServer} --receive-size ${MIB} --send-size ${MIB}`;

describe('in dom0', () => {
  test.each([
    ["our client to libxenvchan's server", ourClient, theirServer],
    ["libxenvchan's client to our server", theirClient, ourServer],
    ["our server to libxenvchan's client", ourServer, theirClient],
  ])('the commands bring bytes whole: %s', (_, sender, receiver) =>
    transfer([1, 200_000], sender, receiver),
  );

  test.each([
    ["libxenvchan's client to our server", theirClient, ourLargeServer],
    ["our server to libxenvchan's client", ourLargeServer, theirClient],
  ])('64 MiB arrive whole through the largest rings: %s', (_, sender, receiver) =>
    transfer([64 * MIB], sender, receiver),
  );

  test('rings of all sizes are shared with libxenvchan, in both roles', async () => {
    const vitest = join(CHECKOUT, 'node_modules/.bin/vitest');
    const reports = '--testTimeout 120000 --reporter=json --outputFile=/lab/libxenvchan.json';
    await lab.run(`${vitest} run test/vchan/libxenvchan.test.ts ${reports}`, {
      cwd: CHECKOUT,
      timeout_ms: 540_000,
    });
    // Without the proxy that file skips itself and passes.
    const passed = await lab.run(`node -p "require('/lab/libxenvchan.json').numPassedTests"`);
    expect(Number(passed)).toBeGreaterThan(30);
  });
});

test('a hundred connections at once go through one bridge', async () => {
  const { web } = programs;
  const out = await lab.run(
    `set -e; cd "$(mktemp -d)"
     node ${web} $PWD/web & web=$!
     ${OURS} listen 0 hundred $PWD/web --receive-size 0 --send-size 0 & listen=$!
     ${OURS} connect 0 hundred $PWD/bridge & connect=$!
     until [ -S bridge ]; do sleep 0.2; done
     for n in $(seq 100); do
       curl -sS --retry 2 --unix-socket bridge http://dom0/1000 >got-$n & curls="$curls $!"
     done
     wait $curls
     sha256sum got-* | cut -d' ' -f1 | sort | uniq -c
     kill $connect $listen $web; wait`,
    { timeout_ms: 300_000 },
  );
  expect(out.trim().split('\n').at(-1)).toMatch(/^\s*100 \w{64}$/);
});

test('whoever is killed, the other ends, and the next client is served', async () => {
  const before = (await lab.run('lsevtchn 0 | grep -c Interdomain')).trim();
  const out = await lab.run(
    `cd "$(mktemp -d)"; mkfifo never-ends
     for round in $(seq 2); do
       for victim in client server; do
         ${OURS} listen 0 ${PATH} - </dev/zero >/dev/null 2>&1 & server=$!
         ${THEIRS} --mode=client 0 ${PATH} - <>never-ends >received & client=$!
         sleep 2; until [ -s received ]; do sleep 0.1; done; sleep 0.$((RANDOM % 10))
         [ $victim = client ] && kill -9 $client || kill -9 $server
         wait $server $client 2>/dev/null; : >received
         echo over $victim
       done
     done
     ${OURS} listen 0 ${PATH} - <>never-ends >last & server=$!
     sleep 0.5; echo still here | ${OURS} connect 0 ${PATH} -; wait $server; cat last`,
    { timeout_ms: 400_000 },
  );
  const ends = Array.from({ length: 2 }, () => ['over client', 'over server']).flat();
  expect(out.trim().split('\n')).toEqual([...ends, 'still here']);
  expect((await lab.run('lsevtchn 0 | grep -c Interdomain')).trim()).toBe(before);
});

describe('with guests on our daemons in dom0', () => {
  let first: { guest: Guest; domid: string };
  let second: { guest: Guest; domid: string };

  beforeAll(async () => {
    first = await startProgramGuest(lab, 'vchan-one', programs.disk);
    second = await startProgramGuest(lab, 'vchan-two', programs.disk);
    const { web, certificate, key } = programs;
    await first.guest.type(`node=${process.execPath}; $node ${web} /run/web &`, /web serves at/);
    await first.guest.type(`$node ${web} /run/tls ${certificate} ${key} &`, /web serves at/);
  });
  afterAll(async () => {
    for (const { guest } of [first, second]) await guest.destroy();
  });

  const pathOf = (server: string, client: string, port: string) =>
    `/local/domain/${server}/data/vchan/${client}/${port}`;

  /** Starts a server in a guest and waits for its keys. */
  async function offer({ guest }: { guest: Guest }, command: string, path: string) {
    guest.console().write(`${command} &\r`);
    await lab.waitFor(`vchan at ${path}`, async () => {
      const { code } = await lab.attempt(['xenstore-exists', `${path}/ring-ref`]);
      return code === 0 || undefined;
    });
  }

  /** Runs a bridge in dom0 for as long as `body` takes; returns what that printed. */
  const bridged = (bridge: string, body: string) =>
    lab.run(
      `set -e; cd "$(mktemp -d)"; head -c ${4 * MIB} /dev/urandom >file
       ${bridge} $PWD/bridge & bridge=$!
       trap 'kill $bridge' EXIT
       until [ -S bridge ]; do sleep 0.2; done
       ${body}`,
      { timeout_ms: 300_000 },
    );

  const PUT = `curl -sS --unix-socket bridge -T file http://guest/ && echo && sha256sum <file | cut -d' ' -f1`;

  test('curl in dom0 fetches over HTTP and TLS from a guest, through our bridges', async () => {
    const { domid } = first;
    await offer(first, `${OURS} listen 0 web /run/web`, pathOf(domid, '0', 'web'));
    await offer(first, `${OURS} listen 0 tls /run/tls`, pathOf(domid, '0', 'tls'));
    const [got, sent] = (await bridged(`${OURS} connect ${domid} web`, PUT)).split('\n');
    expect(got).toBe(sent);
    const secure = `curl -sS --unix-socket bridge --cacert ${programs.certificate} https://guest/1000000 | sha256sum`;
    const plain = `curl -sS --unix-socket bridge http://guest/1000000 | sha256sum`;
    const overTls = await bridged(`${OURS} connect vchan-one tls`, secure);
    expect(overTls).toBe(await bridged(`${OURS} connect vchan-one web`, plain));
  });

  test("libxenvchan's client in dom0 reaches our server in a guest", async () => {
    const { domid } = first;
    const path = pathOf(domid, '0', 'web');
    const [got, sent] = (await bridged(`${THEIRS} --mode=client ${domid} ${path}`, PUT)).split(
      '\n',
    );
    expect(got).toBe(sent);
  });

  test("our client in dom0 reaches libxenvchan's server in a guest, again and again", async () => {
    const { domid } = first;
    const path = pathOf(domid, '0', 'c');
    await offer(first, `${THEIRS} --mode=server 0 ${path} /run/web`, path);
    const body = `for n in 1 2 3; do ${PUT}; done`;
    const lines = (await bridged(`${OURS} connect ${domid} c`, body)).trim().split('\n');
    expect(lines).toHaveLength(6);
    expect(new Set(lines).size).toBe(1);
  });

  test('two guests reach each other, with ours and with libxenvchan at either end', async () => {
    const [one, two] = [first.domid, second.domid];
    const fetch = (port: number) =>
      second.guest.type(
        `wget -q -O - http://127.0.0.1:${port}/5000000 | sha256sum`,
        /(\w{64}) {2}-/,
      );
    const near = (port: string, tcp: string) =>
      second.guest.type(`${OURS} connect ${one} ${port} ${tcp} &`, /listening at tcp/);
    await offer(first, `${OURS} listen ${two} peer /run/web`, pathOf(one, two, 'peer'));
    await near('peer', 'tcp:8001');
    const [, ours] = await fetch(8001);
    const path = pathOf(one, two, 'c');
    await offer(first, `${THEIRS} --mode=server ${two} ${path} /run/web`, path);
    await near('c', 'tcp:8002');
    const [, theirs] = await fetch(8002);
    expect(theirs).toBe(ours);
    const request = `(printf "GET /5000000 HTTP/1.0\\r\\n\\r\\n"; sleep 1000)`;
    const proxy = `${THEIRS} --mode=client ${one} ${pathOf(one, two, 'peer')} -`;
    const [, reverse] = await second.guest.type(
      `${request} | ${proxy} | tail -c 5000000 | sha256sum`,
      /(\w{64}) {2}-/,
    );
    expect(reverse).toBe(ours);
  });

  test('our client in dom0 ends when the whole guest is destroyed', async () => {
    const { guest, domid } = await startProgramGuest(lab, 'vchan-doomed', programs.disk);
    const server = `${OURS} listen 0 doomed - </dev/zero >/dev/null`;
    await offer({ guest }, server, pathOf(domid, '0', 'doomed'));
    const client = lab.start(
      `cd "$(mktemp -d)"; mkfifo never-ends
       ${OURS} connect ${domid} doomed - <>never-ends >received &
       until [ -s received ]; do sleep 0.2; done; echo began; wait; echo ended`,
    );
    await client.waitFor(/began/, 60_000);
    await guest.destroy();
    await client.waitFor(/ended/, 60_000);
    expect((await lab.run('xl list')).includes('vchan-doomed')).toBe(false);
  });
});
